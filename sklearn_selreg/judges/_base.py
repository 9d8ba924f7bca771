"""The question to a judge, and the base class of all judges."""

import inspect
import json
import logging
import time
from abc import ABCMeta, abstractmethod
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from .._data._json_ids import KINDS, id_from_json
from .._utils._docs import DocLinkMixin
from .._utils._progress import tqdm
from .._utils._warn import warn
from ..exceptions import JudgmentWarning
from ._cache import ANSWERED, GRANTED, TAKEN, open_cache
from ._question import Question, json_or_hash, plain_scalar, sha256
from ._slate import (
    CostEstimate,
    Preferences,
    check_answers,
    check_iterable,
    check_slates,
    checked_answer,
    row_means,
    slate_pairs,
)

_log = logging.getLogger("sklearn_selreg")
_CHUNK = 64  # questions that one process claims at a time, for each of joblib's workers
_TASK = 8  # questions that a worker is sent at a time
_POLL = 0.05  # seconds between looks for answers that another process is getting


class LLMJudge(DocLinkMixin, BaseEstimator, metaclass=ABCMeta):
    """Base class of all judges.

    A judge has parameters and can be cloned, as any scikit-learn estimator, but is not fitted: it
    answers questions. A subclass overrides :meth:`_rate`, which is called for questions without
    cached answer only; think twice before overriding more.

    Answers are kept: in a SQLite file if the judge has a parameter `cache` that names one (or is
    "default"), else in memory, shared by all judges of the same class and parameters in this
    process. Several threads and processes that share a file ask each question once. Answers are
    told apart by class, parameters and :attr:`version`, not by the code: change `version` with the
    code of `_rate`, or old answers are given. A parameter `verbose` above 0 shows a progress bar.

    Under ``joblib.parallel_config``, joblib's workers call :meth:`_rate`, and may be on other
    machines; the answers are kept by the process that asked. Live judges are bound by their
    service, and send all requests from that process themselves.

    See Also
    --------
    AnthropicJudge : Asks Claude.
    OpenAIJudge : Asks GPT, or any model behind an API of that kind.
    ContentJudge : Compares texts, without network.
    PrecomputedJudge : Gives answers that were recorded before.
    sklearn_selreg.judges.testing.JudgeContract : Tests that any judge should pass.

    Examples
    --------
    >>> from sklearn_selreg.judges import LLMJudge, Slate
    >>> class ShortTitles(LLMJudge):
    ...     def _rate(self, slates):
    ...         return [[1 / len(title) for title in slate.candidates] for slate in slates]
    >>> ShortTitles().rate([Slate(user=7, history=[], candidates=["Up", "Heat"])])
    [array([0.5 , 0.25])]
    """

    # Parameters that do not change what the judge answers, and are not part of a question's key.
    _not_identity = ("cache", "verbose")
    _remembers = True
    is_recorded = False
    """Whether all of its answers are there already, as `questions()` of a `PrecomputedJudge`."""
    # Whether the hidden and the other candidates of a calibration question are drawn alike, as by
    # the estimator that asks.
    _draws_alike = True
    reads_texts = False
    """Whether the judge goes by the items' texts; False: it may know items by their ids."""
    version = ""
    """Which version of its class a judge is: answers of another one are not taken for its own."""

    def rate(self, slates):
        """Rate the candidates of each slate.

        Parameters
        ----------
        slates : iterable of Slate
            The questions.

        Returns
        -------
        ratings : list of ndarray of shape (n_candidates,), float64
            For each slate, one rating in [0, 1] for each candidate, averaged over the orders it
            was asked in; NaN where the judge has no opinion.

        Raises
        ------
        TypeError
            If `slates` is not an iterable of :class:`Slate`.
        ValueError
            If the judge's answer has the wrong number of slates or of ratings, or if a rating is
            not a number in [0, 1]; for parameters of the judge out of range.
        JudgeError
            If its service refuses to answer.
        CacheError
            If its cache cannot be read.

        Warns
        -----
        BudgetWarning
            If its budget is spent before all questions are asked; there is no opinion on the rest.
        JudgmentWarning
            If some questions got no answer, or were not recorded.
        """
        return [row_means(answers) for answers in self.answers(slates)]

    def answers(self, slates):
        """Rate the candidates of each slate, each answer apart.

        Parameters
        ----------
        slates : iterable of Slate
            The questions.

        Returns
        -------
        answers : list of ndarray of shape (n_candidates, n_answers), float64
            For each slate the ratings in [0, 1], one column for each order that the candidates
            were shown in; NaN for no opinion.

        Raises
        ------
        TypeError, ValueError, JudgeError, CacheError
            As :meth:`rate`.

        Warns
        -----
        BudgetWarning, JudgmentWarning
            As :meth:`rate`.
        """
        slates = check_slates(slates)
        if not self._remembers:
            rated = check_answers(slates, self._rate(slates))
            return [ratings[:, np.newaxis] for ratings in rated]
        if not slates:
            return []
        self._check_parameters()
        cache = self._cache()
        questions = self._questions(slates)
        cache.link([row for question in questions for row in question.links])
        found = cache.get({key for question in questions for key in question.keys})
        todo = {
            key: asked
            for question in questions
            for key, asked in zip(question.keys, question.asked, strict=True)
            if key not in found
        }
        if todo:
            found |= self._ask(cache, todo)
        return [question.answers(found) for question in questions]

    def _questions(self, slates):
        identity = self._identity_hash()
        return [Question(self, identity, slate) for slate in slates]

    def _ask(self, cache, todo):
        """Answer questions that were not cached; several processes may do that at once.

        Parameters
        ----------
        cache : JudgmentCache
        todo : dict of str to Slate

        Returns
        -------
        answers : dict of str to ndarray
        """
        judge = self._identity_hash()
        found, pending, waiting = {}, list(todo), []
        n_workers = joblib.effective_n_jobs(None)  # 1, if joblib was not told otherwise
        progress = tqdm(
            total=len(todo),
            disable=not getattr(self, "verbose", 0),
            desc=f"asking {self._title()}",
            unit="question",
        )
        _log.info("%s: asking %d questions.", self._title(), len(todo))
        with cache.at_work(), progress:
            while pending or waiting:
                if not pending:
                    time.sleep(_POLL)
                    pending, waiting = waiting, []
                n_claimed = _CHUNK * n_workers
                chunk, pending = pending[:n_claimed], pending[n_claimed:]
                states = dict(zip(chunk, cache.begin(chunk), strict=True))
                waiting += [key for key, state in states.items() if state == TAKEN]
                found |= cache.get(key for key, state in states.items() if state == ANSWERED)
                progress.update(len(found) - progress.n)
                granted = [key for key, state in states.items() if state == GRANTED]
                slates = [todo[key] for key in granted]
                rated = self._rate(slates) if n_workers == 1 else self._rate_in_parallel(slates)
                for key, ratings in zip(granted, checked_answer(slates, rated), strict=True):
                    cache.store(judge, key, ratings)
                    found[key] = ratings
                    progress.update()
        _log.info("%s: %d questions answered.", self._title(), len(found))
        return found

    def _rate_in_parallel(self, slates):
        """Yield the answers of joblib's workers, who know nothing of the cache."""
        parallel = joblib.Parallel(return_as="generator")
        tasks = (slates[start : start + _TASK] for start in range(0, len(slates), _TASK))
        for answers in parallel(joblib.delayed(_rated)(self, task) for task in tasks):
            yield from answers

    def _title(self):
        """Return what messages call it."""
        return type(self).__name__

    # -- what a question is --------------------------------------------------------------------

    def _cache(self):
        identity = type(self), self._identity_hash()
        return open_cache(getattr(self, "cache", None), identity)

    def _identity(self):
        """Return what, apart from the question, determines an answer, as JSON data."""
        parameters = self.get_params(deep=False)
        return {
            **({"version": self.version} if self.version else {}),
            "judge": f"{type(self).__module__}.{type(self).__qualname__}",
            **{
                name: json_or_hash(value)
                for name, value in sorted(parameters.items())
                if name not in self._not_identity
            },
        }

    def _identity_hash(self):
        return sha256(self._identity())

    def _content(self, slate):
        """Return what of a question the judge sees, as JSON data."""
        return [
            repr(plain_scalar(slate.user)),
            [repr(plain_scalar(item)) for item in slate.history],
            [repr(plain_scalar(item)) for item in slate.candidates],
            slate.history_texts,
            slate.candidate_texts,
        ]

    def _orders(self, slate):
        """Return the orders in which the candidates are shown, a list of int arrays."""
        return [np.arange(len(slate.candidates))]

    def _check_parameters(self):
        """Raise for parameters out of range, before anything is asked."""

    def _check_ready(self):
        """Raise if it could not answer anything, before the work of choosing what to ask."""
        self._check_parameters()

    # -- what it has cost, and what is known ---------------------------------------------------

    @property
    def stats_(self):
        """What was asked and spent so far, by all who share the cache.

        Returns
        -------
        stats : dict of str to int or float
            `answers` stored; of live judges also `requests`, `cost` in USD (with what is reserved
            for requests under way), `input_tokens`, `output_tokens`, `retries`, and how many
            answers had a problem, by kind.
        """
        totals = self._cache().totals() if self._remembers else {}
        if "cost" in totals:
            totals["cost"] /= 1e9
        return totals

    def estimate_cost(self, slates):
        """Estimate what asking slates would take. Asks nothing.

        Parameters
        ----------
        slates : iterable of Slate
            The questions.

        Returns
        -------
        estimate : CostEstimate
            Of this judge: no requests, and no cost.

        Raises
        ------
        TypeError
            If `slates` is not an iterable of :class:`Slate`.
        """
        slates = check_slates(slates)
        todo, n_questions = self._uncached(slates)
        return self._estimate(len(slates), n_questions, list(todo.values()))

    def _budget_left(self):
        """Return what is left, by the name of the parameter that limits it; USD for costs."""
        return {}

    def _n_answered(self, slates):
        """Return how many slates have an answer, if only that there is no opinion."""
        if not self._remembers:
            return len(slates)
        found = self._cache().get({key for q in self._questions(slates) for key in q.keys})
        return sum(not found.keys().isdisjoint(q.keys) for q in self._questions(slates))

    def _uncached(self, slates):
        if not self._remembers:
            return {}, len(slates)
        self._check_parameters()
        questions = {
            key: asked
            for question in self._questions(slates)
            for key, asked in zip(question.keys, question.asked, strict=True)
        }
        found = self._cache().get(questions)
        return {key: q for key, q in questions.items() if key not in found}, len(questions)

    def _estimate(self, n_slates, n_questions, todo):
        return CostEstimate(n_slates, n_questions, n_questions - len(todo), 0, 0, 0, 0.0, 0.0)

    def export(self, path=None):
        """Return all cached answers of this judge, as :class:`PrecomputedJudge` reads them.

        Parameters
        ----------
        path : str or path-like, default=None
            A file to write them to, as JSON Lines; None: to none.

        Returns
        -------
        judgments : DataFrame
            One row an answer, with the columns `user`, `history`, `candidates` (in the order
            shown) and `ratings`. In the file ids that JSON has no type for (bytes, dates, UUIDs,
            decimals, tuples) are objects such as ``{"date": "2024-05-01"}``, which
            :class:`PrecomputedJudge` reads; questions with ids of other types are left out.

        Raises
        ------
        TypeError
            If this judge has no cache.

        Warns
        -----
        JudgmentWarning
            If there are no answers.

        Examples
        --------
        >>> from sklearn_selreg.judges import ContentJudge, PrecomputedJudge, Slate
        >>> slate = Slate(7, [1], [2, 3], ["red wine"], ["white wine", "red wine glass"])
        >>> judge = ContentJudge()
        >>> bool(judge.rate([slate])[0][1] == PrecomputedJudge(judge.export()).rate([slate])[0][1])
        True
        """
        if not self._remembers:
            raise TypeError(f"A {type(self).__name__} keeps no answers of its own to export.")
        records = [
            {
                "user": json.loads(user),
                "history": json.loads(history),
                "candidates": json.loads(candidates),
                "ratings": [None if np.isnan(rating) else rating for rating in ratings.tolist()],
            }
            for user, history, candidates, ratings in self._cache().export(self._identity_hash())
        ]
        if path is not None:
            lines = [json.dumps(record) + "\n" for record in records]
            Path(path).write_text("".join(lines), encoding="utf-8")
        if not records:
            warn(
                f"There is nothing to export: {self._title()} has no answers yet, or of other ids "
                f"than {KINDS}.",
                JudgmentWarning,
            )
        for record in records:
            record["user"] = id_from_json(record["user"])
            for name in ("history", "candidates"):
                record[name] = [id_from_json(item) for item in record[name]]
        return pd.DataFrame(records, columns=["user", "history", "candidates", "ratings"])

    def preferences(self, slates):
        """Rate the slates and compare all candidates within each.

        Parameters
        ----------
        slates : iterable of Slate
            The questions.

        Returns
        -------
        preferences : Preferences
            All pairs of candidates of one slate that were rated differently, slate by slate.
            Candidates without a rating are in no pair.

        Raises
        ------
        TypeError, ValueError, JudgeError, CacheError
            As :meth:`rate`.

        Warns
        -----
        BudgetWarning, JudgmentWarning
            As :meth:`rate`.

        Examples
        --------
        >>> from sklearn_selreg.judges import LLMJudge, Slate
        >>> judge = LLMJudge.from_callable(lambda slate: [0.5, 0.75, 0.5], name="x", version="1")
        >>> pairs = judge.preferences([Slate(user=7, history=[], candidates=["a", "b", "c"])])
        >>> pairs.preferred, pairs.other, pairs.gap
        (array([1, 1]), array([0, 2]), array([0.25, 0.25]))
        """
        ratings = self.rate(slates)
        indptr = np.cumsum([0, *(len(r) for r in ratings)])
        slate, first, second = slate_pairs(indptr)
        flat = np.concatenate([[], *ratings])
        difference = flat[first] - flat[second]
        rated_apart = np.abs(difference) > 0  # not where a rating is NaN
        slate, first, second, difference = (
            a[rated_apart] for a in (slate, first, second, difference)
        )
        start = indptr[slate]
        return Preferences(
            slate=slate,
            preferred=np.where(difference > 0, first, second) - start,
            other=np.where(difference > 0, second, first) - start,
            gap=np.abs(difference),
        )

    @staticmethod
    def from_callable(f, *, name, version, cache=None, reads_texts=False, verbose=0):
        """Make a judge of a function.

        Parameters
        ----------
        f : callable
            Takes a :class:`Slate` and returns one rating in [0, 1] for each of its candidates,
            None or NaN for no opinion.
        name, version : str
            What the judge is called, and which version of it this is. A function cannot be
            compared by what it does, so answers of different functions are told apart by these:
            give another version when the function changes, or old answers are given.
        cache : "default", path or None, default=None
            Where answers are kept: a file in the user's cache directory, another file, or the
            memory of this process, which neither workers of a search nor the next session share.
        reads_texts : bool, default=False
            Whether the function reads `candidate_texts`: then there must be texts, and fitting
            without `item_data` is an error where ids say nothing.
        verbose : int, default=0
            Above 0: a progress bar over the questions.

        Returns
        -------
        judge : LLMJudge
            A judge with these parameters. Each answer is kept as soon as the function returns.

        Raises
        ------
        TypeError
            If `f` is not callable with one argument, or `name` or `version` is not a string.

        Examples
        --------
        >>> from sklearn_selreg.judges import LLMJudge, Slate
        >>> def likes_sequels(slate):
        ...     return [0.75 if title.endswith("2") else None for title in slate.candidates]
        >>> judge = LLMJudge.from_callable(likes_sequels, name="sequels", version="1")
        >>> judge.rate([Slate(user=7, history=[], candidates=["Cars", "Cars 2"])])
        [array([ nan, 0.75])]
        """
        if not callable(f):
            raise TypeError(f"f must be a function of a Slate; got {f!r}.")
        if not _takes_one(f):
            raise TypeError(
                "f must be a function of one argument, a Slate; got one of the arguments "
                f"{inspect.signature(f)}. Wrap it, as in lambda slate: f(slate.history, "
                "slate.candidates)."
            )
        for parameter, value in (("name", name), ("version", version)):
            if not isinstance(value, str):
                raise TypeError(f"{parameter} must be a string; got {value!r}.")
        return _FunctionJudge(f, name, version, cache, reads_texts, verbose)

    @abstractmethod
    def _rate(self, slates):
        """Answer the slates.

        Parameters
        ----------
        slates : list of Slate
            The questions, with ids in `history` and `candidates`. With `item_data`, descriptions
            are in `history_texts` and `candidate_texts`, else these are empty.

        Returns
        -------
        ratings : iterable of array-like of shape (n_candidates,)
            For each slate, one rating in [0, 1] for each candidate; None or NaN for no opinion.
        """


class _FunctionJudge(LLMJudge):
    """Judge made by :meth:`LLMJudge.from_callable`."""

    def __init__(self, f, name, version, cache=None, reads_texts=False, verbose=0):
        self.f = f
        self.name = name
        self.version = version
        self.cache = cache
        self.reads_texts = reads_texts
        self.verbose = verbose

    def _title(self):
        return f"judge {self.name!r}"

    def _identity(self):
        return {"judge": "callable", "name": self.name, "version": self.version}

    def _rate(self, slates):
        return (self.f(slate) for slate in slates)


def _takes_one(f):
    """Whether a function can be called with one argument; True where that cannot be told."""
    try:
        inspect.signature(f).bind(None)
    except ValueError:  # some functions written in C have no signature
        return True
    except TypeError:
        return False
    return True


def _rated(judge, slates):
    """Return a judge's answers, in a worker."""
    return list(check_iterable(judge._rate(slates)))

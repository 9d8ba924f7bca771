"""Custom judges, from a subclass or a function."""

from __future__ import annotations

import inspect
import logging
import os
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable

import joblib
from numpy.typing import ArrayLike

from .._utils._progress import Progress
from ._answers import Answer
from ._cache import ANSWERED, GRANTED, TAKEN, Unwritable
from ._cached import CachedJudge
from ._slate import Slate, check_iterable, checked_answer

_log = logging.getLogger("sklearn_selreg")
_CHUNK = 64  # prompts claimed at a time, per joblib worker
_TASK = 8  # prompts sent to a worker at a time
_POLL = 0.05  # seconds between checks for answers requested by another process


class LLMJudge(CachedJudge):
    """Base class of custom judges.

    A subclass overrides :meth:`_rate`, which is only called for slates without a cached answer.

    Answers are cached: in a SQLite file if the judge has a parameter `cache` that names one (or is
    "default"), else in memory, shared by all judges of the same class and parameters in this
    process. Threads and processes that share a file rate each slate once. Answers are identified
    by class, parameters and :attr:`version`, not by the code: when you change `_rate`, change
    `version`, or cached answers of the old code are returned. A parameter `verbose` above 0 shows
    a progress bar.

    Under ``joblib.parallel_config``, :meth:`_rate` runs in joblib's workers, possibly on other
    machines; the calling process caches the answers.

    See Also
    --------
    LiveJudge : Base class of judges for paid services, with a budget and retries.
    sklearn_selreg.judges.testing.JudgeContract : Tests that every judge should pass.

    Examples
    --------
    >>> from sklearn_selreg.judges import LLMJudge, Slate
    >>> class ShortTitles(LLMJudge):
    ...     def _rate(self, slates):
    ...         return [[1 / len(title) for title in slate.candidates] for slate in slates]
    >>> ShortTitles().rate([Slate(user=7, history=[], candidates=["Up", "Heat"])])
    [array([0.5 , 0.25])]
    """

    @abstractmethod
    def _rate(self, slates: list[Slate]) -> Iterable[ArrayLike]:
        """Rate the candidates of each slate.

        Parameters
        ----------
        slates : list of Slate
            Slates to rate, with ids in `history` and `candidates`. `history_texts` and
            `candidate_texts` contain descriptions with `item_data`, else they are empty.

        Returns
        -------
        ratings : iterable of array-like of shape (n_candidates,)
            For each slate, one rating in [0, 1] per candidate; None or NaN for no opinion.
        """

    @staticmethod
    def from_callable(
        f: Callable[[Slate], ArrayLike],
        *,
        name: str,
        version: str,
        cache: str | os.PathLike | None = None,
        reads_texts: bool = False,
        verbose: int = 0,
    ) -> LLMJudge:
        """Create a judge from a function.

        Parameters
        ----------
        f : callable
            Takes a :class:`Slate` and returns one rating in [0, 1] per candidate; None or NaN for
            no opinion.
        name, version : str
            Name and version of the judge. They identify cached answers, since functions cannot be
            compared by behavior: change the version when the function changes, or cached answers
            of the old function are returned.
        cache : "default", path or None, default=None
            Where to store answers: "default" is a file in the user's cache directory. If None,
            answers are kept in memory and not shared with the workers of a search or the next
            session.
        reads_texts : bool, default=False
            Whether the function reads `candidate_texts`. If True, fitting without `item_data`
            raises an error unless the ids are meaningful by themselves.
        verbose : int, default=0
            If positive, show a progress bar over prompts.

        Returns
        -------
        judge : LLMJudge
            A judge with these parameters. It caches each answer as soon as the function returns.

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
            raise TypeError(f"f must be a function that takes a Slate; got {f!r}.")
        if not _takes_one(f):
            raise TypeError(
                "f must be a function of one argument, a Slate; got one with the signature "
                f"{inspect.signature(f)}. Wrap it, as in lambda slate: f(slate.history, "
                "slate.candidates)."
            )
        for parameter, value in (("name", name), ("version", version)):
            if not isinstance(value, str):
                raise TypeError(f"{parameter} must be a string; got {value!r}.")
        return _FunctionJudge(f, name, version, cache, reads_texts, verbose)

    def _ask(self, cache, todo, look):
        judge = self._identity_hash()
        found, pending, waiting = {}, list(todo), []
        n_workers = joblib.effective_n_jobs(None)  # 1 unless set by joblib.parallel_config
        verbose = getattr(self, "verbose", 0)
        progress = Progress(f"asking {self._title()}", len(todo), unit="prompt", verbose=verbose)
        _log.info("%s: sending %d prompts.", self._title(), len(todo))
        with cache.at_work(), progress:
            while pending or waiting:
                if not pending:
                    time.sleep(_POLL)
                    pending, waiting = waiting, []
                n_claimed = _CHUNK * n_workers
                chunk, pending = pending[:n_claimed], pending[n_claimed:]
                states = _claim(cache, chunk)
                waiting += [key for key, state in states.items() if state == TAKEN]
                found |= cache.get(key for key, state in states.items() if state == ANSWERED)
                progress.update(len(found) - progress.n)
                granted = [key for key, state in states.items() if state == GRANTED]
                slates = [todo[key] for key in granted]
                rated = self._rate(slates) if n_workers == 1 else self._rate_in_parallel(slates)
                for key, ratings in zip(granted, checked_answer(slates, rated), strict=True):
                    cache.store(judge, key, Answer(ratings))
                    found[key] = ratings
                    progress.update()
                    look(found)
        _log.info("%s: %d prompts answered.", self._title(), len(found))
        return found

    def _rate_in_parallel(self, slates):
        """Yield the answers of joblib's workers, which do not access the cache."""
        parallel = joblib.Parallel(return_as="generator")
        tasks = (slates[start : start + _TASK] for start in range(0, len(slates), _TASK))
        for answers in parallel(joblib.delayed(_rated)(self, task) for task in tasks):
            yield from answers


class _FunctionJudge(LLMJudge):
    """Judge created by :meth:`LLMJudge.from_callable`."""

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
    """Whether a function can be called with one argument; True if unknown."""
    try:
        inspect.signature(f).bind(None)
    except ValueError:  # some functions written in C have no signature
        return True
    except TypeError:
        return False
    return True


def _claim(cache, keys):
    """Claim prompts; if the cache is not writable, grant all without an answer."""
    try:
        return dict(zip(keys, cache.claim(keys), strict=True))
    except Unwritable:
        found = cache.get(keys)
        return {key: ANSWERED if key in found else GRANTED for key in keys}


def _rated(judge, slates):
    """Return a judge's answers; runs in a worker."""
    return list(check_iterable(judge._rate(slates)))

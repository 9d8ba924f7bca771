"""Judges of one's own: a class with a method, or a function."""

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
_CHUNK = 64  # prompts that one process claims at a time, for each of joblib's workers
_TASK = 8  # prompts that a worker is sent at a time
_POLL = 0.05  # seconds between looks for answers that another process is getting


class LLMJudge(CachedJudge):
    """Base class of judges of your own.

    A subclass overrides :meth:`_rate`, which is called for slates without cached answer only.

    Answers are kept: in a SQLite file if the judge has a parameter `cache` that names one (or is
    "default"), else in memory, shared by all judges of the same class and parameters in this
    process. Several threads and processes that share a file ask each slate once. Answers are kept
    by class, parameters and :attr:`version`, not by the code: change `version` with the code of
    `_rate`, or old answers are given. A parameter `verbose` above 0 shows a progress bar.

    Under ``joblib.parallel_config``, joblib's workers call :meth:`_rate`, and may be on other
    machines; the answers are kept by the process that asked.

    See Also
    --------
    LiveJudge : Base class of judges that ask a paid service, with a budget and retries.
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

    @abstractmethod
    def _rate(self, slates: list[Slate]) -> Iterable[ArrayLike]:
        """Answer the slates.

        Parameters
        ----------
        slates : list of Slate
            What to rate, with ids in `history` and `candidates`. With `item_data`, descriptions
            are in `history_texts` and `candidate_texts`, else these are empty.

        Returns
        -------
        ratings : iterable of array-like of shape (n_candidates,)
            For each slate, one rating in [0, 1] for each candidate; None or NaN for no opinion.
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
            Above 0: a progress bar over the prompts.

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

    def _ask(self, cache, todo, look):
        judge = self._identity_hash()
        found, pending, waiting = {}, list(todo), []
        n_workers = joblib.effective_n_jobs(None)  # 1, if joblib was not told otherwise
        verbose = getattr(self, "verbose", 0)
        progress = Progress(f"asking {self._title()}", len(todo), unit="prompt", verbose=verbose)
        _log.info("%s: asking %d prompts.", self._title(), len(todo))
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
        """Yield the answers of joblib's workers, who know nothing of the cache."""
        parallel = joblib.Parallel(return_as="generator")
        tasks = (slates[start : start + _TASK] for start in range(0, len(slates), _TASK))
        for answers in parallel(joblib.delayed(_rated)(self, task) for task in tasks):
            yield from answers


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


def _claim(cache, keys):
    """Claim prompts; where that cannot be written down, all are asked that have no answer."""
    try:
        return dict(zip(keys, cache.claim(keys), strict=True))
    except Unwritable:
        found = cache.get(keys)
        return {key: ANSWERED if key in found else GRANTED for key in keys}


def _rated(judge, slates):
    """Return a judge's answers, in a worker."""
    return list(check_iterable(judge._rate(slates)))

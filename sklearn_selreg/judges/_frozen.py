"""A self-contained judge with recorded answers, for other processes and machines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .._utils._params import name_kind
from .._utils._warn import warn
from ..exceptions import JudgmentWarning
from ._base import BaseJudge
from ._orders import sha256, slate_content
from ._precomputed import stack_answers
from ._slate import Slate, check_slates


@dataclass(frozen=True, eq=False)
class AnswerTable:
    """Immutable table of answers; deep copies return the same object, so cloning is free.

    Attributes
    ----------
    judge : str
        Name of the judge that answered.
    reads_texts : bool
        Whether that judge relies on item texts.
    keys : ndarray of shape (n_slates,), bytes
        SHA-256 of each slate, sorted.
    indptr : ndarray of shape (n_slates + 1,), int64
        The candidates of slate s are the rows `indptr[s]` to `indptr[s + 1] - 1` of `ratings`.
    ratings : ndarray of shape (n_candidates, max_answers), float64
        One column per answer; NaN for no opinion and for slates with fewer answers.
    """

    judge: str
    reads_texts: bool
    keys: np.ndarray
    indptr: np.ndarray
    ratings: np.ndarray

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        slates = "slate" if len(self.keys) == 1 else "slates"
        return f"<{len(self.keys)} {slates} answered by {self.judge}>"


class FrozenJudge(BaseJudge):
    """Judge with fixed answers to certain slates, which sends no requests.

    It needs neither cache file nor API key nor network, so a fit or search with it runs anywhere,
    e.g. on the workers of a cluster. The estimator selects slates for it as for a live judge.
    ``model.plan_judging(X, cv=cv).ask()`` creates one for a whole search.

    Parameters
    ----------
    table : AnswerTable
        Answers, created by :meth:`record`.

    See Also
    --------
    PrecomputedJudge : Defines the slates itself, instead of the estimator.

    Examples
    --------
    >>> from sklearn_selreg.judges import ContentJudge, FrozenJudge, Slate
    >>> slate = Slate(7, [1], [2, 3], ["red wine"], ["white tea", "red wine glass"])
    >>> judge = FrozenJudge.record(ContentJudge(), [slate])
    >>> judge
    FrozenJudge(table=<1 slate answered by ContentJudge>)
    >>> bool((judge.rate([slate])[0] == ContentJudge().rate([slate])[0]).all())
    True
    """

    def __init__(self, table: AnswerTable):
        self.table = table

    @classmethod
    def record(cls, judge: BaseJudge, slates: Iterable[Slate]) -> FrozenJudge:
        """Query a judge and record its answers.

        Parameters
        ----------
        judge : BaseJudge
            Judge to query for answers that are not cached, within its budget.
        slates : iterable of Slate
            Slates to rate.

        Returns
        -------
        frozen : FrozenJudge
            Judge with the current answers of `judge` to these slates.

        Raises
        ------
        TypeError, ValueError, JudgeError
            See the method `answers` of that judge.
        """
        if not isinstance(judge, BaseJudge):
            raise TypeError(f"judge must be one of sklearn_selreg.judges; got {name_kind(judge)}.")
        slates = list(dict.fromkeys(check_slates(slates)))
        answers = judge.answers(slates)
        keys = _keys(slates)
        order = np.argsort(keys, kind="stable")
        answers = [answers[s] for s in order]
        table = AnswerTable(
            judge=judge._title(),
            reads_texts=judge.reads_texts,
            keys=keys[order],
            indptr=np.cumsum([0, *(len(a) for a in answers)]),
            ratings=stack_answers(answers),
        )
        return cls(table)

    @property
    def reads_texts(self) -> bool:  # type: ignore[override]
        """Whether the recorded judge relies on item texts."""
        return self.table.reads_texts

    def answers(self, slates: Iterable[Slate]) -> list[np.ndarray]:
        """Return the recorded answers; NaN for slates that were not recorded.

        Parameters
        ----------
        slates : iterable of Slate
            Slates to rate.

        Returns
        -------
        answers : list of ndarray of shape (n_candidates, n_answers), float64
            See :meth:`BaseJudge.answers`.

        Raises
        ------
        TypeError
            If `slates` is not an iterable of :class:`Slate`, or `table` was not made by
            :meth:`record`.

        Warns
        -----
        JudgmentWarning
            If a slate is not among those recorded.
        """
        self._check_parameters()
        asked = check_slates(slates)
        table, keys = self.table, _keys(asked)
        places = np.searchsorted(table.keys, keys)
        answers, unknown = [], 0
        for slate, key, place in zip(asked, keys, places, strict=True):
            if place < len(table.keys) and table.keys[place] == key:
                answers.append(table.ratings[table.indptr[place] : table.indptr[place + 1]].copy())
            else:
                answers.append(np.full((len(slate.candidates), 1), np.nan))
                unknown += 1
        if unknown:
            warn(
                f"{unknown} of {len(asked)} slates are not among the {len(table.keys)} that "
                f"{table.judge} answered, so there is no opinion on them. Record answers with the "
                "same X, y, cv, item data and slate parameters: plan_judging(X, y, cv=cv).ask().",
                JudgmentWarning,
            )
        return answers

    def _check_parameters(self):
        if not isinstance(self.table, AnswerTable):
            raise TypeError(
                "table must be created by FrozenJudge.record or plan.ask(); got "
                f"{name_kind(self.table)}."
            )

    def _n_answered(self, slates):
        return int(np.isin(_keys(slates), self.table.keys).sum())


def _keys(slates):
    """Return the SHA-256 of each slate, of shape (n_slates,), bytes."""
    return np.array([sha256(slate_content(slate)) for slate in slates], dtype="S64")

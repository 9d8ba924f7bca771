"""A judge that carries answers given before: what is sent to other processes and machines."""

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
    """Slates and their answers, immutable: a copy is the same object, so cloning is free.

    Attributes
    ----------
    judge : str
        Name of the class of the judge that was asked.
    reads_texts : bool
        Whether that judge goes by the items' texts.
    keys : ndarray of shape (n_slates,), bytes
        SHA-256 of each slate, sorted.
    indptr : ndarray of shape (n_slates + 1,), int64
        The candidates of slate s are the rows `indptr[s]` to `indptr[s + 1] - 1` of `ratings`.
    ratings : ndarray of shape (n_candidates, max_answers), float64
        One column an answer; NaN for no opinion and where a slate has fewer answers.
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
    """Judge that carries the answers to certain slates, and asks nothing.

    It needs neither cache file nor key nor network, so a fit or a search with it runs anywhere, as
    on the workers of a cluster. The estimator chooses slates for it as for a live judge.
    ``model.plan_judging(X, cv=cv).ask()`` makes one for a whole search.

    Parameters
    ----------
    table : AnswerTable
        Made by :meth:`record`.

    See Also
    --------
    PrecomputedJudge : Brings slates of its own, by which the model goes instead of its choice.

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
        """Ask a judge, and keep its answers.

        Parameters
        ----------
        judge : BaseJudge
            Asked for what its cache does not have, within its budget.
        slates : iterable of Slate
            What to rate.

        Returns
        -------
        frozen : FrozenJudge
            It answers these slates as `judge` does now.

        Raises
        ------
        TypeError, ValueError, JudgeError
            As `answers` of that judge.
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
        """Whether the judge that was asked goes by the items' texts."""
        return self.table.reads_texts

    def answers(self, slates: Iterable[Slate]) -> list[np.ndarray]:
        """Return the answers that were recorded; NaN for slates that were not.

        Parameters
        ----------
        slates : iterable of Slate
            What to rate.

        Returns
        -------
        answers : list of ndarray of shape (n_candidates, n_answers), float64
            As `answers`.

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
                f"{table.judge} answered; there is no opinion on them. Plan with the X, y, cv, "
                "item data and slate parameters that are used: plan_judging(X, y, cv=cv).ask().",
                JudgmentWarning,
            )
        return answers

    def _check_parameters(self):
        if not isinstance(self.table, AnswerTable):
            raise TypeError(
                "table must be what FrozenJudge.record and plan.ask() make; got "
                f"{name_kind(self.table)}."
            )

    def _n_answered(self, slates):
        return int(np.isin(_keys(slates), self.table.keys).sum())


def _keys(slates):
    """Return the SHA-256 of each slate, (n_slates,) bytes."""
    return np.array([sha256(slate_content(slate)) for slate in slates], dtype="S64")

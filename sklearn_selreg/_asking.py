"""Asking a judge the chosen questions: from matrix positions to slates, and from answers back."""

from dataclasses import dataclass

import numpy as np

from ._interactions import encode
from ._items import item_texts
from .judges import CostEstimate, FrozenJudge, JudgedSlates, LLMJudge


@dataclass(frozen=True, eq=False)
class JudgingPlan:
    """What a judge would be asked.

    Attributes
    ----------
    slates : list of Slate
        All distinct ones, in the order in which they would be asked.
    n_fits : int
        Number of fits that were planned for.
    estimate : CostEstimate
        What asking them would take.
    judge : LLMJudge
        Who would be asked.
    """

    slates: list
    n_fits: int
    estimate: CostEstimate
    judge: LLMJudge

    def ask(self):
        """Ask all slates, here and now, and return a judge that carries the answers.

        With it as `judge`, the fits that were planned for ask nothing and open no cache, wherever
        they run: on all workers of a cluster.

        Returns
        -------
        judge : FrozenJudge
            A recorded judge is returned as it is.

        Raises
        ------
        TypeError, ValueError, JudgeError
            As `LLMJudge.answers`.
        """
        if hasattr(self.judge, "questions"):
            return self.judge
        return FrozenJudge.record(self.judge, self.slates)

    def __repr__(self):
        return f"JudgingPlan({len(self.slates)} slates, n_fits={self.n_fits}, {self.estimate})"


def describe(items, table, columns):
    """Return a text for each item, (n_items,) object; the id where nothing is known.

    Parameters
    ----------
    items : ndarray of shape (n_items,)
        Ids.
    table : ItemTable
    columns : column name, list of column names or None
        What to tell of the table; None: all that can be read.
    """
    positions = encode(table.ids, items)
    texts = np.append(item_texts(table, columns), "")[positions]
    return np.array([text or str(item) for text, item in zip(texts, items, strict=True)], object)


def make_slates(questions, interactions, texts, slate_type):
    """Return the questions as slates.

    Parameters
    ----------
    questions : Questions
    interactions : Interactions
    texts : ndarray of shape (n_items,) or None
        None: slates without texts.
    slate_type : type
        `Slate`.
    """
    users = interactions.users[questions.users].tolist()
    slates = []
    for user, history, candidates in zip(
        users, questions.histories, questions.candidates, strict=True
    ):
        candidates = candidates[candidates >= 0]
        described = () if texts is None else (texts[history].tolist(), texts[candidates].tolist())
        ids = interactions.items[history].tolist(), interactions.items[candidates].tolist()
        slates.append(slate_type(user, *ids, *described))
    return slates


def gather(slates, answers, interactions):
    """Return the answered slates in columns, None if there is none.

    Parameters
    ----------
    slates : list of Slate
    answers : list of ndarray of shape (n_candidates, n_answers)
    interactions : Interactions
        For the dtypes of ids.

    Returns
    -------
    judged : JudgedSlates or None
    """
    answered = [s for s, a in enumerate(answers) if not np.isnan(a).all()]
    if not answered:
        return None
    slates, answers = [slates[s] for s in answered], [answers[s] for s in answered]
    most = max(a.shape[1] for a in answers)
    padded = [np.pad(a, ((0, 0), (0, most - a.shape[1])), constant_values=np.nan) for a in answers]
    flat = np.concatenate(padded)
    count = np.sum(~np.isnan(flat), axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN wanted
        mean = np.nansum(flat, axis=1) / count
        variance = np.nansum((flat - mean[:, np.newaxis]) ** 2, axis=1) / count
    items = interactions.items.dtype
    return JudgedSlates(
        user=_ids([slate.user for slate in slates], interactions.users.dtype),
        history_indptr=np.cumsum([0, *(len(slate.history) for slate in slates)]),
        history=_ids([item for slate in slates for item in slate.history], items),
        indptr=np.cumsum([0, *(len(slate.candidates) for slate in slates)]),
        candidates=_ids([item for slate in slates for item in slate.candidates], items),
        answers=flat,
        n_answers=np.array([np.sum(~np.isnan(a).all(axis=0)) for a in answers]),
        ratings=mean,
        agreement=np.where(count > 1, np.sqrt(variance), np.nan),
    )


def _ids(ids, dtype):
    array = np.empty(len(ids), dtype=object)
    array[:] = ids
    return array if dtype.kind == "O" else array.astype(dtype)

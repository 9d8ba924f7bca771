"""Asking a judge about the chosen slates: from matrix positions to ids, and from answers back."""

import warnings
from dataclasses import dataclass

import numpy as np

from .._data._arrays import as_objects
from .._data._csr import count_interactions
from .._data._ids import encode
from .._data._item_texts import are_codes, item_texts
from .._utils._warn import warn
from ..exceptions import BudgetWarning, DataWarning, JudgmentWarning
from ..judges import JudgedSlates, Slate
from ..judges._positions import one_check
from ..judges._precomputed import mean_and_deviation, stack_answers
from ._stopping import FIRST_SLATES, early_accuracy

_FEW_BARE = 0.05  # share of items without text of which nothing is said


@dataclass(frozen=True, eq=False)
class Answers:
    """What a judge said.

    Attributes
    ----------
    judged : JudgedSlates or None
        None if there is no opinion on any slate.
    n_silent : int
        How many further slates were answered with no opinion on any candidate.
    why_stopped : str
        Why not all slates were asked, a sentence; empty if they were.
    """

    judged: JudgedSlates | None
    n_silent: int = 0
    why_stopped: str = ""


@dataclass(frozen=True, eq=False)
class SlatesToAsk:
    """Slates in the order to ask them.

    Attributes
    ----------
    slates : list of Slate
    calibrates : ndarray of shape (n_slates,), bool
        Whether the candidates hide interactions of the user.
    """

    slates: list[Slate]
    calibrates: np.ndarray


def pluralize(number, what):
    """Write a number of things; the plural belongs to the first word of `what`."""
    noun, space, rest = what.partition(" ")
    return f"{number:,} {noun}{'' if number == 1 else 's'}{space}{rest}"


def describe(items, table, columns):
    """Return a text for each item, (n_items,) object; an empty one where nothing is known.

    Parameters
    ----------
    items : ndarray of shape (n_items,)
        Ids.
    table : ItemTable or None
    columns : column name, list of column names or None
        What to tell of the table; None: all that can be read.
    """
    if table is None:
        return np.full(len(items), "", dtype=object)
    return np.append(item_texts(table, columns), "")[encode(table.ids, items)]


def check_texts(texts, interactions, judge, hidden=(), nameable=()):
    """Check that a judge who reads texts has something to read.

    Parameters
    ----------
    texts : ndarray of shape (n_items,), object
        Empty where nothing is known; the judge is shown the id then.
    interactions : Interactions
    judge : BaseJudge
    hidden : list, default=()
        Columns of item data that the judge is not shown, as they seem to hold identifiers.
    nameable : list, default=()
        These and those that the judge is shown.

    Raises
    ------
    ValueError
        If no item has a text, and ids do not say what items are.

    Warns
    -----
    DataWarning
        If columns are hidden, and if more than 1 in 20 items have no text.
    """
    if not judge.reads_texts:
        return
    show = f"To show them, too, name all in item_text: item_text={list(nameable)}."
    if len(hidden):
        some = (texts != "").any()
        warn(
            f"{_sentence(judge)} is not shown {', '.join(map(repr, hidden))} of item_data, which "
            f"seem{'s' * (len(hidden) == 1)} to hold identifiers. {show if some else ''}".rstrip(),
            DataWarning,
        )
    used = count_interactions(interactions.matrix) > 0
    bare = interactions.items[used & (texts == "")]
    if len(bare) <= _FEW_BARE * used.sum() or not are_codes(bare):
        return
    what = (
        f"{_sentence(judge)} reads what items are, but {len(bare)} of the {used.sum()} items "
        f"of X have no text in item_data, and an id such as {bare.tolist()[0]!r} says nothing"
    )
    advice = (
        "Give item_data with a title or description of each item; its ids must be those of X, of "
        "the same type. If the ids do tell what items are, give them as texts."
    )
    if len(bare) == used.sum():
        raise ValueError(f"{what}. {advice}{f' {show}' * bool(len(hidden))}")
    warn(f"{what}: it is shown the bare id. {advice}", DataWarning)


def _sentence(judge):
    """Name a judge at the begin of a sentence."""
    title = judge._title()
    return title[0].upper() + title[1:]


def make_slates(chosen, interactions, texts):
    """Return the chosen slates with ids and texts, a list of Slate.

    Parameters
    ----------
    chosen : ChosenSlates
    interactions : Interactions
    texts : ndarray of shape (n_items,), object
        Empty ones are replaced by the id; where all are empty, slates have none.
    """
    users = as_objects(interactions.users[chosen.users]).tolist()
    bare = texts == ""
    if not bare.all():
        texts = np.where(bare, [str(item) for item in interactions.items], texts)
    slates = []
    for user, history, candidates in zip(users, chosen.histories, chosen.candidates, strict=True):
        candidates = candidates[candidates >= 0]
        described = () if bare.all() else (texts[history].tolist(), texts[candidates].tolist())
        ids = (as_objects(interactions.items[part]).tolist() for part in (history, candidates))
        slates.append(Slate(user, *ids, *described))
    return slates


def ask(judge, chosen, interactions, *, stop_if_useless=False):
    """Ask a judge.

    Parameters
    ----------
    judge : BaseJudge
    chosen : SlatesToAsk
    interactions : Interactions
    stop_if_useless : bool, default=False
        Whether to ask first by what slates the judge is told to be worth asking.

    Returns
    -------
    answers : Answers

    Warns
    -----
    JudgmentWarning
        If more than half of the answered slates have no opinion; if asking stopped.
    """
    slates, why_stopped = chosen.slates, ""
    with one_check():
        n_first = min(np.sum(chosen.calibrates), FIRST_SLATES)
        if stop_if_useless and n_first < len(slates):
            slates, answers, why_stopped = _ask_calibration_first(judge, chosen, interactions)
        else:
            answers = judge.answers(slates)
    silent = [s for s, a in zip(slates, answers, strict=True) if np.isnan(a).all()]
    n_silent = judge._n_answered(silent) if silent else 0  # the others were not asked
    n_answered = len(slates) - len(silent) + n_silent
    if n_silent > n_answered / 2:
        warn(
            f"{_sentence(judge)} gave no opinion on {_all_or(n_silent, n_answered)} slates "
            "that were answered: no rating, None or NaN for each candidate."
            + (" The model is fitted as without judge." if n_silent == n_answered else "")
            + " Look at what it is asked, and says: judge.rate(model.plan_judging(X).slates[:3]).",
            JudgmentWarning,
        )
    return Answers(gather(slates, answers, interactions), n_silent, why_stopped)


def _ask_calibration_first(judge, chosen, interactions):
    """Ask the first calibration slates, and the others if the judge may be worth it.

    Returns
    -------
    slates : list of Slate
        Those asked.
    answers : list of ndarray
    why_stopped : str
    """
    slates = chosen.slates
    first = np.flatnonzero(chosen.calibrates)[:FIRST_SLATES].tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)  # it comes with the others
        found = judge.answers([slates[n] for n in first])
    asked = [slates[n] for n in first]
    accuracy = early_accuracy(gather(asked, found, interactions), interactions)
    useless = str(accuracy) if accuracy is not None and accuracy.is_useless else ""
    if all(np.isnan(ratings).all() for ratings in found) and judge._n_answered(asked) == len(asked):
        useless = "it has no opinion on any of them"
    if useless:
        why = (
            f"{_sentence(judge)} was asked about {len(first)} of {len(slates):,} slates only "
            f"(stop_if_useless): {useless}."
        )
        warn(
            f"{why} Ask a better model, or give better item texts (item_text); to ask the rest, "
            "set slates__stop_if_useless=False: what was answered is not asked again.",
            JudgmentWarning,
        )
        return asked, found, why
    rest = [n for n in range(len(slates)) if n not in set(first)]
    answers = dict(zip(first, found, strict=True))
    answers |= zip(rest, judge.answers([slates[n] for n in rest]), strict=True)
    return slates, [answers[n] for n in range(len(slates))], ""


def _all_or(n_some, n_all):
    return f"all of the {n_all}" if n_some == n_all else f"{n_some} of the {n_all}"


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
    flat = stack_answers(answers)
    mean, deviation = mean_and_deviation(flat)
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
        rating_std=deviation,
    )


def _ids(ids, dtype):
    array = np.empty(len(ids), dtype=object)
    array[:] = ids
    return array if dtype.kind == "O" else array.astype(dtype)

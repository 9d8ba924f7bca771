"""Querying a judge on the selected slates: matrix positions to ids and texts, answers to arrays."""

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

_FEW_BARE = 0.05  # fraction of items without a text that is tolerated without a warning


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of a judge.

    Attributes
    ----------
    judged : JudgedSlates or None
        None if no slate has a rating.
    n_silent : int
        Number of additional slates that were answered without any rating.
    why_stopped : str
        Sentence on why querying stopped early; empty if it did not.
    """

    judged: JudgedSlates | None
    n_silent: int = 0
    why_stopped: str = ""


@dataclass(frozen=True, eq=False)
class SlatesToAsk:
    """Slates in query order.

    Attributes
    ----------
    slates : list of Slate
    calibrates : ndarray of shape (n_slates,), bool
        Whether the candidates hide interactions of the user.
    """

    slates: list[Slate]
    calibrates: np.ndarray


def pluralize(number, what):
    """Format a count with its noun; the plural applies to the first word of `what`."""
    noun, space, rest = what.partition(" ")
    return f"{number:,} {noun}{'' if number == 1 else 's'}{space}{rest}"


def describe(items, table, columns):
    """Texts of the items, (n_items,) object; empty for items without data.

    Parameters
    ----------
    items : ndarray of shape (n_items,)
        Ids.
    table : ItemTable or None
    columns : column name, list of column names or None
        Columns to include. If None, all readable ones.
    """
    if table is None:
        return np.full(len(items), "", dtype=object)
    return np.append(item_texts(table, columns), "")[encode(table.ids, items)]


def check_texts(texts, interactions, judge, hidden=(), nameable=()):
    """Check that items have texts if the judge reads them.

    Parameters
    ----------
    texts : ndarray of shape (n_items,), object
        Empty for items without data, for which the judge is shown the id.
    interactions : Interactions
    judge : BaseJudge
    hidden : list, default=()
        Columns of item data not shown to the judge because they seem to hold identifiers.
    nameable : list, default=()
        These columns and those shown to the judge.

    Raises
    ------
    ValueError
        If no item has a text, and ids are not descriptive.

    Warns
    -----
    DataWarning
        If columns are hidden, or if more than 1 in 20 items have no text.
    """
    if not judge.reads_texts:
        return
    show = f"To include them, set item_text={list(nameable)}."
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
        f"{_sentence(judge)} reads item texts, but {len(bare)} of the {used.sum()} items of X "
        f"have no text in item_data, and ids like {bare.tolist()[0]!r} are not descriptive"
    )
    advice = (
        "Pass item_data with a title or description of each item; its ids must equal those of X, "
        "including their type. If the ids themselves are descriptive, pass them as texts."
    )
    if len(bare) == used.sum():
        raise ValueError(f"{what}. {advice}{f' {show}' * bool(len(hidden))}")
    warn(f"{what}; the judge sees only the ids. {advice}", DataWarning)


def _sentence(judge):
    """Capitalized name of a judge, for the beginning of a sentence."""
    title = judge._title()
    return title[0].upper() + title[1:]


def make_slates(chosen, interactions, texts):
    """Convert the selected slates to a list of `Slate` with ids and texts.

    Parameters
    ----------
    chosen : ChosenSlates
    interactions : Interactions
    texts : ndarray of shape (n_items,), object
        Empty texts are replaced by the id. If all are empty, the slates have no texts.
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
    """Query a judge.

    Parameters
    ----------
    judge : BaseJudge
    chosen : SlatesToAsk
    interactions : Interactions
    stop_if_useless : bool, default=False
        Whether to query some calibration slates first, and to stop if the judge is hardly better
        than chance on them.

    Returns
    -------
    answers : Answers

    Warns
    -----
    JudgmentWarning
        If more than half of the answered slates have no ratings, or if querying stopped early.
    """
    slates, why_stopped = chosen.slates, ""
    with one_check():
        n_first = min(np.sum(chosen.calibrates), FIRST_SLATES)
        if stop_if_useless and n_first < len(slates):
            slates, answers, why_stopped = _ask_calibration_first(judge, chosen, interactions)
        else:
            answers = judge.answers(slates)
    silent = [s for s, a in zip(slates, answers, strict=True) if np.isnan(a).all()]
    n_silent = judge._n_answered(silent) if silent else 0  # the others were not sent
    n_answered = len(slates) - len(silent) + n_silent
    if n_silent > n_answered / 2:
        warn(
            f"{_sentence(judge)} returned no ratings for {_any_or(n_silent, n_answered)} answered "
            "slates (every candidate was rated None or NaN)"
            + (", so the model is fitted without it" if n_silent == n_answered else "")
            + ". Inspect a few: judge.rate(model.plan_judging(X).slates[:3]).",
            JudgmentWarning,
        )
    return Answers(gather(slates, answers, interactions), n_silent, why_stopped)


def _ask_calibration_first(judge, chosen, interactions):
    """Query the first calibration slates, and the others unless the judge is clearly useless.

    Returns
    -------
    slates : list of Slate
        The slates queried.
    answers : list of ndarray
    why_stopped : str
    """
    slates = chosen.slates
    first = np.flatnonzero(chosen.calibrates)[:FIRST_SLATES].tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)  # repeated with the other slates
        found = judge.answers([slates[n] for n in first])
    asked = [slates[n] for n in first]
    accuracy = early_accuracy(gather(asked, found, interactions), interactions)
    useless = str(accuracy) if accuracy is not None and accuracy.is_useless else ""
    if all(np.isnan(ratings).all() for ratings in found) and judge._n_answered(asked) == len(asked):
        useless = "it returned no ratings for any of them"
    if useless:
        why = (
            f"{_sentence(judge)} was queried on only {len(first)} of {len(slates):,} slates "
            f"(stop_if_useless): {useless}."
        )
        warn(
            f"{why} Use a better model or better item texts (item_text). To query the remaining "
            "slates, set slates__stop_if_useless=False; existing answers are reused.",
            JudgmentWarning,
        )
        return asked, found, why
    rest = [n for n in range(len(slates)) if n not in set(first)]
    answers = dict(zip(first, found, strict=True))
    answers |= zip(rest, judge.answers([slates[n] for n in rest]), strict=True)
    return slates, [answers[n] for n in range(len(slates))], ""


def _any_or(n_some, n_all):
    return f"any of the {n_all}" if n_some == n_all else f"{n_some} of the {n_all}"


def gather(slates, answers, interactions):
    """Collect the answered slates in columnar form; None if there are no answers.

    Parameters
    ----------
    slates : list of Slate
    answers : list of ndarray of shape (n_candidates, n_answers)
    interactions : Interactions
        Determines the dtypes of ids.

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

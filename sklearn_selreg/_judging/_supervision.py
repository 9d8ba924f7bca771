"""From a judge's answers to weighted pairs: aligned slates, a calibrated gate, and its weights."""

import logging
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from .._factorization._slate_terms import pack_pairs
from .._factorization._threads import single_threaded_blas
from .._gate import ReliabilityGate
from .._utils._display import Sentence
from .._utils._warn import warn
from ..exceptions import GateWarning, JudgmentWarning
from ._asking import pluralize
from ._design import Design, Standing, pair_weights, recorded_design
from ._slates import Slates, compare_candidates, place_slates
from ._weighing import checked_weights

_log = logging.getLogger("sklearn_selreg")
_SLATES_PER_CHUNK = 2**11  # 390,000 pairs with 20 candidates, about 60 MB of evidence
_CERTAIN = 10.0  # log-odds implausible for a judge without access to hidden interactions
_CLEARLY_WRONG = 0.4  # below this accuracy, the rating scale may be reversed

_NO_ANSWERS = {"slates": 0, "answers": 0, "slates_used": 0, "pairs": 0}


@dataclass(frozen=True, eq=False)
class Supervision:
    """Judged slates, and the gate that weighs their pairs.

    Attributes
    ----------
    slates : Slates
    standing : Standing of shape (n_slates, slate_size)
        Ranks and popularity of the candidates, by the model without preferences.
    gate : fitted gate or None
        None if it could not be calibrated; then all pairs have weight 0.
    trusts_all : bool
        Whether the user chose to have no gate; then all pairs have weight 1.
    stats : dict of str to int
        Counts; see `SelectiveLLMRegularizedMF.judge_stats_`.
    why_stopped : str
        As in `Answers`.
    """

    slates: Slates
    standing: Standing
    gate: object
    trusts_all: bool
    stats: dict
    why_stopped: str = ""

    @property
    def is_undecided(self):
        """Whether the gate could not be calibrated, so that no preference is used."""
        return self.gate is None and not self.trusts_all

    def pairs(self, which=slice(None)):
        """Pairs of the selected slates that may regularize, and their weights, (n_pairs,)."""
        pairs = compare_candidates(self.slates[which], self.standing[which])
        n_pairs = len(pairs.slate)
        if self.trusts_all:
            return pairs, np.ones(n_pairs)
        if self.gate is None or not n_pairs:
            return pairs, np.zeros(n_pairs)
        return pairs, checked_weights(self.gate, pairs.evidence)

    def weights(self):
        """Weights of all pairs in the format of `SlateTerms`, and their number.

        Returns
        -------
        packed : ndarray of shape (n_slates, slate_size * (slate_size - 1) / 2), float32
        n_pairs, n_weighted : int
            Number of pairs, and of those with positive weight.
        """
        size, n_pairs, n_weighted = self.slates.items.shape[1], 0, 0
        packed = np.zeros((len(self.slates), size * (size - 1) // 2), dtype=np.float32)
        for start in range(0, len(packed), _SLATES_PER_CHUNK):
            some = slice(start, start + _SLATES_PER_CHUNK)
            pairs, weights = self.pairs(some)
            n_pairs, n_weighted = n_pairs + len(weights), n_weighted + int(np.sum(weights > 0))
            matrices = np.zeros((len(packed[some]), size, size), dtype=np.float32)
            matrices[pairs.slate, pairs.preferred, pairs.other] = weights
            packed[some] = pack_pairs(matrices)
        return packed, n_pairs, n_weighted

    def table(self, users, items):
        """Convert all pairs to a DataFrame with ids, evidence and weights."""
        pairs, weights = self.pairs()
        columns = self.slates.items
        return pd.DataFrame(
            {
                "user": users[self.slates.users[pairs.slate]],
                "preferred": items[columns[pairs.slate, pairs.preferred]],
                "other": items[columns[pairs.slate, pairs.other]],
                **pairs.evidence,
                "weight": weights,
            }
        )

    def summary(self):
        """Summary by the gate of what the judge adds, and why querying stopped early, if so."""
        return Sentence(f"{self._summary()} {self.why_stopped}".rstrip())

    def _summary(self):
        """Summary by the gate of what the judge adds, on a subsample of many slates."""
        if self.is_undecided and not self.stats["pairs"]:
            return (
                "The judge could not be checked against known interactions, and prefers none of "
                "the other items to another."
            )
        if self.is_undecided:
            return (
                "The judge could not be checked against known interactions, so none of its "
                f"{self.stats['pairs']:,} preferences is used."
            )
        step = -(-len(self.slates) // _SLATES_PER_CHUNK)
        evidence = compare_candidates(self.slates[::step], self.standing[::step]).evidence
        if evidence.empty:
            return self.gate.summary()
        return self.gate.summary(evidence, n_preferences=self.stats["pairs"])


def stats_without_opinion(answers):
    """Return the counts for a judge that rated no slate; empty without a judge (None)."""
    return {} if answers is None else _NO_ANSWERS | {"slates": answers.n_silent}


def supervise(answers, interactions, judge, gate, rank, cross_fit):
    """Align a judge's answers with the interactions, calibrate the gate and weight the pairs.

    Parameters
    ----------
    answers : Answers
        With at least one rated slate.
    interactions : Interactions
    judge : BaseJudge
    gate : "auto", gate or None
    rank : callable
        Function of slates that returns the `Standing` of their candidates by the model without
        preferences.
    cross_fit : callable
        Function of items and calibration slates that returns the items' `Standing` by models
        fitted without the slates' users.

    Returns
    -------
    supervision : Supervision
    weights : ndarray
        From `Supervision.weights`.
    """
    slates, stats = _place(answers, interactions)
    fitted_gate = None
    with single_threaded_blas():  # faster here, and rounding does not depend on threads
        standing = rank(slates)
        if gate is not None:
            fitted_gate, counts = _calibrate(
                gate, judge, slates, standing, interactions.matrix, cross_fit
            )
            stats |= counts
    found = Supervision(slates, standing, fitted_gate, gate is None, stats, answers.why_stopped)
    weights, n_pairs, n_weighted = found.weights()
    found = replace(found, stats=stats | {"pairs": n_pairs, "pairs_weighted": n_weighted})
    _log.info("%d of %d preferences have a positive weight.", n_weighted, n_pairs)
    if isinstance(fitted_gate, ReliabilityGate) and _log.isEnabledFor(logging.INFO):
        _log.info("%s", found.summary())
    if not found.why_stopped:
        _warn_of_judge(found, np.max(np.abs(weights), initial=0))
    return found, weights


def _place(answers, interactions):
    """Apply the leakage rule to the judge's slates; return the slates kept, and counts."""
    judged = answers.judged
    slates, dropped = place_slates(judged, interactions)
    reasons = ", ".join(pluralize(count, what) for what, count in dropped.items() if count)
    n_slates = len(judged.user)
    if not (slates.items >= 0).any():
        users, items = interactions.users[:1].tolist(), interactions.items[:1].tolist()
        known = f"user {users[0]!r} and item {items[0]!r}" if users and items else "no known ids"
        raise ValueError(
            f"No slate of the judge matches the interactions: {reasons}. User and item ids must be "
            "the same in both, and a slate's history must be part of the rows passed to fit. For "
            f"example, the judge has user {judged.user[:1].tolist()[0]!r} and item "
            f"{judged.candidates[:1].tolist()[0]!r}, while the interactions have {known}."
        )
    if reasons:
        warn(
            f"Dropped from the judge's {pluralize(n_slates, 'slate')}: {reasons}. This is expected "
            "in cross-validation, where some rows are held out; otherwise compare the judge's ids "
            "and histories with the rows passed to fit.",
            JudgmentWarning,
        )
    _log.info("Using %d of %d slates of the judge.", len(slates), n_slates)
    return slates, _NO_ANSWERS | {
        "slates": answers.n_silent + n_slates,
        "answers": int(judged.n_answers.sum()),
        "slates_used": len(slates),
    }


def _calibrate(gate, judge, slates, standing, matrix, cross_fit):
    """Fit the gate on the calibration slates.

    Returns
    -------
    gate : fitted gate or None
    counts : dict of str to int
    """
    calibrates = slates.calibrates
    supervision = standing[~calibrates][slates.relevance[~calibrates] == 0]
    slates = slates[calibrates]
    counts = {"calibration_slates": len(slates), "calibration_pairs": 0}
    pairs = None
    if len(slates):
        if judge._draws_alike:
            known = cross_fit(slates.items, slates)
            design = Design.of_one_recipe(slates.items.shape)
        else:
            known, design = recorded_design(slates, matrix, supervision, cross_fit)
        pairs = compare_candidates(slates, known, design.offset)
    if pairs is None or not len(pairs.slate):
        warn(_why_not_calibrated(len(slates), judge.is_recorded), GateWarning)
        return None, counts
    right = slates.relevance[pairs.slate, pairs.preferred] == 1
    gate = ReliabilityGate() if isinstance(gate, str) else clone(gate)
    usual = {}
    if has_fit_parameter(gate, "sample_weight"):
        usual["sample_weight"] = pair_weights(pairs.sums(design.commonness))
    gate = gate.fit(pairs.evidence, right, groups=slates.users[pairs.slate], **usual)
    _log.info(
        "Calibrated the gate on %d pairs of %d slates; the judge was right on %d pairs.",
        len(right),
        len(slates),
        right.sum(),
    )
    return gate, counts | {"calibration_pairs": len(right)}


def _why_not_calibrated(n_slates, is_recorded):
    """Message on why the gate cannot be calibrated, with a remedy."""
    if n_slates:
        why = (
            f"In all {n_slates} calibration slates, the judge gave the user's known positives and "
            "the other candidates equal ratings or none"
        )
        what = "Check whether its ratings differ between candidates"
    elif is_recorded:
        why = (
            "No slate of the judge contains both a known positive (an item of the user's "
            "interactions that the judge was not shown) and another item"
        )
        what = "Judge slates with known positives among the candidates"
    else:
        why = "No calibration slate was answered"
        what = (
            "These slates require users with at least 4 interactions, calibration_fraction > 0 and "
            "answers of the judge. Provide more of them"
        )
    return f"{why}. The gate therefore cannot be calibrated and trusts no preference. {what}."


def _warn_of_judge(supervision, largest):
    """Warn if a calibrated gate finds that the judge adds nothing, or implausibly much.

    `largest` is the largest weight.
    """
    gate, n_pairs = supervision.gate, supervision.stats["pairs"]
    if supervision.is_undecided or getattr(gate, "is_fallback_", False):
        return  # warned about already
    found = f"{gate.summary()} " if isinstance(gate, ReliabilityGate) else ""
    if supervision.stats["pairs_weighted"]:
        if found and largest > _CERTAIN:
            warn(
                f"{found}Some preferences have log-odds of up to {largest:.0f}, which is "
                "implausibly certain. The judge may know interactions that should be hidden from "
                "it, e.g. because it counts them or is a recommender fitted on them. It must rate "
                "only by what it is shown; otherwise it is trusted far too much.",
                GateWarning,
            )
        return
    nothing = "the model is the same as without the judge"
    if n_pairs:
        what = f"None of {n_pairs:,} preferences counts: {nothing}."
        remedy = "Inspect its ratings, provide better item texts (item_text), use a better model,"
        if not found:
            remedy = "Inspect the gate and the ratings,"
        elif gate.adds_ and gate.threshold > ReliabilityGate().threshold:
            remedy = f"Lower the threshold of the gate, {gate.threshold:g},"
        elif gate.adds_ and gate.accuracies_["judge"] < _CLEARLY_WRONG:
            remedy = (
                "It is wrong more often than right: check which end of its rating scale is best,"
            )
    else:
        what = f"There are no preferences between items that are new to the user: {nothing}."
        remedy = "Judge slates of such items,"
    warn(f"{found}{what} {remedy} or leave the judge out.", GateWarning)

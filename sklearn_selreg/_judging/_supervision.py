"""What a judge's answers amount to: slates in the interactions, a calibrated gate, weighted pairs.

Knows slates, where their items stand, and gates; nothing of how a model is fitted.
"""

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
_SLATES_PER_CHUNK = 2**11  # of 20 candidates: 390,000 pairs, some 60 MB of evidence
_CERTAIN = 10.0  # log-odds that no judge has who sees only what it is shown
_CLEARLY_WRONG = 0.4  # accuracy of a judge that may be read the wrong way around

_NO_ANSWERS = {"slates": 0, "answers": 0, "slates_used": 0, "pairs": 0}


@dataclass(frozen=True, eq=False)
class Supervision:
    """Judged slates, and the gate that weighs their pairs.

    Attributes
    ----------
    slates : Slates
    standing : Standing of shape (n_slates, slate_size)
        Of their candidates, by the model without preferences.
    gate : fitted gate or None
        None where it could not be calibrated: then no pair counts.
    trusts_all : bool
        Whether there is no gate, by the user's wish: then all pairs weigh 1.
    stats : dict of str to int
        What was counted on the way; see `SelectiveLLMRegularizedMF.judge_stats_`.
    why_stopped : str
        As of `Answers`.
    """

    slates: Slates
    standing: Standing
    gate: object
    trusts_all: bool
    stats: dict
    why_stopped: str = ""

    def pairs(self, which=slice(None)):
        """Return the pairs of some slates that may regularize, and their weights, (n_pairs,)."""
        pairs = compare_candidates(self.slates[which], self.standing[which])
        n_pairs = len(pairs.slate)
        if self.trusts_all:
            return pairs, np.ones(n_pairs)
        if self.gate is None or not n_pairs:
            return pairs, np.zeros(n_pairs)
        return pairs, checked_weights(self.gate, pairs.evidence)

    def weights(self):
        """Return the weights of all pairs as `SlateTerms` has them, and how many there are.

        Returns
        -------
        packed : ndarray of shape (n_slates, slate_size * (slate_size - 1) / 2), float32
        n_pairs, n_weighted : int
            Pairs, and those of a weight above 0.
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
        """Return all pairs with ids, evidence and weights, a DataFrame."""
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
        """Return what the judge adds, as the gate says it, and why asking stopped, if it did."""
        return Sentence(f"{self._summary()} {self.why_stopped}".rstrip())

    def _summary(self):
        """Return what the judge adds, in one sentence of the gate: by a part of many slates."""
        step = -(-len(self.slates) // _SLATES_PER_CHUNK)
        evidence = compare_candidates(self.slates[::step], self.standing[::step]).evidence
        if evidence.empty:
            return self.gate.summary()
        return self.gate.summary(evidence, n_preferences=self.stats["pairs"])


def stats_without_opinion(answers):
    """Return the counts of a judge that gave no opinion on any slate; of no judge (None) none."""
    return {} if answers is None else _NO_ANSWERS | {"slates": answers.n_silent}


def supervise(answers, interactions, judge, gate, rank, cross_fit):
    """Place a judge's answers, calibrate the gate and weigh the pairs.

    Parameters
    ----------
    answers : Answers
        With an opinion at least.
    interactions : Interactions
    judge : BaseJudge
    gate : "auto", gate or None
    rank : callable
        Slates to the `Standing` of their candidates by the model without preferences.
    cross_fit : callable
        Items of calibration slates, and these slates, to their `Standing` by models that do not
        know their users.

    Returns
    -------
    supervision : Supervision
    weights : ndarray
        As from `Supervision.weights`.
    """
    slates, stats = _place(answers, interactions)
    fitted_gate = None
    with single_threaded_blas():  # threads would wait for each other, and decide about last bits
        standing = rank(slates)
        if gate is not None:
            fitted_gate, counts = _calibrate(
                gate, judge, slates, standing, interactions.matrix, cross_fit
            )
            stats |= counts
    found = Supervision(slates, standing, fitted_gate, gate is None, stats, answers.why_stopped)
    weights, n_pairs, n_weighted = found.weights()
    found = replace(found, stats=stats | {"pairs": n_pairs, "pairs_weighted": n_weighted})
    _log.info("%d of %d preferences weigh more than 0.", n_weighted, n_pairs)
    if isinstance(fitted_gate, ReliabilityGate) and _log.isEnabledFor(logging.INFO):
        _log.info("%s", found.summary())
    if not found.why_stopped:
        _warn_of_judge(found, np.max(np.abs(weights), initial=0))
    return found, weights


def _place(answers, interactions):
    """Apply the leakage rule to the judge's slates; return those kept, and counts."""
    judged = answers.judged
    slates, dropped = place_slates(judged, interactions)
    reasons = ", ".join(pluralize(count, what) for what, count in dropped.items() if count)
    n_slates = len(judged.user)
    if not (slates.items >= 0).any():
        users, items = interactions.users[:1].tolist(), interactions.items[:1].tolist()
        known = f"{users[0]!r} and {items[0]!r}" if users and items else "none that are known"
        raise ValueError(
            f"No slate of the judge fits the interactions: {reasons}. Users and items must "
            "have the same ids in both, and a slate's history must lie within the rows given "
            f"to fit. The judge has users such as {judged.user[:1].tolist()[0]!r} and items "
            f"such as {judged.candidates[:1].tolist()[0]!r}, the interactions {known}."
        )
    if reasons:
        warn(
            f"Of the judge's {pluralize(n_slates, 'slate')} and what they hold these were "
            f"dropped: {reasons}. In cross-validation that is expected, as some rows are held out; "
            "otherwise compare the judge's ids and histories with the rows given to fit.",
            JudgmentWarning,
        )
    _log.info("Using %d of %d slates of the judge.", len(slates), n_slates)
    return slates, _NO_ANSWERS | {
        "slates": answers.n_silent + n_slates,
        "answers": int(judged.n_answers.sum()),
        "slates_used": len(slates),
    }


def _calibrate(gate, judge, slates, standing, matrix, cross_fit):
    """Fit the gate on the slates with known positives.

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
        "Calibrated the gate on %d pairs of %d slates, %d of which the judge got right.",
        len(right),
        len(slates),
        right.sum(),
    )
    return gate, counts | {"calibration_pairs": len(right)}


def _why_not_calibrated(n_slates, is_recorded):
    """Say why the gate has nothing to learn from, and what to do."""
    if n_slates:
        why = (
            f"In all {n_slates} slates by which the gate could be calibrated, the judge rated the "
            "user's known positives and the other candidates alike, or not at all"
        )
        what = "Look at its ratings: do they differ between candidates?"
    elif is_recorded:
        why = (
            "No slate of the judge holds both an item that its user was fitted on (and the judge "
            "was not shown) and another one"
        )
        what = "Judge slates with known positives among the candidates, "
    else:
        why = "No calibration slate was asked and answered"
        what = (
            "Such slates need users with 4 or more interactions, calibration_fraction > 0, and "
            "answers: allow more of them, "
        )
    alike = "set gate=None to trust all preferences alike."
    what += f" Or {alike}" if n_slates else f"or {alike}"
    return f"{why}. So the gate cannot be calibrated, and trusts no preference. {what}"


def _warn_of_judge(supervision, largest):
    """Warn if a gate that was calibrated finds that the judge adds nothing, or too much.

    `largest` is the largest weight.
    """
    gate, n_pairs = supervision.gate, supervision.stats["pairs"]
    if gate is None or getattr(gate, "is_fallback_", False):
        return  # there was a warning of its own
    found = f"{gate.summary()} " if isinstance(gate, ReliabilityGate) else ""
    if supervision.stats["pairs_weighted"]:
        if found and largest > _CERTAIN:
            warn(
                f"{found}Some preferences have log-odds of up to {largest:.0f}: nobody is so "
                "certain. Does the judge know interactions that are hidden from it, as one "
                "that counts them, or a recommender that was fitted on them? Its answers must "
                "come from what it is shown; otherwise it is trusted far too much.",
                GateWarning,
            )
        return
    nothing = "the model is the same as without the judge"
    if n_pairs:
        what = f"None of {n_pairs:,} preferences counts: {nothing}."
        remedy = "Look at its ratings, give it better item texts (item_text), ask a better model,"
        if not found:
            remedy = "Look at the gate and at the ratings,"
        elif gate.adds_ and gate.threshold > ReliabilityGate().threshold:
            remedy = f"Lower the threshold of the gate, {gate.threshold:g},"
        elif gate.adds_ and gate.accuracies_["judge"] < _CLEARLY_WRONG:
            remedy = (
                "It is wrong more often than right: look at which end of its scale is the best,"
            )
    else:
        what = f"There is no preference between items that are new to their user: {nothing}."
        remedy = "Judge slates of such items,"
    warn(f"{found}{what} {remedy} or leave the judge out.", GateWarning)

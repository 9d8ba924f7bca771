r"""Settings found from the data: what is held out, what counts as good, and what is tried.

Knows interactions, features and backbones, but no judge. The last interaction of each user (a
random one without times) is held out, and a few of rare items. Backbones with few factors are
fitted to the rest and compared by

.. math::

    \ln N + \tfrac{3}{5} \big(\ln R - \ln (1 - A)\big),

where N is NDCG@10 and A the AUC of the last interactions, and R the AUC of rare items. Everything
counts relatively: 3 % more at the top of the lists is worth as much as 5 % less of 1 - AUC, or 5 %
more of the AUC of rare items, which is far from 1.

One setting after the other is changed if that is better, so a search ends after about 15 fits. The
number of sweeps comes last: on some data further sweeps fit noise, on others they let rarely rated
items learn from their features (``benchmarks/README.md``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp

from .._data._interactions import Interactions
from .._data._strengths import COMPRESSED, kinds_to_compare
from .._factorization._als_backbone import ALSBackbone
from ._evaluation import Result
from ._fits import ALSFits, Backbone, Evaluate, SampledFits, setting_names
from ._hold_out import MIN_HELD_OUT, HoldOut
from ._moves import (
    AFTER_MORE_SWEEPS,
    BIASES,
    EFFORTS,
    FACTORS,
    FEW_BIASES,
    FIRST_MOVES,
    MORE_SWEEPS,
    PERIODS,
    PLAIN,
    RECENCY_POWERS,
    ROUND_MOVES,
    START,
    START_OF_ALL,
    START_RATIO,
    Effort,
    Move,
)

_SHORTFALL_WEIGHT = 10  # how much more a difference counts below the floor than above it
_WORTH_DOUBLING = 0.02  # of the criterion: what twice the factors, and the time, must gain


class Trial(NamedTuple):
    """Settings that were tried, their result, and the processor time in seconds."""

    settings: dict[str, Any]
    result: Result
    seconds: float


class CandidateFit(NamedTuple):
    """A trial, and what evaluates its factors with settings that need no other fit."""

    trial: Trial
    evaluate: Evaluate

    @property
    def settings(self) -> dict[str, Any]:
        return self.trial.settings


class Search:
    """Compares settings of a backbone on a hold-out, and changes them one after the other.

    Parameters
    ----------
    backbone : ALSBackbone or SampledBackbone
        With the settings that are given.
    given : dict
        `strengths` and `popularity_periods`, unless they are free.
    free : set of str
        Names of the settings to find.
    hold_out : HoldOut
    effort : Effort
    callback : callable
        Called after each fit.

    Attributes
    ----------
    trials : list of Trial
        Each fit, with the best of the settings that can be changed without another one.
    floor : list of Result
        Results of popularity and, for ALS, of plain `implicit`.
    """

    def __init__(
        self,
        backbone: Backbone,
        given: dict[str, Any],
        free: set[str],
        hold_out: HoldOut,
        effort: Effort,
        callback: Callable[[], object] = lambda: None,
    ):
        if not isinstance(backbone, ALSBackbone):
            backbone = replace(backbone, fit_threads=1)  # with more, chance would decide
        self._kind = type(backbone)
        self._free, self._hold_out, self._effort = free, hold_out, effort
        self._callback = callback
        self.trials: list[Trial] = []
        self._start = _start_settings(backbone, given, free, hold_out, effort)
        self._fits: ALSFits | SampledFits
        self.floor = [hold_out.popularity_result(backbone.num_threads)]
        if isinstance(backbone, ALSBackbone):
            self._fits = ALSFits(backbone, hold_out)
            self.floor += self._fits.evaluate_plain(self._start | PLAIN)
        else:
            self._fits = SampledFits(backbone, hold_out)

    def run(self) -> Trial:
        """Go through all moves, and return the best trial."""
        best = self._polish(self._fit(self._start))
        best = self._improve(best, FIRST_MOVES[self._kind])
        for _ in range(self._effort.rounds):
            before = best.settings
            best = self._improve(best, ROUND_MOVES[self._kind])
            if best.settings == before:
                break
        if "iterations" in self._free:
            best = self._with_more_sweeps(best)
        if "factors" in self._free:
            best = self._with_more_factors(best)
        return self._polish(best).trial

    def compressed(self) -> Trial:
        """Return the best of a few trials with strengths that are not raw."""
        alpha = self._start["alpha"]
        if "alpha" in self._free:
            alpha *= self._hold_out.mean_strength
        fits = (self._fit(self._start | {"strengths": k, "alpha": alpha}) for k in COMPRESSED)
        best = self._polish(self._best(fits))
        return self._improve(best, FIRST_MOVES[self._kind]).trial

    def shortfall(self, trial: Trial) -> float:
        """Return by how much a trial falls short of the floor, in the criterion."""
        result = trial.result
        raised = result._replace(
            ndcg=max(result.ndcg, *(floor.ndcg for floor in self.floor)),
            auc=max(result.auc, *(floor.auc for floor in self.floor)),
        )
        return raised.criterion - result.criterion

    def _key(self, trial: Trial) -> tuple[bool, float]:
        """Return the sort key of a trial: those that reach the floor are better than others."""
        shortfall = self.shortfall(trial)
        return shortfall == 0, trial.result.criterion - _SHORTFALL_WEIGHT * shortfall

    def _best(self, fits: Iterable[CandidateFit]) -> CandidateFit:
        return max(fits, key=lambda fit: self._key(fit.trial))

    def _is_better(self, fit: CandidateFit, other: CandidateFit) -> bool:
        return self._key(fit.trial) > self._key(other.trial)

    def _improve(self, best: CandidateFit, moves: Iterable[Move]) -> CandidateFit:
        """Make the moves one after the other, each from the best fit so far."""
        for move in moves:
            if self._free & move.names:
                best = self._descend(best, move)
        return best

    def _descend(self, best: CandidateFit, move: Move) -> CandidateFit:
        """Try the alternatives of a move, and return the best fit."""
        settings = best.settings
        for change in move.alternatives(settings):
            change = {name: value for name, value in change.items() if name in self._free}
            if change.get("strengths") == "raw" and "alpha" in self._free:
                # As strong on average.
                change["alpha"] = settings["alpha"] / self._hold_out.mean_strength
            found = self._fit(settings | change)
            if self._is_better(found, best):
                best = found
                if move.stops_at_first:
                    break
        return best

    def _with_more_sweeps(self, best: CandidateFit) -> CandidateFit:
        """Find the number of sweeps, and what it changes."""
        before = best
        for times in MORE_SWEEPS:
            found = self._fit(best.settings | {"iterations": times * self._effort.sweeps})
            if not self._is_better(found, best):
                break
            best = found
        return best if best is before else self._improve(best, AFTER_MORE_SWEEPS)

    def _with_more_factors(self, best: CandidateFit) -> CandidateFit:
        """Find the number of factors: doubled as long as that gains what it costs."""
        first, *more = FACTORS[self._kind]
        for factors in (first, *more):
            settings = best.settings | {"factors": factors}
            found = self._best(
                self._fit(settings | changed) for changed in self._sweeps_to_try(settings)
            )
            reaches_floor, criterion = self._key(best.trial)
            if factors == first:  # taken unless it falls below the floor
                is_worth = self._key(found.trial)[0] >= reaches_floor
            else:
                is_worth = self._key(found.trial) > (reaches_floor, criterion + _WORTH_DOUBLING)
            if not is_worth:
                break
            best = found
        return best

    def _sweeps_to_try(self, settings: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the numbers of sweeps for more factors.

        Settings that fit noise with few factors may need more sweeps than with many.
        """
        if "iterations" not in self._free:
            return [{}]
        few, found = self._start["iterations"], settings["iterations"]
        fewer = [few * times for times in (1, *MORE_SWEEPS) if few * times < found]
        return [{"iterations": n_sweeps} for n_sweeps in (*fewer, found)]

    def _fit(self, settings: dict[str, Any]) -> CandidateFit:
        """Fit with some settings, and the best of a few item biases."""
        began = time.process_time()
        evaluate = self._fits.fit(settings)
        biases = [settings["item_bias"]]
        if "item_bias" in self._free:
            biases = sorted({*FEW_BIASES, settings["item_bias"]})
        trial = max(_bias_trials(evaluate, settings, biases), key=self._key)
        trial = trial._replace(seconds=time.process_time() - began)
        self.trials.append(trial)
        self._callback()
        return CandidateFit(trial, evaluate)

    def _polish(self, fit: CandidateFit) -> CandidateFit:
        """Find the settings that need no other fit."""
        began, best = time.process_time(), fit.trial
        for name, values in (
            ("recency_power", RECENCY_POWERS),
            ("popularity_periods", list(self._hold_out.biases)),
        ):
            if name in self._free:
                current = best.settings
                changed = [current | {name: v} for v in values if v != current[name]]
                others = [
                    trial
                    for settings in changed
                    for trial in _bias_trials(fit.evaluate, settings, [settings["item_bias"]])
                ]
                best = max([best, *others], key=self._key)
        if "item_bias" in self._free:
            others = _bias_trials(fit.evaluate, best.settings, BIASES)
            best = max([best, *others], key=self._key)
        trial = best._replace(seconds=fit.trial.seconds + time.process_time() - began)
        self.trials[self.trials.index(fit.trial)] = trial
        return fit._replace(trial=trial)


def _bias_trials(
    evaluate: Evaluate, settings: dict[str, Any], biases: Sequence[float]
) -> list[Trial]:
    """Try several item biases with the same factors."""
    results = evaluate(settings, biases)
    return [
        Trial(settings | {"item_bias": bias}, result, 0.0)
        for bias, result in zip(biases, results, strict=True)
    ]


def _start_settings(
    backbone: Backbone, given: dict[str, Any], free: set[str], hold_out: HoldOut, effort: Effort
) -> dict[str, Any]:
    """Return the settings of the first fit, with few factors and few sweeps."""
    is_als = isinstance(backbone, ALSBackbone)
    start: dict[str, Any] = START_OF_ALL | START[type(backbone)]
    found = {name: value for name, value in start.items() if name in free}
    if given.get("strengths") == "raw" and "alpha" in found:
        found["alpha"] /= hold_out.mean_strength
    own = {name: getattr(backbone, name) for name in setting_names(backbone)}
    settings = own | given | found
    if "regularization" in free and is_als:
        mean = hold_out.mean_strength if settings["strengths"] == "raw" else 1.0
        settings["regularization"] = START_RATIO * settings["alpha"] * mean
    if "factors" not in free:
        settings["factors"] = min(backbone.factors, start["factors"])
    if is_als:
        settings["iterations"] = effort.sweeps
        if "iterations" not in free:
            settings["iterations"] = min(backbone.iterations, effort.sweeps)
    return settings


class Found(NamedTuple):
    """What a search found.

    Attributes
    ----------
    settings : dict
        Values of the free settings.
    trials : list of Trial
    best : Trial
    n_held_out : int
        Number of held-out last interactions, one per user.
    seconds : float
        Processor time.
    floor : tuple of Result or None
        Popularity and plain `implicit`, if the best trial does not reach them.
    compressed : Trial or None
        A good trial with strengths that are not raw, if raw ones were given.
    """

    settings: dict[str, Any]
    trials: list[Trial]
    best: Trial
    n_held_out: int
    seconds: float
    floor: tuple[Result, ...] | None
    compressed: Trial | None


def find_settings(
    backbone: Backbone,
    given: dict[str, Any],
    free: set[str],
    interactions: Interactions,
    features: sp.csr_matrix | None,
    effort: Literal["fast", "thorough"],
    callback: Callable[[], object] = lambda: None,
    *,
    user_features: sp.csr_matrix | None = None,
) -> Found | None:
    """Find settings of a backbone by how well they rank held-out interactions.

    Parameters
    ----------
    backbone, given, free, callback
        As in `Search`.
    interactions : Interactions
    features : csr_matrix of shape (n_items, n_features) or None
    effort : {"fast", "thorough"}
    user_features : csr_matrix of shape (n_users, n_user_features) or None

    Returns
    -------
    Found or None
        None if too little can be held out.
    """
    began = time.process_time()
    periods = PERIODS if "popularity_periods" in free else (given["popularity_periods"],)
    if (np.diff(interactions.matrix.indptr) > 1).sum() < MIN_HELD_OUT:
        return None
    hold_out = HoldOut.of(interactions, features, periods, EFFORTS[effort], user_features)
    n_held_out = int(hold_out.is_last.sum())
    if n_held_out < MIN_HELD_OUT:
        return None
    search = Search(backbone, given, free, hold_out, EFFORTS[effort], callback)
    best = search.run()
    is_raw = isinstance(backbone, ALSBackbone) and given.get("strengths") == "raw"
    compressed = None
    if is_raw and len(kinds_to_compare(interactions.matrix.data)) > 1:
        compressed = search.compressed()
    return Found(
        settings={name: best.settings[name] for name in free if name in best.settings},
        trials=search.trials,
        best=best,
        n_held_out=n_held_out,
        seconds=time.process_time() - began,
        floor=tuple(search.floor) if search.shortfall(best) > 0 else None,
        compressed=compressed,
    )

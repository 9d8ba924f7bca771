r"""Tuning of settings by coordinate descent on held-out interactions.

Uses interactions, features and backbones, but no judge. The last interaction of each user (a random
one without times) is held out, plus some interactions of rare items. Backbones with few factors are
fitted to the rest and compared by

.. math::

    \ln N + \tfrac{3}{5} \big(\ln R - \ln (1 - A)\big),

where N is the NDCG@10 and A the AUC of the last interactions, and R the AUC of rare items. All
differences are relative: a 3 % larger NDCG is worth as much as a 5 % smaller 1 - AUC, or a 5 %
larger AUC of rare items, which is far from 1.

Settings are changed one at a time if this improves the criterion, so a search takes about 15 fits.
The number of sweeps comes last: on some data, further sweeps overfit; on others, they let rarely
rated items learn from their features (``benchmarks/README.md``).
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

_SHORTFALL_WEIGHT = 10  # weight of differences below the floor, relative to those above it
_WORTH_DOUBLING = 0.02  # minimum gain in the criterion to double the factors, and the time


class Trial(NamedTuple):
    """Settings, their result, and the CPU time in seconds."""

    settings: dict[str, Any]
    result: Result
    seconds: float


class CandidateFit(NamedTuple):
    """A trial, and a function that evaluates its factors with settings that need no other fit."""

    trial: Trial
    evaluate: Evaluate

    @property
    def settings(self) -> dict[str, Any]:
        return self.trial.settings


class Search:
    """Compares settings of a backbone on a hold-out, changing them one at a time.

    Parameters
    ----------
    backbone : ALSBackbone or SampledBackbone
        Provides the given settings.
    given : dict
        `strengths` and `popularity_periods`, unless they are free.
    free : set of str
        Names of the settings to tune.
    hold_out : HoldOut
    effort : Effort
    callback : callable
        Called after each fit.

    Attributes
    ----------
    trials : list of Trial
        One per fit, with the best values of the settings that need no other fit.
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
            backbone = replace(backbone, fit_threads=1)  # more threads are not reproducible
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
        """Perform all moves and return the best trial."""
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
        """Return the best of a few trials with compressed strengths."""
        alpha = self._start["alpha"]
        if "alpha" in self._free:
            alpha *= self._hold_out.mean_strength
        fits = (self._fit(self._start | {"strengths": k, "alpha": alpha}) for k in COMPRESSED)
        best = self._polish(self._best(fits))
        return self._improve(best, FIRST_MOVES[self._kind]).trial

    def shortfall(self, trial: Trial) -> float:
        """Return by how much the criterion of a trial falls short of the floor."""
        result = trial.result
        raised = result._replace(
            ndcg=max(result.ndcg, *(floor.ndcg for floor in self.floor)),
            auc=max(result.auc, *(floor.auc for floor in self.floor)),
        )
        return raised.criterion - result.criterion

    def _key(self, trial: Trial) -> tuple[bool, float]:
        """Return the sort key of a trial: trials that reach the floor precede all others."""
        shortfall = self.shortfall(trial)
        return shortfall == 0, trial.result.criterion - _SHORTFALL_WEIGHT * shortfall

    def _best(self, fits: Iterable[CandidateFit]) -> CandidateFit:
        return max(fits, key=lambda fit: self._key(fit.trial))

    def _is_better(self, fit: CandidateFit, other: CandidateFit) -> bool:
        return self._key(fit.trial) > self._key(other.trial)

    def _improve(self, best: CandidateFit, moves: Iterable[Move]) -> CandidateFit:
        """Perform moves one after another, each from the best fit so far."""
        for move in moves:
            if self._free & move.names:
                best = self._descend(best, move)
        return best

    def _descend(self, best: CandidateFit, move: Move) -> CandidateFit:
        """Try the alternatives of a move and return the best fit."""
        settings = best.settings
        for change in move.alternatives(settings):
            change = {name: value for name, value in change.items() if name in self._free}
            if change.get("strengths") == "raw" and "alpha" in self._free:
                # Keep the mean confidence.
                change["alpha"] = settings["alpha"] / self._hold_out.mean_strength
            found = self._fit(settings | change)
            if self._is_better(found, best):
                best = found
                if move.stops_at_first:
                    break
        return best

    def _with_more_sweeps(self, best: CandidateFit) -> CandidateFit:
        """Tune the number of sweeps, then the settings that depend on it."""
        before = best
        for times in MORE_SWEEPS:
            found = self._fit(best.settings | {"iterations": times * self._effort.sweeps})
            if not self._is_better(found, best):
                break
            best = found
        return best if best is before else self._improve(best, AFTER_MORE_SWEEPS)

    def _with_more_factors(self, best: CandidateFit) -> CandidateFit:
        """Tune the number of factors: double it while the gain justifies the cost."""
        first, *more = FACTORS[self._kind]
        for factors in (first, *more):
            settings = best.settings | {"factors": factors}
            found = self._best(
                self._fit(settings | changed) for changed in self._sweeps_to_try(settings)
            )
            reaches_floor, criterion = self._key(best.trial)
            if factors == first:  # accepted unless it falls below the floor
                is_worth = self._key(found.trial)[0] >= reaches_floor
            else:
                is_worth = self._key(found.trial) > (reaches_floor, criterion + _WORTH_DOUBLING)
            if not is_worth:
                break
            best = found
        return best

    def _sweeps_to_try(self, settings: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the numbers of sweeps to try with more factors.

        Settings that overfit with few factors may need more sweeps than with many.
        """
        if "iterations" not in self._free:
            return [{}]
        few, found = self._start["iterations"], settings["iterations"]
        fewer = [few * times for times in (1, *MORE_SWEEPS) if few * times < found]
        return [{"iterations": n_sweeps} for n_sweeps in (*fewer, found)]

    def _fit(self, settings: dict[str, Any]) -> CandidateFit:
        """Fit with the given settings and the best of a few item biases."""
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
        """Tune the settings that need no other fit."""
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
    """Evaluate several item biases with the same factors."""
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
    """Result of a search.

    Attributes
    ----------
    settings : dict
        Values of the free settings.
    trials : list of Trial
    best : Trial
    n_held_out : int
        Number of held-out last interactions, one per user.
    seconds : float
        CPU time.
    floor : tuple of Result or None
        Results of popularity and plain `implicit`, if the best trial does not reach them.
    compressed : Trial or None
        A good trial with compressed strengths, if raw ones were given.
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
    """Tune settings of a backbone by how well they rank held-out interactions.

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
        None if too few interactions can be held out.
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

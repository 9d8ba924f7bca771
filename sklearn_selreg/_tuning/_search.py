r"""Settings found from the data: what is held out, what counts as good, and what is tried.

Knows interactions, item features and backbones, and no judge. The last interaction of each user (a
random one where nothing is known of time) is held out, and a few of rare items. Backbones with few
factors are fitted to the rest and compared by

.. math::

    \ln N + \tfrac{3}{5} \big(\ln R - \ln (1 - A)\big),

where N is NDCG@10 and A the AUC of the last interactions, and R the AUC of rare items. Everything
counts relative to what there is: 3 % more at the top of the lists is worth as much as
5 % less of what the AUC lacks of 1, or 5 % more of the AUC of rare items, which is far from 1.

One setting after the other is changed, if that is better, so a search ends after some 15 fits. The
number of sweeps is the last of them: on some data more than these fits have fit noise, on others
they let items that few know learn from their features (``benchmarks/README.md``).
"""

import time
from dataclasses import fields, replace
from typing import NamedTuple

import numpy as np

from .._data._finite import are_finite
from .._data._strengths import COMPRESSED, StrengthScale, kinds_to_compare
from .._factorization._als_backbone import ALSBackbone
from .._factorization._factors import Factors, with_bias
from .._factorization._sampled_backbones import SAMPLED_POPULARITY
from ._hold_out import FEWEST_HELD_OUT, SEED, HoldOut, Result
from ._moves import (
    AFTER_MORE_SWEEPS,
    BIASES,
    EFFORTS,
    FACTORS,
    FEW_BIASES,
    MORE_SWEEPS,
    MOVES,
    PERIODS,
    PLAIN,
    RATIO,
    RECENCY_POWERS,
    START,
    START_OF_ALL,
    CandidateFit,
    Trial,
)

_OF_SHORTFALL = 10  # how much worse it is to be below the floor than above it
_WORTH_DOUBLING = 0.02  # of the criterion: what twice the factors, and the time, must gain
_CG_STEPS = 4  # from the users of the sweeps, to those of recent interactions


class Search:
    """Compares settings of a backbone on a hold-out, and changes them one after the other.

    Parameters
    ----------
    backbone : ALSBackbone, BPRBackbone or LMFBackbone
        With the settings that are given.
    given : dict
        `strengths` and `popularity_periods`, unless they are free.
    free : set of str
        Names of the settings to find.
    hold_out : HoldOut
    effort : Effort
    watch : callable
        Is called after each fit.

    Attributes
    ----------
    trials : list of Trial
        Each fit, with the best of the settings that can be changed without another one.
    floor : list of Result
        Of popularity, and for ALS of plain `implicit`.
    """

    def __init__(self, backbone, given, free, hold_out, effort, watch=lambda: None):
        if not isinstance(backbone, ALSBackbone):
            backbone = replace(backbone, fit_threads=1)  # more of them change the result
        self._backbone, self._kind = backbone, type(backbone)
        self._free, self._hold_out, self._effort, self._watch = free, hold_out, effort, watch
        self._trained, self._open = {}, (None, None, 0)  # what can be gone on from
        self.trials = []
        found = {name: v for name, v in (START_OF_ALL | START[self._kind]).items() if name in free}
        if given.get("strengths") == "raw" and "alpha" in found:
            found["alpha"] /= self._mean_strength
        own = {f.name: getattr(backbone, f.name) for f in fields(backbone) if f.init}
        self._start = own | given | found
        if "regularization" in free and self._kind is ALSBackbone:
            mean = self._mean_strength if self._start["strengths"] == "raw" else 1.0
            self._start["regularization"] = RATIO * self._start["alpha"] * mean
        if "factors" not in free:  # settings are compared with few of them
            self._start["factors"] = min(backbone.factors, START[self._kind]["factors"])
        if self._kind is ALSBackbone:  # and with few sweeps
            self._start["iterations"] = effort.sweeps
            if "iterations" not in free:
                self._start["iterations"] = min(backbone.iterations, effort.sweeps)
        self.floor = [hold_out.popularity_result(backbone.num_threads)]
        if self._kind is ALSBackbone:
            evaluate = self._fit_als(self._start | PLAIN, with_features=False)
            self.floor += evaluate(self._start | PLAIN, [0.0])
            self._open = None, None, 0

    def run(self):
        """Go through all moves.

        Returns
        -------
        best : Trial
        """
        first, of_round = MOVES[self._kind]
        best = self._polish(self._fit(self._start))
        for move in first:
            best = self._descend(best, move)
        for _ in range(self._effort.rounds):
            before = best.settings
            for move in of_round:
                best = self._descend(best, move)
            if best.settings == before:
                break
        best = self._with_more_sweeps(best)
        if "factors" in self._free:
            best = self._with_factors(best)
        return self._polish(best).trial

    def _with_factors(self, best):
        """Find the number of factors: twice as many as long as that gains what it costs."""
        few = self._start.get("iterations")
        first, *more = FACTORS[self._kind]
        for factors in (first, *more):
            settings = best.settings | {"factors": factors}
            # What fits noise with few factors may need more sweeps than it does with many.
            sweeps = [few * t for t in (1, *MORE_SWEEPS) if few * t < settings["iterations"]]
            if "iterations" not in self._free:
                sweeps = []
            tried = [
                self._fit(settings | {"iterations": n}) for n in (*sweeps, settings["iterations"])
            ]
            found = max(tried, key=lambda fit: self._key(fit.trial))
            reaches, criterion = self._key(best.trial)
            if factors == first:  # taken unless it is below the floor
                better = self._key(found.trial)[0] >= reaches
            else:
                better = self._key(found.trial) > (reaches, criterion + _WORTH_DOUBLING)
            if not better:
                break
            best = found
        return best

    def _with_more_sweeps(self, best):
        """Find the number of sweeps, and what it changes."""
        if "iterations" not in self._free:
            return best
        before = best
        for times in MORE_SWEEPS:
            found = self._fit(best.settings | {"iterations": times * self._effort.sweeps})
            if self._key(found.trial) <= self._key(best.trial):
                break
            best = found
        if best is not before:
            for move in AFTER_MORE_SWEEPS:
                best = self._descend(best, move)
        return best

    def shortfall(self, trial):
        """Return what a trial lacks of popularity and plain `implicit`, in the criterion."""
        result = trial.result
        raised = result._replace(
            ndcg=max(result.ndcg, *(floor.ndcg for floor in self.floor)),
            auc=max(result.auc, *(floor.auc for floor in self.floor)),
        )
        return raised.criterion - result.criterion

    def _key(self, trial):
        """Return what the best trial has most of.

        What reaches the floor is better than what does not; of the latter, what lacks less.
        """
        shortfall = self.shortfall(trial)
        return shortfall == 0, trial.result.criterion - _OF_SHORTFALL * shortfall

    def _descend(self, best, move):
        """Try the alternatives of a move, and return the best fit."""
        names, alternatives, stop = move
        if not self._free & names:
            return best
        settings = best.settings
        for change in alternatives(settings):
            change = {name: value for name, value in change.items() if name in self._free}
            if change.get("strengths") == "raw" and "alpha" in self._free:  # as strong on average
                change["alpha"] = settings["alpha"] / self._mean_strength
            found = self._fit(settings | change)
            if self._key(found.trial) > self._key(best.trial):
                best = found
                if stop:
                    break
        return best

    def _fit(self, settings):
        """Fit with some settings, and the best of a few item biases."""
        began = time.process_time()
        fit = self._fit_als if self._kind is ALSBackbone else self._fit_sampled
        evaluate = fit(settings)
        biases = [settings["item_bias"]]
        if "item_bias" in self._free:
            biases = sorted({*FEW_BIASES, settings["item_bias"]})
        trials = _trials([settings | {"item_bias": b} for b in biases], evaluate(settings, biases))
        trial = max(trials, key=self._key)._replace(seconds=time.process_time() - began)
        self.trials.append(trial)
        self._watch()
        return CandidateFit(trial, evaluate)

    def _polish(self, fit):
        """Find the settings that need no other fit."""
        began, best = time.process_time(), fit.trial
        for name, values in (
            ("recency_power", RECENCY_POWERS),
            ("popularity_periods", list(self._hold_out.trends)),
        ):
            if name in self._free:
                others = [best.settings | {name: v} for v in values if v != best.settings[name]]
                results = [fit.evaluate(some, [some["item_bias"]])[0] for some in others]
                best = max([best, *_trials(others, results)], key=self._key)
        if "item_bias" in self._free:
            others = [best.settings | {"item_bias": bias} for bias in BIASES]
            results = fit.evaluate(best.settings, BIASES)
            best = max([best, *_trials(others, results)], key=self._key)
        trial = best._replace(seconds=fit.trial.seconds + time.process_time() - began)
        self.trials[self.trials.index(fit.trial)] = trial
        return fit._replace(trial=trial)

    def _with(self, settings):
        """Return the backbone with some settings, and the matrix as it has them."""
        names = {f.name for f in fields(self._backbone) if f.init}
        backbone = replace(
            self._backbone, **{name: v for name, v in settings.items() if name in names}
        )
        scale = StrengthScale.of(settings["strengths"], self._hold_out.matrix.data)
        return backbone, scale.apply(self._hold_out.matrix)

    def _fit_als(self, settings, *, with_features=True):
        hold_out = self._hold_out
        backbone, matrix = self._with(settings)
        same = replace(backbone, iterations=1, item_bias=0.0, recency_power=0.0)
        key = same, settings["strengths"]
        if key != self._open[0]:
            problem = backbone.problem(
                matrix,
                hold_out.features if with_features else None,
                backbone.start(*matrix.shape, np.random.default_rng(SEED)),
                popularity=hold_out.popularity,
                share=hold_out.share,
            )
            self._open = key, problem, 0
        _, problem, n_done = self._open
        for _ in range(settings["iterations"] - n_done):
            problem.sweep()
        self._open = key, problem, settings["iterations"]
        users, items = problem.user_factors[hold_out.users], problem.item_factors
        if not are_finite(users, items):
            return lambda settings, biases: [Result(0.0, 0.0, 0.0)] * len(biases)
        known = matrix[hold_out.users]

        def evaluate(settings, biases):
            power, solved = settings["recency_power"], users
            if power > 0:
                factors = Factors(users, items, None)
                solved = replace(backbone, recency_power=power).solve_users(
                    known, factors, hold_out.popularity, hold_out.judged_age, cg_steps=_CG_STEPS
                )
            n_periods = settings["popularity_periods"]
            return hold_out.evaluate(solved, items, biases, n_periods, backbone.num_threads)

        return evaluate

    def _fit_sampled(self, settings):
        hold_out = self._hold_out
        backbone, matrix = self._with(settings | {"item_bias": 0.0})
        key = replace(backbone, prior_strength=1.0)  # features do not matter to the model itself
        if key not in self._trained:
            start = backbone.start(*matrix.shape, np.random.default_rng(SEED))
            self._trained = {key: backbone.train(matrix, start)}
        factors = backbone.lean(matrix, hold_out.features, self._trained[key])
        users, items = with_bias(factors.users[hold_out.users], factors.items, factors.bias)
        gain = SAMPLED_POPULARITY * factors.unit

        def evaluate(settings, biases):
            biases = [bias * gain for bias in biases]
            return hold_out.evaluate(
                users, items, biases, settings["popularity_periods"], backbone.num_threads
            )

        return evaluate

    @property
    def _mean_strength(self):
        return float(self._hold_out.matrix.data.mean(dtype=np.float64))

    def compressed(self):
        """Return the best of a few trials with strengths that are not raw."""
        alpha = self._start["alpha"] * (self._mean_strength if "alpha" in self._free else 1)
        found = (self._fit(self._start | {"strengths": k, "alpha": alpha}) for k in COMPRESSED)
        best = self._polish(max(found, key=lambda fit: self._key(fit.trial)))
        for move in MOVES[self._kind][0]:
            best = self._descend(best, move)
        return best.trial


class Found(NamedTuple):
    """What a search found.

    Attributes
    ----------
    settings : dict
        The free ones.
    trials : list of Trial
    best : Trial
    n_held_out : int
        Interactions, of as many users.
    seconds : float
        Processor time.
    floor : tuple of Result or None
        Popularity and plain `implicit`, if the best trial does not reach them.
    compressed : Trial or None
        A good one with strengths that are not raw, if raw ones were given.
    """

    settings: dict
    trials: list
    best: Trial
    n_held_out: int
    seconds: float
    floor: tuple | None
    compressed: Trial | None


def find_settings(backbone, given, free, interactions, features, effort, watch=lambda: None):
    """Find settings of a backbone by how well they rank what is held out.

    Parameters
    ----------
    backbone, given, free, watch
        As in `Search`.
    interactions : Interactions
    features : csr_matrix of shape (n_items, n_features) or None
    effort : str
        Of `EFFORTS`.

    Returns
    -------
    found : Found or None
        None if too little can be held out.
    """
    began, effort = time.process_time(), EFFORTS[effort]
    periods = PERIODS if "popularity_periods" in free else (given["popularity_periods"],)
    if (np.diff(interactions.matrix.indptr) > 1).sum() < FEWEST_HELD_OUT:
        return None
    hold_out = HoldOut.of(interactions, features, periods, effort)
    if hold_out.is_last.sum() < FEWEST_HELD_OUT:
        return None
    search = Search(backbone, given, free, hold_out, effort, watch)
    best = search.run()
    compressed = None
    is_raw = isinstance(backbone, ALSBackbone) and given.get("strengths") == "raw"
    if is_raw and len(kinds_to_compare(interactions.matrix.data)) > 1:
        compressed = search.compressed()
    settings = {name: best.settings[name] for name in free if name in best.settings}
    floor = tuple(search.floor) if search.shortfall(best) > 0 else None
    n_held_out, seconds = int(hold_out.is_last.sum()), time.process_time() - began
    return Found(settings, search.trials, best, n_held_out, seconds, floor, compressed)


def _trials(settings, results):
    return [Trial(some, result, 0.0) for some, result in zip(settings, results, strict=True)]

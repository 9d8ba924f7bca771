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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from ._als import single_threaded_blas, useful_threads
from ._backbone import (
    SAMPLED_POPULARITY,
    ALSBackbone,
    BPRBackbone,
    Factors,
    LMFBackbone,
    popularity_bias,
    with_bias,
)
from ._finite import are_finite
from ._interactions import count_interactions, number_newest_first
from ._strengths import COMPRESSED, StrengthScale, kinds_to_compare
from ._trends import Trend

FEWEST_HELD_OUT = 200
"""With fewer held-out interactions nothing is searched: differences would be noise."""

_OF_SHORTFALL = 10  # how much worse it is to be below the floor than above it
_SEED = 0  # not the model's `random_state`: the same data give the same settings
_CUTOFF = 10  # of NDCG
_WHOLE_LIST = 0.6  # what both AUC weigh, relative to NDCG
_RARE = 3  # interactions of a rare item, at most
_MOST_RARE = 500  # held-out interactions of rare items, ...
_RARE_SHARE = 0.02  # ... and what share of all they may be
_NEW_SHARE = 0.05  # the same, of items of which all is held out; and of new items in the catalog
_FEWEST_RARE = 50  # with fewer, rare items do not count
_SCORES_PER_CHUNK = 2**18  # 1 MB of float32, stays in the cache
_MOST_SCORES = 15_000_000  # of users and items to evaluate by
_FEWEST_USERS = 300

_BIASES = (0.0, 0.03, 0.08, 0.15, 0.3, 0.6, 1.5)
_FEW_BIASES = (0.03, 0.2, 1.5)
_RECENCY_POWERS = (0.0, 0.35, 0.65, 1.0, 1.5)
PERIODS = (8, 1, 2)
"""Numbers of periods of popularity that are compared."""
_MORE_SWEEPS = (2, 4)  # as many times, once all else is found
_WORTH_DOUBLING = 0.02  # of the criterion: what twice the factors, and the time, must gain
_FACTORS = {ALSBackbone: (64, 128, 256), BPRBackbone: (64,), LMFBackbone: (32,)}
_START = {
    ALSBackbone: {"factors": 32, "alpha": 10.0, "regularization": 22.0, "recency_power": 0.65},
    BPRBackbone: {"factors": 32, "regularization": 0.05},
    LMFBackbone: {"factors": 16, "alpha": 10.0, "regularization": 6.0},
}
_RATIO = 2.2  # of regularization and alpha for ALS, to begin with
_START_OF_ALL = {
    "prior_strength": 2.5,
    "item_bias": 0.2,
    "missing_power": 0.5,
    "trend_periods": PERIODS[0],
    "strengths": "log",
}
_CG_STEPS = 4  # from the users of the sweeps, to those of recent interactions
_PLAIN = {  # what `implicit` does by default
    "regularization": 0.01,
    "alpha": 1.0,
    "item_bias": 0.0,
    "missing_power": 0.0,
    "recency_power": 0.0,
    "strengths": "raw",
}


@dataclass(frozen=True)
class Effort:
    """How much a search may do.

    Attributes
    ----------
    interactions : int
        To search on, at most, of users drawn at random.
    users : int
        To evaluate by, at most.
    sweeps : int
        Of fits by ALS.
    rounds : int
        How often all settings are gone through.
    """

    interactions: int
    users: int
    sweeps: int
    rounds: int


EFFORTS = {
    "fast": Effort(200_000, 3000, 6, 1),
    "thorough": Effort(1_000_000, 10_000, 8, 3),
}


class Result(NamedTuple):
    """How held-out interactions are ranked: NDCG@10, AUC, and AUC of rare items (or None)."""

    ndcg: float
    auc: float
    rare: float | None

    @property
    def criterion(self):
        """What settings are compared by; see the module."""
        value = np.log(max(self.ndcg, 1e-4)) - _WHOLE_LIST * np.log(max(1 - self.auc, 1e-3))
        if self.rare is not None:
            value += _WHOLE_LIST * np.log(max(self.rare, 1e-2))
        return float(value)


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Interactions to fit, and others to evaluate by.

    Attributes
    ----------
    matrix : csr_matrix of shape (n_users, n_items), float32
        Strengths of the interactions to fit, of the users that are searched on.
    age : ndarray of shape (nnz,), int32
        As in `Interactions`, of what is left.
    features : csr_matrix of shape (n_items, n_features) or None
    popularity : ndarray of shape (n_items,), int
        Number of interactions, of all users, without what is held out.
    share : float
        Which part of the users is searched on.
    trends : dict of int to tuple
        By number of periods: item biases for an `item_bias` of 1, (n_items, n_periods) float32, and
        periods of the users to evaluate by, (n_judged, n_periods) float32.
    users : ndarray of shape (n_judged,), intp
        Rows of the users to evaluate by.
    judged_age : ndarray of int32
        Their ages.
    rows, items : ndarrays of shape (n_held_out,), intp
        What is held out: place in `users`, not decreasing, and column.
    is_last : ndarray of shape (n_held_out,), bool
        What users did last; the others are of rare items.
    is_rare : ndarray of shape (n_held_out,), bool
        Of an item with at most 3 interactions.
    """

    matrix: sp.csr_matrix
    age: np.ndarray
    features: sp.csr_matrix | None
    popularity: np.ndarray
    share: float
    trends: dict
    users: np.ndarray
    judged_age: np.ndarray
    rows: np.ndarray
    items: np.ndarray
    is_last: np.ndarray
    is_rare: np.ndarray

    @classmethod
    def of(cls, interactions, features, periods, effort):
        """Hold out some of the interactions.

        Parameters
        ----------
        interactions : Interactions
        features : csr_matrix of shape (n_items, n_features) or None
        periods : sequence of int
            Numbers of periods of popularity to compare.
        effort : Effort

        Returns
        -------
        hold_out : HoldOut
        """
        rng = np.random.default_rng(_SEED)
        matrix = interactions.matrix
        length = np.diff(matrix.indptr)
        row = np.repeat(np.arange(len(length)), length)
        searched = _some_users(length, effort.interactions, rng)
        n_judged = min(effort.users, max(_FEWEST_USERS, _MOST_SCORES // matrix.shape[1]))
        judged = np.zeros(len(length), dtype=bool)
        judged[rng.permutation(np.flatnonzero(searched & (length > 1)))[:n_judged]] = True
        last = judged[row] & _is_last(interactions, row, rng)
        rare = _some_rare(interactions, row, last, searched, features is not None, rng)
        held_out = last | rare
        left = _keep(interactions, row, ~held_out)
        popularity = count_interactions(left.matrix)
        users, items = np.unique(row[held_out]), matrix.indices[held_out].astype(np.intp)
        trends = {}
        for n_periods in periods if interactions.times is not None else periods[:1]:
            trend = Trend.of(left, n_periods)
            bias = popularity_bias(trend.popularity(), features).astype(np.float32)
            trends[n_periods] = bias, trend.user_shares()[users]
        if not searched.all():
            left = _keep(left, row[~held_out], searched[row[~held_out]])
        is_judged = np.zeros(len(length), dtype=bool)
        is_judged[users] = True
        return cls(
            matrix=left.matrix,
            age=left.age,
            features=features,
            popularity=popularity,
            share=float(searched[length > 0].mean()),
            trends=trends,
            users=users,
            judged_age=left.age[np.repeat(is_judged, np.diff(left.matrix.indptr))],
            rows=np.searchsorted(users, row[held_out]),
            items=items,
            is_last=last[held_out],
            is_rare=popularity[items] <= _RARE,
        )

    def evaluate(self, user_factors, item_factors, biases, n_periods, num_threads=0):
        """Rank the catalog for the users with something held out.

        Parameters
        ----------
        user_factors : ndarray of shape (n_judged, k), float32
        item_factors : ndarray of shape (n_items, k), float32
        biases : sequence of float
            Weights of the item bias.
        n_periods : int
            One of `trends`.
        num_threads : int, default=0

        Returns
        -------
        results : list of Result
            One for each of the biases.

        Notes
        -----
        Each held-out interaction is ranked among the items that its user has neither in `matrix`
        nor held out; equal scores count half. Users count alike, whatever is held out of them.
        """
        n_users, n_items = len(self.users), len(item_factors)
        item_bias, shares = self.trends[n_periods]
        first = np.searchsorted(self.rows, np.arange(n_users + 1))
        seen = self.matrix[self.users]
        above = np.empty((len(biases), len(self.rows)))

        def rank(users):
            held_out = slice(first[users.start], first[users.stop])
            rows, items = self.rows[held_out] - users.start, self.items[held_out]
            scores = user_factors[users] @ item_factors.T
            gains = shares[users] @ item_bias.T
            own = scores[rows, items], gains[rows, items]
            scores[rows, items] = -np.inf
            known = seen[users]
            scores[
                np.repeat(np.arange(len(scores)), np.diff(known.indptr)), known.indices
            ] = -np.inf
            turn = np.arange(len(rows)) - np.searchsorted(rows, rows)  # of a user's interactions
            turns = [np.flatnonzero(turn == t) for t in range(turn.max(initial=-1) + 1)]
            total = np.empty_like(scores)
            for result, bias in zip(above[:, held_out], biases, strict=True):
                np.multiply(gains, np.float32(bias), out=total)
                total += scores
                wanted = own[0] + np.float32(bias) * own[1]
                for which in turns:
                    every = len(which) == len(total)  # mostly each user has one
                    result[which] = _count_above(
                        total if every else total[rows[which]], wanted[which, np.newaxis]
                    )

        size = max(1, _SCORES_PER_CHUNK // n_items)
        parts = [slice(s, min(s + size, n_users)) for s in range(0, n_users, size)]
        with single_threaded_blas():
            if useful_threads(num_threads, n_users * n_items) == 1:
                list(map(rank, parts))
            else:
                with ThreadPoolExecutor(num_threads or None) as pool:
                    list(pool.map(rank, parts))
        n_negatives = n_items - np.diff(seen.indptr) - np.diff(first)
        auc = 1 - above / np.maximum(n_negatives[self.rows], 1)
        return [self._result(*of_bias) for of_bias in zip(above, auc, strict=True)]

    def popularity_result(self, num_threads=0):
        """Return the result of the same list for all users, by popularity."""
        users = np.ones((len(self.users), 1), dtype=np.float32)
        items = self.popularity[:, np.newaxis].astype(np.float32)
        return self.evaluate(users, items, [0.0], next(iter(self.trends)), num_threads)[0]

    def _result(self, above, auc):
        last = self.is_last
        rank = above[last]
        gain = np.where(rank < _CUTOFF, 1 / np.log2(2 + rank), 0)
        weight = 1 / np.bincount(self.rows[last])[self.rows[last]]
        rare = float(auc[self.is_rare].mean()) if self.is_rare.sum() >= _FEWEST_RARE else None
        ndcg, of_all = (float(np.average(values, weights=weight)) for values in (gain, auc[last]))
        return Result(ndcg, of_all, rare)


class Trial(NamedTuple):
    """Settings that were tried, how they did, and the processor time they took."""

    settings: dict
    result: Result
    seconds: float


class _Fit(NamedTuple):
    """A trial, and what evaluates its factors with other settings that need no fit."""

    trial: Trial
    evaluate: object

    @property
    def settings(self):
        return self.trial.settings


def _set(name, *values):
    """Return a move: other values of one of the settings."""
    return {name}, lambda settings: [{name: v} for v in values if v != settings[name]], False


def _scale(names, *steps):
    """Return a move: some of the settings, those that are free, times a step; up or down."""
    return names, lambda settings: [{n: settings[n] * step for n in names} for step in steps], True


_BOTH = {"alpha", "regularization"}
# By kind of backbone: moves to begin with, and moves of each round.
_MOVES = {
    ALSBackbone: (
        (
            _scale(_BOTH, 4.0, 0.25),
            _scale({"regularization"}, 0.25, 4.5),
            _set("strengths", "binary", "raw"),
        ),
        (
            _set("missing_power", 0.0, 0.5, 1.0),
            _scale({"prior_strength"}, 0.25, 4.0),
            _scale({"regularization"}, 0.5, 2.0),
            _scale(_BOTH, 0.5, 2.0),
        ),
    ),
    BPRBackbone: (
        (_scale({"regularization"}, 0.2, 5.0),),
        (_scale({"prior_strength"}, 0.25, 4.0),),
    ),
    LMFBackbone: (
        (_scale(_BOTH, 0.25), _scale({"regularization"}, 0.25, 4.0), _set("strengths", "raw")),
        (_scale({"prior_strength"}, 0.25, 4.0),),
    ),
}


_AFTER_MORE_SWEEPS = (_scale(_BOTH, 2.0, 0.5), _scale({"regularization"}, 2.0, 0.5))


class Search:
    """Compares settings of a backbone on a hold-out, and changes them one after the other.

    Parameters
    ----------
    backbone : ALSBackbone, BPRBackbone or LMFBackbone
        With the settings that are given.
    given : dict
        `strengths` and `trend_periods`, unless they are free.
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
        found = {
            name: v for name, v in (_START_OF_ALL | _START[self._kind]).items() if name in free
        }
        if given.get("strengths") == "raw" and "alpha" in found:
            found["alpha"] /= self._mean_strength
        own = {f.name: getattr(backbone, f.name) for f in fields(backbone) if f.init}
        self._start = own | given | found
        if "regularization" in free and self._kind is ALSBackbone:
            mean = self._mean_strength if self._start["strengths"] == "raw" else 1.0
            self._start["regularization"] = _RATIO * self._start["alpha"] * mean
        if "factors" not in free:  # settings are compared with few of them
            self._start["factors"] = min(backbone.factors, _START[self._kind]["factors"])
        if self._kind is ALSBackbone:  # and with few sweeps
            self._start["iterations"] = effort.sweeps
            if "iterations" not in free:
                self._start["iterations"] = min(backbone.iterations, effort.sweeps)
        self.floor = [hold_out.popularity_result(backbone.num_threads)]
        if self._kind is ALSBackbone:
            evaluate = self._fit_als(self._start | _PLAIN, with_features=False)
            self.floor += evaluate(self._start | _PLAIN, [0.0])
            self._open = None, None, 0

    def run(self):
        """Go through all moves.

        Returns
        -------
        best : Trial
        """
        first, of_round = _MOVES[self._kind]
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
        first, *more = _FACTORS[self._kind]
        for factors in (first, *more):
            settings = best.settings | {"factors": factors}
            # What fits noise with few factors may need more sweeps than it does with many.
            sweeps = [few * t for t in (1, *_MORE_SWEEPS) if few * t < settings["iterations"]]
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
        for times in _MORE_SWEEPS:
            found = self._fit(best.settings | {"iterations": times * self._effort.sweeps})
            if self._key(found.trial) <= self._key(best.trial):
                break
            best = found
        if best is not before:
            for move in _AFTER_MORE_SWEEPS:
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
            biases = sorted({*_FEW_BIASES, settings["item_bias"]})
        trials = _trials([settings | {"item_bias": b} for b in biases], evaluate(settings, biases))
        trial = max(trials, key=self._key)._replace(seconds=time.process_time() - began)
        self.trials.append(trial)
        self._watch()
        return _Fit(trial, evaluate)

    def _polish(self, fit):
        """Find the settings that need no other fit."""
        began, best = time.process_time(), fit.trial
        for name, values in (
            ("recency_power", _RECENCY_POWERS),
            ("trend_periods", list(self._hold_out.trends)),
        ):
            if name in self._free:
                others = [best.settings | {name: v} for v in values if v != best.settings[name]]
                results = [fit.evaluate(some, [some["item_bias"]])[0] for some in others]
                best = max([best, *_trials(others, results)], key=self._key)
        if "item_bias" in self._free:
            others = [best.settings | {"item_bias": bias} for bias in _BIASES]
            results = fit.evaluate(best.settings, _BIASES)
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
                backbone.start(*matrix.shape, np.random.default_rng(_SEED)),
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
            n_periods = settings["trend_periods"]
            return hold_out.evaluate(solved, items, biases, n_periods, backbone.num_threads)

        return evaluate

    def _fit_sampled(self, settings):
        hold_out = self._hold_out
        backbone, matrix = self._with(settings | {"item_bias": 0.0})
        key = replace(backbone, prior_strength=1.0)  # features do not matter to the model itself
        if key not in self._trained:
            start = backbone.start(*matrix.shape, np.random.default_rng(_SEED))
            self._trained = {key: backbone.train(matrix, start)}
        factors = backbone.lean(matrix, hold_out.features, self._trained[key])
        users, items = with_bias(factors.users[hold_out.users], factors.items, factors.bias)
        gain = SAMPLED_POPULARITY * factors.unit

        def evaluate(settings, biases):
            biases = [bias * gain for bias in biases]
            return hold_out.evaluate(
                users, items, biases, settings["trend_periods"], backbone.num_threads
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
        for move in _MOVES[self._kind][0]:
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
    periods = PERIODS if "trend_periods" in free else (given["trend_periods"],)
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


def _count_above(scores, wanted):
    """Count the scores of each row above a wanted one, (n, 1); equal ones count half."""
    found = np.empty(scores.shape, dtype=bool)
    counts = []
    for compare in (np.greater, np.equal):
        compare(scores, wanted, out=found)
        counts.append([np.count_nonzero(row) for row in found])  # far faster than by axis
    return np.array(counts[0]) + np.array(counts[1]) / 2


def _some_users(length, most, rng):
    """Return which users to search on, bool: all, or some drawn at random."""
    if length.sum() <= most:
        return np.ones(len(length), dtype=bool)
    order = rng.permutation(np.flatnonzero(length <= most / 10))  # no crawler takes it all
    chosen = np.zeros(len(length), dtype=bool)
    chosen[order[np.cumsum(length[order]) <= most]] = True
    return chosen


def _is_last(interactions, row, rng):
    """Return which interactions are the last of their user (without times: one of them), bool."""
    if interactions.times is not None:
        return interactions.age == 0
    order = np.lexsort((rng.random(len(row)), row))
    last = np.zeros(len(row), dtype=bool)
    last[order[interactions.matrix.indptr[:-1][np.diff(interactions.matrix.indptr) > 0]]] = True
    return last


def _some_rare(interactions, row, last, searched, described, rng):
    """Return which interactions of rare items to hold out as well, bool.

    Those that are newest to their users first. At most one of an item and one of a user, who keeps
    another. Without features an item keeps one, too: nothing else is known of it. With features,
    where no item is rare but some are new, all interactions of the least popular ones are held
    out: new items are placed by their features.
    """
    matrix = interactions.matrix
    popularity = np.bincount(matrix.indices[~last], minlength=matrix.shape[1])
    length = np.bincount(row[~last], minlength=matrix.shape[0])
    is_rare = (popularity <= _RARE + 1) & (popularity > (not described))
    able = ~last & is_rare[matrix.indices] & (length[row] > 1) & searched[row]
    able = rng.permutation(np.flatnonzero(able))
    if interactions.times is not None:
        able = able[np.argsort(interactions.age[able], kind="stable")]
    for of in (matrix.indices, row):
        _, first = np.unique(of[able], return_index=True)
        able = able[np.sort(first)]
    chosen = np.zeros(matrix.nnz, dtype=bool)
    chosen[able[: min(_MOST_RARE, int(_RARE_SHARE * matrix.nnz))]] = True
    has_new = np.mean(count_interactions(matrix) == 0) > _NEW_SHARE
    if described and has_new and chosen.sum() < _FEWEST_RARE:
        most = min(_MOST_RARE, int(_NEW_SHARE * matrix.nnz))
        order = rng.permutation(np.flatnonzero(popularity))
        order = order[np.argsort(popularity[order], kind="stable")]
        new = order[np.cumsum(popularity[order]) <= most]
        chosen |= np.isin(matrix.indices, new) & ~last & (length[row] > 1) & searched[row]
    return chosen


def _keep(interactions, row, kept):
    """Return some of the interactions; `row` is the user of each."""
    matrix, row = interactions.matrix, row[kept]
    indptr = np.append(0, np.cumsum(kept))[matrix.indptr].astype(matrix.indptr.dtype)
    left = sp.csr_matrix((matrix.data[kept], matrix.indices[kept], indptr), matrix.shape)
    age = number_newest_first(np.lexsort((-interactions.age[kept], row)), row, indptr)
    times = None if interactions.times is None else interactions.times[kept]
    return replace(interactions, matrix=left, age=age, times=times)

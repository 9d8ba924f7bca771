"""The factorizations as users set them: confidences, weights and biases of a matrix.

Knows matrices and settings; what is done with them is in ``_als`` and ``_proximal``. All backbones
have the same methods: `split`, `start`, `resume`, `fit`, `refine`, `finish` and `solve_users`.
"""

import copy
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import ClassVar, NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.cpu.lmf import LogisticMatrixFactorization
from implicit.recommender_base import ModelFitError
from sklearn.linear_model import Ridge

from ._als import CG_STEPS, FeaturePrior, RegularizedALS, fold_in, single_threaded_blas
from ._finite import check_finite_factors, explain_not_finite, quiet
from ._interactions import count_interactions, with_data
from ._plain import gram
from ._proximal import ProximalProblem, shrink_to_features

_POPULARITY_PAD = 5.0  # interactions added to each item before its missing entries are weighed
_BIAS_HALF = 5.0  # interactions at which an item has half of the bias it can get
_BIAS_PRIOR = 3.0  # interactions that the bias expected from an item's features is worth
_BIAS_RIDGE = 1.0  # penalty of what features lead to expect of the bias
_NO_TREND = 0.2  # interactions of an item in a period that its overall popularity is worth there
_HINGE_STEPS = 10  # solutions for a judged user, each with the preferences that are unmet then
_RECENCY_GAIN = 3.0  # confidence of the newest interaction, relative to no recency

# Of BPR and LMF; found on the `valid` fold of MovieLens, see benchmarks/backbones.py.
_SPREADS_PER_UNIT = 10.0  # standard deviations of scores in a unit of margin and item bias
SAMPLED_POPULARITY = 2.0  # they sample what to rank low by popularity: it is missing in scores
_FEATURES_WORTH = 4.0  # interactions that what features lead to expect is worth, per prior_strength
_USER_PULL = 2e4  # of staying at the backbone's factors, by the root of interactions + 1
_ITEM_PULL = 1e6  # the same, by interactions
PROXIMAL_SWEEPS = 15
PROXIMAL_UNIT = 50.0  # weight of a preference of `llm_weight` 1, beside a proximal term
_FOLD_IN_CONFIDENCE = 200.0
_FOLD_IN_USERS = 10_000  # by which the gain of folding in is measured, at most


class Factors(NamedTuple):
    """What a backbone makes of a matrix.

    Attributes
    ----------
    users, items : ndarrays of shape (n_users, factors) and (n_items, factors), float32
    bias : ndarray of shape (n_items, n_periods), float32, or None
        Of the items' scores, in each period.
    unit : float
        What a score of 1 is called in `margin`: 1 for ALS, whose scores are about 0 or 1.
    gain : float
        By which `solve_users` scales.
    center : ndarray of shape (n_items, factors) or None
        What a proximal term keeps the items near; None: `items`.
    own_bias : ndarray of shape (n_items,) or None
        The part of `bias` that the backbone learned.
    """

    users: np.ndarray
    items: np.ndarray
    bias: np.ndarray | None
    unit: float = 1.0
    gain: float = 1.0
    center: np.ndarray | None = None
    own_bias: np.ndarray | None = None


def popularity_bias(by_period, features):
    """Return the bias in [0, 1] of each item in each period, (n_items, n_periods) float64.

    It grows with popularity and saturates, so that the most popular items do not fill every
    list. With few interactions it leans on what the item's features lead to expect.

    Parameters
    ----------
    by_period : ndarray of shape (n_items, n_periods)
        Number of interactions of each item in each period.
    features : csr_matrix of shape (n_items, n_features) or None
    """
    popularity = by_period.sum(axis=1, keepdims=True)
    # As many as an item would have, were it always as popular as in the period.
    expected = popularity * (by_period.sum(axis=0) / max(by_period.sum(), 1))
    at_that_rate = popularity * (by_period + _NO_TREND) / (expected + _NO_TREND)
    bias = at_that_rate / (at_that_rate + _BIAS_HALF)
    if features is not None:
        ridge = Ridge(alpha=_BIAS_RIDGE, solver="sparse_cg").fit(features, bias)
        expected = ridge.predict(features).reshape(bias.shape)
        bias = (popularity * bias + _BIAS_PRIOR * expected) / (popularity + _BIAS_PRIOR)
    return bias


def expected_bias(new, features, bias, popularity):
    """Return the biases that the features of items without interactions lead to expect.

    Parameters
    ----------
    new, features : csr_matrices of shape (n_new, n_features) and (n_items, n_features)
    bias : ndarray of shape (n_items, n_periods)
        A multiple of `popularity_bias`.
    popularity : ndarray of shape (n_items,), int

    Returns
    -------
    bias : ndarray of shape (n_new, n_periods), float32

    Notes
    -----
    With n interactions, :math:`b = (n r + p e) / (n + p)`, where e is the ridge regression of r.
    So r is known from b and e, and its normal equations are those of a weighted regression.
    """
    n = np.maximum(popularity, 1)[:, np.newaxis]
    known = (popularity > 0)[:, np.newaxis]
    weights = 1 + known * _BIAS_PRIOR / n
    ones = [sp.csr_matrix(np.ones((m.shape[0], 1), dtype=np.float32)) for m in (features, new)]
    wide = sp.hstack([features, ones[0]], format="csr")
    moments = gram(wide, weights[:, 0])
    penalized = np.arange(features.shape[1])
    moments[penalized, penalized] += _BIAS_RIDGE
    rhs = wide.T @ (known * (n + _BIAS_PRIOR) / n * bias)
    coefficients = scipy.linalg.solve(moments, rhs, assume_a="pos")
    return (sp.hstack([new, ones[1]], format="csr") @ coefficients).astype(np.float32)


def no_watch(problem):
    pass


@dataclass(frozen=True)
class ALSBackbone:
    """Settings of the factorization; see `SelectiveLLMRegularizedMF` for their meaning."""

    factors: int
    regularization: float
    alpha: float
    iterations: int
    prior_strength: float
    item_bias: float
    missing_power: float
    recency_power: float
    num_threads: int
    cg_steps: int = CG_STEPS

    defaults: ClassVar[dict] = {
        "factors": 64,
        "regularization": 85.0,
        "alpha": 50.0,
        "iterations": 30,
    }
    further: ClassVar[dict] = {"cg_steps": (Integral, 1)}
    found: ClassVar[set] = {
        *("factors", "regularization", "alpha", "iterations", "prior_strength", "item_bias"),
        *("missing_power", "recency_power", "strengths", "trend_periods"),
    }

    @property
    def preference_unit(self):
        """What a preference of `llm_weight` 1 weighs: as much as an interaction."""
        return self.alpha

    @property
    def watched(self):
        """How many problems `fit` shows to its watcher."""
        return self.iterations

    def split(self, n_refine):
        """Return the backbone that leaves some of its sweeps to the judge, and their number."""
        n_sweeps = self.iterations // 2 if n_refine is None else n_refine
        if not 1 <= n_sweeps < self.iterations:
            raise ValueError(
                "With a judge, refine_iterations must be at least 1 and smaller than iterations, "
                f"which must be at least 2; got refine_iterations={n_refine} and "
                f"iterations={self.iterations}."
            )
        return replace(self, iterations=self.iterations - n_sweeps), n_sweeps

    def confidence(self, matrix):
        """Return the confidences alpha * strength, (n_users, n_items) csr float32."""
        with quiet():
            data = np.float32(self.alpha) * matrix.data
        return with_data(matrix, data)

    def recent_confidence(self, matrix, age):
        """Return confidences that fall with age, alpha * strength * 3 / (1 + age) ** p.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
            Strengths.
        age : ndarray of shape (nnz,), int
            0 for a user's newest item.
        """
        confidence = self.confidence(matrix)
        if self.recency_power > 0:
            decay = _RECENCY_GAIN / (1 + age.astype(np.float32)) ** np.float32(self.recency_power)
            confidence.data = confidence.data * decay
        return confidence

    def missing_weights(self, popularity):
        """Return the confidence of missing entries by item, (n_items,) float64, or None for 1.

        Popular items that a user does not have were more probably seen and passed over.
        """
        if self.missing_power == 0:
            return None
        padded = popularity + _POPULARITY_PAD
        return (padded / padded.mean()) ** self.missing_power

    def bias(self, by_period, features):
        """Return the bias of each item in each period, (n_items, n_periods) float32, or None.

        See `popularity_bias`.
        """
        if self.item_bias == 0:
            return None
        with quiet():
            return (self.item_bias * popularity_bias(by_period, features)).astype(np.float32)

    def start(self, n_users, n_items, random_state):
        """Return random factors, as implicit's own from the same generator."""
        shapes = (n_users, self.factors), (n_items, self.factors)
        return tuple(random_state.random(shape, dtype=np.float32) * 0.01 for shape in shapes)

    def resume(self, matrix, features, old, known, random_state):
        """Return what `fit` starts from, to go on from old factors.

        Parameters
        ----------
        matrix, features
            As in `fit`.
        old : Factors
            In the rows of `matrix` and of `features`; those that are not known hold anything.
        known : tuple of ndarrays of bool, (n_users,) and (n_items,)
            Which users and items there were.
        random_state : Generator

        Returns
        -------
        start : object
        """
        _, items = self.start(0, matrix.shape[1], random_state)
        popularity = count_interactions(matrix)
        users, items, _ = _resumed(self, matrix, features, old, known, items, None, popularity)
        return users, items

    def problem(
        self, matrix, features, factors, *, confidence=None, popularity=None, share=1.0, **pairs
    ):
        """Return the least squares problem of an interaction matrix.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
            Strengths.
        features : csr_matrix of shape (n_items, n_features), float32, or None
        factors : tuple of ndarrays
            User and item factors to start from, without bias columns.
        confidence : csr_matrix or None
            Instead of alpha * strength.
        popularity : ndarray of shape (n_items,), int, or None
            Number of interactions of each item; None: those in `matrix`.
        share : float, default=1
            Which part of all users the matrix has. Items are penalized by as much less, so that
            their factors are what all users would make of them.
        **pairs
            `slates` and `llm_weight` of `RegularizedALS`.

        Returns
        -------
        problem : RegularizedALS
        """
        try:
            with quiet():
                return RegularizedALS(
                    self.confidence(matrix) if confidence is None else confidence,
                    *factors,
                    regularization=self.regularization,
                    item_regularization=share
                    * self.regularization
                    * (1 if features is None else self.prior_strength),
                    missing_weights=self.missing_weights(
                        count_interactions(matrix) if popularity is None else popularity
                    ),
                    features=features,
                    num_threads=self.num_threads,
                    cg_steps=self.cg_steps,
                    **pairs,
                )
        except np.linalg.LinAlgError as error:  # of weights that are not finite, or nearly so
            raise ValueError(explain_not_finite(self, matrix.data)) from error

    def fit(self, matrix, features, start, watch=no_watch, *, by_period=None):
        """Factorize a matrix.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
            Strengths.
        features : csr_matrix of shape (n_items, n_features), float32, or None
        start : object
            From `start`.
        watch : callable
            Is shown the problem after each sweep.
        by_period : ndarray of shape (n_items, n_periods) or None
            Number of interactions of each item in each period. None: there is a single one.

        Returns
        -------
        factors : Factors
        """
        problem = self.problem(matrix, features, start)
        del start  # has been copied, and may be large
        for _ in range(self.iterations):
            problem.sweep()
            watch(problem)
        by_period = counted(matrix, by_period)
        return Factors(*problem.release(), self.bias(by_period, features))

    def refine(self, matrix, features, factors, n_sweeps, pairs, watch=no_watch):
        """Go on from factors, regularized by preferences.

        Parameters
        ----------
        matrix, features, watch
            As in `fit`.
        factors : Factors
        n_sweeps : int
        pairs : dict
            `slates` and `llm_weight` of `RegularizedALS`, or nothing.

        Returns
        -------
        factors : Factors
        """
        problem = self.problem(matrix, features, factors[:2], **pairs)
        for _ in range(n_sweeps):
            problem.sweep()
            watch(problem)
        return factors._replace(users=problem.user_factors, items=problem.item_factors)

    def finish(self, matrix, age, factors, pairs):
        """Solve for the users once more, by what is recent; their items stay.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
        age : ndarray of shape (nnz,), int
        factors, pairs
            As in `refine`.

        Returns
        -------
        factors : Factors
        """
        if self.recency_power == 0:
            return factors
        recent = self.recent_confidence(matrix, age)
        # Users are solved against fixed items, which need no prior.
        problem = self.problem(matrix, None, factors[:2], confidence=recent, **pairs)
        return factors._replace(users=problem.solve_users())

    def solve_users(self, matrix, factors, popularity, age=None, *, cg_steps=None):
        """Solve for users, items fixed.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
            Their interactions.
        factors : Factors
            Of which the users are read with `cg_steps` only: to start from.
        popularity : ndarray of shape (n_items,), int
            That the items were fitted with.
        age : ndarray of shape (nnz,), int, or None
            As in `recent_confidence`; None: all interactions count alike.
        cg_steps : int or None
            Of the solver; None: to convergence, from 0.

        Returns
        -------
        user_factors : ndarray of shape (n_users, factors), float32
        """
        confidence = self.confidence(matrix)
        if age is not None:
            confidence = self.recent_confidence(matrix, age)
        start = None if cg_steps is None else factors.users
        return self.fold_in(confidence, factors.items, popularity, start=start, cg_steps=cg_steps)

    def solve_judged(self, matrix, age, users, items, popularity, pairs):
        """Solve for users of whom a judge has preferences, items fixed.

        Parameters
        ----------
        matrix, age, popularity
            As in `solve_users`.
        users : ndarray of shape (n_users, factors), float32
            To start from.
        items : ndarray of shape (n_items, factors), float32
        pairs : dict
            As in `refine`; slates in the rows of `matrix`.

        Returns
        -------
        user_factors : ndarray of shape (n_users, factors), float32
        """
        problem = RegularizedALS(
            self.recent_confidence(matrix, age),
            users,
            items,
            regularization=self.regularization,
            missing_weights=self.missing_weights(popularity),
            num_threads=self.num_threads,
            **pairs,
        )
        for _ in range(_HINGE_STEPS - 1):
            problem.solve_users()
        return problem.solve_users()

    def place_items(self, new, features, gram, items, bias, own_bias, popularity):
        """Place items that nobody has by their features.

        Without interactions the normal equations of an item are those of its prior, shrunk by what
        missing entries say; their weight is on both sides.

        Parameters
        ----------
        new : csr_matrix of shape (n_new, n_features), float32
        features : csr_matrix of shape (n_items, n_features), float32
        gram : ndarray of shape (factors, factors), float64
            Of the users.
        items : ndarray of shape (n_items, factors), float32
            Without bias columns.
        bias : ndarray of shape (n_items, n_periods), float32
            0 periods if there is none.
        own_bias : None
            See `SampledBackbone.place_items`.
        popularity : ndarray of shape (n_items,), int

        Returns
        -------
        items, bias : ndarrays of shape (n_new, factors) and (n_new, n_periods), float32
        own_bias : None
        """
        weights = self.missing_weights(popularity)
        root = np.ones(len(items)) if weights is None else np.sqrt(weights)
        prior = FeaturePrior(features, root.astype(np.float32))
        prior.fit((root[:, np.newaxis] * items).astype(np.float32))
        penalty = self.regularization * self.prior_strength
        one = np.eye(len(gram))
        placed = prior.predict(new) @ np.linalg.solve(gram + penalty * one, penalty * one)
        return placed.astype(np.float32), expected_bias(new, features, bias, popularity), None

    def fold_in(self, confidence, item_factors, popularity, **solver):
        """Solve for users with the given confidences, items fixed.

        Parameters
        ----------
        confidence : csr_matrix of shape (n_users, n_items), float32
        item_factors : ndarray of shape (n_items, factors), float32
            Without bias column.
        popularity : ndarray of shape (n_items,), int
            That the items were fitted with.
        **solver
            `start` and `cg_steps` of ``_als.fold_in``.

        Returns
        -------
        user_factors : ndarray of shape (n_users, factors), float32
        """
        return fold_in(
            confidence,
            item_factors,
            regularization=self.regularization,
            missing_weights=self.missing_weights(popularity),
            num_threads=self.num_threads,
            **solver,
        )


@dataclass(frozen=True)
class SampledBackbone:
    """A model of `implicit` that learns from samples: what BPR and LMF have in common.

    Their factors are kept by a proximal term, the stronger the more interactions a user or item
    has, while the feature prior and preferences act (``_proximal``). All weights are relative to
    the spread of factors and scores, so that they mean the same for any model.
    """

    factors: int
    regularization: float
    iterations: int
    prior_strength: float
    item_bias: float
    num_threads: int
    fit_threads: int

    further: ClassVar[dict] = {"learning_rate": (Real, 0)}
    watched: ClassVar[int] = 1
    preference_unit: ClassVar[float] = PROXIMAL_UNIT
    found: ClassVar[set] = {
        *("factors", "regularization", "prior_strength", "item_bias", "trend_periods"),
    }

    def split(self, n_refine):
        """Return itself and the number of regularized sweeps, which come on top."""
        return self, PROXIMAL_SWEEPS if n_refine is None else n_refine

    def start(self, n_users, n_items, random_state):
        """Return the generator that implicit's model is given, and no factors."""
        return random_state, None

    def resume(self, matrix, features, old, known, random_state):
        """Return what `fit` starts from, to go on; as `ALSBackbone.resume`."""
        shape = matrix.shape[1], self.factors
        items = (random_state.random(shape, dtype=np.float32) - np.float32(0.5)) / self.factors
        bias = np.where(known[1], old.own_bias, 0).astype(np.float32)
        start = _resumed(self, matrix, features, old, known, items, bias, None)
        return random_state, start

    def train(self, matrix, start):
        """Fit the model, which knows of no features; return users, items and item biases."""
        random_state, resumed = start
        model = self._model(copy.deepcopy(random_state))
        if resumed is not None:
            model.user_factors, model.item_factors = self._put_together(*resumed)
        try:
            with single_threaded_blas():
                model.fit(self._weighted(matrix), show_progress=False)
        except ModelFitError as error:
            raise ValueError(explain_not_finite(self, matrix.data)) from error
        check_finite_factors(self, matrix.data, model.user_factors, model.item_factors)
        return self._take_apart(model.user_factors, model.item_factors)

    def fit(self, matrix, features, start, watch=no_watch, *, by_period=None):
        """Fit the model, and lean its items on features; as `ALSBackbone.fit`."""
        factors = self.lean(matrix, features, self.train(matrix, start), by_period=by_period)
        factors = factors._replace(gain=self._fold_in_gain(matrix, factors))
        watch(self._problem(matrix, features, factors, {}))
        return factors

    def lean(self, matrix, features, trained, *, by_period=None):
        """Return what a trained model becomes when its items lean on features.

        Parameters
        ----------
        matrix, features, by_period
            As in `fit`.
        trained : tuple of ndarrays
            From `train`.

        Returns
        -------
        factors : Factors
        """
        users, items, bias = trained
        popularity = count_interactions(matrix)
        known = popularity > 0
        center = items
        if features is not None:
            both = np.column_stack([items, bias])
            both = shrink_to_features(both, popularity, features, self._features_worth)
            items, bias = np.ascontiguousarray(both[:, :-1]), both[:, -1]
        factors = Factors(users, items, bias, center=center, own_bias=bias)
        bias = bias[:, np.newaxis]
        unit = _SPREADS_PER_UNIT * score_spread(*with_bias(users, items, bias), known)
        if self.item_bias > 0:
            gain = self.item_bias * SAMPLED_POPULARITY * unit
            bias = bias + gain * popularity_bias(counted(matrix, by_period), features)
        return factors._replace(bias=bias.astype(np.float32), unit=unit)

    def refine(self, matrix, features, factors, n_sweeps, pairs, watch=no_watch):
        """Let preferences and feature prior act; as `ALSBackbone.refine`."""
        if not pairs:
            return factors
        problem = self._problem(matrix, features, factors, pairs)
        for _ in range(n_sweeps):
            problem.sweep()
            watch(problem)
        return factors._replace(users=problem.user_factors, items=problem.item_factors)

    def finish(self, matrix, age, factors, pairs):
        """Return the factors: these models know of no recency."""
        return factors

    def solve_users(self, matrix, factors, popularity, age=None):
        """Solve for users, items fixed; as `ALSBackbone.solve_users`.

        The models have no way of their own to do so. It is done by least squares, 1 for
        interactions of confidence 200 and 0 for all else, as by ALS, and scaled to the size that
        the model's own users have.
        """
        energy = np.sum(factors.items.astype(np.float64) ** 2) / factors.items.shape[1]
        users = fold_in(
            _FOLD_IN_CONFIDENCE * self._weighted(matrix),
            factors.items,
            regularization=float(energy) or 1.0,
            num_threads=self.num_threads,
        )
        return np.float32(factors.gain) * users

    def place_items(self, new, features, gram, items, bias, own_bias, popularity):
        """Place items that nobody has by their features; as `ALSBackbone.place_items`.

        What the factors were before they leaned on features is not known, nor needed: the ridge
        regression of leaning factors, all weighing alike, has the same coefficients.

        Parameters
        ----------
        own_bias : ndarray of shape (n_items,), float32
            The part of `bias` that the model learned.

        Returns
        -------
        items, bias, own_bias : ndarrays, float32
        """
        prior = FeaturePrior(features, np.ones(len(items), dtype=np.float32))
        prior.fit(np.column_stack([items, own_bias]))
        placed = prior.predict(new)
        own = placed[:, -1]
        popular = expected_bias(new, features, bias - own_bias[:, np.newaxis], popularity)
        return np.ascontiguousarray(placed[:, :-1]), popular + own[:, np.newaxis], own

    @property
    def _features_worth(self):
        return _FEATURES_WORTH * self.prior_strength

    def _problem(self, matrix, features, factors, pairs):
        lengths, popularity = np.diff(matrix.indptr), count_interactions(matrix)
        metrics = score_metrics(factors.users[lengths > 0], factors.items[popularity > 0])
        return ProximalProblem(
            factors.users,
            factors.items if factors.center is None else factors.center,
            user_weights=user_pull(lengths),
            item_weights=item_pull(popularity, features is None),
            user_metric=metrics[0],
            item_metric=metrics[1],
            items_start=factors.items,
            features=features,
            prior_weight=_ITEM_PULL * self._features_worth,
            num_threads=self.num_threads,
            **pairs,
        )

    def _fold_in_gain(self, matrix, factors):
        """Return what brings folded-in users to the size of the fitted ones, by least squares."""
        able = np.flatnonzero(np.diff(matrix.indptr))
        able = able[:: 1 + len(able) // _FOLD_IN_USERS]
        if not len(able):
            return 1.0
        folded = self.solve_users(matrix[able], factors, None).astype(np.float64)
        known = count_interactions(matrix) > 0
        covariance = np.atleast_2d(np.cov(factors.items[known], rowvar=False, bias=True))
        moved = folded @ covariance
        size = np.sum(moved * folded)
        return float(max(np.sum(moved * factors.users[able]), 0) / size) if size > 0 else 1.0


@dataclass(frozen=True)
class BPRBackbone(SampledBackbone):
    """Bayesian personalized ranking (Rendle et al. 2009); strengths do not matter to it."""

    learning_rate: float = 0.05
    verify_negative_samples: bool = True

    defaults: ClassVar[dict] = {"factors": 64, "regularization": 0.05, "iterations": 100}
    further: ClassVar[dict] = SampledBackbone.further | {"verify_negative_samples": (bool, None)}

    def _model(self, random_state):
        return BayesianPersonalizedRanking(
            self.factors,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            iterations=self.iterations,
            num_threads=self.fit_threads,
            verify_negative_samples=self.verify_negative_samples,
            random_state=random_state,
        )

    @staticmethod
    def _weighted(matrix):
        return with_data(matrix, np.ones(matrix.nnz, dtype=np.float32))

    @staticmethod
    def _take_apart(users, items):
        """Take the items' biases out of the last column; the users have ones there."""
        return users[:, :-1].copy(), items[:, :-1].copy(), items[:, -1].copy()

    @staticmethod
    def _put_together(users, items, bias):
        return with_bias(users, items, bias[:, np.newaxis])


@dataclass(frozen=True)
class LMFBackbone(SampledBackbone):
    """Logistic matrix factorization (Johnson 2014)."""

    alpha: float = 10.0
    learning_rate: float = 1.0
    neg_prop: int = 30

    defaults: ClassVar[dict] = {
        "factors": 16,
        "regularization": 6.0,
        "alpha": 10.0,
        "iterations": 50,
    }
    further: ClassVar[dict] = SampledBackbone.further | {"neg_prop": (Integral, 1)}
    found: ClassVar[set] = SampledBackbone.found | {"alpha", "strengths"}

    def _model(self, random_state):
        return LogisticMatrixFactorization(
            self.factors,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            iterations=self.iterations,
            neg_prop=self.neg_prop,
            num_threads=self.fit_threads,
            random_state=random_state,
        )

    def _weighted(self, matrix):
        with quiet():
            data = np.float32(self.alpha) * matrix.data
        return with_data(matrix, data)

    @staticmethod
    def _take_apart(users, items):
        """Take out the last two columns; the users' biases do not rank items, and are left out."""
        return users[:, :-2].copy(), items[:, :-2].copy(), items[:, -2].copy()

    @staticmethod
    def _put_together(users, items, bias):
        users, items = with_bias(users, items, bias[:, np.newaxis])
        return np.pad(users, ((0, 0), (0, 1))), np.pad(items, ((0, 0), (0, 1)), constant_values=1)


BACKBONES = {"als": ALSBackbone, "bpr": BPRBackbone, "lmf": LMFBackbone}


def make_backbone(name, given, further, shared, *, num_threads, seeded):
    """Make a backbone of an estimator's parameters.

    Parameters
    ----------
    name : str
        Of `BACKBONES`.
    given : dict
        `factors`, `regularization`, `alpha` and `iterations`; None: the backbone's default.
    further : dict or None
        `backbone_params`.
    shared : dict
        Settings of one or more backbones, from which it takes its own.
    num_threads : int
        0: all cores.
    seeded : bool
        Whether the result must be the same in each call.

    Raises
    ------
    ValueError, TypeError
        For settings that the backbone does not have, and values out of range.
    """
    kind = BACKBONES[name]
    resolved = dict(kind.defaults)
    for parameter, value in given.items():
        if value is None:
            continue
        if parameter not in resolved:
            raise ValueError(
                f"backbone={name!r} has no {parameter}: leave it at None; got {value!r}."
            )
        resolved[parameter] = value
    further = {} if further is None else further
    if not isinstance(further, dict):
        raise TypeError(
            f"backbone_params must be a dict of settings or None; got a {type(further).__name__}."
        )
    for parameter, value in further.items():
        if parameter not in kind.further:
            hint = " It is a parameter of the estimator itself." if parameter in given else ""
            raise ValueError(
                f"backbone={name!r} has no setting {parameter!r} in backbone_params; it has "
                f"{sorted(kind.further)}.{hint}"
            )
        _check_setting(f"backbone_params[{parameter!r}]", value, *kind.further[parameter])
    names = {field.name for field in fields(kind)}
    threads = {"num_threads": num_threads, "fit_threads": 1 if seeded else num_threads}
    settings = {key: value for key, value in (shared | threads).items() if key in names}
    return kind(**settings, **resolved, **further)


def _check_setting(label, value, kind, low):
    if kind is bool:
        if not isinstance(value, bool):
            raise TypeError(f"{label} must be True or False; got {value!r}.")
        return
    what = "an integer" if kind is Integral else "a number"
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{label} must be {what}; got {value!r}.")
    if not low <= value < np.inf or value == 0:
        bound = f">= {low}" if low else "> 0"
        raise ValueError(f"{label} must be {what} {bound}; got {value!r}.")


def _resumed(backbone, matrix, features, old, known, items, bias, popularity):
    """Return users, items and biases to go on from.

    New items are what their features lead to expect, else what `items` and `bias` hold; new users
    are folded in.
    """
    known_users, known_items = known
    items = np.where(known_items[:, np.newaxis], old.items, items).astype(np.float32)
    if features is not None and not known_items.all():
        both = items if bias is None else np.column_stack([items, bias])
        worth = _FEATURES_WORTH * backbone.prior_strength
        weights = np.where(known_items, count_interactions(matrix), 0)
        expected = shrink_to_features(both, weights, features, worth)[~known_items]
        items[~known_items] = expected[:, : items.shape[1]]
        if bias is not None:
            bias[~known_items] = expected[:, -1]
    users = np.array(old.users, dtype=np.float32)
    if not known_users.all():
        new = np.flatnonzero(~known_users)
        fixed = old._replace(items=items)
        users[new] = backbone.solve_users(matrix[new], fixed, popularity)
    return users, items, bias


def score_spread(users, items, known):
    """Return the standard deviation of a user's scores over known items, root mean square."""
    covariance = np.atleast_2d(np.cov(items[known], rowvar=False, bias=True))
    variance = np.mean(np.einsum("uk,kl,ul->u", users, covariance, users, optimize=True))
    return float(np.sqrt(max(variance, np.finfo(np.float32).tiny)))


def user_pull(lengths):
    """Return how strongly users with so many interactions stay at their factors."""
    return _USER_PULL * np.sqrt(lengths + 1.0)


def item_pull(popularity, alone):
    """Return how strongly items stay at their factors; `alone`: where no features pull."""
    return _ITEM_PULL * (popularity + float(alone))


def score_metrics(users, items):
    """Return by how much scores change with users, and with items: two (k, k) matrices, float64.

    Mean squared change of a user's scores, apart from what all scores have in common; and of an
    item's scores. A little of the identity keeps them regular.
    """
    items = items.astype(np.float64)
    users = users.astype(np.float64)
    moments = np.atleast_2d(np.cov(items, rowvar=False, bias=True)), users.T @ users / len(users)
    return [m + (1e-2 * np.trace(m) / len(m) + 1e-12) * np.eye(len(m)) for m in moments]


def counted(matrix, by_period):
    """Return the interactions of each item in each period; None: there is a single one."""
    return count_interactions(matrix)[:, np.newaxis] if by_period is None else by_period


def with_bias(user_factors, item_factors, bias, shares=None):
    """Append columns of biases, so that products of factors are scores.

    Parameters
    ----------
    user_factors, item_factors : ndarrays of shape (n_users, k) and (n_items, k), float32
    bias : ndarray of shape (n_items, n_periods), float32, or None
        None: nothing is appended.
    shares : ndarray of shape (n_users, n_periods), float32, or None
        The users' periods; None: there is a single one.

    Returns
    -------
    user_factors, item_factors : ndarrays, float32
        With `n_periods` more columns.
    """
    if bias is None:
        return user_factors, item_factors
    if shares is None:
        shares = np.ones((len(user_factors), 1), dtype=np.float32)
    return np.hstack([user_factors, shares]), np.hstack([item_factors, bias])

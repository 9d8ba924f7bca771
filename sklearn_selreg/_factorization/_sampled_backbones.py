"""BPR and LMF backbones by `implicit`, with features and preferences added by proximal terms."""

import copy
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.cpu.lmf import LogisticMatrixFactorization
from implicit.recommender_base import ModelFitError

from .._data._csr import count_interactions, with_data
from .._data._finite import quiet
from ._als import fold_in
from ._anchoring import (
    FEATURES_WORTH,
    ITEM_PULL,
    USER_FEATURES_WORTH,
    covariance,
    item_pull,
    resume_factors,
    score_metrics,
    score_spread,
    user_pull,
)
from ._factors import NO_WATCH, Factors, counted, expected_bias, popularity_bias, with_bias
from ._feature_prior import FeaturePrior
from ._finite import check_finite_factors, check_size, explain_not_finite
from ._preferences import as_arguments
from ._proximal import ProximalProblem, lean_on, shrink_to_features
from ._threads import single_threaded_blas

# Tuned for BPR and LMF on the `valid` fold of MovieLens, see benchmarks/quality/backbones.py.
_SPREADS_PER_UNIT = 10.0  # standard deviations of scores per unit of margin and item bias
SAMPLED_POPULARITY = 2.0  # negatives are sampled by popularity, which removes it from the scores
PROXIMAL_SWEEPS = 15
PROXIMAL_UNIT = 50.0  # weight of a preference with `llm_weight` 1, relative to proximal terms
_FOLD_IN_CONFIDENCE = 200.0
_FOLD_IN_USERS = 10_000  # maximum number of users to estimate the gain of folding in


class _EnoughEpochs(Exception):
    """Stops the training of an `implicit` model, which offers no other way."""


@dataclass(frozen=True)
class SampledBackbone:
    """Common base of BPR and LMF, models of `implicit` trained on sampled negatives.

    A proximal term, which grows with the interactions of a user or item, anchors their factors
    while the feature prior and preferences act (``_proximal``). All weights are relative to the
    spread of factors and scores, so they have the same meaning for any model.
    """

    factors: int
    regularization: float
    iterations: int
    prior_strength: float
    item_bias: float
    num_threads: int
    fit_threads: int

    preference_unit: ClassVar[float] = PROXIMAL_UNIT
    found: ClassVar[set] = {
        *("factors", "regularization", "prior_strength", "item_bias", "popularity_periods"),
    }

    @property
    def watched(self):
        """Maximum number of calls of the watch by `fit`."""
        return self.iterations

    def split(self, n_refine):
        """Return itself and the number of regularized sweeps, which are additional."""
        return self, PROXIMAL_SWEEPS if n_refine is None else n_refine

    def start(self, n_users, n_items, random_state):
        """Return the starting point for `fit`: a generator for implicit's model, and no factors."""
        return random_state, None

    def resume(self, matrix, features, old, known, random_state):
        """Return a starting point that continues from old factors, as `ALSBackbone.resume`."""
        shape = matrix.shape[1], self.factors
        items = (random_state.random(shape, dtype=np.float32) - np.float32(0.5)) / self.factors
        bias = np.where(known[1], old.own_bias, 0).astype(np.float32)
        start = resume_factors(self, matrix, features, old, known, items, bias, None)
        return random_state, start

    def train(self, matrix, start, after_epoch=lambda trained: False):
        """Fit the model without features; return users, items and item biases.

        `after_epoch` is called after each epoch with a function that returns the current ones, and
        stops the training if it returns True.
        """
        random_state, resumed = start
        model = self._model(copy.deepcopy(random_state))
        if resumed is not None:
            model.user_factors, model.item_factors = self._put_together(*resumed)

        def trained():
            check_finite_factors(self, matrix.data, model.user_factors, model.item_factors)
            return self._take_apart(model.user_factors, model.item_factors)

        def after_epoch_of_model(*details):
            if after_epoch(trained):
                raise _EnoughEpochs

        try:
            with single_threaded_blas(), suppress(_EnoughEpochs):
                model.fit(
                    self._weighted(matrix), show_progress=False, callback=after_epoch_of_model
                )
        except ModelFitError as error:
            raise ValueError(explain_not_finite(self, matrix.data)) from error
        check_size(self, model.user_factors, model.item_factors)
        return trained()

    def fit(self, matrix, features, start, watch=NO_WATCH, *, by_period=None, user_features=None):
        """Fit the model and shrink its factors toward features, as `ALSBackbone.fit`."""

        def leaning(trained):
            how = {"by_period": by_period, "user_features": user_features}
            factors = self.lean(matrix, features, trained, **how)
            gain = self._fold_in_gain(matrix, factors._replace(users=trained[0]))
            return factors._replace(gain=gain)

        trained = self.train(matrix, start, lambda trained: watch(lambda: leaning(trained())))
        factors = leaning(trained)
        watch.check(self._problem(matrix, features, factors, None))
        return factors

    def lean(self, matrix, features, trained, *, by_period=None, user_features=None):
        """Shrink the users and items of a trained model toward predictions from features.

        Parameters
        ----------
        matrix, features, by_period, user_features
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
        center, coefficients = items, None
        if user_features is not None:
            lengths = np.diff(matrix.indptr)
            users = shrink_to_features(users, lengths, user_features, USER_FEATURES_WORTH)
            coefficients = FeaturePrior(user_features).coefficients(users)
        if features is not None:
            both = np.column_stack([items, bias])
            both = shrink_to_features(both, popularity, features, self._features_worth)
            items, bias = np.ascontiguousarray(both[:, :-1]), both[:, -1]
        factors = Factors(
            users, items, bias, center=center, own_bias=bias, user_coefficients=coefficients
        )
        bias = bias[:, np.newaxis]
        unit = _SPREADS_PER_UNIT * score_spread(*with_bias(users, items, bias), known)
        if self.item_bias > 0:
            gain = self.item_bias * SAMPLED_POPULARITY * unit
            bias = bias + gain * popularity_bias(counted(matrix, by_period), features)
        return factors._replace(bias=bias.astype(np.float32), unit=unit)

    def refine(
        self,
        matrix,
        features,
        factors,
        n_sweeps,
        preferences,
        watch=NO_WATCH,
        *,
        user_features=None,
    ):
        """Apply preferences and feature prior, as `ALSBackbone.refine`.

        Users are anchored at their factors after shrinkage toward features.
        """
        if preferences is None:
            return factors
        problem = self._problem(matrix, features, factors, preferences)

        def refined():
            return factors._replace(users=problem.user_factors, items=problem.item_factors)

        for _ in range(n_sweeps):
            problem.sweep()
            if watch(refined, problem):
                break
        return refined()

    def finish(self, matrix, age, factors, preferences, *, user_features=None):
        """Return the factors unchanged: these models have no recency weighting."""
        return factors

    def solve_users(self, matrix, factors, popularity, age=None, *, prior=None, cache=None):
        """Solve for users with fixed items, as `ALSBackbone.solve_users`.

        The models have no fold-in of their own. Users are computed by least squares as in ALS (1
        with confidence 200 for interactions, 0 otherwise), scaled to the size of the model's own
        users, and then shrunk toward their features in the same way.
        """
        energy = np.sum(factors.items.astype(np.float64) ** 2) / factors.items.shape[1]
        users = fold_in(
            _FOLD_IN_CONFIDENCE * self._weighted(matrix),
            factors.items,
            regularization=float(energy) or 1.0,
            num_threads=self.num_threads,
            cache=cache,
        )
        users = np.float32(factors.gain) * users
        if prior is None:
            return users
        return lean_on(prior, users, np.diff(matrix.indptr), USER_FEATURES_WORTH)

    def place_items(self, new, features, gram, items, bias, own_bias, popularity):
        """Compute factors of items without interactions, as `ALSBackbone.place_items`.

        The factors before shrinkage toward features are not needed: an unweighted ridge regression
        of the shrunk factors has the same coefficients.

        Parameters
        ----------
        own_bias : ndarray of shape (n_items,), float32
            Part of `bias` that the model learned itself.

        Returns
        -------
        items, bias, own_bias : ndarrays, float32
        """
        placed = new @ FeaturePrior(features).coefficients(np.column_stack([items, own_bias]))
        own = placed[:, -1]
        popular = expected_bias(new, features, bias - own_bias[:, np.newaxis], popularity)
        return np.ascontiguousarray(placed[:, :-1]), popular + own[:, np.newaxis], own

    @property
    def _features_worth(self):
        return FEATURES_WORTH * self.prior_strength

    def _problem(self, matrix, features, factors, preferences):
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
            prior_weight=ITEM_PULL * self._features_worth,
            num_threads=self.num_threads,
            **as_arguments(preferences),
        )

    def _fold_in_gain(self, matrix, factors):
        """Least squares scale factor from folded-in users to the fitted ones."""
        able = np.flatnonzero(np.diff(matrix.indptr))
        able = able[:: 1 + len(able) // _FOLD_IN_USERS]
        if not len(able):
            return 1.0
        folded = self.solve_users(matrix[able], factors, None).astype(np.float64)
        known = count_interactions(matrix) > 0
        moved = folded @ covariance(factors.items[known])
        size = np.sum(moved * folded)
        return float(max(np.sum(moved * factors.users[able]), 0) / size) if size > 0 else 1.0


@dataclass(frozen=True)
class BPRBackbone(SampledBackbone):
    """Bayesian personalized ranking (Rendle et al. 2009); ignores strengths."""

    learning_rate: float = 0.05
    verify_negative_samples: bool = True

    defaults: ClassVar[dict] = {"factors": 64, "regularization": 0.05, "iterations": 100}

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
        """Split off the items' biases in the last column, which is 1 for users."""
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
        """Split off the bias columns; users' biases do not affect rankings and are dropped."""
        return users[:, :-2].copy(), items[:, :-2].copy(), items[:, -2].copy()

    @staticmethod
    def _put_together(users, items, bias):
        users, items = with_bias(users, items, bias[:, np.newaxis])
        return np.pad(users, ((0, 0), (0, 1))), np.pad(items, ((0, 0), (0, 1)), constant_values=1)

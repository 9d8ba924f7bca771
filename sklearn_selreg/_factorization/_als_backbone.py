"""ALS backbone: translates settings into confidences, weights and biases of a matrix.

The solvers are in ``_als`` and ``_proximal``. All backbones have the same methods: `split`,
`start`, `resume`, `fit`, `refine`, `finish` and `solve_users`.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from .._data._csr import count_interactions, with_data
from .._data._finite import quiet
from ._als import CG_STEPS, RegularizedALS, fold_in
from ._anchoring import resume_factors
from ._factors import NO_WATCH, POPULARITY_PAD, Factors, counted, expected_bias, popularity_bias
from ._feature_prior import FeaturePrior
from ._finite import explain_not_finite
from ._preferences import as_arguments

_HINGE_STEPS = 10  # solves for a judged user, each with the currently violated preferences
_RECENCY_GAIN = 3.0  # confidence of the newest interaction, relative to no recency
_ENTRIES_PER_CHUNK = 2**20


@dataclass(frozen=True)
class ALSBackbone:
    """Settings of the factorization; see `SelectiveLLMRegularizedMF` for their meaning.

    The last two reproduce the conventions of other libraries; see `from_factors`.
    """

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
    base_confidence: float = 0.0
    count_offset: float | None = None

    defaults: ClassVar[dict] = {
        "factors": 64,
        "regularization": 85.0,
        "alpha": 50.0,
        "iterations": 20,
    }
    found: ClassVar[set] = {
        *("factors", "regularization", "alpha", "iterations", "prior_strength", "item_bias"),
        *("missing_power", "recency_power", "strengths", "popularity_periods"),
    }

    @property
    def preference_unit(self):
        """Weight of a preference with `llm_weight` 1: that of an interaction."""
        return self.alpha

    @property
    def watched(self):
        """Maximum number of calls of the watch by `fit`."""
        return self.iterations

    def split(self, n_refine):
        """Reserve sweeps for the judge; return the backbone with fewer sweeps, and their number."""
        n_sweeps = self.iterations // 2 if n_refine is None else n_refine
        if not 1 <= n_sweeps < self.iterations:
            raise ValueError(
                "With a judge, iterations must be at least 2, and refine_iterations at least 1 and "
                f"less than iterations; got refine_iterations={n_refine} and "
                f"iterations={self.iterations}."
            )
        return replace(self, iterations=self.iterations - n_sweeps), n_sweeps

    def confidence(self, matrix):
        """Confidences alpha * strength + `base_confidence`, (n_users, n_items) csr float32."""
        with quiet():
            data = np.float32(self.alpha) * matrix.data
            if self.base_confidence:
                data += np.float32(self.base_confidence)
        return with_data(matrix, data)

    def user_penalty(self, confidence):
        """L2 penalty of users: a number, or (n_users,) float32 if it depends on their counts."""
        if self.count_offset is None:
            return self.regularization
        # Users without interactions get zero factors at any penalty, but it must be positive.
        counts = np.maximum(np.diff(confidence.indptr), 1)
        return np.float32(self.regularization) * (counts + np.float32(self.count_offset))

    def recent_confidence(self, matrix, age):
        """Confidences that decay with age, alpha * strength * 3 / (1 + age) ** p.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
            Strengths.
        age : ndarray of shape (nnz,), int
            0 for a user's newest item.
        """
        confidence = self.confidence(matrix)
        if self.recency_power > 0:
            for start in range(0, len(age), _ENTRIES_PER_CHUNK):
                chunk = slice(start, start + _ENTRIES_PER_CHUNK)
                with quiet():  # an infinite power keeps only the newest interaction
                    decay = (1 + age[chunk].astype(np.float32)) ** np.float32(self.recency_power)
                confidence.data[chunk] *= _RECENCY_GAIN / decay
        return confidence

    def missing_weights(self, popularity):
        """Confidence of missing entries by item, (n_items,) float64, or None for 1.

        A user without interaction with a popular item more probably saw it and passed it over.
        """
        if self.missing_power == 0:
            return None
        padded = popularity + POPULARITY_PAD
        return (padded / padded.mean()) ** self.missing_power

    def bias(self, by_period, features):
        """Bias of each item in each period, (n_items, n_periods) float32, or None if 0.

        See `popularity_bias`.
        """
        if self.item_bias == 0:
            return None
        with quiet():
            return (self.item_bias * popularity_bias(by_period, features)).astype(np.float32)

    def start(self, n_users, n_items, random_state):
        """Random initial factors, equal to those of implicit with the same generator."""
        shapes = (n_users, self.factors), (n_items, self.factors)
        return tuple(random_state.random(shape, dtype=np.float32) * 0.01 for shape in shapes)

    def resume(self, matrix, features, old, known, random_state):
        """Return a starting point for `fit` that continues from old factors.

        Parameters
        ----------
        matrix, features
            As in `fit`.
        old : Factors
            Aligned with the rows of `matrix` and `features`; rows of new users and items are
            ignored.
        known : tuple of ndarrays of bool, (n_users,) and (n_items,)
            Which users and items have old factors.
        random_state : Generator

        Returns
        -------
        start : object
        """
        _, items = self.start(0, matrix.shape[1], random_state)
        popularity = count_interactions(matrix)
        users, items, _ = resume_factors(
            self, matrix, features, old, known, items, None, popularity
        )
        return users, items

    def problem(
        self,
        matrix,
        features,
        factors,
        *,
        user_features=None,
        user_prior=None,
        confidence=None,
        popularity=None,
        share=1.0,
        preferences=None,
    ):
        """Set up the least squares problem of an interaction matrix.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
            Strengths.
        features : csr_matrix of shape (n_items, n_features), float32, or None
        factors : tuple of ndarrays
            User and item factors to start from, without bias columns.
        user_features : csr_matrix of shape (n_users, n_user_features), float32, or None
        user_prior : ndarray of shape (n_users, factors), float32, or None
            Prior mean of the users, instead of `user_features`.
        confidence : csr_matrix or None
            Confidences instead of alpha * strength.
        popularity : ndarray of shape (n_items,), int, or None
            Number of interactions of each item. If None, counted in `matrix`.
        share : float, default=1
            Fraction of all users that `matrix` contains. It multiplies the penalty of the items,
            so that their factors estimate those of a fit on all users.
        preferences : PreferenceLoss or None

        Returns
        -------
        problem : RegularizedALS
        """
        try:
            with quiet():
                return RegularizedALS(
                    matrix if confidence is None else confidence,
                    *factors,
                    alpha=self.alpha if confidence is None else 1.0,
                    regularization=self.regularization,
                    item_regularization=share
                    * self.regularization
                    * (1 if features is None else self.prior_strength),
                    missing_weights=self.missing_weights(
                        count_interactions(matrix) if popularity is None else popularity
                    ),
                    features=features,
                    user_features=user_features,
                    user_prior=user_prior,
                    num_threads=self.num_threads,
                    cg_steps=self.cg_steps,
                    **as_arguments(preferences),
                )
        except np.linalg.LinAlgError as error:  # weights that overflow, or nearly so
            raise ValueError(explain_not_finite(self, matrix.data)) from error

    def fit(self, matrix, features, start, watch=NO_WATCH, *, by_period=None, user_features=None):
        """Factorize a matrix.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
            Strengths.
        features : csr_matrix of shape (n_items, n_features), float32, or None
        start : object
            From `start` or `resume`.
        watch : Watch
            Called after each sweep; may stop the fit.
        by_period : ndarray of shape (n_items, n_periods) or None
            Number of interactions of each item in each period. If None, there is a single period.
        user_features : csr_matrix of shape (n_users, n_user_features), float32, or None

        Returns
        -------
        factors : Factors
        """
        problem = self.problem(matrix, features, start, user_features=user_features)
        del start  # copied, and possibly large
        bias = self.bias(counted(matrix, by_period), features)
        return _sweep(problem, self.iterations, watch, Factors(None, None, bias))

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
        """Continue from given factors, regularized by preferences.

        Parameters
        ----------
        matrix, features, watch, user_features
            As in `fit`.
        factors : Factors
        n_sweeps : int
        preferences : PreferenceLoss or None

        Returns
        -------
        factors : Factors
        """
        problem = self.problem(
            matrix, features, factors[:2], user_features=user_features, preferences=preferences
        )
        return _sweep(problem, n_sweeps, watch, factors)

    def finish(self, matrix, age, factors, preferences, *, user_features=None):
        """Solve for the users to convergence with recency weighting; the items are fixed.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
        age : ndarray of shape (nnz,), int
        factors, preferences, user_features
            As in `refine`.

        Returns
        -------
        factors : Factors
        """
        recent = self.recent_confidence(matrix, age) if self.recency_power > 0 else None
        # The items are fixed and need no prior.
        problem = self.problem(
            matrix,
            None,
            factors[:2],
            user_prior=factors.expected_users(user_features),
            confidence=recent,
            preferences=preferences,
        )
        return factors._replace(users=problem.solve_users(last=True))

    def solve_users(
        self, matrix, factors, popularity, age=None, *, prior=None, cg_steps=None, cache=None
    ):
        """Solve for users with fixed items.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
            The users' interactions.
        factors : Factors
            Its users are the starting point if `cg_steps` is given, else they are ignored.
        popularity : ndarray of shape (n_items,), int
            Popularity of the items in the fit.
        age : ndarray of shape (nnz,), int, or None
            As in `recent_confidence`. If None, there is no recency weighting.
        prior : ndarray of shape (n_users, factors), float32, or None
            Prior mean of the users from their features; None without user features.
        cg_steps : int or None
            Number of conjugate gradient steps. If None, solve to convergence from 0.
        cache : dict or None
            As in ``_als.fold_in``.

        Returns
        -------
        user_factors : ndarray of shape (n_users, factors), float32
        """
        confidence = self.confidence(matrix)
        if age is not None:
            confidence = self.recent_confidence(matrix, age)
        start = None if cg_steps is None else factors.users
        solver = {"prior": prior, "start": start, "cg_steps": cg_steps, "cache": cache}
        return self.fold_in(confidence, factors.items, popularity, **solver)

    def solve_judged(self, matrix, age, users, items, popularity, preferences, prior=None):
        """Solve for users with preferences from a judge, with fixed items.

        Parameters
        ----------
        matrix, age, popularity, prior
            As in `solve_users`.
        users : ndarray of shape (n_users, factors), float32
            Starting point.
        items : ndarray of shape (n_items, factors), float32
        preferences : PreferenceLoss
            Its slates refer to the rows of `matrix`.

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
            user_prior=prior,
            num_threads=self.num_threads,
            **as_arguments(preferences),
        )
        for _ in range(_HINGE_STEPS - 1):
            problem.solve_users()
        return problem.solve_users(last=True)

    def place_items(self, new, features, gram, items, bias, own_bias, popularity):
        """Compute factors of items without interactions from their features.

        The normal equations of such an item contain only its prior and the missing entries; the
        weight of the missing entries is on both sides and cancels.

        Parameters
        ----------
        new : csr_matrix of shape (n_new, n_features), float32
        features : csr_matrix of shape (n_items, n_features), float32
        gram : ndarray of shape (factors, factors), float64
            Gram matrix of the users.
        items : ndarray of shape (n_items, factors), float32
            Without bias columns.
        bias : ndarray of shape (n_items, n_periods), float32
            Without a bias, n_periods is 0.
        own_bias : None
            See `SampledBackbone.place_items`.
        popularity : ndarray of shape (n_items,), int

        Returns
        -------
        items, bias : ndarrays of shape (n_new, factors) and (n_new, n_periods), float32
        own_bias : None
        """
        weights = self.missing_weights(popularity)
        coefficients = FeaturePrior(features, weights).coefficients(items)
        penalty = self.regularization * self.prior_strength
        one = np.eye(len(gram))
        placed = new @ coefficients @ np.linalg.solve(gram + penalty * one, penalty * one)
        return placed.astype(np.float32), expected_bias(new, features, bias, popularity), None

    def fold_in(self, confidence, item_factors, popularity, **solver):
        """Solve for users with given confidences and fixed items.

        Parameters
        ----------
        confidence : csr_matrix of shape (n_users, n_items), float32
        item_factors : ndarray of shape (n_items, factors), float32
            Without bias columns.
        popularity : ndarray of shape (n_items,), int
            Popularity of the items in the fit.
        **solver
            `prior`, `start`, `cg_steps` and `cache` of ``_als.fold_in``.

        Returns
        -------
        user_factors : ndarray of shape (n_users, factors), float32
        """
        return fold_in(
            confidence,
            item_factors,
            regularization=self.user_penalty(confidence),
            missing_weights=self.missing_weights(popularity),
            num_threads=self.num_threads,
            **solver,
        )


def _sweep(problem, n_sweeps, watch, factors):
    """Run sweeps; return `factors` updated with those of the problem."""

    def swept(*, last=False):
        coefficients = problem.user_coefficients
        both = problem.take_factors() if last else (problem.user_factors, problem.item_factors)
        return factors._replace(users=both[0], items=both[1], user_coefficients=coefficients)

    for _ in range(n_sweeps):
        problem.sweep()
        if watch(swept, problem):
            break
    return swept(last=True)

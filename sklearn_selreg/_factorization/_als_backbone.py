"""The factorizations as users set them: confidences, weights and biases of a matrix.

Knows matrices and settings; what is done with them is in ``_als`` and ``_proximal``. All backbones
have the same methods: `split`, `start`, `resume`, `fit`, `refine`, `finish` and `solve_users`.
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

_HINGE_STEPS = 10  # solutions for a judged user, each with the preferences that are unmet then
_RECENCY_GAIN = 3.0  # confidence of the newest interaction, relative to no recency
_ENTRIES_PER_CHUNK = 2**20


@dataclass(frozen=True)
class ALSBackbone:
    """Settings of the factorization; see `SelectiveLLMRegularizedMF` for their meaning.

    The last two are those of libraries whose factors are given: see `from_factors`.
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
        """What a preference of `llm_weight` 1 weighs: as much as an interaction."""
        return self.alpha

    @property
    def watched(self):
        """How often `fit` calls its watch, at most."""
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
        """Return the confidences of interactions, (n_users, n_items) csr float32.

        They are alpha * strength, and on top of that `base_confidence`.
        """
        with quiet():
            data = np.float32(self.alpha) * matrix.data
            if self.base_confidence:
                data += np.float32(self.base_confidence)
        return with_data(matrix, data)

    def user_penalty(self, confidence):
        """Return the L2 penalty of users by their interactions: a number, or (n_users,) float32."""
        if self.count_offset is None:
            return self.regularization
        # Users without interactions are 0 whatever theirs is, but it must be above 0.
        counts = np.maximum(np.diff(confidence.indptr), 1)
        return np.float32(self.regularization) * (counts + np.float32(self.count_offset))

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
            for start in range(0, len(age), _ENTRIES_PER_CHUNK):
                chunk = slice(start, start + _ENTRIES_PER_CHUNK)
                with quiet():  # a power that is infinite leaves the newest interaction only
                    decay = (1 + age[chunk].astype(np.float32)) ** np.float32(self.recency_power)
                confidence.data[chunk] *= _RECENCY_GAIN / decay
        return confidence

    def missing_weights(self, popularity):
        """Return the confidence of missing entries by item, (n_items,) float64, or None for 1.

        Popular items that a user does not have were more probably seen and passed over.
        """
        if self.missing_power == 0:
            return None
        padded = popularity + POPULARITY_PAD
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
        """Return the least squares problem of an interaction matrix.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
            Strengths.
        features : csr_matrix of shape (n_items, n_features), float32, or None
        factors : tuple of ndarrays
            User and item factors to start from, without bias columns.
        user_features : csr_matrix of shape (n_users, n_user_features), float32, or None
        user_prior : ndarray of shape (n_users, factors), float32, or None
            Instead of `user_features`: what users are expected to be.
        confidence : csr_matrix or None
            Instead of alpha * strength.
        popularity : ndarray of shape (n_items,), int, or None
            Number of interactions of each item; None: those in `matrix`.
        share : float, default=1
            Which part of all users the matrix has. Items are penalized by as much less, so that
            their factors are what all users would make of them.
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
        except np.linalg.LinAlgError as error:  # of weights that are not finite, or nearly so
            raise ValueError(explain_not_finite(self, matrix.data)) from error

    def fit(self, matrix, features, start, watch=NO_WATCH, *, by_period=None, user_features=None):
        """Factorize a matrix.

        Parameters
        ----------
        matrix : csr_matrix of shape (n_users, n_items), float32
            Strengths.
        features : csr_matrix of shape (n_items, n_features), float32, or None
        start : object
            From `start`.
        watch : Watch
            Is called after each sweep, and may end them.
        by_period : ndarray of shape (n_items, n_periods) or None
            Number of interactions of each item in each period. None: there is a single one.
        user_features : csr_matrix of shape (n_users, n_user_features), float32, or None

        Returns
        -------
        factors : Factors
        """
        problem = self.problem(matrix, features, start, user_features=user_features)
        del start  # has been copied, and may be large
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
        """Go on from factors, regularized by preferences.

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
        """Solve for the users to convergence, by what is recent; their items stay.

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
        # Users are solved against fixed items, which need no prior themselves.
        problem = self.problem(
            matrix,
            None,
            factors[:2],
            user_prior=factors.expected_users(user_features),
            confidence=recent,
            preferences=preferences,
        )
        return factors._replace(users=problem.solve_users(last=True))

    def solve_users(self, matrix, factors, popularity, age=None, *, prior=None, cg_steps=None):
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
        prior : ndarray of shape (n_users, factors), float32, or None
            What users are expected to be from their features; None: they have none.
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
        solver = {"prior": prior, "start": start, "cg_steps": cg_steps}
        return self.fold_in(confidence, factors.items, popularity, **solver)

    def solve_judged(self, matrix, age, users, items, popularity, preferences, prior=None):
        """Solve for users of whom a judge has preferences, items fixed.

        Parameters
        ----------
        matrix, age, popularity, prior
            As in `solve_users`.
        users : ndarray of shape (n_users, factors), float32
            To start from.
        items : ndarray of shape (n_items, factors), float32
        preferences : PreferenceLoss
            Slates in the rows of `matrix`.

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
        coefficients = FeaturePrior(features, weights).coefficients(items)
        penalty = self.regularization * self.prior_strength
        one = np.eye(len(gram))
        placed = new @ coefficients @ np.linalg.solve(gram + penalty * one, penalty * one)
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
            `prior`, `start` and `cg_steps` of ``_als.fold_in``.

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
    """Make sweeps; return `factors` with those of the problem in their place."""

    def swept(*, last=False):
        coefficients = problem.user_coefficients
        both = problem.take_factors() if last else (problem.user_factors, problem.item_factors)
        return factors._replace(users=both[0], items=both[1], user_coefficients=coefficients)

    for _ in range(n_sweeps):
        problem.sweep()
        if watch(swept, problem):
            break
    return swept(last=True)

"""The factorization as users set it: confidences, weights and biases of a matrix.

Knows matrices and settings; what is done with them is in ``_als``.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from ._als import RegularizedALS, fold_in

_POPULARITY_PAD = 5.0  # interactions added to each item before its missing entries are weighed
_BIAS_HALF = 10.0  # interactions at which an item has half of the bias it can get
_BIAS_PRIOR = 3.0  # interactions that the bias expected from an item's features is worth
_RECENCY_GAIN = 3.0  # confidence of the newest interaction, relative to no recency


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

    def confidence(self, matrix):
        """Return the confidences alpha * strength, (n_users, n_items) csr float32."""
        return sp.csr_matrix(
            (np.float32(self.alpha) * matrix.data, matrix.indices, matrix.indptr), matrix.shape
        )

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

    def bias(self, popularity, features):
        """Return the bias of each item, (n_items,) float32, or None for none.

        It grows with popularity and saturates, so that the most popular items do not fill every
        list. With few interactions it leans on what the item's features lead to expect.
        """
        if self.item_bias == 0:
            return None
        bias = popularity / (popularity + _BIAS_HALF)
        if features is not None:
            expected = Ridge(alpha=1.0, solver="sparse_cg").fit(features, bias).predict(features)
            bias = (popularity * bias + _BIAS_PRIOR * expected) / (popularity + _BIAS_PRIOR)
        return (self.item_bias * bias).astype(np.float32)

    def start(self, n_users, n_items, random_state):
        """Return random factors, as implicit's own from the same generator."""
        shapes = (n_users, self.factors), (n_items, self.factors)
        return tuple(random_state.random(shape, dtype=np.float32) * 0.01 for shape in shapes)

    def problem(self, matrix, features, factors, *, confidence=None, **pairs):
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
        **pairs
            `slates`, `llm_weight`, `margin` and `item_bias` of `RegularizedALS`; the bias is for
            pairs alone.

        Returns
        -------
        problem : RegularizedALS
        """
        return RegularizedALS(
            self.confidence(matrix) if confidence is None else confidence,
            *factors,
            regularization=self.regularization,
            item_regularization=self.regularization
            * (1 if features is None else self.prior_strength),
            missing_weights=self.missing_weights(matrix.getnnz(axis=0)),
            features=features,
            num_threads=self.num_threads,
            **pairs,
        )

    def fold_in(self, confidence, item_factors, popularity):
        """Solve for users with the given confidences, items fixed.

        Parameters
        ----------
        confidence : csr_matrix of shape (n_users, n_items), float32
        item_factors : ndarray of shape (n_items, factors), float32
            Without bias column.
        popularity : ndarray of shape (n_items,), int
            That the items were fitted with.

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
        )


def with_bias(user_factors, item_factors, bias):
    """Append the item biases as a column, and ones for the users; None appends nothing."""
    if bias is None:
        return user_factors, item_factors
    ones = np.ones((len(user_factors), 1), dtype=np.float32)
    return np.hstack([user_factors, ones]), np.hstack([item_factors, bias[:, np.newaxis]])

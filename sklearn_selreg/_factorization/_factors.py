"""Factors of a model, and item biases as additional columns."""

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from .._data._csr import count_interactions, gram

POPULARITY_PAD = 5.0  # pseudo-interactions of each item in the weights of missing entries
_BIAS_HALF = 5.0  # interactions at which an item reaches half of the maximum bias
_BIAS_PRIOR = 3.0  # weight, in interactions, of the bias predicted from features
_BIAS_RIDGE = 1.0  # ridge penalty of that prediction
_NO_TREND = 0.2  # weight, in interactions within a period, of an item's overall popularity


class Factors(NamedTuple):
    """Result of factorizing a matrix.

    Attributes
    ----------
    users, items : ndarrays of shape (n_users, factors) and (n_items, factors), float32
    bias : ndarray of shape (n_items, n_periods), float32, or None
        Additive bias of each item's score in each period.
    unit : float
        Score difference that corresponds to 1 in `margin`: 1 for ALS, whose scores are about 0 or
        1.
    gain : float
        Scale factor of the users in `solve_users`.
    center : ndarray of shape (n_items, factors) or None
        Center of the items' proximal term. If None, `items`.
    own_bias : ndarray of shape (n_items,) or None
        Part of `bias` that the backbone learned itself.
    user_coefficients : ndarray of shape (n_user_features, factors), float32, or None
        Coefficients of the regression of users on their features.
    """

    users: np.ndarray
    items: np.ndarray
    bias: np.ndarray | None
    unit: float = 1.0
    gain: float = 1.0
    center: np.ndarray | None = None
    own_bias: np.ndarray | None = None
    user_coefficients: np.ndarray | None = None

    def expected_users(self, user_features):
        """Users predicted from features, (n_users, factors) float32; None without features."""
        return None if user_features is None else user_features @ self.user_coefficients


def popularity_bias(by_period, features):
    """Bias in [0, 1] of each item in each period, (n_items, n_periods) float64.

    It grows with popularity and saturates, so that the most popular items do not dominate every
    list. For items with few interactions it is shrunk toward a prediction from features.

    Parameters
    ----------
    by_period : ndarray of shape (n_items, n_periods)
        Number of interactions of each item in each period.
    features : csr_matrix of shape (n_items, n_features) or None
    """
    popularity = by_period.sum(axis=1, keepdims=True)
    # Extrapolate to the interactions an item would have at its popularity in the period.
    expected = popularity * (by_period.sum(axis=0) / max(by_period.sum(), 1))
    at_that_rate = popularity * (by_period + _NO_TREND) / (expected + _NO_TREND)
    bias = at_that_rate / (at_that_rate + _BIAS_HALF)
    if features is not None:
        expected = _with_ones(features) @ _regress(features, bias)
        bias = (popularity * bias + _BIAS_PRIOR * expected) / (popularity + _BIAS_PRIOR)
    return bias


def expected_bias(new, features, bias, popularity):
    """Biases of items without interactions, predicted from their features.

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
    Solving for r turns its normal equations into those of a weighted regression of known b.
    """
    n = np.maximum(popularity, 1)[:, np.newaxis]
    known = (popularity > 0)[:, np.newaxis]
    weights = 1 + known * _BIAS_PRIOR / n
    coefficients = _regress(features, known * (n + _BIAS_PRIOR) / n * bias, weights[:, 0])
    return (_with_ones(new) @ coefficients).astype(np.float32)


def _regress(features, weighted, weights=None):
    """Coefficients of a ridge regression on features; the last one is the intercept.

    Parameters
    ----------
    features : csr_matrix of shape (n_items, n_features)
    weighted : ndarray of shape (n_items, n_targets)
        Targets times weights.
    weights : ndarray of shape (n_items,) or None
        If None, 1.

    Returns
    -------
    coefficients : ndarray of shape (n_features + 1, n_targets), float64
    """
    wide = _with_ones(features)
    moments = gram(wide, weights)
    penalized = np.arange(features.shape[1])
    moments[penalized, penalized] += _BIAS_RIDGE
    return scipy.linalg.solve(moments, wide.T @ weighted, assume_a="pos")


def _with_ones(features):
    ones = sp.csr_matrix(np.ones((features.shape[0], 1), dtype=np.float32))
    return sp.hstack([features, ones], format="csr")


class Watch:
    """Callback for sweeps or epochs; this base class does nothing."""

    def __call__(self, factors, problem=None):
        """Inspect the state after a sweep; return True to stop.

        Parameters
        ----------
        factors : callable
            Returns the current `Factors`.
        problem : object or None
            The optimization problem; None after an epoch of an external library.
        """
        return False

    def check(self, problem):
        """Inspect a problem that has not been swept."""


NO_WATCH = Watch()


def counted(matrix, by_period):
    """Interactions of each item in each period; without `by_period` there is a single period."""
    return count_interactions(matrix)[:, np.newaxis] if by_period is None else by_period


def with_bias(user_factors, item_factors, bias, shares=None):
    """Append biases as columns, so that inner products of factors are scores.

    Parameters
    ----------
    user_factors, item_factors : ndarrays of shape (n_users, k) and (n_items, k), float32
    bias : ndarray of shape (n_items, n_periods), float32, or None
        If None, nothing is appended.
    shares : ndarray of shape (n_users, n_periods), float32, or None
        The users' distribution over periods. If None, there is a single period.

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

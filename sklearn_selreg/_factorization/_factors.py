"""The factors of a model, and the columns of item biases beside them."""

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from .._data._csr import count_interactions, gram

POPULARITY_PAD = 5.0  # interactions added to each item before its missing entries are weighed
_BIAS_HALF = 5.0  # interactions at which an item has half of the bias it can get
_BIAS_PRIOR = 3.0  # interactions that the bias expected from an item's features is worth
_BIAS_RIDGE = 1.0  # penalty of what features lead to expect of the bias
_NO_TREND = 0.2  # interactions of an item in a period that its overall popularity is worth there


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
    user_coefficients : ndarray of shape (n_user_features, factors), float32, or None
        Of the regression of users on their features.
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
        """Return what users are expected to be, (n_users, factors) float32; None without."""
        return None if user_features is None else user_features @ self.user_coefficients


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
        expected = _with_ones(features) @ _regress(features, bias)
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
    coefficients = _regress(features, known * (n + _BIAS_PRIOR) / n * bias, weights[:, 0])
    return (_with_ones(new) @ coefficients).astype(np.float32)


def _regress(features, weighted, weights=None):
    """Return the coefficients of a ridge regression on features, the last one its intercept.

    Parameters
    ----------
    features : csr_matrix of shape (n_items, n_features)
    weighted : ndarray of shape (n_items, n_targets)
        Targets times weights.
    weights : ndarray of shape (n_items,) or None
        None: 1.

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
    """Looks at a loop of sweeps or epochs; this one does nothing."""

    def __call__(self, factors, problem=None):
        """Look at what there is after a sweep, and return whether to make no other one.

        Parameters
        ----------
        factors : callable
            Returns the `Factors`.
        problem : object or None
            What is solved; None after an epoch of a library.
        """
        return False

    def check(self, problem):
        """Look at a problem without having swept it."""


NO_WATCH = Watch()


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

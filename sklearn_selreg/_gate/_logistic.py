"""Penalized logistic regression with offsets, and its cross-validation over groups of pairs."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.model_selection import GroupKFold

_TOLERANCE = 1e-8  # of the gradient, per pair


@dataclass(frozen=True, eq=False)
class KnownPairs:
    """Pairs with a known outcome: outcome, offset, weight and group, each of shape (n_pairs,)."""

    right: np.ndarray
    offset: np.ndarray
    weights: np.ndarray
    groups: np.ndarray

    def __getitem__(self, which):
        return KnownPairs(
            self.right[which], self.offset[which], self.weights[which], self.groups[which]
        )

    def weights_without_offset(self):
        """Return weights with which outcomes are as frequent as without the offset.

        With w(right) / w(wrong) = exp(-offset). Of all such weights these are never large (overlap
        weights: Li, Morgan & Zaslavsky 2018, "Balancing covariates via propensity score
        weighting").
        """
        return self.weights * expit(np.where(self.right, -self.offset, self.offset))


def held_out_log_odds(columns, known, C, n_folds):
    """Return the cross-validated log-odds of each pair, with its offset, (n_pairs,) float64."""
    log_odds = known.offset.copy()
    for train, test in GroupKFold(n_folds).split(columns, known.right, known.groups):
        log_odds[test] += columns[test] @ fit_logistic(columns[train], known[train], C)
    return log_odds


def held_out_losses(columns, known, C, n_folds):
    """Return the cross-validated log-loss of each pair times its weight, (n_pairs,) float64."""
    log_odds = held_out_log_odds(columns, known, C, n_folds)
    return known.weights * np.logaddexp(0, np.where(known.right, -log_odds, log_odds))


def fit_logistic(columns, known, C):
    """Fit a penalized logistic model without intercept, its log-odds on top of the offset.

    scikit-learn's has no offset. Newton's method with a trust region does not diverge where
    offsets are large.

    Returns
    -------
    coef : ndarray of shape (n_columns,), float64
    """
    if not columns.shape[1] or known.right.all() or not known.right.any():
        return np.zeros(columns.shape[1])
    sign = np.where(known.right, 1.0, -1.0)

    def loss(coef):
        margin = sign * (known.offset + columns @ coef)
        wrong = known.weights * expit(-margin)
        value = known.weights @ np.logaddexp(0, -margin) + coef @ coef / (2 * C)
        return value, coef / C - (sign * wrong) @ columns

    def curvature(coef):
        p = expit(known.offset + columns @ coef)
        hessian = (columns * (known.weights * p * (1 - p))[:, np.newaxis]).T @ columns
        hessian[np.diag_indices_from(hessian)] += 1 / C
        return hessian

    start = np.zeros(columns.shape[1])
    options = {"gtol": _TOLERANCE * len(columns)}
    return minimize(loss, start, jac=True, hess=curvature, method="trust-exact", options=options).x

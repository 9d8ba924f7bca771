"""Penalized logistic regression with offsets, and its cross-validation over groups of pairs."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from .._utils._warn import warn
from ..exceptions import GateWarning

_LAST = 1e-4  # largest change of log-odds by the last step; what is left to do is about its square
_MOST_STEPS = 1000


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


class CrossValidation:
    """Log-odds and losses of pairs by models that were fitted without the pair's group.

    A fold's fit starts where its last one ended, with whatever columns and penalty that was.
    """

    def __init__(self, columns, known, n_folds):
        self.columns, self.known, self.n_folds = columns, known, n_folds
        self._folds = list(GroupKFold(n_folds).split(columns, known.right, known.groups))
        self._coefs = np.zeros((n_folds, columns.shape[1]))

    def log_odds(self, selected, C):
        """Return the log-odds of each pair by some columns, with its offset, (n_pairs,) float64."""
        log_odds, columns = self.known.offset.copy(), self.columns[:, selected]
        for coef, (train, test) in zip(self._coefs, self._folds, strict=True):
            coef[selected] = fit_logistic(columns[train], self.known[train], C, coef[selected])
            log_odds[test] += columns[test] @ coef[selected]
        return log_odds

    def losses(self, selected, C):
        """Return the log-loss of each pair times its weight, (n_pairs,) float64."""
        log_odds = self.log_odds(selected, C)
        right, weights = self.known.right, self.known.weights
        return weights * np.logaddexp(0, np.where(right, -log_odds, log_odds))


def fit_logistic(columns, known, C, start=None):
    """Fit a penalized logistic model without intercept, its log-odds on top of the offset.

    scikit-learn's has no offset. Newton's steps are shortened where they lead too far: between
    points at which no log-odds differ by more than d, curvature grows at most exp(d)-fold (Bach
    2010, "Self-concordant analysis for logistic regression"). So the loss falls all along the first
    log(1 + d) / d of a step that changes log-odds by up to d, and is lower after all of it where d
    is at most 1. This converges from anywhere, however large offsets are.

    Parameters
    ----------
    columns : ndarray of shape (n_pairs, n_columns)
    known : KnownPairs
    C : float
        Inverse strength of the penalty; inf: none.
    start : ndarray of shape (n_columns,) or None
        Where to begin; None: at 0.

    Returns
    -------
    coef : ndarray of shape (n_columns,), float64

    Warns
    -----
    GateWarning
        If it does not converge, as next to nothing keeps coefficients finite.
    """
    n_columns = columns.shape[1]
    if not n_columns or known.right.all() or not known.right.any():
        return np.zeros(n_columns)
    sign = np.where(known.right, 1.0, -1.0)

    def look(coef):
        """Return the predicted probabilities of the other outcomes, and the gradient."""
        wrong = expit(-sign * (known.offset + columns @ coef))
        return wrong, coef / C - (known.weights * sign * wrong) @ columns

    coef = np.zeros(n_columns) if start is None else start
    wrong, gradient = look(coef)
    for _ in range(_MOST_STEPS):
        scaled = columns * np.sqrt(known.weights * wrong * (1 - wrong))[:, np.newaxis]
        step = -np.linalg.lstsq(scaled.T @ scaled + np.eye(n_columns) / C, gradient)[0]
        farthest = np.abs(columns @ step).max()
        if farthest <= _LAST:
            return coef + step
        share, safe = 1.0, 1.0 if farthest <= 1 else np.log1p(farthest) / farthest
        wrong, gradient = look(coef + step)
        while share > safe and gradient @ step > 0:  # past the lowest point
            share = max(share / 2, safe)
            wrong, gradient = look(coef + share * step)
        coef = coef + share * step
    warn(
        f"A logistic regression of {len(columns)} pairs has not converged after {_MOST_STEPS} "
        f"steps: the last one changed log-odds by up to {farthest:g}. A smaller C makes it easier.",
        GateWarning,
    )
    return coef

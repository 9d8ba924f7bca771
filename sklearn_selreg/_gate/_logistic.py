"""Penalized logistic regression with offsets, and its cross-validation over groups of pairs."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from .._utils._warn import warn
from ..exceptions import GateWarning

_LAST = 1e-4  # tolerance of a step in log-odds; the remaining error is about its square
_MOST_STEPS = 1000


@dataclass(frozen=True, eq=False)
class KnownPairs:
    """Outcomes, offsets, weights and groups of calibration pairs, each of shape (n_pairs,)."""

    right: np.ndarray
    offset: np.ndarray
    weights: np.ndarray
    groups: np.ndarray

    def __getitem__(self, which):
        return KnownPairs(
            self.right[which], self.offset[which], self.weights[which], self.groups[which]
        )

    def weights_without_offset(self):
        """Weights that restore the outcome frequencies without the offset.

        They satisfy w(right) / w(wrong) = exp(-offset). Among all such weights, overlap weights
        are bounded (Li, Morgan & Zaslavsky 2018, "Balancing covariates via propensity score
        weighting").
        """
        return self.weights * expit(np.where(self.right, -self.offset, self.offset))


class CrossValidation:
    """Out-of-fold log-odds and losses of pairs, with folds of whole groups.

    Each fit is warm-started from the last fit of the fold, even with other columns or penalty.
    """

    def __init__(self, columns, known, n_folds):
        self.columns, self.known, self.n_folds = columns, known, n_folds
        self._folds = list(GroupKFold(n_folds).split(columns, known.right, known.groups))
        self._coefs = np.zeros((n_folds, columns.shape[1]))

    def log_odds(self, selected, C):
        """Out-of-fold log-odds from the selected columns plus offset, (n_pairs,) float64."""
        log_odds, columns = self.known.offset.copy(), self.columns[:, selected]
        for coef, (train, test) in zip(self._coefs, self._folds, strict=True):
            coef[selected] = fit_logistic(columns[train], self.known[train], C, coef[selected])
            log_odds[test] += columns[test] @ coef[selected]
        return log_odds

    def losses(self, selected, C):
        """Weighted out-of-fold log-loss of each pair, (n_pairs,) float64."""
        log_odds = self.log_odds(selected, C)
        right, weights = self.known.right, self.known.weights
        return weights * np.logaddexp(0, np.where(right, -log_odds, log_odds))


def fit_logistic(columns, known, C, start=None):
    """Fit a penalized logistic regression with an offset and without intercept.

    scikit-learn's logistic regression does not support offsets. Newton steps are damped if
    necessary: between points whose log-odds differ by at most d, the curvature grows at most
    exp(d)-fold (Bach 2010, "Self-concordant analysis for logistic regression"). The loss therefore
    decreases along the first log(1 + d) / d of a step that changes log-odds by up to d, and over
    the full step if d is at most 1. This converges from any starting point and for any offsets.

    Parameters
    ----------
    columns : ndarray of shape (n_pairs, n_columns)
    known : KnownPairs
    C : float
        Inverse strength of the penalty; inf means no penalty.
    start : ndarray of shape (n_columns,) or None
        Starting point. If None, 0.

    Returns
    -------
    coef : ndarray of shape (n_columns,), float64

    Warns
    -----
    GateWarning
        If it does not converge, because the penalty is too weak to bound the coefficients.
    """
    n_columns = columns.shape[1]
    if not n_columns or known.right.all() or not known.right.any():
        return np.zeros(n_columns)
    sign = np.where(known.right, 1.0, -1.0)

    def look(coef):
        """Return the predicted probabilities of the wrong outcomes, and the gradient."""
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
        while share > safe and gradient @ step > 0:  # past the minimum along the step
            share = max(share / 2, safe)
            wrong, gradient = look(coef + share * step)
        coef = coef + share * step
    warn(
        f"The logistic regression of {len(columns)} pairs has not converged after {_MOST_STEPS} "
        f"steps: the last one changed log-odds by up to {farthest:g}. Decrease C.",
        GateWarning,
    )
    return coef

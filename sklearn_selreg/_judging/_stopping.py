"""Whether a judge is worth asking further, as told by its first calibration slates.

A calibration slate hides likes among other items, all drawn alike, so who knows nothing gets half
of the pairs of a hidden like and another item right. Asking stops if the 95 % interval of the
fraction of pairs that the judge gets right (equal ratings count half) lies below 0.58: of such a
judge the gate uses little or nothing. The fraction is a mean over slates, which are independent,
weighted by how many pairs tell. What is not clear after so few slates is not stopped.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

from ._slates import place_slates

FIRST_SLATES = 30
"""Calibration slates that are asked first."""

_LEAST_SLATES = 20  # that must have been answered
_USEFUL = 0.58
_CONFIDENCE = 0.95


class EarlyAccuracy(NamedTuple):
    """Accuracy on the first calibration slates: mean over slates, and its confidence interval."""

    n_slates: int
    mean: float
    low: float
    high: float

    @property
    def is_useless(self):
        """Whether the judge is surely no better than one of whom the gate uses little."""
        return self.high < _USEFUL

    def __str__(self):
        mean, low, high, useful = (f"{100 * x:.0f} %" for x in (*self[1:], _USEFUL))
        return (
            f"of pairs of a like that is hidden from it and another item it gets {mean} right "
            f"(95 % interval over {self.n_slates} slates: {low} to {high}; chance: 50 %, and "
            f"below {useful} hardly a preference would be used)"
        )


def early_accuracy(judged, interactions):
    """Measure how often a judge is right; None if too few slates tell.

    Parameters
    ----------
    judged : JudgedSlates or None
    interactions : Interactions
    """
    if judged is None:
        return None
    right, weights = slate_accuracies(place_slates(judged, interactions)[0])
    n_slates = len(right)
    if n_slates < _LEAST_SLATES:
        return None
    weights = weights / weights.sum()
    mean = float(weights @ right)
    variance = np.sum((weights * (right - mean)) ** 2) * n_slates / (n_slates - 1)
    half = t.ppf((1 + _CONFIDENCE) / 2, n_slates - 1) * np.sqrt(variance)
    return EarlyAccuracy(n_slates, mean, max(mean - half, 0.0), min(mean + half, 1.0))


def slate_accuracies(slates):
    """Return how often a judge is right in each slate that tells, and the weights of these slates.

    Returns
    -------
    right : ndarray of shape (n,), float64
        Fraction of the pairs of a hidden like and another item that the judge gets right.
    weights : ndarray of shape (n,), float64
        Inverse of its variance for a judge that guesses, as of Mann and Whitney's statistic.
    """
    gaps, _ = slates.gaps()
    hidden, other = slates.relevance == 1, slates.relevance == 0
    pairs = hidden[:, :, np.newaxis] & other[:, np.newaxis] & ~np.isnan(gaps)
    n_pairs = pairs.sum(axis=(1, 2))
    n_right = np.where(pairs, (1 + np.sign(gaps)) / 2, 0).sum(axis=(1, 2))
    n_rated = pairs.any(axis=1).sum(axis=1) + pairs.any(axis=2).sum(axis=1)
    tells = n_pairs > 0
    return n_right[tells] / n_pairs[tells], 12 * n_pairs[tells] / (n_rated[tells] + 1)

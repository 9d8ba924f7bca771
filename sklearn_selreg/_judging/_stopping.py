"""Early stopping for judges that are hardly better than chance on the first calibration slates.

A calibration slate hides known positives among other items drawn from the same distribution, so a
guessing judge orders half of the pairs of a positive and another item correctly. Querying stops if
the 95 % confidence interval of the judge's accuracy on these pairs (equal ratings count half) lies
below 0.58: the gate would use few or none of its preferences. The accuracy is a mean over slates,
which are independent, weighted by precision. Unclear cases are not stopped.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

from ._slates import place_slates

FIRST_SLATES = 30
"""Number of calibration slates queried first."""

_LEAST_SLATES = 20  # minimum number of answered slates
_USEFUL = 0.58
_CONFIDENCE = 0.95


class EarlyAccuracy(NamedTuple):
    """Mean accuracy on the first calibration slates, with its confidence interval."""

    n_slates: int
    mean: float
    low: float
    high: float

    @property
    def is_useless(self):
        """Whether the judge is clearly too inaccurate for the gate to use much of it."""
        return self.high < _USEFUL

    def __str__(self):
        mean, low, high, useful = (f"{100 * x:.0f} %" for x in (*self[1:], _USEFUL))
        return (
            f"it orders {mean} of the pairs of a hidden positive and another item correctly "
            f"(95 % confidence interval over {self.n_slates} slates: {low} to {high}; 50 % is "
            f"chance, and below {useful} hardly any preference would be used)"
        )


def early_accuracy(judged, interactions):
    """Estimate the accuracy of a judge; None with too few informative slates.

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
    """Accuracy in each slate with informative pairs, and the weights of these slates.

    Returns
    -------
    right : ndarray of shape (n,), float64
        Fraction of the pairs of a hidden positive and another item ordered correctly.
    weights : ndarray of shape (n,), float64
        Inverse variance of that fraction for a guessing judge (Mann-Whitney statistic).
    """
    gaps, _ = slates.gaps()
    hidden, other = slates.relevance == 1, slates.relevance == 0
    pairs = hidden[:, :, np.newaxis] & other[:, np.newaxis] & ~np.isnan(gaps)
    n_pairs = pairs.sum(axis=(1, 2))
    n_right = np.where(pairs, (1 + np.sign(gaps)) / 2, 0).sum(axis=(1, 2))
    n_rated = pairs.any(axis=1).sum(axis=1) + pairs.any(axis=2).sum(axis=1)
    tells = n_pairs > 0
    return n_right[tells] / n_pairs[tells], 12 * n_pairs[tells] / (n_rated[tells] + 1)

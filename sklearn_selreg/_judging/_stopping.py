"""Is a judge worth asking further? Told by its first calibration slates.

A calibration slate hides likes among other items, all drawn alike, so who knows nothing gets half
of the pairs of a hidden like and another item right, and so does popularity, by and large. Asking
stops if the 95 % interval of the mean over slates of the fraction of pairs that the judge gets
right (equal ratings count half) lies below 0.6: of such a judge the gate uses little or nothing.
What is not clear after so few slates is not stopped.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from ._slates import place_slates

FIRST_SLATES = 30
"""Calibration slates that are asked first."""

_LEAST_SLATES = 20  # that must have been answered
_USEFUL = 0.6
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class EarlyAccuracy:
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
        return (
            f"of pairs of a like that is hidden from it and another item it gets {self.mean:.0%} "
            f"right (95 % interval over {self.n_slates} slates: {self.low:.0%} to {self.high:.0%}; "
            f"chance: 50 %, and below {_USEFUL:.0%} hardly a preference would be used)"
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
    right = slate_accuracies(place_slates(judged, interactions)[0])
    n_slates = len(right)
    if n_slates < _LEAST_SLATES:
        return None
    half = t.ppf((1 + _CONFIDENCE) / 2, n_slates - 1) * right.std(ddof=1) / np.sqrt(n_slates)
    mean = float(right.mean())
    return EarlyAccuracy(n_slates, mean, max(mean - half, 0.0), min(mean + half, 1.0))


def slate_accuracies(slates):
    """Return of each slate with such pairs the fraction of them that the judge gets right."""
    gaps, _ = slates.gaps()
    hidden, other = slates.relevance == 1, slates.relevance == 0
    pairs = hidden[:, :, np.newaxis] & other[:, np.newaxis] & ~np.isnan(gaps)
    n_pairs = pairs.sum(axis=(1, 2))
    n_right = np.where(pairs, (1 + np.sign(gaps)) / 2, 0).sum(axis=(1, 2))
    return n_right[n_pairs > 0] / n_pairs[n_pairs > 0]

"""Range and scale of the training evidence, beyond which a gate does not extrapolate."""

import warnings
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TrainingRange:
    """Maximum gap and prior evidence, and the distribution of context.

    Attributes
    ----------
    largest_gap : float
        Maximum absolute value.
    largest_prior : ndarray of shape (n_prior,)
        Maximum absolute values.
    context_limits : tuple of two ndarrays of shape (n_context,)
    context_mean, context_scale : ndarrays of shape (n_context,)
        The scale of a constant column is 1.
    """

    largest_gap: float
    largest_prior: np.ndarray
    context_limits: tuple[np.ndarray, np.ndarray]
    context_mean: np.ndarray
    context_scale: np.ndarray

    @classmethod
    def of(cls, gap, prior, context):
        """Compute the range and scale of the evidence of pairs."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(Mean of empty|All-NaN|Degrees)", RuntimeWarning)
            limits = np.nanmin(context, axis=0), np.nanmax(context, axis=0)
            mean = np.nan_to_num(np.nanmean(context, axis=0))
            deviation = np.nan_to_num(np.nanstd(context, axis=0))
        scale = np.where(deviation > 0, deviation, 1)
        return cls(np.abs(gap).max(), np.abs(prior).max(axis=0), limits, mean, scale)

    def clip(self, gap, prior, context):
        """Clip evidence to the training range."""
        return (
            np.clip(gap, -self.largest_gap, self.largest_gap),
            np.clip(prior, -self.largest_prior, self.largest_prior),
            np.clip(context, *self.context_limits),
        )

    def standardize(self, context):
        """Standardize context by the training mean and scale; NaN becomes 0, the mean."""
        return (np.nan_to_num(context, nan=self.context_mean) - self.context_mean) / (
            self.context_scale
        )

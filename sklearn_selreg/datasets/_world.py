"""Ground truth of synthetic data: tastes and item popularity."""

from functools import cached_property

import joblib
import numpy as np
from scipy.special import expit, ndtri
from scipy.stats import rankdata

_LIKED = 1.0  # affinity at which half of the users who come across an item accept it
_SHIFT = 10.0  # popularity decreases like (rank + shift) ** -exponent


class World:
    """Factors of users and items, and the order of items by popularity.

    Immutable once `popularity` is set. Copies are the same object, so that cloning a judge is
    cheap.

    Parameters
    ----------
    user_factors : ndarray of shape (n_users, n_factors), float32
        Rows have norm 1.
    item_factors : ndarray of shape (n_items, n_factors), float32
        Standard normal.
    by_rank : ndarray of shape (n_items,), int64
        Items in descending order of popularity.
    exponent, taste : float
    """

    popularity: np.ndarray  # number of interactions per item, set after sampling

    def __init__(self, user_factors, item_factors, by_rank, exponent, taste):
        self.user_factors = user_factors
        self.item_factors = item_factors
        self.by_rank = by_rank
        self.exponent = exponent
        self.taste = taste

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        return f"<world of {len(self.user_factors)} users and {len(self.item_factors)} items>"

    @cached_property
    def fingerprint(self):
        """Hash of the ground truth."""
        return joblib.hash(
            [self.user_factors, self.item_factors, self.popularity, self.exponent, self.taste]
        )

    def affinity(self, users, items):
        """Return how well items match users, float64; arguments are broadcast."""
        users, items = np.broadcast_arrays(users, items)
        return np.einsum(
            "...k,...k->...", self.user_factors[users], self.item_factors[items], dtype=np.float64
        )

    def utility(self, users, items):
        """Return the log probability of taking items, up to a constant; arguments are broadcast."""
        chance = self.taste * (self.affinity(users, items) - _LIKED)
        return self._log_weights[items] - np.logaddexp(0, -chance)

    def is_liked(self, affinity, uniform):
        """Return whether items with given affinities are accepted, from uniform random numbers."""
        return uniform < expit(self.taste * (affinity - _LIKED))

    def _cumulated(self, rank):
        """Integral of popularity up to a rank."""
        if self.exponent == 1:
            return np.log(rank + _SHIFT)
        power = 1 - self.exponent
        return (rank + _SHIFT) ** power / power

    def come_across(self, uniform):
        """Transform uniform numbers in [0, 1) into items drawn by popularity."""
        n_items = len(self.by_rank)
        first, last = self._cumulated(np.array([0.0, n_items]))
        cumulated = first + uniform * (last - first)
        if self.exponent == 1:
            rank = np.exp(cumulated)
        else:
            power = 1 - self.exponent
            rank = (cumulated * power) ** (1 / power)
        return self.by_rank[np.clip((rank - _SHIFT).astype(np.int64), 0, n_items - 1)]

    @cached_property
    def _log_weights(self):
        weights = np.empty(len(self.by_rank))
        weights[self.by_rank] = np.diff(self._cumulated(np.arange(len(weights) + 1.0)))
        return np.log(weights / weights.sum())

    @cached_property
    def normal_popularity(self):
        """Popularity rank as a standard normal variable, (n_items,) float64."""
        return ndtri((rankdata(self.popularity) - 0.5) / len(self.popularity))

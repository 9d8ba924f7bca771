"""Fixed reference model for the selection of slates: fitted items, folded-in users."""

import numpy as np

from .._data._csr import count_interactions
from .._factorization._als_backbone import ALSBackbone
from .._factorization._factors import with_bias
from .._factorization._top_k import top_k

REFERENCE = {
    "factors": 32,
    "regularization": 140.0,
    "alpha": 50.0,
    "iterations": 10,
    "prior_strength": 1.2,
    "item_bias": 0.15,
    "missing_power": 0.5,
    "recency_power": 0.0,
}
"""Settings of the reference model: the estimator's defaults with fewer factors and sweeps."""


N_BEST = 100  # top items of a user whose score spread measures the model's confidence
_TAIL_FRACTION = 0.1  # fraction of items in the tail, the least popular ones
_TAIL_COUNT = 3  # items with at most this many interactions are always in the tail
_USERS_PER_TOP = 10_000


class ReferenceModel:
    """Reference model of an interaction matrix.

    Attributes
    ----------
    popularity : ndarray of shape (n_items,), int
    tail : ndarray of shape (n_items,), bool
        Whether an item is in the long tail.
    """

    def __init__(self, matrix, features, random_state, num_threads):
        self.popularity = count_interactions(matrix)
        self._num_threads = num_threads
        self._backbone = ALSBackbone(**REFERENCE, num_threads=num_threads)
        start = self._backbone.start(*matrix.shape, np.random.default_rng(random_state))
        _, self._items, self._bias, *_ = self._backbone.fit(matrix, features, start)
        n_tail = int(np.ceil(_TAIL_FRACTION * matrix.shape[1]))
        rank = np.argsort(np.argsort(self.popularity, kind="stable"), kind="stable")
        self.tail = (self.popularity <= _TAIL_COUNT) | (rank < n_tail)

    def _factors(self, matrix):
        confidence = self._backbone.confidence(matrix)
        users = self._backbone.fold_in(confidence, self._items, self.popularity)
        return with_bias(users, self._items, self._bias)

    def scores(self, matrix):
        """Scores of all items for users with the given interactions, (n_users, n_items)."""
        users, items = self._factors(matrix)
        return users @ items.T

    def sureness(self, matrix):
        """Return the standard deviation of the scores of each user's top new items, (n_users,)."""
        spread = np.zeros(matrix.shape[0])
        for start in range(0, len(spread), _USERS_PER_TOP):
            part = matrix[start : start + _USERS_PER_TOP]
            n_best = min(N_BEST, matrix.shape[1])
            _, best = top_k(*self._factors(part), n_best, seen=part, num_threads=self._num_threads)
            known = ~np.isnan(best).all(axis=1)
            spread[start : start + _USERS_PER_TOP][known] = np.nanstd(best[known], axis=1)
        return spread

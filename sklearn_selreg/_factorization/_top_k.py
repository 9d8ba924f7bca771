"""The best items of users."""

from typing import NamedTuple

import numpy as np
from implicit.cpu.topk import topk

from ._threads import single_threaded_blas, useful_threads


def top_k(user_factors, item_factors, k, *, seen=None, num_threads=0):
    """Find the best items of users by implicit's compiled top-k.

    Parameters
    ----------
    user_factors, item_factors : ndarrays of shape (n_users, f) and (n_items, f), float32
    k : int
        At most the number of items.
    seen : csr_matrix of shape (n_users, n_items) or None
        Items that are no candidates.
    num_threads : int

    Returns
    -------
    items : ndarray of shape (n_users, k), int32
        Best first; -1 where a user has too few candidates.
    scores : ndarray of shape (n_users, k), float32
        NaN there.
    """
    rows = None if seen is None else _SeenRows(seen)
    num_threads = useful_threads(num_threads, len(user_factors) * item_factors.size)
    with single_threaded_blas():
        items, scores = topk(
            item_factors, user_factors, k, filter_query_items=rows, num_threads=num_threads
        )
    missing = scores == -np.finfo(np.float32).max  # what it gives items in `seen`
    return np.where(missing, -1, items), np.where(missing, np.float32(np.nan), scores)


class _SeenRows:
    """The rows of a CSR matrix as topk reads them; scipy's own take longer than the ranking."""

    def __init__(self, matrix):
        self._indptr, self._indices = matrix.indptr.tolist(), matrix.indices

    def __getitem__(self, row):
        return _SeenRow(self._indices[self._indptr[row] : self._indptr[row + 1]])


class _SeenRow(NamedTuple):
    indices: np.ndarray

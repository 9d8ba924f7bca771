"""Top-k items per user."""

from typing import NamedTuple

import numpy as np
from implicit.cpu.topk import topk

from ._threads import single_threaded_blas, useful_threads


def top_k(user_factors, item_factors, k, *, seen=None, norms=None, num_threads=0):
    """Find the highest-scored items of each user with implicit's compiled top-k.

    Parameters
    ----------
    user_factors, item_factors : ndarrays of shape (n_users, f) and (n_items, f), float32
    k : int
        At most the number of items.
    seen : csr_matrix of shape (n_users, n_items) or None
        Items to exclude for each user.
    norms : ndarray of shape (n_items,), float32, or None
        Divisors of the scores of the items. If None, 1.
    num_threads : int

    Returns
    -------
    items : ndarray of shape (n_users, k), int32
        Best first; padded with -1 if a user has too few candidates.
    scores : ndarray of shape (n_users, k), float32
        NaN where `items` is -1.
    """
    rows = None if seen is None else _SeenRows(seen)
    num_threads = useful_threads(num_threads, len(user_factors) * item_factors.size)
    with single_threaded_blas():
        items, scores = topk(
            item_factors,
            user_factors,
            k,
            item_norms=norms,
            filter_query_items=rows,
            num_threads=num_threads,
        )
    missing = scores == -np.finfo(np.float32).max  # implicit's score of excluded items
    return np.where(missing, -1, items), np.where(missing, np.float32(np.nan), scores)


class _SeenRows:
    """Rows of a CSR matrix as topk reads them; scipy's row slicing is slower than the ranking."""

    def __init__(self, matrix):
        self._indptr, self._indices = matrix.indptr.tolist(), matrix.indices

    def __getitem__(self, row):
        return _SeenRow(self._indices[self._indptr[row] : self._indptr[row + 1]])


class _SeenRow(NamedTuple):
    indices: np.ndarray

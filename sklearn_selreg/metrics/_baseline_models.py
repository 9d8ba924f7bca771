"""Simple recommenders that any model has to beat, as functions from rows of users to scores.

They only use a matrix of interactions; row -1 stands for an unknown user.
"""

import warnings

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from implicit.utils import ParameterWarning

from .._data._csr import count_interactions
from .._factorization._threads import single_threaded_blas

_RECENT_FRACTION = 0.1  # of all interactions
_NEIGHBORS = 100
_ITERATIONS = 15
_TIE_BREAK = 1e-6  # weight of popularity, which breaks ties between items without neighbors


def popularity(matrix):
    """Score items by their number of interactions, the same for all users."""
    count = count_interactions(matrix).astype(np.float32)
    return lambda rows: np.tile(count, (len(rows), 1))


def recent_popularity(matrix, times):
    """Score items by their number of interactions among the newest tenth."""
    since = np.quantile(times, 1 - _RECENT_FRACTION)
    count = np.bincount(matrix.indices[times >= since], minlength=matrix.shape[1])
    return lambda rows: np.tile(count.astype(np.float32), (len(rows), 1))


def item_knn(matrix, n_threads):
    """Score items by cosine similarity to the user's items, with 100 neighbors per item."""
    model = CosineRecommender(K=_NEIGHBORS + 1, num_threads=n_threads)  # one is the item itself
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # about its own conversion of the matrix
        model.fit(matrix, show_progress=False)
    similarity = sp.csr_matrix(model.similarity)
    similarity.setdiag(0)
    count = count_interactions(matrix)
    ties = (_TIE_BREAK * count / max(count.max(), 1)).astype(np.float32)
    padded = _append_empty_row(matrix)
    return lambda rows: (padded[rows] @ similarity).toarray().astype(np.float32) + ties


def implicit_als(matrix, n_threads, random_state, parameters):
    """Score by the ALS of `implicit`; unknown users get the mean user's scores."""
    settings = {"iterations": _ITERATIONS, "random_state": random_state, "num_threads": n_threads}
    with single_threaded_blas():
        model = AlternatingLeastSquares(**settings | parameters)
        model.fit(matrix, show_progress=False)
    users, items = np.asarray(model.user_factors), np.asarray(model.item_factors)
    users = np.vstack([users, users[matrix.getnnz(axis=1) > 0].mean(axis=0)])
    return lambda rows: users[rows] @ items.T


def _append_empty_row(matrix):
    """Append an empty row, which index -1 refers to."""
    return sp.vstack([matrix, sp.csr_matrix((1, matrix.shape[1]), dtype=matrix.dtype)], "csr")

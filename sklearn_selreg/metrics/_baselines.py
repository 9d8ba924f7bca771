"""Simple recommenders that any model has to beat: functions from rows of users to scores.

Know a matrix of interactions; nothing of models or reports.
"""

import warnings

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from implicit.utils import ParameterWarning

from .._data._csr import count_interactions
from .._factorization._als import single_threaded_blas

_RECENT_SHARE = 0.1  # of the interactions, the newest ones
_NEIGHBORS = 100
_ITERATIONS = 15
_TIE = 1e-6  # of popularity, which orders what neighbors do not


def popularity(matrix):
    """Score items by their number of interactions, the same for all users."""
    count = count_interactions(matrix).astype(np.float32)
    return lambda rows: np.tile(count, (len(rows), 1))


def recent_popularity(matrix, times):
    """Score items by their number of interactions among the newest tenth."""
    since = np.quantile(times, 1 - _RECENT_SHARE)
    count = np.bincount(matrix.indices[times >= since], minlength=matrix.shape[1])
    return lambda rows: np.tile(count.astype(np.float32), (len(rows), 1))


def item_knn(matrix, num_threads):
    """Score items by the cosines of their 100 nearest neighbors, summed over the user's items."""
    model = CosineRecommender(K=_NEIGHBORS + 1, num_threads=num_threads)  # one is the item itself
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # of a matrix that it makes itself
        model.fit(matrix, show_progress=False)
    similarity = sp.csr_matrix(model.similarity)
    similarity.setdiag(0)
    count = count_interactions(matrix)
    ties = (_TIE * count / max(count.max(), 1)).astype(np.float32)
    padded = _with_nobody(matrix)
    return lambda rows: (padded[rows] @ similarity).toarray().astype(np.float32) + ties


def implicit_als(matrix, num_threads, random_state, parameters):
    """Score by `implicit`'s own ALS; an unknown user is the mean user."""
    settings = {"iterations": _ITERATIONS, "random_state": random_state, "num_threads": num_threads}
    with single_threaded_blas():
        model = AlternatingLeastSquares(**settings | parameters)
        model.fit(matrix, show_progress=False)
    users, items = np.asarray(model.user_factors), np.asarray(model.item_factors)
    users = np.vstack([users, users[matrix.getnnz(axis=1) > 0].mean(axis=0)])
    return lambda rows: users[rows] @ items.T


def _with_nobody(matrix):
    """Return a matrix with an empty last row, which -1 stands for."""
    return sp.vstack([matrix, sp.csr_matrix((1, matrix.shape[1]), dtype=matrix.dtype)], "csr")

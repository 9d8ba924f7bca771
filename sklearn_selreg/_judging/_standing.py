"""Ranks of slate candidates by the recommender, free of leakage from hidden interactions."""

import numpy as np
import scipy.sparse as sp

from .._data._csr import count_interactions
from .._factorization._factors import NO_WATCH, with_bias
from .._factorization._top_k import top_k
from ._design import Standing, log_rank

FOLDS = 4
"""Maximum number of cross-fits for the calibration of the gate."""


_CHUNK = 2**22  # scores held in memory
TOP = 50
"""Number of top positions used by `log_rank_worth`."""


def rank_items(items, user_factors, item_factors, seen):
    """Rank given items of each user among all items that are new to the user.

    Parameters
    ----------
    items : ndarray of shape (n, size), intp
        Columns; the rank of padding (-1) is arbitrary.
    user_factors : ndarray of shape (n, k), float32
    item_factors : ndarray of shape (n_items, k), float32
    seen : csr_matrix of shape (n, n_items)
        Items that are not new.

    Returns
    -------
    ranks : ndarray of shape (n, size), int64
        1 + the number of new items with a higher score; ties do not count.
    """
    ranks = np.ones(items.shape, dtype=np.int64)
    step = max(1, _CHUNK // len(item_factors))
    for start in range(0, len(items), step):
        rows = slice(start, start + step)
        scores = user_factors[rows] @ item_factors.T
        own = np.take_along_axis(scores, items[rows], axis=1)
        known = seen[rows]
        scores[np.repeat(np.arange(len(scores)), np.diff(known.indptr)), known.indices] = -np.inf
        scores.sort(axis=1)  # vectorized, so faster than comparing with each item
        for row, found in enumerate(scores, start):
            ranks[row] += len(found) - np.searchsorted(found, own[row - start], side="right")
    return ranks


def log_rank_worth(user_factors, item_factors, seen, num_threads):
    """Decrease of a user's scores per unit of log rank at the top of the list.

    Parameters
    ----------
    user_factors : ndarray of shape (n, k), float32
    item_factors : ndarray of shape (n_items, k), float32
    seen : csr_matrix of shape (n, n_items)
    num_threads : int

    Returns
    -------
    slopes : ndarray of shape (n,), float64
        Negative slope of a least squares line through the top 50 new items, >= 0; 0 with a single
        item.
    """
    n_best = min(TOP, len(item_factors))
    _, best = top_k(user_factors, item_factors, n_best, seen=seen, num_threads=num_threads)
    there = ~np.isnan(best)
    best = np.where(there, best, 0).astype(np.float64)
    n = np.maximum(there.sum(axis=1, keepdims=True), 1)
    place = np.where(there, log_rank(np.arange(1, n_best + 1)), 0)
    place = np.where(there, place - place.sum(axis=1, keepdims=True) / n, 0)
    spread = np.sum(place**2, axis=1)
    return -np.sum(place * best, axis=1) / np.where(spread > 0, spread, 1)


def cross_fitted_standing(
    items, slates, backbone, trend, features, start, watch=NO_WATCH, *, user_features=None
):
    """Rank items for the users of calibration slates with models fitted without these users.

    Users are split into 4 folds. For each fold, the backbone is fitted without its users, who are
    then folded in with the history shown to the judge. Model and judge thus have the same
    information on a user. Removing only the hidden interactions would leave the model too accurate.

    Parameters
    ----------
    items : ndarray of shape (n_slates, n), intp
        Items of each slate, padded with -1.
    slates : Slates
        Calibration slates.
    backbone : ALSBackbone or SampledBackbone
    trend : PopularityOverTime
        Interactions with their popularity over time.
    features : csr_matrix or None
    start : object
        From ``backbone.start``.
    watch : Watch
        As for ``backbone.fit``.
    user_features : csr_matrix or None

    Returns
    -------
    standing : Standing of shape (n_slates, n)
        Ranks among the items not shown to the judge; popularity without the fold's users.
    """
    users, user = np.unique(slates.users, return_inverse=True)
    fold_of = np.arange(len(users)) % FOLDS
    ranks, popularity = np.empty((2, *items.shape), dtype=np.int64)
    for fold in np.unique(fold_of):
        left_out = users[fold_of == fold]
        rest = without_rows(trend.matrix, left_out)
        asked = np.flatnonzero(fold_of[user] == fold)
        known = count_interactions(rest)
        by_period = trend.counts_by_period(left_out)
        factors = backbone.fit(
            rest, features, start, watch, by_period=by_period, user_features=user_features
        )
        shown, asking = slates.shown[asked], slates.users[asked]
        prior = None
        if user_features is not None:
            prior = factors.expected_users(user_features[asking])
        folded = backbone.solve_users(shown, factors, known, prior=prior)
        period_weights = trend.partial_user_weights(asking, shown)
        both = with_bias(folded, factors.items, factors.bias, period_weights)
        ranks[asked] = rank_items(items[asked], *both, shown)
        popularity[asked] = known[items[asked]]
    return Standing(ranks, popularity)


def without_rows(matrix, rows):
    """Copy of a CSR matrix with the given rows emptied."""
    kept = np.ones(matrix.shape[0], dtype=matrix.dtype)
    kept[rows] = 0
    rest = sp.csr_matrix(sp.diags(kept) @ matrix)
    rest.eliminate_zeros()
    return rest

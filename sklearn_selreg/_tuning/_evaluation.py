"""Ranking quality of factors on held-out interactions."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._data._csr import entry_rows
from .._factorization._threads import single_threaded_blas, useful_threads

_AUC_WEIGHT = 0.6  # of each AUC in the criterion, relative to NDCG
_SCORES_PER_CHUNK = 2**18  # 1 MB of float32, fits into the cache


class Result(NamedTuple):
    """Ranking metrics on held-out interactions.

    Attributes
    ----------
    ndcg : float
        NDCG@10 of the last interactions.
    auc : float
        AUC of the last interactions.
    rare : float or None
        AUC of interactions with rare items; None if there are too few.
    """

    ndcg: float
    auc: float
    rare: float | None

    @property
    def criterion(self) -> float:
        """Criterion that tuning maximizes; see `_search`."""
        value = np.log(max(self.ndcg, 1e-4)) - _AUC_WEIGHT * np.log(max(1 - self.auc, 1e-3))
        if self.rare is not None:
            value += _AUC_WEIGHT * np.log(max(self.rare, 1e-2))
        return float(value)


class PeriodBias(NamedTuple):
    """Popularity over time as a part of the scores, for an `item_bias` of 1.

    Attributes
    ----------
    items : ndarray of shape (n_items, n_periods), float32
        Bias of the items in each period.
    users : ndarray of shape (n_users, n_periods), float32
        Weights of the periods for each user.
    """

    items: np.ndarray
    users: np.ndarray


def rank_held_out(
    user_factors: np.ndarray,
    item_factors: np.ndarray,
    bias: PeriodBias,
    bias_weights: Sequence[float],
    seen: sp.csr_matrix,
    rows: np.ndarray,
    items: np.ndarray,
    n_threads: int = 0,
) -> np.ndarray:
    """Rank held-out items among the items that their user has neither seen nor held out.

    Parameters
    ----------
    user_factors : ndarray of shape (n_users, k), float32
    item_factors : ndarray of shape (n_items, k), float32
    bias : PeriodBias
    bias_weights : sequence of float
        Values of `item_bias` to compare.
    seen : csr_matrix of shape (n_users, n_items)
    rows, items : ndarrays of shape (n_held_out,), intp
        User and item of each held-out interaction; users are nondecreasing.
    n_threads : int, default=0
        If 0, all cores.

    Returns
    -------
    ndarray of shape (n_bias_weights, n_held_out), float64
        Number of items with a higher score; ties count half.
    """
    n_users, n_items = seen.shape[0], len(item_factors)
    first = np.searchsorted(rows, np.arange(n_users + 1))
    ranks = np.empty((len(bias_weights), len(rows)))

    def rank_users(users: slice) -> None:
        held_out = slice(first[users.start], first[users.stop])
        ranks[:, held_out] = _rank_in_scores(
            user_factors[users] @ item_factors.T,
            bias.users[users] @ bias.items.T,
            bias_weights,
            seen[users],
            rows[held_out] - users.start,
            items[held_out],
        )

    size = max(1, _SCORES_PER_CHUNK // n_items)
    chunks = [slice(start, min(start + size, n_users)) for start in range(0, n_users, size)]
    with single_threaded_blas():
        if useful_threads(n_threads, n_users * n_items) == 1:
            for chunk in chunks:
                rank_users(chunk)
        else:
            with ThreadPoolExecutor(n_threads or None) as pool:
                list(pool.map(rank_users, chunks))
    return ranks


def _rank_in_scores(scores, biases, bias_weights, seen, rows, items):
    """Rank held-out items in dense scores, which are overwritten; see `rank_held_out`."""
    own_scores, own_biases = scores[rows, items], biases[rows, items]
    scores[rows, items] = -np.inf
    scores[entry_rows(seen), seen.indices] = -np.inf
    nth_of_user = np.arange(len(rows)) - np.searchsorted(rows, rows)
    # Each group has at most one interaction per user.
    groups = [np.flatnonzero(nth_of_user == n) for n in range(nth_of_user.max(initial=-1) + 1)]
    ranks, total = np.empty((len(bias_weights), len(rows))), np.empty_like(scores)
    for result, weight in zip(ranks, bias_weights, strict=True):
        np.multiply(biases, np.float32(weight), out=total)
        total += scores
        own = own_scores + np.float32(weight) * own_biases
        for group in groups:
            # Usually, each user has exactly one held-out interaction, and no copy is needed.
            of_group = total if len(group) == len(total) else total[rows[group]]
            result[group] = _count_above(of_group, own[group, np.newaxis])
    return ranks


def _count_above(scores, thresholds):
    """Count the scores in each row above its threshold, (n, 1); ties count half."""
    is_counted = np.empty(scores.shape, dtype=bool)
    counts = []
    for compare in (np.greater, np.equal):
        compare(scores, thresholds, out=is_counted)
        counts.append([np.count_nonzero(row) for row in is_counted])  # much faster than with axis=
    n_above, n_equal = np.array(counts)
    return n_above + n_equal / 2

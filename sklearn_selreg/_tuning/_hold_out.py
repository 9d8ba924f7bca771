"""Held-out interactions, and how well a model ranks them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._data._csr import count_interactions
from .._data._periods import PopularityOverTime
from .._factorization._als import single_threaded_blas, useful_threads
from .._factorization._factors import popularity_bias

FEWEST_HELD_OUT = 200
"""With fewer held-out interactions nothing is searched: differences would be noise."""
SEED = 0  # not the model's `random_state`: the same data give the same settings
_CUTOFF = 10  # of NDCG
_WHOLE_LIST = 0.6  # what both AUC weigh, relative to NDCG
_RARE = 3  # interactions of a rare item, at most
_MOST_RARE = 500  # held-out interactions of rare items, ...
_RARE_SHARE = 0.02  # ... and what share of all they may be
_NEW_SHARE = 0.05  # the same, of items of which all is held out; and of new items in the catalog
_FEWEST_RARE = 50  # with fewer, rare items do not count
_SCORES_PER_CHUNK = 2**18  # 1 MB of float32, stays in the cache
_MOST_SCORES = 15_000_000  # of users and items to evaluate by
_FEWEST_USERS = 300


class Result(NamedTuple):
    """How held-out interactions are ranked: NDCG@10, AUC, and AUC of rare items (or None)."""

    ndcg: float
    auc: float
    rare: float | None

    @property
    def criterion(self):
        """What settings are compared by; see the module."""
        value = np.log(max(self.ndcg, 1e-4)) - _WHOLE_LIST * np.log(max(1 - self.auc, 1e-3))
        if self.rare is not None:
            value += _WHOLE_LIST * np.log(max(self.rare, 1e-2))
        return float(value)


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Interactions to fit, and others to evaluate by.

    Attributes
    ----------
    matrix : csr_matrix of shape (n_users, n_items), float32
        Strengths of the interactions to fit, of the users that are searched on.
    age : ndarray of shape (nnz,), int32
        As in `Interactions`, of what is left.
    features : csr_matrix of shape (n_items, n_features) or None
    popularity : ndarray of shape (n_items,), int
        Number of interactions, of all users, without what is held out.
    share : float
        Which part of the users is searched on.
    trends : dict of int to tuple
        By number of periods: item biases for an `item_bias` of 1, (n_items, n_periods) float32, and
        periods of the users to evaluate by, (n_judged, n_periods) float32.
    users : ndarray of shape (n_judged,), intp
        Rows of the users to evaluate by.
    judged_age : ndarray of int32
        Their ages.
    rows, items : ndarrays of shape (n_held_out,), intp
        What is held out: place in `users`, not decreasing, and column.
    is_last : ndarray of shape (n_held_out,), bool
        What users did last; the others are of rare items.
    is_rare : ndarray of shape (n_held_out,), bool
        Of an item with at most 3 interactions.
    """

    matrix: sp.csr_matrix
    age: np.ndarray
    features: sp.csr_matrix | None
    popularity: np.ndarray
    share: float
    trends: dict
    users: np.ndarray
    judged_age: np.ndarray
    rows: np.ndarray
    items: np.ndarray
    is_last: np.ndarray
    is_rare: np.ndarray

    @classmethod
    def of(cls, interactions, features, periods, effort):
        """Hold out some of the interactions.

        Parameters
        ----------
        interactions : Interactions
        features : csr_matrix of shape (n_items, n_features) or None
        periods : sequence of int
            Numbers of periods of popularity to compare.
        effort : Effort

        Returns
        -------
        hold_out : HoldOut
        """
        rng = np.random.default_rng(SEED)
        matrix = interactions.matrix
        length = np.diff(matrix.indptr)
        row = np.repeat(np.arange(len(length)), length)
        searched = _some_users(length, effort.interactions, rng)
        n_judged = min(effort.users, max(_FEWEST_USERS, _MOST_SCORES // matrix.shape[1]))
        judged = np.zeros(len(length), dtype=bool)
        judged[rng.permutation(np.flatnonzero(searched & (length > 1)))[:n_judged]] = True
        last = judged[row] & _is_last(interactions, row, rng)
        rare = _some_rare(interactions, row, last, searched, features is not None, rng)
        held_out = last | rare
        left = interactions.select_entries(~held_out)
        popularity = count_interactions(left.matrix)
        users, items = np.unique(row[held_out]), matrix.indices[held_out].astype(np.intp)
        trends = {}
        for n_periods in periods if interactions.times is not None else periods[:1]:
            trend = PopularityOverTime.of(left, n_periods)
            bias = popularity_bias(trend.counts_by_period(), features).astype(np.float32)
            trends[n_periods] = bias, trend.user_weights()[users]
        if not searched.all():
            left = left.select_entries(searched[row[~held_out]])
        is_judged = np.zeros(len(length), dtype=bool)
        is_judged[users] = True
        return cls(
            matrix=left.matrix,
            age=left.recency_rank,
            features=features,
            popularity=popularity,
            share=float(searched[length > 0].mean()),
            trends=trends,
            users=users,
            judged_age=left.recency_rank[np.repeat(is_judged, np.diff(left.matrix.indptr))],
            rows=np.searchsorted(users, row[held_out]),
            items=items,
            is_last=last[held_out],
            is_rare=popularity[items] <= _RARE,
        )

    def evaluate(self, user_factors, item_factors, biases, n_periods, num_threads=0):
        """Rank the catalog for the users with something held out.

        Parameters
        ----------
        user_factors : ndarray of shape (n_judged, k), float32
        item_factors : ndarray of shape (n_items, k), float32
        biases : sequence of float
            Weights of the item bias.
        n_periods : int
            One of `trends`.
        num_threads : int, default=0

        Returns
        -------
        results : list of Result
            One for each of the biases.

        Notes
        -----
        Each held-out interaction is ranked among the items that its user has neither in `matrix`
        nor held out; equal scores count half. Users count alike, whatever is held out of them.
        """
        n_users, n_items = len(self.users), len(item_factors)
        item_bias, shares = self.trends[n_periods]
        first = np.searchsorted(self.rows, np.arange(n_users + 1))
        seen = self.matrix[self.users]
        above = np.empty((len(biases), len(self.rows)))

        def rank(users):
            held_out = slice(first[users.start], first[users.stop])
            rows, items = self.rows[held_out] - users.start, self.items[held_out]
            scores = user_factors[users] @ item_factors.T
            gains = shares[users] @ item_bias.T
            own = scores[rows, items], gains[rows, items]
            scores[rows, items] = -np.inf
            known = seen[users]
            scores[
                np.repeat(np.arange(len(scores)), np.diff(known.indptr)), known.indices
            ] = -np.inf
            turn = np.arange(len(rows)) - np.searchsorted(rows, rows)  # of a user's interactions
            turns = [np.flatnonzero(turn == t) for t in range(turn.max(initial=-1) + 1)]
            total = np.empty_like(scores)
            for result, bias in zip(above[:, held_out], biases, strict=True):
                np.multiply(gains, np.float32(bias), out=total)
                total += scores
                wanted = own[0] + np.float32(bias) * own[1]
                for which in turns:
                    every = len(which) == len(total)  # mostly each user has one
                    result[which] = _count_above(
                        total if every else total[rows[which]], wanted[which, np.newaxis]
                    )

        size = max(1, _SCORES_PER_CHUNK // n_items)
        parts = [slice(s, min(s + size, n_users)) for s in range(0, n_users, size)]
        with single_threaded_blas():
            if useful_threads(num_threads, n_users * n_items) == 1:
                list(map(rank, parts))
            else:
                with ThreadPoolExecutor(num_threads or None) as pool:
                    list(pool.map(rank, parts))
        n_negatives = n_items - np.diff(seen.indptr) - np.diff(first)
        auc = 1 - above / np.maximum(n_negatives[self.rows], 1)
        return [self._result(*of_bias) for of_bias in zip(above, auc, strict=True)]

    def popularity_result(self, num_threads=0):
        """Return the result of the same list for all users, by popularity."""
        users = np.ones((len(self.users), 1), dtype=np.float32)
        items = self.popularity[:, np.newaxis].astype(np.float32)
        return self.evaluate(users, items, [0.0], next(iter(self.trends)), num_threads)[0]

    def _result(self, above, auc):
        last = self.is_last
        rank = above[last]
        gain = np.where(rank < _CUTOFF, 1 / np.log2(2 + rank), 0)
        weight = 1 / np.bincount(self.rows[last])[self.rows[last]]
        rare = float(auc[self.is_rare].mean()) if self.is_rare.sum() >= _FEWEST_RARE else None
        ndcg, of_all = (float(np.average(values, weights=weight)) for values in (gain, auc[last]))
        return Result(ndcg, of_all, rare)


def _count_above(scores, wanted):
    """Count the scores of each row above a wanted one, (n, 1); equal ones count half."""
    found = np.empty(scores.shape, dtype=bool)
    counts = []
    for compare in (np.greater, np.equal):
        compare(scores, wanted, out=found)
        counts.append([np.count_nonzero(row) for row in found])  # far faster than by axis
    return np.array(counts[0]) + np.array(counts[1]) / 2


def _some_users(length, most, rng):
    """Return which users to search on, bool: all, or some drawn at random."""
    if length.sum() <= most:
        return np.ones(len(length), dtype=bool)
    order = rng.permutation(np.flatnonzero(length <= most / 10))  # no crawler takes it all
    chosen = np.zeros(len(length), dtype=bool)
    chosen[order[np.cumsum(length[order]) <= most]] = True
    return chosen


def _is_last(interactions, row, rng):
    """Return which interactions are the last of their user (without times: one of them), bool."""
    if interactions.times is not None:
        return interactions.recency_rank == 0
    order = np.lexsort((rng.random(len(row)), row))
    last = np.zeros(len(row), dtype=bool)
    last[order[interactions.matrix.indptr[:-1][np.diff(interactions.matrix.indptr) > 0]]] = True
    return last


def _some_rare(interactions, row, last, searched, described, rng):
    """Return which interactions of rare items to hold out as well, bool.

    Those that are newest to their users first. At most one of an item and one of a user, who keeps
    another. Without features an item keeps one, too: nothing else is known of it. With features,
    where no item is rare but some are new, all interactions of the least popular ones are held
    out: new items are placed by their features.
    """
    matrix = interactions.matrix
    popularity = np.bincount(matrix.indices[~last], minlength=matrix.shape[1])
    length = np.bincount(row[~last], minlength=matrix.shape[0])
    is_rare = (popularity <= _RARE + 1) & (popularity > (not described))
    able = ~last & is_rare[matrix.indices] & (length[row] > 1) & searched[row]
    able = rng.permutation(np.flatnonzero(able))
    if interactions.times is not None:
        able = able[np.argsort(interactions.recency_rank[able], kind="stable")]
    for of in (matrix.indices, row):
        _, first = np.unique(of[able], return_index=True)
        able = able[np.sort(first)]
    chosen = np.zeros(matrix.nnz, dtype=bool)
    chosen[able[: min(_MOST_RARE, int(_RARE_SHARE * matrix.nnz))]] = True
    has_new = np.mean(count_interactions(matrix) == 0) > _NEW_SHARE
    if described and has_new and chosen.sum() < _FEWEST_RARE:
        most = min(_MOST_RARE, int(_NEW_SHARE * matrix.nnz))
        order = rng.permutation(np.flatnonzero(popularity))
        order = order[np.argsort(popularity[order], kind="stable")]
        new = order[np.cumsum(popularity[order]) <= most]
        chosen |= np.isin(matrix.indices, new) & ~last & (length[row] > 1) & searched[row]
    return chosen

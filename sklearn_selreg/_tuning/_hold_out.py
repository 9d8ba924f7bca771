"""Selection of held-out interactions for tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from .._data._csr import count_interactions, entry_rows
from .._data._interactions import Interactions
from .._data._periods import PopularityOverTime
from .._factorization._factors import popularity_bias
from ._evaluation import PeriodBias, Result, rank_held_out
from ._moves import Effort

MIN_HELD_OUT = 200
"""With fewer held-out interactions, nothing is tuned: differences would be noise."""
SEED = 0  # independent of `random_state`: the same data give the same settings
_CUTOFF = 10  # of NDCG
_MAX_COUNT_OF_RARE = 3  # interactions of a rare item
_MAX_RARE = 500  # held-out interactions of rare items, ...
_MAX_RARE_FRACTION = 0.02  # ... and their fraction of all interactions
_MAX_NEW_FRACTION = 0.05  # fraction of interactions held out to turn their items into new ones
_MIN_NEW_ITEMS = 0.05  # fraction of items without interactions above which new items matter
_MIN_RARE = 50  # with fewer, rare items are ignored
_MAX_SCORES = 15_000_000  # evaluated user-item pairs
_MIN_USERS = 300


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Interactions to fit, and held-out interactions for evaluation.

    Attributes
    ----------
    matrix : csr_matrix of shape (n_users, n_items), float32
        Strengths of the interactions to fit, from the searched users.
    recency_rank : ndarray of shape (nnz,), int32
        As in `Histories`, without the held-out interactions.
    features : csr_matrix of shape (n_items, n_features) or None
    popularity : ndarray of shape (n_items,), int
        Number of interactions of all users, except held-out ones.
    user_fraction : float
        Fraction of the users that are searched.
    biases : dict of int to PeriodBias
        Biases of the evaluated users, by number of periods.
    users : ndarray of shape (n_evaluated,), intp
        Rows of the evaluated users.
    evaluated_recency_rank : ndarray of int32
        Recency ranks of the rows `users`.
    rows, items : ndarrays of shape (n_held_out,), intp
        Held-out interactions: position in `users`, nondecreasing, and column.
    is_last : ndarray of shape (n_held_out,), bool
        Whether it is the last interaction of a user; the others have rare items.
    is_rare : ndarray of shape (n_held_out,), bool
        Whether the item has at most 3 interactions left.
    user_features : csr_matrix of shape (n_users, n_user_features) or None
    """

    matrix: sp.csr_matrix
    recency_rank: np.ndarray
    features: sp.csr_matrix | None
    popularity: np.ndarray
    user_fraction: float
    biases: dict[int, PeriodBias]
    users: np.ndarray
    evaluated_recency_rank: np.ndarray
    rows: np.ndarray
    items: np.ndarray
    is_last: np.ndarray
    is_rare: np.ndarray
    user_features: sp.csr_matrix | None = None

    @classmethod
    def of(
        cls,
        interactions: Interactions,
        features: sp.csr_matrix | None,
        periods: Sequence[int],
        effort: Effort,
        user_features: sp.csr_matrix | None = None,
    ) -> HoldOut:
        """Hold out some of the interactions.

        Parameters
        ----------
        interactions : Interactions
        features : csr_matrix of shape (n_items, n_features) or None
        periods : sequence of int
            Numbers of popularity periods to compare.
        effort : Effort
        user_features : csr_matrix of shape (n_users, n_user_features) or None

        Returns
        -------
        HoldOut
        """
        rng = np.random.default_rng(SEED)
        matrix, row = interactions.matrix, entry_rows(interactions.matrix)
        length = np.diff(matrix.indptr)
        is_searched = _choose_users(length, effort.interactions, rng)
        max_users = min(effort.users, max(_MIN_USERS, _MAX_SCORES // matrix.shape[1]))
        is_evaluated = np.zeros(len(length), dtype=bool)
        eligible_users = np.flatnonzero(is_searched & (length > 1))
        is_evaluated[rng.permutation(eligible_users)[:max_users]] = True
        is_last = is_evaluated[row] & _find_last(interactions, row, rng)
        is_held_out = is_last | _choose_rare(
            interactions, row, is_last, is_searched, features is not None, rng
        )
        left = interactions.select_entries(~is_held_out)
        popularity = count_interactions(left.matrix)
        users, items = np.unique(row[is_held_out]), matrix.indices[is_held_out].astype(np.intp)
        biases = {}
        for n_periods in periods if interactions.times is not None else periods[:1]:
            over_time = PopularityOverTime.of(left, n_periods)
            bias = popularity_bias(over_time.counts_by_period(), features).astype(np.float32)
            biases[n_periods] = PeriodBias(bias, over_time.user_weights()[users])
        if not is_searched.all():
            left = left.select_entries(is_searched[entry_rows(left.matrix)])
        return cls(
            matrix=left.matrix,
            recency_rank=left.recency_rank,
            features=features,
            popularity=popularity,
            user_fraction=float(is_searched[length > 0].mean()),
            biases=biases,
            users=users,
            evaluated_recency_rank=left[users].recency_rank,
            rows=np.searchsorted(users, row[is_held_out]),
            items=items,
            is_last=is_last[is_held_out],
            is_rare=popularity[items] <= _MAX_COUNT_OF_RARE,
            user_features=user_features,
        )

    @property
    def mean_strength(self) -> float:
        """Mean strength of the interactions to fit."""
        return float(self.matrix.data.mean(dtype=np.float64))

    def evaluate(
        self,
        user_factors: np.ndarray,
        item_factors: np.ndarray,
        bias_weights: Sequence[float],
        n_periods: int,
        n_threads: int = 0,
    ) -> list[Result]:
        """Rank the catalog for the evaluated users.

        Parameters
        ----------
        user_factors : ndarray of shape (n_evaluated, k), float32
        item_factors : ndarray of shape (n_items, k), float32
        bias_weights : sequence of float
            Values of `item_bias` to compare.
        n_periods : int
            One of `biases`.
        n_threads : int, default=0

        Returns
        -------
        list of Result
            One per bias weight. Users have equal weights, regardless of how many of their
            interactions are held out.
        """
        seen = self.matrix[self.users]
        bias = self.biases[n_periods]
        ranks = rank_held_out(
            user_factors, item_factors, bias, bias_weights, seen, self.rows, self.items, n_threads
        )
        n_held_out = np.bincount(self.rows, minlength=len(self.users))
        n_others = len(item_factors) - np.diff(seen.indptr) - n_held_out
        auc = 1 - ranks / np.maximum(n_others[self.rows], 1)
        return [self._result(*of_weight) for of_weight in zip(ranks, auc, strict=True)]

    def popularity_result(self, n_threads: int = 0) -> Result:
        """Return the result of a popularity list, the same for all users."""
        users = np.ones((len(self.users), 1), dtype=np.float32)
        items = self.popularity[:, np.newaxis].astype(np.float32)
        return self.evaluate(users, items, [0.0], next(iter(self.biases)), n_threads)[0]

    def _result(self, ranks, auc):
        row, rank = self.rows[self.is_last], ranks[self.is_last]
        dcg = np.where(rank < _CUTOFF, 1 / np.log2(2 + rank), 0)
        weight = 1 / np.bincount(row)[row]
        rare = None
        if self.is_rare.sum() >= _MIN_RARE:
            rare = float(auc[self.is_rare].mean())
        return Result(
            float(np.average(dcg, weights=weight)),
            float(np.average(auc[self.is_last], weights=weight)),
            rare,
        )


def _choose_users(length, max_interactions, rng):
    """Select the users to search on, (n_users,) bool: all of them, or a random subset."""
    if length.sum() <= max_interactions:
        return np.ones(len(length), dtype=bool)
    order = rng.permutation(np.flatnonzero(length <= max_interactions / 10))  # excludes crawlers
    chosen = np.zeros(len(length), dtype=bool)
    chosen[order[np.cumsum(length[order]) <= max_interactions]] = True
    return chosen


def _find_last(interactions, row, rng):
    """Mark the last interaction of each user, (nnz,) bool; a random one without times."""
    if interactions.times is not None:
        return interactions.recency_rank == 0
    order = np.lexsort((rng.random(len(row)), row))
    indptr = interactions.matrix.indptr
    is_last = np.zeros(len(row), dtype=bool)
    is_last[order[indptr[:-1][np.diff(indptr) > 0]]] = True
    return is_last


def _choose_rare(interactions, row, is_last, is_searched, has_features, rng):
    """Select interactions of rare items to hold out as well, (nnz,) bool.

    At most one per item and per user, preferring the newest of each user, who must keep another
    one. Without features, an item must keep one, too, because it is otherwise unknown. With
    features, if some items are new but too few interactions are rare, hold out all interactions of
    the least popular items instead, so that they have to be placed by their features.
    """
    matrix = interactions.matrix
    popularity = np.bincount(matrix.indices[~is_last], minlength=matrix.shape[1])
    length = np.bincount(row[~is_last], minlength=matrix.shape[0])
    is_eligible = ~is_last & (length[row] > 1) & is_searched[row]
    min_count = 1 if has_features else 2
    is_rare = (popularity <= _MAX_COUNT_OF_RARE + 1) & (popularity >= min_count)
    entries = rng.permutation(np.flatnonzero(is_eligible & is_rare[matrix.indices]))
    if interactions.times is not None:
        entries = entries[np.argsort(interactions.recency_rank[entries], kind="stable")]
    for group in (matrix.indices, row):
        _, first = np.unique(group[entries], return_index=True)
        entries = entries[np.sort(first)]
    chosen = np.zeros(matrix.nnz, dtype=bool)
    chosen[entries[: min(_MAX_RARE, int(_MAX_RARE_FRACTION * matrix.nnz))]] = True
    has_new = np.mean(count_interactions(matrix) == 0) > _MIN_NEW_ITEMS
    if has_features and has_new and chosen.sum() < _MIN_RARE:
        max_entries = min(_MAX_RARE, int(_MAX_NEW_FRACTION * matrix.nnz))
        order = rng.permutation(np.flatnonzero(popularity))
        order = order[np.argsort(popularity[order], kind="stable")]
        made_new = order[np.cumsum(popularity[order]) <= max_entries]
        chosen |= is_eligible & np.isin(matrix.indices, made_new)
    return chosen

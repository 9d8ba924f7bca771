"""Popularity over time: item counts per period, and the period of each user.

Periods have about equally many interactions. A time between the centers of two periods belongs to
both, with weights that sum to 1 and decrease linearly with distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp

from ._csr import find_entries, with_data
from ._histories import Histories

_ENTRIES_PER_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class PopularityOverTime:
    """Interactions and their periods.

    Attributes
    ----------
    matrix : csr_matrix of shape (n_users, n_items)
        The interactions.
    centers : ndarray of shape (n_periods,), float64
        Median times of the periods, increasing; a single center if there are no times.
    positions : ndarray of shape (nnz,), float32, or None
        Position of each interaction among the centers, 0 to n_periods - 1. If None, all are 0.
    at : {"user", "last"}
        Period of a user: that of the user's newest interaction, or the last period.
    """

    matrix: sp.csr_matrix
    centers: np.ndarray
    positions: np.ndarray | None
    at: Literal["user", "last"]

    @classmethod
    def of(
        cls, histories: Histories, n_periods: int, *, at: Literal["user", "last"] = "user"
    ) -> PopularityOverTime:
        """Split interactions into at most `n_periods` periods."""
        times = histories.times
        if times is None or n_periods == 1:
            return cls(histories.matrix, np.zeros(1), None, at)
        middles = (np.arange(n_periods) + 0.5) / n_periods
        centers = np.unique(np.quantile(times, middles))
        positions = period_positions(times, centers) if len(centers) > 1 else None
        return cls(histories.matrix, centers, positions, at)

    def counts_by_period(self, left_out: Sequence[int] | np.ndarray = ()) -> np.ndarray:
        """Count the interactions of each item in each period.

        Parameters
        ----------
        left_out : ndarray of int, default=()
            Users to exclude.

        Returns
        -------
        ndarray of shape (n_items, n_periods), float64
        """
        n_items, n_periods = self.matrix.shape[1], len(self.centers)
        counts = np.zeros((n_items, n_periods))
        counts_user = np.ones(self.matrix.shape[0], dtype=bool)
        counts_user[np.asarray(left_out, dtype=np.intp)] = False
        counts_entry = None
        if not counts_user.all():
            counts_entry = np.repeat(counts_user, np.diff(self.matrix.indptr))
        for start in range(0, self.matrix.nnz, _ENTRIES_PER_CHUNK):
            chunk = slice(start, start + _ENTRIES_PER_CHUNK)
            kept = slice(None) if counts_entry is None else counts_entry[chunk]
            items = self.matrix.indices[chunk][kept]
            if self.positions is None:
                counts[:, 0] += np.bincount(items, minlength=n_items)
                continue
            weights = period_weights(self.positions[chunk][kept], n_periods)
            for period in range(n_periods):
                counts[:, period] += np.bincount(items, weights[:, period], minlength=n_items)
        return counts

    def user_weights(self) -> np.ndarray:
        """Period weights of each user, (n_users, n_periods) float32."""
        return self._weights(self.matrix, self.positions)

    def partial_user_weights(self, users: np.ndarray, shown: sp.csr_matrix) -> np.ndarray:
        """Period weights of users with only part of their interactions.

        Parameters
        ----------
        users : ndarray of shape (n,), int
        shown : csr_matrix of shape (n, n_items)
            The known interactions: a subset of the entries in the users' rows of `matrix`.

        Returns
        -------
        ndarray of shape (n, n_periods), float32
        """
        if self.positions is None:
            return self._weights(shown, None)
        positions = with_data(self.matrix, self.positions)[users]
        return self._weights(shown, positions.data[find_entries(positions, shown)])

    def _weights(self, matrix, positions):
        last = len(self.centers) - 1
        newest = np.full(matrix.shape[0], last, dtype=np.float32)
        if positions is not None and self.at == "user":
            active = np.flatnonzero(np.diff(matrix.indptr))
            newest[active] = _newest(positions, matrix, active)
        return period_weights(newest, last + 1)


def latest_positions(
    matrix: sp.csr_matrix, times: np.ndarray | None, centers: np.ndarray
) -> np.ndarray:
    """Position of each user's newest interaction; -inf for users without interactions.

    Parameters
    ----------
    matrix : csr_matrix of shape (n_users, n_items)
    times : ndarray of shape (nnz,) or None
    centers : ndarray of shape (n_periods,)

    Returns
    -------
    ndarray of shape (n_users,), float32
    """
    latest = np.full(matrix.shape[0], -np.inf, dtype=np.float32)
    if times is not None:
        active = np.flatnonzero(np.diff(matrix.indptr))
        latest[active] = period_positions(_newest(times, matrix, active), centers)
    return latest


def _newest(values, matrix, active):
    """Return the maximum of each active row; `values` are aligned with the entries."""
    return np.maximum.reduceat(values, matrix.indptr[active]) if len(active) else values[:0]


def mean_user(
    user_factors: np.ndarray, n_periods: int, counts: np.ndarray | None = None
) -> np.ndarray:
    """Factors for unknown users: the mean user, placed in the last period.

    Parameters
    ----------
    user_factors : ndarray of shape (n_users, k), float32
        With several periods, the last columns are period weights.
    n_periods : int
    counts : ndarray of shape (n_users,), bool, default=None
        Users to include. If None, all users.

    Returns
    -------
    ndarray of shape (k,), float32
    """
    mean = user_factors.mean(axis=0, where=True if counts is None else counts[:, np.newaxis])
    return in_last_period(mean, n_periods)


def in_last_period(factors: np.ndarray, n_periods: int) -> np.ndarray:
    """Return the factors of a user, (k,), in the last period; see `mean_user`."""
    factors = factors.copy()
    if n_periods > 1:
        factors[-n_periods:] = 0
        factors[-1] = 1
    return factors


def times_to_numbers(times: np.ndarray) -> np.ndarray:
    """Convert times to float64: datetimes and timedeltas to microseconds."""
    if times.dtype.kind in "mM":
        times = times.astype(f"{times.dtype.kind}8[us]").astype(np.int64)
    return times.astype(np.float64)


def period_positions(times: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Positions of times among the period centers, 0 to n_periods - 1, float32."""
    return np.interp(times, centers, np.arange(len(centers))).astype(np.float32)


def period_weights(positions: np.ndarray, n_periods: int) -> np.ndarray:
    """Weights of the two periods around each position, (n, n_periods) float32."""
    distance = np.abs(positions[:, np.newaxis] - np.arange(n_periods, dtype=np.float32))
    return np.maximum(0, 1 - distance)

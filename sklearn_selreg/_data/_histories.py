"""Histories: the items users interacted with, how strongly, and in which order.

Works with rows and columns, independent of ids and factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ._csr import entry_rows, select_rows
from ._pair_sums import is_new_pair, recency_ranks


@dataclass(frozen=True, eq=False)
class Histories:
    """Interactions of users with the items of a catalog.

    Attributes
    ----------
    matrix : csr_matrix of shape (n_users, n_items), float32
        Summed strengths of the pairs; canonical.
    recency_rank : ndarray of shape (nnz,), int32
        Aligned with ``matrix.data``: 0 for the user's newest item, 1 for the one before, and so
        on, without gaps. An item is ranked by its latest interaction.
    times : ndarray of shape (nnz,), float64, or None
        Aligned with ``matrix.data``: time of the latest interaction. None if only the order is
        known.
    """

    matrix: sp.csr_matrix
    recency_rank: np.ndarray
    times: np.ndarray | None = None

    @classmethod
    def empty(cls, n_users: int, n_items: int) -> Histories:
        """Create the histories of users without interactions."""
        matrix = sp.csr_matrix((n_users, n_items), dtype=np.float32)
        return cls(matrix, np.empty(0, dtype=np.int32))

    @property
    def history(self) -> np.ndarray:
        """Columns, oldest first within each user; ``matrix.indptr`` delimits the users.

        Returns
        -------
        ndarray of shape (nnz,), of the dtype of ``matrix.indices``
        """
        indptr = self.matrix.indptr
        history = np.empty_like(self.matrix.indices)
        last = np.repeat(indptr[1:], np.diff(indptr)) - 1
        history[last - self.recency_rank] = self.matrix.indices
        return history

    def __getitem__(self, rows: np.ndarray) -> Histories:
        """Return the histories of the given users; a row of -1 is a user without history."""
        entries, indptr = select_rows(self.matrix, rows)
        return Histories(
            _canonical(
                self.matrix.data[entries],
                self.matrix.indices[entries],
                indptr,
                (len(rows), self.matrix.shape[1]),
            ),
            self.recency_rank[entries],
            _optional(self.times, entries),
        )

    def select_entries(self, kept: np.ndarray) -> Histories:
        """Select interactions, for the same users and items.

        Parameters
        ----------
        kept : ndarray of shape (nnz,), bool

        Returns
        -------
        Histories
            With new recency ranks, without gaps.
        """
        rows = entry_rows(self.matrix)[kept]
        indptr = np.append(0, np.cumsum(kept))[self.matrix.indptr]
        indptr = indptr.astype(self.matrix.indptr.dtype)
        oldest_first = np.lexsort((-self.recency_rank[kept], rows))
        return Histories(
            _canonical(
                self.matrix.data[kept], self.matrix.indices[kept], indptr, self.matrix.shape
            ),
            recency_ranks(oldest_first, rows, indptr),
            _optional(self.times, kept),
        )

    def select_items(self, columns: np.ndarray, n_items: int) -> Histories:
        """Select the interactions with the items of another catalog, in its columns.

        Parameters
        ----------
        columns : ndarray of shape (n_old_items,), int
            Column of each item in the other catalog; -1 if missing there.
        n_items : int
            Size of the other catalog.

        Returns
        -------
        Histories
        """
        part = self.select_entries(columns[self.matrix.indices] >= 0)
        column = columns[part.matrix.indices]
        order = np.lexsort((column, entry_rows(part.matrix)))
        shape = self.matrix.shape[0], n_items
        return Histories(
            _canonical(part.matrix.data[order], column[order], part.matrix.indptr, shape),
            part.recency_rank[order],
            _optional(part.times, order),
        )

    def stack(self, below: Histories) -> Histories:
        """Append the users of `below`."""
        matrix = sp.vstack([self.matrix, below.matrix], format="csr")
        matrix.has_canonical_format = True
        times = None
        if self.times is not None and below.times is not None:
            times = np.concatenate([self.times, below.times])
        return Histories(matrix, np.concatenate([self.recency_rank, below.recency_rank]), times)

    def add(self, later: Histories) -> Histories:
        """Add later interactions of the same users, as if all had been indexed together.

        Strengths of a pair add up; a pair whose sum is not positive is removed. Histories are
        ordered by time if both have times; else the added interactions are the newest.

        Parameters
        ----------
        later : Histories
            Histories of the same shape. Strengths may be negative.

        Returns
        -------
        Histories
        """
        n_old, n_added = (np.diff(part.matrix.indptr) for part in (self, later))
        row, column = (
            np.concatenate([of(part.matrix) for part in (self, later)])
            for of in (entry_rows, lambda matrix: matrix.indices)
        )
        if not len(row):
            return self
        strengths = np.concatenate([self.matrix.data, later.matrix.data])
        # Position in this history, then in the later one: ties in time keep the order of rows.
        position = np.concatenate(
            [
                n_old[entry_rows(self.matrix)] - 1 - self.recency_rank,
                (n_old + n_added)[entry_rows(later.matrix)] - 1 - later.recency_rank,
            ]
        )
        has_times = self.times is not None and later.times is not None
        times = np.concatenate([self.times, later.times]) if has_times else np.zeros(len(row))
        # A negative strength is not an interaction, so it does not make its pair newer.
        order = np.lexsort((position, times, strengths > 0, column, row))
        row, column, position, times = (a[order] for a in (row, column, position, times))
        is_new = is_new_pair(row, column)
        first, last = np.append(True, is_new), np.append(is_new, True)
        sums = np.add.reduceat(strengths[order], np.flatnonzero(first), dtype=np.float64)
        latest = np.flatnonzero(last)[sums > 0]
        row, column, position, times = (a[latest] for a in (row, column, position, times))
        indptr = np.append(0, np.cumsum(np.bincount(row, minlength=self.matrix.shape[0])))
        data = sums[sums > 0].astype(np.float32)
        return Histories(
            _canonical(data, column, indptr, self.matrix.shape),
            recency_ranks(np.lexsort((position, times, row)), row, indptr),
            times if has_times else None,
        )


def lose_strength(before: sp.csr_matrix, after: sp.csr_matrix) -> np.ndarray:
    """Return a mask of users with items whose strength decreases or vanishes, (n_users,) bool."""
    loss = sp.csr_matrix(before - before.minimum(after))
    loss.eliminate_zeros()
    return np.diff(loss.indptr) > 0


def _canonical(data, indices, indptr, shape):
    """Build a CSR matrix from sorted entries without duplicates."""
    matrix = sp.csr_matrix((data, indices, indptr), shape)
    matrix.has_canonical_format = True
    return matrix


def _optional(times, entries):
    return None if times is None else times[entries]

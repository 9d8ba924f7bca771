"""What comes after a fit: rows of users that add to, or replace, what was known of them.

Knows histories; nothing of factors.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ._interactions import number_newest_first
from ._periods import positions

# Times so many spans of the fitted ones away from them are hardly of the same unit. What is new may
# well be later, but is seldom earlier, and less so if another unit explains it.
_FAR_AFTER, _FAR_BEFORE, _BEFORE = 10, 1, 0.25
_UNITS = np.outer([1, 60, 3600, 86_400], [1, 1e3, 1e6, 1e9]).ravel()[1:]  # in one another


@dataclass(frozen=True, eq=False)
class Histories:
    """Interactions of some users, in the columns of a model.

    Attributes
    ----------
    matrix : csr_matrix of shape (n_users, n_items), float32
        Strengths.
    age : ndarray of shape (nnz,), int32
        0 for a user's newest item, without gaps.
    times : ndarray of shape (nnz,), float64, or None
        When that was.
    """

    matrix: sp.csr_matrix
    age: np.ndarray
    times: np.ndarray | None

    @classmethod
    def empty(cls, n_users, n_items):
        """Make those of users of whom nothing is known."""
        matrix = sp.csr_matrix((n_users, n_items), dtype=np.float32)
        return cls(matrix, np.empty(0, dtype=np.int32), None)

    @classmethod
    def of(cls, interactions, columns, n_items):
        """Take the interactions with known items out of `Interactions`.

        Parameters
        ----------
        interactions : Interactions
            Strengths may be below 0.
        columns : ndarray of int
            Where the model has their items; -1: nowhere.
        n_items : int
        """
        coo = interactions.matrix.tocoo()
        entry = np.flatnonzero(columns[coo.col] >= 0)
        row, column = coo.row[entry], columns[coo.col[entry]]
        entry = entry[np.lexsort((column, row))]
        row, column = coo.row[entry], columns[coo.col[entry]]
        return cls._sorted(
            row,
            column,
            coo.data[entry],
            -interactions.age[entry],
            None if interactions.times is None else interactions.times[entry],
            (interactions.matrix.shape[0], n_items),
        )

    @classmethod
    def _sorted(cls, row, column, strengths, order, times, shape):
        """Make it of entries sorted by user and item; of a user the largest `order` is newest."""
        indptr = np.append(0, np.cumsum(np.bincount(row, minlength=shape[0])))
        matrix = sp.csr_matrix((strengths.astype(np.float32), column, indptr), shape)
        matrix.has_canonical_format = True
        return cls(matrix, number_newest_first(np.lexsort((order, row)), row, indptr), times)

    def __getitem__(self, rows):
        """Return those of some users; a row number of -1 is a user without history."""
        lengths = np.where(rows >= 0, np.diff(self.matrix.indptr)[rows], 0)
        indptr = np.append(0, np.cumsum(lengths))
        first = np.repeat(self.matrix.indptr[rows] - indptr[:-1], lengths)
        entry = first + np.arange(indptr[-1])
        parts = self.matrix.data[entry], self.matrix.indices[entry], indptr
        matrix = sp.csr_matrix(parts, (len(rows), self.matrix.shape[1]))
        matrix.has_canonical_format = True
        times = None if self.times is None else self.times[entry]
        return Histories(matrix, self.age[entry], times)

    def stacked(self, other):
        """Return the users of both, one below the other."""
        matrix = sp.vstack([self.matrix, other.matrix], format="csr")
        matrix.has_canonical_format = True
        times = None
        if self.times is not None and other.times is not None:
            times = np.concatenate([self.times, other.times])
        return Histories(matrix, np.concatenate([self.age, other.age]), times)

    def plus(self, later):
        """Add later rows of the same users, as if all had been indexed at once.

        Strengths of a pair add up; what is not above 0 then is no interaction. Where times are
        known of both they order a history, else what is added is the newest.

        Parameters
        ----------
        later : Histories
            Of the same shape.

        Returns
        -------
        histories : Histories
        """
        both = [(part, part.matrix.tocoo()) for part in (self, later)]
        row, column, strengths = (
            np.concatenate([getattr(coo, name) for _, coo in both])
            for name in ("row", "col", "data")
        )
        # The place in the one history, then in the other: among equal times the order of the rows.
        n_old = np.diff(self.matrix.indptr)
        place = np.concatenate(
            [
                n_old[both[0][1].row] - 1 - self.age,
                (n_old + np.diff(later.matrix.indptr))[both[1][1].row] - 1 - later.age,
            ]
        )
        times = None
        if self.times is not None and later.times is not None:
            times = np.concatenate([self.times, later.times])
        # What takes off a strength is no interaction: it makes no pair newer.
        adds = strengths > 0
        when = np.zeros(len(row)) if times is None else times
        order = np.lexsort((place, when, adds, column, row))
        row, column, place, when = row[order], column[order], place[order], when[order]
        change = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
        first, last = np.append(True, change), np.append(change, True)
        starts = np.flatnonzero(first)[: len(row)]
        if not len(row):
            return self
        sums = np.add.reduceat(strengths[order], starts, dtype=np.float64)
        kept = np.flatnonzero(last)[sums > 0]
        row, column, place, when = row[kept], column[kept], place[kept], when[kept]
        rank = np.empty(len(row))
        rank[np.lexsort((place, when))] = np.arange(len(row))
        return self._sorted(
            row,
            column,
            sums[sums > 0],
            rank,
            None if times is None else when,
            self.matrix.shape,
        )


def latest_positions(matrix, times, periods):
    """Return where the newest interaction of users lies among periods; -inf without any.

    Parameters
    ----------
    matrix : csr_matrix of shape (n_users, n_items)
    times : ndarray of shape (nnz,) or None
    periods : ndarray of shape (n_periods,)
        Their centers.

    Returns
    -------
    where : ndarray of shape (n_users,), float32
    """
    where = np.full(matrix.shape[0], -np.inf, dtype=np.float32)
    active = np.flatnonzero(np.diff(matrix.indptr))
    if times is not None and len(active):
        newest = np.maximum.reduceat(times, matrix.indptr[active])
        where[active] = positions(newest, periods)
    return where


def check_times(kind, span, interactions, column):
    """Check that times are what they were in the fit.

    Parameters
    ----------
    kind : str or None
        What they were; None: there were none.
    span : tuple of (float, float) or None
        The first and the last one.
    interactions : Interactions
    column : int or str or None
        The parameter `time_col`.

    Returns
    -------
    warning : str or None
        What is to be said of times far from those of the fit.

    Raises
    ------
    TypeError
        For numbers where there were datetimes, and the like.
    """
    if kind is None or interactions.times is None:
        return None
    if interactions.time_kind != kind:
        raise TypeError(
            f"The times of X (time_col={column!r}) must be {kind}, as they were in fit; got "
            f"{interactions.time_kind}. Convert them, as by pandas.to_datetime(..., unit='s') or "
            "to numbers of the same unit."
        )
    first, last = span
    if last == first:
        return None
    active = np.flatnonzero(np.diff(interactions.matrix.indptr))
    starts = interactions.matrix.indptr[active]
    side = _far_side(interactions.times, first, last)
    far = np.minimum.reduceat(np.abs(side), starts) > 0  # all that is known of a user
    if not far.any():
        return None
    newest = np.maximum.reduceat(interactions.times, starts)[far]
    before = newest[0] < first
    shown = [newest[0], first, last]
    if kind == "datetimes":
        shown = [np.datetime64(int(time), "us").astype("M8[s]") for time in shown]
    newest, first, last = map(str, shown)
    return (
        f"All times (time_col={column!r}) of {far.sum()} of {len(far)} users of X, such as "
        f"{newest}, lie far {'before' if before else 'after'} those of fit, from {first} to "
        f"{last}: such users are taken to be of the {'first' if before else 'last'} period. If the "
        "unit is another one (seconds, milliseconds), convert them."
    )


def _far_side(times, first, last):
    """Tell which times are far before (-1) or after (1) those from `first` to `last`, (n,) int."""
    span = last - first
    before, after = first - times, times - last
    far = before > _FAR_BEFORE * span
    candidates = np.flatnonzero((before > _BEFORE * span) & ~far)
    for unit in _UNITS:
        meant = times[candidates] * unit
        far[candidates] |= (first <= meant) & (meant <= last + span)
    return np.where(far, -1, np.where(after > _FAR_AFTER * span, 1, 0))


def lose_strength(before, after):
    """Tell which users have items in one matrix that have less strength, or none, in another."""
    loss = sp.csr_matrix(before - before.minimum(after))
    loss.eliminate_zeros()
    return np.diff(loss.indptr) > 0

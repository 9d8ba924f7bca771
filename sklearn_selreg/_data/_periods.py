"""When interactions were: how popular items are in each period, and which period is a user's."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

_ENTRIES_PER_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class Trend:
    """Interactions in time, which is cut into periods of about equally many.

    What lies between the centers of two periods belongs to both, more to the nearer one.

    Attributes
    ----------
    matrix : csr_matrix of shape (n_users, n_items)
        The interactions.
    centers : ndarray of shape (n_periods,), float64
        Times in the middle of the periods, increasing; one of them if nothing is known of time.
    when : ndarray of shape (nnz,), float32, or None
        Position of each interaction, from 0 to n_periods - 1; None: all are 0.
    now : bool
        Whether all users are in the last period, whenever they were here.
    """

    matrix: sp.csr_matrix
    centers: np.ndarray
    when: np.ndarray | None
    now: bool

    @classmethod
    def of(cls, interactions, n_periods, *, now=False):
        """Make at most `n_periods` periods of the times of some `Interactions`."""
        centers, when = np.zeros(1), None
        if interactions.times is not None and n_periods > 1:
            middles = (np.arange(n_periods) + 0.5) / n_periods
            centers = np.unique(np.quantile(interactions.times, middles))
        if len(centers) > 1:
            when = positions(interactions.times, centers)
        return cls(interactions.matrix, centers, when, now)

    def popularity(self, left_out=()):
        """Return the interactions of each item and period, (n_items, n_periods) float64.

        Parameters
        ----------
        left_out : ndarray of int
            Users who do not count.
        """
        n_items, n_periods = self.matrix.shape[1], len(self.centers)
        counts = np.zeros((n_items, n_periods))
        counted = np.ones(self.matrix.shape[0], dtype=bool)
        counted[np.asarray(left_out, dtype=np.intp)] = False
        counted = np.repeat(counted, np.diff(self.matrix.indptr))
        for start in range(0, self.matrix.nnz, _ENTRIES_PER_CHUNK):
            part = slice(start, start + _ENTRIES_PER_CHUNK)
            items = self.matrix.indices[part][counted[part]]
            if self.when is None:
                counts[:, 0] += np.bincount(items, minlength=n_items)
                continue
            shares = period_shares(self.when[part][counted[part]], n_periods)
            for period in range(n_periods):
                counts[:, period] += np.bincount(items, shares[:, period], minlength=n_items)
        return counts

    def user_shares(self):
        """Return the periods of the users, (n_users, n_periods) float32; see `shares_of`."""
        return shares_of(self.matrix, self.when, len(self.centers), now=self.now)

    def shown_shares(self, users, shown):
        """Return the periods of users of whom a part of the interactions is known.

        Parameters
        ----------
        users : ndarray of shape (n,), int
        shown : csr_matrix of shape (n, n_items)
            What is known of them, a part of their rows of `matrix`.

        Returns
        -------
        shares : ndarray of shape (n, n_periods), float32
        """
        if self.when is None:
            return shares_of(shown, None, 1)
        # Zeros would be no entries.
        later = sp.csr_matrix(
            (self.when + 1, self.matrix.indices, self.matrix.indptr), self.matrix.shape
        )
        known = sp.csr_matrix(later[users].multiply(shown.astype(bool)))
        return shares_of(known, known.data - 1, len(self.centers), now=self.now)


def mean_user(user_factors, n_periods):
    """Return the factors of a user of whom nothing is known: the mean, in the last period.

    Parameters
    ----------
    user_factors : ndarray of shape (n_users, k), float32
        Those of the periods are the last columns, if there are several.
    n_periods : int

    Returns
    -------
    factors : ndarray of shape (k,), float32
    """
    mean = user_factors.mean(axis=0)
    if n_periods > 1:
        mean[-n_periods:] = 0
        mean[-1] = 1
    return mean


def as_numbers(times):
    """Return times as numbers, float64: datetimes and timedeltas in microseconds."""
    if times.dtype.kind in "mM":
        times = times.astype(f"{times.dtype.kind}8[us]").astype(np.int64)
    return times.astype(np.float64)


def positions(times, centers):
    """Return where times lie among the centers of periods, 0 to n_periods - 1, float32."""
    return np.interp(times, centers, np.arange(len(centers))).astype(np.float32)


def period_shares(where, n_periods):
    """Return how positions are shared by the two periods around them, (n, n_periods) float32."""
    distance = np.abs(where[:, np.newaxis] - np.arange(n_periods, dtype=np.float32))
    return np.maximum(0, 1 - distance)


def shares_of(matrix, when, n_periods, *, now=False):
    """Return the periods of users, (n_users, n_periods) float32; rows sum to 1.

    They are in the period of their newest interaction; in the last one, if they have none.

    Parameters
    ----------
    matrix : csr_matrix of shape (n_users, n_items)
    when : ndarray of shape (nnz,), float32, or None
        Positions of the interactions; None: nothing is known of time.
    n_periods : int
    now : bool
        Whether all are in the last one.
    """
    where = np.full(matrix.shape[0], n_periods - 1, dtype=np.float32)
    active = np.flatnonzero(np.diff(matrix.indptr))
    if when is not None and not now and len(active):
        where[active] = np.maximum.reduceat(when, matrix.indptr[active])
    return period_shares(where, n_periods)

"""Aggregation of rows to one entry per (user, item) pair: summed strengths, and their order."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ._finite import quiet

_ENTRIES_PER_CHUNK = 2**17


def order_by_time(strengths: np.ndarray, times: np.ndarray | None) -> np.ndarray:
    """Order the rows of nonzero strength by `times` (if None, row order), ties by row; int32."""
    rows = np.flatnonzero(strengths)
    if times is not None:
        rows = rows[np.argsort(times[rows], kind="stable")]
    return rows.astype(np.int32)


def counting_sort(rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Sort row numbers by the codes of the rows, stably and in linear time.

    Transposing a CSR matrix with a single entry per row is a counting sort of its rows.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,), int32
    codes : ndarray of shape (n_samples,), integer
        Code of each row, >= 0.

    Returns
    -------
    ndarray of shape (n_rows,), int32
    """
    indptr = np.arange(len(rows) + 1, dtype=np.int32)
    one_hot = (np.ones(len(rows), dtype=bool), codes[rows], indptr)
    return rows[sp.csr_array(one_hot).tocsc().indices]


def net_strengths(
    user_codes: np.ndarray,
    item_codes: np.ndarray,
    strengths: np.ndarray,
    times: np.ndarray | None,
    *,
    keep: bool,
) -> np.ndarray:
    """Move the sum of each pair to its latest positive row, or its latest row if there is none.

    Parameters
    ----------
    user_codes, item_codes, strengths : ndarrays of shape (n_samples,)
    times : ndarray of shape (n_samples,) or None
    keep : bool
        Whether to keep negative sums; else they become 0.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        0 in all other rows.
    """
    rows = order_by_time(strengths, times)
    rows = counting_sort(counting_sort(rows, item_codes), user_codes)
    values = strengths[rows]
    is_new = is_new_pair(user_codes[rows], item_codes[rows])
    first = np.flatnonzero(np.append(True, is_new))
    last = np.append(first[1:], len(rows)) - 1
    sums = np.add.reduceat(values, first, dtype=np.float64)
    latest_positive = np.where(values > 0, np.arange(len(rows)), -1)
    latest_positive = np.maximum.reduceat(latest_positive, first)
    latest = np.where(latest_positive >= 0, latest_positive, last)
    net = np.zeros_like(strengths)
    net[rows[latest]] = sums if keep else np.maximum(sums, 0)
    return net


def sum_pairs(
    user_codes: np.ndarray, item_codes: np.ndarray, strengths: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sum the strengths of repeated pairs.

    Parameters
    ----------
    user_codes, item_codes, strengths, rows : ndarrays of shape (n_rows,)
        Interactions sorted by user, item and time, and their rows in the table.

    Returns
    -------
    user_codes, item_codes, strengths : ndarrays of shape (n_pairs,)
        One entry per pair; strengths are summed in float64 and returned as float32.
    rows : ndarray of shape (n_pairs,)
        Row of the latest interaction of each pair.
    """
    is_new = is_new_pair(user_codes, item_codes)
    if is_new.all():
        return user_codes, item_codes, strengths, rows
    first, last = np.append(True, is_new), np.append(is_new, True)
    sums = np.add.reduceat(strengths, np.flatnonzero(first), dtype=np.float64)
    with quiet():  # overflow results in infinite factors, which raise an error
        sums = sums.astype(np.float32)
    return user_codes[first], item_codes[first], sums, rows[last]


def rank_by_recency(
    by_time: np.ndarray, rows: np.ndarray, user_codes: np.ndarray, indptr: np.ndarray
) -> np.ndarray:
    """Rank each user's pairs by their latest interaction, the newest first.

    Parameters
    ----------
    by_time : ndarray of shape (n_rows,), int32
        Rows of all interactions, oldest first.
    rows, user_codes : ndarrays of shape (n_pairs,)
        Row of the latest interaction, and user, of each pair; sorted by user.
    indptr : ndarray of shape (n_users + 1,)
        Boundaries of the users' pairs.

    Returns
    -------
    ndarray of shape (n_pairs,), int32
        0 for the newest pair of a user.
    """
    pair_of_row = np.full(by_time.max() + 1, -1, dtype=np.int32)
    pair_of_row[rows] = np.arange(len(rows), dtype=np.int32)
    pairs = pair_of_row[by_time]
    oldest_first = counting_sort(pairs[pairs >= 0], user_codes)
    return recency_ranks(oldest_first, user_codes, indptr)


def recency_ranks(oldest_first: np.ndarray, users: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Rank the entries of each user, 0 for the newest.

    Parameters
    ----------
    oldest_first : ndarray of shape (nnz,), int
        Entries sorted by user, then from oldest to newest.
    users : ndarray of shape (nnz,), int
        User of each entry, non-decreasing.
    indptr : ndarray of shape (n_users + 1,)
        Boundaries of the users' entries.

    Returns
    -------
    ndarray of shape (nnz,), int32
    """
    ranks, last = np.empty(len(users), dtype=np.int32), indptr[1:] - 1
    for start in range(0, len(users), _ENTRIES_PER_CHUNK):
        chunk = slice(start, start + _ENTRIES_PER_CHUNK)
        positions = np.arange(start, start + len(users[chunk]))
        ranks[oldest_first[chunk]] = last[users[chunk]] - positions
    return ranks


def is_new_pair(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return whether the pair of each entry, from the second on, differs from the previous one."""
    return (users[1:] != users[:-1]) | (items[1:] != items[:-1])

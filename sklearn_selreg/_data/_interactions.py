"""Interactions: from a table of (user, item) rows, or a matrix, to ids, matrix and histories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._utils._params import name_kind
from .._utils._typing import Column, Table
from .._utils._warn import warn
from ._arrays import example_of, to_numpy
from ._collected import collect
from ._csr import with_data
from ._exact_ids import align_numbers, check_ids
from ._histories import Histories
from ._ids import concatenate_ids, encode, factorize, sort_ids
from ._pair_sums import counting_sort, net_strengths, order_by_time, rank_by_recency, sum_pairs
from ._periods import times_to_numbers
from ._strengths import Negatives, as_strengths, read_strengths
from ._tables import TimeKind, column_labels, read_columns, time_kind

_ENTRIES_PER_CHUNK = 2**17


@dataclass(frozen=True, eq=False, kw_only=True)
class Interactions(Histories):
    """Indexed interactions: histories, and the ids of their rows and columns.

    All strengths are > 0 (but see `negatives` of `index_interactions`). Indices are int32 when
    they fit.

    Attributes
    ----------
    users : ndarray of shape (n_users,)
        User ids, with the dtype they had; sorted if they can be, else by first appearance.
    items : ndarray of shape (n_items,)
        Item ids, likewise, those of `extra_items` included; as users those of `extra_users`.
    time_kind : {"numbers", "datetimes", "timedeltas"} or None
        What the times were.
    """

    users: np.ndarray
    items: np.ndarray
    time_kind: TimeKind | None = None


def index_interactions(
    X: Table,
    y: Any = None,
    *,
    user_col: Column = 0,
    item_col: Column = 1,
    time_col: Column | None = None,
    extra_items: np.ndarray | None = None,
    extra_users: np.ndarray | None = None,
    usual_width: int | None = None,
    negatives: Negatives = "error",
) -> Interactions:
    """Index a table of interactions, or a user-item matrix.

    Time and memory are linear in the number of rows, up to 2**31 - 1, except for sorting by
    `time_col`.

    Parameters
    ----------
    X : DataFrame, 2-D array-like, or scipy sparse matrix or array
        A table has one interaction per row (see `read_columns`). A sparse matrix is users x
        items: ids are row and column numbers, values are strengths, explicit zeros are no
        interactions, and a history is in column order.
    y : array-like of shape (n_samples,), default=None
        Strengths >= 0 (see `read_strengths`). A row of strength 0 names a user and an item, but
        is no interaction. Must be None for sparse `X`.
    user_col, item_col : int or str, default=0 and 1
        Position or name of the columns with the ids.
    time_col : int or str, default=None
        Column that orders the histories, ties by row; None = row order.
    extra_items : ndarray of shape (n_extra,), default=None
        Ids of further items; repeated and known ones are fine.
    extra_users : ndarray of shape (n_extra,), default=None
        Likewise of further users.
    usual_width : int, default=None
        As in `read_columns`.
    negatives : {"error", "net", "keep"}, default="error"
        What strengths below 0 are: an error, or parts of the sum of their pair. A pair whose sum
        is not above 0 is no interaction ("net"), or keeps its sum, so that `matrix` has entries
        below 0 ("keep"); they do not make it newer.

    Returns
    -------
    interactions : Interactions

    Raises
    ------
    ValueError, TypeError
        As in `read_columns` and `read_strengths`; for ids that are not hashable; when no
        strength is positive; for `y` given with a sparse `X`.

    Warns
    -----
    DataWarning
        When none of the item ids of `X` is in `extra_items`, none of its user ids in
        `extra_users`, and as in `read_columns`.
    """
    if sp.issparse(X):
        return _index_sparse(X, y, extra_items, extra_users, negatives)
    X = collect(X, aligned=None, user_col=user_col, item_col=item_col, time_col=time_col)
    user_ids, item_ids, times = read_columns(
        X, user_col=user_col, item_col=item_col, time_col=time_col, usual_width=usual_width
    )
    kind = None
    if times is not None:
        kind, times = time_kind(times), times_to_numbers(times)
    columns = column_labels(X, user_col, item_col)
    strengths = read_strengths(y, len(user_ids), negatives, columns)
    users, user_codes = factorize(user_ids)
    items, item_codes = factorize(item_ids)
    del user_ids, item_ids  # may be large, and copies
    if strengths.min(initial=0) < 0:
        strengths = net_strengths(
            user_codes, item_codes, strengths, times, keep=negatives == "keep"
        )
    if not strengths.any():
        raise ValueError(_message_no_interaction(len(strengths), negatives))
    if extra_items is not None:
        items = _append_ids(items, extra_items, "item")
    if extra_users is not None:
        users = _append_ids(users, extra_users, "user")
    users, user_codes = sort_ids(users, user_codes)
    items, item_codes = sort_ids(items, item_codes)
    by_time = order_by_time(strengths, times)
    # Each step replaces the arrays of the one before, to keep the peak memory low.
    rows = counting_sort(by_time, item_codes)
    rows = counting_sort(rows, user_codes)  # by user, item, time
    user_codes, item_codes, strengths = user_codes[rows], item_codes[rows], strengths[rows]
    user_codes, item_codes, strengths, rows = sum_pairs(user_codes, item_codes, strengths, rows)
    indptr = np.append(0, np.cumsum(np.bincount(user_codes, minlength=len(users))))
    matrix = sp.csr_matrix((strengths, item_codes, indptr), shape=(len(users), len(items)))
    matrix.has_canonical_format = True
    return Interactions(
        matrix,
        rank_by_recency(by_time, rows, user_codes, indptr),
        None if times is None else times[rows],
        users=users,
        items=items,
        time_kind=kind,
    )


def of_active_users(interactions: Interactions) -> Interactions:
    """Return the interactions without users who have none."""
    rows = np.flatnonzero(np.diff(interactions.matrix.indptr))
    some = interactions[rows]
    return Interactions(
        some.matrix,
        some.recency_rank,
        some.times,
        users=interactions.users[rows],
        items=interactions.items,
        time_kind=interactions.time_kind,
    )


def _message_no_interaction(n_rows, negatives):
    if negatives == "error":
        return f"y must hold a strength > 0, an interaction; got 0 in all of {n_rows} rows."
    return (
        "y must hold strengths >= 0 with a sum above 0 for some pair of user and item; got none in "
        f"{n_rows} rows."
    )


def interactions_from_sparse(
    csr: sp.spmatrix | sp.sparray,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn a user-item matrix into a table of interactions with strengths.

    Parameters
    ----------
    csr : scipy sparse matrix or array of shape (n_users, n_items)
        Strengths >= 0, in any sparse format. Explicit zeros are no interactions.

    Returns
    -------
    X : ndarray of shape (nnz, 2), int64
        Row and column number of each interaction, sorted.
    y : ndarray of shape (nnz,), float32
        Its strength, > 0.

    Raises
    ------
    TypeError
        If `csr` is not sparse.
    ValueError
        For strengths that are negative or not finite, and when none is positive.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from sklearn_selreg import interactions_from_sparse
    >>> X, y = interactions_from_sparse(csr_array(np.array([[0, 2, 0], [1, 0, 3]])))
    >>> X
    array([[0, 1],
           [1, 0],
           [1, 2]])
    >>> y
    array([2., 1., 3.], dtype=float32)
    """
    if not sp.issparse(csr):
        raise TypeError(f"csr must be a scipy sparse matrix or array; got {name_kind(csr)}.")
    pairs = index_interactions(csr).matrix.tocoo()
    return np.column_stack((pairs.row, pairs.col)).astype(np.int64), pairs.data


def _index_sparse(X, y, extra_items, extra_users, negatives):
    """Index a user-item matrix, which is in order, except for what must be summed or dropped."""
    if y is not None:
        raise ValueError(
            "y must be None when X is a sparse matrix, which holds the strengths; got "
            f"{name_kind(y)}."
        )
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"A sparse X must be users x items, at least 1 of each; got shape {X.shape}."
        )
    matrix = _positive_csr(X, negatives)
    if not matrix.nnz:
        raise ValueError(
            f"A sparse X must hold a strength > 0, an interaction; got none in shape {X.shape}."
        )
    items, codes = np.arange(X.shape[1]), matrix.indices
    if extra_items is not None:
        items, codes = sort_ids(_append_ids(items, extra_items, "item"), codes)
    largest = max(matrix.nnz, *X.shape, len(items))
    dtype = np.int32 if largest <= np.iinfo(np.int32).max else np.int64
    codes, indptr = (np.array(part, dtype=dtype) for part in (codes, matrix.indptr))
    data = np.array(matrix.data, dtype=np.float32)
    matrix = sp.csr_matrix((data, codes, indptr), shape=(X.shape[0], len(items)))
    matrix.sort_indices()  # the columns may have been reordered
    matrix.has_canonical_format = True
    users = np.arange(X.shape[0])
    if extra_users is not None:
        users, matrix = _append_rows(users, matrix, _append_ids(users, extra_users, "user"))
    return Interactions(matrix, _last_is_newest(matrix.indptr), users=users, items=items)


def _append_rows(users, matrix, all_users):
    """Give a matrix empty rows for the users that come after those it has, and sort them."""
    indptr, n_new = matrix.indptr, len(all_users) - len(users)
    indptr = np.append(indptr, np.full(n_new, indptr[-1], dtype=indptr.dtype))
    shape = len(all_users), matrix.shape[1]
    wider = sp.csr_matrix((matrix.data, matrix.indices, indptr), shape)
    all_users, rows = sort_ids(all_users, np.arange(len(all_users)))
    wider = wider if (np.diff(rows) > 0).all() else wider[np.argsort(rows)]
    wider.has_canonical_format = True
    return all_users, wider


def _positive_csr(X, negatives):
    """Return a sparse matrix as CSR with the positive sums of its entries; may share them."""
    if X.format not in ("csr", "csc") and X.dtype.kind in "biuf":
        X = X.astype(np.float64)  # entries of the same pair are summed in this dtype
    matrix = sp.csr_matrix(X)
    strengths = as_strengths(matrix.data, "X", negatives)
    if matrix.has_canonical_format and strengths.min(initial=1) > 0:
        return with_data(matrix, strengths)
    matrix = with_data(matrix, strengths.astype(np.float64)).copy()
    matrix.sum_duplicates()
    np.maximum(matrix.data, 0, out=matrix.data)
    matrix.eliminate_zeros()
    return matrix


def _last_is_newest(indptr):
    """Return the recency ranks of histories in the order of entries, (nnz,) int32."""
    ranks = np.repeat(indptr[1:] - 1, np.diff(indptr))
    for start in range(0, len(ranks), _ENTRIES_PER_CHUNK):
        part = ranks[start : start + _ENTRIES_PER_CHUNK]
        part -= np.arange(start, start + len(part), dtype=ranks.dtype)
    return ranks.astype(np.int32, copy=False)


def _append_ids(ids, extra, what):
    """Append the ids of `extra` that are not in `ids`, once each; `what`: "item" or "user"."""
    extra, data = to_numpy(extra), f"{what}_data"
    if extra.ndim != 1:
        raise ValueError(f"The ids of {data} must be 1-D; got shape {extra.shape}.")
    check_ids(extra, f"The id column of {data}")
    extra, _ = factorize(extra)
    ids, extra = align_numbers(ids, extra)
    new = encode(ids, extra) < 0
    if new.any() and new.all():
        warn(
            f"No {what} id of X is in {data}: X has {what}s such as {example_of(ids)}, {data} "
            f"such as {example_of(extra)}. If their types differ, convert one of them: 1 is "
            "not '1', and a numpy array such as np.array([['ann', 1]]) holds only strings. "
            "Numbers lose leading zeros: pd.read_csv(path, dtype=str) keeps them. The ids of a "
            f"pandas {data} are its index, unless a column is named as the {what} column of X."
        )
    return concatenate_ids(ids, extra[new]) if new.any() else ids

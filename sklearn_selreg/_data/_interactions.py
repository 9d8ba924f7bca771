"""Indexing of interactions: a table of (user, item) rows, or a matrix, to ids and histories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._utils._params import name_kind
from .._utils._typing import Column, Table
from .._utils._warn import warn
from ._arrays import as_objects, example_of, to_numpy
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

    All strengths are > 0 (but see `negatives` of `index_interactions`). Indices are int32 if they
    fit.

    Attributes
    ----------
    users : ndarray of shape (n_users,)
        User ids in their original dtype, including `extra_users`; sorted if sortable, else by
        first appearance.
    items : ndarray of shape (n_items,)
        Item ids, likewise, including `extra_items`.
    time_kind : {"numbers", "datetimes", "timedeltas"} or None
        Kind of the times; None without times.
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
    name: str = "X",
) -> Interactions:
    """Index a table of interactions, or a user-item matrix.

    Time and memory are linear in the number of rows, up to 2**31 - 1, except for sorting by
    `time_col`.

    Parameters
    ----------
    X : DataFrame, 2-D array-like, or scipy sparse matrix or array
        A table has one interaction per row (see `read_columns`). A sparse matrix has shape users x
        items: ids are row and column numbers, values are strengths, explicit zeros are ignored,
        and histories are in column order.
    y : array-like of shape (n_samples,), default=None
        Strengths >= 0 (see `read_strengths`). A row of strength 0 adds a user and an item, but
        no interaction. Must be None for sparse `X`.
    user_col, item_col : int or str, default=0 and 1
        Position or name of the id columns.
    time_col : int or str, default=None
        Column that orders the histories; ties keep the row order. If None, row order is used.
    extra_items : ndarray of shape (n_extra,), default=None
        Ids of additional items; may include known and repeated ids.
    extra_users : ndarray of shape (n_extra,), default=None
        Ids of additional users, likewise.
    usual_width : int, default=None
        As in `read_columns`.
    negatives : {"error", "net", "keep"}, default="error"
        Handling of negative strengths: raise an error, or add them to the sum of their pair. A
        pair whose sum is not positive is dropped ("net"), or keeps its sum, so that `matrix` may
        have negative entries ("keep"). Negative strengths do not make a pair newer.
    name : str, default="X"
        Name of the argument, for messages.

    Returns
    -------
    interactions : Interactions

    Raises
    ------
    ValueError, TypeError
        As in `read_columns` and `read_strengths`; for unhashable ids; if no strength is positive;
        if `y` is given with a sparse `X`.

    Warns
    -----
    DataWarning
        If `X` shares no item ids with `extra_items`, or no user ids with `extra_users`; if the
        index of `y` has the labels of `X` in another order; and as in `read_columns`.
    """
    if sp.issparse(X):
        return _index_sparse(X, y, extra_items, extra_users, negatives)
    X = collect(X, aligned=None, user_col=user_col, item_col=item_col, time_col=time_col)
    user_ids, item_ids, times = read_columns(
        X,
        user_col=user_col,
        item_col=item_col,
        time_col=time_col,
        usual_width=usual_width,
        name=name,
    )
    kind = None
    if times is not None:
        kind, times = time_kind(times), times_to_numbers(times)
    columns = column_labels(X, user_col, item_col, *([] if time_col is None else [time_col]))
    _warn_of_other_order(X, y)
    strengths = read_strengths(y, len(user_ids), negatives, columns)
    users, user_codes = factorize(user_ids)
    items, item_codes = factorize(item_ids)
    del user_ids, item_ids  # may be large copies
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
    # Each step replaces the arrays of the previous one, to keep peak memory low.
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


def _warn_of_other_order(X, y):
    """Warn if a pandas `y` has the row labels of `X` in another order."""
    if not isinstance(X, pd.DataFrame) or not isinstance(y, pd.Series) or len(X) != len(y):
        return
    if not y.index.equals(X.index) and y.index.isin(X.index).all() and X.index.isin(y.index).all():
        warn(
            "The index of y has the same labels as that of X, but in another order. Rows are "
            "paired by position, as in scikit-learn. Pass y.loc[X.index] to pair them by label, "
            "or y.to_numpy() if the positions are right."
        )


def of_active_users(interactions: Interactions) -> Interactions:
    """Drop users without interactions."""
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
        return f"y must contain at least one strength > 0; got 0 in all {n_rows} rows."
    return (
        "The strengths y of at least one (user, item) pair must have a sum > 0; got no such pair "
        f"in {n_rows} rows."
    )


def interactions_from_sparse(
    csr: sp.spmatrix | sp.sparray, *, users: Any = None, items: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Convert a user-item matrix to a table of interactions with strengths.

    Parameters
    ----------
    csr : scipy sparse matrix or array of shape (n_users, n_items)
        Strengths >= 0, in any sparse format. Explicit zeros are ignored.
    users : array-like of shape (n_users,), default=None
        Ids of the rows. If None, their numbers. Needed for some rows of a larger matrix.
    items : array-like of shape (n_items,), default=None
        Ids of the columns. If None, their numbers.

    Returns
    -------
    X : ndarray of shape (nnz, 2), int64 or the dtype of the ids
        User and item id of each interaction, by row and column; of dtype object if users and items
        have different types.
    y : ndarray of shape (nnz,), float32
        Strength of each interaction, > 0.

    Raises
    ------
    TypeError
        If `csr` is not sparse.
    ValueError
        If a strength is negative or not finite, or none is positive; if there is not one id for
        each row or column.

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

    A single row of a larger matrix, with its user id:

    >>> interactions_from_sparse(csr_array(np.array([[1, 0, 3]])), users=[42])[0]
    array([[42,  0],
           [42,  2]])
    """
    if not sp.issparse(csr):
        raise TypeError(f"csr must be a scipy sparse matrix or array; got {name_kind(csr)}.")
    pairs = index_interactions(csr).matrix.tocoo()
    columns = [
        _name_positions(positions.astype(np.int64), ids, length, name)
        for positions, ids, length, name in (
            (pairs.row, users, csr.shape[0], "users"),
            (pairs.col, items, csr.shape[1], "items"),
        )
    ]
    if columns[0].dtype.kind != columns[1].dtype.kind:  # no common dtype that keeps both
        columns = [as_objects(column) for column in columns]
    return np.column_stack(columns), pairs.data


def _name_positions(positions, ids, length, name):
    """Return the ids at the given positions, or the positions if there are no ids."""
    if ids is None:
        return positions
    if isinstance(ids, list | tuple) and not any(isinstance(value, list) for value in ids):
        # An array would turn ["ann", 1] into text, and tuples into rows.
        ids = pd.Series(np.fromiter(ids, dtype=object, count=len(ids))).infer_objects()
    ids = to_numpy(ids)
    if ids.shape != (length,):
        what = "row" if name == "users" else "column"
        raise ValueError(
            f"{name} must have one id for each of the {length} {what}s of csr; got shape "
            f"{ids.shape}."
        )
    return ids[positions]


def _index_sparse(X, y, extra_items, extra_users, negatives):
    """Index a user-item matrix, summing duplicates and dropping entries that are not positive."""
    if y is not None:
        raise ValueError(
            "y must be None when X is a sparse matrix, whose values are the strengths; got "
            f"{name_kind(y)}."
        )
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"A sparse X must have shape (n_users, n_items), at least 1 each; got shape {X.shape}."
        )
    matrix = _positive_csr(X, negatives)
    if not matrix.nnz:
        raise ValueError(
            f"A sparse X must contain at least one strength > 0; got none in shape {X.shape}."
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
    """Append empty rows for additional users, then sort the rows by user id."""
    indptr, n_new = matrix.indptr, len(all_users) - len(users)
    indptr = np.append(indptr, np.full(n_new, indptr[-1], dtype=indptr.dtype))
    shape = len(all_users), matrix.shape[1]
    wider = sp.csr_matrix((matrix.data, matrix.indices, indptr), shape)
    all_users, rows = sort_ids(all_users, np.arange(len(all_users)))
    wider = wider if (np.diff(rows) > 0).all() else wider[np.argsort(rows)]
    wider.has_canonical_format = True
    return all_users, wider


def _positive_csr(X, negatives):
    """Return a sparse matrix as CSR with the positive sums of its entries; may share memory."""
    if X.format not in ("csr", "csc") and X.dtype.kind in "biuf":
        X = X.astype(np.float64)  # duplicates are summed in this dtype
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
    """Recency ranks of histories whose entries are in chronological order, (nnz,) int32."""
    ranks = np.repeat(indptr[1:] - 1, np.diff(indptr))
    for start in range(0, len(ranks), _ENTRIES_PER_CHUNK):
        part = ranks[start : start + _ENTRIES_PER_CHUNK]
        part -= np.arange(start, start + len(part), dtype=ranks.dtype)
    return ranks.astype(np.int32, copy=False)


def _append_ids(ids, extra, what):
    """Append the ids of `extra` missing from `ids`, once each; `what` is "item" or "user"."""
    extra, data = to_numpy(extra), f"{what}_data"
    if extra.ndim != 1:
        raise ValueError(f"The ids of {data} must be 1-D; got shape {extra.shape}.")
    check_ids(extra, f"The id column of {data}")
    extra, _ = factorize(extra)
    ids, extra = align_numbers(ids, extra)
    new = encode(ids, extra) < 0
    if new.any() and new.all():
        warn(
            f"No {what} id of X is in {data} ({what} ids of X look like {example_of(ids)}, those "
            f"of {data} like {example_of(extra)}). If their types differ, convert one of them to "
            "the type of the other: 1 is not '1', and a numpy array such as "
            "np.array([['ann', 1]]) holds only strings. Numbers lose leading zeros; "
            "pd.read_csv(path, dtype=str) keeps them. The ids of a pandas "
            f"{data} are its index, unless a column has the name of the {what} column of X."
        )
    return concatenate_ids(ids, extra[new]) if new.any() else ids

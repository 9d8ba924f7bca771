"""Interactions: from a table of (user, item) rows, or a matrix, to ids, matrix and histories."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from .._utils._params import name_kind
from .._utils._warn import warn
from ._finite import quiet
from ._ids import alike, check_ids, concatenate_ids, encode, example_of, factorize, to_numpy
from ._periods import as_numbers
from ._tables import KIND_OF, TIME_KINDS, as_strengths, column_labels, read_columns, read_strengths

_ENTRIES_PER_CHUNK = 2**17


@dataclass(frozen=True, eq=False)
class Interactions:
    """Indexed interactions: who interacted with what, how strongly and in which order.

    Attributes
    ----------
    users : ndarray of shape (n_users,)
        User ids, with the dtype they had; sorted where they sort, else by first appearance.
    items : ndarray of shape (n_items,)
        Item ids, likewise, those of `extra_items` included.
    matrix : csr_matrix of shape (n_users, n_items), float32
        Summed strengths of the pairs with any, all > 0; canonical, with int32 indices when
        they fit.
    age : ndarray of shape (nnz,), int32
        Aligned with ``matrix.data``: 0 is the user's newest item, 1 the one before, and so on.
        An item's place is that of its latest interaction.
    times : ndarray of shape (nnz,), float64, or None
        Likewise: when that was, as a number. None: nothing is known of time but the order.
    time_kind : {"numbers", "datetimes", "timedeltas"} or None
        What the times were.
    """

    users: np.ndarray
    items: np.ndarray
    matrix: sp.csr_matrix
    age: np.ndarray
    times: np.ndarray | None = None
    time_kind: str | None = None

    @property
    def history(self):
        """Item positions, oldest first within each user; ``matrix.indptr`` delimits the users.

        Returns
        -------
        history : ndarray of shape (nnz,), the dtype of ``matrix.indices``
        """
        indptr = self.matrix.indptr
        history = np.empty_like(self.matrix.indices)
        history[np.repeat(indptr[1:], np.diff(indptr)) - 1 - self.age] = self.matrix.indices
        return history


def index_interactions(
    X,
    y=None,
    *,
    user_col=0,
    item_col=1,
    time_col=None,
    extra_items=None,
    usual_width=None,
    negatives="error",
):
    """Index a table of interactions, or a user-item matrix.

    Time and memory are linear in the number of rows (but for sorting by `time_col`), of which
    there may be up to 2**31 - 1.

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
        When none of the item ids of `X` is in `extra_items`, and as in `read_columns`.
    """
    if sp.issparse(X):
        return _index_sparse(X, y, extra_items, negatives)
    user_ids, item_ids, times = read_columns(
        X, user_col=user_col, item_col=item_col, time_col=time_col, usual_width=usual_width
    )
    time_kind = None if times is None else KIND_OF.get(times.dtype.kind, TIME_KINDS[0])
    times = None if times is None else as_numbers(times)
    columns = column_labels(X, user_col, item_col)
    strengths = read_strengths(y, len(user_ids), negatives, columns)
    users, user_codes = factorize(user_ids)
    items, item_codes = factorize(item_ids)
    if (strengths < 0).any():
        strengths = _net(user_codes, item_codes, strengths, times, keep=negatives == "keep")
    if not strengths.any():
        if negatives != "error":
            raise ValueError(
                "y must hold strengths >= 0, of which those below 0 leave something; got nothing "
                f"left in {len(strengths)} rows, those of a pair summed."
            )
        raise ValueError(
            f"y must hold a strength > 0, an interaction; got 0 in all of {len(strengths)} rows."
        )
    if extra_items is not None:
        items = _add_items(items, extra_items)
    users, user_codes = _sort_ids(users, user_codes)
    items, item_codes = _sort_ids(items, item_codes)
    by_time = _order_by_time(strengths, times)
    # Each step replaces the arrays of the one before, to keep the peak memory low.
    rows = _sort_rows(_sort_rows(by_time, item_codes), user_codes)  # within a pair: oldest first
    user_codes, item_codes, strengths = user_codes[rows], item_codes[rows], strengths[rows]
    user_codes, item_codes, strengths, rows = _sum_pairs(user_codes, item_codes, strengths, rows)
    indptr = np.append(0, np.cumsum(np.bincount(user_codes, minlength=len(users))))
    matrix = sp.csr_matrix((strengths, item_codes, indptr), shape=(len(users), len(items)))
    matrix.has_canonical_format = True
    age = _rank_newest(by_time, rows, user_codes, indptr)
    times = None if times is None else times[rows]
    return Interactions(users, items, matrix, age, times, time_kind)


def interactions_from_sparse(csr):
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


def _index_sparse(X, y, extra_items, negatives):
    """Index a user-item matrix: it is in order already, but for what has to be summed or left."""
    if y is not None:
        raise ValueError(
            "y must be None when X is a sparse matrix, which holds the strengths; got "
            f"{name_kind(y)}."
        )
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(
            f"A sparse X must be users x items, at least 1 of each; got shape {X.shape}."
        )
    if X.format not in ("csr", "csc") and X.dtype.kind in "biuf":
        X = X.astype(np.float64)  # what has several entries for a pair is summed in this dtype
    matrix = sp.csr_matrix(X)
    strengths = as_strengths(matrix.data, "X", negatives)
    matrix = sp.csr_matrix((strengths, matrix.indices, matrix.indptr), X.shape)
    if not (matrix.has_canonical_format and (strengths > 0).all()):
        matrix = sp.csr_matrix(
            (strengths.astype(np.float64), matrix.indices, matrix.indptr), X.shape, copy=True
        )
        matrix.sum_duplicates()
        np.maximum(matrix.data, 0, out=matrix.data)
        matrix.eliminate_zeros()
    if not matrix.nnz:
        raise ValueError(
            f"A sparse X must hold a strength > 0, an interaction; got none in shape {X.shape}."
        )
    items = np.arange(X.shape[1])
    codes = matrix.indices
    if extra_items is not None:
        more = _add_items(items, extra_items)
        items, codes = _sort_ids(more, codes)
    largest = max(matrix.nnz, *X.shape, len(items))
    dtype = np.int32 if largest <= np.iinfo(np.int32).max else np.int64
    codes, indptr = (np.array(part, dtype=dtype) for part in (codes, matrix.indptr))
    data = np.array(matrix.data, dtype=np.float32)
    matrix = sp.csr_matrix((data, codes, indptr), shape=(X.shape[0], len(items)))
    matrix.sort_indices()  # items may have been sorted
    matrix.has_canonical_format = True
    age = np.repeat(indptr[1:] - 1, np.diff(indptr))
    for start in range(0, matrix.nnz, _ENTRIES_PER_CHUNK):
        part = age[start : start + _ENTRIES_PER_CHUNK]
        part -= np.arange(start, start + len(part), dtype=dtype)
    return Interactions(np.arange(X.shape[0]), items, matrix, age.astype(np.int32, copy=False))


def with_data(matrix, data):
    """Return a CSR matrix of the same structure, which is shared, with other data."""
    return sp.csr_matrix((data, matrix.indices, matrix.indptr), matrix.shape)


def count_interactions(matrix):
    """Count the interactions of each item, (n_items,) intp; scipy's own copies the matrix."""
    counts = np.zeros(matrix.shape[1], dtype=np.intp)
    for start in range(0, matrix.nnz, _ENTRIES_PER_CHUNK):
        chunk = matrix.indices[start : start + _ENTRIES_PER_CHUNK]
        counts += np.bincount(chunk, minlength=len(counts))
    return counts


def _add_items(items, extra_items):
    """Append the ids of `extra_items` that are not in `items`, once each."""
    extra_items = to_numpy(extra_items)
    if extra_items.ndim != 1:
        raise ValueError(f"The ids of item_data must be 1-D; got shape {extra_items.shape}.")
    check_ids(extra_items, "The id column of item_data")
    extra_items, _ = factorize(extra_items)
    items, extra_items = alike(items, extra_items)
    new = encode(items, extra_items) < 0
    if new.any() and new.all():
        warn(
            f"No item id of X is in item_data: X has items such as {example_of(items)}, item_data "
            f"such as {example_of(extra_items)}. If their types differ, convert one of them: 1 is "
            "not '1', and a numpy array such as np.array([['ann', 1]]) holds strings alone. "
            "Numbers lose leading zeros: pd.read_csv(path, dtype=str) keeps them. The ids of a "
            "pandas item_data are its index, unless a column is named as the item column of X."
        )
    return concatenate_ids(items, extra_items[new]) if new.any() else items


def _sort_ids(ids, codes):
    """Sort ids where they sort, else leave them; return them and the codes that follow."""
    try:
        order = np.argsort(ids, kind="stable")
    except TypeError:  # such as int and str
        return ids, codes
    place = np.empty(len(ids), dtype=np.int32)
    place[order] = np.arange(len(ids), dtype=np.int32)
    return ids[order], place[codes]


def _order_by_time(strengths, times):
    """Order the rows with strengths > 0 by `times` (None: as they are), ties by row; int32."""
    rows = np.flatnonzero(strengths)
    if times is not None:
        rows = rows[np.argsort(times[rows], kind="stable")]
    return rows.astype(np.int32)


def _net(user_codes, item_codes, strengths, times, *, keep):
    """Put the sum of each pair at its latest row above 0, else at its latest one.

    Parameters
    ----------
    user_codes, item_codes, strengths : ndarrays of shape (n_samples,)
    times : ndarray of shape (n_samples,) or None
    keep : bool
        False: sums below 0 are 0.

    Returns
    -------
    strengths : ndarray of shape (n_samples,), float32
        0 in all other rows.
    """
    rows = _order_by_time(strengths, times)
    rows = _sort_rows(_sort_rows(rows, item_codes), user_codes)
    users, items, values = user_codes[rows], item_codes[rows], strengths[rows]
    change = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    first = np.flatnonzero(np.append(True, change))
    sums = np.add.reduceat(values, first, dtype=np.float64)
    place = np.where(values > 0, np.arange(len(rows)), -1)
    place = np.maximum.reduceat(place, first)
    last = np.append(first[1:], len(rows)) - 1
    net = np.zeros_like(strengths)
    net[rows[np.where(place >= 0, place, last)]] = sums if keep else np.maximum(sums, 0)
    return net


def _sum_pairs(user_codes, item_codes, strengths, rows):
    """Sum the strengths of repeated pairs.

    Parameters
    ----------
    user_codes, item_codes, strengths, rows : ndarrays of shape (n_rows,)
        Interactions sorted by user, item and time, and the row of each in the table.

    Returns
    -------
    user_codes, item_codes, strengths : ndarrays of shape (n_pairs,)
        Each pair once; strengths are summed in float64 and returned as float32.
    rows : ndarray of shape (n_pairs,)
        Row of the latest interaction of each pair.
    """
    change = (user_codes[1:] != user_codes[:-1]) | (item_codes[1:] != item_codes[:-1])
    first, last = np.append(True, change), np.append(change, True)
    sums = np.add.reduceat(strengths, np.flatnonzero(first), dtype=np.float64)
    with quiet():  # what float32 cannot hold makes the factors infinite, which is an error
        sums = sums.astype(np.float32)
    return user_codes[first], item_codes[first], sums, rows[last]


def number_newest_first(oldest_first, users, indptr):
    """Return the place of each entry in its user's history, 0 for the newest one.

    Parameters
    ----------
    oldest_first : ndarray of shape (nnz,), int
        Places of the entries, by user, and of a user the oldest first.
    users : ndarray of shape (nnz,), int
        Of the entries, not decreasing.
    indptr : ndarray of shape (n_users + 1,)
        Where the entries of each user begin and end.

    Returns
    -------
    age : ndarray of shape (nnz,), int32
    """
    age = np.empty(len(users), dtype=np.int32)
    age[oldest_first] = indptr[users + 1] - 1 - np.arange(len(users))
    return age


def _rank_newest(by_time, rows, user_codes, indptr):
    """Rank each user's pairs by their latest interaction, the newest first.

    Parameters
    ----------
    by_time : ndarray of shape (n_rows,), int32
        Rows of all interactions, oldest first.
    rows, user_codes : ndarrays of shape (n_pairs,)
        Row of the latest interaction, and user, of each pair; sorted by user.
    indptr : ndarray of shape (n_users + 1,)
        Where the pairs of each user begin and end.

    Returns
    -------
    age : ndarray of shape (n_pairs,), int32
    """
    pairs = np.full(by_time.max() + 1, -1, dtype=np.int32)
    pairs[rows] = np.arange(len(rows), dtype=np.int32)
    pairs = pairs[by_time]
    pairs = _sort_rows(pairs[pairs >= 0], user_codes)  # by user, then oldest first
    return number_newest_first(pairs, user_codes, indptr)


def _sort_rows(rows, codes):
    """Sort row numbers by the codes of the rows, stably and in linear time.

    Transposing a CSR matrix with a single entry per row is a counting sort of its rows.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,), int32
        Row numbers.
    codes : ndarray of shape (n_samples,), integer
        Codes >= 0 of all rows.

    Returns
    -------
    rows : ndarray of shape (n_rows,), int32
    """
    indptr = np.arange(len(rows) + 1, dtype=np.int32)
    one_hot = (np.ones(len(rows), dtype=bool), codes[rows], indptr)
    return rows[sp.csr_array(one_hot).tocsc().indices]

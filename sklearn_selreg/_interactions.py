"""Interactions: from a table of (user, item) rows, or a matrix, to ids, matrix and histories."""

import numbers
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp

from ._finite import quiet
from ._params import how_to_read, name_kind
from ._trends import as_numbers
from ._warn import warn

TIME_KINDS = "numbers", "datetimes", "timedeltas"
_KIND_OF = {"M": TIME_KINDS[1], "m": TIME_KINDS[2]}  # by numpy's letter
_FEW_COLUMNS = 20  # what is wider is hardly a table of interactions
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
    time_kind = None if times is None else _KIND_OF.get(times.dtype.kind, TIME_KINDS[0])
    times = None if times is None else as_numbers(times)
    columns = _labels(X, user_col, item_col)
    strengths = read_strengths(y, len(user_ids), negatives, columns)
    users, user_codes = _factorize(user_ids)
    items, item_codes = _factorize(item_ids)
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


def read_columns(X, *, user_col=0, item_col=1, time_col=None, usual_width=None):
    """Take the user ids, item ids and times out of a table; no other column is looked at.

    Parameters
    ----------
    X : DataFrame (pandas, polars, pyarrow) or 2-D array-like of shape (n_samples, n_columns)
        The columns of a list of rows are typed one by one, so that ``[["ann", 1]]`` keeps its
        int; a numpy array has a single dtype.
    user_col, item_col : int or str, default=0 and 1
        An int is a position >= 0 (also where a frame has ints as labels), a str the name of a
        column of a frame.
    time_col : int or str, default=None
        Column with numbers or datetimes.
    usual_width : int, default=None
        A number of columns that is no reason to warn: that in `fit`, which has warned.

    Returns
    -------
    users, items : ndarray of shape (n_samples,)
        Ids with the dtype they had. Categoricals give the dtype of their categories, strings of
        frames object, and nullable integers their numpy counterpart.
    times : ndarray of shape (n_samples,) or None
        Numbers, datetimes or timedeltas. Datetimes with a time zone are in UTC.

    Raises
    ------
    ValueError
        For a table without rows, or of another dimension; columns that do not exist, or are the
        same; ids or times that are missing or infinite (None, NaN, NaT, NA, null, inf); ids that
        are floats of 2**53 or more, unless there are fractions.
    TypeError
        For a sparse `X`, columns specified by anything but int and str, names of columns of an
        array, or times that are neither numbers nor datetimes.

    Warns
    -----
    DataWarning
        When X has further columns while `user_col` and `item_col` are 0 and 1.
    """
    if sp.issparse(X):
        raise TypeError(
            "A sparse matrix X is understood by `fit` alone, as its rows do not say which users "
            "they are about. Pass a table of (user, item) rows: "
            "`X, y = interactions_from_sparse(csr)` makes one."
        )
    table, names = _as_table(X)
    columns = {"user_col": user_col, "item_col": item_col}
    if time_col is not None:
        columns["time_col"] = time_col
    positions = _find_columns(columns, names, table.shape, _hint_at_index(X))
    if table.shape[0] == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={table.shape}) while a minimum of 1 is required."
        )
    width = table.shape[1]
    if (user_col, item_col) == (0, 1) and width > len(positions) and width != usual_width:
        warn(_tell_first_two(names, table.shape))
    values = {}
    for parameter, position in positions.items():
        label = f"Column {names[position] if names else position!r} of X ({parameter})"
        values[parameter] = _to_numpy(table[:, position])
        if parameter == "time_col":
            check_no_missing(values[parameter], label)
            values[parameter] = _as_ordered(values[parameter], "iufbmM", label)
        else:
            check_ids(values[parameter], label)
    return values["user_col"], values["item_col"], values.get("time_col")


def _tell_first_two(names, shape):
    """Say that the first two of more columns are used, and what to do if they should not be."""
    if names:
        text = (
            f"X has {shape[1]} columns; {names[0]!r} is used for the users and {names[1]!r} for "
            "the items, as the first two. Set user_col and item_col to their names if that is "
            f"right, else to those of others.{_list_columns(names)}"
        )
    else:
        text = (
            f"X is an array of shape {shape}, taken as one interaction a row, the user in column "
            "0, the item in column 1; other columns are not used. Pass X[:, :2] if that is right, "
            "else set user_col and item_col (and time_col) to the positions."
        )
    if not names or len(names) > _FEW_COLUMNS:
        text += (
            " If it is a matrix of users x items instead, pass it to fit as "
            "scipy.sparse.csr_matrix(X); ids are then the numbers of rows and columns."
        )
    return text


def _list_columns(names):
    """Tell the columns of a frame, of many the first."""
    if names is None:
        return ""
    if len(names) <= _FEW_COLUMNS:
        return f" The columns of X are {names}."
    first = ", ".join(map(repr, names[:5]))
    return f" The columns of X are {first} and {len(names) - 5} others."


def _hint_at_index(X):
    """Tell that the index of a pandas object has something; "" if it only numbers the rows."""
    index = getattr(X, "index", None)
    named = [name for name in getattr(index, "names", ()) if name is not None]
    if not isinstance(index, pd.Index) or (isinstance(index, pd.RangeIndex) and not named):
        return ""
    holds = f" ({', '.join(map(repr, named))})" if named else ""
    return f" If ids are in its index{holds}, make columns of it: X.reset_index()."


def describe_columns(X):
    """Tell what scikit-learn remembers of a table.

    Parameters
    ----------
    X : as in `index_interactions`

    Returns
    -------
    n_columns : int
        Of a sparse matrix 2: the table of the same interactions has that many.
    names : ndarray of shape (n_columns,), object, or None
        Column names of a frame, if all are strings.
    """
    if sp.issparse(X):
        return 2, None
    table, names = _as_table(X)
    if not names or not all(isinstance(name, str) for name in names):
        return table.shape[1], None
    return table.shape[1], np.array(names, dtype=object)


def check_same_columns(estimator, X, **columns):
    """Raise unless the columns used, given by position, are those they were in `fit`.

    Parameters
    ----------
    estimator : object
        With `n_features_in_`, and `feature_names_in_` if `fit` had names.
    X : table
    **columns : int, str or None
        Columns used, by the name of the parameter.

    Raises
    ------
    ValueError
        If X is too narrow, or a column has another name than in `fit`.
    """
    positions = {p: c for p, c in columns.items() if isinstance(c, numbers.Integral)}
    if sp.issparse(X) or not positions:
        return  # a table is asked for elsewhere; names are looked up by themselves
    n_columns, names = describe_columns(X)
    if n_columns <= max(positions.values()):
        wanted = ", ".join(f"{p}={c}" for p, c in positions.items())
        raise ValueError(
            f"X has {n_columns} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input, of which it needs {wanted}."
        )
    fitted = getattr(estimator, "feature_names_in_", None)
    for parameter, column in positions.items():
        if names is not None and fitted is not None and names[column] != fitted[column]:
            raise ValueError(
                "The feature names should match those that were passed during fit. Column "
                f"{column} of X ({parameter}) is {names[column]!r}, and was {fitted[column]!r} in "
                f"fit. Keep the order of the columns, or set {parameter} to a name."
            )


def _as_table(X):
    """Return a table that can be indexed by column positions, and its column names or None."""
    if X is None or isinstance(X, str | Path | dict) or hasattr(X, "collect"):
        raise ValueError(
            "X must be a DataFrame, or a 2-D array or list with a row per interaction; got "
            f"{name_kind(X)}: {_make_table(X)}."
        )
    names_of_frame = getattr(X, "columns", None)
    if isinstance(names_of_frame, pd.Index) and not names_of_frame.is_unique:
        twice = names_of_frame[names_of_frame.duplicated()].unique().tolist()
        raise ValueError(
            f"The columns of X must have names of their own; got {twice} more than once. Rename "
            "them, or keep the first: X.loc[:, ~X.columns.duplicated()]."
        )
    table = nw.from_native(X, eager_only=True, pass_through=True)
    names = table.columns if isinstance(table, nw.DataFrame) else None
    if isinstance(X, list | tuple):  # np.asarray turns all ids of [["ann", 1]] into strings
        table = nw.from_native(pd.DataFrame(list(X)), eager_only=True)
    elif names is None:
        table = np.asarray(X)
        if table.dtype.kind == "c":
            raise ValueError(f"Complex data not supported: X is an array of {table.dtype}.")
    if len(table.shape) != 2:
        raise ValueError(
            "X must be a DataFrame or a 2-D array with a row per interaction; got "
            f"{type(X).__name__} of shape {table.shape}. Reshape your data.{_hint_at_index(X)}"
        )
    return table, names


def _make_table(X):
    """Say how to make a table of what is none."""
    if X is None:
        return "pass the interactions"
    if isinstance(X, dict):
        return "pass pd.DataFrame(X), if its values are columns"
    if isinstance(X, str | Path):
        return f"pass what is read from it, such as {how_to_read(X, 'X')}"
    return "pass X.collect(), which has its rows"


def _labels(X, *columns):
    """Return what columns are called in a frame that holds X."""
    names = list(getattr(X, "columns", ()))
    return [names[c] if not isinstance(c, str) and len(names) > c else c for c in columns]


def read_strengths(y, n_samples, negatives="error", columns=("user", "item")):
    """Check the strengths of interactions.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or None
        Strengths; None = 1 each.
    n_samples : int
        Number of rows of X.
    negatives : {"error", "net", "keep"}, default="error"
        Whether strengths below 0 are an error.
    columns : (hashable, hashable), default=("user", "item")
        What the columns with the ids are called, for that error.

    Returns
    -------
    strengths : ndarray of shape (n_samples,), float32
        Finite; >= 0, if negative ones are an error.

    Raises
    ------
    ValueError
        For another shape, and for strengths that are missing, infinite or negative.
    TypeError
        For strengths that are no numbers.
    """
    if y is None:
        return np.ones(n_samples, dtype=np.float32)
    values = _to_numpy(y)
    if values.shape != (n_samples,):
        column = " Take the column out: y[:, 0], of a DataFrame y.iloc[:, 0] (polars: y[:, 0])."
        raise ValueError(
            f"y must be 1-D with a strength for each of the {n_samples} rows of X; got shape "
            f"{values.shape}.{column * (values.shape == (n_samples, 1))}"
        )
    return _as_strengths(values, "y", negatives, columns)


def encode(ids, values):
    """Look up ids.

    Ids are the same if Python calls them equal, so ``1`` is ``1.0`` but not ``"1"`` (only an
    array of booleans shares no id with one of numbers). Where one side is integers, floats of the
    other must be whole and exact: see `alike`.

    Parameters
    ----------
    ids : ndarray of shape (n_ids,)
        Known ids, unique.
    values : ndarray of shape (n_values,)
        Ids to look up, of any dtype.

    Returns
    -------
    positions : ndarray of shape (n_values,), intp
        Position of each value in `ids`, -1 where it is not known.

    Raises
    ------
    ValueError
        If one side is integers, and the other has floats that need not be what was meant; for
        floats of 2**53 or more among objects, such as text.
    """
    known, wanted = map(_to_index, alike(ids, values))
    if len(wanted) > len(known) // 4:
        return known.get_indexer(wanted)
    # A hash table of the few, and one pass over the many, is cheaper than one of the many.
    few = wanted.unique()
    found = few.get_indexer(known)
    positions = np.full(len(few), -1, dtype=np.intp)
    hits = np.flatnonzero(found >= 0)
    positions[found[hits]] = hits
    return positions[few.get_indexer(wanted)]


def alike(ids, more):
    """Make integers of the floats of one side, if the other side is integers.

    A column of integers becomes one of floats where a value is missing, as in a CSV file with a
    hole. From 2**53 on (float32: 2**24) floats no longer tell all integers apart, so that what is
    looked up would be another id, or none.

    Parameters
    ----------
    ids, more : ndarrays of shape (n,) and (m,)

    Returns
    -------
    ids, more : ndarrays
        Of the same dtypes but for such floats, which are int64.

    Raises
    ------
    ValueError
        If such a float is not whole, or so large that it may have been another integer; for
        floats as large among objects, such as text.
    """
    ids, more = _to_numpy(ids), _to_numpy(more)
    kinds = _id_kind(ids, more), _id_kind(more, ids)
    if kinds == ("integer", "float"):
        return ids, _as_integers(more)
    if kinds == ("float", "integer"):
        return _as_integers(ids), more
    for mixed in (ids, more):  # columns of floats alone are checked where they are read
        if mixed.dtype == object:
            _check_exact(mixed)
    return ids, more


def _id_kind(ids, others):
    """Tell whether ids are "integer", or have a "float"; None where that does not matter.

    Objects are only looked into if the others may be numbers: that takes time.
    """
    kind = {"i": "integer", "u": "integer", "f": "float"}.get(ids.dtype.kind)
    if ids.dtype != object or others.dtype.kind not in "iufO" or not (len(ids) and len(others)):
        return kind
    if others.dtype == object and not isinstance(others[0], numbers.Real):
        return None
    inferred = pd.api.types.infer_dtype(ids, skipna=False)
    return {"integer": "integer", "floating": "float", "mixed-integer-float": "float"}.get(inferred)


def _as_integers(ids):
    """Return exact floats as int64; of objects, the floats alone are changed."""
    is_float = _find_floats(ids)
    exact = _largest_exact(ids[is_float])
    floats = ids[is_float].astype(np.float64)
    wrong = ~((np.abs(floats) < exact) & (floats == np.floor(floats)))
    if wrong.any():
        raise ValueError(
            "Ids are integers in one table and floats in another, as of a column of integers that "
            f"has missing values. {wrong.sum()} of the floats are no whole numbers below "
            f"2**{int(np.log2(np.min(exact)))}, such as {_example(floats[wrong])}, and may stand "
            f"for other integers. {READ_AS_INTEGERS}"
        )
    if is_float.all():
        return floats.astype(np.int64)
    ids = ids.copy()
    ids[is_float] = floats.astype(np.int64).tolist()
    return ids


READ_AS_INTEGERS = (
    'Read the column as integers, as by pd.read_csv(path, dtype={column: "Int64"}), or in all '
    "tables as text (dtype=str)."
)


def _check_exact(ids, label="Ids"):
    """Raise a ValueError for floats that may stand for several integers, also among objects."""
    is_float = _find_floats(ids)
    if not is_float.any():
        return
    floats = ids[is_float]
    exact, values = _largest_exact(floats), floats.astype(np.float64)
    wrong = np.abs(values) >= exact
    if is_float.all() and (values != np.floor(values)).any():
        return  # no integers in another dtype
    if wrong.any():
        least = int(np.log2(np.min(exact)))
        raise ValueError(
            f"{label} must not be floats of 2**{least} or more, which do not tell all integers "
            "apart: they would match other integers, or floats in another table; got "
            f"{wrong.sum()}, such as {_example(floats[wrong])}. A column of integers becomes one "
            f"of floats where a value is missing. {READ_AS_INTEGERS}"
        )


def _largest_exact(floats):
    """Return from where on floats, of one dtype or objects, do not tell all integers apart."""
    if floats.dtype != object:
        return 2.0 ** (np.finfo(floats.dtype).nmant + 1)
    return np.array([2.0 ** (np.finfo(type(value)).nmant + 1) for value in floats])


def _find_floats(ids):
    """Tell which ids are floats, (n,) bool; objects are looked at one by one if they may be."""
    if ids.dtype != object:
        return np.full(len(ids), ids.dtype.kind == "f")
    if pd.api.types.infer_dtype(ids, skipna=False) in _NO_FLOATS:
        return np.zeros(len(ids), dtype=bool)
    return np.array([isinstance(value, float | np.floating) for value in ids], dtype=bool)


_NO_FLOATS = "string", "bytes", "integer", "boolean", "decimal", "date", "datetime", "empty"


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


def _find_columns(columns, names, shape, hint=""):
    """Find columns given by position or name.

    Parameters
    ----------
    columns : dict of str to int or str
        Parameter name to column.
    names : list or None
        Column names of a frame; None for an array.
    shape : tuple of (int, int)
        Shape of the table.
    hint : str, default=""
        What else to say if there are too few columns.

    Returns
    -------
    positions : dict of str to int
    """
    for parameter, column in columns.items():
        if isinstance(column, bool) or not isinstance(column, numbers.Integral | str):
            raise TypeError(
                f"{parameter} must be the position (int) or name (str) of a column; got {column!r}."
            )
        if isinstance(column, str) and names is None:
            raise TypeError(
                f"{parameter}={column!r} names a column, but X is an array: pass a DataFrame "
                "with this column, or set the position before fit."
            )
        if not isinstance(column, str) and column < 0:
            raise ValueError(f"{parameter} must be a position >= 0; got {column}.")
    available = _list_columns(names)
    needed = 1 + max((c for c in columns.values() if not isinstance(c, str)), default=-1)
    if shape[1] < needed:
        wanted = ", ".join(f"{p}={c!r}" for p, c in columns.items())
        raise ValueError(
            f"X has {shape[1]} feature(s) (shape={shape}) while a minimum of {needed} is "
            f"required. ({wanted}){available}{hint}"
        )
    missing = [f"{p}={c!r}" for p, c in columns.items() if isinstance(c, str) and c not in names]
    if missing:
        raise ValueError(f"X has no column for {', '.join(missing)}.{available}{hint}")
    positions = {p: names.index(c) if isinstance(c, str) else c for p, c in columns.items()}
    if len(set(positions.values())) < len(positions):
        wanted = ", ".join(f"{p}={c!r}" for p, c in columns.items())
        raise ValueError(
            f"{', '.join(columns)} must be different columns; got {wanted}.{available}"
        )
    return positions


def _to_numpy(values):
    """Convert a series of any kind, or an array-like, to an array in native byte order."""
    values = nw.from_native(values, series_only=True, pass_through=True)
    # polars would give strings of a fixed width, that of the longest.
    strings = isinstance(values, nw.Series) and values.dtype == nw.String
    array = np.asarray(values, dtype=object if strings else None)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def check_ids(ids, label):
    """Raise a ValueError for ids, called `label`, that are missing, infinite or inexact floats."""
    remedy = _LEAVE_OUT
    if ids.dtype.kind == "f":  # leaving rows out makes no integers of the others again
        remedy = f"{READ_AS_INTEGERS} Then leave such rows out, as by dropna."
    check_no_missing(ids, label, remedy)
    _check_exact(ids, label)


_LEAVE_OUT = "Leave such rows out, as by dropna, or fill them in."


def check_no_missing(values, label, remedy=_LEAVE_OUT):
    """Raise a ValueError if any of `values`, called `label`, is missing or infinite."""
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {label}.")
    missing = pd.isna(values)
    if values.dtype.kind == "f":
        missing |= np.isinf(values)
    elif values.dtype == object:
        missing |= _to_index(values).isin([np.inf, -np.inf])
    if missing.any():
        raise ValueError(
            f"{label} must not hold missing or infinite values (None, NaN, null or inf); got "
            f"{missing.sum()} in {len(values)} rows, the first in row {missing.argmax()} (counting "
            f"from 0). {remedy}"
        )


def _as_ordered(values, kinds, label):
    """Convert objects to their common dtype, raise a TypeError if its kind is not in `kinds`."""
    if values.dtype == object:
        values = _to_numpy(pd.Series(values).infer_objects())
    if values.dtype == object and "M" in kinds and pd.api.types.infer_dtype(values) == "datetime":
        with suppress(TypeError, ValueError):  # beyond the years that nanoseconds hold
            values = np.array([np.datetime64(value, "us") for value in values])
    if values.dtype.kind not in kinds:
        expected = "numbers or datetimes" if "M" in kinds else "numbers"
        hint = " Convert it, as by pandas.to_datetime." if "M" in kinds else ""
        raise TypeError(
            f"{label} must hold {expected}; got dtype {values.dtype}, such as {_example(values)}."
            + hint
        )
    return values


def _as_strengths(values, label, negatives, columns=("user", "item")):
    """Return `values`, called `label`, as float32, checked to be numbers, finite and in order."""
    check_no_missing(values, label)
    if values.dtype == object and all(
        isinstance(value, Decimal | numbers.Real | np.bool_) for value in values
    ):
        values = values.astype(np.float64)
    values = _as_ordered(values, "iufb", label)
    with np.errstate(over="ignore"):
        strengths = values.astype(np.float32, copy=False)
    least = 0 if negatives == "error" else -np.inf
    wrong = ~(((strengths >= 0) | (strengths > least)) & (strengths < np.inf))
    if wrong.any():
        raise ValueError(
            f"{label} must hold strengths {'>= 0 ' * (least == 0)}in the range of float32; got "
            f"{wrong.sum()} others. Negative values in data, the first: {_example(values[wrong])}."
            + _HOW_TO_NET.format(columns=list(columns))
            * bool((values < 0).any() and least == 0)
        )
    return strengths


_HOW_TO_NET = """ \
If they are returns, negatives="net" of the estimator takes them off what was bought; or do so:
    net = X.assign(y=y).groupby({columns}, as_index=False).agg({{"y": "sum"}})
    net = net[net["y"] > 0]
    model.fit(net[{columns}], net["y"])
If they are dislikes, leave these rows out: without an interaction an item ranks low anyway."""


def _example(values):
    """Show the first value, as Python does."""
    return repr(values[:1].tolist()[0])


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
    strengths = _as_strengths(matrix.data, "X", negatives)
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


def _to_index(ids):
    """Make ids a pandas index: its hash tables find ids of any kind."""
    ids = _to_numpy(ids)
    if ids.dtype.kind in "OSTU":
        return pd.Index(ids.astype(object, copy=False), dtype=object, tupleize_cols=False)
    return pd.Index(ids.astype(np.float64, copy=False) if ids.dtype.kind == "f" else ids)


def _factorize(values):
    """Find the unique ids in order of appearance, as in `values`, and the int32 codes of all."""
    try:
        codes, ids = pd.factorize(values.astype(object) if values.dtype.kind in "STU" else values)
    except TypeError as error:
        raise TypeError(
            "Ids must be hashable scalars: each one in the argument must be hashable, such as a "
            f"string or a number; got an {error}."
        ) from error
    return ids.astype(values.dtype, copy=False), codes.astype(np.int32)


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
    extra_items = _to_numpy(extra_items)
    if extra_items.ndim != 1:
        raise ValueError(f"The ids of item_data must be 1-D; got shape {extra_items.shape}.")
    check_ids(extra_items, "The id column of item_data")
    extra_items, _ = _factorize(extra_items)
    items, extra_items = alike(items, extra_items)
    new = encode(items, extra_items) < 0
    if new.any() and new.all():
        warn(
            f"No item id of X is in item_data: X has items such as {_example(items)}, item_data "
            f"such as {_example(extra_items)}. If their types differ, convert one of them: 1 is "
            "not '1', and a numpy array such as np.array([['ann', 1]]) holds strings alone. "
            "Numbers lose leading zeros: pd.read_csv(path, dtype=str) keeps them. The ids of a "
            "pandas item_data are its index, unless a column is named as the item column of X."
        )
    return concatenate_ids(items, extra_items[new]) if new.any() else items


def as_objects(ids):
    """Return ids as an array of Python's objects; numpy makes ints of times in nanoseconds."""
    if ids.dtype.kind in "mM":
        return pd.Series(ids).astype(object).to_numpy()
    return ids.astype(object)


def concatenate_ids(ids, more):
    """Concatenate ids without changing any: as objects if no dtype of one of their kinds fits.

    Floats beside integers become integers, as in `alike`.
    """
    ids, more = alike(ids, more)
    numbers_alone = ids.dtype.kind in "iuf" and more.dtype.kind in "iuf"
    if numbers_alone or ids.dtype.kind == more.dtype.kind:
        dtype = np.result_type(ids, more)
        if dtype.kind in (ids.dtype.kind, more.dtype.kind):
            return np.concatenate((ids, more), dtype=dtype)
    return np.concatenate((as_objects(ids), as_objects(more)))


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

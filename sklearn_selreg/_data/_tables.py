"""Tables of interactions: finding and reading the columns of users, items and times."""

from __future__ import annotations

import numbers
from pathlib import Path
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._utils._params import how_to_read, name_kind
from .._utils._typing import Column, Table
from .._utils._warn import warn
from ._arrays import as_numeric, check_no_missing, to_numpy
from ._collected import CollectedTable, collect
from ._exact_ids import check_ids

TimeKind = Literal["numbers", "datetimes", "timedeltas"]
TIME_KINDS: tuple[TimeKind, ...] = ("numbers", "datetimes", "timedeltas")
_KIND_OF_DTYPE: dict[str, TimeKind] = {"M": "datetimes", "m": "timedeltas"}  # by dtype.kind
_FEW_COLUMNS = 20  # tables of interactions are rarely wider


def read_columns(
    X: Table,
    *,
    user_col: Column = 0,
    item_col: Column = 1,
    time_col: Column | None = None,
    usual_width: int | None = None,
    name: str = "X",
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Read the user ids, item ids and times of a table; other columns are ignored.

    Parameters
    ----------
    X : table or 2-D array-like of shape (n_samples, n_columns)
        A DataFrame of pandas, polars or pyarrow, a query (polars, duckdb, ibis), or an Arrow
        stream. In a list of rows, each column has its own type, so that ``[["ann", 1]]`` keeps
        its int; a numpy array has a single dtype.
    user_col, item_col : int or str, default=0 and 1
        An int is a position >= 0 (even if the labels of a frame are ints), a str the name of a
        column of a frame.
    time_col : int or str, default=None
        Column of numbers, datetimes or timedeltas.
    usual_width : int, default=None
        Number of columns that causes no warning: that of `fit`, which has already warned.
    name : str, default="X"
        Name of the argument, for messages.

    Returns
    -------
    users, items : ndarray of shape (n_samples,)
        Ids in their original dtype. Categoricals are returned in the dtype of their categories,
        strings of frames as object, and nullable integers in the numpy counterpart.
    times : ndarray of shape (n_samples,) or None
        Numbers, datetimes or timedeltas. Datetimes with a time zone are converted to UTC.

    Raises
    ------
    ValueError
        For a table that is empty or not 2-D; columns that do not exist or coincide; missing or
        infinite ids or times (None, NaN, NaT, NA, null, inf); float ids of 2**53 or more, unless
        some are fractions.
    TypeError
        For a sparse `X`, columns not specified by int or str, column names for an array, or times
        that are neither numbers nor datetimes.

    Warns
    -----
    DataWarning
        If X has further columns while `user_col` and `item_col` are 0 and 1.
    """
    if sp.issparse(X):
        raise TypeError(
            "A sparse matrix X is only accepted by `fit`, because its rows do not identify users. "
            "Pass a table of (user, item) rows: `X, y = interactions_from_sparse(csr)` creates "
            "one, with row numbers as user ids. For some rows of a larger matrix, name the users: "
            "`interactions_from_sparse(csr[42:43], users=[42])`."
        )
    columns = {"user_col": user_col, "item_col": item_col}
    if time_col is not None:
        columns["time_col"] = time_col
    X = collect(X, aligned=None, **columns)
    table, names = _as_table(X)
    positions = _find_columns(columns, names, table.shape, _index_hint(X))
    if table.shape[0] == 0:
        raise ValueError(
            f"{name} is empty: found 0 sample(s) (shape={table.shape}) while a minimum of 1 is "
            "required."
        )
    width = table.shape[1]
    if (user_col, item_col) == (0, 1) and width > len(positions) and width != usual_width:
        warn(_message_first_two_columns(names, table.shape, name))
    values = {}
    for parameter, position in positions.items():
        label = f"Column {names[position] if names else position!r} of {name} ({parameter})"
        values[parameter] = to_numpy(_column(table, position))
        if parameter == "time_col":
            check_no_missing(values[parameter], label)
            values[parameter] = as_numeric(values[parameter], "iufbmM", label)
        else:
            check_ids(values[parameter], label)
    return values["user_col"], values["item_col"], values.get("time_col")


def has_no_rows(X: Any, y: Any = None) -> bool:
    """Return whether a table (and `y`, if given) is empty."""
    is_table = hasattr(X, "shape") or isinstance(X, list | tuple)
    if sp.issparse(X) or not is_table or (y is not None and np.size(to_numpy(y))):
        return False
    return (len(X) if isinstance(X, list | tuple) else X.shape[0]) == 0


def time_kind(times: np.ndarray) -> TimeKind:
    """Return the kind of times returned by `read_columns`."""
    return _KIND_OF_DTYPE.get(times.dtype.kind, "numbers")


def describe_columns(X: Table) -> tuple[int, np.ndarray | None]:
    """Return the table attributes stored by scikit-learn: width and column names.

    Parameters
    ----------
    X : as in `index_interactions`

    Returns
    -------
    n_columns : int
        2 for a sparse matrix, as for the table of the same interactions.
    names : ndarray of shape (n_columns,), object, or None
        Column names of a frame, if all are strings.
    """
    if sp.issparse(X):
        return 2, None
    table, names = _as_table(X)
    if not names or not all(isinstance(name, str) for name in names):
        return table.shape[1], None
    return table.shape[1], np.array(names, dtype=object)


def check_same_columns(estimator: Any, X: Table, **columns: Any) -> None:
    """Raise a ValueError unless columns specified by position are the same as in `fit`.

    Parameters
    ----------
    estimator : object
        Has `n_features_in_`, and `feature_names_in_` if `fit` saw column names.
    X : table
    **columns : int, str or None
        Columns used, by parameter name.

    Raises
    ------
    ValueError
        If X is too narrow, or a column has another name than in `fit`.
    """
    positions = {
        parameter: int(column)
        for parameter, column in columns.items()
        if isinstance(column, numbers.Integral)
    }
    if sp.issparse(X) or not positions:
        return  # sparse X is rejected elsewhere, and names are looked up anyway
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
                f"{column} of X ({parameter}) is {names[column]!r}, but was {fitted[column]!r} in "
                f"fit. Keep the order of the columns, or set {parameter} to a name."
            )


def column_labels(X: Table, *columns: Column) -> list[Column]:
    """Return the labels that the given columns have in a frame of X."""
    names = column_names(X)
    return [names[c] if not isinstance(c, str) and len(names) > c else c for c in columns]


def column_names(X: Table) -> list[Any]:
    """Return the column names of a frame; an empty list for anything else."""
    names = getattr(X, "column_names", None)  # pyarrow, where `columns` holds arrays
    return list(names if isinstance(names, list) else getattr(X, "columns", ()))


def _column(table, position):
    is_collected = isinstance(table, CollectedTable)
    return table.column(position) if is_collected else table[:, position]


def _as_table(X):
    """Return a table with columns by position, and its column names or None."""
    if isinstance(X, CollectedTable):
        return X, X.columns
    if X is None or isinstance(X, str | Path | dict):
        raise ValueError(
            "X must be a DataFrame, or a 2-D array or list with one row per interaction; got "
            f"{name_kind(X)}: {_conversion_hint(X)}."
        )
    names_of_frame = getattr(X, "columns", None)
    if isinstance(names_of_frame, pd.Index) and not names_of_frame.is_unique:
        twice = names_of_frame[names_of_frame.duplicated()].unique().tolist()
        raise ValueError(
            f"The columns of X must have distinct names; got {twice} more than once. Rename them, "
            "or keep the first: X.loc[:, ~X.columns.duplicated()]."
        )
    table = nw.from_native(X, eager_only=True, pass_through=True)
    names = table.columns if isinstance(table, nw.DataFrame) else None
    if isinstance(X, list | tuple):  # np.asarray would convert all ids of [["ann", 1]] to strings
        table = nw.from_native(pd.DataFrame(list(X)), eager_only=True)
    elif names is None:
        table = np.asarray(X)
        if table.dtype.kind == "c":
            raise ValueError(f"Complex data not supported: X is an array of {table.dtype}.")
    if len(table.shape) != 2:
        raise ValueError(
            "X must be a DataFrame or a 2-D array with one row per interaction; got "
            f"{type(X).__name__} of shape {table.shape}. Reshape your data.{_index_hint(X)}"
        )
    return table, names


def _find_columns(columns, names, shape, hint=""):
    """Find columns by position or name.

    Parameters
    ----------
    columns : dict of str to int or str
        Parameter name to column.
    names : list or None
        Column names of a frame; None for an array.
    shape : tuple of (int, int)
        Shape of the table.
    hint : str, default=""
        Appended to errors about missing columns.

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
                f"{parameter}={column!r} is a column name, but X is an array. Pass a DataFrame "
                f"with this column, or set {parameter} to a position before fit."
            )
        if not isinstance(column, str) and column < 0:
            raise ValueError(f"{parameter} must be a position >= 0; got {column}.")
    available = _format_column_names(names)
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


def _message_first_two_columns(names, shape, name):
    if names:
        text = (
            f"{name} has {shape[1]} columns; the first two are used, {names[0]!r} for users and "
            f"{names[1]!r} for items. Set user_col and item_col to the names of the right columns "
            f"(these or others).{_format_column_names(names, name)}"
        )
    else:
        text = (
            f"{name} is an array of shape {shape}, read as one interaction per row with the user "
            "in column 0 and the item in column 1; other columns are ignored. Pass "
            f"{name}[:, :2] if that is right, else set user_col and item_col (and time_col) to "
            "column positions."
        )
    if name == "X" and (not names or len(names) > _FEW_COLUMNS):
        text += (
            " If it is a user-item matrix instead, pass scipy.sparse.csr_matrix(X) to fit; ids "
            "are then row and column numbers."
        )
    return text


def _format_column_names(names, name="X"):
    """Format the column names for an error message; wide frames are abbreviated."""
    if names is None:
        return ""
    if len(names) <= _FEW_COLUMNS:
        return f" The columns of {name} are {names}."
    first = ", ".join(map(repr, names[:5]))
    return f" The columns of {name} are {first} and {len(names) - 5} more."


def _index_hint(X):
    """Hint that the index of a pandas object may hold ids; "" if it only numbers the rows."""
    index = getattr(X, "index", None)
    named = [name for name in getattr(index, "names", ()) if name is not None]
    if not isinstance(index, pd.Index) or (isinstance(index, pd.RangeIndex) and not named):
        return ""
    holds = f" ({', '.join(map(repr, named))})" if named else ""
    return f" If its index{holds} holds ids, convert it to columns: X.reset_index()."


def _conversion_hint(X):
    """Suggest how to convert an unsupported input."""
    if X is None:
        return "pass the interactions"
    if isinstance(X, dict):
        return "pass pd.DataFrame(X), if its values are columns"
    return f"read it into a table first, e.g. with {how_to_read(X, 'X')}"

"""Tables of interactions: which columns hold the users, items and times."""

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
_KIND_OF_DTYPE: dict[str, TimeKind] = {"M": "datetimes", "m": "timedeltas"}  # by numpy's letter
_FEW_COLUMNS = 20  # tables of interactions are hardly wider


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
        stream. The columns of a list of rows are typed one by one, so that ``[["ann", 1]]`` keeps
        its int; a numpy array has a single dtype.
    user_col, item_col : int or str, default=0 and 1
        An int is a position >= 0 (also where a frame has ints as labels), a str the name of a
        column of a frame.
    time_col : int or str, default=None
        Column with numbers or datetimes.
    usual_width : int, default=None
        A number of columns that is no reason to warn: that of `fit`, which has warned of it.
    name : str, default="X"
        Of the argument, for messages.

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
            "Only `fit` reads a sparse matrix X, because its rows do not say which users they are "
            "about. Pass a table of (user, item) rows: "
            "`X, y = interactions_from_sparse(csr)` makes one."
        )
    columns = {"user_col": user_col, "item_col": item_col}
    if time_col is not None:
        columns["time_col"] = time_col
    X = collect(X, aligned=None, **columns)
    table, names = _as_table(X)
    positions = _find_columns(columns, names, table.shape, _index_hint(X))
    if table.shape[0] == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={table.shape}) while a minimum of 1 is required."
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


def time_kind(times: np.ndarray) -> TimeKind:
    """Return the kind of the times that `read_columns` returns."""
    return _KIND_OF_DTYPE.get(times.dtype.kind, "numbers")


def describe_columns(X: Table) -> tuple[int, np.ndarray | None]:
    """Return what scikit-learn stores of a table: its width, and its column names.

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
    """Raise unless the columns used, given by position, are the same as in `fit`.

    Parameters
    ----------
    estimator : object
        With `n_features_in_`, and `feature_names_in_` if there were names in `fit`.
    X : table
    **columns : int, str or None
        Columns used, by the name of the parameter.

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
        return  # sparse X is refused elsewhere, and names are looked up anyway
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


def column_labels(X: Table, *columns: Column) -> list[Column]:
    """Return the labels of columns in a frame made of X."""
    names = column_names(X)
    return [names[c] if not isinstance(c, str) and len(names) > c else c for c in columns]


def column_names(X: Table) -> list[Any]:
    """Return the names of the columns of a frame; none of what is no frame."""
    names = getattr(X, "column_names", None)  # of pyarrow, whose `columns` are arrays
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
            "X must be a DataFrame, or a 2-D array or list with a row per interaction; got "
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
    if isinstance(X, list | tuple):  # np.asarray turns all ids of [["ann", 1]] into strings
        table = nw.from_native(pd.DataFrame(list(X)), eager_only=True)
    elif names is None:
        table = np.asarray(X)
        if table.dtype.kind == "c":
            raise ValueError(f"Complex data not supported: X is an array of {table.dtype}.")
    if len(table.shape) != 2:
        raise ValueError(
            "X must be a DataFrame or a 2-D array with a row per interaction; got "
            f"{type(X).__name__} of shape {table.shape}. Reshape your data.{_index_hint(X)}"
        )
    return table, names


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
        Added to errors about missing columns.

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
            f"{name} has {shape[1]} columns; {names[0]!r} is used for the users and {names[1]!r} "
            "for the items, as the first two. Set user_col and item_col to their names if that is "
            f"right, else to those of others.{_format_column_names(names, name)}"
        )
    else:
        text = (
            f"{name} is an array of shape {shape}, taken as one interaction a row, the user in "
            "column 0, the item in column 1; other columns are not used. Pass "
            f"{name}[:, :2] if that is right, else set user_col and item_col (and time_col) to the "
            "positions."
        )
    if name == "X" and (not names or len(names) > _FEW_COLUMNS):
        text += (
            " If it is a matrix of users x items instead, pass it to fit as "
            "scipy.sparse.csr_matrix(X); ids are then the numbers of rows and columns."
        )
    return text


def _format_column_names(names, name="X"):
    """Format the column names for an error message; wide frames are abbreviated."""
    if names is None:
        return ""
    if len(names) <= _FEW_COLUMNS:
        return f" The columns of {name} are {names}."
    first = ", ".join(map(repr, names[:5]))
    return f" The columns of {name} are {first} and {len(names) - 5} others."


def _index_hint(X):
    """Say that the index of a pandas object may hold ids; "" if it only numbers the rows."""
    index = getattr(X, "index", None)
    named = [name for name in getattr(index, "names", ()) if name is not None]
    if not isinstance(index, pd.Index) or (isinstance(index, pd.RangeIndex) and not named):
        return ""
    holds = f" ({', '.join(map(repr, named))})" if named else ""
    return f" If ids are in its index{holds}, make columns of it: X.reset_index()."


def _conversion_hint(X):
    """Suggest how to convert an unsupported input."""
    if X is None:
        return "pass the interactions"
    if isinstance(X, dict):
        return "pass pd.DataFrame(X), if its values are columns"
    return f"pass the table that is read from it, e.g. by {how_to_read(X, 'X')}"

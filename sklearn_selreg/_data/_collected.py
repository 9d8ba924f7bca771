"""Reading of queries and Arrow streams: once, and only the columns that are needed."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from .._utils._typing import Column, Table

_log = logging.getLogger("sklearn_selreg")


class CollectedTable:
    """The required columns of a query or stream, and the names of all columns.

    Attributes
    ----------
    columns : list of str
        Names of all columns.
    frame : narwhals.DataFrame
        Columns that were read.
    shape : tuple of (int, int)
        Number of rows, and total number of columns.
    """

    def __init__(self, columns: list[str], frame: nw.DataFrame):
        self.columns, self.frame = columns, frame
        self.shape = len(frame), len(columns)

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: Any) -> CollectedTable:
        return CollectedTable(self.columns, self.frame[np.arange(len(self))[rows].tolist()])

    def column(self, position: int) -> nw.Series:
        """Return a column by its position among all columns."""
        return self.frame[self.columns[position]]


def collect(X: Table, *, aligned: str | None = None, **columns: Column | None) -> Any:
    """Read the required columns of a query (polars, duckdb, ibis ...) or an Arrow stream.

    Parameters
    ----------
    X : table
        Tables in memory are returned unchanged.
    aligned : str or None, default=None
        Name of an argument aligned with the rows (e.g. "y"), for the error message.
    **columns : int, str or None
        Required columns, by parameter name. Columns that do not exist are skipped; the caller
        reports them.

    Returns
    -------
    table : CollectedTable or table

    Raises
    ------
    ValueError
        If `aligned` is given and the query has no fixed row order.
    ImportError
        If the library needed for reading is not installed.
    """
    wanted = [column for column in columns.values() if column is not None]
    table = _as_query(X)
    if table is not None:
        if aligned is not None and not _keeps_order(table):
            raise ValueError(
                f"{aligned} must be aligned with the rows of X, but {_name(X)} may return its rows "
                "in a different order each time. Collect both together, e.g. with duckdb's "
                "to_arrow_table() or ibis' to_pyarrow(), and pass columns of the resulting table."
            )
        names = table.collect_schema().names()
        read = _needed(names, wanted)
        collected = CollectedTable(names, _collect_query(table.select(read)))
    elif _is_stream(X):
        names, read, frame = _read_stream(X, wanted)
        collected = CollectedTable(names, frame)
    else:
        return X
    _log.info(
        "Collected %d rows of the columns %s from %s.",
        len(collected),
        ", ".join(map(repr, read)),
        _name(X),
    )
    return collected


def collect_all(X: Table) -> Any:
    """Read all columns of a query or an Arrow stream; return tables in memory unchanged.

    Returns
    -------
    frame : narwhals.DataFrame or table
    """
    table = _as_query(X)
    if table is not None:
        frame = _collect_query(table)
    elif _is_stream(X):
        frame = _read_stream(X, None)[2]
    else:
        return X
    _log.info("Collected %d rows of all columns from %s.", len(frame), _name(X))
    return frame


def _as_query(X):
    table = X if isinstance(X, pd.DataFrame) else nw.from_native(X, pass_through=True)
    return table if isinstance(table, nw.LazyFrame) else None


def _is_stream(X):
    """Whether `X` is a table only through the Arrow stream protocol."""
    if not hasattr(X, "__arrow_c_stream__") or isinstance(X, pd.DataFrame):
        return False
    known = nw.from_native(X, pass_through=True, allow_series=True)
    return not isinstance(known, nw.DataFrame | nw.Series)


def _name(X):
    library = type(X).__module__.partition(".")[0]
    return f"{'an' if library[0] in 'aeiou' else 'a'} {library} {type(X).__name__}"


def _keeps_order(table):
    """Whether a query returns its rows in the same order each time."""
    return table.implementation.is_polars() or table.implementation.is_dask()


def _needed(names, wanted):
    """Names of the columns to read; at least one, as the number of rows is needed."""
    if wanted is None:
        return names
    found = [names[c] if not isinstance(c, str) and 0 <= c < len(names) else c for c in wanted]
    return [name for name in dict.fromkeys(found) if name in names] or names[:1]


def _collect_query(table):
    try:
        return table.collect()
    except ModuleNotFoundError as error:
        raise ImportError(f"To collect {_name(table.to_native())}, {_INSTALL}") from error


_INSTALL = "pyarrow is needed: pip install pyarrow."


def _read_stream(X, wanted):
    """Return the names of all columns, the names of the columns read, and their frame."""
    if find_spec("pyarrow") is None:
        raise ImportError(f"To read {_name(X)}, {_INSTALL}")
    import pyarrow as pa

    reader = pa.RecordBatchReader.from_stream(X)
    names = reader.schema.names
    read = _needed(names, wanted)
    fields = pa.schema([reader.schema.field(name) for name in read])
    table = pa.Table.from_batches((batch.select(read) for batch in reader), fields)
    if not len(table):
        raise ValueError(
            f"X must have at least one row; got none from {_name(X)}. A stream can be read only "
            "once: read it into a table first, e.g. with pyarrow's read_all(), and pass that."
        )
    return names, read, nw.from_native(table, eager_only=True)

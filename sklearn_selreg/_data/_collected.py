"""Queries and Arrow streams, which are not in memory: read once, and only the columns needed."""

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
    """The columns that are needed of a query or stream, and the names of all.

    Attributes
    ----------
    columns : list of str
        Names of all columns.
    frame : narwhals.DataFrame
        Those that were read.
    shape : tuple of (int, int)
        Number of rows, and of all columns.
    """

    def __init__(self, columns: list[str], frame: nw.DataFrame):
        self.columns, self.frame = columns, frame
        self.shape = len(frame), len(columns)

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: Any) -> CollectedTable:
        return CollectedTable(self.columns, self.frame[np.arange(len(self))[rows].tolist()])

    def column(self, position: int) -> nw.Series:
        """Return a column by its position among all."""
        return self.frame[self.columns[position]]


def collect(X: Table, *, aligned: str | None = None, **columns: Column | None) -> Any:
    """Read what is needed of a query (of polars, duckdb, ibis ...) or an Arrow stream.

    Parameters
    ----------
    X : table
        Anything; what is in memory already is returned as it is.
    aligned : str or None, default=None
        What belongs to the rows by their order, for the error: "y".
    **columns : int, str or None
        Columns that are needed, by the name of the parameter. Those that do not exist are left
        out: whoever reads them says so.

    Returns
    -------
    table : CollectedTable or table

    Raises
    ------
    ValueError
        If something belongs to the rows of a query, and these have no order.
    ImportError
        If nothing that can read it is installed.
    """
    wanted = [column for column in columns.values() if column is not None]
    table = _as_query(X)
    if table is not None:
        if aligned is not None and not _keeps_order(table):
            raise ValueError(
                f"{aligned} must belong to the rows of X, but those of {_name(X)} may come in "
                "another order each time. Collect both together, as by to_arrow_table() of duckdb "
                "or to_pyarrow() of ibis, and pass the columns of that table."
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
    """Read all columns of a query or an Arrow stream; return what is in memory as it is.

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
    """Whether it is a table by nothing but the protocol of Arrow streams."""
    if not hasattr(X, "__arrow_c_stream__") or isinstance(X, pd.DataFrame):
        return False
    known = nw.from_native(X, pass_through=True, allow_series=True)
    return not isinstance(known, nw.DataFrame | nw.Series)


def _name(X):
    library = type(X).__module__.partition(".")[0]
    return f"{'an' if library[0] in 'aeiou' else 'a'} {library} {type(X).__name__}"


def _keeps_order(table):
    """Whether a query gives its rows in the same order each time."""
    return table.implementation.is_polars() or table.implementation.is_dask()


def _needed(names, wanted):
    """Return the names of the columns to read, at least one: it tells the number of rows."""
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
    """Return the names of all columns, of those that were read, and the latter as a frame."""
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
            f"There must be rows; got none from {_name(X)}. A stream can be read once: pass the "
            "table that is read from it, as by read_all() of pyarrow."
        )
    return names, read, nw.from_native(table, eager_only=True)

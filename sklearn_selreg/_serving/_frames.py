"""Returned tables: conversion of columns to a frame of pandas, polars or pyarrow."""

from importlib.util import find_spec

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

LIBRARIES = ("pandas", "polars", "pyarrow")


def frame_library(as_frame):
    """Return the library selected by a parameter `as_frame`; None for no frame.

    Parameters
    ----------
    as_frame : bool or str
        Name of the library; True for pandas.

    Returns
    -------
    library : {"pandas", "polars", "pyarrow"} or None

    Raises
    ------
    ValueError
        For any other value.
    ImportError
        If the library is not installed.
    """
    if isinstance(as_frame, bool | np.bool_):
        return "pandas" if as_frame else None
    if not isinstance(as_frame, str) or as_frame not in LIBRARIES:
        names = ", ".join(map(repr, LIBRARIES))
        raise ValueError(f"as_frame must be True, False or one of {names}; got {as_frame!r}.")
    if find_spec(as_frame) is None:
        raise ImportError(f"as_frame={as_frame!r} needs {as_frame}: pip install {as_frame}.")
    return as_frame


def make_frame(columns, library):
    """Build a frame.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n,)
        For pandas, also Series.
    library : {"pandas", "polars", "pyarrow"}

    Returns
    -------
    table : DataFrame or pyarrow.Table of shape (n, n_columns)

    Raises
    ------
    ValueError
        If the library does not support the values of a column.
    """
    if library == "pandas":
        return pd.DataFrame(columns)
    values = {name: _plain(column) for name, column in columns.items()}
    try:
        return nw.from_dict(values, backend=library).to_native()
    except Exception as error:  # differs by library
        kinds = {
            name: sorted({type(value).__name__ for value in v})
            for name, v in values.items()
            if isinstance(v, list)
        }
        raise ValueError(
            f"{library} does not support ids of types {kinds}: {error} Use as_frame=True for a "
            "pandas DataFrame, whose columns may contain any objects."
        ) from error


def _plain(column):
    """Convert a column for polars and pyarrow, which infer object types only from lists."""
    if column.dtype == object:
        return column.tolist()
    if column.dtype.kind in "mM" and np.datetime_data(column.dtype)[0] in ("s", "m", "h"):
        return column.astype(f"{column.dtype.kind}8[ms]")
    return column

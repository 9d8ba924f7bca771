"""Tables that are returned: columns as a frame of pandas, polars or pyarrow."""

from importlib.util import find_spec

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

LIBRARIES = ("pandas", "polars", "pyarrow")


def frame_library(as_frame):
    """Return the library that a parameter `as_frame` names; None for no frame.

    Parameters
    ----------
    as_frame : bool or str
        True: pandas.

    Returns
    -------
    library : {"pandas", "polars", "pyarrow"} or None

    Raises
    ------
    ValueError
        For another value.
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
    """Make a frame.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n,)
        For pandas, Series as well.
    library : {"pandas", "polars", "pyarrow"}

    Returns
    -------
    table : DataFrame or pyarrow.Table of shape (n, n_columns)

    Raises
    ------
    ValueError
        If the library has no type for the values of a column.
    """
    if library == "pandas":
        return pd.DataFrame(columns)
    values = {name: _plain(column) for name, column in columns.items()}
    try:
        return nw.from_dict(values, backend=library).to_native()
    except Exception as error:  # each library has its own
        kinds = {
            name: sorted({type(value).__name__ for value in v})
            for name, v in values.items()
            if isinstance(v, list)
        }
        raise ValueError(
            f"{library} has no type for ids such as these, of {kinds}: {error} as_frame=True "
            "gives a pandas DataFrame, whose columns may hold anything."
        ) from error


def _plain(column):
    """Return a column as polars and pyarrow read it: types of objects they find only in lists."""
    if column.dtype == object:
        return column.tolist()
    if column.dtype.kind in "mM" and np.datetime_data(column.dtype)[0] in ("s", "m", "h"):
        return column.astype(f"{column.dtype.kind}8[ms]")
    return column

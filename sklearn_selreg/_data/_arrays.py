"""Conversion of user input (series of any library, lists, objects) to arrays."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

# Kinds of objects, missing values aside, that cannot be infinite.
_FINITE = "string", "bytes", "integer", "boolean", "date", "datetime", "empty"
LEAVE_OUT = "Drop such rows, e.g. with dropna, or fill in the values."


def to_numpy(values: Any) -> np.ndarray:
    """Convert a series of any library, or an array-like, to an array in native byte order."""
    array = values
    if not isinstance(values, np.ndarray):
        values = nw.from_native(values, series_only=True, pass_through=True)
        # polars would return fixed-width strings, as wide as the longest one.
        is_text = isinstance(values, nw.Series) and values.dtype == nw.String
        array = np.asarray(values, dtype=object if is_text else None)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def as_objects(ids: np.ndarray) -> np.ndarray:
    """Convert ids to Python objects; numpy's `astype` would turn nanosecond times into ints."""
    if ids.dtype.kind in "mM":
        return pd.Series(ids).astype(object).to_numpy()
    return ids.astype(object)


def example_of(values: np.ndarray) -> str:
    """Return the `repr` of the first value."""
    return repr(values[:1].tolist()[0])


def check_no_missing(values: np.ndarray, label: str, remedy: str = LEAVE_OUT) -> None:
    """Raise a ValueError if any of `values` (`label` in the message) is missing or infinite."""
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {label}.")
    missing = pd.isna(values)
    if values.dtype.kind == "f":
        missing |= np.isinf(values)
    elif values.dtype == object and pd.api.types.infer_dtype(values) not in _FINITE:
        missing |= to_index(values).isin([np.inf, -np.inf])
    if missing.any():
        raise ValueError(
            f"{label} must not contain missing or infinite values (None, NaN, null or inf); got "
            f"{missing.sum()} in {len(values)} rows, the first in row {missing.argmax()} (counting "
            f"from 0). {remedy}"
        )


def to_index(ids: Any) -> pd.Index:
    """Convert ids to a pandas index, whose hash table supports ids of any type."""
    ids = to_numpy(ids)
    if ids.dtype.kind in "OSTU":
        return pd.Index(ids.astype(object, copy=False), dtype=object, tupleize_cols=False)
    return pd.Index(ids.astype(np.float64, copy=False) if ids.dtype.kind == "f" else ids)


def as_numeric(values: np.ndarray, kinds: str, label: str) -> np.ndarray:
    """Convert objects to their common dtype; raise a TypeError if its kind is not in `kinds`."""
    if values.dtype == object:
        values = to_numpy(pd.Series(values).infer_objects())
    if values.dtype == object and "M" in kinds and pd.api.types.infer_dtype(values) == "datetime":
        with suppress(TypeError, ValueError), warnings.catch_warnings():  # out of range
            warnings.simplefilter("ignore")  # times with a zone become UTC, as they should
            values = np.array([np.datetime64(value, "us") for value in values])
    if values.dtype.kind not in kinds:
        is_text = values.dtype.kind in "OSTU" and pd.api.types.infer_dtype(values) == "string"
        expected, hint = "numbers", ""
        if "M" in kinds:
            expected, hint = "numbers or datetimes", " Convert it, e.g. with pandas.to_datetime"
            hint += "; pass dayfirst=True or format= if the day comes first." if is_text else "."
        raise TypeError(
            f"{label} must contain {expected}; got {'text' if is_text else f'dtype {values.dtype}'}"
            f" (e.g. {example_of(values)}).{hint}"
        )
    return values

"""Content type of a column, and reading of its values."""

from __future__ import annotations

import datetime
import re
from contextlib import suppress

import numpy as np
import pandas as pd

from ._numbers import check_finite_numbers, is_number
from ._vectors import as_vectors


def content_type(values: pd.Series) -> str:
    """Return the content type of a column.

    Parameters
    ----------
    values : Series of shape (n,)
        Column as passed by the user.

    Returns
    -------
    str
        "number", "date", "text", "flag" (booleans), "interval" (as from `pd.cut`), "list",
        "vector", "nothing" (all missing), or the name of an unsupported type.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        is_interval = isinstance(values.cat.categories.dtype, pd.IntervalDtype)
        content = "interval" if is_interval else "text"
        return content if values.notna().any() else "nothing"
    if is_number(values) and values.notna().any():
        return "flag" if pd.api.types.is_bool_dtype(values.dtype) else "number"
    present = values.dropna().astype(object)
    inferred = pd.api.types.infer_dtype(present)
    if inferred.startswith("mixed") and inferred != "mixed-integer-float":
        return _content_of_objects(values, present)
    return _CONTENT_OF_DTYPE.get(inferred, inferred)


def _content_of_objects(values, present):
    """Return the content type of a column of Python objects; `present` are the non-missing ones."""
    types = set(present.map(type))
    if np.ndarray in types and any(np.ndim(e) > 1 for e in present if type(e) is np.ndarray):
        return "multi-dimensional array"
    if types <= {list, tuple, set, frozenset, np.ndarray}:
        entries = pd.api.types.infer_dtype(present.iloc[:100].explode().dropna())
        if entries in ("floating", "mixed-integer-float"):
            return "vector"
        if entries in ("integer", "boolean") and as_vectors(values) is not None:
            return "vector"
        return "list"
    if all(issubclass(t, (str, int, float, np.number, np.bool_)) for t in types):
        return "text"
    return " and ".join(sorted(t.__name__ for t in types))


_CONTENT_OF_DTYPE = {  # by the type name inferred by pandas
    "empty": "nothing",
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "datetime": "date",
    "datetime64": "date",
    "date": "date",
    "boolean": "flag",
    "string": "text",
}


def read_numbers(values: pd.Series) -> np.ndarray:
    """Read numbers, or dates as decimal years (UTC), as float64 of shape (n,), NaN if missing."""
    is_present = values.notna().to_numpy()  # pd.to_numeric reads NaT as a number
    numbers, present = np.full(len(values), np.nan), values[is_present]
    if content_type(values) == "date":
        days = _timestamps(present) - np.datetime64(0, "us")
        numbers[is_present] = 1970 + days / np.timedelta64(1, "us") / (365.2425 * 86_400e6)
    else:
        numbers[is_present] = pd.to_numeric(present).to_numpy(dtype=np.float64)
    check_finite_numbers(numbers, values.name)
    return numbers


def read_written(text: str, decimal: str) -> float:
    """Parse a number such as "US$ 1,023.50"; `decimal` is "." or ","."""
    thousands = "," if decimal == "." else "."
    return float(re.sub(rf"[{thousands}$€£¥%A-Z\s]", "", text).replace(",", "."))


def _timestamps(values):
    """Read dates as datetimes in UTC, (n,) datetime64[us].

    Nanoseconds only cover the years 1678 to 2262, but "9999-12-31" is a common open end.
    """
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    if values.dtype.kind == "M":
        return values.to_numpy().astype("M8[us]")
    return np.array([_timestamp(value) for value in values], dtype="M8[us]")


def _timestamp(value):
    """Convert a date, datetime or Timestamp, or a missing value."""
    if pd.isna(value):
        return np.datetime64("NaT", "us")
    if getattr(value, "tzinfo", None) is not None:
        with suppress(OverflowError):  # first or last day of the calendar
            value = value.astimezone(datetime.timezone.utc)
        value = value.replace(tzinfo=None)
    if isinstance(value, pd.Timestamp):
        value = value.to_datetime64()
    return np.datetime64(value).astype("M8[us]")


def read_strings(values: pd.Series, separator: str = ", ") -> pd.Series:
    """Format values as readable text: an object Series of str, NaN where missing or blank.

    Whole numbers have no decimal point, dates at midnight no time; list entries are joined by
    `separator`.
    """
    present = values.dropna()
    match content_type(values):
        case "number":
            texts = pd.Series(read_numbers(present), index=present.index).map("{:.15g}".format)
        case "date":
            times = np.datetime_as_string(_timestamps(present).astype("M8[s]"))
            texts = pd.Series(times, index=present.index).str.replace("T", " ")
            texts = texts.str.removesuffix(" 00:00:00")
        case "list":
            texts = present.map(lambda entries: _join(entries, separator))
        case _:
            texts = present.astype(object).map(_to_text)
    texts = texts.astype(object)
    return texts[texts.str.strip() != ""].reindex(values.index)


def _to_text(value):
    """Format a value; numbers among text as in numeric columns."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return f"{value:.15g}" if is_number else str(value)


def _join(entries, separator):
    """Join the entries of a list, tuple, array or set (sorted, as sets have no stable order)."""
    if isinstance(entries, (set, frozenset)):
        entries = sorted(entries, key=str)
    return separator.join(str(entry) for entry in entries if entry is not None)


def objects_to_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert object columns of numbers, e.g. Decimals, to a numeric dtype."""
    objects = [name for name in frame.columns if frame[name].dtype == object]
    numbers = [name for name in objects if content_type(frame[name]) == "number"]
    return _read_columns_as_numbers(frame, numbers)


def dates_to_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert the date columns of a frame of numbers and dates to numbers."""
    dates = [name for name in frame.columns if not is_number(frame[name])]
    return _read_columns_as_numbers(frame, dates)


def _read_columns_as_numbers(frame, names):
    return frame.assign(**{name: read_numbers(frame[name]) for name in names}) if names else frame

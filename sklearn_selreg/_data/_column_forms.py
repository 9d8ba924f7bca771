"""Conversion of columns passed after the fit to the content type they had in the fit.

Each value is read on its own, so its meaning does not depend on the other rows of the table.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .._utils._warn import warn
from ._column_kinds import ColumnKind, is_written_number
from ._column_values import content_type, read_strings, read_written

_PLAIN_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_COLLECTIONS = list, tuple, set, frozenset, np.ndarray


class _Form(NamedTuple):
    """How values of a form are read.

    Attributes
    ----------
    name : str
        Noun for messages, e.g. "dates".
    read : callable
        Reads a value that is neither missing nor blank, given the form's detail; returns None if
        the value cannot be read.
    remedy : str
        How to convert other values.
    as_is : tuple of str
        Content types of columns that need no conversion.
    """

    name: str
    read: Callable[[Any, str], Any]
    remedy: str
    as_is: tuple[str, ...] = ()


def column_form(values: pd.Series, kind: ColumnKind) -> tuple[str, str] | None:
    """Return the form of a column in the fit, for `read_as_in_fit`.

    Parameters
    ----------
    values : Series of shape (n,)
    kind : ColumnKind

    Returns
    -------
    form : tuple of (str, str) or None
        A key of `_FORMS`, and the separator of decimals or entries. None if the column is dropped
        or checked elsewhere.
    """
    content = content_type(values)
    if kind.kind == "dropped" or content not in _FORMS:
        return None
    if content == "text" and kind.detail:  # of decimals, or of entries
        return "written list" if kind.kind == "list" else "written number", kind.detail
    return content, ""


def read_as_in_fit(values: pd.Series, form: tuple[str, str]) -> pd.Series:
    """Read a column as it was read in the fit.

    Parameters
    ----------
    values : Series of shape (n,)
    form : tuple of (str, str)

    Returns
    -------
    read : Series of shape (n,)

    Warns
    -----
    DataWarning
        If values cannot be read; they count as missing.
    """
    (name, read, remedy, as_is), detail = _FORMS[form[0]], form[1]
    if content_type(values) in (*as_is, "nothing"):
        return values
    entries, unread, n_present = [], [], 0
    for value in values:
        is_present = not _is_missing(value)
        entries.append(read(value, detail) if is_present else None)
        n_present += is_present
        if is_present and entries[-1] is None:
            unread.append(value)
    if unread:
        warn(
            f"Column {values.name!r} contained {name.format(detail)} in fit, but {len(unread)} of "
            f"{n_present} values cannot be read as such (e.g. {unread[0]!r:.100}) and count as "
            f"missing. Convert them, e.g. with {remedy}."
        )
    column = pd.Series(entries, index=values.index, name=values.name, dtype=object)
    return column.astype(np.float64) if form[0].endswith("number") else column


def _is_missing(value):
    if isinstance(value, str):
        return not value.strip()
    return not isinstance(value, _COLLECTIONS) and bool(pd.isna(value))


def _as_date(value, detail):
    """Return a date as is, and text in ISO 8601 format as a datetime."""
    if isinstance(value, datetime.date | np.datetime64):
        return value
    if isinstance(value, str) and value.strip()[4:5] == "-":
        try:
            return datetime.datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            return None
    return None


def _as_number(value, detail):
    if isinstance(value, Real | Decimal | np.bool_):
        return float(value)
    is_plain = isinstance(value, str) and _PLAIN_NUMBER.fullmatch(value.strip())
    return float(value) if is_plain else None


def _as_written_number(value, decimal):
    if not isinstance(value, str):
        return _as_number(value, decimal)
    return read_written(value, decimal) if is_written_number(value, decimal) else None


def _as_flag(value, detail):
    """Return a flag; 0 and 1 count as flags, as do "True" and "False", e.g. from CSV files."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    is_flag = isinstance(value, Real | Decimal | np.bool_) and value in (0, 1)
    return bool(value) if is_flag else None


def _as_entries(value, detail):
    """Return a list; text without any common separator is a single entry."""
    if isinstance(value, _COLLECTIONS):
        return value
    return [value] if not isinstance(value, str) or not re.search(r"[|;,\[]", value) else None


def _as_joined(value, separator):
    if not isinstance(value, _COLLECTIONS):
        return str(value)
    entries = sorted(value, key=str) if isinstance(value, set | frozenset) else value
    return separator.join(str(entry) for entry in entries if entry is not None)


def _as_interval(value, detail):
    return str(value) if isinstance(value, str | pd.Interval) else None


def _as_text(value, detail):
    if isinstance(value, (str, *_COLLECTIONS)):
        return value if isinstance(value, str) else None
    return read_strings(pd.Series([value], dtype=object))[0]


_FORMS = {  # by content type; "written": as text
    "date": _Form("dates", _as_date, "pd.to_datetime", ("date",)),
    "number": _Form("numbers", _as_number, "pd.to_numeric", ("number",)),
    "written number": _Form(
        "numbers with decimal separator {!r}", _as_written_number, "pd.to_numeric"
    ),
    "flag": _Form("booleans", _as_flag, ".astype(bool)", ("flag",)),
    "interval": _Form("intervals", _as_interval, "pd.cut and the bins of fit", ("interval",)),
    "list": _Form("lists", _as_entries, ".str.split", ("list",)),
    "written list": _Form("entries separated by {!r}", _as_joined, ".str.join", ("text",)),
    "text": _Form("texts", _as_text, ".explode", ("text", "number", "date", "flag", "interval")),
}

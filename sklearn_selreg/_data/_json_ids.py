"""Ids as JSON: types that JSON lacks become objects such as ``{"uuid": "..."}``."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Hashable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

# Name, type, and conversion to and from strings; the first matching type is used.
_TAGS: tuple[tuple[str, type, Callable[[Any], str], Callable[[str], Any]], ...] = (
    ("timestamp", pd.Timestamp, pd.Timestamp.isoformat, pd.Timestamp),
    (
        "datetime",
        datetime.datetime,
        datetime.datetime.isoformat,
        datetime.datetime.fromisoformat,
    ),
    ("date", datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    ("uuid", uuid.UUID, str, uuid.UUID),
    ("bytes", bytes, bytes.hex, bytes.fromhex),
    ("decimal", Decimal, str, Decimal),
)
_READERS = {name: read for name, _, _, read in _TAGS}
KINDS = "str, int, float, bool, bytes, date, datetime, UUID, Decimal and tuples of these"
"""Supported types of ids, for error messages."""


def id_to_json(value: Hashable) -> str | bool | int | float | dict:
    """Convert an id to a JSON-serializable value.

    Parameters
    ----------
    value : hashable

    Returns
    -------
    plain : str, bool, int, float or dict

    Raises
    ------
    TypeError
        For an unsupported type or a non-finite number.
    """
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if isinstance(value, np.bool_ | np.number) and not isinstance(value, np.timedelta64):
        value = value.item()
    if isinstance(value, str | bool | Integral) or (
        isinstance(value, Real) and type(value) is float and np.isfinite(value)
    ):
        return value
    if isinstance(value, tuple):
        return {"tuple": [id_to_json(part) for part in value]}
    for tag, kind, write, _ in _TAGS:
        if isinstance(value, kind):
            return {tag: write(value)}
    raise TypeError(f"{value!r} is a {type(value).__name__}, not one of {KINDS}")


def id_from_json(value: Any) -> Hashable:
    """Convert a value returned by `id_to_json` back to the id.

    Raises
    ------
    ValueError
        For any other value.
    """
    if isinstance(value, dict):
        if len(value) != 1:
            raise ValueError(f"an id must be a scalar or an object with one key; got {value!r}")
        ((tag, content),) = value.items()
        if tag == "tuple" and isinstance(content, list):
            return tuple(map(id_from_json, content))
        if tag not in _READERS or not isinstance(content, str):
            raise ValueError(f"an id must be one of {sorted(_READERS)}; got {value!r:.100}")
        try:
            return _READERS[tag](content)
        except ArithmeticError:  # raised by Decimal
            raise ValueError(f"an id must be a decimal; got {content!r:.100}") from None
    if not isinstance(value, str | bool | int | float):
        raise ValueError(f"an id must be text or a number; got {value!r:.100}")
    return value

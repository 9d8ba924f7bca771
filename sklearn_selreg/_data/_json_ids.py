"""Ids as JSON: those that it has no type for are objects such as ``{"uuid": "..."}``."""

import datetime
import uuid
from decimal import Decimal
from numbers import Integral, Real

import numpy as np
import pandas as pd

# Name, type, and from and to strings; the first one that fits is taken.
_TAGS = (
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
"""What ids may be, as errors say it."""


def id_to_json(value):
    """Return an id as what JSON has.

    Parameters
    ----------
    value : hashable

    Returns
    -------
    plain : str, bool, int, float or dict

    Raises
    ------
    TypeError
        For another type; for a number that is not finite.
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
    raise TypeError(f"{value!r}, a {type(value).__name__}, is none of {KINDS}")


def id_from_json(value):
    """Return the id that `id_to_json` made a value of.

    Raises
    ------
    ValueError
        For a value that it does not make.
    """
    if isinstance(value, dict):
        if len(value) != 1:
            raise ValueError(f"an id must be a value, or an object of one name; got {value!r}")
        ((tag, content),) = value.items()
        if tag == "tuple" and isinstance(content, list):
            return tuple(map(id_from_json, content))
        if tag not in _READERS or not isinstance(content, str):
            raise ValueError(f"an id must be one of {sorted(_READERS)}; got {value!r:.100}")
        try:
            return _READERS[tag](content)
        except ArithmeticError:  # what Decimal raises
            raise ValueError(f"an id must be a decimal; got {content!r:.100}") from None
    if not isinstance(value, str | bool | int | float):
        raise ValueError(f"an id must be text or a number; got {value!r:.100}")
    return value

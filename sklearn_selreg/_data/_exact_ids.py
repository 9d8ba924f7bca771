"""Float ids next to integer ids: exact floats are converted, others raise an error."""

from __future__ import annotations

import numbers

import numpy as np
import pandas as pd

from ._arrays import LEAVE_OUT, check_no_missing, example_of, to_numpy

READ_AS_INTEGERS = (
    'Read the column as integers, e.g. with pd.read_csv(path, dtype={column: "Int64"}), or as '
    "text (dtype=str) in all tables."
)
_NO_FLOATS = "string", "bytes", "integer", "boolean", "decimal", "date", "datetime", "empty"


def check_ids(ids: np.ndarray, label: str) -> None:
    """Raise a ValueError for missing or infinite ids, and for floats that are not exact."""
    remedy = LEAVE_OUT
    if ids.dtype.kind == "f":  # dropping rows would still leave floats
        remedy = f"{READ_AS_INTEGERS} Then drop such rows, e.g. with dropna."
    check_no_missing(ids, label, remedy)
    _check_exact(ids, label)


def align_numbers(ids: np.ndarray, more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert floats on one side to integers if the other side holds integers.

    Integer columns with missing values, e.g. from CSV files, become floats. From 2**53 (float32:
    2**24) on, different integers share the same float, so lookups would find wrong ids or none.

    Parameters
    ----------
    ids, more : ndarrays of shape (n,) and (m,)

    Returns
    -------
    ids, more : ndarrays
        With unchanged dtypes, except that such floats become int64.

    Raises
    ------
    ValueError
        If such a float is not whole, or too large to be exact; also for floats as large in object
        arrays, e.g. next to text.
    """
    ids, more = to_numpy(ids), to_numpy(more)
    kinds = _id_kind(ids, more), _id_kind(more, ids)
    if kinds == ("integer", "float"):
        return ids, _to_integers(more)
    if kinds == ("float", "integer"):
        return _to_integers(ids), more
    for mixed in (ids, more):  # float columns are checked when they are read
        if mixed.dtype == object:
            _check_exact(mixed)
    return ids, more


def has_floats(ids: np.ndarray) -> bool:
    """Return whether any of the ids is a float."""
    return bool(_find_floats(ids).any())


def _id_kind(ids, others):
    """Return "integer" or "float" for numeric ids; None if the kind is irrelevant.

    Objects are only inspected if the others may be numbers, because this is slow.
    """
    kind = {"i": "integer", "u": "integer", "f": "float"}.get(ids.dtype.kind)
    if ids.dtype != object or others.dtype.kind not in "iufO" or not (len(ids) and len(others)):
        return kind
    if others.dtype == object and not isinstance(others[0], numbers.Real):
        return None
    inferred = pd.api.types.infer_dtype(ids, skipna=False)
    return {"integer": "integer", "floating": "float", "mixed-integer-float": "float"}.get(inferred)


def _to_integers(ids):
    """Convert exact floats to int64; in an array of objects, only the floats."""
    is_float = _find_floats(ids)
    limit = _exactness_limit(ids[is_float])
    floats = ids[is_float].astype(np.float64)
    wrong = ~((np.abs(floats) < limit) & (floats == np.floor(floats)))
    if wrong.any():
        raise ValueError(
            "Ids are integers in one table and floats in another, as happens to integer columns "
            f"with missing values. {wrong.sum()} of the floats are not whole numbers below "
            f"2**{int(np.log2(np.min(limit)))} (e.g. {example_of(floats[wrong])}), so they may "
            f"represent other integers. {READ_AS_INTEGERS}"
        )
    if is_float.all():
        return floats.astype(np.int64)
    ids = ids.copy()
    ids[is_float] = floats.astype(np.int64).tolist()
    return ids


def _check_exact(ids, label="Ids"):
    """Raise a ValueError for floats that may represent several integers, also among objects."""
    is_float = _find_floats(ids)
    if not is_float.any():
        return
    floats = ids[is_float]
    limit, values = _exactness_limit(floats), floats.astype(np.float64)
    wrong = np.abs(values) >= limit
    if is_float.all() and (values != np.floor(values)).any():
        return  # not converted from integers
    if wrong.any():
        least = int(np.log2(np.min(limit)))
        raise ValueError(
            f"{label} must not be floats of 2**{least} or more, where different integers share "
            "the same float: they would match the wrong integers, or floats in another table; got "
            f"{wrong.sum()} (e.g. {example_of(floats[wrong])}). Integer columns with missing "
            f"values become floats. {READ_AS_INTEGERS}"
        )


def _exactness_limit(floats):
    """Smallest value from which different integers share a float; for objects, (n,) float64."""
    if floats.dtype != object:
        return 2.0 ** (np.finfo(floats.dtype).nmant + 1)
    return np.array([2.0 ** (np.finfo(type(value)).nmant + 1) for value in floats])


def _find_floats(ids):
    """Return a mask of the float ids, (n,) bool; objects are inspected one by one if needed."""
    if ids.dtype != object:
        return np.full(len(ids), ids.dtype.kind == "f")
    if pd.api.types.infer_dtype(ids, skipna=False) in _NO_FLOATS:
        return np.zeros(len(ids), dtype=bool)
    return np.array([isinstance(value, float | np.floating) for value in ids], dtype=bool)

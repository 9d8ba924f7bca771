"""Ids in untrusted files: as arrays if possible, else as JSON."""

import numpy as np
import pandas as pd

from .._data._json_ids import KINDS, id_from_json, id_to_json
from ._archive import expect, strings, take, typed


def pack_ids(ids, name, arrays, lists):
    """Add ids to `arrays` if their dtype allows it, else to `lists`."""
    if ids.dtype.kind in "biufmMUS":
        arrays[name] = ids
        return
    if ids.dtype.kind not in "OT":
        raise ValueError(
            f"{name}_ has dtype {ids.dtype}, which cannot be saved; pickle the model instead."
        )
    kind = "object" if ids.dtype.kind == "O" else "StringDType"
    packed = [_pack_id(value, name) for value in ids.tolist()]
    lists[f"{name}.json"] = {"dtype": kind, "ids": packed}


def _pack_id(value, name):
    try:
        if _holds_numpy_time(value):  # would be loaded as another type
            raise TypeError
        return id_to_json(value)
    except TypeError as error:
        raise ValueError(
            f"{name}_ contains {value!r}, a {type(value).__name__}. Only ids of type {KINDS} can "
            "be saved; pickle the model instead."
        ) from error


def _holds_numpy_time(value):
    if isinstance(value, tuple):
        return any(map(_holds_numpy_time, value))
    return isinstance(value, np.datetime64)


def take_ids(name, arrays, lists):
    """Pop ids from `arrays` or `lists`."""
    if name in arrays:
        ids = take(arrays, name, None, "")
    else:
        expect(f"{name}.json" in lists, f"{name} are missing")
        content = lists.pop(f"{name}.json")
        values = [id_from_json(value) for value in typed(content["ids"], list, name)]
        if content["dtype"] == "StringDType":
            ids = np.array(strings(values, name), dtype=np.dtypes.StringDType())
        else:
            expect(content["dtype"] == "object", f"{name} have dtype {content['dtype']}")
            ids = np.fromiter(values, dtype=object, count=len(values))  # 1-D even for tuples
    expect(ids.ndim == 1 and len(ids) > 0, f"{name} have shape {ids.shape}")
    hashed = ids.astype(object) if ids.dtype.kind in "UST" else ids
    expect(not pd.isna(hashed).any(), f"{name} contain missing ids")
    distinct = pd.Index(hashed, dtype=hashed.dtype, tupleize_cols=False).is_unique
    expect(distinct, f"{name} contain duplicate ids")
    return ids

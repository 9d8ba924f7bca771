"""Lookup, factorization, concatenation and sorting of ids."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._arrays import as_objects, to_index
from ._exact_ids import align_numbers


def encode(ids: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Look up ids.

    Ids match if they are equal in Python: ``1`` is ``1.0`` but not ``"1"`` (except that boolean
    and numeric arrays share no ids). If one side holds integers, floats on the other side must be
    whole and exact: see `align_numbers`.

    Parameters
    ----------
    ids : ndarray of shape (n_ids,)
        Known ids, distinct.
    values : ndarray of shape (n_values,)
        Ids to look up, of any dtype.

    Returns
    -------
    positions : ndarray of shape (n_values,), intp
        Position of each value in `ids`; -1 if unknown.

    Raises
    ------
    ValueError
        If one side holds integers and the other floats that are not whole or not exact; for floats
        of 2**53 or more in object arrays, e.g. next to text.
    """
    known, wanted = map(to_index, align_numbers(ids, values))
    if len(wanted) > len(known) // 4:
        return known.get_indexer(wanted)
    # For few values it is cheaper to hash these, and look up the known ids in one pass.
    unique = wanted.unique()
    found = unique.get_indexer(known)
    positions = np.full(len(unique), -1, dtype=np.intp)
    hits = np.flatnonzero(found >= 0)
    positions[found[hits]] = hits
    return positions[unique.get_indexer(wanted)]


def factorize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the unique ids in order of appearance, and the int32 code of each value."""
    try:
        codes, ids = pd.factorize(values.astype(object) if values.dtype.kind in "STU" else values)
    except TypeError as error:
        raise TypeError(
            "Ids must be hashable scalars (each one in the argument must be hashable), such as "
            f"strings or numbers; got an {error}."
        ) from error
    return ids.astype(values.dtype, copy=False), codes.astype(np.int32)


def pick_ids(ids: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the ids at `columns`; None for -1, in which case the dtype is object."""
    if (columns >= 0).all():
        return ids[columns]
    picked = as_objects(ids)[columns]
    picked[columns < 0] = None
    return picked


def concatenate_ids(ids: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Concatenate ids without changing any; as objects if they have no dtype in common.

    Floats next to integers become integers, as in `align_numbers`.
    """
    ids, more = align_numbers(ids, more)
    both_numbers = ids.dtype.kind in "iuf" and more.dtype.kind in "iuf"
    if both_numbers or ids.dtype.kind == more.dtype.kind:
        dtype = np.result_type(ids, more)
        if dtype.kind in (ids.dtype.kind, more.dtype.kind):
            return np.concatenate((ids, more), dtype=dtype)
    return np.concatenate((as_objects(ids), as_objects(more)))


def sort_ids(ids: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort ids if they are sortable; return them with adjusted codes."""
    try:
        order = np.argsort(ids, kind="stable")
    except TypeError:  # e.g. int and str
        return ids, codes
    new_code = np.empty(len(ids), dtype=np.int32)
    new_code[order] = np.arange(len(ids), dtype=np.int32)
    return ids[order], new_code[codes]

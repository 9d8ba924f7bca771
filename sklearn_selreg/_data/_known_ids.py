"""Repeated lookup of a few ids among many, by a hash table that is built once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from ._arrays import to_index, to_numpy
from ._exact_ids import align_numbers, has_floats
from ._ids import encode

_TEXT = "string", "bytes"
_NUMBERS = "integer", "floating", "mixed-integer-float"  # compared by `align_numbers`


class KnownIds:
    """Distinct ids with an index, whose `find` returns what `encode` does.

    The time of `find` does not depend on the number of ids if these are integers, or objects other
    than numbers, and the values are of the same kind. For other types it calls `encode`.

    Parameters
    ----------
    ids : ndarray of shape (n_ids,)
    """

    def __init__(self, ids: np.ndarray):
        self._ids = to_numpy(ids)

    def find(self, values: np.ndarray) -> np.ndarray:
        """Return the position of each value, (n_values,) intp; -1 if unknown."""
        values = to_numpy(values)
        kind = self._ids.dtype.kind
        if not len(values):
            return np.empty(0, dtype=np.intp)
        if kind in "iu":
            return self._find_integers(values)
        if kind in "OSTU" and values.dtype.kind in "OSTU" and self._lacks_numbers:
            align_numbers(values[:0], values)  # raises for floats that are not exact
            return self._index.get_indexer(to_index(values))
        return encode(self._ids, values)

    def _find_integers(self, values):
        _, values = align_numbers(self._ids, values)
        kind = values.dtype.kind
        if kind == "O":
            inferred = pd.api.types.infer_dtype(values, skipna=False)
            kind = "U" if inferred in _TEXT else "i" if inferred == "integer" else "O"
        if kind in "SU":  # equal to no integer
            return np.full(len(values), -1, dtype=np.intp)
        if kind not in "iu":
            return encode(self._ids, values)
        try:
            cast = values.astype(self._ids.dtype)
        except OverflowError:
            return encode(self._ids, values)
        return np.where(cast == values, self._index.get_indexer(pd.Index(cast)), -1)

    @cached_property
    def _index(self):
        """Index of the ids; its hash table is complete before other threads see it."""
        index = to_index(self._ids)
        index.get_indexer(index[:1])
        return index

    @cached_property
    def _lacks_numbers(self):
        """Whether no id is compared as a number."""
        if self._ids.dtype != object:
            return True
        kind = pd.api.types.infer_dtype(self._ids, skipna=False)
        return kind in _TEXT or (kind not in _NUMBERS and not has_floats(self._ids))

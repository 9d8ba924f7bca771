"""Floats that may overflow, quietly, and whether any did."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np


def are_finite(*arrays: np.ndarray) -> bool:
    """Return whether all values are finite, by their sums: one infinite term makes these so."""
    with quiet():
        return all(bool(np.isfinite(np.sum(array, dtype=np.float64))) for array in arrays)


def quiet() -> AbstractContextManager[None]:
    """Suppress numpy's warnings about overflow; an error that names the cause follows."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")

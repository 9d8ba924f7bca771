"""Silent overflow of floats, and its detection."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np


def are_finite(*arrays: np.ndarray) -> bool:
    """Return whether all values are finite: a single non-finite one makes the sum non-finite."""
    with quiet():
        return all(bool(np.isfinite(np.sum(array, dtype=np.float64))) for array in arrays)


def quiet() -> AbstractContextManager[None]:
    """Suppress numpy's overflow warnings; the caller raises an error that names the cause."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")

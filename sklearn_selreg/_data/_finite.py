"""Floats that may overflow, quietly, and whether any did."""

import numpy as np


def are_finite(*arrays):
    """Tell whether all values are finite; a sum is, unless one of its terms is not."""
    with quiet():
        return all(bool(np.isfinite(np.sum(array, dtype=np.float64))) for array in arrays)


def quiet():
    """Keep numpy from warning of what is not finite: it is told by an error, with the cause."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")

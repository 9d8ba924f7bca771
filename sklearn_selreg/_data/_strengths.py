"""Strengths of interactions: how they are read, and how they count."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from .._utils._typing import Column
from ._arrays import as_numeric, check_no_missing, example_of, to_numpy
from ._csr import with_data

Negatives = Literal["error", "net", "keep"]
KINDS = ("raw", "log", "binary")
COMPRESSED = ("log", "binary")
_HOW_TO_NET = """ \
If they are returns, negatives="net" of the estimator takes them off what was bought; or do so:
    net = X.assign(y=y).groupby({columns}, as_index=False).agg({{"y": "sum"}})
    net = net[net["y"] > 0]
    model.fit(net[{columns}], net["y"])
If they are dislikes, leave these rows out: without an interaction an item ranks low anyway."""


def read_strengths(
    y: Any,
    n_samples: int,
    negatives: Negatives = "error",
    columns: Sequence[Column] = ("user", "item"),
) -> np.ndarray:
    """Read the strengths of interactions.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or None
        Strengths; None = 1 each.
    n_samples : int
        Number of rows of X.
    negatives : {"error", "net", "keep"}, default="error"
        Whether strengths below 0 are an error.
    columns : (hashable, hashable), default=("user", "item")
        Labels of the columns with the ids, for that error.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Finite; >= 0 if negative ones are an error.

    Raises
    ------
    ValueError
        For another shape, and for strengths that are missing, infinite or negative.
    TypeError
        For strengths that are not numbers.
    """
    if y is None:
        return np.ones(n_samples, dtype=np.float32)
    values = to_numpy(y)
    if values.shape != (n_samples,):
        hint = ""
        if values.shape == (n_samples, 1):
            hint = " Take the column out: y[:, 0], of a DataFrame y.iloc[:, 0] (polars: y[:, 0])."
        raise ValueError(
            f"y must be 1-D with a strength for each of the {n_samples} rows of X; got shape "
            f"{values.shape}.{hint}"
        )
    return as_strengths(values, "y", negatives, columns)


def as_strengths(
    values: np.ndarray,
    label: str,
    negatives: Negatives,
    columns: Sequence[Column] = ("user", "item"),
) -> np.ndarray:
    """Convert `values`, called `label`, to float32; raise unless they are valid strengths."""
    if values.dtype.kind in "iufb" and len(values):
        largest = np.finfo(np.float32).max  # NaN is neither below nor above
        least = 0 if negatives == "error" else -largest
        if values.min() >= least and values.max() <= largest:  # takes no memory
            return values.astype(np.float32, copy=False)
    check_no_missing(values, label)
    if values.dtype == object and all(
        isinstance(value, Decimal | numbers.Real | np.bool_) for value in values
    ):
        values = values.astype(np.float64)
    values = as_numeric(values, "iufb", label)
    with np.errstate(over="ignore"):
        strengths = values.astype(np.float32, copy=False)
    is_valid = strengths < np.inf
    is_valid &= strengths >= 0 if negatives == "error" else strengths > -np.inf
    if not is_valid.all():
        expected, hint = "strengths", ""
        if negatives == "error":
            expected = "strengths >= 0"
            hint = _HOW_TO_NET.format(columns=list(columns)) if (values < 0).any() else ""
        wrong = values[~is_valid]
        raise ValueError(
            f"{label} must hold {expected} in the range of float32; got {len(wrong)} others. "
            f"Negative values in data, the first: {example_of(wrong)}.{hint}"
        )
    return strengths


@dataclass(frozen=True)
class StrengthScale:
    """Turns strengths, summed for each pair, into the weights that `alpha` multiplies.

    Attributes
    ----------
    kind : {"raw", "log", "binary"}
        The strengths themselves; ``log(1 + strength)`` relative to its mean; or 1.
    mean : float
        Mean of ``log(1 + strength)`` in the fit; 1 for the other kinds.
    """

    kind: Literal["raw", "log", "binary"]
    mean: float = 1.0

    @classmethod
    def of(cls, kind: Literal["raw", "log", "binary"], strengths: np.ndarray) -> StrengthScale:
        """Fit a scale to the strengths of a fit, (n_pairs,)."""
        if kind != "log" or not len(strengths):
            return cls(kind)
        return cls(kind, float(np.mean(np.log1p(strengths), dtype=np.float64)))

    def apply(self, matrix: sp.csr_matrix) -> sp.csr_matrix:
        """Turn a CSR matrix of strengths into one of weights, float32; "raw": the same one."""
        if self.kind == "raw":
            return matrix
        if self.kind == "binary":
            weights = np.ones_like(matrix.data)
        else:
            weights = np.log1p(matrix.data) / np.float32(self.mean)
        return with_data(matrix, weights)


def kinds_to_compare(strengths: np.ndarray) -> tuple[str, ...]:
    """Return the kinds that differ for these strengths, (n_pairs,): one if all are equal."""
    if not len(strengths) or strengths.min() < strengths.max():
        return ("log", "binary", "raw")
    return ("raw",) if strengths[0] == 1 else ("binary",)

"""Strengths of interactions: validation and scaling."""

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
Negative values in data may be returns: set negatives="net" to subtract them, or do it yourself:
    net = X.assign(y=y).groupby({columns}, as_index=False).agg({aggregated})
    net = net[net["y"] > 0]
    model.fit(net[{kept}], net["y"])
If they are dislikes, drop these rows: items without interactions rank low anyway."""


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
        Strengths. If None, all are 1.
    n_samples : int
        Number of rows of X.
    negatives : {"error", "net", "keep"}, default="error"
        If "error", negative strengths raise an error.
    columns : sequence of int or str, default=("user", "item")
        Labels of the id columns and of the time column, if any, for the error message.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Finite; >= 0 if `negatives` is "error".

    Raises
    ------
    ValueError
        For a wrong shape, and for missing, infinite or invalid negative strengths.
    TypeError
        If strengths are not numbers.
    """
    if y is None:
        return np.ones(n_samples, dtype=np.float32)
    values = to_numpy(y)
    if values.shape != (n_samples,):
        hint = ""
        if isinstance(y, str):
            hint = f" Pass the strengths themselves instead of the name of a column: y=X[{y!r}]."
        elif values.shape == (n_samples, 1):
            hint = " Pass its column: y[:, 0], or y.iloc[:, 0] of a pandas DataFrame."
        raise ValueError(
            f"y must be 1-D with one strength for each of the {n_samples} rows of X; got shape "
            f"{values.shape}.{hint}"
        )
    return as_strengths(values, "y", negatives, columns)


def as_strengths(
    values: np.ndarray,
    label: str,
    negatives: Negatives,
    columns: Sequence[Column] = ("user", "item"),
) -> np.ndarray:
    """Convert `values` to float32; raise unless they are valid strengths (`label` names them)."""
    if values.dtype.kind in "iufb" and len(values):
        largest = np.finfo(np.float32).max  # comparisons with NaN are False
        least = 0 if negatives == "error" else -largest
        if values.min() >= least and values.max() <= largest:  # needs no extra memory
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
            hint = _how_to_net(columns) if (values < 0).any() else ""
        wrong = values[~is_valid]
        kind = "negative" if (wrong < 0).all() and hint else "invalid"
        raise ValueError(
            f"{label} must contain {expected} in the range of float32; got {len(wrong)} {kind} "
            f"values (e.g. {example_of(wrong)}).{hint}"
        )
    return strengths


def _how_to_net(columns):
    """Code that nets negative strengths; a third column holds times."""
    aggregated = {"y": "sum"} | dict.fromkeys(columns[2:], "max")
    text = str(aggregated).replace("'", '"')
    return _HOW_TO_NET.format(columns=list(columns[:2]), aggregated=text, kept=list(columns))


@dataclass(frozen=True)
class StrengthScale:
    """Conversion of strengths, summed per pair, to the weights that `alpha` multiplies.

    Attributes
    ----------
    kind : {"raw", "log", "binary"}
        Weights are the strengths; ``log(1 + strength)`` divided by its mean; or 1.
    mean : float
        Mean of ``log(1 + strength)`` in the fit; 1 for the other kinds.
    """

    kind: Literal["raw", "log", "binary"]
    mean: float = 1.0

    @classmethod
    def of(cls, kind: Literal["raw", "log", "binary"], strengths: np.ndarray) -> StrengthScale:
        """Fit a scale to training strengths of shape (n_pairs,)."""
        if kind != "log" or not len(strengths):
            return cls(kind)
        return cls(kind, float(np.mean(np.log1p(strengths), dtype=np.float64)))

    def apply(self, matrix: sp.csr_matrix) -> sp.csr_matrix:
        """Convert a CSR matrix of strengths to one of weights, float32; the same one if "raw"."""
        if self.kind == "raw":
            return matrix
        if self.kind == "binary":
            weights = np.ones_like(matrix.data)
        else:
            weights = np.log1p(matrix.data) / np.float32(self.mean)
        return with_data(matrix, weights)


def kinds_to_compare(strengths: np.ndarray) -> tuple[str, ...]:
    """Return the kinds that differ for strengths of shape (n_pairs,); one if all are equal."""
    if not len(strengths) or strengths.min() < strengths.max():
        return ("log", "binary", "raw")
    return ("raw",) if strengths[0] == 1 else ("binary",)

"""Columns with a numeric or boolean dtype."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._csr import row_chunks


def is_number(column: pd.Series) -> bool:
    """Return whether a column has a numeric (not complex) or boolean dtype."""
    dtype = column.dtype
    return pd.api.types.is_bool_dtype(dtype) or (
        pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)
    )


def read_number(column: pd.Series) -> np.ndarray:
    """Read a numeric or boolean column, (n,) float64; raise a ValueError for infinite values."""
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    check_finite_numbers(numbers, column.name)
    return numbers


def check_finite_numbers(numbers: np.ndarray, name: str) -> None:
    """Raise a ValueError if any number of a column is infinite; NaN counts as missing."""
    with np.errstate(invalid="ignore"):
        if any(np.isinf(numbers[rows]).any() for rows in row_chunks(len(numbers))):
            raise ValueError(f"Column {name!r} must contain finite numbers; got infinity.")

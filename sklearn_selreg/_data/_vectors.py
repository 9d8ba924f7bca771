"""Columns of vectors, such as embeddings."""

from __future__ import annotations

from numbers import Real

import numpy as np
import pandas as pd

from ._csr import row_chunks
from ._numbers import check_finite_numbers

_N_PROBED = 100  # vectors inspected before reading all


def as_vectors(values: pd.Series) -> np.ndarray | None:
    """Read a column of vectors of equal length.

    Parameters
    ----------
    values : Series of shape (n,)
        Lists, tuples, arrays or missing values.

    Returns
    -------
    vectors : ndarray of shape (n, length), float32, or None
        NaN in rows whose vector is missing or contains NaN. None if the column holds lists of
        entries, or vectors of different lengths.

    Raises
    ------
    ValueError
        For infinite numbers.
    """
    entries = values.dropna().tolist()
    lengths = set(map(_vector_length, entries))
    if len(lengths) != 1 or lengths <= {0, None}:
        return None
    first = _to_number_array(entries[:_N_PROBED])
    if first is None:
        return None
    if first.dtype.kind in "iub":
        if lengths == {1}:  # more likely lists with one entry
            return None
        every = _to_number_array(entries)
        if every is None or not _are_coordinates(every):
            return None
    try:
        return _stack_vectors(entries, lengths.pop(), values)
    except TypeError:
        return None


def reason_not_vectors(values: pd.Series) -> str:
    """Explain why `as_vectors` returned None for a column of lists of numbers."""
    lengths = set(map(_vector_length, values.dropna()))
    if len(lengths - {None}) > 1:
        return "vectors of different lengths"
    return "vectors with non-numeric values"


def read_vectors(values: pd.Series, length: int) -> np.ndarray:
    """Read a column of vectors of a known length, as `as_vectors` does.

    Raises
    ------
    ValueError
        For anything else.
    """
    entries = values.dropna().tolist()
    wrong = [entry for entry in entries if _vector_length(entry) != length]
    if not wrong:
        try:
            return _stack_vectors(entries, length, values)
        except TypeError:
            wrong = [entry for entry in entries if _to_number_array([entry]) is None]
    found = _vector_length(wrong[0])
    n_values = "" if found is None else f"{found} values: "
    raise ValueError(
        f"Column {values.name!r} must contain vectors of {length} numbers, as in fit; got "
        f"{n_values}{wrong[0]!r:.100}."
    )


def _vector_length(entry):
    """Return the number of values of a list or a 1-D array; None for anything else."""
    if isinstance(entry, np.ndarray):
        return entry.size if entry.ndim == 1 else None
    return len(entry) if isinstance(entry, list | tuple) else None


def _to_number_array(entries):
    """Convert vectors to a numeric array, (n, length), with NaN for None; None if impossible.

    Text is rejected, although numpy would convert some of it.
    """
    try:
        array = np.array(entries)
        if array.dtype == object and all(
            value is None or isinstance(value, Real) for value in array.flat
        ):
            array = array.astype(np.float64)
    except (TypeError, ValueError):  # e.g. nested lists
        return None
    return array if array.dtype.kind in "iubf" and array.ndim == 2 else None


def _stack_vectors(entries, length, values):
    """Stack the vectors of a column; NaN in rows whose vector is missing or contains NaN."""
    vectors = np.full((len(values), length), np.nan, dtype=np.float32)
    present = np.flatnonzero(values.notna().to_numpy())
    for rows in row_chunks(len(entries)):
        part = _to_number_array(entries[rows])
        if part is None:
            raise TypeError(f"Column {values.name!r} must contain vectors of numbers.")
        vectors[present[rows]] = part
    check_finite_numbers(vectors, values.name)
    for rows in row_chunks(len(vectors)):
        vectors[rows][np.isnan(vectors[rows]).any(axis=1)] = np.nan
    return vectors


def _are_coordinates(numbers):
    """Return whether numbers are coordinates; ids of tags are integers >= 0, not all 0 or 1."""
    if numbers.dtype.kind in "iu":
        return bool((numbers < 0).any() or (numbers <= 1).all())
    return numbers.dtype.kind in "fb"


def flatten_entries(frame: pd.DataFrame) -> pd.DataFrame:
    """Flatten arrays with a single row to vectors, and 0-D arrays to numbers.

    Embedding models often return shape (1, k), and numpy's reductions 0-D arrays.
    """
    flat = frame
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        if column.dtype == object and any(
            isinstance(entry, np.ndarray) and entry.ndim != 1 for entry in column
        ):
            flat = frame.copy(deep=False) if flat is frame else flat
            entries = pd.Series(map(_flatten_entry, column), index=frame.index, dtype=object)
            flat.isetitem(place, entries.infer_objects())
    return flat


def _flatten_entry(entry):
    if not isinstance(entry, np.ndarray) or entry.ndim == 1:
        return entry
    if not entry.ndim:
        return entry.item()
    return entry.ravel() if entry.size == max(entry.shape) else entry

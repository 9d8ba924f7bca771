"""Blocks of many numbers, such as embeddings: taken as they are, in milliseconds.

A spline for each of hundreds of columns takes minutes and says nothing that they do not say
together.
"""

from numbers import Real

import numpy as np
import pandas as pd
from scipy import sparse

_ROWS_PER_CHUNK = 2**14
_COLUMNS_PER_CHUNK = 16
_FIRST = 100  # vectors that tell what all are
# A matrix of so many columns and of such a share of entries is computed with as a dense one.
_WIDE, _DENSE = 32, 0.3


class PlainNumbers:
    """Standardize numbers that belong together, or take flags as they are, as one block.

    Parameters
    ----------
    names : list of str
        One for each number.
    flags : bool, default=False
        True: numbers are 0 or 1, and stay so. False: they are standardized.
    missing : str or None, default=None
        Name of the one feature that tells missing vectors. None: each number has a feature for
        that, if it was missing in `fit`.
    """

    def __init__(self, names, *, flags=False, missing=None):
        self.names, self.flags, self.missing = names, flags, missing

    def fit_transform(self, values):
        """Learn means and deviations, and return the features; as `transform`."""
        n_numbers = len(self.names)
        self._mean, self._deviation = np.zeros(n_numbers), np.ones(n_numbers)
        holes = np.zeros(n_numbers, dtype=bool)
        for some, numbers in _by_column(values):
            present = ~np.isnan(numbers)
            holes[some] = ~present.all(axis=0)
            if not self.flags:
                count = np.maximum(present.sum(axis=0), 1)
                self._mean[some] = mean = np.nansum(numbers, axis=0) / count
                deviation = np.sqrt(np.nansum((numbers - mean) ** 2, axis=0) / count)
                same = deviation <= 1e-12 * np.abs(mean)
                self._deviation[some] = np.where(same, np.inf, deviation)  # they tell nothing: 0
        self._holes = np.flatnonzero(holes)[: None if self.missing is None else 1]
        return self.transform(values)

    def transform(self, values):
        """Return the features of numbers.

        Parameters
        ----------
        values : DataFrame or ndarray of shape (n, n_numbers)
            Columns of numbers or flags, or vectors; NaN is missing.

        Returns
        -------
        features : csr_matrix of shape (n, n_features), float32
            Not scaled yet. What is missing is 0, the mean.
        """
        made = np.empty(values.shape, dtype=np.float32)
        absent = np.zeros((len(values), len(self._holes)), dtype=bool)
        for some, numbers in _by_column(values):
            missing = np.isnan(numbers)
            for place in np.flatnonzero((self._holes >= some.start) & (self._holes < some.stop)):
                absent[:, place] = missing[:, self._holes[place] - some.start]
            numbers -= self._mean[some]
            numbers /= self._deviation[some]
            numbers[missing] = 0
            made[:, some] = numbers
        features = sparse.csr_matrix(made) if self.flags else filled_csr(made)
        if not len(self._holes):
            return features
        absent = sparse.csr_matrix(absent, dtype=np.float32)
        return sparse.hstack([features, absent], format="csr", dtype=np.float32)

    def feature_names(self):
        """Return the names of the features, a list of str."""
        if self.missing is not None:
            return self.names + [self.missing] * len(self._holes)
        return self.names + [f"{self.names[hole]}=missing" for hole in self._holes]


def _by_column(values):
    """Yield a few columns at a time: a slice, and float64 numbers of shape (n, n_columns)."""
    for start in range(0, values.shape[1], _COLUMNS_PER_CHUNK):
        some = slice(start, min(start + _COLUMNS_PER_CHUNK, values.shape[1]))
        if isinstance(values, pd.DataFrame):
            columns = [read_number(values.iloc[:, place]) for place in range(some.start, some.stop)]
            yield some, np.column_stack(columns)
        else:
            yield some, values[:, some].astype(np.float64)


def filled_csr(values):
    """Return an array as a CSR matrix that shares it, and has its zeros, too."""
    n_rows, n_columns = values.shape
    largest = max(values.size, n_columns)
    dtype = np.int32 if largest <= np.iinfo(np.int32).max else np.int64
    indices = np.empty((n_rows, n_columns), dtype=dtype)
    indices[:] = np.arange(n_columns)
    indptr = np.arange(0, values.size + 1, n_columns, dtype=dtype)
    matrix = sparse.csr_matrix(values.shape, dtype=values.dtype)
    matrix.data, matrix.indices, matrix.indptr = values.reshape(-1), indices.reshape(-1), indptr
    matrix.has_canonical_format = True
    return matrix


def read_number(column):
    """Read a column of numbers or flags, (n,) float64; ValueError for infinite ones."""
    numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
    check_finite_numbers(numbers, column.name)
    return numbers


def check_finite_numbers(numbers, name):
    """Raise a ValueError if any number of a column is infinite; NaN is missing."""
    with np.errstate(invalid="ignore"):
        if any(np.isinf(numbers[rows]).any() for rows in _chunks(len(numbers))):
            raise ValueError(
                f"Column {name!r} of the item data must hold finite numbers; got infinity."
            )


def as_vectors(values):
    """Read a column of vectors of one length.

    Parameters
    ----------
    values : Series of shape (n,)
        Lists, tuples or arrays; missing values.

    Returns
    -------
    vectors : ndarray of shape (n, length), float32, or None
        NaN in rows without vector, or with one that has a NaN. None: these are no vectors, but
        lists of entries, or of several lengths.

    Raises
    ------
    ValueError
        For infinite numbers.
    """
    entries = values.dropna().tolist()
    lengths = set(map(_length, entries))
    if len(lengths) != 1 or lengths <= {0, None}:
        return None
    first = _as_array(entries[:_FIRST])
    if first is None:
        return None
    if first.dtype.kind in "iub":
        if lengths == {1}:  # rather the entry of a list
            return None
        every = _as_array(entries)
        if every is None or not _are_coordinates(every):
            return None
    try:
        return _with_missing(entries, lengths.pop(), values)
    except TypeError:
        return None


def why_no_vectors(values):
    """Say why `as_vectors` makes no vectors of a column of numbers in lists."""
    lengths = set(map(_length, values.dropna()))
    if len(lengths - {None}) > 1:
        return "vectors of several lengths"
    return "vectors with something else than numbers among them"


def flat_entries(frame):
    """Return a frame in which arrays of a single row or number are vectors and numbers.

    Models give vectors of shape (1, k), and numpy's reductions arrays of no dimension.
    """
    flat = frame
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        if column.dtype == object and any(
            isinstance(entry, np.ndarray) and entry.ndim != 1 for entry in column
        ):
            flat = frame.copy(deep=False) if flat is frame else flat
            entries = pd.Series(map(_flat_entry, column), index=frame.index, dtype=object)
            flat.isetitem(place, entries.infer_objects())
    return flat


def _flat_entry(entry):
    if not isinstance(entry, np.ndarray) or entry.ndim == 1:
        return entry
    if not entry.ndim:
        return entry.item()
    return entry.ravel() if entry.size == max(entry.shape) else entry


def read_vectors(values, length):
    """Read a column of vectors of a known length, as `as_vectors` does.

    Raises
    ------
    ValueError
        For anything else.
    """
    entries = values.dropna().tolist()
    wrong = [entry for entry in entries if _length(entry) != length]
    if not wrong:
        try:
            return _with_missing(entries, length, values)
        except TypeError:
            wrong = [entry for entry in entries if _as_array([entry]) is None]
    found = _length(wrong[0])
    raise ValueError(
        f"Column {values.name!r} of the item data must hold vectors of {length} numbers, as in "
        f"fit; got {'' if found is None else f'{found} values: '}{wrong[0]!r:.100}."
    )


def _length(entry):
    """Return how many values a list or an array in one dimension has; None for anything else."""
    if isinstance(entry, np.ndarray):
        return entry.size if entry.ndim == 1 else None
    return len(entry) if isinstance(entry, list | tuple) else None


def _as_array(entries):
    """Return vectors as an array of numbers, (n, length), None among them as NaN; None if others.

    Text is no number, though numpy makes some of it.
    """
    try:
        array = np.array(entries)
        if array.dtype == object and all(
            value is None or isinstance(value, Real) for value in array.flat
        ):
            array = array.astype(np.float64)
    except (TypeError, ValueError):  # such as lists in lists
        return None
    return array if array.dtype.kind in "iubf" and array.ndim == 2 else None


def _with_missing(entries, length, values):
    """Return the vectors of all rows of a column; NaN where one is missing, or has a NaN."""
    vectors = np.full((len(values), length), np.nan, dtype=np.float32)
    places = np.flatnonzero(values.notna().to_numpy())
    for rows in _chunks(len(entries)):
        part = _as_array(entries[rows])
        if part is None:
            raise TypeError(f"Column {values.name!r} must hold vectors of numbers.")
        vectors[places[rows]] = part
    check_finite_numbers(vectors, values.name)
    for rows in _chunks(len(vectors)):
        vectors[rows][np.isnan(vectors[rows]).any(axis=1)] = np.nan
    return vectors


def _are_coordinates(numbers):
    """Tell coordinates from entries: ids of tags are whole, not negative, and not all 0 or 1."""
    if numbers.dtype.kind in "iu":
        return bool((numbers < 0).any() or (numbers <= 1).all())
    return numbers.dtype.kind in "fb"


def is_dense(matrix):
    """Tell whether a CSR matrix has so many columns and entries that a dense one is faster."""
    n_rows, n_columns = matrix.shape
    return n_columns >= _WIDE and matrix.nnz > _DENSE * n_rows * n_columns


def gram(matrix, weights=None):
    """Return F' diag(w) F of a CSR matrix as a dense one, float64.

    Parameters
    ----------
    matrix : csr_matrix of shape (n, m)
    weights : ndarray of shape (n,) or None
        None: 1.

    Returns
    -------
    gram : ndarray of shape (m, m)
    """
    if not is_dense(matrix):
        wide = matrix.astype(np.float64)
        weighted = wide if weights is None else sparse.diags_array(weights) @ wide
        return np.asarray((wide.T @ weighted).todense())
    total = np.zeros((matrix.shape[1],) * 2)
    for rows in _chunks(matrix.shape[0]):
        part = matrix[rows].toarray().astype(np.float64)
        total += part.T @ (part if weights is None else weights[rows, np.newaxis] * part)
    return total


def is_number(column):
    """Tell whether a column has a dtype of numbers or flags."""
    dtype = column.dtype
    return pd.api.types.is_bool_dtype(dtype) or (
        pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)
    )


def _chunks(n_rows):
    return [slice(start, start + _ROWS_PER_CHUNK) for start in range(0, n_rows, _ROWS_PER_CHUNK)]

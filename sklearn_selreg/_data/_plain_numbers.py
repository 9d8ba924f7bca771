"""Fast encoding of blocks of many numbers, such as embeddings, without splines.

Splines for hundreds of columns take minutes and add no information to the columns together.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import sparse

from ._csr import filled_csr
from ._numbers import read_number

_COLUMNS_PER_CHUNK = 16


class PlainNumbers:
    """Encode a block of numbers, standardized, or of flags, unchanged.

    Parameters
    ----------
    names : list of str
        Name of each number.
    flags : bool, default=False
        Whether the numbers are 0 or 1, which are kept as they are. Other numbers are standardized.
    missing : str or None, default=None
        Name of the single indicator feature of missing vectors. If None, each number with missing
        values in `fit_transform` gets its own indicator.
    """

    def __init__(self, names: list[str], *, flags: bool = False, missing: str | None = None):
        self.names, self.flags, self.missing = names, flags, missing

    def fit_transform(self, values: pd.DataFrame | np.ndarray) -> sparse.csr_matrix:
        """Learn means and standard deviations, and return the features as `transform` does."""
        n_numbers = len(self.names)
        self._mean, self._deviation = np.zeros(n_numbers), np.ones(n_numbers)
        has_missing = np.zeros(n_numbers, dtype=bool)
        for columns, numbers in _column_chunks(values):
            is_present = ~np.isnan(numbers)
            has_missing[columns] = ~is_present.all(axis=0)
            if not self.flags:
                count = np.maximum(is_present.sum(axis=0), 1)
                mean = np.nansum(numbers, axis=0) / count
                deviation = np.sqrt(np.nansum((numbers - mean) ** 2, axis=0) / count)
                is_constant = deviation <= 1e-12 * np.abs(mean)
                self._mean[columns] = mean
                self._deviation[columns] = np.where(is_constant, np.inf, deviation)  # gives 0
        self._incomplete = np.flatnonzero(has_missing)  # numbers with a missing indicator
        if self.missing is not None:
            self._incomplete = self._incomplete[:1]
        return self.transform(values)

    def transform(self, values: pd.DataFrame | np.ndarray) -> sparse.csr_matrix:
        """Encode numbers.

        Parameters
        ----------
        values : DataFrame or ndarray of shape (n, n_numbers)
            Columns of numbers or flags, or vectors; NaN if missing.

        Returns
        -------
        csr_matrix of shape (n, n_features), float32
            Features without block scaling. Missing values are 0, the mean.
        """
        features = np.empty(values.shape, dtype=np.float32)
        missing_features = np.zeros((len(values), len(self._incomplete)), dtype=bool)
        for columns, numbers in _column_chunks(values):
            is_missing = np.isnan(numbers)
            in_chunk = (self._incomplete >= columns.start) & (self._incomplete < columns.stop)
            missing_features[:, in_chunk] = is_missing[
                :, self._incomplete[in_chunk] - columns.start
            ]
            numbers -= self._mean[columns]
            numbers /= self._deviation[columns]
            numbers[is_missing] = 0
            features[:, columns] = numbers
        features = sparse.csr_matrix(features) if self.flags else filled_csr(features)
        if not len(self._incomplete):
            return features
        missing_features = sparse.csr_matrix(missing_features, dtype=np.float32)
        return sparse.hstack([features, missing_features], format="csr", dtype=np.float32)

    def feature_names(self) -> list[str]:
        """Return the names of the features."""
        if self.missing is not None:
            return self.names + [self.missing] * len(self._incomplete)
        return self.names + [f"{self.names[number]}=missing" for number in self._incomplete]


def _column_chunks(
    values: pd.DataFrame | np.ndarray,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield chunks of columns: a slice, and float64 numbers of shape (n, n_columns)."""
    for start in range(0, values.shape[1], _COLUMNS_PER_CHUNK):
        columns = slice(start, min(start + _COLUMNS_PER_CHUNK, values.shape[1]))
        if isinstance(values, pd.DataFrame):
            chunk = values.iloc[:, columns]
            yield columns, np.column_stack([read_number(column) for _, column in chunk.items()])
        else:
            yield columns, values[:, columns].astype(np.float64)

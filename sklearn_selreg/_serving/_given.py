"""Factors that were made elsewhere, and what of them a judge's preferences have replaced."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Replaced:
    """Rows of an array, and what they were before.

    Attributes
    ----------
    array : ndarray
    rows : ndarray of int
    values : ndarray
        Those before.
    """

    array: np.ndarray
    rows: np.ndarray
    values: np.ndarray

    @classmethod
    def all_by(cls, moved):
        """Replace rows of arrays, all or none: of tuples (array, rows, values)."""
        before = tuple(cls(array, rows, array[rows]) for array, rows, _ in moved)
        try:
            for array, rows, values in moved:
                array[rows] = values
        except BaseException:
            for part in before:
                part.array[part.rows] = part.values
            raise
        return before


@dataclass(frozen=True, eq=False)
class GivenFactors:
    """What has become of factors that were made elsewhere; they are changed in place.

    Attributes
    ----------
    replaced : tuple of Replaced
    """

    replaced: tuple = ()

    @contextmanager
    def as_given(self):
        """Let the factors be what they were given as; if anything raises, what they had become."""
        become = self._put_back(self.replaced)
        try:
            yield
        except BaseException:
            self._put_back(become)
            raise

    @staticmethod
    def _put_back(parts):
        return Replaced.all_by([(part.array, part.rows, part.values) for part in parts])

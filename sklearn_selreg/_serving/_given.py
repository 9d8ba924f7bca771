"""Factors that were made elsewhere, and what of them a judge's preferences have replaced."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from .._utils._warn import warn


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


def warn_of_unknown_histories(model, rows, so):
    """Warn of users of whom factors were given, but nothing of what anybody has seen.

    Parameters
    ----------
    model : FittedModel
    rows : ndarray of shape (n,), int
        Of the users asked for; -1: unknown ones.
    so : str
        What that does: "it may be recommended to them".
    """
    lacking = model.lacks_history(rows)
    if lacking.any() and not model.popularity.any():  # else who has no interactions has none
        warn(
            f"What {lacking.sum()} of {len(rows)} users have seen, such as "
            f"{model.users[rows[lacking]][:1].tolist()[0]!r}, is not known: {so}. Pass "
            "interactions= to from_factors, or set filter_seen=False if that is meant."
        )

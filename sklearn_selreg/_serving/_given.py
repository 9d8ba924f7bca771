"""Factors fitted elsewhere, and bookkeeping of the rows replaced by a judge's preferences."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from .._utils._warn import warn


@dataclass(frozen=True, eq=False)
class Replaced:
    """Replaced rows of an array, and their previous values.

    Attributes
    ----------
    array : ndarray
    rows : ndarray of int
    values : ndarray
        Previous values.
    """

    array: np.ndarray
    rows: np.ndarray
    values: np.ndarray

    @classmethod
    def all_by(cls, moved):
        """Replace rows of arrays atomically; `moved` has tuples (array, rows, values)."""
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
    """State of factors that were fitted elsewhere, and are changed in place.

    Attributes
    ----------
    replaced : tuple of Replaced
    is_shared : bool
        Whether a copy of the model may use the same arrays, so that they must not be changed.
    """

    replaced: tuple = ()
    is_shared: bool = False

    def of_copies(self, copies):
        """Return this state for copied arrays; `copies` has pairs (array, copy)."""
        copied = {id(array): copy for array, copy in copies}
        return GivenFactors(
            tuple(
                Replaced(copied.get(id(part.array), part.array), part.rows, part.values)
                for part in self.replaced
            )
        )

    @contextmanager
    def as_given(self):
        """Restore the factors as given; if the body raises, put the replaced rows back."""
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
    """Warn about users with given factors if the model was given no interactions at all.

    Parameters
    ----------
    model : FittedModel
    rows : ndarray of shape (n,), int
        Rows of the requested users; -1 if unknown.
    so : str
        Clause about the consequence for seen items, e.g. "it may be recommended to them".
    """
    lacking = model.lacks_history(rows)
    if lacking.any() and not model.popularity.any():  # else an empty history is really empty
        warn(
            f"What {lacking.sum()} of {len(rows)} users (e.g. "
            f"{model.users[rows[lacking][:1]].tolist()[0]!r}) have seen is unknown: {so}. Pass "
            "interactions= to from_factors, or set filter_seen=False to confirm."
        )

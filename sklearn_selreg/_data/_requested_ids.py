"""Reading of ids passed to methods, and messages about unknown ids."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, KeysView, Mapping, Set, ValuesView
from typing import Any, Literal

import numpy as np

from .._utils._params import name_kind
from .._utils._warn import warn
from ._arrays import example_of
from ._exact_ids import check_ids

_CHECK_TYPE = "Check the id type: 1 and '1' are different ids."


def read_ids(values: Any, name: str, known: np.ndarray) -> np.ndarray:
    """Read a 1-D collection of ids, without changing any.

    Parameters
    ----------
    values : array-like of shape (n_ids,), set, dict view or generator
    name : str
        Name of the argument, for the error.
    known : ndarray of shape (n_known,)
        Ids known to the model. Tuples count as ids if some known ids are tuples.

    Returns
    -------
    ids : ndarray of shape (n_ids,)

    Raises
    ------
    ValueError
        If the ids are not 1-D, or an id is missing.
    """
    array = as_id_array(values, known)
    if array.ndim != 1:
        kind = "user" if name == "users" else "item"
        raise ValueError(f"{name} must be a 1-D array of {kind} ids; got {describe_shape(array)}.")
    check_single(array, name)
    check_ids(array, name)
    return array


def check_single(ids: np.ndarray, name: str) -> None:
    """Raise a ValueError if any of `ids` (the argument `name`) is a collection."""
    if ids.dtype == object:
        several = next((value for value in ids if not isinstance(value, Hashable)), None)
        if several is not None:
            raise ValueError(
                f"{name} must contain single ids; got {several!r:.100}. For a Series of lists, "
                f"pass one row per id: {name}.explode().reset_index().to_numpy()."
            )


def read_id(value: Any, name: str, known: np.ndarray) -> np.ndarray:
    """Read a single id as an array of one.

    Parameters
    ----------
    value : user or item id
    name, known
        As in `read_ids`.

    Returns
    -------
    ids : ndarray of shape (1,)

    Raises
    ------
    ValueError
        If the id is a collection, or missing.
    """
    is_id = isinstance(value, str | bytes) or (isinstance(value, tuple) and has_tuples(known))
    if not is_id and np.ndim(value):
        raise ValueError(
            f"{name} must be a single {name} id; got {value!r}. Call the method once per id."
        )
    return read_ids([value], name, known)


def as_id_array(values: Any, known: np.ndarray) -> np.ndarray:
    """Convert ids to an array; lists and sets to one of objects, so that ["ann", 1] keeps its int.

    Tuples count as ids if some of `known` are tuples, else as rows.
    """
    if not isinstance(values, list | tuple | Set | KeysView | ValuesView | Iterator):
        return np.asarray(values)
    values = list(values)
    if any(isinstance(value, tuple) for value in values) and has_tuples(known):
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    return np.array(values, dtype=object)


def has_tuples(ids: np.ndarray) -> bool:
    """Return whether some ids are tuples."""
    return ids.dtype == object and any(isinstance(value, tuple) for value in ids)


def describe_shape(array: np.ndarray) -> str:
    """Describe the shape of an invalid input."""
    if array.ndim:
        return f"shape {array.shape}"
    if isinstance(array.item(), Mapping):
        return f"{name_kind(array.item())}. Pass its keys, list(ids), or values, list(ids.values())"
    return f"{array.item()!r}. Pass a list, [{array.item()!r}]"


def find_known(
    known: np.ndarray, ids: np.ndarray, what: str, find: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Look up ids, all of which must be known.

    Parameters
    ----------
    known, ids : ndarrays of shape (n_known,) and (n_ids,)
    what : str
        Kind of the ids for the error message, e.g. "item".
    find : callable
        Returns the position of each id; -1 if unknown.

    Returns
    -------
    positions : ndarray of shape (n_ids,), int

    Raises
    ------
    KeyError
        If any id is unknown.
    """
    positions = find(ids)
    unknown = ids[positions < 0].tolist()
    if unknown:
        examples = ", ".join(map(repr, unknown[:5]))
        raise UnknownIdError(
            f"{len(unknown)} of {len(ids)} {what} ids are unknown to the model: {examples}. "
            f"{hint_at_known(known)}"
        )
    return positions


class UnknownIdError(KeyError):
    """A KeyError whose str is the message; that of a plain KeyError is the message's repr."""

    def __str__(self):
        return str(self.args[0])


def hint_at_known(known: np.ndarray) -> str:
    """Describe known ids, for messages about unknown ones."""
    return f"Known ids look like {example_of(known)}. {_CHECK_TYPE}"


def message_none_known(items: np.ndarray, known: np.ndarray) -> str:
    """Return the error message for items that are all unknown."""
    return (
        f"items must contain at least one known id; got {len(items)} unknown ones (e.g. "
        f"{example_of(items)}). {hint_at_known(known)}"
    )


def warn_of_unknown(
    what: str,
    unknown: np.ndarray,
    n_ids: int,
    known: np.ndarray,
    consequence: str,
    *,
    tolerated: Literal["none", "half", "same type"] = "none",
) -> None:
    """Warn about ids unknown to the model.

    Parameters
    ----------
    what : str
        Kind of the ids, in the plural, e.g. "users".
    unknown : ndarray of shape (n_unknown,)
        Ids that were not found.
    n_ids : int
        Number of ids looked up.
    known : ndarray of shape (n_known,)
        Ids known to the model.
    consequence : str
        Clause about their treatment, e.g. "they are ignored".
    tolerated : {"none", "half", "same type"}, default="none"
        Unknown ids that cause no warning: none, up to half of all ids, or ids of a type that also
        occurs among known ids. Ids of another type are unlikely to be new; more likely, they were
        read differently.
    """
    if not len(unknown) or (tolerated == "half" and len(unknown) <= n_ids / 2):
        return
    foreign, unknown = foreign_ids(unknown, known), unknown.tolist()
    if tolerated == "same type" and not foreign:
        return
    example, hint = unknown[0], f"Known ids look like {example_of(known)}."
    if foreign:
        example, hint = foreign[0], hint_at_known(known)
    warn(
        f"{len(unknown)} of {n_ids} {what} are unknown to the model (e.g. {example!r}); "
        f"{consequence}. {hint}"
    )


def foreign_ids(unknown: np.ndarray, known: np.ndarray) -> list[Any]:
    """Return the unknown ids of a type that occurs among no known ids."""
    values = unknown.tolist()
    to_compare = known if known.dtype == object else known[:1].tolist()
    # `all` stops at the first known id of the type, usually the first of all.
    foreign_types = {
        kind
        for kind in set(map(_comparable_type, values))
        if all(_comparable_type(id_) != kind for id_ in to_compare)
    }
    return [value for value in values if _comparable_type(value) in foreign_types]


def _comparable_type(value):
    """Return the type of an id; the same for all numbers, as these may be equal across types."""
    return "number" if isinstance(value, int | float) else type(value).__name__

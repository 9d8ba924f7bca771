"""Ids: as they are compared, looked up and shown in messages."""

import numbers

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd


def read_ids(values, name, known):
    """Read a 1-D collection of ids, without changing any.

    Parameters
    ----------
    values : array-like of shape (n_ids,) or set
    name : str
        What the error calls it.
    known : ndarray of shape (n_known,)
        Ids of the model. Tuples are ids if some of these are.

    Returns
    -------
    ids : ndarray of shape (n_ids,)

    Raises
    ------
    ValueError
        If it is not 1-D, or an id is missing.
    """
    array = as_id_array(values, known)
    if array.ndim != 1:
        kind = "user" if name == "users" else "item"
        raise ValueError(f"{name} must be a 1-D array of {kind} ids; got {describe_shape(array)}.")
    check_ids(array, name)
    return array


def describe_shape(array):
    """Tell the shape of what has the wrong one."""
    if array.ndim:
        return f"shape {array.shape}"
    return f"{array.item()!r}. Pass a list of it, [{array.item()!r}]"


def read_id(value, name, known):
    """Read a single id as an array of it.

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
        If it is a collection, or missing.
    """
    is_id = isinstance(value, str | bytes) or (isinstance(value, tuple) and has_tuples(known))
    if not is_id and np.ndim(value):
        raise ValueError(f"{name} must be a single {name} id; got {value!r}: call it for each.")
    return read_ids([value], name, known)


def find_known(known, ids, what):
    """Find ids that must be known.

    Parameters
    ----------
    known, ids : ndarrays of shape (n_known,) and (n_ids,)
    what : str
        What they are: "item".

    Returns
    -------
    positions : ndarray of shape (n_ids,), int

    Raises
    ------
    KeyError
        If any is unknown.
    """
    positions = encode(known, ids)
    unknown = ids[positions < 0].tolist()
    if unknown:
        examples = ", ".join(map(repr, unknown[:5]))
        raise UnknownIdError(
            f"{len(unknown)} of {len(ids)} {what} ids are unknown to the model: {examples}. Known "
            f"ones are such as {known[:1].tolist()[0]!r}; ids of another type are other ids."
        )
    return positions


class UnknownIdError(KeyError):
    """A KeyError that is shown as its text; a plain one is shown in quotes, with escapes."""

    def __str__(self):
        return str(self.args[0])


def as_id_array(values, known):
    """Make an array; lists and sets as objects: np.asarray makes strings of all of ["ann", 1].

    Tuples are ids if some of `known` are, else rows.
    """
    if not isinstance(values, list | tuple | set | frozenset):
        return np.asarray(values)
    values = list(values)
    if any(isinstance(value, tuple) for value in values) and has_tuples(known):
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    return np.array(values, dtype=object)


def has_tuples(ids):
    return ids.dtype == object and any(isinstance(value, tuple) for value in ids)


def pick_ids(ids, columns):
    """Return the ids at `columns`; None at -1, in an array of objects then."""
    if (columns >= 0).all():
        return ids[columns]
    picked = as_objects(ids)[columns]
    picked[columns < 0] = None
    return picked


def encode(ids, values):
    """Look up ids.

    Ids are the same if Python calls them equal, so ``1`` is ``1.0`` but not ``"1"`` (only an
    array of booleans shares no id with one of numbers). Where one side is integers, floats of the
    other must be whole and exact: see `alike`.

    Parameters
    ----------
    ids : ndarray of shape (n_ids,)
        Known ids, unique.
    values : ndarray of shape (n_values,)
        Ids to look up, of any dtype.

    Returns
    -------
    positions : ndarray of shape (n_values,), intp
        Position of each value in `ids`, -1 where it is not known.

    Raises
    ------
    ValueError
        If one side is integers, and the other has floats that need not be what was meant; for
        floats of 2**53 or more among objects, such as text.
    """
    known, wanted = map(_to_index, alike(ids, values))
    if len(wanted) > len(known) // 4:
        return known.get_indexer(wanted)
    # A hash table of the few, and one pass over the many, is cheaper than one of the many.
    few = wanted.unique()
    found = few.get_indexer(known)
    positions = np.full(len(few), -1, dtype=np.intp)
    hits = np.flatnonzero(found >= 0)
    positions[found[hits]] = hits
    return positions[few.get_indexer(wanted)]


def alike(ids, more):
    """Make integers of the floats of one side, if the other side is integers.

    A column of integers becomes one of floats where a value is missing, as in a CSV file with a
    hole. From 2**53 on (float32: 2**24) floats no longer tell all integers apart, so that what is
    looked up would be another id, or none.

    Parameters
    ----------
    ids, more : ndarrays of shape (n,) and (m,)

    Returns
    -------
    ids, more : ndarrays
        Of the same dtypes but for such floats, which are int64.

    Raises
    ------
    ValueError
        If such a float is not whole, or so large that it may have been another integer; for
        floats as large among objects, such as text.
    """
    ids, more = to_numpy(ids), to_numpy(more)
    kinds = _id_kind(ids, more), _id_kind(more, ids)
    if kinds == ("integer", "float"):
        return ids, _as_integers(more)
    if kinds == ("float", "integer"):
        return _as_integers(ids), more
    for mixed in (ids, more):  # columns of floats alone are checked where they are read
        if mixed.dtype == object:
            _check_exact(mixed)
    return ids, more


def _id_kind(ids, others):
    """Tell whether ids are "integer", or have a "float"; None where that does not matter.

    Objects are only looked into if the others may be numbers: that takes time.
    """
    kind = {"i": "integer", "u": "integer", "f": "float"}.get(ids.dtype.kind)
    if ids.dtype != object or others.dtype.kind not in "iufO" or not (len(ids) and len(others)):
        return kind
    if others.dtype == object and not isinstance(others[0], numbers.Real):
        return None
    inferred = pd.api.types.infer_dtype(ids, skipna=False)
    return {"integer": "integer", "floating": "float", "mixed-integer-float": "float"}.get(inferred)


def _as_integers(ids):
    """Return exact floats as int64; of objects, the floats alone are changed."""
    is_float = _find_floats(ids)
    exact = _largest_exact(ids[is_float])
    floats = ids[is_float].astype(np.float64)
    wrong = ~((np.abs(floats) < exact) & (floats == np.floor(floats)))
    if wrong.any():
        raise ValueError(
            "Ids are integers in one table and floats in another, as of a column of integers that "
            f"has missing values. {wrong.sum()} of the floats are no whole numbers below "
            f"2**{int(np.log2(np.min(exact)))}, such as {example_of(floats[wrong])}, and may stand "
            f"for other integers. {READ_AS_INTEGERS}"
        )
    if is_float.all():
        return floats.astype(np.int64)
    ids = ids.copy()
    ids[is_float] = floats.astype(np.int64).tolist()
    return ids


READ_AS_INTEGERS = (
    'Read the column as integers, as by pd.read_csv(path, dtype={column: "Int64"}), or in all '
    "tables as text (dtype=str)."
)


def _check_exact(ids, label="Ids"):
    """Raise a ValueError for floats that may stand for several integers, also among objects."""
    is_float = _find_floats(ids)
    if not is_float.any():
        return
    floats = ids[is_float]
    exact, values = _largest_exact(floats), floats.astype(np.float64)
    wrong = np.abs(values) >= exact
    if is_float.all() and (values != np.floor(values)).any():
        return  # no integers in another dtype
    if wrong.any():
        least = int(np.log2(np.min(exact)))
        raise ValueError(
            f"{label} must not be floats of 2**{least} or more, which do not tell all integers "
            "apart: they would match other integers, or floats in another table; got "
            f"{wrong.sum()}, such as {example_of(floats[wrong])}. A column of integers becomes one "
            f"of floats where a value is missing. {READ_AS_INTEGERS}"
        )


def _largest_exact(floats):
    """Return from where on floats, of one dtype or objects, do not tell all integers apart."""
    if floats.dtype != object:
        return 2.0 ** (np.finfo(floats.dtype).nmant + 1)
    return np.array([2.0 ** (np.finfo(type(value)).nmant + 1) for value in floats])


def _find_floats(ids):
    """Tell which ids are floats, (n,) bool; objects are looked at one by one if they may be."""
    if ids.dtype != object:
        return np.full(len(ids), ids.dtype.kind == "f")
    if pd.api.types.infer_dtype(ids, skipna=False) in _NO_FLOATS:
        return np.zeros(len(ids), dtype=bool)
    return np.array([isinstance(value, float | np.floating) for value in ids], dtype=bool)


_NO_FLOATS = "string", "bytes", "integer", "boolean", "decimal", "date", "datetime", "empty"


def to_numpy(values):
    """Convert a series of any kind, or an array-like, to an array in native byte order."""
    values = nw.from_native(values, series_only=True, pass_through=True)
    # polars would give strings of a fixed width, that of the longest.
    strings = isinstance(values, nw.Series) and values.dtype == nw.String
    array = np.asarray(values, dtype=object if strings else None)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def check_ids(ids, label):
    """Raise a ValueError for ids, called `label`, that are missing, infinite or inexact floats."""
    remedy = _LEAVE_OUT
    if ids.dtype.kind == "f":  # leaving rows out makes no integers of the others again
        remedy = f"{READ_AS_INTEGERS} Then leave such rows out, as by dropna."
    check_no_missing(ids, label, remedy)
    _check_exact(ids, label)


_LEAVE_OUT = "Leave such rows out, as by dropna, or fill them in."


def check_no_missing(values, label, remedy=_LEAVE_OUT):
    """Raise a ValueError if any of `values`, called `label`, is missing or infinite."""
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {label}.")
    missing = pd.isna(values)
    if values.dtype.kind == "f":
        missing |= np.isinf(values)
    elif values.dtype == object:
        missing |= _to_index(values).isin([np.inf, -np.inf])
    if missing.any():
        raise ValueError(
            f"{label} must not hold missing or infinite values (None, NaN, null or inf); got "
            f"{missing.sum()} in {len(values)} rows, the first in row {missing.argmax()} (counting "
            f"from 0). {remedy}"
        )


def example_of(values):
    """Show the first value, as Python does."""
    return repr(values[:1].tolist()[0])


def _to_index(ids):
    """Make ids a pandas index: its hash tables find ids of any kind."""
    ids = to_numpy(ids)
    if ids.dtype.kind in "OSTU":
        return pd.Index(ids.astype(object, copy=False), dtype=object, tupleize_cols=False)
    return pd.Index(ids.astype(np.float64, copy=False) if ids.dtype.kind == "f" else ids)


def factorize(values):
    """Find the unique ids in order of appearance, as in `values`, and the int32 codes of all."""
    try:
        codes, ids = pd.factorize(values.astype(object) if values.dtype.kind in "STU" else values)
    except TypeError as error:
        raise TypeError(
            "Ids must be hashable scalars: each one in the argument must be hashable, such as a "
            f"string or a number; got an {error}."
        ) from error
    return ids.astype(values.dtype, copy=False), codes.astype(np.int32)


def as_objects(ids):
    """Return ids as an array of Python's objects; numpy makes ints of times in nanoseconds."""
    if ids.dtype.kind in "mM":
        return pd.Series(ids).astype(object).to_numpy()
    return ids.astype(object)


def concatenate_ids(ids, more):
    """Concatenate ids without changing any: as objects if no dtype of one of their kinds fits.

    Floats beside integers become integers, as in `alike`.
    """
    ids, more = alike(ids, more)
    numbers_alone = ids.dtype.kind in "iuf" and more.dtype.kind in "iuf"
    if numbers_alone or ids.dtype.kind == more.dtype.kind:
        dtype = np.result_type(ids, more)
        if dtype.kind in (ids.dtype.kind, more.dtype.kind):
            return np.concatenate((ids, more), dtype=dtype)
    return np.concatenate((as_objects(ids), as_objects(more)))

"""`item_data` in all its forms, as one table with ids."""

from dataclasses import dataclass
from pathlib import Path

import narwhals as nw
import numpy as np
import pandas as pd

from .._utils._params import how_to_read, name_kind
from .._utils._warn import warn
from ._dense import flat_entries
from ._ids import READ_AS_INTEGERS, encode


@dataclass(frozen=True)
class ItemTable:
    """What is known about items.

    Attributes
    ----------
    ids : ndarray of shape (n,)
        Raw item ids: distinct, none missing.
    frame : pandas.DataFrame of shape (n, n_columns)
        The items' columns, without the ids, on a ``RangeIndex``; at least one column.
    """

    ids: np.ndarray
    frame: pd.DataFrame


def read_item_data(item_data, item_name=None):
    """Read item data into a table.

    Parameters
    ----------
    item_data : DataFrame, pandas.Series or dict
        - pandas DataFrame: ids in the column `item_name` if there is one, else in the index;
        - polars DataFrame (or another eager one narwhals reads): ids in the column `item_name`;
        - Series: ids in the index; without a name, its column is called ``"text"``;
        - dict: id -> value (column ``"text"``), or id -> dict of columns.
    item_name : hashable, default=None
        Name of the id column.

    Returns
    -------
    ItemTable
        Items in the order of `item_data`.

    Raises
    ------
    TypeError
        If `item_data` is of another type.
    ValueError
        If there is no item, no id column, no other column, a missing or infinite id, an id or a
        column name that occurs twice, or a dict that mixes values and dicts of columns.

    Examples
    --------
    >>> from sklearn_selreg._data._item_table import read_item_data
    >>> read_item_data({7: "Heat", 3: "Casino"}).frame["text"].tolist()
    ['Heat', 'Casino']
    """
    if isinstance(item_data, pd.Series):
        name = "text" if item_data.name is None else item_data.name
        ids, frame = item_data.index, item_data.to_frame(name)
    elif isinstance(item_data, dict):
        ids, frame = pd.Index(list(item_data), tupleize_cols=False), _dict_to_frame(item_data)
    elif isinstance(item_data, pd.DataFrame):
        check_column_names(item_data)
        if item_name is not None and item_name in item_data.columns:
            ids, frame = item_data[item_name], item_data.drop(columns=[item_name])
        else:
            ids, frame = item_data.index, item_data
    else:
        frame = eager_to_pandas(item_data, "item_data")
        if item_name is None or item_name not in frame.columns:
            raise ValueError(
                f"item_data is a {type(item_data).__name__} without index, so it needs a column of "
                f"item ids named {item_name!r}; got the columns {list(frame.columns)}."
            )
        ids, frame = frame[item_name], frame.drop(columns=[item_name])
    if isinstance(ids, pd.MultiIndex):
        raise ValueError(
            "The index of item_data must have one level, the item ids; got "
            f"{ids.nlevels} levels: {list(ids.names)}."
        )
    _check_ids(pd.Index(ids, tupleize_cols=False))
    if frame.shape[1] == 0:
        raise ValueError("item_data must have a column beside the item ids; got none.")
    return ItemTable(ids=ids.to_numpy(), frame=flat_entries(frame.reset_index(drop=True)))


def warn_of_better_ids(table, items, item_name):
    """Warn if a column of the table, rather than its ids, holds the ids of items.

    So it is if the ids were taken from an index that only numbers the rows.

    Parameters
    ----------
    table : ItemTable
    items : ndarray of shape (n_items,)
        Raw ids of items with interactions.
    item_name : hashable
        Name of the column with the item ids in the interactions.

    Warns
    -----
    DataWarning
        If a column of distinct values holds more of `items` than `table.ids` does.
    """
    n_known = np.sum(encode(table.ids, items) >= 0)
    if n_known == len(items):
        return
    for name in table.frame:
        column = table.frame[name]
        try:
            n_found = column.isin(items).sum() if column.is_unique else 0
        except TypeError:  # values that do not hash are no ids
            continue
        if n_found > n_known:
            warn(
                f"The ids of item_data were taken from its index, and hold {n_known} of the "
                f"{len(items)} items of X; its column {name!r} holds {n_found}. If that is the id, "
                f"rename it to {item_name!r}, or pass item_data.set_index({name!r})."
            )
            return


def _dict_to_frame(item_data):
    """Make a frame of the values of a dict (scalars, lists, or dicts of columns), in its order."""
    values = list(item_data.values())
    n_dicts = sum(isinstance(value, dict) for value in values)
    if n_dicts == 0:
        return pd.DataFrame({"text": values})
    if n_dicts < len(values):
        raise ValueError(
            "The values of item_data must be all dicts of columns or none; got "
            f"{n_dicts} dicts among {len(values)} values."
        )
    return pd.DataFrame.from_records(values)


def eager_to_pandas(frame, name):
    """Convert an eager data frame that narwhals reads to pandas; this needs no pyarrow."""
    try:
        frame = nw.from_native(frame, eager_only=True)
    except TypeError as error:
        is_path = isinstance(frame, str | Path)
        hint = f" Pass what is read from it: {how_to_read(frame, name)}." if is_path else ""
        raise TypeError(
            f"{name} must be a pandas or polars DataFrame (collected, not lazy), a pandas Series "
            f"or a dict; got {name_kind(frame)}.{hint}"
        ) from error
    return pd.DataFrame(frame.to_dict(as_series=False))


def check_column_names(frame):
    """Raise if two columns have the same name as str."""
    names = pd.Index([str(name) for name in frame.columns])
    if names.has_duplicates:
        raise ValueError(
            "The columns of item data must have names of their own; got "
            f"{names[names.duplicated()].unique().tolist()} more than once."
        )


def _check_ids(ids):
    """Raise unless there are ids, all of them finite and distinct."""
    if len(ids) == 0:
        raise ValueError("item_data must hold at least one item; got none.")
    null = ids.isna()
    if pd.api.types.is_float_dtype(ids.dtype):
        null = null | np.isinf(ids.to_numpy(dtype=float, na_value=np.nan))
    if null.any():
        remedy = f" {READ_AS_INTEGERS}" * pd.api.types.is_float_dtype(ids.dtype)
        raise ValueError(
            f"The item ids of item_data must not be missing or infinite; got {null.sum()} that "
            f"are, the first in row {null.argmax()} (counting from 0).{remedy}"
        )
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        raise ValueError(
            f"item_data must have one row an item; got several for {len(twice)} item ids, such as "
            f"{twice[:5].tolist()}. {_how_to_tell_apart(twice)}"
        )


def _how_to_tell_apart(ids):
    """Say what to do with ids that occur twice."""
    if pd.api.types.is_float_dtype(ids.dtype) and (np.abs(ids) >= 2**53).any():
        return f"From 2**53 on floats do not tell all integers apart. {READ_AS_INTEGERS}"
    return "Keep one of them, as by drop_duplicates."

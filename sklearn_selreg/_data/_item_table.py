"""Conversion of `item_data` and `user_data`, in all supported forms, to a table with ids."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from .._utils._params import how_to_read, name_kind
from .._utils._warn import warn
from ._arrays import example_of, to_numpy
from ._collected import collect_all
from ._exact_ids import READ_AS_INTEGERS
from ._ids import encode
from ._vectors import flatten_entries

_MOST_UNDESCRIBED = 0.05  # fraction of the items that may be missing from item_data


@dataclass(frozen=True)
class ItemTable:
    """Item data with one row per item, or user data with one row per user.

    Attributes
    ----------
    ids : ndarray of shape (n,)
        Item ids: distinct, none missing.
    frame : pandas.DataFrame of shape (n, n_columns)
        At least one column, without the ids, on a ``RangeIndex``.
    """

    ids: np.ndarray
    frame: pd.DataFrame


def read_item_data(
    item_data: Any, item_name: Hashable = None, *, of: Literal["item", "user"] = "item"
) -> ItemTable:
    """Read item data into a table.

    Parameters
    ----------
    item_data : DataFrame, pandas.Series or dict
        - pandas DataFrame: ids in the column `item_name` if present, else in the index;
        - table of polars, pyarrow or another library, a query (polars, duckdb, ibis) or an Arrow
          stream: ids in the column `item_name`;
        - Series: ids in the index; the column is named ``"text"`` if the series has no name;
        - dict: id -> value (column ``"text"``), or id -> dict of columns.
    item_name : hashable, default=None
        Name of the id column.
    of : {"item", "user"}, default="item"
        Entity described by the rows.

    Returns
    -------
    ItemTable
        Items in the order of `item_data`.

    Raises
    ------
    TypeError
        If `item_data` is of another type.
    ValueError
        If there are no items, no id column or no other column; for missing or infinite ids,
        duplicate ids or column names, and dicts that mix values and dicts of columns.

    Examples
    --------
    >>> from sklearn_selreg._data._item_table import read_item_data
    >>> read_item_data({7: "Heat", 3: "Casino"}).frame["text"].tolist()
    ['Heat', 'Casino']
    """
    ids, frame = _split_ids(item_data, item_name, of)
    if isinstance(ids, pd.MultiIndex):
        raise ValueError(
            f"The index of {of}_data must have a single level with the {of} ids; got "
            f"{ids.nlevels} levels: {list(ids.names)}."
        )
    _check_ids(pd.Index(ids, tupleize_cols=False), of)
    if frame.shape[1] == 0:
        raise ValueError(f"{of}_data must have a column besides the {of} ids; got none.")
    ids = ids if isinstance(ids, np.ndarray) else ids.to_numpy()
    return ItemTable(ids=ids, frame=flatten_entries(frame.reset_index(drop=True)))


def _split_ids(item_data, item_name, of):
    """Return the ids (Index, Series or array), and the frame of the other columns."""
    if isinstance(item_data, pd.Series):
        name = "text" if item_data.name is None else item_data.name
        return item_data.index, item_data.to_frame(name)
    if isinstance(item_data, dict):
        return pd.Index(list(item_data), tupleize_cols=False), _dict_to_frame(item_data, of)
    if isinstance(item_data, pd.DataFrame):
        check_column_names(item_data, of)
        if item_name is None or item_name not in item_data.columns:
            return item_data.index, item_data
        return item_data[item_name], item_data.drop(columns=[item_name])
    table = read_frame(item_data, f"{of}_data")
    frame = to_pandas(table)
    if item_name is None or item_name not in frame.columns:
        raise ValueError(
            f"{of}_data is a {type(item_data).__name__} without an index, so it needs a column of "
            f"{of} ids named {item_name!r}; got columns {list(frame.columns)}."
        )
    ids = to_numpy(table[item_name])  # same conversion as for the ids of interactions
    return ids, frame.drop(columns=[item_name])


def warn_of_better_ids(
    table: ItemTable,
    items: np.ndarray,
    item_name: Hashable,
    *,
    of: Literal["item", "user"] = "item",
) -> bool:
    """Warn if a column of the table matches more of the item ids than its index.

    This happens if the ids were taken from an index that only numbers the rows.

    Parameters
    ----------
    table : ItemTable
    items : ndarray of shape (n_items,)
        Ids of items with interactions.
    item_name : hashable
        Name of the column with the item ids in the interactions.
    of : {"item", "user"}, default="item"
        Entity described by the rows.

    Returns
    -------
    bool
        Whether a warning was issued.

    Warns
    -----
    DataWarning
        If a column of distinct values contains more of `items` than `table.ids` does.
    """
    n_known = np.sum(encode(table.ids, items) >= 0)
    if n_known == len(items):
        return False
    for name in table.frame:
        column = table.frame[name]
        try:
            n_found = column.isin(items).sum() if column.is_unique else 0
        except TypeError:  # unhashable values cannot be ids
            continue
        if n_found > n_known:
            warn(
                f"The ids of {of}_data were taken from its index, which contains {n_known} of the "
                f"{len(items)} {of}s of X; its column {name!r} contains {n_found}. If that is the "
                f"id column, rename it to {item_name!r}, or pass {of}_data.set_index({name!r})."
            )
            return True
    return False


def warn_of_undescribed(table: ItemTable, items: np.ndarray) -> None:
    """Warn if more than 5 % of the items with interactions, but not all, are not in the table."""
    missing = items[encode(table.ids, items) < 0]
    if _MOST_UNDESCRIBED * len(items) < len(missing) < len(items):
        warn(
            f"{len(missing)} of {len(items)} items with interactions are not in item_data (e.g. "
            f"{example_of(missing)}); they get no features. If they should be there, check that "
            "the ids are written alike: case, blanks and leading zeros matter."
        )


def _dict_to_frame(item_data, of):
    """Convert the values of a dict (scalars, lists, or dicts of columns) to a frame."""
    values = list(item_data.values())
    n_dicts = sum(isinstance(value, dict) for value in values)
    if n_dicts == 0:
        return pd.DataFrame({"text": values})
    if n_dicts < len(values):
        raise ValueError(
            f"Either all or none of the values of {of}_data must be dicts of columns; got "
            f"{n_dicts} dicts among {len(values)} values."
        )
    return pd.DataFrame.from_records(values)


def read_frame(frame: Any, name: str) -> nw.DataFrame:
    """Read a data frame of any library, a query or an Arrow stream."""
    try:
        return nw.from_native(collect_all(frame), eager_only=True)
    except TypeError as error:
        hint = ""
        if isinstance(frame, str | Path):
            hint = f" Read it into a table first: {how_to_read(frame, name)}."
        raise TypeError(
            f"{name} must be a table (pandas, polars, pyarrow, duckdb or ibis), a pandas Series "
            f"or a dict; got {name_kind(frame)}.{hint}"
        ) from error


def to_pandas(frame: nw.DataFrame) -> pd.DataFrame:
    """Convert a data frame to pandas, without pyarrow."""
    return pd.DataFrame(frame.to_dict(as_series=False))


def check_column_names(frame: pd.DataFrame, of: str = "item") -> None:
    """Raise a ValueError if column names are not distinct as strings."""
    names = pd.Index([str(name) for name in frame.columns])
    if names.has_duplicates:
        raise ValueError(
            f"The columns of {of} data must have distinct names; got "
            f"{names[names.duplicated()].unique().tolist()} more than once."
        )


def _check_ids(ids, of):
    """Raise a ValueError unless there are ids, all finite and distinct."""
    if len(ids) == 0:
        raise ValueError(f"{of}_data must contain at least one {of}; got none.")
    is_missing, hint = ids.isna(), ""
    if pd.api.types.is_float_dtype(ids.dtype):
        is_missing = is_missing | np.isinf(ids.to_numpy(dtype=float, na_value=np.nan))
        hint = f" {READ_AS_INTEGERS}"
    if is_missing.any():
        raise ValueError(
            f"The {of} ids of {of}_data must not be missing or infinite; got {is_missing.sum()} "
            f"such ids, the first in row {is_missing.argmax()} (counting from 0).{hint}"
        )
    duplicates = ids[ids.duplicated()].unique()
    if len(duplicates):
        raise ValueError(
            f"{of}_data must have one row per {of}; got several for {len(duplicates)} {of} ids "
            f"(e.g. {duplicates[:5].tolist()}). {_duplicate_hint(duplicates)}"
        )


def _duplicate_hint(ids):
    """Suggest a remedy for duplicate ids."""
    if pd.api.types.is_float_dtype(ids.dtype) and (np.abs(ids) >= 2**53).any():
        return f"From 2**53 on, different integers share the same float. {READ_AS_INTEGERS}"
    return "Keep one of them, e.g. with drop_duplicates."

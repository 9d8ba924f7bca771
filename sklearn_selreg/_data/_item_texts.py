"""Texts that describe items to a judge."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from ._column_kinds import is_identifier
from ._column_values import content_type, read_numbers, read_strings
from ._item_table import ItemTable

_WORD = re.compile(r"(?<![^\W_])[^\W\d_]{2,}(?![^\W_])")


def item_texts(table: ItemTable, columns: Any = None) -> np.ndarray:
    """Describe each item to a judge, in one line of text.

    Parameters
    ----------
    table : ItemTable
        Item data.
    columns : column name or list of column names, default=None
        Columns to show, in this order. If None, all text, list, boolean, date and integer columns
        with values, except identifiers (see :class:`AutoItemEncoder`).

    Returns
    -------
    ndarray of shape (n,), object
        One str per row of the table, e.g. ``"title: Heat; year: 1995"``. Missing values are
        omitted; an item without values has an empty text.

    Raises
    ------
    ValueError
        If `columns` is empty or contains a column that does not exist.

    Examples
    --------
    >>> from sklearn_selreg._data._item_texts import item_texts
    >>> from sklearn_selreg._data._item_table import read_item_data
    >>> table = read_item_data({7: {"title": "Heat", "year": 1995}, 3: {"title": "Casino"}})
    >>> item_texts(table).tolist()
    ['title: Heat; year: 1995', 'title: Casino']
    """
    frame = table.frame
    if columns is None:
        columns = [name for name in frame.columns if _is_readable(frame[name])]
    else:
        columns = [columns] if pd.api.types.is_scalar(columns) else list(columns)
        missing = [name for name in columns if name not in frame.columns]
        if missing or not columns:
            problem = f"not among them: {missing}" if missing else "got an empty list"
            raise ValueError(
                f"item_text must name columns of item_data, which are {list(frame.columns)}; "
                f"{problem}."
            )
    texts = pd.Series("", index=frame.index, dtype=object)
    for name in columns:
        values = read_strings(frame[name]).str.replace(r"\s+", " ", regex=True).str.strip()
        texts += (f"{name}: " + values + "; ").fillna("")
    return texts.str.removesuffix("; ").to_numpy(dtype=object)


def hidden_columns(table: ItemTable) -> tuple[list, list]:
    """Return the columns hidden from a judge because they look like identifiers.

    Returns
    -------
    hidden : list
    nameable : list
        Hidden and shown columns, in table order: the value of `item_text` that shows them all.
    """
    readable = [name for name in table.frame if _is_readable(table.frame[name])]
    others = [name for name in table.frame if name not in readable]
    hidden = [name for name in others if is_identifier(table.frame[name])]
    return hidden, [name for name in table.frame if name in readable or name in hidden]


def _is_readable(values):
    """Return whether a column is shown to a judge by default (see :func:`item_texts`)."""
    match content_type(values):
        case "number":
            numbers = read_numbers(values.dropna())
            return bool((numbers % 1 == 0).all()) and not is_identifier(values)
        case "text":
            return not (
                is_identifier(values) and _are_links_or_codes(read_strings(values).dropna())
            )
        case content:
            return content in ("date", "flag", "list")


def _are_links_or_codes(texts):
    return texts.str.contains("://", regex=False).mean() > 0.5 or are_codes(texts.to_numpy())


def are_codes(texts: np.ndarray) -> bool:
    """Return whether most texts are numbers or codes such as "B000123", not words.

    Parameters
    ----------
    texts : ndarray of shape (n,), object
        Anything other than a str counts as a code.
    """
    words = [
        " ".join(_WORD.findall(text)) if isinstance(text, str) else "" for text in texts.tolist()
    ]
    return len(set(words)) <= len(words) / 2 if len(words) > 1 else not words[0]

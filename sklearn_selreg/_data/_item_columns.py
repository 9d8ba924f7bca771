"""Columns of item data kept by a fitted model: groups and titles of items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ._arrays import as_objects
from ._column_values import content_type, read_strings
from ._ids import encode
from ._item_table import ItemTable

_KEPT = ("text", "number", "date", "flag", "interval")  # neither lists nor vectors
_NONE_KEPT = (
    "Pass item_data to fit or from_factors; for the latter, also set item_col to the name of the "
    "id column, or pass a Series indexed by item id."
)
_TITLES = ("title", "name")
_MIN_DISTINCT = 0.8  # fraction of the values that differ in a column of titles


@dataclass(frozen=True, eq=False)
class ItemColumns:
    """Scalar columns of item data, factorized.

    Attributes
    ----------
    names : tuple of str
    codes : ndarray of shape (n_columns, n_items), int32
        Position in `values`; -1 if missing.
    values : tuple of tuples
        Distinct values of each column.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    values: tuple[tuple, ...]

    @classmethod
    def of(cls, table: ItemTable | None, items: np.ndarray) -> ItemColumns:
        """Extract the scalar columns of item data.

        Parameters
        ----------
        table : ItemTable or None
            If None, there are no columns.
        items : ndarray of shape (n_items,)
            Item ids. For items not in the table all values are missing.

        Returns
        -------
        columns : ItemColumns

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_selreg._data._item_columns import ItemColumns
        >>> from sklearn_selreg._data._item_table import read_item_data
        >>> table = read_item_data({7: {"shop": "a", "year": 1995}, 3: {"shop": "b", "year": 1995}})
        >>> columns = ItemColumns.of(table, np.array([3, 7, 99]))
        >>> columns.names, columns.codes.tolist(), columns.values
        (('shop', 'year'), [[1, 0, -1], [0, 0, -1]], (('a', 'b'), (1995,)))
        """
        names, codes, values = [], [], []
        if table is not None:
            position = encode(table.ids, items)
            for name in table.frame:
                column = table.frame[name]
                content = content_type(column)
                if content in _KEPT:
                    column = read_strings(column) if content == "interval" else column
                    code, distinct = pd.factorize(column)
                    names.append(str(name))
                    codes.append(np.append(code, -1)[position].astype(np.int32))
                    values.append(tuple(distinct.tolist()))
        stacked = np.array(codes, dtype=np.int32).reshape(len(codes), len(items))
        return cls(tuple(names), stacked, tuple(values))

    def find(self, name: object, what: str) -> int:
        """Return the position of a column; raise a ValueError that names the parameter `what`."""
        if str(name) in self.names:
            return self.names.index(str(name))
        raise ValueError(
            f"{what} must name a column of the item_data passed to fit, other than lists and "
            f"vectors; got {name!r}. "
            + (
                f"Available columns: {list(self.names)}."
                if self.names
                else f"No columns are available. {_NONE_KEPT}"
            )
        )

    def titles(self, name: object | None, ids: np.ndarray) -> np.ndarray:
        """Titles of items, (n_items,) object.

        Parameters
        ----------
        name : str or None
            Name of the column. If None, the column "title" or "name" is used if present, else
            the first descriptive text.
        ids : ndarray of shape (n_items,)
            Item ids, which replace missing titles.
        """
        lower = [own.lower() for own in self.names]
        if name is None:
            found = (self.names[lower.index(n)] for n in _TITLES if n in lower)
            name = next(found, None) or self._descriptive()
        titles = as_objects(ids).copy()
        if name is not None:
            place = self.find(name, "title_col")
            code, values = self.codes[place], np.empty(len(self.values[place]), dtype=object)
            values[:] = self.values[place]
            titles[code >= 0] = values[code[code >= 0]]
        return titles

    def _descriptive(self):
        """Name of the first column of nearly distinct texts of several words, or None."""
        for name, codes, values in zip(self.names, self.codes, self.values, strict=True):
            if not all(isinstance(value, str) for value in values):
                continue
            n_worded = sum(" " in value.strip() for value in values)
            if n_worded > len(values) / 2 and len(values) >= _MIN_DISTINCT * (codes >= 0).sum():
                return name
        return None

    def append(self, more: ItemColumns) -> ItemColumns:
        """Append the columns of additional items; columns absent there are missing values."""
        codes, values = [], []
        for own, distinct, name in zip(self.codes, self.values, self.names, strict=True):
            known = list(distinct)
            new = np.full(more.codes.shape[1], -1, dtype=np.int32)
            if name in more.names:
                place = more.names.index(name)
                position = _same_values(known, more.values[place])
                for value in more.values[place]:
                    if position.setdefault(value, len(known)) == len(known):
                        known.append(value)
                code = np.array([position[value] for value in more.values[place]] + [-1], np.int32)
                new = code[more.codes[place]]
            codes.append(np.concatenate([own, new]))
            values.append(tuple(known))
        n_items = self.codes.shape[1] + more.codes.shape[1]
        stacked = np.array(codes, dtype=np.int32).reshape(len(codes), n_items)
        return ItemColumns(self.names, stacked, tuple(values))


def _same_values(known, values):
    """Positions of known values, and of values that differ from them only in type."""
    position = {value: n for n, value in enumerate(known)}
    types = set(map(type, known))
    foreign = [value for value in values if type(value) not in types and value not in position]
    if foreign:
        place = dict(zip(_written(known), position.values(), strict=True))
        alike = zip(foreign, map(place.get, _written(foreign)), strict=True)
        position |= {value: n for value, n in alike if n is not None}
    return position


def _written(values):
    return read_strings(pd.Series(values, dtype=object).infer_objects()).tolist()

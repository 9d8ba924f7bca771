"""Assignment of a gate's input columns to gap, prior evidence, context and offset."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GateColumns:
    """Positions of the columns; `offset` is None without such a column."""

    gap: int
    prior: list[int]
    context: list[int]
    offset: int | None

    def split(self, Z):
        """Split a table into gap, prior, context and offset; NaN is kept only in context."""
        offset = np.zeros(len(Z)) if self.offset is None else np.nan_to_num(Z[:, self.offset])
        gap, prior = np.nan_to_num(Z[:, self.gap]), np.nan_to_num(Z[:, self.prior])
        return gap, prior, Z[:, self.context], offset


def find_columns(names, n_columns, gap_col, prior_cols, offset_col):
    """Resolve the column parameters of `ReliabilityGate`.

    Parameters
    ----------
    names : list of str
        Empty for a table without column names.
    n_columns : int
    gap_col, prior_cols, offset_col
        See `ReliabilityGate`.

    Returns
    -------
    columns : GateColumns
    """
    gap, prior, offset = _fill_defaults(names, n_columns, gap_col, prior_cols, offset_col)
    gap_at = _find(gap, "gap_col", names, n_columns)
    prior_at = [_find(column, "prior_cols", names, n_columns) for column in prior]
    if gap_at in prior_at:
        raise ValueError(
            f"gap_col must not be among prior_cols; got gap_col={gap!r}, prior_cols={prior!r}."
        )
    offset_at = None if offset is None else _find(offset, "offset_col", names, n_columns)
    used = {gap_at, *prior_at}
    if offset_at in used:
        raise ValueError(
            "offset_col must be neither gap_col nor among prior_cols; got "
            f"offset_col={offset!r}, gap_col={gap!r}, prior_cols={prior!r}."
        )
    context = [i for i in range(n_columns) if i not in used and i != offset_at]
    return GateColumns(gap_at, prior_at, context, offset_at)


def _fill_defaults(names, n_columns, gap, prior, offset):
    """Replace None by the default columns: by name if there is a `gap` column, else by position."""
    is_named = "gap" in names
    if gap is None:
        gap = "gap" if is_named else 0
    if prior is None and is_named:
        prior = [name for name in names if name.startswith("prior")]
    elif prior is None:
        prior = [i for i in (1, 2) if i < n_columns and i != gap]
    if offset is None and "offset" in names:
        offset = "offset"
    return gap, prior, offset


def _find(column, parameter, names, n_columns):
    """Return the position of a column given by position or name."""
    if isinstance(column, str) and column not in names:
        raise ValueError(
            f"{parameter} must be among the columns of Z, "
            f"{names or 'which have no names'}; got {column!r}."
        )
    position = names.index(column) if isinstance(column, str) else column
    if not 0 <= position < n_columns:
        raise ValueError(
            f"{parameter} must be the position of one of the {n_columns} columns of Z, from 0 to "
            f"{n_columns - 1}; got {column!r}."
        )
    return position

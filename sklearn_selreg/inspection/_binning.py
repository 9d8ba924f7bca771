"""Bins of context columns, with readable labels."""

from itertools import pairwise

import numpy as np
import pandas as pd

from .._judging._slates import MAX_HISTORY

_MOST_BINS = 8


def bin_context(column):
    """Discretize a context column of the evidence into a few bins with readable labels.

    Parameters
    ----------
    column : Series of shape (n_pairs,), float64

    Returns
    -------
    bins : Series, ordered categorical
    """
    if column.name in ("popularity_rarer", "popularity_commoner"):
        return _bin_popularity(np.expm1(column).round())
    if column.name == "history_length":
        return _cut_counts(column, (0, 1, 2, 3, 4, 5, 6, MAX_HISTORY))
    values = np.unique(column.dropna())
    if len(values) <= _MOST_BINS:
        names = [f"{value:.4g}" for value in values]
        return pd.cut(column, [*values, np.inf], right=False, labels=names)
    return _bin_by_quantiles(column, values[0], values[-1])


def _bin_popularity(counts):
    """Bin counts at 0, 1 and powers of a base."""
    for base in (2, 3, 4, 10):
        edges = [0, *(base**n for n in range(_MOST_BINS - 1))]
        if (counts >= edges[-1]).mean() < 0.2:
            break
    return _cut_counts(counts, edges)


def _bin_by_quantiles(column, smallest, largest):
    """Bin numbers by quintiles, rounded to two digits of their range."""
    digits = 1 - int(np.floor(np.log10(largest - smallest)))
    unit = 10.0**digits
    quintiles = np.quantile(column.dropna(), [0.2, 0.4, 0.6, 0.8]).round(digits)
    edges = np.unique(
        [np.floor(smallest * unit) / unit, *quintiles, np.ceil(largest * unit) / unit]
    )
    names = [f"{a:.{max(digits, 0)}f} to {b:.{max(digits, 0)}f}" for a, b in pairwise(edges)]
    return pd.cut(column, edges, include_lowest=True, labels=names)


def _cut_counts(counts, edges):
    """Put integers into labeled bins from each edge up to the next; the last bin is open."""
    names = [str(a) if b == a + 1 else f"{a} to {b - 1}" for a, b in pairwise(edges)]
    names.append(f"{edges[-1]}+")
    return pd.cut(counts.round(), [*edges, np.inf], right=False, labels=names)

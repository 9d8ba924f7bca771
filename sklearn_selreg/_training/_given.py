"""A fitted model of factors that were made elsewhere."""

from dataclasses import replace

import numpy as np
import pandas as pd

from .._data._histories import Histories
from .._data._item_columns import ItemColumns
from .._data._strengths import StrengthScale
from .._serving._fitted import FittedModel
from .._serving._given import GivenFactors


def read_factors(ids, factors, name, *, copy):
    """Check ids and factors, and return them as arrays.

    Parameters
    ----------
    ids : array-like of shape (n,)
    factors : array-like of shape (n, k)
    name : str
        "user" or "item".
    copy : bool
        False: float32 arrays are taken as they are.

    Returns
    -------
    ids : ndarray of shape (n,)
    factors : ndarray of shape (n, k), float32, writable

    Raises
    ------
    ValueError
        For other shapes, repeated ids, factors that are not finite, or an array that can neither be
        copied nor written to.
    """
    if isinstance(ids, list | tuple):  # np.asarray turns all ids of ["ann", 1] into strings
        ids = pd.Series(list(ids)).to_numpy()
    ids = np.asarray(ids)
    try:
        factors = np.array(factors, dtype=np.float32, order="C", copy=True if copy else None)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}_factors must be an array of numbers: {error}.") from error
    if factors.ndim != 2 or ids.shape != factors.shape[:1] or 0 in factors.shape:
        raise ValueError(
            f"{name}_factors must have a row for each of {name}_ids; got shapes {factors.shape} "
            f"and {ids.shape}."
        )
    if not factors.flags.writeable:
        raise ValueError(
            f"{name}_factors must be writable with copy=False, as refine writes to it; got a "
            'read-only array. np.load(path, mmap_mode="c") maps a file that stays as it is.'
        )
    if not np.isfinite(np.sum(factors, dtype=np.float64)):
        raise ValueError(f"{name}_factors must be finite; got NaN or infinity.")
    if pd.isna(ids).any():
        raise ValueError(f"{name}_ids must not be missing; got None or NaN.")
    if not (ids.dtype.kind in "iu" and (ids[1:] > ids[:-1]).all()) and not pd.Index(ids).is_unique:
        twice = ids[pd.Index(ids).duplicated()][:1].tolist()[0]
        raise ValueError(f"{name}_ids must be unique; got {twice!r} more than once.")
    return ids, factors


def check_widths(user_factors, item_factors, n_factors):
    """Raise if users and items do not have as many factors, or not those that are wanted.

    `n_factors` is "auto", None or a number.
    """
    k = user_factors.shape[1]
    if item_factors.shape[1] != k or n_factors not in ("auto", None, k):
        raise ValueError(
            "user_factors and item_factors must have as many columns, and `factors` must be "
            f"'auto', None or that number; got {k} and {item_factors.shape[1]} columns, and "
            f"factors={n_factors}."
        )


def make_given_model(
    users,
    items,
    user_factors,
    item_factors,
    backbone,
    *,
    table,
    strengths,
    uses_last_period,
    id_names,
):
    """Make a model of ids and factors; its users are folded in as by `backbone`, plainly.

    Parameters
    ----------
    users, items, user_factors, item_factors : ndarrays
        As from `read_factors`.
    backbone : ALSBackbone
    table : ItemTable or None
    strengths : {"raw", "log", "binary"}
    uses_last_period : bool
    id_names : tuple of (str, str)

    Returns
    -------
    model : FittedModel
    """
    plain = {"missing_power": 0.0, "recency_power": 0.0, "item_bias": 0.0}
    return FittedModel(
        users=users,
        items=items,
        user_factors=user_factors,
        item_factors=item_factors,
        histories=Histories.empty(len(users), len(items)),
        popularity=np.zeros(len(items), dtype=np.int64),
        backbone=replace(backbone, factors=user_factors.shape[1], **plain),
        scale=StrengthScale(strengths),
        periods=np.zeros(1),
        uses_last_period=uses_last_period,
        id_names=id_names,
        item_columns=ItemColumns.of(table, items),
        as_of_fit=np.zeros(len(users), dtype=bool),
        given=GivenFactors(),
    )

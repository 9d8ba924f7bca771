"""A fitted model of factors that were made elsewhere."""

from dataclasses import replace
from numbers import Real

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._data._arrays import to_numpy
from .._data._histories import Histories
from .._data._interactions import Interactions, index_interactions
from .._data._item_columns import ItemColumns
from .._data._strengths import StrengthScale
from .._serving._fitted import FittedModel
from .._serving._given import GivenFactors


def read_factors(ids, factors, name, *, copy):
    """Check ids and factors, and return them as arrays.

    Parameters
    ----------
    ids : array-like of shape (n,)
    factors : array-like of shape (n, k), or column of n lists of k numbers
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
    ids = to_numpy(ids)
    try:
        factors = _stack_lists(factors)
        factors = np.array(factors, dtype=np.float32, order="C", copy=True if copy else None)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name}_factors must be an array of numbers: {error}. A column of lists does as well, "
            "if all have the same length."
        ) from error
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


def _stack_lists(factors):
    """Return a column of lists, as tables have it, as a matrix; anything else as it is read."""
    if isinstance(factors, list | tuple):
        return factors
    values = to_numpy(factors)
    if values.ndim == 1 and values.dtype == object:
        return np.array(values.tolist(), dtype=np.float32)
    return values


def check_peer_settings(base_confidence, count_offset):
    """Raise unless the settings of `from_factors` about folding in are numbers >= 0."""
    for name, value, or_none in (
        ("base_confidence", base_confidence, ""),
        ("count_offset", count_offset, " or None"),
    ):
        if value is None and or_none:
            continue
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < np.inf:
            raise ValueError(f"{name} must be a number >= 0{or_none}; got {value!r}.")


def index_given(X, y, model, **columns):
    """Index the interactions that given factors were made of.

    Parameters
    ----------
    X : table, sparse matrix or None
        The rows and columns of a sparse matrix are the users and items of the model, in its order.
        None: those that the model has.
    y : array-like or None
    model : FittedModel
        With given factors.
    **columns
        Of `index_interactions`.

    Returns
    -------
    interactions : Interactions

    Raises
    ------
    ValueError
        If a sparse matrix has another shape, if the model has no interactions, and as
        `index_interactions`.
    """
    ids = {"users": model.users, "items": model.items}
    if X is None:
        if y is not None:
            raise ValueError("y are strengths of interactions, of which there are none; pass both.")
        known = model.histories
        if not known.matrix.nnz:
            raise ValueError(
                "X must be the interactions that the factors were made of, as from_factors was "
                "given none; got None."
            )
        return Interactions(known.matrix, known.recency_rank, known.times, **ids)
    interactions = index_interactions(X, y, **columns)
    if not sp.issparse(X):
        return interactions
    expected = len(model.users), len(model.items)
    if X.shape != expected:
        raise ValueError(
            "A sparse matrix of interactions must have the rows and columns of the given users and "
            f"items, {expected}; got shape {X.shape}. A table with their ids may have others."
        )
    return replace(interactions, **ids)


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
    """Make a model of ids and factors, without interactions.

    Its users are folded in as by `backbone`, plainly.

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

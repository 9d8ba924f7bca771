"""Construction of a fitted model from factors of another library."""

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
from .._serving._user_table import UserTable


def read_factors(ids, factors, name, *, copy):
    """Validate ids and factors and convert them to arrays.

    Parameters
    ----------
    ids : array-like of shape (n,)
    factors : array-like of shape (n, k), or column of n lists of k numbers
    name : str
        "user" or "item".
    copy : bool
        If False, float32 arrays are used without a copy.

    Returns
    -------
    ids : ndarray of shape (n,)
    factors : ndarray of shape (n, k), float32, writable

    Raises
    ------
    ValueError
        For invalid shapes, duplicate ids, non-finite factors, or a read-only array with
        `copy=False`.
    """
    if isinstance(ids, list | tuple):  # np.asarray turns all ids of ["ann", 1] into strings
        ids = pd.Series(list(ids)).to_numpy()
    ids = to_numpy(ids)
    try:
        factors = _stack_lists(factors)
        factors = np.array(factors, dtype=np.float32, order="C", copy=True if copy else None)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name}_factors must be an array of numbers: {error}. A column of lists is also "
            "supported if all lists have the same length."
        ) from error
    if factors.ndim != 2 or ids.shape != factors.shape[:1] or 0 in factors.shape:
        raise ValueError(
            f"{name}_factors must have a row for each of {name}_ids; got shapes {factors.shape} "
            f"and {ids.shape}."
        )
    if not factors.flags.writeable:
        raise ValueError(
            f"{name}_factors must be writable with copy=False, because refine modifies it; got a "
            'read-only array. np.load(path, mmap_mode="c") maps a file without modifying it.'
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
    """Stack a column of lists to a matrix; leave other inputs unchanged."""
    if isinstance(factors, list | tuple):
        return factors
    values = to_numpy(factors)
    if values.ndim == 1 and values.dtype == object:
        return np.array(values.tolist(), dtype=np.float32)
    return values


def check_peer_settings(base_confidence, count_offset):
    """Raise if the fold-in settings of `from_factors` are not numbers >= 0."""
    for name, value, or_none in (
        ("base_confidence", base_confidence, ""),
        ("count_offset", count_offset, " or None"),
    ):
        if value is None and or_none:
            continue
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < np.inf:
            raise ValueError(f"{name} must be a number >= 0{or_none}; got {value!r}.")


def index_given(X, y, model, **columns):
    """Index the interactions that given factors were fitted on.

    Parameters
    ----------
    X : table, sparse matrix or None
        Rows and columns of a sparse matrix are the users and items of the model, in the same order.
        If None, the interactions stored in the model.
    y : array-like or None
    model : FittedModel
        Model with given factors.
    **columns
        Arguments of `index_interactions`.

    Returns
    -------
    interactions : Interactions

    Raises
    ------
    ValueError
        If a sparse matrix has the wrong shape, if X is None and the model has no interactions, and
        as in `index_interactions`.
    """
    ids = {"users": model.users, "items": model.items}
    if X is None:
        if y is not None:
            raise ValueError("y was passed without X; pass both.")
        known = model.histories
        if not known.matrix.nnz:
            raise ValueError(
                "X must be the interactions that the factors were fitted on, because from_factors "
                "was called without interactions; got None."
            )
        return Interactions(known.matrix, known.recency_rank, known.times, **ids)
    interactions = index_interactions(X, y, **columns)
    if not sp.issparse(X):
        return interactions
    expected = len(model.users), len(model.items)
    if X.shape != expected:
        raise ValueError(
            "A sparse matrix of interactions must have a row for each given user and a column for "
            f"each given item, shape {expected}; got shape {X.shape}. For other users and items, "
            "pass a table with ids."
        )
    return replace(interactions, **ids)


def check_widths(user_factors, item_factors, n_factors):
    """Raise if users and items differ in their number of factors, or it is not `n_factors`.

    `n_factors` is "auto", None or a number.
    """
    k = user_factors.shape[1]
    if item_factors.shape[1] != k or n_factors not in ("auto", None, k):
        raise ValueError(
            "user_factors and item_factors must have the same number of columns, and `factors` "
            f"must be 'auto', None or that number; got {k} and {item_factors.shape[1]} columns, "
            f"and factors={n_factors}."
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
    """Construct a model from ids and factors, without interactions.

    It folds in users by `backbone`, without weights of missing entries, recency and biases.

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
        user_table=UserTable(
            ids=users, factors=user_factors, histories=Histories.empty(len(users), len(items))
        ),
        items=items,
        item_factors=item_factors,
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

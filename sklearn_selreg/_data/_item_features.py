"""Item features: encoder output for the items of the fit and for new items.

User features are computed in the same way.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone

from .._utils._warn import warn
from ._csr import is_dense
from ._ids import encode
from ._item_encoder import AutoItemEncoder
from ._item_table import ItemTable


def encode_items(
    encoder: Any,
    table: ItemTable,
    items: np.ndarray,
    *,
    of: Literal["item", "user"] = "item",
) -> tuple[sparse.csr_matrix, Any]:
    """Fit an encoder on the item table, and return the features of the given items.

    Parameters
    ----------
    encoder : "auto" or transformer
        ``"auto"`` is ``AutoItemEncoder()``. A transformer is cloned, then fitted on all of
        ``table.frame``.
    table : ItemTable
        Item data.
    items : ndarray of shape (n_items,)
        Ids of the items to encode.
    of : {"item", "user"}, default="item"
        What the rows of the table are.

    Returns
    -------
    features : csr_matrix of shape (n_items, n_features), float32
        One row per item; zeros for items not in the table.
    encoder : transformer
        The fitted encoder.

    Raises
    ------
    TypeError
        If `encoder` is neither ``"auto"`` nor an instance of a transformer.
    ValueError
        If the encoder's output is not a finite numeric matrix with one row per item of the table
        and at least one column.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg._data._item_features import encode_items
    >>> from sklearn_selreg._data._item_table import read_item_data
    >>> table = read_item_data({7: "crime", 3: "comedy", 5: "crime", 4: "comedy"})
    >>> features, encoder = encode_items("auto", table, np.array([3, 7, 99]))
    >>> encoder.get_feature_names_out()
    array(['text=comedy', 'text=crime'], dtype=object)
    >>> features.toarray()
    array([[1., 0.],
           [0., 1.],
           [0., 0.]], dtype=float32)
    """
    if isinstance(encoder, str) and encoder == "auto":
        encoder = AutoItemEncoder()
    elif isinstance(encoder, type) or not (
        hasattr(encoder, "fit") and hasattr(encoder, "transform")
    ):
        raise TypeError(
            "item_encoder must be 'auto', None or an instance of a scikit-learn transformer; "
            f"got {encoder!r}."
        )
    encoder = clone(encoder)
    # A global `transform_output` would request dense frames.
    with config_context(transform_output="default"):
        rows = encoder.fit_transform(table.frame)
    rows = _check_features(rows, len(table.ids), encoder)
    _warn_of_unread_columns(encoder, of)
    position = encode(table.ids, items)
    return pick_rows(rows, position), encoder


def pick_rows(features: sparse.csr_matrix, position: np.ndarray) -> sparse.csr_matrix:
    """Return the features at the given positions; zeros for -1."""
    n_rows = features.shape[0]
    if len(position) == n_rows and is_dense(features) and (position == np.arange(n_rows)).all():
        return features  # dense features are large: avoid a copy
    known = np.flatnonzero(position >= 0)
    pick = sparse.csr_matrix(
        (np.ones(known.size, dtype=np.float32), (known, position[known])),
        shape=(len(position), features.shape[0]),
    )
    return pick @ features


def _warn_of_unread_columns(encoder, of):
    """Warn about columns whose content type AutoItemEncoder does not support."""
    dropped = getattr(encoder, "dropped_", {})
    unread = ", ".join(
        f"{name!r} ({reason})"
        for name, reason in dropped.items()
        if reason.startswith(("values of", "vectors", "lists"))
    )
    if unread:
        warn(
            f"Columns of {of}_data were ignored in the features: {unread}. Convert them to "
            "numbers, text or vectors of equal length, or drop them."
        )


def transform_items(
    encoder: Any, table: ItemTable, n_features: int, *, of: Literal["item", "user"] = "item"
) -> sparse.csr_matrix:
    """Encode new items with a fitted encoder, (n_items, n_features) csr float32.

    Raises
    ------
    ValueError
        If the encoder's output differs in form from that in fit.
    """
    with config_context(transform_output="default"):
        rows = encoder.transform(_reorder_columns(table.frame, encoder))
    rows = _check_features(rows, len(table.ids), encoder)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"{type(encoder).__name__} returned {rows.shape[1]} features for the new {of}s, but "
            f"{n_features} in fit. {of}_data must have the same columns as in fit."
        )
    return rows


def _reorder_columns(frame, encoder):
    """Return the columns in the order seen by the encoder in fit, if they are the same."""
    position = {str(name): position for position, name in enumerate(frame.columns)}
    fitted = list(getattr(encoder, "feature_names_in_", ()))
    if set(fitted) != set(position):
        return frame
    return frame.iloc[:, [position[name] for name in fitted]]


def feature_names(encoder: Any, features: sparse.csr_matrix | None) -> np.ndarray:
    """Names of the features, (n_features,) object; empty without features.

    If the encoder provides no names, they are ``"feature 0"``, ``"feature 1"`` and so on.
    """
    if features is None:
        return np.empty(0, dtype=object)
    try:
        names = encoder.get_feature_names_out()
    except (AttributeError, ValueError, NotImplementedError):
        names = [f"feature {n}" for n in range(features.shape[1])]
    return np.asarray(names, dtype=object)


def _check_features(features, n_rows, encoder):
    """Convert the output of an encoder to CSR float32, or raise a ValueError."""
    name = type(encoder).__name__
    if not sparse.issparse(features):
        features = np.asarray(features)
    if features.ndim != 2 or features.shape[0] != n_rows or features.shape[1] == 0:
        raise ValueError(
            f"item_encoder must return one row for each of the {n_rows} items and at least one "
            f"column; got an array of shape {features.shape} from {name}. (Wrap transformers of a "
            "single text column in a ColumnTransformer.)"
        )
    try:
        if sparse.issparse(features):  # else duplicates might be summed in 8 bits
            features = features.astype(np.float32, copy=False)
        features = sparse.csr_matrix(features, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"item_encoder must return numbers; got values of type {features.dtype} from {name}."
        ) from error
    if not np.isfinite(features.data).all():
        raise ValueError(
            f"item_encoder must return finite numbers; got NaN or infinity from {name}."
        )
    return features

"""Item features: the output of an encoder, for the items of the fit and for new ones.

User features are made likewise.
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
    """Fit an encoder on the item table, and return the features of some items.

    Parameters
    ----------
    encoder : "auto" or transformer
        ``"auto"`` is ``AutoItemEncoder()``. A transformer is cloned, then fitted on all of
        ``table.frame``.
    table : ItemTable
        Item data.
    items : ndarray of shape (n_items,)
        Ids of the wanted items.
    of : {"item", "user"}, default="item"
        What the rows of the table are.

    Returns
    -------
    features : csr_matrix of shape (n_items, n_features), float32
        One row for each of `items`; zeros for items that the table does not have.
    encoder : transformer
        The fitted encoder.

    Raises
    ------
    TypeError
        If `encoder` is neither ``"auto"`` nor an instance of a transformer.
    ValueError
        If the encoder's output is not a finite numeric matrix with one row per row of the table and
        at least one column.

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
    # A global `transform_output` asks for dense frames.
    with config_context(transform_output="default"):
        rows = encoder.fit_transform(table.frame)
    rows = _check_features(rows, len(table.ids), encoder)
    _warn_of_unread_columns(encoder, of)
    position = encode(table.ids, items)
    return pick_rows(rows, position), encoder


def pick_rows(features: sparse.csr_matrix, position: np.ndarray) -> sparse.csr_matrix:
    """Return the features at some positions; a row of zeros at -1."""
    if is_dense(features) and np.array_equal(position, np.arange(features.shape[0])):
        return features  # dense features are large: avoid a copy
    known = np.flatnonzero(position >= 0)
    pick = sparse.csr_matrix(
        (np.ones(known.size, dtype=np.float32), (known, position[known])),
        shape=(len(position), features.shape[0]),
    )
    return pick @ features


def _warn_of_unread_columns(encoder, of):
    """Warn of columns with content of a type that AutoItemEncoder does not read."""
    dropped = getattr(encoder, "dropped_", {})
    unread = ", ".join(
        f"{name!r} ({reason})"
        for name, reason in dropped.items()
        if reason.startswith(("values of", "vectors", "lists"))
    )
    if unread:
        warn(
            f"Columns of {of}_data are left out of the features: {unread}. Convert them to "
            "numbers, texts or vectors of one length, or drop them."
        )


def transform_items(
    encoder: Any, table: ItemTable, n_features: int, *, of: Literal["item", "user"] = "item"
) -> sparse.csr_matrix:
    """Return the features of new items by a fitted encoder, (n_items, n_features) csr float32.

    Raises
    ------
    ValueError
        If the encoder's output does not have the form that it had in the fit.
    """
    with config_context(transform_output="default"):
        rows = encoder.transform(_reorder_columns(table.frame, encoder))
    rows = _check_features(rows, len(table.ids), encoder)
    if rows.shape[1] != n_features:
        raise ValueError(
            f"{type(encoder).__name__} made {rows.shape[1]} features of the new {of}s, and "
            f"{n_features} in fit: {of}_data must have the columns it had there."
        )
    return rows


def _reorder_columns(frame, encoder):
    """Return the columns in the order in which the encoder was fitted, if they are the same."""
    position = {str(name): position for position, name in enumerate(frame.columns)}
    fitted = list(getattr(encoder, "feature_names_in_", ()))
    if set(fitted) != set(position):
        return frame
    return frame.iloc[:, [position[name] for name in fitted]]


def feature_names(encoder: Any, features: sparse.csr_matrix | None) -> np.ndarray:
    """Return the names of features, (n_features,) object; empty without features.

    They are ``"feature 0"`` and so on if the encoder has no names.
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
            f"item_encoder must make one row for each of the {n_rows} items and at least one "
            f"column; got an array of shape {features.shape} from {name}. (Transformers of one "
            "text column go into a ColumnTransformer.)"
        )
    try:
        if sparse.issparse(features):  # before duplicates are summed, perhaps in 8 bits
            features = features.astype(np.float32, copy=False)
        features = sparse.csr_matrix(features, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"item_encoder must make numbers; got values of type {features.dtype} from {name}."
        ) from error
    if not np.isfinite(features.data).all():
        raise ValueError(f"item_encoder must make finite numbers; got NaN or infinity from {name}.")
    return features

"""Access to the attributes of a model that metrics need."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from .._data._interactions import Interactions
from .._data._requested_ids import warn_of_unknown

FITTED = ("users_", "items_", "user_factors_", "item_factors_")


@dataclass(frozen=True, eq=False)
class ModelView:
    """Attributes of a model that metrics need; a function has only default values.

    Attributes
    ----------
    users, items : ndarrays of shape (n_users,) and (n_items,), or None
        Ids of the rows of the factors.
    user_factors, item_factors : ndarrays of shape (n_users or n_items, n_factors), or None
    n_periods : int
        Number of popularity periods, whose columns are the last ones of the user factors.
    interactions : Interactions or None
        Interactions that the model was fitted on, if it keeps them.
    user_col, item_col : int or str
        Columns of the ids.
    n_columns : int or None
        Number of columns of the table that the model was fitted on.
    negatives : {"error", "net"}
        How negative strengths are treated.
    n_threads : int or None
    features : csr_matrix of shape (n_items, n_features), or None
        Item features.
    """

    users: np.ndarray | None
    items: np.ndarray | None
    user_factors: np.ndarray | None
    item_factors: np.ndarray | None
    n_periods: int
    interactions: Interactions | None
    user_col: int | str
    item_col: int | str
    n_columns: int | None
    negatives: str
    n_threads: int | None
    features: Any


def view_model(model: Any) -> ModelView:
    """Read a model's attributes; no other function in this package accesses them by name."""
    users, items, user_factors, item_factors = (getattr(model, name, None) for name in FITTED)
    fitted, interactions = getattr(model, "_fitted", None), None
    if fitted is not None:
        known = fitted.histories
        interactions = Interactions(
            known.matrix, known.recency_rank, known.times, users=fitted.users, items=fitted.items
        )
    return ModelView(
        users,
        items,
        user_factors,
        item_factors,
        n_periods=1 if fitted is None else len(fitted.periods),
        interactions=interactions,
        user_col=getattr(model, "user_col", 0),
        item_col=getattr(model, "item_col", 1),
        n_columns=getattr(model, "n_features_in_", None),
        negatives=getattr(model, "negatives", "error"),
        n_threads=getattr(model, "_num_threads", None),
        features=None if fitted is None else fitted.features,
    )


def unwrap(model):
    """Return the model inside searches and Pipelines, and the transformers applied before it."""
    steps = []
    while True:
        if isinstance(model, Pipeline):
            steps += [model[:-1]] if len(model) > 1 else []
            model = model[-1]
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            return model, steps


def warn_of_unknown_ids(held_out, rows, columns, known_users, known_items):
    """Warn if most evaluated users or items are unknown to the model.

    Parameters
    ----------
    held_out : Interactions
    rows, columns : ndarrays of shape (n_users,) and (n_items,), int
        Positions of the held-out ids in the model; -1 if unknown.
    known_users, known_items : ndarrays
        Ids known to the model.
    """
    warn_of_unknown(
        "users",
        held_out.users[rows < 0],
        len(held_out.users),
        known_users,
        "they get the ranking of the mean user. If the rows are sorted by user, use splits with "
        "shuffle=True",
        tolerated="half",
    )
    warn_of_unknown(
        "items",
        held_out.items[columns < 0],
        len(held_out.items),
        known_items,
        "they cannot be recommended, except as a user's last items",
        tolerated="half",
    )

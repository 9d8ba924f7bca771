"""Scoring functions, from user ids to scores of the catalog, for all kinds of models."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._data._csr import count_interactions
from .._data._ids import encode
from .._data._periods import mean_user
from .._utils._params import name_kind
from ._models import FITTED
from ._pairs import counts_by_id


def make_scorer(model, view, items):
    """Return a function from user ids to scores of the catalog, and the ids of the catalog.

    Parameters
    ----------
    model : estimator, callable or "popularity"
    view : ModelView
    items : array-like of shape (n_items,) or None

    Returns
    -------
    score : callable or None
        None for "popularity", which requires the interactions: see `popularity_scorer`.
    catalog : ndarray of shape (n_items,)
    """
    catalog = None if items is None else _check_catalog(items)
    if isinstance(model, BaseEstimator):
        message = (
            f"ranking_report needs a fitted estimator with {', '.join(FITTED)}, or a function "
            "from user ids to scores; this %(name)s lacks some of these attributes."
        )
        check_is_fitted(model, FITTED, msg=message)
        catalog = view.items if catalog is None else catalog
        return _factor_scorer(view, catalog), catalog
    by_popularity = isinstance(model, str) and model == "popularity"
    if not callable(model) and not by_popularity:
        raise TypeError(
            "model must be a fitted estimator, a Pipeline, 'popularity' or a function from user "
            f"ids to scores; got {name_kind(model)}."
        )
    if catalog is None:
        raise ValueError(
            "items is required for 'popularity' (e.g. model.items_) and for a callable model (the "
            "ids of the columns of its scores, in order); got None."
        )
    return None if by_popularity else checked_scorer(model, len(catalog)), catalog


def _check_catalog(items):
    items = pd.Index(items, tupleize_cols=False)
    if not len(items) or not items.is_unique:
        raise ValueError(
            f"items must contain at least one id, and each id once; got {len(items)} ids, of which "
            f"{items.nunique()} are distinct."
        )
    return items.to_numpy()


def popularity_scorer(interactions, catalog):
    """Score each item by its number of users, the same for all users."""
    counts = counts_by_id(catalog, interactions.items, count_interactions(interactions.matrix))
    return lambda user_ids: np.tile(counts.astype(np.float32), (len(user_ids), 1))


def _factor_scorer(view, catalog):
    """Score by factors; unknown users are the mean user, unknown items get the lowest score."""
    position = encode(view.items, catalog)
    is_known = position >= 0
    if not is_known.any():
        raise ValueError(
            "items must contain ids that the model knows (e.g. "
            f"{view.items[:1].tolist()[0]!r}); got {len(catalog)} unknown ids (e.g. "
            f"{catalog[:1].tolist()[0]!r}). Check the id type: 1 and '1' are different ids."
        )
    item_factors = view.item_factors[position[is_known]]
    unknown = mean_user(view.user_factors, view.n_periods)

    def score(user_ids):
        user = encode(view.users, user_ids)
        factors = np.where(user[:, None] >= 0, view.user_factors[user], unknown)
        scores = np.empty((len(user_ids), len(catalog)), dtype=np.float32)
        scores[:, is_known] = factors @ item_factors.T
        scores[:, ~is_known] = scores[:, is_known].min(axis=1, keepdims=True)
        return scores

    return checked_scorer(score, len(catalog))


def checked_scorer(function, n_items):
    """Wrap a scoring function; return a copy of its scores after checking shape and values."""

    def score(user_ids):
        scores = np.array(function(user_ids), order="C")
        expected = (len(user_ids), n_items)
        if scores.shape != expected or scores.dtype.kind not in "fiu":
            raise ValueError(
                f"The model must return numbers of shape {expected} (users x items); got "
                f"{scores.dtype} of shape {scores.shape}."
            )
        if not np.isfinite([scores.min(), scores.max()]).all():
            raise ValueError("The model must return finite scores; got NaN or infinity.")
        return scores.astype(np.result_type(scores, np.float32), copy=False)

    return score

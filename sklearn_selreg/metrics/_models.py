"""What is evaluated: models, pipelines, functions and simple baselines, as functions of users."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._data._ids import encode
from .._data._interactions import Interactions, index_interactions
from .._data._periods import mean_user
from .._data._requested_ids import message_none_known, warn_of_unknown
from .._utils._params import name_kind
from .._utils._warn import warn
from ._ranks import counts_by_id, dcg_discounts, expected_worth, positions_of, rank_held_out

# Scores


def unwrap(model):
    """Return the model within searches and Pipelines, and the transformers on the way to it."""
    steps = []
    while True:
        if isinstance(model, Pipeline):
            steps += [model[:-1]] if len(model) > 1 else []
            model = model[-1]
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            return model, steps


def index_other(name, table, **columns):
    """Index a table of interactions that is not X, and name it in errors."""
    try:
        return index_interactions(table, **columns)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} is a table, read as X is. {error}") from error


def fitted_interactions(model):
    """Return the interactions that a model was fitted on."""
    matrix = getattr(model, "_matrix", None)
    if matrix is None:
        what = repr(model) if isinstance(model, str) else name_kind(model)
        raise ValueError(
            "train must be given, the interactions that the model was fitted on, as "
            f"{what} does not tell; got None."
        )
    # No metric looks at the order.
    return Interactions(matrix, None, users=model.users_, items=model.items_)


def as_scorer(model, items):
    """Return a function from user ids to scores of the catalog, and the catalog's ids.

    The function is None for "popularity", which takes the interactions: `popularity_scorer`.
    """
    if items is not None:
        items = pd.Index(items, tupleize_cols=False)
        if not len(items) or not items.is_unique:
            raise ValueError(
                f"items must be unique ids, at least one; got {len(items)} of which "
                f"{items.nunique()} are different."
            )
        items = items.to_numpy()
    attributes = ("users_", "items_", "user_factors_", "item_factors_")
    if isinstance(model, BaseEstimator):
        message = (
            f"ranking_report needs a fitted estimator with {', '.join(attributes)}, or a function "
            "from user ids to scores; this %(name)s lacks some of these attributes."
        )
        check_is_fitted(model, attributes, msg=message)
        catalog = model.items_ if items is None else items
        return _factor_scorer(model, catalog), catalog
    by_popularity = isinstance(model, str) and model == "popularity"
    if not callable(model) and not by_popularity:
        raise TypeError(
            "model must be a fitted estimator, a Pipeline, 'popularity' or a function from user "
            "ids to scores; "
            f"got {name_kind(model)}."
        )
    if items is None:
        raise ValueError(
            "items must be given with 'popularity', such as model.items_, and with a callable "
            "model: the ids of the columns of its scores, in their order; got None."
        )
    return None if by_popularity else _checked_scorer(model, len(items)), items


def popularity_scorer(interactions, catalog):
    """Score by the number of users of each item, for all users alike."""
    counts = counts_by_id(catalog, interactions.items, interactions.matrix.getnnz(axis=0))
    return lambda user_ids: np.tile(counts.astype(np.float32), (len(user_ids), 1))


def _factor_scorer(model, catalog):
    """Score by factors: mean user for unknown users, each user's lowest score for unknown items."""
    position = encode(model.items_, catalog)
    known = position >= 0
    if not known.any():
        raise ValueError(message_none_known(catalog, model.items_))
    item_factors = model.item_factors_[position[known]]
    unknown = mean_user(model.user_factors_, len(getattr(model, "_periods", [0])))

    def score(user_ids):
        user = encode(model.users_, user_ids)
        factors = np.where(user[:, None] >= 0, model.user_factors_[user], unknown)
        scores = np.empty((len(user_ids), len(catalog)), dtype=np.float32)
        scores[:, known] = factors @ item_factors.T
        scores[:, ~known] = scores[:, known].min(axis=1, keepdims=True)
        return scores

    return _checked_scorer(score, len(catalog))


def _checked_scorer(function, n_items):
    """Wrap a scoring function: a float array of its own, of the right shape, all finite."""

    def score(user_ids):
        scores = np.array(function(user_ids), order="C")
        expected = (len(user_ids), n_items)
        if scores.shape != expected or scores.dtype.kind not in "fiu":
            raise ValueError(
                f"The model must return numbers of shape {expected} (users, items); got "
                f"{scores.dtype} of shape {scores.shape}."
            )
        if not np.isfinite([scores.min(), scores.max()]).all():
            raise ValueError("The model must return finite scores; got NaN or infinity.")
        return scores.astype(np.result_type(scores, np.float32), copy=False)

    return score


def warn_of_unknown_ids(model, users, rows, items, columns):
    """Warn if most users or items of a score are unknown to the model.

    Parameters
    ----------
    model : object
        With `users_` and `items_`.
    users, items : ndarrays of shape (n_users,) and (n_items,)
    rows, columns : ndarrays of shape (n_users,) and (n_items,), int
        Where the model has them; -1: nowhere.
    """
    warn_of_unknown(
        "users",
        users[rows < 0],
        len(users),
        model.users_,
        "they are ranked for as the mean user. If the rows are sorted by user, shuffle the splits",
        tolerated="half",
    )
    warn_of_unknown(
        "items",
        items[columns < 0],
        len(items),
        model.items_,
        "they cannot be recommended, or as a user's last ones at most",
        tolerated="half",
    )


def mean_ndcg(score, held_out, items, *, seen, k=10, verbose=0):
    """Mean NDCG@k over the users of a matrix of held-out interactions.

    Parameters
    ----------
    score : callable
        From a slice of users to scores (n_rows, n_items), finite floats to write to.
    held_out : csr_matrix of shape (n_users, n_held_out_items)
        Relevant are its entries.
    items : intp array of shape (n_held_out_items,)
        Columns of the scores; -1 for items outside the catalog, which count as misses.
    seen : csr_matrix of shape (n_users, n_items)
        Items that are no candidates, unless relevant.
    k : int, default=10
    verbose : int, default=0
        Above 0: a progress bar over the users.

    Returns
    -------
    ndcg : float
        Over the users with at least one relevant item; see `ranking_report`.
    """
    user, item = positions_of(held_out)
    n_users, n_items = seen.shape
    seen_user, seen_item = positions_of(seen)
    removed = seen_user * n_items + seen_item
    above, level, _ = rank_held_out(score, user, items[item], removed, n_users, n_items, verbose)
    gain = np.bincount(user, expected_worth(dcg_discounts(k), above, level), minlength=n_users)
    n_relevant = np.bincount(user, minlength=n_users)
    ideal = np.append(0, np.cumsum(dcg_discounts(k)))[np.minimum(n_relevant, k)]
    return float(np.mean(gain[ideal > 0] / ideal[ideal > 0]))


def warn_of_other_catalog(a, b):
    """Warn if two reports rank different items: among fewer a place is higher.

    Parameters
    ----------
    a, b : RankingReport
    """
    catalogs = [getattr(report, "catalog", None) for report in (a, b)]
    if any(catalog is None for catalog in catalogs):  # pickled by an earlier version
        return
    missing = [np.sum(encode(*pair) < 0) for pair in (catalogs, catalogs[::-1])]
    if any(missing):
        warn(
            f"The reports rank different items, {len(catalogs[0])} and {len(catalogs[1])}, of "
            f"which {missing[1]} and {missing[0]} are in one catalog alone; so their difference is "
            "also one of the catalogs. Pass the same items= to ranking_report, such as the union."
        )

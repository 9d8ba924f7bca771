"""The evaluation task: rank held-out items among the candidates of their users."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from .._data._arrays import to_numpy
from .._data._ids import encode
from .._data._interactions import index_interactions
from .._utils._params import name_kind
from ._lists import ListContext
from ._models import unwrap, view_model, warn_of_unknown_ids
from ._ndcg import dcg_discounts, expected_gain
from ._pairs import pair_numbers, positions_of
from ._ranks import rank_held_out
from ._regimes import assign_regimes, assign_segments
from ._scores import make_scorer, popularity_scorer


@dataclass(frozen=True, eq=False)
class RankingTask:
    """Held-out interactions and the candidates of their users.

    Attributes
    ----------
    pairs : DataFrame of shape (n_pairs, n_columns)
        Held-out interactions, sorted by user: ids of `user` and `item`, and boolean columns `cold`,
        `warm`, `tail`, `new` and the user-defined segments.
    users, catalog : ndarrays of shape (n_users,) and (n_items,)
        Ids of the held-out users, and of all ranked items.
    user, item : intp arrays of shape (n_pairs,)
        Positions of the pairs in `users` and `catalog`; item -1 is not in the catalog.
    excluded : intp array
        Pairs `user * n_items + item` that are not candidates, unless held out.
    n_fitted : int
        Number of pairs that are training interactions.
    context : ListContext
    """

    pairs: pd.DataFrame
    users: np.ndarray
    catalog: np.ndarray
    user: np.ndarray
    item: np.ndarray
    excluded: np.ndarray
    n_fitted: int
    context: ListContext

    def rank(self, score, k, verbose=0, *, lists=False):
        """Return the pairs with their results in the ranking by `score`.

        Parameters
        ----------
        score : callable
            Maps user ids to scores of the catalog.
        k : int
        verbose : int
        lists : bool, default=False
            Whether to also describe each user's list of the k best items.

        Returns
        -------
        details : DataFrame of shape (n_pairs, n_columns)
            See `RankingReport`.
        lists : DataFrame of shape (n_users, 6), or None
            Likewise.
        """
        n_above, n_tied, auc, best = rank_held_out(
            lambda rows: score(self.users[rows]),
            self.user,
            self.item,
            self.excluded,
            len(self.users),
            len(self.catalog),
            verbose,
            min(k, len(self.catalog)) if lists else 0,
        )
        details = self.pairs.assign(
            n_above=n_above,
            n_tied=n_tied,
            gain=expected_gain(dcg_discounts(k), n_above, n_tied),
            hit=expected_gain(np.ones(k), n_above, n_tied),
            auc=auc,
        )
        return details, self.context.describe(self.users, best) if lists else None


def read_task(
    model,
    X,
    *,
    train=None,
    y=None,
    cohort=None,
    items=None,
    exclude=None,
    user_segments=None,
    item_segments=None,
    item_features=None,
    user_col=None,
    item_col=None,
):
    """Read the data and the model of a ranking task; for the parameters see `ranking_report`.

    Returns
    -------
    task : RankingTask
    score : callable
        Maps user ids to the model's scores of the catalog.
    view : ModelView
    """
    model, steps = unwrap(model)
    for transformer in steps:
        X = transformer.transform(X)
        train, exclude = (t if t is None else transformer.transform(t) for t in (train, exclude))
    view = view_model(model)
    score, catalog = make_scorer(model, view, items)
    if sparse.issparse(X):
        raise TypeError(
            "X must be a table: the rows of a sparse matrix do not identify users. Convert it by "
            "`X, y = interactions_from_sparse(csr)`."
        )
    columns = {
        "user_col": view.user_col if user_col is None else user_col,
        "item_col": view.item_col if item_col is None else item_col,
        "usual_width": view.n_columns,  # fit has already warned
    }
    if view.users is None:
        _check_netted(y)
    held_out = index_interactions(X, y, **columns, negatives=view.negatives)
    training = _read_training(model, view, train, columns)
    if view.users is not None:
        known = view.users, view.items
        positions = encode(known[0], held_out.users), encode(known[1], held_out.items)
        warn_of_unknown_ids(held_out, *positions, *known)
    others = None if exclude is None else _index_other("exclude", exclude, columns)
    context = ListContext(training, catalog, _features(view, catalog, item_features))
    segments = (user_segments, item_segments)
    task = _make_task(held_out, training, others, catalog, cohort, segments, context)
    return task, popularity_scorer(training, catalog) if score is None else score, view


def _check_netted(y):
    """Raise a ValueError for negative strengths, which only an estimator can net."""
    strengths = np.empty(0) if y is None else to_numpy(y)
    n_negative = np.sum(strengths < 0) if strengths.dtype.kind in "if" else 0
    if n_negative:
        raise ValueError(
            'y must be >= 0 for "popularity" and for functions, which do not net returns; got '
            f"{n_negative} negative values. Sum y per user and item, drop sums <= 0, and pass the "
            'result as X without y; do the same with train. An estimator with negatives="net" '
            "evaluates on the same pairs, so that their reports can be compared."
        )


def _read_training(model, view, train, columns):
    """Return the given training interactions, or else those that the model keeps."""
    if train is not None:
        return _index_other("train", train, columns)
    if view.interactions is None or not view.interactions.matrix.nnz:
        what = repr(model) if isinstance(model, str) else name_kind(model)
        lacks = "does not keep them" if view.interactions is None else "was given none"
        raise ValueError(
            "train must be given, because the interactions that the model was fitted on are "
            f"unknown: {what} {lacks}; got None."
        )
    return view.interactions


def _index_other(name, table, columns):
    """Index a table of interactions other than X, and mention its name in errors."""
    try:
        return index_interactions(table, **columns, name=name)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} must be a table of the same form as X. {error}") from error


def _features(view, catalog, given):
    """Return the given features of the catalog, or else those of the model, if any."""
    if given is None:
        if view.features is None:
            return None
        position = encode(view.items, catalog)
        empty = sparse.csr_matrix((1, view.features.shape[1]), dtype=view.features.dtype)
        return sparse.vstack([view.features, empty], format="csr")[position]
    features = sparse.csr_matrix(given, dtype=np.float64)
    if features.shape[0] != len(catalog) or not np.isfinite(features.data).all():
        raise ValueError(
            f"item_features must be finite and have one row for each of the {len(catalog)} items "
            f"of the catalog; got shape {features.shape}."
        )
    return features


def _make_task(held_out, training, others, catalog, cohort, segments, context):
    """Build the ranking task; `others` are further pairs to exclude, or None."""
    user, item = positions_of(held_out.matrix)
    regimes = assign_regimes(held_out, training, user, item, cohort)
    of_users, of_items = assign_segments(*segments, held_out.users, held_out.items)
    regimes |= {name: which[user] for name, which in of_users.items()}
    regimes |= {name: which[item] for name, which in of_items.items()}
    column = encode(catalog, held_out.items)[item]
    fitted = pair_numbers(training, held_out.users, catalog)
    excluded = [fitted]
    if others is not None:
        excluded.append(pair_numbers(others, held_out.users, catalog))
    inside = column >= 0
    return RankingTask(
        pairs=pd.DataFrame({"user": held_out.users[user], "item": held_out.items[item], **regimes}),
        users=held_out.users,
        catalog=catalog,
        user=user,
        item=column,
        excluded=np.concatenate(excluded),
        n_fitted=np.count_nonzero(np.isin((user * len(catalog) + column)[inside], fitted)),
        context=context,
    )

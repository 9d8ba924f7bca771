"""Full-catalog ranking metrics by regime, and paired comparisons of two models."""

import numpy as np
import pandas as pd
from scipy import sparse

from .._data._ids import encode
from .._data._interactions import index_interactions
from .._utils._params import check_integer
from .._utils._warn import warn
from ._models import (
    as_scorer,
    fitted_interactions,
    index_other,
    popularity_scorer,
    unwrap,
    warn_of_unknown_ids,
)
from ._ranks import counts_by_id, dcg_discounts, expected_worth, positions_of, rank_held_out

REGIMES = ("overall", "cold", "warm", "tail", "new")
_COLD_BELOW = 3  # fitted interactions of a user, when no cohort is given
_TAIL_UP_TO = 3  # training interactions of an item
MEANINGS = {
    "cold": f"Cold are users with fewer than {_COLD_BELOW} items in the training rows.",
    "warm": f"Warm are users with at least {_COLD_BELOW} items in the training rows.",
    "tail": f"In the tail are items of at most {_TAIL_UP_TO} users in the training rows.",
    "new": "New are cold-start items: those that nobody has in the training rows.",
}


class RankingReport(pd.DataFrame):
    """The table of `ranking_report`, with what it was averaged from.

    Attributes
    ----------
    details : DataFrame of shape (n_interactions, 9)
        One row a held-out interaction: `user`, `item`; the regimes it belongs to (`cold`, `warm`,
        `tail`, `new`); `gain`, its expected discounted gain in the top k; `hit`, its expected
        share of the top k (between 0 and 1 for ties only); `auc`, the fraction of the user's
        negatives it beats (NaN for a user without negatives).
    k : int
        The cutoff of `gain` and `hit`.
    catalog : ndarray of shape (n_items,)
        Ids of the items that were ranked.

    Notes
    -----
    The attributes are kept by pickling, copying, slicing and rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg.metrics import ranking_report
    >>> report = ranking_report(
    ...     lambda users: np.tile([3.0, 2.0, 1.0], (len(users), 1)),
    ...     [["ann", "Heat"]],
    ...     train=[["bob", "Up"], ["ann", "Up"]],
    ...     items=["Up", "Heat", "Coco"],
    ... )
    >>> report.details[["user", "item", "auc"]]
      user  item  auc
    0  ann  Heat  1.0
    """

    _metadata = ["details", "k", "catalog"]  # noqa: RUF012 (pandas' own protocol)

    @property
    def _constructor(self):
        return RankingReport


def ranking_report(
    model,
    X,
    *,
    train=None,
    y=None,
    cohort=None,
    items=None,
    exclude=None,
    k=10,
    user_col=None,
    item_col=None,
    verbose=0,
):
    r"""Rank the whole catalog for each held-out user and report by regime.

    Each user's candidates are all items of the catalog but those the user has in `train` or in
    `exclude`; the user's items in `X` always stay. Items of `X` with `y > 0` are relevant, all
    other candidates are negatives.

    Parameters
    ----------
    model : estimator, Pipeline, "popularity" or callable
        - A fitted estimator with `users_`, `items_`, `user_factors_` and `item_factors_`. Users it
          does not know are given its mean user, items it does not know the user's lowest score.
        - A fitted Pipeline that ends in one; the steps before transform `X`, `train` and `exclude`.
        - A fitted search, such as GridSearchCV: its best estimator.
        - "popularity": the same list for all users, by the number of users that items have in
          `train`. What any model has to beat.
        - A function `f(user_ids) -> scores` of shape (len(user_ids), len(items)), finite. It is
          called with the held-out users' ids, each once, some at a time.
    X : table of shape (n_rows, n_columns)
        Held-out interactions: pandas or polars DataFrame, or 2-D array. Repeated rows count once.
        What is in `train` as well, such as a good that was bought again, counts as relevant: leave
        such rows out where only what is new to a user is to be recommended.
    train : table, sparse matrix or None, default=None
        The interactions the model was fitted on. Each row of a table is taken as a positive. None:
        those that a fitted :class:`~sklearn_selreg.SelectiveLLMRegularizedMF` remembers.
    y : array-like of shape (n_rows,), default=None
        Strengths of `X`; rows with 0 are not relevant. None: all are.
    cohort : Series or dict, default=None
        User id -> `"cold"` or `"warm"`; users it does not name are in neither. None: cold are the
        users with fewer than 3 items in `train`.
    items : array-like of shape (n_items,), default=None
        The catalog, required for "popularity" and for a callable (its columns, in this order).
        None: the estimator's `items_`. Compare models on the same catalog.
    exclude : table, default=None
        Pairs to take out of the candidates as well, such as a user's other held-out likes.
    k : int, default=10
        Cutoff of NDCG and recall.
    user_col, item_col : int, str or None, default=None
        Columns of the ids in `X`, `train` and `exclude`. None: those of the estimator, else the
        first two.
    verbose : int, default=0
        Above 0: a progress bar over the users.

    Returns
    -------
    RankingReport
        A DataFrame. Rows: `overall`; `cold` and `warm` users; `tail` and `new`, the interactions
        with items of at most 3, and of no, users in `train`. Columns: `NDCG@k`, `recall@k`, `AUC`
        (all in [0, 1], NaN for an empty regime), `users`, `interactions`.

    Raises
    ------
    NotFittedError
        For an estimator that lacks the fitted attributes above.
    ValueError
        For invalid tables, a callable without `items`, a model that does not remember its
        interactions without `train`, scores of another shape or not finite,
        a cohort with other values or with none of the users, and if no `y` is positive.
    TypeError
        For a model that is none of these, and for sparse `X`.

    Warns
    -----
    DataWarning
        If more than half of the users or of the items are unknown to the model, or more than half
        of the interactions in X are in `train`.

    See Also
    --------
    compare_reports : Confidence intervals of the difference of two models.

    Notes
    -----
    - **NDCG@k** is binary, with discounts :math:`1 / \log_2(1 + position)`, divided by the gain of
      min(k, number of relevant items) items at the top; averaged over users.
    - **recall@k** is hits over *all* of the user's relevant items (as in LensKit and RecTools), so
      its maximum is below 1 for users with more than k of them; averaged over users.
    - **AUC** is, for one held-out interaction, the fraction of the user's negatives scored below
      the item, equal scores counting half; averaged over interactions.
    - **Ties** in NDCG and recall are given their expectation over random orders of equal scores
      [1]_, as in scikit-learn's `ndcg_score`: the order of the catalog is worth nothing.
    - **Items outside the catalog** cannot be recommended: no gain, no hit, AUC 0.
    - In **tail** and **new**, NDCG and recall take the user's items of that kind alone as
      relevant. The user's other relevant items keep their places in the ranking, as not relevant.
      AUC compares with the same negatives in every regime.

    References
    ----------
    .. [1] McSherry and Najork. Computing information retrieval performance measures efficiently in
       the presence of tied scores. ECIR 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg.metrics import ranking_report
    >>> train = np.array([[1, 10], [1, 11], [1, 12], [2, 10], [3, 10], [3, 11]])
    >>> held_out = np.array([[2, 11], [3, 13]])
    >>> report = ranking_report(
    ...     "popularity", held_out, train=train, items=[10, 11, 12, 13], k=1
    ... )
    >>> report.loc[["overall", "new"]]
             NDCG@1  recall@1  AUC  users  interactions
    overall     0.5       0.5  0.5      2             2
    new         0.0       0.0  0.0      1             1
    """
    report, n_fitted = evaluate(
        model,
        X,
        train=train,
        y=y,
        cohort=cohort,
        items=items,
        exclude=exclude,
        k=k,
        user_col=user_col,
        item_col=item_col,
        verbose=verbose,
    )
    if n_fitted > len(report.details) / 2:
        warn(
            f"{n_fitted} of {len(report.details)} interactions to evaluate on were among those "
            "given to fit, so the report tells how well they are remembered, not how good "
            "recommendations are. Hold rows out: sklearn_selreg.model_selection has splitters."
        )
    return report


def evaluate(
    model,
    X,
    *,
    train=None,
    y=None,
    cohort=None,
    items=None,
    exclude=None,
    k=10,
    user_col=None,
    item_col=None,
    verbose=0,
    remembered=None,
):
    """Make a report, and count the held-out interactions that were fitted.

    `remembered` are `Interactions` instead of `train`.
    """
    check_integer("k", k, 1)
    model, steps = unwrap(model)
    for transformer in steps:
        X = transformer.transform(X)
        train, exclude = (t if t is None else transformer.transform(t) for t in (train, exclude))
    score, catalog = as_scorer(model, items)
    if sparse.issparse(X):
        raise TypeError(
            "X must be a table: the rows of a sparse matrix do not say which users they are. "
            "`X, y = interactions_from_sparse(csr)` makes one."
        )
    columns = {
        "user_col": getattr(model, "user_col", 0) if user_col is None else user_col,
        "item_col": getattr(model, "item_col", 1) if item_col is None else item_col,
        "usual_width": getattr(model, "n_features_in_", None),  # fit has warned
    }
    returns = getattr(model, "negatives", "error")
    held_out = index_interactions(X, y, **columns, negatives=returns)
    fitted = remembered
    if fitted is None:
        fitted = (
            fitted_interactions(model) if train is None else index_other("train", train, **columns)
        )
    if score is None:
        score = popularity_scorer(fitted, catalog)
    if hasattr(model, "users_"):  # a function tells nothing of what it knows
        warn_of_unknown_ids(
            model,
            held_out.users,
            encode(model.users_, held_out.users),
            held_out.items,
            encode(model.items_, held_out.items),
        )
    user, item = positions_of(held_out.matrix)
    popularity = counts_by_id(held_out.items, fitted.items, fitted.matrix.getnnz(axis=0))[item]
    if cohort is None:
        activity = counts_by_id(held_out.users, fitted.users, fitted.matrix.getnnz(axis=1))
        cold, warm = activity < _COLD_BELOW, activity >= _COLD_BELOW
    else:
        cold, warm = _read_cohort(cohort, held_out.users)

    columns_of_items = encode(catalog, held_out.items)[item]
    removed = [_pair_ids(held_out.users, catalog, fitted)]
    pairs = user * len(catalog) + columns_of_items
    n_fitted = np.count_nonzero(np.isin(pairs[columns_of_items >= 0], removed[0]))
    if exclude is not None:
        others = index_other("exclude", exclude, **columns)
        removed.append(_pair_ids(held_out.users, catalog, others))
    above, level, auc = rank_held_out(
        lambda rows: score(held_out.users[rows]),
        user,
        columns_of_items,
        np.concatenate(removed),
        len(held_out.users),
        len(catalog),
        verbose,
    )
    details = pd.DataFrame(
        {
            "user": held_out.users[user],
            "item": held_out.items[item],
            "cold": cold[user],
            "warm": warm[user],
            "tail": popularity <= _TAIL_UP_TO,
            "new": popularity == 0,
            "gain": expected_worth(dcg_discounts(k), above, level),
            "hit": expected_worth(np.ones(k), above, level),
            "auc": auc,
        }
    )
    return _report(details, k, catalog), n_fitted


def _pair_ids(users, items, interactions):
    """Numbers `user * n_items + item` of the interactions within `users` and `items`."""
    user, item = positions_of(interactions.matrix)
    user = encode(users, interactions.users)[user]
    item = encode(items, interactions.items)[item]
    known = (user >= 0) & (item >= 0)
    return user[known] * len(items) + item[known]


def _read_cohort(cohort, users):
    """Two boolean arrays of shape (n_users,): who is cold and who is warm."""
    cohort = pd.Series(cohort)
    unknown = sorted(set(cohort.unique().tolist()) - {"cold", "warm"}, key=str)
    if unknown:
        raise ValueError(f'cohort must map users to "cold" or "warm"; got {unknown[:5]}.')
    if not cohort.index.is_unique:
        twice = cohort.index[cohort.index.duplicated()][0]
        raise ValueError(f"cohort must name a user once; got {twice!r} more than once.")
    label = np.append(cohort.to_numpy(dtype=object), None)[encode(cohort.index.to_numpy(), users)]
    cold, warm = label == "cold", label == "warm"
    if not (cold | warm).any():
        raise ValueError(
            f"cohort must name some of the {len(users)} users of X, such as "
            f"{users[:1].tolist()[0]!r}; got {len(cohort)} others"
            + (f", such as {cohort.index.tolist()[0]!r}." if len(cohort) else ".")
        )
    return cold, warm


def _metric_names(k):
    return [f"NDCG@{k}", f"recall@{k}", "AUC"]


def _regimes(details):
    """Float array (n_interactions, n_regimes) of 0 and 1."""
    return details.assign(overall=True)[list(REGIMES)].to_numpy(dtype=float)


def user_sums(details, k):
    """Numerators and denominators, by user, whose sums over users make the metrics.

    Returns
    -------
    float64 array of shape (n_users, 2, n_regimes, n_metrics)
    """
    codes, users = pd.factorize(details["user"])
    shape = (len(users), len(codes))
    by_user = sparse.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=shape)
    regimes = _regimes(details)
    gain, hit, auc = (details[name].to_numpy()[:, None] for name in ("gain", "hit", "auc"))

    n_relevant = by_user @ regimes
    ideal = np.append(1, np.cumsum(dcg_discounts(k)))  # 1 for no relevant item: 0 / 1
    ndcg = by_user @ (regimes * gain) / ideal[np.minimum(n_relevant, k).astype(np.intp)]
    recall = by_user @ (regimes * hit) / np.maximum(n_relevant, 1)
    beaten = by_user @ (regimes * np.nan_to_num(auc))
    present = (n_relevant > 0).astype(float)
    compared = by_user @ (regimes * np.isfinite(auc))
    numerators = np.stack([ndcg, recall, beaten], axis=-1)
    denominators = np.stack([present, present, compared], axis=-1)
    return np.stack([numerators, denominators], axis=1)


def regime_means(sums, weights=None):
    """Metrics of all users, (n_regimes, n_metrics), or of weighted ones, (n_weights, ...)."""
    if weights is None:
        totals = sums.sum(axis=0)
    else:
        totals = np.tensordot(weights.astype(float), sums, axes=1)
    numerator, denominator = np.moveaxis(totals, -3, 0)
    with np.errstate(invalid="ignore"):  # an empty regime: 0 / 0
        return numerator / denominator


def make_table(values, k, *names):
    """Lay out values (n_regimes, n_metrics, n_names), a row a regime."""
    columns = pd.MultiIndex.from_product([_metric_names(k), names], names=["metric", None])
    values = values.reshape(len(REGIMES), -1)
    return pd.DataFrame(values, index=list(REGIMES), columns=columns)


def _report(details, k, catalog=None):
    """Average the details into a report."""
    sums = user_sums(details, k)
    report = RankingReport(regime_means(sums), index=list(REGIMES), columns=_metric_names(k))
    report["users"] = sums[:, 1, :, 0].sum(axis=0).astype(np.int64)
    report["interactions"] = _regimes(details).sum(axis=0).astype(np.int64)
    report.details, report.k, report.catalog = details, int(k), catalog
    return report

"""Full-catalog ranking metrics by regime, and paired comparisons of two models."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from scipy import sparse, stats
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import _baselines
from ._interactions import Interactions, encode, index_interactions
from ._params import check_integer, name_kind
from ._progress import tqdm
from ._sklearn import InvalidParameterError
from ._strengths import StrengthScale
from ._trends import mean_user
from ._warn import warn, warn_of_unknown

__all__ = [
    "RankingReport",
    "auc_scorer",
    "compare_baselines",
    "compare_reports",
    "ndcg_at_k_scorer",
    "ranking_report",
    "recall_at_k_scorer",
    "users_needed",
]

_REGIMES = ("overall", "cold", "warm", "tail", "zero")
_COLD_BELOW = 3  # fitted interactions of a user, when no cohort is given
_TAIL_UP_TO = 3  # training interactions of an item
_MEANINGS = {
    "cold": f"Cold are users with fewer than {_COLD_BELOW} items in the training rows.",
    "warm": f"Warm are users with at least {_COLD_BELOW} items in the training rows.",
    "tail": f"In the tail are items of at most {_TAIL_UP_TO} users in the training rows.",
    "zero": "Zero means items that nobody has in the training rows.",
}
_SCORES_PER_CHUNK = 2**24  # 64 MB of float32
_COMPARISONS_PER_BLOCK = 2**21  # stays near the processor's cache
_WEIGHTS_PER_CHUNK = 2**23  # 64 MB of float64


class RankingReport(pd.DataFrame):
    """The table of `ranking_report`, with what it was averaged from.

    Attributes
    ----------
    details : DataFrame of shape (n_interactions, 9)
        One row a held-out interaction: `user`, `item`; the regimes it belongs to (`cold`, `warm`,
        `tail`, `zero`); `gain`, its expected discounted gain in the top k; `hit`, its expected
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
        A DataFrame. Rows: `overall`; `cold` and `warm` users; `tail` and `zero`, the interactions
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
    - In **tail** and **zero**, NDCG and recall take the user's items of that kind alone as
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
    >>> report.loc[["overall", "zero"]]
             NDCG@1  recall@1  AUC  users  interactions
    overall     0.5       0.5  0.5      2             2
    zero        0.0       0.0  0.0      1             1
    """
    report, n_fitted = _evaluate(
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


def _evaluate(
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
    model, steps = _unwrap(model)
    for transformer in steps:
        X = transformer.transform(X)
        train, exclude = (t if t is None else transformer.transform(t) for t in (train, exclude))
    score, catalog = _as_scorer(model, items)
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
        fitted = _remembered(model) if train is None else _index_other("train", train, **columns)
    if score is None:
        score = _popularity_scorer(fitted, catalog)
    if hasattr(model, "users_"):  # a function tells nothing of what it knows
        warn_of_unknown_ids(
            model,
            held_out.users,
            encode(model.users_, held_out.users),
            held_out.items,
            encode(model.items_, held_out.items),
        )
    user, item = _positions(held_out.matrix)
    popularity = _counts(held_out.items, fitted.items, fitted.matrix.getnnz(axis=0))[item]
    if cohort is None:
        activity = _counts(held_out.users, fitted.users, fitted.matrix.getnnz(axis=1))
        cold, warm = activity < _COLD_BELOW, activity >= _COLD_BELOW
    else:
        cold, warm = _read_cohort(cohort, held_out.users)

    columns_of_items = encode(catalog, held_out.items)[item]
    removed = [_pair_ids(held_out.users, catalog, fitted)]
    pairs = user * len(catalog) + columns_of_items
    n_fitted = np.count_nonzero(np.isin(pairs[columns_of_items >= 0], removed[0]))
    if exclude is not None:
        others = _index_other("exclude", exclude, **columns)
        removed.append(_pair_ids(held_out.users, catalog, others))
    above, level, auc = _rank(
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
            "zero": popularity == 0,
            "gain": _expectation(_discounts(k), above, level),
            "hit": _expectation(np.ones(k), above, level),
            "auc": auc,
        }
    )
    return _report(details, k, catalog), n_fitted


def compare_reports(a, b, *, n_bootstrap=2000, random_state=0, confidence=0.95, verbose=0):
    """Bootstrap the differences of two reports on the same held-out interactions.

    Parameters
    ----------
    a, b : RankingReport
        Reports of `ranking_report` on the same `X`, `train`, `cohort` and `k`.
    n_bootstrap : int, default=2000
        Number of resamples.
    random_state : int, RandomState instance or None, default=0
        Source of the resamples.
    confidence : float in (0, 1), default=0.95
        Coverage of the intervals.
    verbose : int, default=0
        Above 0: a progress bar over the resamples.

    Returns
    -------
    DataFrame of shape (5, 9)
        One row a regime; columns (metric, `difference` | `low` | `high`): the metric of `a` minus
        that of `b`, and its percentile interval. NaN for an empty regime.

    Raises
    ------
    TypeError
        If `a` or `b` does not come from `ranking_report`.
    ValueError
        If the reports differ in k, in their held-out interactions or in the regimes of these.

    Warns
    -----
    DataWarning
        If they rank different catalogs.

    See Also
    --------
    users_needed : How many users it takes to see a difference.

    Notes
    -----
    The bootstrap is paired: a resample draws users with replacement and takes both models' results
    on them. AUC, an average over interactions, takes all interactions of the users drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg.metrics import compare_reports, ranking_report
    >>> rng = np.random.default_rng(0)
    >>> train, held_out = rng.integers(40, size=(200, 2)), rng.integers(40, size=(100, 2))
    >>> def report(scores):
    ...     tiled = lambda users: np.tile(scores, (len(users), 1))
    ...     return ranking_report(tiled, held_out, train=train, items=np.arange(40))
    >>> up, down = report(np.arange(40.0)), report(-np.arange(40.0))
    >>> compare_reports(up, down).loc["overall", "AUC"].index.to_list()
    ['difference', 'low', 'high']
    """
    _check_bootstrap(n_bootstrap, confidence)
    _check_comparable(a, b)
    sums_a, sums_b = _user_sums(a.details, a.k), _user_sums(b.details, b.k)

    def difference(weights=None):
        return _means(sums_a, weights) - _means(sums_b, weights)

    values = _bootstrap(difference, len(sums_a), n_bootstrap, random_state, confidence, verbose)
    return _table(values, a.k, "difference", "low", "high")


def users_needed(a, b, difference=0.005, *, confidence=0.95, power=0.8):
    r"""Tell how many users it takes to see a difference between two models.

    What cannot be seen with the users there are is no proof that nothing is there. Make the reports
    of users for whom the models can differ, such as those a judge was asked about: where most users
    are ranked alike, both the difference and its spread are close to 0.

    Parameters
    ----------
    a, b : RankingReport
        Reports of `ranking_report` on the same `X`, `train`, `cohort` and `k`.
    difference : float > 0, default=0.005
        Of a metric; what should be seen if it is there.
    confidence : float in (0, 1), default=0.95
        Of the two-sided interval that is to exclude 0.
    power : float in (0, 1), default=0.8
        Probability of seeing the difference if it is there.

    Returns
    -------
    DataFrame of shape (5, 9)
        One row a regime; columns (metric, `error` | `users` | `needed`): the standard error of the
        paired difference `a` minus `b`; the number of users it is of; and how many such users it
        takes (NaN if none of them is ranked differently). NaN for a regime of fewer than two users.

    Raises
    ------
    TypeError
        If `a` or `b` does not come from `ranking_report`.
    ValueError
        If `difference`, `confidence` or `power` is out of range, or if the reports differ in k, in
        their held-out interactions or in the regimes of these.

    Warns
    -----
    DataWarning
        If they rank different catalogs.

    See Also
    --------
    compare_reports : The difference there is, with an interval.

    Notes
    -----
    With the standard deviation :math:`s` of the users' differences, and quantiles :math:`z` of the
    normal distribution, :math:`n = ((z_{(1 + confidence) / 2} + z_{power})\, s / difference)^2`. By
    default the sum of the quantiles is 2.8.

    AUC is an average over interactions, so a user counts by the number of them: :math:`s` is that
    of the first-order change of the average that a user makes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg.metrics import ranking_report, users_needed
    >>> rng = np.random.default_rng(0)
    >>> held_out = np.column_stack([np.arange(500), rng.integers(20, size=500)])
    >>> train = [[0, 0], [1, 1]]
    >>> def report(scores):
    ...     return ranking_report(
    ...         lambda users: scores[users], held_out, train=train, items=np.arange(20)
    ...     )
    >>> scores = rng.random((500, 20))
    >>> a, b = report(scores), report(scores + 0.1 * rng.random((500, 20)))
    >>> table = users_needed(a, b, 0.01)
    >>> table["NDCG@10"].loc["overall", ["users", "needed"]].to_list()
    [500.0, 570.0]
    """
    for name, value, upper in (
        ("difference", difference, np.inf),
        ("confidence", confidence, 1),
        ("power", power, 1),
    ):
        if not isinstance(value, Real) or not 0 < value < upper:
            above = "above 0" if upper == np.inf else "between 0 and 1"
            raise InvalidParameterError(f"{name} must be a number {above}; got {value!r}.")
    _check_comparable(a, b)
    sums = [_user_sums(report.details, report.k) for report in (a, b)]
    n_users = np.count_nonzero(sums[0][:, 1], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # regimes of one user, or none
        change = np.subtract(*(_influence(part) for part in sums))
        deviation = np.sqrt(np.sum(change**2, axis=0) / (n_users - 1))
    deviation[n_users < 2] = np.nan
    error = deviation / np.sqrt(np.maximum(n_users, 1))
    quantiles = stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(power)
    needed = np.ceil((quantiles * deviation / difference) ** 2)
    needed[needed == 0] = np.nan  # nobody is ranked differently: no telling
    values = np.stack([error, np.where(n_users < 2, np.nan, n_users), needed], axis=-1)
    return _table(values, a.k, "error", "users", "needed")


def compare_baselines(
    model,
    X,
    *,
    y=None,
    cohort=None,
    exclude=None,
    k=10,
    als_params=None,
    n_bootstrap=2000,
    random_state=0,
    verbose=0,
):
    """Compare a fitted model with simple recommenders, fitted on the same interactions.

    The first thing to look at after `fit`: a model that does not beat a list of what is popular is
    not worth having.

    Parameters
    ----------
    model : SelectiveLLMRegularizedMF, Pipeline or search
        Fitted; it tells what it was fitted on.
    X, y, cohort, exclude
        Held-out interactions, as in :func:`ranking_report`.
    k : int, default=10
        Cutoff of NDCG and recall.
    als_params : dict or None, default=None
        Of ``implicit.als.AlternatingLeastSquares``. None: its own defaults, which a search may beat
        by far.
    n_bootstrap, random_state, verbose
        As in :func:`compare_reports`; `random_state` is also that of ALS, and must be an int.

    Returns
    -------
    table : DataFrame of shape (4 or 5, 16)
        Rows: `model`; `popularity`, the same list for all; `recent popularity`, by the newest tenth
        of the interactions, if the model has a `time_col`; `implicit ALS`; `item-kNN`, by cosines
        of 100 neighbors. Columns: of NDCG@k, recall@k, and AUC (overall, and of items in the
        `tail`) the `value`, and `difference`, `low` and `high`: model minus baseline, with a 95 %
        interval of a paired bootstrap over users (NaN for the model itself).

    Raises
    ------
    ValueError, TypeError
        As in :func:`ranking_report`; for a `model` that does not remember its interactions, such as
        one of :meth:`~sklearn_selreg.SelectiveLLMRegularizedMF.from_factors` before `refine`; and
        for an `als_params` that is no dict.

    See Also
    --------
    ranking_report : One model, by kind of user and item.

    Examples
    --------
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.datasets import load_movielens_coldstart
    >>> from sklearn_selreg.metrics import compare_baselines
    >>> data = load_movielens_coldstart()
    >>> model = SelectiveLLMRegularizedMF(user_col="user", item_col="item", random_state=0)
    >>> table = compare_baselines(model.fit(data.train), data.valid, n_bootstrap=100)
    >>> table.index.tolist()
    ['model', 'popularity', 'implicit ALS', 'item-kNN']
    >>> bool((table["AUC"]["low"][["popularity", "implicit ALS"]] > 0).all())
    True
    """
    check_integer("random_state", random_state, 0)
    if als_params is not None and not isinstance(als_params, dict):
        raise TypeError(f"als_params must be a dict or None; got {name_kind(als_params)}.")
    common = {"y": y, "cohort": cohort, "exclude": exclude, "k": k, "verbose": verbose}
    own = ranking_report(model, X, **common)
    fitted, steps = _unwrap(model)
    for transformer in steps:
        X, exclude = (t if t is None else transformer.transform(t) for t in (X, exclude))
    matrix, times = _remembered(fitted).matrix, getattr(fitted, "_times", None)
    if not matrix.nnz:
        raise ValueError("model must remember the interactions it was fitted on; it has none.")
    binary = StrengthScale("binary").apply(matrix)
    n_threads = fitted._num_threads
    scorers = {"popularity": _baselines.popularity(binary)}
    if times is not None:
        scorers["recent popularity"] = _baselines.recent_popularity(binary, times)
    scorers["implicit ALS"] = _baselines.implicit_als(
        binary, n_threads, random_state, {} if als_params is None else als_params
    )
    scorers["item-kNN"] = _baselines.item_knn(binary, n_threads)
    columns = {"user_col": fitted.user_col, "item_col": fitted.item_col}
    common |= columns | {"exclude": exclude, "items": fitted.items_}
    rows = {"model": _baseline_row(own, None)}
    for name, score in scorers.items():

        def of_ids(users, score=score):
            return score(encode(fitted.users_, users))

        report, _ = _evaluate(of_ids, X, remembered=_remembered(fitted), **common)
        difference = compare_reports(
            own, report, n_bootstrap=n_bootstrap, random_state=random_state, verbose=verbose
        )
        rows[name] = _baseline_row(report, difference)
    return pd.DataFrame(rows).T


def _baseline_row(report, difference):
    """Return a row of `compare_baselines`; `difference` None: all are NaN."""
    row = {}
    for metric in (f"NDCG@{report.k}", f"recall@{report.k}", "AUC"):
        for regime in ("overall", "tail") if metric == "AUC" else ("overall",):
            name = metric if regime == "overall" else f"{metric} {regime}"
            row[name, "value"] = report.loc[regime, metric]
            for part in ("difference", "low", "high"):
                found = np.nan if difference is None else difference.loc[regime, (metric, part)]
                row[name, part] = found
    return pd.Series(row)


def report_intervals(report, *, n_bootstrap=2000, random_state=0, confidence=0.95, verbose=0):
    """Bootstrap a report over users.

    Parameters and errors are those of `compare_reports`.

    Returns
    -------
    DataFrame of shape (5, 9)
        One row a regime; columns (metric, `value` | `low` | `high`).
    """
    if getattr(report, "details", None) is None:
        raise TypeError(f"report must be one of ranking_report; got {name_kind(report)}.")
    _check_bootstrap(n_bootstrap, confidence)
    sums = _user_sums(report.details, report.k)

    def mean(weights=None):
        return _means(sums, weights)

    values = _bootstrap(mean, len(sums), n_bootstrap, random_state, confidence, verbose)
    return _table(values, report.k, "value", "low", "high")


def _check_bootstrap(n_bootstrap, confidence):
    check_integer("n_bootstrap", n_bootstrap, 1)
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise InvalidParameterError(
            f"confidence must be a number between 0 and 1; got {confidence!r}."
        )


# Scorers


@dataclass(frozen=True)
class RankingScorer:
    """A metric of `ranking_report` as a scorer; made by `ndcg_at_k_scorer` and its like.

    Attributes
    ----------
    metric : {"NDCG", "recall", "AUC"}
    k : int
    regime : str
        A row of the report.
    """

    metric: str
    k: int
    regime: str

    def __call__(self, estimator, X, y=None):
        """Score a fitted estimator on held-out interactions.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Fitted; a :class:`~sklearn_selreg.SelectiveLLMRegularizedMF` at the end.
        X : table of shape (n_rows, n_columns)
            Held-out interactions.
        y : array-like of shape (n_rows,), default=None
            Strengths; rows with 0 are not relevant. None: all are.

        Returns
        -------
        score : float
            In [0, 1]; NaN if nothing of `X` is in the regime.

        Warns
        -----
        DataWarning
            If the score is NaN, or most users or items are unknown, as in :func:`ranking_report`.
        """
        report, _ = _evaluate(estimator, X, y=y, k=self.k)  # searches score training rows, too
        score = float(report.loc[self.regime, self.metric + f"@{self.k}" * (self.metric != "AUC")])
        if np.isnan(score):
            warn(
                f"{self.metric} is NaN, as nothing held out is in the regime {self.regime!r}. "
                + _MEANINGS.get(self.regime, "")
                + " Hold out others, as by the splitters of sklearn_selreg.model_selection, or "
                "take regime=None."
            )
        return score


def ndcg_at_k_scorer(k=10, *, regime=None):
    """Make a scorer of NDCG@k, for `scoring` in cross-validation and searches.

    The fitted model tells which interactions it was fitted on; the whole catalog `items_` without
    those is ranked, as in :func:`ranking_report`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "zero"} or None, default=None
        Only users with fewer than 3 training interactions, or with at least 3; only interactions
        with items of at most 3, or of no, training users. None: all.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1], larger is better. NaN, with a warning, if
        nothing of `X` is in the regime. It sees through Pipelines and fitted searches; it can be
        pickled.

    Raises
    ------
    ValueError, TypeError
        For a `k` or a regime other than these.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.datasets import load_movielens_coldstart
    >>> from sklearn_selreg.metrics import auc_scorer, ndcg_at_k_scorer
    >>> from sklearn_selreg.model_selection import LeaveLastOut
    >>> likes = load_movielens_coldstart().train
    >>> scores = cross_validate(
    ...     SelectiveLLMRegularizedMF(factors=8, iterations=2, random_state=0),
    ...     likes[["user", "item"]],
    ...     cv=LeaveLastOut(),
    ...     scoring={"NDCG": ndcg_at_k_scorer(10), "tail": auc_scorer(regime="tail")},
    ... )
    >>> scores["test_NDCG"].shape
    (1,)
    """
    return _make_scorer("NDCG", k, regime)


def recall_at_k_scorer(k=10, *, regime=None):
    """Make a scorer of recall@k; see :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    k : int, default=10
        Cutoff, >= 1.
    regime : {"cold", "warm", "tail", "zero"} or None, default=None
        Whom and what to look at. None: all.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1].

    Raises
    ------
    ValueError, TypeError
        For a `k` or a regime other than these.

    Examples
    --------
    >>> from sklearn_selreg.metrics import recall_at_k_scorer
    >>> recall_at_k_scorer(20, regime="cold")
    RankingScorer(metric='recall', k=20, regime='cold')
    """
    return _make_scorer("recall", k, regime)


def auc_scorer(*, regime=None):
    """Make a scorer of AUC: the share of other items below a held-out one.

    See :func:`ndcg_at_k_scorer`.

    Parameters
    ----------
    regime : {"cold", "warm", "tail", "zero"} or None, default=None
        Whom and what to look at. None: all.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X, y=None)` -> float in [0, 1].

    Raises
    ------
    ValueError
        For a regime other than these.

    Examples
    --------
    >>> from sklearn_selreg.metrics import auc_scorer
    >>> auc_scorer(regime="zero").regime
    'zero'
    """
    return _make_scorer("AUC", 10, regime)


def _make_scorer(metric, k, regime):
    check_integer("k", k, 1)
    if regime is not None and regime not in _REGIMES[1:]:
        raise ValueError(f"regime must be one of {_REGIMES[1:]} or None; got {regime!r}.")
    return RankingScorer(metric, int(k), regime or "overall")


# Scores


def _unwrap(model):
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


def _index_other(name, table, **columns):
    """Index a table of interactions that is not X, and name it in errors."""
    try:
        return index_interactions(table, **columns)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} is a table, read as X is. {error}") from error


def _remembered(model):
    """Return the interactions that a model was fitted on."""
    matrix = getattr(model, "_matrix", None)
    if matrix is None:
        what = repr(model) if isinstance(model, str) else name_kind(model)
        raise ValueError(
            "train must be given, the interactions that the model was fitted on, as "
            f"{what} does not tell; got None."
        )
    return Interactions(model.users_, model.items_, matrix, age=None)  # which no metric looks at


def _as_scorer(model, items):
    """Return a function from user ids to scores of the catalog, and the catalog's ids.

    The function is None for "popularity", which takes the interactions: `_popularity_scorer`.
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


def _popularity_scorer(interactions, catalog):
    """Score by the number of users of each item, for all users alike."""
    counts = _counts(catalog, interactions.items, interactions.matrix.getnnz(axis=0))
    return lambda user_ids: np.tile(counts.astype(np.float32), (len(user_ids), 1))


def _factor_scorer(model, catalog):
    """Score by factors: mean user for unknown users, each user's lowest score for unknown items."""
    position = encode(model.items_, catalog)
    known = position >= 0
    if not known.any():
        raise ValueError(
            "items must hold an id that the model knows, such as "
            f"{model.items_[:1].tolist()[0]!r}; got {len(catalog)} unknown ones, such as "
            f"{catalog[:1].tolist()[0]!r}. Ids of another type are other ids."
        )
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


# Pairs as numbers


def _positions(matrix):
    """User and item positions of a CSR matrix's entries, users ascending."""
    matrix = matrix.tocoo()
    return matrix.row.astype(np.intp), matrix.col.astype(np.intp)


def _pair_ids(users, items, interactions):
    """Numbers `user * n_items + item` of the interactions within `users` and `items`."""
    user, item = _positions(interactions.matrix)
    user = encode(users, interactions.users)[user]
    item = encode(items, interactions.items)[item]
    known = (user >= 0) & (item >= 0)
    return user[known] * len(items) + item[known]


def _counts(ids, known_ids, counts):
    """Look up the counts of `known_ids` for `ids`; unknown ids have 0."""
    return np.append(counts, 0)[encode(known_ids, ids)]  # unknown is -1: the 0 at the end


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


# Ranks


def _rank(score, user, item, removed, n_users, n_items, verbose=0):
    """Find the place of every relevant item in its user's ranking of the candidates.

    Parameters
    ----------
    score : callable
        From a slice of user positions to an array (n_rows, n_items) of finite floats to write to.
    user, item : intp arrays of shape (n_pairs,)
        Relevant pairs, users ascending; item -1: not in the catalog.
    removed : intp array
        Pairs `user * n_items + item` that are no candidates, unless relevant.
    n_users, n_items : int
        Shape of all scores.

    Returns
    -------
    above, level : float64 arrays of shape (n_pairs,)
        How many of the user's other candidates score higher, and how many the same.
    auc : float64 array of shape (n_pairs,)
        Fraction of the user's negatives (candidates not relevant) that score lower, ties half.
        For items outside the catalog `above` is infinite and `auc` 0.
    """
    above, level, auc = np.full(len(user), np.inf), np.zeros(len(user)), np.zeros(len(user))
    inside = np.flatnonzero(item >= 0)
    user, item = user[inside], item[inside]
    relevant = user * n_items + item
    masked = np.union1d(removed, relevant)
    n_negatives = n_items - np.bincount(masked // n_items, minlength=n_users)
    own = np.empty(len(user))
    chunk = max(1, _SCORES_PER_CHUNK // n_items)
    for start in tqdm(range(0, n_users, chunk), desc="ranking", disable=not verbose):
        rows = slice(start, min(start + chunk, n_users))
        pairs = slice(*np.searchsorted(user, [rows.start, rows.stop]))
        if pairs.start == pairs.stop:
            continue
        scores = score(rows)
        row = user[pairs] - start
        values = scores[row, item[pairs]]
        first, last = np.searchsorted(masked, [start * n_items, rows.stop * n_items])
        np.put(scores, masked[first:last] - start * n_items, -np.inf)
        own[pairs] = values
        above[inside[pairs]], level[inside[pairs]] = _count_above(scores, row, values)

    with np.errstate(invalid="ignore"):  # a user without negatives: 0 / 0
        auc[inside] = 1 - (above[inside] + level[inside] / 2) / n_negatives[user]
    # Up to here against negatives; the user's other relevant items are candidates too.
    among = pd.Series(own).groupby(user)
    lowest_rank = among.rank(method="min", ascending=False).to_numpy()
    above[inside] += lowest_rank - 1
    level[inside] += among.rank(method="max", ascending=False).to_numpy() - lowest_rank
    return above, level, auc


def _count_above(scores, row, values):
    """Count, for each value, the entries of its row of `scores` above it and equal to it."""
    above, level = np.empty((2, len(values)))
    block = max(1, _COMPARISONS_PER_BLOCK // scores.shape[1])
    for start in range(0, len(values), block):
        part = slice(start, start + block)
        compared, threshold = scores[row[part]], values[part, None]
        above[part] = np.count_nonzero(compared > threshold, axis=1)
        level[part] = np.count_nonzero(compared == threshold, axis=1)
    return above, level


# Metrics


def _discounts(k):
    """Discounts 1 / log2(1 + position) of the positions 1 to k."""
    return 1 / np.log2(np.arange(2, k + 2))


def _expectation(worth, above, level):
    """Average `worth` of the positions an item takes as ties are broken at random.

    It takes the positions above + 1 to above + level + 1 with equal probability; those beyond
    len(worth) are worth nothing.
    """
    cumulative = np.append(0, np.cumsum(worth))
    first = np.minimum(above, len(worth)).astype(np.intp)
    last = np.minimum(above + level + 1, len(worth)).astype(np.intp)
    return (cumulative[last] - cumulative[first]) / (level + 1)


def _metric_names(k):
    return [f"NDCG@{k}", f"recall@{k}", "AUC"]


def _regimes(details):
    """Float array (n_interactions, n_regimes) of 0 and 1."""
    return details.assign(overall=True)[list(_REGIMES)].to_numpy(dtype=float)


def _user_sums(details, k):
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
    ideal = np.append(1, np.cumsum(_discounts(k)))  # 1 for no relevant item: 0 / 1
    ndcg = by_user @ (regimes * gain) / ideal[np.minimum(n_relevant, k).astype(np.intp)]
    recall = by_user @ (regimes * hit) / np.maximum(n_relevant, 1)
    beaten = by_user @ (regimes * np.nan_to_num(auc))
    present = (n_relevant > 0).astype(float)
    compared = by_user @ (regimes * np.isfinite(auc))
    numerators = np.stack([ndcg, recall, beaten], axis=-1)
    denominators = np.stack([present, present, compared], axis=-1)
    return np.stack([numerators, denominators], axis=1)


def _means(sums, weights=None):
    """Metrics of all users, (n_regimes, n_metrics), or of weighted ones, (n_weights, ...)."""
    if weights is None:
        totals = sums.sum(axis=0)
    else:
        totals = np.tensordot(weights.astype(float), sums, axes=1)
    numerator, denominator = np.moveaxis(totals, -3, 0)
    with np.errstate(invalid="ignore"):  # an empty regime: 0 / 0
        return numerator / denominator


def _influence(sums):
    """First-order change of each user to the metrics, times the number of users they are of."""
    counted = sums[:, 1]
    share = np.count_nonzero(counted, axis=0) / counted.sum(axis=0)
    return (sums[:, 0] - _means(sums) * counted) * share


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
    user, item = _positions(held_out)
    n_users, n_items = seen.shape
    seen_user, seen_item = _positions(seen)
    removed = seen_user * n_items + seen_item
    above, level, _ = _rank(score, user, items[item], removed, n_users, n_items, verbose)
    gain = np.bincount(user, _expectation(_discounts(k), above, level), minlength=n_users)
    n_relevant = np.bincount(user, minlength=n_users)
    ideal = np.append(0, np.cumsum(_discounts(k)))[np.minimum(n_relevant, k)]
    return float(np.mean(gain[ideal > 0] / ideal[ideal > 0]))


def _bootstrap(statistic, n_users, n_bootstrap, random_state, confidence, verbose=0):
    """Compute a statistic of users and its percentile interval.

    Parameters
    ----------
    statistic : callable
        From weights of users, an int array (n_weights, n_users), to (n_weights, n_regimes,
        n_metrics); without an argument to (n_regimes, n_metrics).

    Returns
    -------
    float64 array of shape (n_regimes, n_metrics, 3)
        The statistic, and the low and the high end.
    """
    random_state = check_random_state(random_state)
    chunk = max(1, _WEIGHTS_PER_CHUNK // n_users)
    resampled = []
    starts = range(0, n_bootstrap, chunk)
    for start in tqdm(starts, desc="resamples", disable=not verbose):
        size = min(chunk, n_bootstrap - start)
        weights = random_state.multinomial(n_users, np.full(n_users, 1 / n_users), size=size)
        resampled.append(statistic(weights))
    resampled = np.concatenate(resampled)
    value = statistic()
    low, high = np.full((2, *value.shape), np.nan)
    # A resample without any user of a small regime says nothing about it: NaN, left out.
    known = np.isfinite(resampled).any(axis=0)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low[known], high[known] = np.nanquantile(resampled[:, known], tails, axis=0)
    return np.stack([value, low, high], axis=-1)


def _table(values, k, *names):
    """Lay out values (n_regimes, n_metrics, n_names), a row a regime."""
    columns = pd.MultiIndex.from_product([_metric_names(k), names], names=["metric", None])
    values = values.reshape(len(_REGIMES), -1)
    return pd.DataFrame(values, index=list(_REGIMES), columns=columns)


def _report(details, k, catalog=None):
    """Average the details into a report."""
    sums = _user_sums(details, k)
    report = RankingReport(_means(sums), index=list(_REGIMES), columns=_metric_names(k))
    report["users"] = sums[:, 1, :, 0].sum(axis=0).astype(np.int64)
    report["interactions"] = _regimes(details).sum(axis=0).astype(np.int64)
    report.details, report.k, report.catalog = details, int(k), catalog
    return report


def _check_comparable(a, b):
    """Raise unless both reports are about the same interactions, regimes and cutoff."""
    for name, report in (("a", a), ("b", b)):
        if getattr(report, "details", None) is None:
            raise TypeError(f"{name} must be a report of ranking_report; got {name_kind(report)}.")
    if a.k != b.k:
        raise ValueError(f"The reports must have the same cutoff k; got k={a.k} and k={b.k}.")
    same = ["user", "item", *_REGIMES[1:]]
    if not np.array_equal(a.details[same].to_numpy(), b.details[same].to_numpy()):
        raise ValueError(
            "The reports must be about the same held-out interactions and regimes (the same X, "
            "train and cohort); got "
            + " and ".join(
                f"{len(r.details)} interactions of {r.details['user'].nunique()} users"
                for r in (a, b)
            )
            + "."
        )
    warn_of_other_catalog(a, b)


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

"""Full-catalog ranking metrics by regime."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._utils._params import check_integer
from .._utils._warn import warn
from ._averages import catalog_metrics, in_regimes, regime_means, user_sums
from ._metrics import DEFAULT, check_metrics, column_name, has_sums, of_lists
from ._regimes import regime_names
from ._task import read_task


class RankingReport(pd.DataFrame):
    """The table of `ranking_report`, with what it was averaged from.

    Attributes
    ----------
    details : DataFrame of shape (n_interactions, 11 + n_segments)
        One row per held-out interaction: `user`, `item`; the regimes it belongs to (`cold`, `warm`,
        `tail`, `new`), and the segments; `n_above` and `n_tied`, how many other candidates score
        higher and the same (infinity and 0 outside the catalog); `gain`, its expected discounted
        gain in the top k; `hit`, the probability that it is in the top k (between 0 and 1 only for
        ties); `auc`, the fraction of the user's negatives that score lower (NaN for a user without
        negatives).
    k : int
        The cutoff of `gain` and `hit`.
    catalog : ndarray of shape (n_items,)
        Ids of the items that were ranked.
    metrics : tuple of str
        Names of the metrics.
    lists : DataFrame of shape (n_users, 6) or None
        With metrics of lists, one row per user: `user`; `novelty` and `diversity` of the list; the
        mean `popularity` of its items, and `profile_popularity`, that of the user's training items,
        as fractions of the users; `items`, an int array of the k best: positions in `catalog`, -1
        where there are fewer.

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

    _metadata = ["details", "k", "catalog", "lists", "metrics"]  # noqa: RUF012 (pandas' own protocol)

    @property
    def _constructor(self):
        return RankingReport

    @classmethod
    def from_details(
        cls,
        details: pd.DataFrame,
        k: int,
        catalog: np.ndarray | None = None,
        *,
        lists: pd.DataFrame | None = None,
        metrics: Sequence[str] | str = DEFAULT,
    ) -> "RankingReport":
        """Average details into a report, e.g. after redefining who is cold or what is tail.

        Parameters
        ----------
        details : DataFrame of shape (n_interactions, n_columns)
            With the columns of the attribute `details`; `n_above` and `n_tied` may be missing, if
            no metric needs them. Further columns of bools are further rows of the report.
        k : int
            The cutoff of `gain` and `hit`.
        catalog : ndarray of shape (n_items,), default=None
            Ids of the items that were ranked. None: unknown.
        lists : DataFrame of shape (n_users, 6), default=None
            As the attribute `lists`, for metrics of lists; with these `catalog` is needed, too.
        metrics : list of str or "all", default=("NDCG", "recall", "AUC")
            As in :func:`ranking_report`.

        Returns
        -------
        report : RankingReport

        Raises
        ------
        ValueError
            For an unknown metric, and if what a metric needs is missing: columns of `details`,
            `lists` or `catalog`.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn_selreg.metrics import RankingReport
        >>> details = pd.DataFrame({"user": [1, 2], "item": [3, 4], "cold": [True, False]})
        >>> details[["warm", "tail", "new"]] = False
        >>> details[["gain", "hit", "auc"]] = [[0, 0, 0.5], [1, 1, 1]]
        >>> RankingReport.from_details(details, k=10).loc[["overall", "cold"], ["AUC", "users"]]
                  AUC  users
        overall  0.75      2
        cold     0.50      1
        """
        names = check_metrics(metrics)
        summed = [name for name in names if has_sums(name)]
        sums = user_sums(details, k, [*summed, "recall"], lists)
        values = dict(zip(summed, regime_means(sums).T, strict=False))
        whole = [name for name in names if not has_sums(name)]
        if whole:
            if catalog is None:
                raise ValueError("Coverage and Gini index need the catalog; got None.")
            of_all = catalog_metrics(details, whole, lists, len(catalog))
            values |= zip(whole, of_all.T, strict=True)
        columns = {column_name(name, k): values[name] for name in names}
        report = cls(columns, index=regime_names(details))
        regimes = in_regimes(details)
        report["users"] = sums[:, 1, :, -1].sum(axis=0).astype(np.int64)
        report["interactions"] = regimes.sum(axis=0).astype(np.int64)
        if "n_above" in details:
            outside = np.isinf(details["n_above"].to_numpy(dtype=float))
            report["outside"] = regimes[outside].sum(axis=0).astype(np.int64)
        report.details, report.k, report.metrics = details, int(k), names
        report.catalog, report.lists = catalog, lists
        return report


def ranking_report(
    model: Any,
    X: Any,
    *,
    train: Any = None,
    y: ArrayLike | None = None,
    cohort: pd.Series | Mapping | None = None,
    items: ArrayLike | None = None,
    exclude: Any = None,
    k: int = 10,
    metrics: Sequence[str] | str = DEFAULT,
    user_segments: pd.Series | Mapping | None = None,
    item_segments: pd.Series | Mapping | None = None,
    item_features: Any = None,
    user_col: int | str | None = None,
    item_col: int | str | None = None,
    verbose: int = 0,
) -> RankingReport:
    r"""Rank the whole catalog for each held-out user and report by regime.

    Each user's candidates are all items of the catalog except those the user has in `train` or in
    `exclude`; the user's items in `X` always stay. Items of `X` with `y > 0` are relevant, all
    other candidates are negatives.

    Parameters
    ----------
    model : estimator, Pipeline, "popularity" or callable
        - A fitted estimator with `users_`, `items_`, `user_factors_` and `item_factors_`. Unknown
          users get its mean user, unknown items the user's lowest score.
        - A fitted Pipeline that ends in one; the steps before transform `X`, `train` and `exclude`.
        - A fitted search, such as GridSearchCV: its best estimator.
        - "popularity": the same list for all users, by the number of users that items have in
          `train`. Any model has to beat it.
        - A function `f(user_ids) -> scores` of shape (len(user_ids), len(items)), finite. It is
          called with the ids of the held-out users, each once, in chunks.
    X : table of shape (n_rows, n_columns)
        Held-out interactions: pandas or polars DataFrame, or 2-D array. Repeated rows count once.
        Items that a user has in `train` as well (e.g. bought again) count as relevant: drop such
        rows if only items that are new to the user are to be recommended.
    train : table, sparse matrix or None, default=None
        The interactions the model was fitted on. None: those that a fitted
        :class:`~sklearn_selreg.SelectiveLLMRegularizedMF` keeps. Each row of a table is taken as a
        positive: leave out `train` if the model was fitted on returns (``negatives="net"``), which
        it knows; what was returned would count as owned.
    y : array-like of shape (n_rows,), default=None
        Strengths of `X`; rows with 0 are not relevant. None: all are.
    cohort : Series or dict, default=None
        User id -> `"cold"` or `"warm"`; users without an entry are in neither. None: cold users
        have fewer than 3 items in `train`.
    items : array-like of shape (n_items,), default=None
        The catalog, required for "popularity" and for a callable (its columns, in this order).
        None: the estimator's `items_`. Compare models on the same catalog.
    exclude : table, default=None
        Pairs to remove from the candidates as well, e.g. a user's other held-out likes.
    k : int, default=10
        Length of the lists that metrics with an ``@k`` are of.
    metrics : list of str or "all", default=("NDCG", "recall", "AUC")
        Of these: "NDCG", "recall", "precision", "hit rate", "MAP", "MRR", "AUC"; and, of what is
        recommended, relevant or not: "novelty", "diversity", "popularity lift", "coverage", "Gini".
    user_segments, item_segments : Series or dict, default=None
        Id of a user or an item -> its segment, such as a country or a category, e.g. a column
        ``users.set_index("user")["country"]``. Each is one more row, ``country=DE``, of the
        interactions with these users or items; ids without segment are in none. If both have the
        same name, rows are ``user country=DE`` and ``item country=DE``.
    item_features : array or sparse matrix of shape (n_items, n_features), default=None
        By which two items are similar, for "diversity": a row for each item of the catalog. None:
        the features that a model was fitted with; without any, diversity is NaN. Give the same ones
        to compare models.
    user_col, item_col : int, str or None, default=None
        Columns of the ids in `X`, `train` and `exclude`. None: those of the estimator, else the
        first two.
    verbose : int, default=0
        Above 0: a progress bar over the users.

    Returns
    -------
    RankingReport
        A DataFrame. Rows: `overall`; `cold` and `warm` users; `tail` and `new` (cold-start),
        interactions with items of at most 3 users, and of no user, in `train`; then the segments.
        Columns: the metrics, as `NDCG@k`, `recall@k`, `AUC` (NaN for an empty regime); `users` and
        `interactions`, how many there are; `outside`, how many of these are with items outside the
        catalog.

    Raises
    ------
    NotFittedError
        For an estimator that lacks the fitted attributes above.
    ValueError
        For invalid tables, a callable without `items`, a model that does not keep its interactions
        without `train`, scores of another shape or not finite, a cohort with other values or with
        none of the users, segments with none of the ids, an unknown metric, `item_features` of
        another shape, and if no `y` is positive.
    TypeError
        For any other model, sparse `X`, and segments that are no Series or dict.

    Warns
    -----
    DataWarning
        If more than half of the users or of the items are unknown to the model, or more than half
        of the interactions in X are in `train`.

    See Also
    --------
    report_intervals : Confidence intervals of a report.
    compare_reports : Confidence intervals of the difference of two models.

    Notes
    -----
    - **NDCG@k** is binary, with discounts :math:`1 / \log_2(1 + position)`, divided by the gain of
      min(k, number of relevant items) items at the top; averaged over users.
    - **recall@k** is hits over *all* of the user's relevant items (as in LensKit and RecTools), so
      its maximum is below 1 for users with more than k of them; averaged over users.
    - **precision@k** is hits over k; **hit rate@k** is 1 if there is a hit, else 0; **MRR@k** is
      1 / position of the first hit, 0 without any; averaged over users.
    - **MAP@k** is the sum of the precisions at the positions of the hits, over min(k, number of
      relevant items); averaged over users.
    - **AUC** is, for one held-out interaction, the fraction of the user's negatives scored below
      the item, equal scores counting half; averaged over interactions.
    - **Ties** in these count by their expectation over random orders of equal scores [1]_, as in
      scikit-learn's `ndcg_score`: the order of the catalog does not matter.
    - **novelty@k** is the mean self-information [2]_ of the items in a user's list,
      :math:`\log_2(n / n_i)` bits for an item of :math:`n_i` of n training users (of one, if it has
      none); averaged over users.
    - **diversity@k**, also known as intra-list diversity [3]_, is 1 minus the mean cosine of the
      features of two items of the list; averaged over users.
    - **popularity lift@k** [4]_ is by how much the mean popularity of the items in lists exceeds
      that of the items that the same users have in `train`, relative to the latter: 0 is as
      popular as what they like, 1 twice as popular. Users without training items are left out.
    - **coverage@k** is the fraction of the catalog that is in any list [5]_.
    - **Gini@k** is the Gini index of how often the items of the catalog are in lists [5]_:
      :math:`\sum_j (2j - n - 1) p_j / (n - 1)` with their shares :math:`p_j` in ascending order. 0:
      all equally often, 1: a single item is all there is.
    - **Lists**: metrics of lists do not ask what is relevant; in each row they are of the lists of
      its `users`. Of equal scores the list has the first in the catalog.
    - **Items outside the catalog** cannot be recommended: no gain, no hit, AUC 0.
    - In **tail**, **new** and segments of items, only the user's items of that kind are relevant.
      The user's other relevant items keep their positions in the ranking, as not relevant. AUC
      compares with the same negatives in every regime.

    References
    ----------
    .. [1] McSherry and Najork. Computing information retrieval performance measures efficiently in
       the presence of tied scores. ECIR 2008.
    .. [2] Zhou et al. Solving the apparent diversity-accuracy dilemma of recommender systems.
       PNAS 2010.
    .. [3] Ziegler et al. Improving recommendation lists through topic diversification. WWW 2005.
    .. [4] Abdollahpouri et al. The connection between popularity bias, calibration, and fairness in
       recommendation. RecSys 2020.
    .. [5] Shani and Gunawardana. Evaluating recommendation systems. Recommender Systems Handbook,
       2011.

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
             NDCG@1  recall@1  AUC  users  interactions  outside
    overall     0.5       0.5  0.5      2             2        0
    new         0.0       0.0  0.0      1             1        0
    >>> report = ranking_report(
    ...     "popularity", held_out, train=train, items=[10, 11, 12, 13], k=1,
    ...     metrics=["MRR", "coverage"], user_segments={2: "DE", 3: "FR"},
    ... )
    >>> report.loc[["overall", "user=DE"]]
             MRR@1  coverage@1  users  interactions  outside
    overall    0.5        0.50      2             2        0
    user=DE    1.0        0.25      1             1        0
    """
    check_integer("k", k, 1)
    names = check_metrics(metrics)
    task, score, _ = read_task(
        model,
        X,
        train=train,
        y=y,
        cohort=cohort,
        items=items,
        exclude=exclude,
        user_segments=user_segments,
        item_segments=item_segments,
        item_features=item_features,
        user_col=user_col,
        item_col=item_col,
    )
    warn_if_fitted(task)
    return make_report(task, score, k, verbose, metrics=names)


def warn_if_fitted(task):
    """Warn if most interactions of a task are training interactions."""
    n_pairs = len(task.pairs)
    if task.n_fitted > n_pairs / 2:
        warn(
            f"{task.n_fitted} of {n_pairs} interactions to evaluate on are training interactions, "
            "so the report shows how well they are remembered, not how good recommendations are. "
            "Hold rows out: sklearn_selreg.model_selection has splitters."
        )


def make_report(task, score, k, verbose=0, *, metrics=DEFAULT):
    """Rank the items of a task by `score`, and average."""
    details, lists = task.rank(score, k, verbose, lists=of_lists(metrics))
    return RankingReport.from_details(details, k, task.catalog, lists=lists, metrics=metrics)

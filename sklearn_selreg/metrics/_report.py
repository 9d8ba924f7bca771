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
    """Table returned by `ranking_report`, together with the results it averages.

    Attributes
    ----------
    details : DataFrame of shape (n_interactions, 11 + n_segments)
        One row per held-out interaction: `user`, `item`; the regimes it belongs to (`cold`, `warm`,
        `tail`, `new`) and the segments; `n_above` and `n_tied`, the number of other candidates with
        a higher and with the same score (infinity and 0 outside the catalog); `gain`, the expected
        discounted gain in the top k; `hit`, the probability of being in the top k (strictly between
        0 and 1 only for ties); `auc`, the fraction of the user's negatives with a lower score (NaN
        for users without negatives).
    k : int
        Cutoff of `gain` and `hit`.
    catalog : ndarray of shape (n_items,)
        Ids of the ranked items.
    metrics : tuple of str
        Names of the metrics.
    lists : DataFrame of shape (n_users, 6) or None
        With list metrics, one row per user: `user`; `novelty` and `diversity` of the list; the mean
        `popularity` of its items and, as `profile_popularity`, of the user's training items, both
        as fractions of the users; `items`, an int array of the k best positions in `catalog`,
        padded with -1 where there are fewer.

    Notes
    -----
    The attributes are preserved by pickling, copying, slicing and rounding.

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
        """Average details into a report, e.g. after redefining cold users or tail items.

        Parameters
        ----------
        details : DataFrame of shape (n_interactions, n_columns)
            Table with the columns of the attribute `details`; `n_above` and `n_tied` may be missing
            if no metric needs them. Any further boolean column adds a row to the report.
        k : int
            Cutoff of `gain` and `hit`.
        catalog : ndarray of shape (n_items,), default=None
            Ids of the ranked items, if known.
        lists : DataFrame of shape (n_users, 6), default=None
            As the attribute `lists`; required for list metrics, as is `catalog`.
        metrics : list of str or "all", default=("NDCG", "recall", "AUC")
            As in :func:`ranking_report`.

        Returns
        -------
        report : RankingReport

        Raises
        ------
        ValueError
            If a metric is unknown, or if `lists`, `catalog` or columns of `details` that a metric
            needs are missing.

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
                raise ValueError("coverage and Gini require the catalog, but catalog is None.")
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
    y: ArrayLike | None = None,
    *,
    train: Any = None,
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
    r"""Rank the full catalog for each held-out user and report metrics by regime.

    A user's candidates are all items of the catalog except those of the user in `train` or
    `exclude`; the user's items in `X` are always candidates. Items of `X` with `y > 0` are
    relevant (but see Notes on regimes); all other candidates are negatives.

    Parameters
    ----------
    model : estimator, Pipeline, "popularity" or callable
        - A fitted estimator with `users_`, `items_`, `user_factors_` and `item_factors_`. Unknown
          users are scored as the mean user, and unknown items get the user's lowest score.
        - A fitted Pipeline that ends in one; the previous steps transform `X`, `train` and
          `exclude`.
        - A fitted search such as GridSearchCV: its best estimator.
        - "popularity": the same list for all users, by the number of users per item in `train`. Any
          model has to beat it.
        - A function `f(user_ids) -> scores` of shape (len(user_ids), len(items)), finite. It is
          called with chunks of the held-out user ids, each id once.
    X : table of shape (n_rows, n_columns)
        Held-out interactions: pandas or polars DataFrame, or 2-D array. Repeated rows count once.
        Items that a user also has in `train` (e.g. repeat purchases) count as relevant: drop these
        rows if only new items are to be recommended.
    y : array-like of shape (n_rows,), default=None
        Strengths of `X`; rows with 0 are not relevant. If None, all rows are relevant. Negative
        strengths require an estimator with ``negatives="net"``.
    train : table, sparse matrix or None, default=None
        Interactions that the model was fitted on. If None, those kept by a fitted
        :class:`~sklearn_selreg.SelectiveLLMRegularizedMF`. Every row of a table counts as a
        positive: omit `train` if the model was fitted on returns (``negatives="net"``) and keeps
        its interactions; otherwise items that were returned would count as owned.
    cohort : Series or dict, default=None
        Mapping from user id to `"cold"` or `"warm"`; users without an entry are in neither regime.
        If None, users with fewer than 3 items in `train` are cold.
    items : array-like of shape (n_items,), default=None
        The catalog; required for "popularity" and for a callable (its columns, in this order). If
        None, the estimator's `items_`. Compare models on the same catalog.
    exclude : table, default=None
        Further pairs to remove from the candidates, e.g. a user's other held-out likes.
    k : int, default=10
        Cutoff of the metrics with ``@k``.
    metrics : list of str or "all", default=("NDCG", "recall", "AUC")
        Accuracy metrics are "NDCG", "recall", "precision", "hit rate", "MAP", "MRR" and "AUC". List
        metrics, which do not depend on relevance, are "novelty", "diversity", "popularity lift",
        "coverage" and "Gini".
    user_segments, item_segments : Series or dict, default=None
        Mapping from user or item id to a segment such as a country or a category, e.g.
        ``users.set_index("user")["country"]``. Each segment adds a row, e.g. ``country=DE``, for
        the interactions with its users or items; ids without a segment are in none. If both have
        the same name, rows are called ``user country=DE`` and ``item country=DE``.
    item_features : array or sparse matrix of shape (n_items, n_features), default=None
        Features that define item similarity for "diversity", one row per item of the catalog. If
        None, the features that the model was fitted with; without any, diversity is NaN. Pass the
        same features when comparing models.
    user_col, item_col : int, str or None, default=None
        Columns of the ids in `X`, `train` and `exclude`. If None, those of the estimator, else the
        first two.
    verbose : int, default=0
        If positive, show a progress bar over the users.

    Returns
    -------
    RankingReport
        A DataFrame. Rows: `overall`; `cold` and `warm` users; items with at most 3 users (`tail`)
        and with none (`new`) in `train`; then the segments. Columns: the metrics, e.g. `NDCG@k`,
        `recall@k`, `AUC` (NaN for an empty regime); the number of `users` and `interactions`; and
        of the latter, the number `outside` the catalog.

    Raises
    ------
    NotFittedError
        If an estimator lacks the fitted attributes above.
    ValueError
        If a table is invalid; if `items` is missing for a callable, or `train` for a model that
        does not keep its interactions; if scores have the wrong shape or are not finite; if
        `cohort` has other values or none of the users; if segments have none of the ids; if a
        metric is unknown; if `item_features` has the wrong shape; if no `y` is positive.
    TypeError
        If `model` is anything else; if `X` is sparse; if segments are not a Series or dict.

    Warns
    -----
    DataWarning
        If more than half of the users or items are unknown to the model, or more than half of the
        interactions in X are in `train`.

    See Also
    --------
    report_intervals : Confidence intervals of a report.
    compare_reports : Confidence intervals of the difference between two models.

    Notes
    -----
    - **NDCG@k** is binary, with discounts :math:`1 / \log_2(1 + position)`, normalized by the gain
      of min(k, number of relevant items) items at the top; averaged over users.
    - **recall@k** is the number of hits over *all* relevant items of the user (as in LensKit and
      RecTools), so its maximum is below 1 for users with more than k of them; averaged over users.
    - **precision@k** is the number of hits over k; **hit rate@k** is 1 if there is a hit, else 0;
      **MRR@k** is 1 / position of the first hit, or 0 without a hit; averaged over users.
    - **MAP@k** is the sum of the precisions at the positions of the hits, over min(k, number of
      relevant items); averaged over users.
    - **AUC** is, for one held-out interaction, the fraction of the user's negatives that score
      below the item, with ties counting half; averaged over interactions.
    - **Ties**: these metrics are expectations over random orders of equal scores [1]_, as in
      scikit-learn's `ndcg_score`, so the order of the catalog does not matter.
    - **novelty@k** is the mean self-information [2]_ of the items in a user's list,
      :math:`\log_2(n / n_i)` bits for an item with :math:`n_i` of n training users (at least 1);
      averaged over users.
    - **diversity@k**, also known as intra-list diversity [3]_, is 1 minus the mean cosine
      similarity between the features of two items in the list; averaged over users.
    - **popularity lift@k** [4]_ is the relative difference between the mean popularity of
      recommended items and that of the same users' items in `train`: 0 is equally popular, 1 twice
      as popular. Users without training items are ignored.
    - **coverage@k** is the fraction of the catalog that appears in any list [5]_.
    - **Gini@k** is the Gini index of the items' frequencies in lists [5]_,
      :math:`\sum_j (2j - n - 1) p_j / (n - 1)` with relative frequencies :math:`p_j` in ascending
      order: 0 if all items are equally frequent, 1 if all lists consist of a single item.
    - **Lists**: list metrics do not depend on relevance; each row averages over the lists of its
      `users`. Ties are broken by the order of the catalog.
    - **Items outside the catalog** cannot be recommended: they have no gain, no hit and AUC 0.
    - In **tail**, **new** and item segments, only the user's items of that kind are relevant. The
      user's other relevant items stay in the ranking but count as irrelevant. AUC uses the same
      negatives in every regime.

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
            f"{task.n_fitted} of {n_pairs} held-out interactions are also in the training data, "
            "so the report shows how well they are memorized, not how good recommendations are. "
            "Hold out rows, e.g. with the splitters of sklearn_selreg.model_selection."
        )


def make_report(task, score, k, verbose=0, *, metrics=DEFAULT):
    """Rank the items of a task by `score` and average the results."""
    details, lists = task.rank(score, k, verbose, lists=of_lists(metrics))
    return RankingReport.from_details(details, k, task.catalog, lists=lists, metrics=metrics)

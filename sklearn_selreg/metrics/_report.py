"""Full-catalog ranking metrics by regime."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._utils._params import check_integer
from .._utils._warn import warn
from ._averages import in_regimes, metric_names, regime_means, user_sums
from ._regimes import REGIMES
from ._task import read_task


class RankingReport(pd.DataFrame):
    """The table of `ranking_report`, with what it was averaged from.

    Attributes
    ----------
    details : DataFrame of shape (n_interactions, 9)
        One row per held-out interaction: `user`, `item`; the regimes it belongs to (`cold`, `warm`,
        `tail`, `new`); `gain`, its expected discounted gain in the top k; `hit`, the probability
        that it is in the top k (between 0 and 1 only for ties); `auc`, the fraction of the user's
        negatives that score lower (NaN for a user without negatives).
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

    @classmethod
    def from_details(
        cls, details: pd.DataFrame, k: int, catalog: np.ndarray | None = None
    ) -> "RankingReport":
        """Average details into a report, e.g. after redefining who is cold or what is tail.

        Parameters
        ----------
        details : DataFrame of shape (n_interactions, 9)
            With the columns of the attribute `details`.
        k : int
            The cutoff of `gain` and `hit`.
        catalog : ndarray of shape (n_items,), default=None
            Ids of the items that were ranked. None: unknown.

        Returns
        -------
        report : RankingReport

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
        sums = user_sums(details, k)
        report = cls(regime_means(sums), index=list(REGIMES), columns=metric_names(k))
        report["users"] = sums[:, 1, :, 0].sum(axis=0).astype(np.int64)
        report["interactions"] = in_regimes(details).sum(axis=0).astype(np.int64)
        report.details, report.k, report.catalog = details, int(k), catalog
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
        The interactions the model was fitted on. Each row of a table is taken as a positive. None:
        those that a fitted :class:`~sklearn_selreg.SelectiveLLMRegularizedMF` keeps.
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
        Cutoff of NDCG and recall.
    user_col, item_col : int, str or None, default=None
        Columns of the ids in `X`, `train` and `exclude`. None: those of the estimator, else the
        first two.
    verbose : int, default=0
        Above 0: a progress bar over the users.

    Returns
    -------
    RankingReport
        A DataFrame. Rows: `overall`; `cold` and `warm` users; `tail` and `new` (cold-start),
        interactions with items of at most 3 users, and of no user, in `train`. Columns: `NDCG@k`,
        `recall@k`, `AUC` (all in [0, 1], NaN for an empty regime), `users`, `interactions`.

    Raises
    ------
    NotFittedError
        For an estimator that lacks the fitted attributes above.
    ValueError
        For invalid tables, a callable without `items`, a model that does not keep its interactions
        without `train`, scores of another shape or not finite, a cohort with other values or with
        none of the users, and if no `y` is positive.
    TypeError
        For any other model, and for sparse `X`.

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
    - **AUC** is, for one held-out interaction, the fraction of the user's negatives scored below
      the item, equal scores counting half; averaged over interactions.
    - **Ties** in NDCG and recall count by their expectation over random orders of equal scores
      [1]_, as in scikit-learn's `ndcg_score`: the order of the catalog does not matter.
    - **Items outside the catalog** cannot be recommended: no gain, no hit, AUC 0.
    - In **tail** and **new**, NDCG and recall take only the user's items of that kind as relevant.
      The user's other relevant items keep their positions in the ranking, as not relevant. AUC
      compares with the same negatives in every regime.

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
    check_integer("k", k, 1)
    task, score, _ = read_task(
        model,
        X,
        train=train,
        y=y,
        cohort=cohort,
        items=items,
        exclude=exclude,
        user_col=user_col,
        item_col=item_col,
    )
    warn_if_fitted(task)
    return make_report(task, score, k, verbose)


def warn_if_fitted(task):
    """Warn if most interactions of a task are training interactions."""
    n_pairs = len(task.pairs)
    if task.n_fitted > n_pairs / 2:
        warn(
            f"{task.n_fitted} of {n_pairs} interactions to evaluate on are training interactions, "
            "so the report shows how well they are remembered, not how good recommendations are. "
            "Hold rows out: sklearn_selreg.model_selection has splitters."
        )


def make_report(task, score, k, verbose=0):
    """Rank the items of a task by `score`, and average."""
    return RankingReport.from_details(task.rank(score, k, verbose), k, task.catalog)

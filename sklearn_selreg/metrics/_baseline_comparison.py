"""Comparison of a model with simple baselines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._data._ids import encode
from .._data._strengths import StrengthScale
from .._utils._params import check_integer, name_kind
from . import _baseline_models as baselines
from ._comparison import compare_reports
from ._models import unwrap, view_model
from ._report import make_report, warn_if_fitted
from ._scores import checked_scorer
from ._task import read_task


def compare_baselines(
    model: Any,
    X: Any,
    y: ArrayLike | None = None,
    *,
    cohort: pd.Series | Mapping | None = None,
    exclude: Any = None,
    k: int = 10,
    als_params: dict | None = None,
    n_bootstrap: int = 2000,
    random_state: int = 0,
    verbose: int = 0,
) -> pd.DataFrame:
    """Compare a fitted model with simple baselines fitted on the same interactions.

    This is the first check after `fit`: a model that does not beat a popularity list is not worth
    deploying. The page "My model loses to popularity: what now?" of the user guide lists what to
    try.

    Parameters
    ----------
    model : SelectiveLLMRegularizedMF, Pipeline or search
        Fitted model; it must keep the interactions it was fitted on.
    X, y, cohort, exclude
        Held-out interactions, as in :func:`ranking_report`.
    k : int, default=10
        Cutoff of NDCG and recall.
    als_params : dict or None, default=None
        Parameters of ``implicit.als.AlternatingLeastSquares``. If None, its defaults, which are
        often far from the best values.
    n_bootstrap, random_state, verbose
        As in :func:`compare_reports`; `random_state` must be an int and also seeds ALS.

    Returns
    -------
    table : DataFrame of shape (4 or 5, 16)
        Rows: `model`; `popularity`, the same list for all users; `recent popularity`, within the
        newest tenth of the interactions, if the model has a `time_col`; `implicit ALS`; `item-kNN`,
        with cosine similarity and 100 neighbors. Columns: for NDCG@k, recall@k, AUC and AUC in the
        `tail`, the `value`, and `difference`, `low` and `high`: model minus baseline, with a 95 %
        interval from a paired bootstrap over users (NaN for the model itself).

    Raises
    ------
    ValueError, TypeError
        As in :func:`ranking_report`; if `model` keeps no interactions (e.g. one built by
        :meth:`~sklearn_selreg.SelectiveLLMRegularizedMF.from_factors`, before `refine`); if
        `als_params` is not a dict.

    See Also
    --------
    ranking_report : Metrics of one model by kind of user and item.

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
    check_integer("k", k, 1)
    check_integer("n_bootstrap", n_bootstrap, 1)
    check_integer("random_state", random_state, 0)
    if als_params is not None and not isinstance(als_params, dict):
        raise TypeError(f"als_params must be a dict or None; got {name_kind(als_params)}.")
    kept = view_model(unwrap(model)[0]).interactions
    if kept is not None and not kept.matrix.nnz:
        raise ValueError("model must keep the interactions it was fitted on, but has none.")
    task, score, view = read_task(model, X, y=y, cohort=cohort, exclude=exclude)
    warn_if_fitted(task)
    own = make_report(task, score, k, verbose)
    rows = {"model": _make_row(own, None)}
    n_interactions = np.diff(view.interactions.matrix.indptr)
    for name, baseline in _fit_baselines(view, random_state, als_params or {}).items():

        def of_ids(users, baseline=baseline):
            row = encode(view.users, users)
            # Baselines know nothing about users without interactions, even if the model does.
            return baseline(np.where(n_interactions[row] > 0, row, -1))

        report = make_report(task, checked_scorer(of_ids, len(task.catalog)), k, verbose)
        difference = compare_reports(
            own, report, n_bootstrap=n_bootstrap, random_state=random_state, verbose=verbose
        )
        rows[name] = _make_row(report, difference)
    return pd.DataFrame(rows).T


def _fit_baselines(view, random_state, als_params):
    """Fit all baselines on a model's interactions; each maps rows of users to scores."""
    matrix = StrengthScale("binary").apply(view.interactions.matrix)
    fitted = {"popularity": baselines.popularity(matrix)}
    times = view.interactions.times
    if times is not None:
        fitted["recent popularity"] = baselines.recent_popularity(matrix, times)
    fitted["implicit ALS"] = baselines.implicit_als(
        matrix, view.n_threads, random_state, als_params
    )
    fitted["item-kNN"] = baselines.item_knn(matrix, view.n_threads)
    return fitted


def _make_row(report, difference):
    """Return a row of `compare_baselines`; without `difference`, its columns are NaN."""
    row = {}
    for metric, regime in (
        (f"NDCG@{report.k}", "overall"),
        (f"recall@{report.k}", "overall"),
        ("AUC", "overall"),
        ("AUC", "tail"),
    ):
        name = metric if regime == "overall" else f"{metric} {regime}"
        row[name, "value"] = report.loc[regime, metric]
        for part in ("difference", "low", "high"):
            found = np.nan if difference is None else difference.loc[regime, (metric, part)]
            row[name, part] = found
    return pd.Series(row)

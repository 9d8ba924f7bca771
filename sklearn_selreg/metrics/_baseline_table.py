"""A model beside simple ones."""

import numpy as np
import pandas as pd

from .._data._ids import encode
from .._data._strengths import StrengthScale
from .._utils._params import check_integer, name_kind
from . import _baselines as baselines
from ._comparison import compare_reports
from ._models import fitted_interactions, unwrap
from ._report import evaluate, ranking_report


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
    fitted, steps = unwrap(model)
    for transformer in steps:
        X, exclude = (t if t is None else transformer.transform(t) for t in (X, exclude))
    interactions = fitted_interactions(fitted)
    matrix, times = interactions.matrix, interactions.times
    if not matrix.nnz:
        raise ValueError("model must remember the interactions it was fitted on; it has none.")
    binary = StrengthScale("binary").apply(matrix)
    n_threads = fitted._num_threads
    scorers = {"popularity": baselines.popularity(binary)}
    if times is not None:
        scorers["recent popularity"] = baselines.recent_popularity(binary, times)
    scorers["implicit ALS"] = baselines.implicit_als(
        binary, n_threads, random_state, {} if als_params is None else als_params
    )
    scorers["item-kNN"] = baselines.item_knn(binary, n_threads)
    columns = {"user_col": fitted.user_col, "item_col": fitted.item_col}
    common |= columns | {"exclude": exclude, "items": fitted.items_}
    rows = {"model": _baseline_row(own, None)}
    for name, score in scorers.items():

        def of_ids(users, score=score):
            return score(encode(fitted.users_, users))

        report, _ = evaluate(of_ids, X, remembered=fitted_interactions(fitted), **common)
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

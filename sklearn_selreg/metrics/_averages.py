"""Averages of ranking results: sums by user, metrics by regime, and their tables.

Metrics are ratios of sums over users, so a bootstrap over users needs only the sums. Two are not:
coverage and Gini index, which are of all lists together.
"""

import numpy as np
import pandas as pd
from scipy import sparse

from .._data._ids import encode
from ._lists import coverage, gini
from ._metrics import DEFAULT, METRICS, column_name, has_sums
from ._ndcg import dcg_discounts
from ._positions import position_metrics
from ._regimes import regime_names


def in_regimes(details):
    """Return which interactions are in which regime, 0 or 1, (n_interactions, n_regimes) float."""
    return details.assign(overall=True)[regime_names(details)].to_numpy(dtype=float)


def user_sums(details, k, names, lists=None):
    """Return numerators and denominators, by user, whose sums over users make the metrics.

    Parameters
    ----------
    details : DataFrame
        See `RankingReport`.
    k : int
    names : sequence of str
        Metrics that are ratios of sums.
    lists : DataFrame or None
        See `RankingReport`; needed for metrics of lists.

    Returns
    -------
    float64 array of shape (n_users, 2, n_regimes, n_metrics)
    """
    codes, users = pd.factorize(details["user"])
    shape = (len(users), len(codes))
    by_user = sparse.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=shape)
    regimes = in_regimes(details)
    n_relevant = by_user @ regimes
    present = (n_relevant > 0).astype(float)
    parts = _item_sums(details, k, by_user, regimes, n_relevant, present)
    sources = {METRICS[name].source for name in names}
    if "positions" in sources:
        of_positions = _position_sums(details, k, codes, regimes, len(users))
        parts |= {name: (values, present) for name, values in of_positions.items()}
    if "lists" in sources:
        parts |= _list_sums(lists, users, present)
    return np.stack([np.stack(parts[name], axis=1) for name in names], axis=-1)


def _item_sums(details, k, by_user, regimes, n_relevant, present):
    """Return sums of metrics to which each held-out item adds its own."""
    gain, hit, auc = (details[name].to_numpy()[:, None] for name in ("gain", "hit", "auc"))
    ideal = np.append(1, np.cumsum(dcg_discounts(k)))  # 1 for no relevant item: 0 / 1
    hits = by_user @ (regimes * hit)
    dcg = by_user @ (regimes * gain)
    return {
        "NDCG": (dcg / ideal[np.minimum(n_relevant, k).astype(np.intp)], present),
        "recall": (hits / np.maximum(n_relevant, 1), present),
        "precision": (hits / k, present),
        "AUC": (by_user @ (regimes * np.nan_to_num(auc)), by_user @ (regimes * np.isfinite(auc))),
    }


def _position_sums(details, k, codes, regimes, n_users):
    """Return metrics of all items of a user together, (n_users, n_regimes) each."""
    if not {"n_above", "n_tied"} <= set(details.columns):
        raise ValueError(
            "Hit rate, MAP and MRR need the columns 'n_above' and 'n_tied' of details; got "
            f"{details.columns.to_list()}."
        )
    above, tied = (details[name].to_numpy(dtype=float) for name in ("n_above", "n_tied"))
    by_regime = []
    for regime in regimes.T > 0:
        part = codes[regime], above[regime], tied[regime]
        by_regime.append(position_metrics(*part, n_users, k))
    return {name: np.stack([m[name] for m in by_regime], axis=1) for name in by_regime[0]}


def _list_sums(lists, users, present):
    """Return sums of metrics of each user's list."""
    values = _lists_of(lists, users)
    parts = {}
    for name in ("novelty", "diversity"):
        value = values[name].to_numpy()[:, None]
        parts[name] = present * np.nan_to_num(value), present * np.isfinite(value)
    shown, own = (values[n].to_numpy()[:, None] for n in ("popularity", "profile_popularity"))
    known = present * (np.isfinite(shown) & np.isfinite(own))
    shown, own = known * np.nan_to_num(shown), known * np.nan_to_num(own)
    return parts | {"popularity lift": (shown - own, own)}


def _lists_of(lists, users):
    """Return the lists of users, in their order."""
    if lists is None:
        raise ValueError(
            "Metrics of lists need the attribute `lists` of a report that was made with such "
            "metrics; got None."
        )
    users = pd.Index(users, tupleize_cols=False).to_numpy()
    return lists.iloc[encode(lists["user"].to_numpy(), users)]


def catalog_metrics(details, names, lists, n_items):
    """Return metrics of all lists of a regime's users together, (n_regimes, n_metrics)."""
    codes, users = pd.factorize(details["user"])
    columns = np.stack(_lists_of(lists, users)["items"].to_list())
    functions = {"coverage": coverage, "Gini": gini}
    rows = []
    for regime in in_regimes(details).T > 0:
        shown = columns[np.unique(codes[regime])]
        counts = np.bincount(shown[shown >= 0], minlength=n_items)
        rows.append([functions[name](counts) for name in names])
    return np.array(rows)


def regime_means(sums, weights=None):
    """Return metrics over all users, (n_regimes, n_metrics), or by weights, (n_weights, ...)."""
    if weights is None:
        totals = sums.sum(axis=0)
    else:
        totals = np.tensordot(weights.astype(float), sums, axes=1)
    numerator, denominator = np.moveaxis(totals, -3, 0)
    with np.errstate(invalid="ignore"):  # an empty regime: 0 / 0
        return numerator / denominator


def shared_metrics(*reports):
    """Return the metrics that all reports have and that can be bootstrapped."""
    of_each = [getattr(report, "metrics", DEFAULT) for report in reports]
    names = [name for name in METRICS if has_sums(name) and all(name in of for of in of_each)]
    if not names:
        raise ValueError(
            "There is no metric with intervals: they resample users, and coverage and Gini index "
            "are of all users' lists together. Make reports with further metrics; got "
            f"{' and '.join(map(str, map(list, of_each)))}."
        )
    return names


def report_sums(report, names):
    """Return the sums that a report was averaged from."""
    return user_sums(report.details, report.k, names, getattr(report, "lists", None))


def make_table(values, report, metrics, *names):
    """Lay out values (n_regimes, n_metrics, n_names), one row per regime of a report."""
    metrics = [column_name(metric, report.k) for metric in metrics]
    columns = pd.MultiIndex.from_product([metrics, names], names=["metric", None])
    regimes = regime_names(report.details)
    return pd.DataFrame(values.reshape(len(regimes), -1), index=regimes, columns=columns)

"""Averages of ranking results: sums per user, metrics by regime, and their tables.

Metrics are ratios of sums over users, so a bootstrap over users only needs the sums. The exceptions
are coverage and Gini index, which are computed from all lists together.
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
    """Return the membership of interactions in regimes, (n_interactions, n_regimes), 0.0 or 1.0."""
    return details.assign(overall=True)[regime_names(details)].to_numpy(dtype=float)


def user_sums(details, k, names, lists=None):
    """Return, per user, the numerators and denominators whose sums over users give the metrics.

    Parameters
    ----------
    details : DataFrame
        See `RankingReport`.
    k : int
    names : sequence of str
        Metrics that are ratios of sums.
    lists : DataFrame or None
        See `RankingReport`; required for list metrics.

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
    """Return the sums of metrics that are computed per held-out item."""
    gain, hit, auc = (details[name].to_numpy()[:, None] for name in ("gain", "hit", "auc"))
    ideal = np.append(1, np.cumsum(dcg_discounts(k)))  # 1 without relevant items: 0 / 1
    hits = by_user @ (regimes * hit)
    dcg = by_user @ (regimes * gain)
    return {
        "NDCG": (dcg / ideal[np.minimum(n_relevant, k).astype(np.intp)], present),
        "recall": (hits / np.maximum(n_relevant, 1), present),
        "precision": (hits / k, present),
        "AUC": (by_user @ (regimes * np.nan_to_num(auc)), by_user @ (regimes * np.isfinite(auc))),
    }


def _position_sums(details, k, codes, regimes, n_users):
    """Return metrics computed from all items of a user, (n_users, n_regimes) each."""
    if not {"n_above", "n_tied"} <= set(details.columns):
        raise ValueError(
            "hit rate, MAP and MRR require the columns 'n_above' and 'n_tied' in details; got "
            f"{details.columns.to_list()}."
        )
    above, tied = (details[name].to_numpy(dtype=float) for name in ("n_above", "n_tied"))
    by_regime = []
    for regime in regimes.T > 0:
        part = codes[regime], above[regime], tied[regime]
        by_regime.append(position_metrics(*part, n_users, k))
    return {name: np.stack([m[name] for m in by_regime], axis=1) for name in by_regime[0]}


def _list_sums(lists, users, present):
    """Return the sums of metrics that are computed per list."""
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
    """Return the lists of the given users, in their order."""
    if lists is None:
        raise ValueError(
            "List metrics require the attribute `lists` of a report with such metrics; got None."
        )
    users = pd.Index(users, tupleize_cols=False).to_numpy()
    return lists.iloc[encode(lists["user"].to_numpy(), users)]


def catalog_metrics(details, names, lists, n_items):
    """Return metrics of all lists of a regime's users, (n_regimes, n_metrics)."""
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
    """Return metrics over all users, (n_regimes, n_metrics), or for each row of user weights."""
    if weights is None:
        totals = sums.sum(axis=0)
    else:
        totals = np.tensordot(weights.astype(float), sums, axes=1)
    numerator, denominator = np.moveaxis(totals, -3, 0)
    with np.errstate(invalid="ignore"):  # an empty regime: 0 / 0
        return numerator / denominator


def shared_metrics(*reports):
    """Return the metrics in all reports that can be bootstrapped."""
    of_each = [getattr(report, "metrics", DEFAULT) for report in reports]
    names = [name for name in METRICS if has_sums(name) and all(name in of for of in of_each)]
    if not names:
        raise ValueError(
            "The reports share no metric that can be bootstrapped over users; coverage and Gini "
            "index cannot, because they depend on all lists together. Make reports with further "
            f"metrics; got {' and '.join(map(str, map(list, of_each)))}."
        )
    return names


def report_sums(report, names):
    """Return the sums per user that a report averages."""
    return user_sums(report.details, report.k, names, getattr(report, "lists", None))


def make_table(values, report, metrics, *names):
    """Arrange values (n_regimes, n_metrics, n_names) as a table, one row per regime of a report."""
    metrics = [column_name(metric, report.k) for metric in metrics]
    columns = pd.MultiIndex.from_product([metrics, names], names=["metric", None])
    regimes = regime_names(report.details)
    return pd.DataFrame(values.reshape(len(regimes), -1), index=regimes, columns=columns)

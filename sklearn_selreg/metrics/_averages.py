"""Averages of ranking results: sums by user, metrics by regime, and their tables.

Metrics are ratios of sums over users, so a bootstrap over users needs only the sums.
"""

import numpy as np
import pandas as pd
from scipy import sparse

from ._ndcg import dcg_discounts
from ._regimes import REGIMES


def metric_names(k):
    return [f"NDCG@{k}", f"recall@{k}", "AUC"]


def in_regimes(details):
    """Return which interactions are in which regime, 0 or 1, (n_interactions, n_regimes) float."""
    return details.assign(overall=True)[list(REGIMES)].to_numpy(dtype=float)


def user_sums(details, k):
    """Return numerators and denominators, by user, whose sums over users make the metrics.

    Returns
    -------
    float64 array of shape (n_users, 2, n_regimes, n_metrics)
    """
    codes, users = pd.factorize(details["user"])
    shape = (len(users), len(codes))
    by_user = sparse.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=shape)
    regimes = in_regimes(details)
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
    """Return metrics over all users, (n_regimes, n_metrics), or by weights, (n_weights, ...)."""
    if weights is None:
        totals = sums.sum(axis=0)
    else:
        totals = np.tensordot(weights.astype(float), sums, axes=1)
    numerator, denominator = np.moveaxis(totals, -3, 0)
    with np.errstate(invalid="ignore"):  # an empty regime: 0 / 0
        return numerator / denominator


def make_table(values, k, *names):
    """Lay out values (n_regimes, n_metrics, n_names), one row per regime."""
    columns = pd.MultiIndex.from_product([metric_names(k), names], names=["metric", None])
    values = values.reshape(len(REGIMES), -1)
    return pd.DataFrame(values, index=list(REGIMES), columns=columns)

"""Discounted cumulative gain, in expectation over the orders of tied items."""

import numpy as np

from ._pairs import positions_of
from ._ranks import rank_held_out


def dcg_discounts(k):
    """Discounts 1 / log2(1 + position) of the positions 1 to k."""
    return 1 / np.log2(np.arange(2, k + 2))


def expected_gain(gains, n_above, n_tied):
    """Average gain of the positions an item may take when ties are broken at random.

    These are n_above + 1 to n_above + n_tied + 1, with equal probability; positions beyond
    len(gains) have gain 0.
    """
    cumulative = np.append(0, np.cumsum(gains))
    first = np.minimum(n_above, len(gains)).astype(np.intp)
    last = np.minimum(n_above + n_tied + 1, len(gains)).astype(np.intp)
    return (cumulative[last] - cumulative[first]) / (n_tied + 1)


def mean_ndcg(score, held_out, items, *, seen, k=10, verbose=0):
    """Mean NDCG@k over the users of a matrix of held-out interactions.

    Parameters
    ----------
    score : callable
        Maps a slice of users to scores (n_rows, n_items), finite floats, which are overwritten.
    held_out : csr_matrix of shape (n_users, n_held_out_items)
        Its entries are the relevant pairs.
    items : intp array of shape (n_held_out_items,)
        Columns of the scores; -1 for items outside the catalog, which count as misses.
    seen : csr_matrix of shape (n_users, n_items)
        Items excluded from the candidates, unless relevant.
    k : int, default=10
    verbose : int, default=0
        If positive, show a progress bar over the users.

    Returns
    -------
    ndcg : float
        Averaged over users with at least one relevant item; see `ranking_report`.
    """
    user, item = positions_of(held_out)
    n_users, n_items = seen.shape
    seen_user, seen_item = positions_of(seen)
    n_above, n_tied, *_ = rank_held_out(
        score, user, items[item], seen_user * n_items + seen_item, n_users, n_items, verbose
    )
    gains = expected_gain(dcg_discounts(k), n_above, n_tied)
    dcg = np.bincount(user, gains, minlength=n_users)
    n_relevant = np.bincount(user, minlength=n_users)
    ideal = np.append(0, np.cumsum(dcg_discounts(k)))[np.minimum(n_relevant, k)]
    return float(np.mean(dcg[ideal > 0] / ideal[ideal > 0]))

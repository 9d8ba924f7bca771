"""Ranks of held-out items, ties in expectation."""

import numpy as np
import pandas as pd

from .._data._ids import encode
from .._utils._progress import tqdm

_SCORES_PER_CHUNK = 2**24  # 64 MB of float32
_COMPARISONS_PER_BLOCK = 2**21  # stays near the processor's cache


# Pairs as numbers


def positions_of(matrix):
    """User and item positions of a CSR matrix's entries, users ascending."""
    matrix = matrix.tocoo()
    return matrix.row.astype(np.intp), matrix.col.astype(np.intp)


def counts_by_id(ids, known_ids, counts):
    """Look up the counts of `known_ids` for `ids`; unknown ids have 0."""
    return np.append(counts, 0)[encode(known_ids, ids)]  # unknown is -1: the 0 at the end


# Ranks


def rank_held_out(score, user, item, removed, n_users, n_items, verbose=0):
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


def dcg_discounts(k):
    """Discounts 1 / log2(1 + position) of the positions 1 to k."""
    return 1 / np.log2(np.arange(2, k + 2))


def expected_worth(worth, above, level):
    """Average `worth` of the positions an item takes as ties are broken at random.

    It takes the positions above + 1 to above + level + 1 with equal probability; those beyond
    len(worth) are worth nothing.
    """
    cumulative = np.append(0, np.cumsum(worth))
    first = np.minimum(above, len(worth)).astype(np.intp)
    last = np.minimum(above + level + 1, len(worth)).astype(np.intp)
    return (cumulative[last] - cumulative[first]) / (level + 1)

"""Ranks of held-out items among the candidates of their users."""

import numpy as np
import pandas as pd

from .._utils._progress import tracked
from ._lists import best_columns

_SCORES_PER_CHUNK = 2**24  # 64 MB of float32
_COMPARISONS_PER_BLOCK = 2**21  # stays near the processor's cache


def rank_held_out(score, user, item, excluded, n_users, n_items, verbose=0, n_best=0):
    """Compute the position of each relevant item in its user's ranking of the candidates.

    Parameters
    ----------
    score : callable
        Maps a slice of user positions to scores (n_rows, n_items), finite floats, which are
        overwritten.
    user, item : intp arrays of shape (n_pairs,)
        Relevant pairs, in ascending order of users; item -1 is not in the catalog.
    excluded : intp array
        Pairs `user * n_items + item` that are not candidates, unless relevant.
    n_users, n_items : int
        Shape of the full score matrix.
    verbose : int, default=0
    n_best : int, default=0
        Number of best candidates to return per user.

    Returns
    -------
    n_above, n_tied : float64 arrays of shape (n_pairs,)
        Number of the user's other candidates with a higher and with the same score.
    auc : float64 array of shape (n_pairs,)
        Fraction of the user's negatives (candidates that are not relevant) with a lower score, ties
        counting half. For items outside the catalog, `n_above` is infinite and `auc` is 0.
    best : int32 array of shape (n_users, n_best)
        Columns of the best candidates, best first, ties in catalog order; padded with -1.
    """
    n_above, n_tied = np.full(len(user), np.inf), np.zeros(len(user))
    auc = np.zeros(len(user))
    inside = np.flatnonzero(item >= 0)
    user, item = user[inside], item[inside]
    no_negatives = np.union1d(excluded, user * n_items + item)
    n_negatives = n_items - np.bincount(no_negatives // n_items, minlength=n_users)
    values, n_above[inside], n_tied[inside], best = _rank_among_negatives(
        score, user, item, no_negatives, n_users, n_items, verbose, n_best
    )
    with np.errstate(invalid="ignore"):  # a user without negatives: 0 / 0
        auc[inside] = 1 - (n_above[inside] + n_tied[inside] / 2) / n_negatives[user]
    # The user's other relevant items are candidates, too.
    of_user = pd.Series(values).groupby(user)
    lowest_rank = of_user.rank(method="min", ascending=False).to_numpy()
    n_above[inside] += lowest_rank - 1
    n_tied[inside] += of_user.rank(method="max", ascending=False).to_numpy() - lowest_rank
    return n_above, n_tied, auc, best


def _rank_among_negatives(score, user, item, no_negatives, n_users, n_items, verbose, n_best):
    """Return the scores of pairs, the counts of negatives above and tied, and the best columns."""
    own, n_above, n_tied = np.empty((3, len(user)))
    best = np.full((n_users, n_best), -1, dtype=np.int32)
    chunk = max(1, _SCORES_PER_CHUNK // n_items)
    for start in tracked(range(0, n_users, chunk), "ranking", verbose=verbose):
        rows = slice(start, min(start + chunk, n_users))
        pairs = slice(*np.searchsorted(user, [rows.start, rows.stop]))
        if pairs.start == pairs.stop and not n_best:
            continue
        scores = score(rows)
        row = user[pairs] - start
        values = scores[row, item[pairs]]
        first, last = np.searchsorted(no_negatives, [start * n_items, rows.stop * n_items])
        np.put(scores, no_negatives[first:last] - start * n_items, -np.inf)
        if n_best:
            scores[row, item[pairs]] = values  # relevant items are candidates, too
            best[rows] = best_columns(scores, n_best)
            scores[row, item[pairs]] = -np.inf
        own[pairs] = values
        n_above[pairs], n_tied[pairs] = _count_above(scores, row, values)
    return own, n_above, n_tied, best


def _count_above(scores, row, values):
    """Count, for each value, the entries in its row of `scores` that are larger and equal."""
    n_above, n_tied = np.empty((2, len(values)))
    block = max(1, _COMPARISONS_PER_BLOCK // scores.shape[1])
    for start in range(0, len(values), block):
        part = slice(start, start + block)
        compared, threshold = scores[row[part]], values[part, None]
        n_above[part] = np.count_nonzero(compared > threshold, axis=1)
        n_tied[part] = np.count_nonzero(compared == threshold, axis=1)
    return n_above, n_tied

"""List metrics, which describe recommendations regardless of relevance."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._data._csr import count_interactions
from .._data._ids import encode
from .._factorization._jit import jit
from ._pairs import counts_by_id


@dataclass(frozen=True, eq=False)
class ListContext:
    """Catalog data that list metrics need.

    Attributes
    ----------
    training : Interactions
    catalog : ndarray of shape (n_items,)
    features : csr_matrix of shape (n_items, n_features), or None
        If None, diversity is NaN.
    """

    training: object
    catalog: np.ndarray
    features: sp.csr_matrix | None

    def describe(self, users, columns):
        """Compute the values that list metrics average.

        Parameters
        ----------
        users : ndarray of shape (n_users,)
            Ids.
        columns : int array of shape (n_users, k)
            Positions in the catalog, padded with -1.

        Returns
        -------
        lists : DataFrame of shape (n_users, 6)
            See `RankingReport`.
        """
        counts = count_interactions(self.training.matrix)
        n_users = max(np.count_nonzero(np.diff(self.training.matrix.indptr)), 1)
        of_item = counts_by_id(self.catalog, self.training.items, counts)
        return pd.DataFrame(
            {
                "user": users,
                "novelty": mean_of_lists(np.log2(n_users / np.maximum(of_item, 1)), columns),
                "diversity": diversity(self.features, columns),
                "popularity": mean_of_lists(of_item / n_users, columns),
                "profile_popularity": self._profile_popularity(users, counts / n_users),
                "items": list(columns),
            }
        )

    def _profile_popularity(self, users, popularity):
        """Return the mean popularity of users' training items; NaN for users without any."""
        matrix = self.training.matrix
        lengths = np.diff(matrix.indptr)
        total = np.add.reduceat(np.append(popularity[matrix.indices], 0), matrix.indptr[:-1])
        with np.errstate(invalid="ignore"):
            mean = np.where(lengths > 0, total, np.nan) / lengths
        return np.append(mean, np.nan)[encode(self.training.users, users)]


@jit
def best_columns(scores, k):
    """Return the columns of the k largest entries of each row, best first, ties in column order.

    Entries of minus infinity are skipped; missing columns are -1.
    """
    n_rows, n_columns = scores.shape
    best = np.full((n_rows, k), -1, dtype=np.int32)
    for row in range(n_rows):
        n_found = 0
        for column in range(n_columns):
            score = scores[row, column]
            if score == -np.inf:
                continue
            if n_found == k and score <= scores[row, best[row, k - 1]]:
                continue
            place = min(n_found, k - 1)
            while place > 0 and scores[row, best[row, place - 1]] < score:
                best[row, place] = best[row, place - 1]
                place -= 1
            best[row, place] = column
            n_found = min(n_found + 1, k)
    return best


def mean_of_lists(values, columns):
    """Return the mean value over the items of each list; NaN for empty lists."""
    inside = columns >= 0
    total = np.sum(values[columns], axis=1, where=inside)
    with np.errstate(invalid="ignore"):
        return total / inside.sum(axis=1)


def diversity(features, columns):
    """Return 1 minus the mean pairwise cosine of each list; NaN for fewer than two items.

    An item without features has cosine 0 with all others.
    """
    if features is None:
        return np.full(len(columns), np.nan)
    features = sp.csr_matrix(features, dtype=np.float64)
    norms = np.sqrt(np.asarray(features.multiply(features).sum(axis=1)).ravel())
    directions = sp.diags_array(1 / np.where(norms > 0, norms, 1)) @ features
    inside = columns >= 0
    row, _ = np.nonzero(inside)
    shape = len(columns), features.shape[0]
    shown = sp.csr_array((np.ones(len(row)), (row, columns[inside])), shape=shape)
    together = shown @ directions
    squares = np.asarray(together.multiply(together).sum(axis=1)).ravel()
    n, own = inside.sum(axis=1), shown @ (norms > 0).astype(float)  # cosines with itself
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 1, 1 - (squares - own) / (n * (n - 1)), np.nan)


def coverage(counts):
    """Return the fraction of items in any list, given each item's number of lists, (n_items,)."""
    return np.count_nonzero(counts) / len(counts) if counts.any() else np.nan


def gini(counts):
    """Return the Gini index of list frequencies: 0 if all items are equal, 1 for a single item."""
    n, total = len(counts), counts.sum()
    if not total or n < 2:
        return np.nan
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ np.sort(counts) / ((n - 1) * total))

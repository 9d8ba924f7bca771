"""Positions of a few interactions among all users and items of given factors.

Memory is proportional to the interactions, not to the numbers of users and items.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._data._csr import count_interactions
from .._data._ids import encode
from .._data._interactions import Interactions
from .._data._requested_ids import warn_of_unknown
from .._serving._given import GivenFactors


@dataclass(frozen=True, eq=False)
class Located:
    """Interactions among a few of many users and items.

    Attributes
    ----------
    interactions : Interactions
        Interactions indexed by the located users and items only.
    rows, columns : ndarrays of int, sorted
        Positions of these among all users and all items.
    unknown_users, unknown_items : ndarrays
        Unknown ids, which are ignored.
    """

    interactions: Interactions
    rows: np.ndarray
    columns: np.ndarray
    unknown_users: np.ndarray
    unknown_items: np.ndarray

    def warn_of_unknown(self, interactions, model):
        """Warn of ids that the model does not have."""
        for what, unknown, ids, known in (
            ("users", self.unknown_users, interactions.users, model.users),
            ("items", self.unknown_items, interactions.items, model.items),
        ):
            left_out = "their interactions are left out"
            warn_of_unknown(what, unknown, len(ids), known, left_out)

    def place(self, slates):
        """Convert slates to positions among all users and items, except for `shown`."""
        items = np.where(slates.items >= 0, self.columns[slates.items], -1)
        return replace(slates, users=self.rows[slates.users], items=items)

    def spread(self, values, shape):
        """Expand values of the interactions to a matrix of all users and items."""
        small = self.interactions.matrix
        indptr = np.zeros(shape[0] + 1, dtype=small.indptr.dtype)
        indptr[self.rows + 1] = np.diff(small.indptr)
        np.cumsum(indptr, out=indptr)
        columns = self.columns[small.indices].astype(small.indices.dtype)
        matrix = sp.csr_matrix((values, columns, indptr), shape)
        matrix.has_canonical_format = True
        return matrix


def locate(interactions, users, items, candidates=()):
    """Locate interactions among all users and items.

    Parameters
    ----------
    interactions : Interactions
    users, items : ndarrays
        All ids.
    candidates : ndarray, default=()
        Ids of additional items to include.

    Returns
    -------
    located : Located
    """
    rows, columns = encode(users, interactions.users), encode(items, interactions.items)
    asked = encode(items, pd.unique(candidates)) if len(candidates) else columns[:0]
    kept = np.flatnonzero(rows >= 0)
    kept = kept[np.argsort(rows[kept], kind="stable")]
    found = np.union1d(columns[columns >= 0], asked[asked >= 0])
    within = np.where(columns >= 0, np.searchsorted(found, columns), -1)
    few = interactions.select_items(within, len(found))[kept]
    small = Interactions(
        few.matrix, few.recency_rank, users=interactions.users[kept], items=items[found]
    )
    unknown = interactions.users[rows < 0], interactions.items[columns < 0]
    return Located(small, rows[kept], found, *unknown)


def with_interactions(model, located):
    """Return a model with given factors, extended by the interactions they were fitted on."""
    small, n_items = located.interactions, len(model.items)
    popularity = np.zeros(n_items, dtype=np.int64)
    popularity[located.columns] = count_interactions(small.matrix)
    matrix = located.spread(small.matrix.data, (len(model.users), n_items))
    histories = replace(model.histories, matrix=matrix, recency_rank=small.recency_rank)
    table = replace(model.user_table.whole, histories=histories)
    return replace(
        model, user_table=table, popularity=popularity, given=GivenFactors(), item_cache={}
    )

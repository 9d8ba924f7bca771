"""What a model knows of its users, with lookups of a few of them that do not depend on the others.

A `UserTable` holds all users in arrays. Folding a few users in does not copy these: `FoldedUsers`
keep the new rows aside, and are merged into a table when the whole is needed or they become many.
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from .._data._histories import Histories
from .._data._ids import concatenate_ids, encode
from .._data._item_features import pick_rows
from .._data._known_ids import KnownIds
from .._data._requested_ids import foreign_ids, has_tuples
from .._factorization._finite import are_finite


@dataclass(frozen=True, eq=False, kw_only=True)
class UserRows:
    """Rows of users.

    Attributes
    ----------
    factors : ndarray of shape (n_users, k), float32
    histories : Histories
    features : csr_matrix of shape (n_users, n_user_features), float32, or None
    """

    factors: np.ndarray
    histories: Histories
    features: sp.csr_matrix | None = None

    def pick(self, rows):
        """Return the rows of some users."""
        features = None if self.features is None else self.features[rows]
        return UserRows(
            factors=self.factors[rows], histories=self.histories[rows], features=features
        )

    def stack(self, below):
        """Append rows."""
        features = None
        if self.features is not None:
            features = sp.vstack([self.features, below.features], format="csr")
        return UserRows(
            factors=np.concatenate([self.factors, below.factors]),
            histories=self.histories.stack(below.histories),
            features=features,
        )

    def __getstate__(self):  # without what is computed on demand
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, eq=False, kw_only=True)
class UserTable(UserRows):
    """All users of a model.

    Attributes
    ----------
    ids : ndarray of shape (n_users,)
        Folded-in users come after fitted users.
    """

    ids: np.ndarray

    whole = property(lambda self: self, doc="All users as a `UserTable`, as of `FoldedUsers`.")

    def __len__(self):
        return len(self.ids)

    def find(self, ids):
        """Return the rows of users, (n,) intp; -1 if unknown."""
        return self._known_ids.find(ids)

    @property
    def ids_to_read_by(self):
        """Ids that are tuples only if some known ids are."""
        return self.ids

    def ids_to_compare(self, unknown):
        """Return known ids, whose types are compared with those of unknown ones."""
        return self.ids

    def ids_of(self, rows):
        """Return ids by row."""
        return self.ids[rows]

    def factors_of(self, rows):
        """Return factors by row, (n, k) float32; arbitrary for -1."""
        return self.factors[rows]

    def histories_of(self, rows):
        """Return histories by row; empty for -1."""
        return self.histories[rows]

    def seen_by(self, rows):
        """Return the strengths of users' items, csr_matrix of shape (n, n_items); empty for -1."""
        if (rows < 0).any():
            return self.histories_of(rows).matrix
        return self.histories.matrix[rows]

    def has_history(self, rows):
        """Return a mask of users with interactions, (n,) bool; arbitrary for -1."""
        indptr = self.histories.matrix.indptr
        return indptr[rows + 1] > indptr[rows]

    def features_of(self, rows):
        """Return features by row, zeros for -1; None without features."""
        return None if self.features is None else pick_rows(self.features, rows)

    def place(self, rows, new_ids, own):
        """Replace rows of users and append others.

        Parameters
        ----------
        rows : ndarray of shape (n,), int
            Distinct; those of new users are len(self), len(self) + 1, ...
        new_ids : ndarray of shape (n_new,)
            Ids of the new users.
        own : UserRows
            The n rows.

        Returns
        -------
        table : UserTable or FoldedUsers
        """
        order = np.argsort(rows)
        new_ids = concatenate_ids(self.ids[:1], new_ids)[1:]
        return FoldedUsers(self, rows[order], new_ids, own.pick(order)).settled()

    def as_of(self, n_users):
        """Return a table with the same first `n_users` rows, to share its `cache`."""
        return self

    @cached_property
    def mean(self):
        """Mean of the factors, (k,) float32."""
        return self.factors.mean(axis=0)

    @cached_property
    def are_finite(self):
        """Whether all factors are finite."""
        return are_finite(self.factors)

    @cached_property
    def cache(self):
        """Results of slow computations on all users, a dict."""
        return {}

    @cached_property
    def _known_ids(self):
        return KnownIds(self.ids)


@dataclass(frozen=True, eq=False)
class FoldedUsers:
    """A table of users of which a few rows were replaced or appended.

    It has the attributes and methods of `UserTable`.

    Attributes
    ----------
    base : UserTable
    at : ndarray of shape (n,), int
        Rows that were replaced or appended, sorted.
    new_ids : ndarray of shape (n_new,)
    own : UserRows
        The n rows.
    """

    base: UserTable
    at: np.ndarray
    new_ids: np.ndarray
    own: UserRows

    def __len__(self):
        return len(self.base) + len(self.new_ids)

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def whole(self):
        """All users as a `UserTable`, computed when it is first needed."""
        base, own = self.base, self.own
        is_new = self.at >= len(base)
        factors = np.concatenate([base.factors, own.factors[is_new]])
        factors[self.at] = own.factors
        source = np.arange(len(self))
        source[self.at] = len(base) + np.arange(len(self.at))
        features = base.features
        if features is not None:
            features = sp.vstack([features, own.features], format="csr")[source]
        return UserTable(
            ids=concatenate_ids(base.ids, self.new_ids),
            factors=factors,
            histories=base.histories.stack(own.histories)[source],
            features=features,
        )

    ids = property(lambda self: self.whole.ids)
    factors = property(lambda self: self.whole.factors)
    histories = property(lambda self: self.whole.histories)
    features = property(lambda self: self.whole.features)
    are_finite = property(lambda self: self.whole.are_finite)
    mean = property(lambda self: self.whole.mean)
    cache = property(lambda self: self.whole.cache)

    @property
    def ids_to_read_by(self):
        return self.ids if has_tuples(self.new_ids) else self.base.ids

    def ids_to_compare(self, unknown):
        return self.base.ids if not foreign_ids(unknown, self.base.ids) else self.ids

    def find(self, ids):
        rows = self.base.find(ids)
        if (rows < 0).any():
            rows = rows.copy()
            found = encode(self.new_ids, ids[rows < 0])
            rows[rows < 0] = np.where(found < 0, -1, len(self.base) + found)
        return rows

    def ids_of(self, rows):
        is_new = rows >= len(self.base)
        ids = self.base.ids[np.where(is_new, 0, rows)]
        if not is_new.any():  # but the same dtype as that of the whole
            return concatenate_ids(ids, self.new_ids)[: len(ids)]
        every, places = concatenate_ids(ids, self.new_ids), np.arange(len(rows))
        return every[np.where(is_new, len(rows) + rows - len(self.base), places)]

    def _own(self, rows):
        """Return which of the rows are in `own`, and where."""
        where = np.minimum(np.searchsorted(self.at, rows), len(self.at) - 1)
        inside = self.at[where] == rows
        return inside, where[inside]

    def _in_base(self, rows):
        return np.where(rows < len(self.base), rows, -1)

    def factors_of(self, rows):
        if "whole" in vars(self):  # an array that the estimator shows as its own
            return self.whole.factors_of(rows)
        inside, where = self._own(rows)
        factors = self.base.factors_of(self._in_base(rows))
        factors[inside] = self.own.factors[where]
        return factors

    def histories_of(self, rows):
        inside, where = self._own(rows)
        histories = self.base.histories_of(np.where(inside, -1, rows))
        if not inside.any():
            return histories
        source = np.arange(len(rows))
        source[inside] = len(rows) + np.arange(len(where))
        return histories.stack(self.own.histories[where])[source]

    def seen_by(self, rows):
        return self.histories_of(rows).matrix

    def has_history(self, rows):
        inside, where = self._own(rows)
        found = self.base.has_history(self._in_base(rows))
        indptr = self.own.histories.matrix.indptr
        found[inside] = indptr[where + 1] > indptr[where]
        return found

    def features_of(self, rows):
        if self.base.features is None:
            return None
        inside, where = self._own(rows)
        features = self.base.features_of(np.where(inside, -1, rows))
        places = np.full(len(rows), -1)
        places[inside] = where
        return features + pick_rows(self.own.features, places)

    def place(self, rows, new_ids, own):
        if "whole" in vars(self):
            return self.whole.place(rows, new_ids, own)
        at = np.union1d(self.at, rows)
        source = np.empty(len(at), dtype=np.intp)
        source[np.searchsorted(at, self.at)] = np.arange(len(self.at))
        source[np.searchsorted(at, rows)] = len(self.at) + np.arange(len(rows))
        new_ids = concatenate_ids(self.base.ids[:1], new_ids)[1:]
        new_ids = concatenate_ids(self.new_ids, new_ids)
        return FoldedUsers(self.base, at, new_ids, self.own.stack(own).pick(source)).settled()

    def settled(self):
        """Return the whole once own rows are so many that copying these costs as much in total."""
        same = (self.own.histories.times is None) == (self.base.histories.times is None)
        few = len(self.at) ** 2 <= 2 * len(self.base)
        return self if few and same else self.whole

    def as_of(self, n_users):
        return self.base if self.at[0] >= n_users else self.whole

"""The fitted model: a single object for recommending, folding in, explaining and saving."""

from dataclasses import dataclass, field, fields, replace
from functools import partial

import numpy as np
import scipy.sparse as sp

from .._data._ids import concatenate_ids
from .._data._item_columns import ItemColumns
from .._data._known_ids import KnownIds
from .._data._periods import in_last_period
from .._data._requested_ids import warn_of_unknown
from .._data._strengths import StrengthScale
from .._factorization._als_backbone import ALSBackbone
from .._factorization._finite import check_finite_model
from .._factorization._preferences import PreferenceLoss
from .._factorization._sampled_backbones import SampledBackbone
from ._given import GivenFactors
from ._user_table import FoldedUsers, UserTable

_SCORES_PER_CHUNK = 2**24  # 64 MB of float32
_PAIRS_PER_CHUNK = 2**18


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fitted model.

    Attributes
    ----------
    user_table : UserTable or FoldedUsers
        Ids, factors, interactions and features of the users; also the properties `users`,
        `user_factors`, `histories` and `user_features`. Methods for some users do not read all.
    items : ndarray of shape (n_items,)
        Ids.
    item_factors : ndarray of shape (n_items, k), float32
        Like those of users: `backbone.factors` columns, followed by bias columns.
    popularity : ndarray of shape (n_items,), int
        Number of interactions of each item in the fit.
    backbone : ALSBackbone or SampledBackbone
    scale : StrengthScale
    periods : ndarray of shape (n_periods,), float64
        Centers of the periods; a single one if popularity does not depend on time.
    uses_last_period : bool
        Whether all users are placed in the last period.
    id_names : tuple of (str, str)
        Names of the user and item columns in tables.
    item_columns : ItemColumns
        Columns of the item data.
    time_kind : str or None
        Kind of the fitted times; None without times.
    time_span : tuple of (float, float) or None
        First and last fitted time.
    features : csr_matrix of shape (n_items, n_features), float32, or None
    feature_names : ndarray of shape (n_features,), object
    user_gram : ndarray of shape (k, k), float64, or None
        Gram matrix of the users that items were solved against; None without features.
    own_bias : ndarray of shape (n_items,), float32, or None
        Biases learned by the backbone itself.
    fold_in_scale : float
        Factor by which the backbone scales folded-in users.
    preferences : PreferenceLoss or None
        Preference loss of the last update of the users.
    as_of_fit : ndarray of shape (n_fitted_users,), bool
        Whether a user's factors are still those of the fit.
    given : GivenFactors or None
        None if the factors were fitted by the estimator.
    user_feature_names : ndarray of shape (n_user_features,), object
    user_coefficients : ndarray of shape (n_user_features, k), float32, or None
        Coefficients of the prior means of users given their features.
    item_cache : dict
        Cache of slow computations on items; not pickled.
    """

    user_table: UserTable | FoldedUsers
    items: np.ndarray
    item_factors: np.ndarray
    popularity: np.ndarray
    backbone: ALSBackbone | SampledBackbone
    scale: StrengthScale
    periods: np.ndarray
    uses_last_period: bool
    id_names: tuple
    item_columns: ItemColumns
    time_kind: str | None = None
    time_span: tuple | None = None
    features: sp.csr_matrix | None = None
    feature_names: np.ndarray = field(default_factory=partial(np.empty, 0, object))
    user_gram: np.ndarray | None = None
    own_bias: np.ndarray | None = None
    fold_in_scale: float = 1.0
    preferences: PreferenceLoss | None = None
    as_of_fit: np.ndarray = field(default_factory=partial(np.empty, 0, bool))
    given: GivenFactors | None = None
    user_feature_names: np.ndarray = field(default_factory=partial(np.empty, 0, object))
    user_coefficients: np.ndarray | None = None
    item_cache: dict = field(default_factory=dict)

    users = property(lambda self: self.user_table.ids)
    user_factors = property(lambda self: self.user_table.factors)
    histories = property(lambda self: self.user_table.histories)
    user_features = property(lambda self: self.user_table.features)

    def __getstate__(self):
        return {field.name: getattr(self, field.name) for field in fields(self)} | {
            "item_cache": {}
        }

    @property
    def matrix(self):
        """Strengths, a csr_matrix of shape (n_users, n_items), float32."""
        return self.histories.matrix

    @property
    def weighted(self):
        """Weights that `alpha` multiplies, in the form of `matrix`."""
        return self.scale.apply(self.matrix)

    @property
    def plain_factors(self):
        """Factors of users and items without bias columns."""
        k = self.backbone.factors
        return self.user_factors[:, :k], self.item_factors[:, :k]

    @property
    def bias(self):
        """Item biases by period, (n_items, n_periods); with 0 columns if there are no biases."""
        return self.item_factors[:, self.backbone.factors :]

    def seen_by(self, rows):
        """Return the strengths of some users, csr_matrix of shape (n, n_items); empty for -1."""
        return self.user_table.seen_by(rows)

    @property
    def mean_user(self):
        """Factors of an unknown user."""
        return in_last_period(self.user_table.mean, len(self.periods))

    def find_users(self, ids):
        """Return the rows of users, (n,) intp; -1 if unknown."""
        return self.user_table.find(ids)

    def find_items(self, ids):
        """Return the columns of items, (n,) intp; -1 if unknown."""
        if "ids" not in self.item_cache:
            self.item_cache["ids"] = KnownIds(self.items)
        return self.item_cache["ids"].find(ids)

    def warn_of_foreign_users(self, what, unknown, n_ids, consequence):
        """Warn about unknown users only if their ids differ in type: new users are expected."""
        if len(unknown):
            known = self.user_table.ids_to_compare(unknown)
            warn_of_unknown(what, unknown, n_ids, known, consequence, tolerated="same type")

    def check_items_finite(self):
        """Raise a ValueError if item factors are not finite; they are read only once."""
        if not self.item_cache.get("are finite"):
            check_finite_model(self.item_factors)
            self.item_cache["are finite"] = True

    def check_users_finite(self):
        """Do the same for all users."""
        if not self.user_table.are_finite:
            check_finite_model(self.user_factors)

    @property
    def is_nobody(self):
        """Mask of users without any information, (n_users,) bool; they have the mean factors."""
        nobody = np.diff(self.matrix.indptr) == 0
        if self.given is not None:
            nobody[:] = False
        elif self.user_features is not None:
            nobody &= np.diff(self.user_features.indptr) == 0
        return nobody

    @property
    def known_users(self):
        """Rows of the users that are not `is_nobody`; None for all users."""
        cache = self.user_table.cache
        if "known" not in cache:
            nobody = self.is_nobody
            cache["known"] = np.flatnonzero(~nobody) if nobody.any() else None
        return cache["known"]

    def norms_of(self, of):
        """Norms of the factors of users or items without bias columns, 1 instead of 0."""
        cache = self.item_cache if of == "item" else self.user_table.cache
        if "norms" not in cache:
            norms = np.linalg.norm(self.plain_factors[int(of == "item")], axis=1)
            cache["norms"] = np.where(norms > 0, norms, np.float32(1))
        return cache["norms"]

    def user_rows(self, rows):
        """Return factors by row; -1 for the mean user."""
        factors = self.user_table.factors_of(rows)
        if (rows < 0).any():
            factors[rows < 0] = self.mean_user
        return factors

    def score(self, rows):
        """Return the scores of all items for the given users, (n, n_items) float32."""
        return self.user_rows(rows) @ self.item_factors.T

    def score_pairs(self, rows, columns):
        """Return the scores of pairs, (n,) float32."""
        scores = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _PAIRS_PER_CHUNK):
            part = slice(start, start + _PAIRS_PER_CHUNK)
            users, items = self.user_rows(rows[part]), self.item_factors[columns[part]]
            scores[part] = np.einsum("nk,nk->n", users, items)
        return scores

    def lowest_scores(self, rows):
        """Return each user's lowest score, (n,) float32."""
        users, which = np.unique(rows, return_inverse=True)
        chunk = max(1, _SCORES_PER_CHUNK // len(self.items))
        parts = np.split(users, range(chunk, len(users), chunk))
        return np.concatenate([self.score(part).min(axis=1) for part in parts])[which]

    def lacks_history(self, rows):
        """Mask of users (-1: new) that have given factors but no interactions, (n,) bool."""
        if self.given is None:
            return np.zeros(len(rows), dtype=bool)
        return (rows >= 0) & ~self.user_table.has_history(rows)

    def is_judged(self, rows):
        """Mask of users (-1: new) affected by a judge's preferences, (n,) bool."""
        judged = (rows >= 0) & (rows < len(self.as_of_fit))
        judged[judged] = self.as_of_fit[rows[judged]]
        if self.preferences is None:
            return np.zeros_like(judged)
        return judged & np.isin(rows, self.preferences.slates.users)

    def with_items(self, ids, factors, own_bias, features, columns):
        """Return the model with additional items, without interactions."""
        n_new, matrix, table = len(ids), self.matrix, self.user_table.whole
        shape = matrix.shape[0], matrix.shape[1] + n_new
        wider = sp.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape)
        return replace(
            self,
            items=concatenate_ids(self.items, ids),
            item_factors=np.concatenate([self.item_factors, factors]),
            own_bias=None if own_bias is None else np.concatenate([self.own_bias, own_bias]),
            popularity=np.pad(self.popularity, (0, n_new)),
            features=sp.vstack([self.features, features], format="csr"),
            user_table=replace(table, histories=replace(table.histories, matrix=wider)),
            item_columns=self.item_columns.append(columns),
            item_cache={},
        )

"""The fitted model: a single object for recommending, folding in, explaining and saving."""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import scipy.sparse as sp

from .._data._histories import Histories
from .._data._ids import concatenate_ids
from .._data._item_columns import ItemColumns
from .._data._periods import mean_user
from .._data._strengths import StrengthScale
from .._factorization._als_backbone import ALSBackbone
from .._factorization._preferences import PreferenceLoss
from .._factorization._sampled_backbones import SampledBackbone
from ._given import GivenFactors

_SCORES_PER_CHUNK = 2**24  # 64 MB of float32
_PAIRS_PER_CHUNK = 2**18


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fitted model.

    Attributes
    ----------
    users, items : ndarrays of shape (n_users,) and (n_items,)
        Ids; folded-in users come after fitted users.
    user_factors, item_factors : ndarrays of shape (n_users, k) and (n_items, k), float32
        `backbone.factors` columns, followed by bias columns.
    histories : Histories
        Interactions of the users.
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
    user_features : csr_matrix of shape (n_users, n_user_features), float32, or None
    user_feature_names : ndarray of shape (n_user_features,), object
    user_coefficients : ndarray of shape (n_user_features, k), float32, or None
        Coefficients of the prior means of users given their features.
    item_cache : dict
        Cache of slow computations on items.
    """

    users: np.ndarray
    items: np.ndarray
    user_factors: np.ndarray
    item_factors: np.ndarray
    histories: Histories
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
    user_features: sp.csr_matrix | None = None
    user_feature_names: np.ndarray = field(default_factory=partial(np.empty, 0, object))
    user_coefficients: np.ndarray | None = None
    item_cache: dict = field(default_factory=dict)

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

    @property
    def seen(self):
        """The matrix with an additional empty row for unknown users (-1)."""
        indptr = np.append(self.matrix.indptr, self.matrix.indptr[-1])
        shape = self.matrix.shape[0] + 1, self.matrix.shape[1]
        return sp.csr_matrix((self.matrix.data, self.matrix.indices, indptr), shape)

    @property
    def mean_user(self):
        """Factors of an unknown user."""
        return mean_user(self.user_factors, len(self.periods))

    @property
    def is_nobody(self):
        """Mask of users without any information, (n_users,) bool; they have the mean factors."""
        nobody = np.diff(self.matrix.indptr) == 0
        if self.given is not None:
            nobody[:] = False
        elif self.user_features is not None:
            nobody &= np.diff(self.user_features.indptr) == 0
        return nobody

    def user_rows(self, rows):
        """Return factors by row; -1 for the mean user."""
        factors = self.user_factors[rows]
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
        indptr = self.matrix.indptr
        return (rows >= 0) & (indptr[rows + 1] == indptr[rows])

    def is_judged(self, rows):
        """Mask of users (-1: new) affected by a judge's preferences, (n,) bool."""
        judged = (rows >= 0) & (rows < len(self.as_of_fit))
        judged[judged] = self.as_of_fit[rows[judged]]
        if self.preferences is None:
            return np.zeros_like(judged)
        return judged & np.isin(rows, self.preferences.slates.users)

    def with_items(self, ids, factors, own_bias, features, columns):
        """Return the model with additional items, without interactions."""
        n_new, matrix = len(ids), self.matrix
        shape = matrix.shape[0], matrix.shape[1] + n_new
        wider = sp.csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape)
        return replace(
            self,
            items=concatenate_ids(self.items, ids),
            item_factors=np.concatenate([self.item_factors, factors]),
            own_bias=None if own_bias is None else np.concatenate([self.own_bias, own_bias]),
            popularity=np.pad(self.popularity, (0, n_new)),
            features=sp.vstack([self.features, features], format="csr"),
            histories=replace(self.histories, matrix=wider),
            item_columns=self.item_columns.append(columns),
            item_cache={},
        )

r"""Decomposition of the score of a user and an item.

At the end of a fit, both sides of a score :math:`x_u \cdot y_i + b_{ui}` solve a linear system
given the other side. With :math:`h_{uij} = \max(0, m_{uij} - z_{uij})`, the hinge loss of the
preference "i above j" of a slate, and the other symbols of ``_als``:

.. math::

    A_u x_u &= \sum_{h} c_{uh} y_h + \lambda V^T g_u
    + \mu \sum_{i \succ j} a_{uij} h_{uij} (y_i - y_j),
    & A_u &= \sum_h c_{uh} y_h y_h^T + \sum_{j\ missing} c_j y_j y_j^T + \lambda I

    A_i y_i &= \sum_{v} c_{vi} x_v + \lambda_I c_i W^T f_i
    + \mu \sum_{v, j} (a_{vij} h_{vij} - a_{vji} h_{vji}) x_v,
    & A_i &= \sum_v c_{vi} x_v x_v^T + c_i \sum_{w\ missing} x_w x_w^T + \lambda_I c_i I

Thus :math:`x_u` is a sum of contributions of history items and preferences, as in section 5 of Hu,
Koren & Volinsky (2008), :math:`y_i` a sum of contributions of interactions, features and
preferences, and the score the sum of their products. Factors are at this fixed point up to the
convergence of the sweeps; the difference is the remainder.
"""

from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
import scipy.linalg

from .._data._arrays import as_objects
from .._data._csr import gram, row_chunks
from .._factorization._feature_prior import FEATURE_RIDGE
from .._factorization._finite import check_finite_model

_ITEMS_KEPT = 512  # items whose parts are cached
_SMALLEST_MOVE = 1e-3  # relative singular value; smaller ones are numerical noise


def check_explainable(model):
    """Raise a ValueError if factors that explanations refer to are not finite."""
    model.check_items_finite()
    fitted = model.user_table.as_of(len(model.as_of_fit))
    if not fitted.are_finite:
        check_finite_model(fitted.factors)


def explain(model, row, column, *, by_feature):
    """Decompose the score of a user and an item.

    Parameters
    ----------
    model : FittedModel
        Fitted by ALS.
    row : int
        Row of the user; -1 for an unknown user.
    column : int
        Column of the item.
    by_feature : bool
        Whether to list the joint contribution of the history and the item features by feature.

    Returns
    -------
    table : DataFrame
        As from `SelectiveLLMRegularizedMF.explain`.
    """
    explainer, rows = Explainer(model), []
    for kind, positions, values in explainer.parts(row, column, by_feature=by_feature):
        order = np.argsort(-values, kind="stable")
        sources = _sources(model, kind, positions[order])
        rows += zip([kind] * len(order), sources, values[order], strict=True)
    score = explainer.score(row, column)
    rows.append(("remainder", None, score - sum(value for *_, value in rows)))
    kinds, sources, values = zip(*rows, strict=True)
    sources = pd.Series(sources, dtype=object)  # keeps None and numbers
    return pd.DataFrame({"kind": kinds, "source": sources, "contribution": values})


def _sources(model, kind, positions):
    """Return the names of features, or ids of items, at positions; None for -1."""
    # Do not index items by positions of features: there may be more features than items.
    if kind == "feature":
        return model.feature_names[positions]
    if kind == "user_feature":
        return model.user_feature_names[positions]
    sources = np.full(len(positions), None, dtype=object)
    is_item = positions >= 0
    sources[is_item] = as_objects(model.items[positions[is_item]])
    return sources


class Explainer:
    """Decomposition of the scores of a model, with shared quantities computed once.

    Parameters
    ----------
    model : FittedModel
        Fitted by ALS.
    """

    def __init__(self, model):
        self.model, self.n_fitted = model, len(model.as_of_fit)
        self.fitted = model.user_table.as_of(self.n_fitted)
        self.items = model.item_factors[:, : model.backbone.factors]
        self.weights = _missing_weights(model)
        self.of_user = lru_cache(maxsize=1)(self._of_user)  # pairs are sorted by user
        self.of_item = lru_cache(maxsize=_ITEMS_KEPT)(self._of_item)

    def _users(self, rows):
        """Factors of fitted users in the updates of items, (n, k) float64."""
        users = self.fitted.factors[rows, : self.items.shape[1]].astype(np.float64)
        if self.model.user_coefficients is not None:  # without interactions: not in the updates
            users[~self._is_active[rows]] = 0
        return users

    @cached_property
    def _is_active(self):
        return np.diff(self.fitted.histories.matrix.indptr[: self.n_fitted + 1]) > 0

    @property
    def _confidence(self):
        """Confidence of the interactions of fitted users, as a csc_matrix; cached."""
        cache = self.fitted.cache
        if "confidence" not in cache:
            weighted = self.model.scale.apply(self.fitted.histories.matrix[: self.n_fitted])
            cache["confidence"] = self.model.backbone.confidence(weighted).tocsc()
        return cache["confidence"]

    @property
    def _item_gram(self):
        cache = self.model.item_cache
        if "gram" not in cache:
            items = self.items.astype(np.float64)
            cache["gram"] = (self.weights[:, np.newaxis] * items).T @ items
        return cache["gram"].copy()

    @property
    def _user_gram(self):
        cache = self.fitted.cache
        if "gram" not in cache:
            rows = np.arange(self.n_fitted)
            parts = (self._users(rows[chunk]) for chunk in row_chunks(len(rows)))
            cache["gram"] = sum(part.T @ part for part in parts)
        return cache["gram"]

    def score(self, row, column):
        """Return the score of a pair."""
        return float(self.model.user_rows(np.array([row]))[0] @ self.model.item_factors[column])

    def parts(self, row, column, *, by_feature):
        """Return kinds, positions and contributions of all parts except the remainder."""
        kind, history, own, told, by_told, candidates, preferred = self.of_user(row)
        interactions, features, by_features, judged = self.of_item(column)
        theirs = interactions + by_features.sum(axis=0)
        liked = own.sum(axis=0)
        parts = [(kind, history, own @ (interactions if by_feature else theirs))]
        if by_feature and len(own):
            parts.append(("feature", features, by_features @ liked))
        parts.append(("user_feature", told, by_told @ theirs))
        parts.append(("preference", candidates, preferred @ theirs))
        if judged.any():
            everything = liked + by_told.sum(axis=0) + preferred.sum(axis=0)
            part = np.array([column]), np.array([everything @ judged])
            parts.append(("item_preference", *part))
        k = self.items.shape[1]
        bias = self.model.item_factors[column, k:]
        if len(bias):
            user = self.model.user_rows(np.array([row]))[0, k:]
            parts.append(("bias", np.array([-1]), np.array([float(user @ bias)])))
        return parts

    def _of_user(self, row):
        """Decompose a user's factors.

        Returns
        -------
        kind : str
            `history`, or `mean_user` for users without interactions and features.
        history : ndarray of shape (n_history,), int
            Columns of the user's items.
        own : ndarray of shape (n_history, k)
            Contribution of each item.
        told : ndarray of shape (n_features_of_user,), int
            Columns of the user's features.
        by_told : ndarray of shape (n_features_of_user, k)
            Contribution of each feature.
        candidates : ndarray of shape (n_preferred,), int
            Columns of candidates pushed up or down by preferences of the user's slates.
        preferred : ndarray of shape (n_preferred, k)
            Contribution of each candidate.
        """
        model, items = self.model, self.items
        user = model.user_rows(np.array([row]))[0, : items.shape[1]].astype(np.float64)
        nobody, nothing = np.empty(0, dtype=np.intp), np.empty((0, items.shape[1]))
        told, prior = _described(model, row)
        histories = model.user_table.histories_of(np.array([row]))
        history = histories.matrix.indices
        is_judged = model.is_judged(np.array([row]))[0]
        if not len(history) and not len(told):
            row_of_mean = np.array([-1]), user[np.newaxis]
            return "mean_user", *row_of_mean, told, prior, nobody, nothing
        if not len(history) and not is_judged:
            return "history", history, nothing, told, prior, nobody, nothing
        confidence = model.backbone.recent_confidence(
            model.scale.apply(histories.matrix), histories.recency_rank
        ).data
        penalty = model.backbone.regularization
        more = confidence - self.weights[history]
        liked = items[history].astype(np.float64)
        system = self._item_gram + (more[:, np.newaxis] * liked).T @ liked
        system[np.diag_indices_from(system)] += penalty
        candidates, push = nobody, np.empty(0)
        if is_judged:
            which = model.preferences.slates.users == row
            _, places, pushes = _pushes(model, which)
            has_pairs = model.preferences.slates.weighted(which)
            candidates, place = np.unique(places[has_pairs], return_inverse=True)
            push = np.bincount(place, weights=pushes[has_pairs])
        terms = [confidence[:, np.newaxis] * liked, penalty * prior, items[candidates]]
        ends = np.cumsum([len(history), len(told)])
        own, by_told, moves = np.split(_solve(system, np.vstack(terms)), ends)
        if len(candidates):
            # The last update of the users is exact, except that it used earlier hinges. What the
            # history does not explain is thus due to preferences; we take the pushes nearest to the
            # current ones.
            rest = user - own.sum(axis=0) - by_told.sum(axis=0) - push @ moves
            push = push + np.linalg.lstsq(moves.T, rest, rcond=_SMALLEST_MOVE)[0]
        return "history", history, own, told, by_told, candidates, push[:, np.newaxis] * moves

    def _of_item(self, column):
        """Decompose an item's factors.

        Returns
        -------
        interactions : ndarray of shape (k,)
            Contribution of the interactions of all users.
        features : ndarray of shape (n_features_of_item,), int
            Columns of the item's features.
        by_features : ndarray of shape (n_features_of_item, k)
            Contribution of each feature.
        judged : ndarray of shape (k,)
            Contribution of the preferences of all users' slates.
        """
        model, weight, k = self.model, self.weights[column], self.items.shape[1]
        span = slice(*self._confidence.indptr[column : column + 2])
        rows, confidence = self._confidence.indices[span], self._confidence.data[span]
        regularization = model.backbone.regularization
        users = self._users(rows)
        features, prior = np.empty(0, dtype=np.intp), np.empty((0, k))
        if model.features is not None:
            regularization *= model.backbone.prior_strength
            described = model.features[[column]]
            features = described.indices
            prior = described.data[:, np.newaxis] * feature_coefficients(model)[features]
        more = (confidence - weight)[:, np.newaxis] * users
        system = weight * self._user_gram + more.T @ users
        system[np.diag_indices_from(system)] += regularization * weight
        pull = np.zeros(k)
        if model.preferences is not None:
            which = (model.preferences.slates.items == column).any(axis=1)
            judged_users, places, pushes = _pushes(model, which)
            pull = np.where(places == column, pushes, 0).sum(axis=1) @ self._users(judged_users)
        terms = [confidence @ users, pull]
        solved = _solve(system, np.vstack([*terms, regularization * weight * prior]))
        return solved[0], features, solved[2:], solved[1]


def _described(model, row):
    """Return the columns of a user's features, and their prior means, (n, k) float64."""
    if model.user_coefficients is None or row < 0:
        return np.empty(0, dtype=np.intp), np.empty((0, model.backbone.factors))
    features = model.user_table.features_of(np.array([row]))
    told = features.indices
    return told, features.data[:, np.newaxis] * model.user_coefficients[told].astype(np.float64)


def _pushes(model, which):
    """Compute how much violated preferences of the given slates push their candidates.

    Parameters
    ----------
    model : FittedModel
    which : ndarray of shape (n_slates,), bool

    Returns
    -------
    users : ndarray of shape (n_kept,), int
    items : ndarray of shape (n_kept, slate_size), int
    pushes : ndarray of shape (n_kept, slate_size), float64
        mu times the sum of a h over pairs the candidate should win, minus pairs it should lose.
    """
    slates = model.preferences.slates
    users, items = slates.users[which], slates.items[which]
    k = model.backbone.factors
    user_factors = model.user_table.factors_of(users)[:, :k]
    item_factors = model.item_factors[items, :k]
    scores = np.einsum("sk,snk->sn", user_factors, item_factors, dtype=np.float64)
    if slates.bias is not None:
        scores += slates.bias[which]
    differences = scores[:, :, np.newaxis] - scores[:, np.newaxis]
    unmet = np.maximum(slates.margin_matrices(which) - differences, 0) * slates.matrices(which)
    return users, items, model.preferences.weight * (unmet.sum(axis=2) - unmet.sum(axis=1))


def _missing_weights(model):
    """Weights of missing entries by item, (n_items,) float64."""
    weights = model.backbone.missing_weights(model.popularity)
    return np.ones(len(model.items)) if weights is None else weights


def feature_coefficients(model):
    """Coefficients of the ridge regression of item factors on features.

    They are cached, as they take seconds for many features.
    """
    if "coefficients" not in model.item_cache:
        items = model.item_factors[:, : model.backbone.factors].astype(np.float64)
        found = _ridge(model.features, items, _missing_weights(model))
        model.item_cache["coefficients"] = found
    return model.item_cache["coefficients"]


def _ridge(features, items, weights):
    """Ridge coefficients W of item factors on features, (n_features, k)."""
    moments = gram(features, weights)
    moments[np.diag_indices_from(moments)] += FEATURE_RIDGE
    weighted = features.T @ (weights[:, np.newaxis] * items)
    return scipy.linalg.solve(moments, weighted, assume_a="pos")


def _solve(system, terms):
    """Return A^-1 t for each row t of `terms`, (n_terms, k)."""
    return scipy.linalg.solve(system, terms.T, assume_a="pos").T

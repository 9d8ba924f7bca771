r"""Where the score of a user and an item comes from.

At the end of a fit both sides of a score :math:`x_u \cdot y_i + b_{ui}` solve a linear system,
given the other side. With :math:`h_{uij} = \max(0, m_{uij} - z_{uij})`, by how much the preference
"i above j" of a slate is not met, and the other symbols of ``_als``:

.. math::

    A_u x_u &= \sum_{h} c_{uh} y_h + \mu \sum_{i \succ j} a_{uij} h_{uij} (y_i - y_j),
    & A_u &= \sum_h c_{uh} y_h y_h^T + \sum_{j\ missing} c_j y_j y_j^T + \lambda I

    A_i y_i &= \sum_{v} c_{vi} x_v + \lambda_I c_i W^T f_i
    + \mu \sum_{v, j} (a_{vij} h_{vij} - a_{vji} h_{vji}) x_v,
    & A_i &= \sum_v c_{vi} x_v x_v^T + c_i \sum_{w\ missing} x_w x_w^T + \lambda_I c_i I

So :math:`x_u` is the sum of what each item of the history and each preference contributes, as in
section 5 of Hu, Koren & Volinsky (2008), and :math:`y_i` of what interactions, features, and
preferences contribute; the score is the sum of the products. Factors are at this fixed point as far
as the sweeps have converged; what is missing is the remainder.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.linalg
import scipy.sparse as sp

from .._data._csr import gram
from .._factorization._als import FEATURE_RIDGE
from .._factorization._als_backbone import ALSBackbone

_SMALLEST_MOVE = 1e-3  # relative singular value; what is below is numerical noise


@dataclass(frozen=True, eq=False)
class Fitted:
    """What is needed of a fitted model.

    Attributes
    ----------
    backbone : ALSBackbone
    users, items : ndarrays of shape (n_users, k) and (n_items, k), float32
        Factors without bias.
    matrix : csr_matrix of shape (n_users, n_items), float32
        Strengths; users who were folded in come after those who were fitted.
    age : ndarray of shape (nnz,), int
        0 for a user's newest item.
    popularity : ndarray of shape (n_items,), int
        As in the fit.
    features : csr_matrix of shape (n_items, n_features), float32, or None
    pairs : dict or None
        `slates` and `llm_weight` of `RegularizedALS`; None without preferences.
    as_of_fit : ndarray of shape (n_fitted_users,), bool
        Whether a user's factors are still those of the fit.
    coefficients : ndarray of shape (n_features, k) or None
        Of `feature_coefficients`; None without features.
    """

    backbone: ALSBackbone
    users: np.ndarray
    items: np.ndarray
    matrix: sp.csr_matrix
    age: np.ndarray
    popularity: np.ndarray
    features: sp.csr_matrix | None
    pairs: dict | None
    as_of_fit: np.ndarray
    coefficients: np.ndarray | None = None

    def missing_weights(self):
        """Return the weights of missing entries by item, (n_items,) float64."""
        weights = self.backbone.missing_weights(self.popularity)
        return np.ones(len(self.items)) if weights is None else weights


def explain(model, row, user, column, *, by_feature):
    """Take the score of a user and an item apart, without the item bias.

    Parameters
    ----------
    model : Fitted
    row : int
        Of the user; -1 for one that is unknown.
    user : ndarray of shape (k,)
        The user's factors.
    column : int
        Of the item.
    by_feature : bool
        Whether what the history and the item's features make together is listed by feature.

    Returns
    -------
    table : DataFrame
        Columns `kind`; `position`, the column of an item or feature, or -1; `contribution`, the
        largest first within a kind.
    """
    items, user = model.items.astype(np.float64), user.astype(np.float64)
    kind, history, own, candidates, preferred = _user_parts(model, row, user, items)
    interactions, features, by_features, judged = _item_parts(model, column, items)
    theirs = interactions + by_features.sum(axis=0)
    liked = own.sum(axis=0)
    parts = [(kind, history, own @ (interactions if by_feature else theirs))]
    if by_feature:
        parts.append(("feature", features, by_features @ liked))
    parts.append(("preference", candidates, preferred @ theirs))
    if judged.any():
        everything = liked + preferred.sum(axis=0)
        parts.append(("item_preference", np.array([column]), np.array([everything @ judged])))
    tables = []
    for kind, positions, values in parts:
        order = np.argsort(-values, kind="stable")
        part = {"kind": kind, "position": positions[order], "contribution": values[order]}
        tables.append(pd.DataFrame(part))
    return pd.concat(tables, ignore_index=True)


def _user_parts(model, row, user, items):
    """Take a user's factors apart.

    Returns
    -------
    kind : str
        `history`, or `mean_user` if nothing is known of the user.
    history : ndarray of shape (n_history,), int
        Columns of the user's items.
    own : ndarray of shape (n_history, k)
        What each contributes.
    candidates : ndarray of shape (n_preferred,), int
        Columns of candidates that preferences of the user's slates push up or down.
    preferred : ndarray of shape (n_preferred, k)
        What each contributes.
    """
    nobody = np.empty(0, dtype=np.intp)
    span = slice(0, 0) if row < 0 else slice(*model.matrix.indptr[row : row + 2])
    history = model.matrix.indices[span]
    if not len(history):
        return "mean_user", np.array([-1]), user[np.newaxis], nobody, items[nobody]
    confidence = model.backbone.recent_confidence(model.matrix[row], model.age[span]).data
    weights = model.missing_weights()
    system = _normal_matrix(items, weights, history, confidence)
    system[np.diag_indices_from(system)] += model.backbone.regularization
    candidates, push = nobody, np.empty(0)
    if model.pairs is not None and row < len(model.as_of_fit) and model.as_of_fit[row]:
        which = model.pairs["slates"].users == row
        _, places, pushes = _pushes(model, which)
        candidates, place = np.unique(places[_has_pairs(model, which)], return_inverse=True)
        push = np.bincount(place, weights=pushes[_has_pairs(model, which)])
    terms = np.vstack([confidence[:, np.newaxis] * items[history], items[candidates]])
    own, moves = np.split(_solve(system, terms), [len(history)])
    if len(candidates) and model.backbone.recency_power > 0:
        # The last update of the users is exact, but for hinges as they were before it. So what the
        # history does not explain is due to preferences: to the pushes nearest to those of now.
        rest = user - own.sum(axis=0) - push @ moves
        push = push + np.linalg.lstsq(moves.T, rest, rcond=_SMALLEST_MOVE)[0]
    return "history", history, own, candidates, push[:, np.newaxis] * moves


def _item_parts(model, column, items):
    """Take an item's factors apart.

    Returns
    -------
    interactions : ndarray of shape (k,)
        What the interactions of all users contribute.
    features : ndarray of shape (n_features_of_item,), int
        Columns of the item's features.
    by_features : ndarray of shape (n_features_of_item, k)
        What each contributes.
    judged : ndarray of shape (k,)
        What the preferences of all users' slates contribute.
    """
    backbone, weights = model.backbone, model.missing_weights()
    users = model.users[: len(model.as_of_fit)].astype(np.float64)
    entries = backbone.confidence(model.matrix[: len(users)])[:, [column]].tocoo()
    regularization = backbone.regularization
    features, prior = np.empty(0, dtype=np.intp), np.empty((0, items.shape[1]))
    if model.features is not None:
        regularization *= backbone.prior_strength
        described = model.features[[column]]
        features = described.indices
        prior = described.data[:, np.newaxis] * model.coefficients[features]
    system = _normal_matrix(users, weights[[column]], entries.row, entries.data)
    system[np.diag_indices_from(system)] += regularization * weights[column]
    pull = np.zeros(items.shape[1])
    if model.pairs is not None:
        judged_users, places, pushes = _pushes(
            model, (model.pairs["slates"].items == column).any(axis=1)
        )
        pull = np.where(places == column, pushes, 0).sum(axis=1) @ users[judged_users]
    terms = [entries.data @ users[entries.row], pull]
    solved = _solve(system, np.vstack([*terms, regularization * weights[column] * prior]))
    return solved[0], features, solved[2:], solved[1]


def _normal_matrix(others, weights, observed, confidence):
    """Return the sum of c o o' over all rows o of `others`; those not observed have `weights`."""
    weights = np.broadcast_to(weights, len(others))
    some = others[observed]
    more = (confidence - weights[observed])[:, np.newaxis]
    return (weights[:, np.newaxis] * others).T @ others + (more * some).T @ some


def _pushes(model, which):
    """Return by how much unmet preferences of some slates push their candidates.

    Parameters
    ----------
    model : Fitted
    which : ndarray of shape (n_slates,), bool

    Returns
    -------
    users : ndarray of shape (n_kept,), int
    items : ndarray of shape (n_kept, slate_size), int
    pushes : ndarray of shape (n_kept, slate_size), float64
        mu times the sum of a h over the pairs a candidate should win, less those it should lose.
    """
    slates = model.pairs["slates"]
    users, items = slates.users[which], slates.items[which]
    scores = np.einsum("sk,snk->sn", model.users[users], model.items[items], dtype=np.float64)
    if slates.bias is not None:
        scores += slates.bias[which]
    differences = scores[:, :, np.newaxis] - scores[:, np.newaxis]
    unmet = np.maximum(slates.margin_matrices(which) - differences, 0) * slates.matrices(which)
    return users, items, model.pairs["llm_weight"] * (unmet.sum(axis=2) - unmet.sum(axis=1))


def _has_pairs(model, which):
    """Return which candidates of some slates have weights at all, (n_kept, slate_size) bool."""
    return model.pairs["slates"].weighted(which)


def feature_coefficients(model):
    """Return the coefficients of the ridge regression of item factors on features.

    Those of a `Fitted` model without them; with many features they take seconds.
    """
    return _ridge(model.features, model.items.astype(np.float64), model.missing_weights())


def _ridge(features, items, weights):
    """Return the coefficients W of item factors on features, (n_features, k)."""
    moments = gram(features, weights)
    moments[np.diag_indices_from(moments)] += FEATURE_RIDGE
    weighted = features.T @ (weights[:, np.newaxis] * items)
    return scipy.linalg.solve(moments, weighted, assume_a="pos")


def _solve(system, terms):
    """Return A^-1 t for each row t of `terms`, (n_terms, k)."""
    return scipy.linalg.solve(system, terms.T, assume_a="pos").T

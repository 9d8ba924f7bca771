"""Anchoring of pretrained factors: strength of the proximal terms, initialization of new rows."""

import numpy as np

from .._data._csr import count_interactions
from ._proximal import shrink_to_features

FEATURES_WORTH = 4.0  # weight of the feature prediction in interactions, per prior_strength
USER_FEATURES_WORTH = 1.0  # same for users, whose histories are more informative
_USER_PULL = 2e4  # proximal weight of a user's factors, per sqrt(interactions + 1)
ITEM_PULL = 1e6  # proximal weight of an item's factors, per interaction


def resume_factors(backbone, matrix, features, old, known, items, bias, popularity):
    """Users, items and biases to continue from.

    New items start at the prediction from their features, without features at `items` and `bias`;
    new users are folded in.
    """
    known_users, known_items = known
    items = np.where(known_items[:, np.newaxis], old.items, items).astype(np.float32)
    if features is not None and not known_items.all():
        both = items if bias is None else np.column_stack([items, bias])
        worth = FEATURES_WORTH * backbone.prior_strength
        weights = np.where(known_items, count_interactions(matrix), 0)
        expected = shrink_to_features(both, weights, features, worth)[~known_items]
        items[~known_items] = expected[:, : items.shape[1]]
        if bias is not None:
            bias[~known_items] = expected[:, -1]
    users = np.array(old.users, dtype=np.float32)
    if not known_users.all():
        new = np.flatnonzero(~known_users)
        fixed = old._replace(items=items)
        users[new] = backbone.solve_users(matrix[new], fixed, popularity)
    return users, items, bias


def covariance(factors):
    """Covariance of the columns of factors, (k, k)."""
    return np.atleast_2d(np.cov(factors, rowvar=False, bias=True))


def score_spread(users, items, known):
    """Root mean square over users of the standard deviation of their scores over known items."""
    among_items = covariance(items[known])
    variance = np.mean(np.einsum("uk,kl,ul->u", users, among_items, users, optimize=True))
    return float(np.sqrt(max(variance, np.finfo(np.float32).tiny)))


def user_pull(lengths):
    """Proximal weights of users, given their numbers of interactions."""
    return _USER_PULL * np.sqrt(lengths + 1.0)


def item_pull(popularity, alone):
    """Proximal weights of items, given their popularity; `alone` means without features."""
    return ITEM_PULL * (popularity + float(alone))


def score_metrics(users, items):
    """Metrics of users and of items that measure changes of scores: two (k, k) float64 matrices.

    The first gives the mean squared change of a user's scores, apart from a common shift; the
    second that of an item's scores. A small multiple of the identity keeps both non-singular.
    """
    items = items.astype(np.float64)
    users = users.astype(np.float64)
    moments = covariance(items), users.T @ users / len(users)
    return [m + (1e-2 * np.trace(m) / len(m) + 1e-12) * np.eye(len(m)) for m in moments]

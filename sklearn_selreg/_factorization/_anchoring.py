"""How strongly given factors are kept, and where new ones start beside them."""

import numpy as np

from .._data._csr import count_interactions
from ._proximal import shrink_to_features

FEATURES_WORTH = 4.0  # interactions that what features lead to expect is worth, per prior_strength
USER_FEATURES_WORTH = 1.0  # the same for users, whose histories tell more
_USER_PULL = 2e4  # of staying at the backbone's factors, by the root of interactions + 1
ITEM_PULL = 1e6  # the same, by interactions


def resume_factors(backbone, matrix, features, old, known, items, bias, popularity):
    """Return users, items and biases to go on from.

    New items are what their features lead to expect, else what `items` and `bias` hold; new users
    are folded in.
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
    """Return the covariance of the columns of factors, (k, k)."""
    return np.atleast_2d(np.cov(factors, rowvar=False, bias=True))


def score_spread(users, items, known):
    """Return the standard deviation of a user's scores over known items, root mean square."""
    among_items = covariance(items[known])
    variance = np.mean(np.einsum("uk,kl,ul->u", users, among_items, users, optimize=True))
    return float(np.sqrt(max(variance, np.finfo(np.float32).tiny)))


def user_pull(lengths):
    """Return how strongly users with so many interactions stay at their factors."""
    return _USER_PULL * np.sqrt(lengths + 1.0)


def item_pull(popularity, alone):
    """Return how strongly items stay at their factors; `alone`: where no features pull."""
    return ITEM_PULL * (popularity + float(alone))


def score_metrics(users, items):
    """Return by how much scores change with users, and with items: two (k, k) matrices, float64.

    Mean squared change of a user's scores, apart from what all scores have in common; and of an
    item's scores. A little of the identity keeps them regular.
    """
    items = items.astype(np.float64)
    users = users.astype(np.float64)
    moments = covariance(items), users.T @ users / len(users)
    return [m + (1e-2 * np.trace(m) / len(m) + 1e-12) * np.eye(len(m)) for m in moments]

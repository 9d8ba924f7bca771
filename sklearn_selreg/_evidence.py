"""What the recommender itself says about judged slates, without having seen the answer."""

import numpy as np
import scipy.sparse as sp

from ._backbone import no_watch, with_bias
from ._interactions import count_interactions

FOLDS = 4
"""Fits by which the gate is calibrated, at most."""


def slate_scores(slates, user_factors, item_factors, popularity):
    """Score the candidates of slates, in standard deviations of each user's scores.

    Parameters
    ----------
    slates : Slates
    user_factors : ndarray of shape (n_slates, k), float32
        Of each slate's user.
    item_factors : ndarray of shape (n_items, k), float32
    popularity : ndarray of shape (n_items,), int
        The deviation is taken over items with interactions.

    Returns
    -------
    scores : ndarray of shape (n_slates, slate_size), float32
        0 if no item has interactions.
    """
    known = item_factors[popularity > 0].astype(np.float64)
    if not len(known):
        return np.zeros(slates.items.shape, dtype=np.float32)
    covariance = np.atleast_2d(np.cov(known, rowvar=False, bias=True))
    variance = np.einsum("sk,kl,sl->s", user_factors, covariance, user_factors, optimize=True)
    deviation = np.sqrt(np.maximum(variance, np.finfo(np.float32).tiny))
    scores = np.empty(slates.items.shape, dtype=np.float32)
    for place in range(scores.shape[1]):
        candidates = item_factors[slates.items[:, place]]
        scores[:, place] = np.einsum("sk,sk->s", user_factors, candidates)
    return scores / deviation[:, np.newaxis].astype(np.float32)


def cross_fitted_scores(slates, backbone, trend, features, start, watch=no_watch):
    """Score the candidates of calibration slates by models that never saw their users.

    Users are divided into 4 folds. For each, the backbone is fitted without their interactions,
    and they are folded in with the history that the judge was shown: the model knows of a user
    what the judge knew. Taking out the hidden interactions alone would leave it too good.

    Parameters
    ----------
    slates : Slates
        Those that calibrate.
    backbone : ALSBackbone, BPRBackbone or LMFBackbone
    trend : Trend
        The interactions.
    features : csr_matrix or None
    start : object
        From ``backbone.start``.
    watch : callable
        Called after each sweep, as by ``backbone.fit``.

    Returns
    -------
    scores : ndarray of shape (n_slates, slate_size), float32
        In standard deviations of the user's scores, see `slate_scores`.
    popularity : ndarray of shape (n_slates, slate_size), int
        Of the candidates, without the fold's users.
    """
    users, user = np.unique(slates.users, return_inverse=True)
    fold_of = np.arange(len(users)) % FOLDS
    scores = np.empty(slates.items.shape, dtype=np.float32)
    popularity = np.empty(slates.items.shape, dtype=np.int64)
    for fold in np.unique(fold_of):
        left_out = users[fold_of == fold]
        rest = without_rows(trend.matrix, left_out)
        asked = np.flatnonzero(fold_of[user] == fold)
        known = count_interactions(rest)
        by_period = trend.popularity(left_out)
        factors = backbone.fit(rest, features, start, watch, by_period=by_period)
        shown = slates.shown[asked]
        folded = backbone.solve_users(shown, factors, known)
        shares = trend.shown_shares(slates.users[asked], shown)
        both = with_bias(folded, factors.items, factors.bias, shares)
        scores[asked] = slate_scores(slates[asked], *both, known)
        popularity[asked] = known[slates.items[asked]]
    return scores, popularity


def without_rows(matrix, rows):
    """Return a CSR matrix in which some rows are empty."""
    kept = np.ones(matrix.shape[0], dtype=matrix.dtype)
    kept[rows] = 0
    rest = sp.csr_matrix(sp.diags(kept) @ matrix)
    rest.eliminate_zeros()
    return rest

"""From weighted pairs to preference losses, with margins relative to the user's scores."""

from dataclasses import replace

import numpy as np

from .._factorization._factors import with_bias
from .._factorization._preferences import LOG_RANKS, PreferenceLoss, preference_terms
from .._judging._standing import log_rank_worth


def preference_losses(
    supervision,
    weights,
    plain,
    final,
    period_weights,
    *,
    seen,
    weight,
    margin,
    num_threads,
    listed=None,
):
    """Build the losses of the regularized sweeps and of the final update of the users.

    Parameters
    ----------
    supervision : Supervision
    weights : ndarray
        From `Supervision.weights`.
    plain, final : Factors
        Factors without preferences, before and after the final update of the users.
    period_weights : ndarray of shape (n_users, n_periods), float32, or None
        The users' distribution over periods.
    seen : csr_matrix of shape (n_users, n_items)
    weight : float
        Common weight of all preferences.
    margin : float
        Margin in units of scores.
    num_threads : int
    listed : ndarray of int or None
        Items that can be recommended. If None, all.

    Returns
    -------
    losses : tuple of (PreferenceLoss, PreferenceLoss)
    """
    slates, n_factors = supervision.slates, final.users.shape[1]
    raters, row = np.unique(slates.users, return_inverse=True)
    placed = replace(slates, users=row)
    period_weights = None if period_weights is None else period_weights[raters]

    def with_biases(factors):
        return with_bias(factors.users[raters], *factors[1:3], period_weights)

    users, items = with_biases(final)
    worth = None
    if not supervision.trusts_all:
        worth = np.zeros(len(raters))
        weighted = np.unique(row[weights.any(axis=1)])
        lists, known = items, seen[raters[weighted]]
        if listed is not None:
            lists, known = items[listed], known[:, listed]
        worth[weighted] = LOG_RANKS * log_rank_worth(users[weighted], lists, known, num_threads)

    def loss_of(users, items):
        terms = preference_terms(
            placed, weights, users, items, n_factors, margin=margin * final.unit, worth=worth
        )
        return PreferenceLoss(replace(terms, users=raters[terms.users]), weight)

    last = loss_of(users, items)
    if plain is final:  # margins do not depend on factors, or there is no final update
        return last, last
    return loss_of(*with_biases(plain)), last

r"""Weighted preferences as terms of the regularized problem: how far each may move scores.

Knows slates, weights and factors; nothing of how weights or factors are made.

A preference of log-odds L is evidence of that size, beside all that the model knows. So it should
move a difference of scores by what L is worth, and no further: to
:math:`\min(m, z + s L)`, z being the difference in the model without preferences. One margin for
all would let 190 pairs of a slate, each hardly more than a hint, outvote what is known of a user.

What log-odds are worth is told by ranks. How many items of a list are liked falls with their rank
about as a power of it, so log-odds are proportional to log ranks; and s is a number of log ranks
times the slope of the user's scores over log ranks at the top of the list, where they matter.
"""

from dataclasses import dataclass

import numpy as np

from ._slate_terms import SlateTerms

LOG_RANKS = 3.0
"""Log ranks that log-odds of 1 are worth: held-out interactions with items of a list have .2 to .5
log-odds per log rank (``benchmarks/judging/gate_truth.py``)."""


@dataclass(frozen=True, eq=False)
class PreferenceLoss:
    """What preferences add to the objective.

    Attributes
    ----------
    slates : SlateTerms
    weight : float
        Of all of them, beside the confidences.
    """

    slates: SlateTerms
    weight: float


def as_arguments(preferences):
    """Return a `PreferenceLoss` or None as arguments of `RegularizedALS` and `ProximalProblem`."""
    if preferences is None:
        return {}
    return {"slates": preferences.slates, "llm_weight": preferences.weight}


def preference_terms(slates, weights, users, items, n_factors, *, margin, worth):
    """Make the terms of slates with weights.

    Parameters
    ----------
    slates : Slates
    weights : ndarray of shape (n_slates, slate_size * (slate_size - 1) / 2), float32
        Log-odds, as `SlateTerms` has weights.
    users, items : ndarrays of shape (n_users, k) and (n_items, k), float32
        Factors of the model without preferences, with columns of biases.
    n_factors : int
        How many of the columns are no biases.
    margin : float
        m > 0.
    worth : ndarray of shape (n_users,) or None
        s of each user; None: all preferences ask for the margin.

    Returns
    -------
    terms : SlateTerms
        Of the slates with weights other than 0.
    """
    used = weights.any(axis=1)
    raters, weights = slates.users[used], weights[used]
    candidates = np.maximum(slates.items[used], 0).astype(np.int32)
    margins = np.broadcast_to(np.float32(margin), weights.shape)
    if worth is not None:
        scores = np.einsum("sk,sik->si", users[raters], items[candidates])
        first, second = np.triu_indices(candidates.shape[1], 1)
        difference = np.sign(weights) * (scores[:, first] - scores[:, second])
        moved = worth[raters, np.newaxis].astype(np.float32) * np.abs(weights)
        margins = np.minimum(margins, difference + moved)
    bias = None
    if users.shape[1] > n_factors:
        bias = np.einsum("sp,sip->si", users[raters, n_factors:], items[candidates, n_factors:])
    return SlateTerms(raters, candidates, weights, margins, bias)

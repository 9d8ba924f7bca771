r"""Weighted preferences as terms of the regularized problem, with a margin for each pair.

A preference with log-odds L is evidence of that size in addition to what the model knows. It should
therefore move a score difference by an amount proportional to L, and no further: to
:math:`\min(m, z + s L)`, where z is the difference in the model without preferences. With a common
margin, the 190 pairs of a slate, each a weak hint, would outvote what is known about a user.

The scale s follows from ranks. The fraction of liked items in a list falls roughly as a power of
the rank, so log-odds are proportional to log ranks; s is a number of log ranks times the slope of
the user's scores over log ranks at the top of the list, where they matter.
"""

from dataclasses import dataclass

import numpy as np

from ._slate_terms import SlateTerms

LOG_RANKS = 3.0
"""Log ranks per unit of log-odds: held-out interactions with items of a list have 0.2 to 0.5
log-odds per log rank (``benchmarks/judging/gate_truth.py``)."""


@dataclass(frozen=True, eq=False)
class PreferenceLoss:
    """Preference term of the objective.

    Attributes
    ----------
    slates : SlateTerms
    weight : float
        Common weight of all pairs, on the scale of confidences.
    """

    slates: SlateTerms
    weight: float


def as_arguments(preferences):
    """Convert a `PreferenceLoss` or None to arguments of `RegularizedALS` and `ProximalProblem`."""
    if preferences is None:
        return {}
    return {"slates": preferences.slates, "llm_weight": preferences.weight}


def preference_terms(slates, weights, users, items, n_factors, *, margin, worth):
    """Build the terms of weighted slates.

    Parameters
    ----------
    slates : Slates
    weights : ndarray of shape (n_slates, slate_size * (slate_size - 1) / 2), float32
        Log-odds, in the format of the weights of `SlateTerms`.
    users, items : ndarrays of shape (n_users, k) and (n_items, k), float32
        Factors of the model without preferences, including bias columns.
    n_factors : int
        Number of columns that are not biases.
    margin : float
        m > 0.
    worth : ndarray of shape (n_users,) or None
        s of each user. If None, all pairs have the full margin.

    Returns
    -------
    terms : SlateTerms
        Slates with non-zero weights.
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

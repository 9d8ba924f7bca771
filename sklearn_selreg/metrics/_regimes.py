"""Regimes: the kinds of users and items that a report keeps apart.

Benchmarks read `REGIMES` and `COLD_BELOW` here.
"""

import numpy as np
import pandas as pd

from .._data._csr import count_interactions
from .._data._ids import encode
from ._pairs import counts_by_id

REGIMES = ("overall", "cold", "warm", "tail", "new")
COLD_BELOW = 3  # training items of a user, when no cohort is given
TAIL_UP_TO = 3  # training users of an item
MEANINGS = {
    "cold": f"Cold users have fewer than {COLD_BELOW} items in the training rows.",
    "warm": f"Warm users have at least {COLD_BELOW} items in the training rows.",
    "tail": f"Tail items have at most {TAIL_UP_TO} users in the training rows.",
    "new": "New (cold-start) items have no user in the training rows.",
}


def assign_regimes(held_out, training, user, item, cohort):
    """Return who and what is in each regime but "overall".

    Parameters
    ----------
    held_out, training : Interactions
    user, item : intp arrays of shape (n_pairs,)
        Positions in the ids of `held_out`.
    cohort : Series, dict or None
        See `ranking_report`.

    Returns
    -------
    regimes : dict of str to bool array of shape (n_pairs,)
    """
    popularity = counts_by_id(held_out.items, training.items, count_interactions(training.matrix))
    if cohort is None:
        lengths = np.diff(training.matrix.indptr)
        lengths = counts_by_id(held_out.users, training.users, lengths)
        cold, warm = lengths < COLD_BELOW, lengths >= COLD_BELOW
    else:
        cold, warm = _read_cohort(cohort, held_out.users)
    return {
        "cold": cold[user],
        "warm": warm[user],
        "tail": popularity[item] <= TAIL_UP_TO,
        "new": popularity[item] == 0,
    }


def _read_cohort(cohort, users):
    """Return which users are cold and which are warm, two bool arrays of shape (n_users,)."""
    cohort = pd.Series(cohort)
    unknown = sorted(set(cohort.unique().tolist()) - {"cold", "warm"}, key=str)
    if unknown:
        raise ValueError(f'cohort must map users to "cold" or "warm"; got {unknown[:5]}.')
    if not cohort.index.is_unique:
        twice = cohort.index[cohort.index.duplicated()][0]
        raise ValueError(f"cohort must name a user once; got {twice!r} more than once.")
    label = np.append(cohort.to_numpy(dtype=object), None)[encode(cohort.index.to_numpy(), users)]
    cold, warm = label == "cold", label == "warm"
    if not (cold | warm).any():
        others = f" (e.g. {cohort.index.tolist()[0]!r})" if len(cohort) else ""
        raise ValueError(
            f"cohort must name some of the {len(users)} users of X (e.g. "
            f"{users[:1].tolist()[0]!r}); got {len(cohort)} other ids{others}."
        )
    return cold, warm

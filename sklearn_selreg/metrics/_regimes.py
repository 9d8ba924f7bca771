"""Regimes: the kinds of users and items that a report keeps apart, ours and the caller's.

Benchmarks read `REGIMES` and `COLD_BELOW` here.
"""

import numpy as np
import pandas as pd

from .._data._csr import count_interactions
from .._data._ids import encode
from .._utils._params import name_kind
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

_RESULTS = ("user", "item", "n_above", "n_tied", "gain", "hit", "auc")


def regime_names(details):
    """Return the regimes of a report: ours, and further columns of bools of its details."""
    own = [c for c in details.columns if c not in REGIMES + _RESULTS and details[c].dtype == bool]
    return [*REGIMES, *own]


def assign_segments(segments, ids, name):
    """Return who or what is in each of the caller's segments.

    Parameters
    ----------
    segments : Series, dict or None
        Id -> segment; ids without an entry, or with a missing one, are in none.
    ids : ndarray of shape (n_ids,)
    name : str
        Of the argument.

    Returns
    -------
    found : dict of str to bool array of shape (n_ids,)
        By "name=segment", the name that of the Series, else "user" or "item".
    """
    if segments is None:
        return {}
    if not isinstance(segments, pd.Series | dict):
        raise TypeError(
            f"{name} must be a Series or dict from ids to segments; got {name_kind(segments)}."
        )
    segments = pd.Series(segments, dtype=None if len(segments) else object)
    if not segments.index.is_unique:
        twice = segments.index[segments.index.duplicated()].tolist()[0]
        raise ValueError(f"{name} must have each id once; got {twice!r} more than once.")
    codes, labels = pd.factorize(segments, sort=segments.dtype != object)
    position = encode(segments.index.to_numpy(), ids)
    if not (position >= 0).any():
        raise ValueError(
            f"{name} must name some of the {len(ids)} ids of X (e.g. {ids[:1].tolist()[0]!r}); "
            f"got {len(segments)} other ids."
        )
    label = np.where(position >= 0, codes[position], -1)
    title = name.partition("_")[0] if segments.name is None else segments.name
    return {f"{title}={value}": label == code for code, value in enumerate(labels)}


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

"""Regimes: the kinds of users and items that a report keeps apart, ours and the caller's.

Benchmarks read `REGIMES` and `COLD_BELOW` here.
"""

from collections.abc import Hashable

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


def assign_segments(user_segments, item_segments, users, items):
    """Return who and what is in each of the caller's segments.

    Parameters
    ----------
    user_segments, item_segments : Series, dict or None
        Id -> segment; ids without an entry, or with a missing one, are in none.
    users, items : ndarrays of shape (n_users,) and (n_items,)
        Ids.

    Returns
    -------
    of_users, of_items : dicts of str to bool array of shape (n_users,) or (n_items,)
        By "name=segment", the name that of the Series, else "user" or "item"; and if both have
        the same, "user name=segment" and "item name=segment".
    """
    of_users = _read_segments(user_segments, users, "user")
    of_items = _read_segments(item_segments, items, "item")
    if of_users.keys() & of_items.keys() or _title(user_segments, 0) == _title(item_segments, 1):
        of_users = {f"user {label}": which for label, which in of_users.items()}
        of_items = {f"item {label}": which for label, which in of_items.items()}
    return of_users, of_items


def _title(segments, default):
    name = getattr(segments, "name", None)
    return default if name is None else name


def _read_segments(segments, ids, of):
    """Return which of some ids are in each segment, by its label."""
    if segments is None:
        return {}
    name, example = f"{of}_segments", f"{of}s.set_index('{of}')['country']"
    if not isinstance(segments, pd.Series | dict):
        raise TypeError(
            f"{name} must be a pandas Series or a dict from ids to segments; got "
            f"{name_kind(segments)}. Pass {example} of a pandas DataFrame, or dict(zip(ids, "
            "segments)) of any other table."
        )
    segments = pd.Series(segments, dtype=None if len(segments) else object)
    if not segments.index.is_unique:
        twice = segments.index[segments.index.duplicated()].tolist()[0]
        raise ValueError(f"{name} must have each id once; got {twice!r} more than once.")
    try:
        codes, values = pd.factorize(segments, sort=segments.dtype != object)
    except TypeError as error:
        several = next(value for value in segments if not isinstance(value, Hashable))
        raise ValueError(
            f"{name} must have a single value for each id, such as a text or a number; got "
            f"{several!r:.100}."
        ) from error
    position = encode(segments.index.to_numpy(), ids)
    if not (position >= 0).any():
        raise ValueError(_message_none_named(name, segments.index, ids, example))
    label = np.where(position >= 0, codes[position], -1)
    labels = _labels(_title(segments, of), values)
    return {text: label == code for code, text in enumerate(labels)}


def _labels(title, values):
    """Return "title=value" of each value; of 1 and "1", "title=1" and "title='1'"."""
    labels = pd.Index([f"{title}={value}" for value in values])
    written = [f"{title}={value!r}" for value in values]
    return labels.where(~labels.duplicated(keep=False), written).tolist()


def _message_none_named(name, given, ids, example):
    others = f"{len(given)} other ids" + (f", such as {given[:1].tolist()[0]!r}" * bool(len(given)))
    return (
        f"{name} must name some of the {len(ids)} ids of X, such as {ids[:1].tolist()[0]!r}; got "
        f"{others}. Pass ids in the index, as {example}, of the type that X has: 1 and '1' are "
        "different ids."
    )


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
        raise ValueError(
            _message_none_named("cohort", cohort.index, users, "users.set_index('user')['cohort']")
        )
    return cold, warm

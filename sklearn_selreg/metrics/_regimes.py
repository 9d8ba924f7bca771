"""Regimes: groups of users and items that a report distinguishes, built-in and user-defined.

Benchmarks import `REGIMES` and `COLD_BELOW` from here.
"""

from collections.abc import Hashable

import numpy as np
import pandas as pd

from .._data._csr import count_interactions
from .._data._ids import encode
from .._utils._params import name_kind
from ._pairs import counts_by_id

REGIMES = ("overall", "cold", "warm", "tail", "new")
COLD_BELOW = 3  # training items of a user, if no cohort is given
TAIL_UP_TO = 3  # training users of an item
MEANINGS = {
    "cold": f"Cold users have fewer than {COLD_BELOW} items in the training rows.",
    "warm": f"Warm users have at least {COLD_BELOW} items in the training rows.",
    "tail": f"Tail items have at most {TAIL_UP_TO} users in the training rows.",
    "new": "New (cold-start) items have no users in the training rows.",
}

_RESULTS = ("user", "item", "n_above", "n_tied", "gain", "hit", "auc")


def regime_names(details):
    """Return the regimes of a report: the built-in ones, and further boolean columns of details."""
    own = [c for c in details.columns if c not in REGIMES + _RESULTS and details[c].dtype == bool]
    return [*REGIMES, *own]


def assign_segments(user_segments, item_segments, users, items):
    """Assign users and items to user-defined segments.

    Parameters
    ----------
    user_segments, item_segments : Series, dict or None
        Mapping from id to segment; ids that are absent or map to a missing value have no segment.
    users, items : ndarrays of shape (n_users,) and (n_items,)
        Ids.

    Returns
    -------
    of_users, of_items : dicts of str to bool array of shape (n_users,) or (n_items,)
        Keys are "name=segment", with the name of the Series, else "user" or "item". If both names
        are equal, "user name=segment" and "item name=segment".
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
    """Return a boolean mask of the ids for each segment label."""
    if segments is None:
        return {}
    name, example = f"{of}_segments", f"{of}s.set_index('{of}')['country']"
    if not isinstance(segments, pd.Series | dict):
        raise TypeError(
            f"{name} must be a pandas Series or a dict that maps ids to segments; got "
            f"{name_kind(segments)}. Pass e.g. {example} for a pandas DataFrame, or dict(zip(ids, "
            "segments)) for any other table."
        )
    segments = pd.Series(segments, dtype=None if len(segments) else object)
    if not segments.index.is_unique:
        twice = segments.index[segments.index.duplicated()].tolist()[0]
        raise ValueError(f"{name} must contain each id once; got {twice!r} more than once.")
    try:
        codes, values = pd.factorize(segments, sort=segments.dtype != object)
    except TypeError as error:
        several = next(value for value in segments if not isinstance(value, Hashable))
        raise ValueError(
            f"{name} must have a single value per id, e.g. a string or a number; got "
            f"{several!r:.100}."
        ) from error
    position = encode(segments.index.to_numpy(), ids)
    if not (position >= 0).any():
        raise ValueError(_message_none_named(name, segments.index, ids, example))
    label = np.where(position >= 0, codes[position], -1)
    labels = _labels(_title(segments, of), values)
    return {text: label == code for code, text in enumerate(labels)}


def _labels(title, values):
    """Return "title=value" for each value; if 1 and "1" both occur, "title=1" and "title='1'"."""
    labels = pd.Index([f"{title}={value}" for value in values])
    written = [f"{title}={value!r}" for value in values]
    return labels.where(~labels.duplicated(keep=False), written).tolist()


def _message_none_named(name, given, ids, example):
    others = f"{len(given)} other ids" + (f" (e.g. {given[:1].tolist()[0]!r})" * bool(len(given)))
    return (
        f"{name} must contain some of the {len(ids)} ids of X (e.g. {ids[:1].tolist()[0]!r}); got "
        f"{others}. Pass the ids as the index, e.g. {example}, with the type they have in X: 1 and "
        "'1' are different ids."
    )


def assign_regimes(held_out, training, user, item, cohort):
    """Assign interactions to each regime except "overall".

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
    """Return masks of cold and warm users, two bool arrays of shape (n_users,)."""
    cohort = pd.Series(cohort)
    unknown = sorted(set(cohort.unique().tolist()) - {"cold", "warm"}, key=str)
    if unknown:
        raise ValueError(f'cohort must map users to "cold" or "warm"; got {unknown[:5]}.')
    if not cohort.index.is_unique:
        twice = cohort.index[cohort.index.duplicated()][0]
        raise ValueError(f"cohort must contain each user once; got {twice!r} more than once.")
    label = np.append(cohort.to_numpy(dtype=object), None)[encode(cohort.index.to_numpy(), users)]
    cold, warm = label == "cold", label == "warm"
    if not (cold | warm).any():
        raise ValueError(
            _message_none_named("cohort", cohort.index, users, "users.set_index('user')['cohort']")
        )
    return cold, warm

"""Rules of recommendation lists: allowed items, quotas per group, and a minimum of new items."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._data._requested_ids import as_id_array, check_single, warn_of_unknown
from .._utils._params import check_integer, name_kind
from .._utils._warn import warn
from ._recommend import (
    collect_pairs,
    find_candidates,
    pair_matrix,
    read_excluded,
    read_pairs,
    warn_of_strangers,
)


@dataclass(frozen=True, eq=False)
class ListRules:
    """Rules of the recommendation lists of users.

    Attributes
    ----------
    filter_seen : bool
        Whether to exclude a user's own items.
    candidates : ndarray of int or None
        Columns of the items to rank, sorted; None for all items.
    excluded : csr_matrix of shape (n_users, n_items) or None
        Items excluded for single users.
    allowed : csr_matrix of shape (n_users, n_items) or None
        Allowed items of each user; None if all are allowed.
    groups : ndarray of shape (n_kinds, n_items), int32
        Group of each item, for each column with a quota; -1 for no group.
    quotas : ndarray of shape (n_kinds,), int
        Maximum number of items per group.
    min_new : int
        Minimum number of new items per list.
    """

    filter_seen: bool
    candidates: np.ndarray | None
    excluded: sp.csr_matrix | None
    allowed: sp.csr_matrix | None
    groups: np.ndarray
    quotas: np.ndarray
    min_new: int

    @property
    def are_plain(self):
        """Whether lists are just the best candidates, without quotas and per-user candidates."""
        return self.allowed is None and not len(self.quotas) and not self.min_new

    def __getitem__(self, users):
        """Return the rules of a subset of the users."""
        excluded = None if self.excluded is None else self.excluded[users]
        return replace(
            self,
            excluded=excluded,
            allowed=None if self.allowed is None else self.allowed[users],
        )


def read_rules(
    model,
    users,
    n_items,
    columns,
    *,
    filter_seen=True,
    items=None,
    exclude=None,
    per_user_items=None,
    max_per_group=None,
    min_new=0,
):
    """Read the arguments of `recommend`.

    Parameters
    ----------
    model : FittedModel
    users : ndarray of shape (n_users,)
        Ids of the requested users.
    n_items : int
    columns : dict
        Column arguments for tables: `user_col` and `item_col`.
    filter_seen, items, exclude, per_user_items, max_per_group, min_new
        As in `SelectiveLLMRegularizedMF.recommend`.

    Returns
    -------
    rules : ListRules
    """
    groups, quotas = _read_quotas(max_per_group, model.item_columns)
    _check_min_new(min_new, n_items, model)
    everywhere, excluded = read_excluded(exclude, model, users, columns)
    candidates = None if items is None else find_candidates(model, items)
    if len(everywhere):
        everything = np.arange(len(model.items)) if candidates is None else candidates
        candidates = np.setdiff1d(everything, everywhere)
    allowed = None
    if per_user_items is not None:
        allowed = _read_allowed(per_user_items, model, users, columns)
    return ListRules(filter_seen, candidates, excluded, allowed, groups, quotas, int(min_new))


def check_rule_names(method, given, others):
    """Raise a TypeError unless the keyword arguments `given` to a method are rules of lists.

    `others` are the other arguments of the method.
    """
    rules = read_rules.__kwdefaults__
    unknown = [name for name in given if name not in rules]
    if unknown:
        raise TypeError(
            f"{method}() got an unexpected keyword argument {unknown[0]!r}; it accepts "
            f"{', '.join([*others, *rules])}."
        )


def _read_quotas(max_per_group, item_columns):
    """Return the groups of the items and the quotas, by column."""
    if max_per_group is None:
        max_per_group = {}
    if not isinstance(max_per_group, Mapping):
        raise TypeError(
            "max_per_group must map columns of item_data to the maximum number of items per value "
            f"in a list, e.g. {{'category': 3}}; got {name_kind(max_per_group)}."
        )
    places = []
    for name, quota in max_per_group.items():
        check_integer(f"max_per_group[{name!r}]", quota, 1)
        places.append(item_columns.find(name, "max_per_group"))
    quotas = np.array(list(max_per_group.values()), dtype=np.int64)
    return item_columns.codes[np.array(places, dtype=np.intp)], quotas


def _check_min_new(min_new, n_items, model):
    check_integer("min_new", min_new, 0)
    if min_new > n_items:
        raise ValueError(
            f"min_new must be at most n_items, the length of a list; got {min_new} > {n_items}."
        )
    if min_new and not model.popularity.any():
        raise ValueError(
            "min_new counts items without interactions, but the model knows of no interactions at "
            "all. If it is from from_factors, call refine first."
        )


def _read_allowed(per_user_items, model, users, columns):
    """Read the allowed (user, item) pairs, (n_users, n_items) csr_matrix."""
    known = model.items
    user_ids, item_ids = _read_listed(per_user_items, known, model.id_names, columns)
    item = model.find_items(item_ids)
    consequence = "they are ignored"
    warn_of_unknown("items of per_user_items", item_ids[item < 0], len(item), known, consequence)
    asked, allowed = pair_matrix(user_ids, item, users, len(known))
    warn_of_strangers("per_user_items", user_ids, asked, model, "their items are ignored")
    n_without = np.count_nonzero(np.diff(allowed.indptr) == 0)
    if n_without:
        warn(
            f"{n_without} of {len(users)} users have no items in per_user_items, so they get no "
            "recommendations. List the allowed items of each user, or recommend to the others "
            "without per_user_items."
        )
    return allowed


def _read_listed(per_user_items, known, names, columns):
    """Return the user and the item of each pair."""
    if isinstance(per_user_items, pd.Series):
        if not per_user_items.index.is_unique:
            raise ValueError(
                "per_user_items must have one list of items per user; got a Series with several "
                "rows for some users. If each row is a pair, pass "
                "per_user_items.reset_index().to_numpy()."
            )
        per_user_items = per_user_items.to_dict()
    if isinstance(per_user_items, Mapping):
        lists = [_as_item_list(ids, user, known) for user, ids in per_user_items.items()]
        user_ids = np.repeat(as_objects(list(per_user_items)), [len(array) for array in lists])
        if len({array.dtype.kind for array in lists}) == 1:  # keeps the dtype of dates
            return user_ids, np.concatenate(lists)
        return user_ids, as_objects([item for array in lists for item in array.tolist()])
    per_user_items = collect_pairs(per_user_items, names, columns)
    if not hasattr(per_user_items, "columns"):
        per_user_items = pd.DataFrame(_rows_of(per_user_items))
        columns = {}
    return read_pairs(per_user_items, names, columns, "per_user_items")


def _as_item_list(ids, user, known):
    """Return the allowed items of a user, (n,)."""
    array = as_id_array(ids, known)
    if array.ndim != 1:
        raise ValueError(
            "per_user_items must have a list, array or set of item ids for each user; got "
            f"{ids!r:.100} for user {user!r}."
        )
    check_single(array, f"per_user_items[{user!r}]")
    return array


def _rows_of(pairs):
    """Return the rows of an array or a list of pairs."""
    rows = pairs if isinstance(pairs, np.ndarray) else list(pairs)
    if np.ndim(rows) == 1 and not all(isinstance(row, list | tuple) for row in rows):
        raise ValueError(
            "per_user_items must be a dict of allowed items by user, or a table with a user and an "
            f"item in each row; got {name_kind(pairs)} of other values."
        )
    return rows


def as_objects(values):
    """Return ids as an object array, keeping tuples."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array

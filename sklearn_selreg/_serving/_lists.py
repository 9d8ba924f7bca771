"""Recommendation lists subject to rules, chosen from rankings of sufficient depth."""

from functools import cached_property

import numpy as np

from .._data._csr import entry_rows
from .._factorization._choose import choose, order_rows
from .._factorization._finite import check_finite_model
from .._utils._progress import tracked
from .._utils._warn import warn
from ._recommend import best_items, recommend_rows

_USERS_PER_CHUNK = 10_000
_ENTRIES = 2**23  # entries of rankings at a time: 64 MB
_DEEPER = 4  # factor by which rankings that are too short are extended


class ListMaker:
    """Compute recommendation lists of users, part by part.

    Parameters
    ----------
    model : FittedModel
    rows : ndarray of shape (n_users,), int
        Rows of the users; -1 for the mean user.
    rules : ListRules
    n_items : int
    num_threads, verbose : int

    Attributes
    ----------
    n_short : int
        Number of lists with fewer new items than `rules.min_new`.
    """

    def __init__(self, model, rows, rules, n_items, *, num_threads, verbose=0):
        model.check_items_finite()
        self.model, self.rows, self.rules, self.n_items = model, rows, rules, n_items
        self.num_threads, self.verbose = num_threads, verbose
        self.n_short = 0

    def make(self, part):
        """Return the lists of a slice of the users: columns and scores, as from `best_items`."""
        rules = self.rules[part]
        if rules.are_plain:
            return recommend_rows(
                self.model,
                self.rows[part],
                self.n_items,
                filter_seen=rules.filter_seen,
                pairs=rules.excluded,
                candidates=rules.candidates,
                num_threads=self.num_threads,
                verbose=self.verbose,
            )
        n_users = len(self.rows[part])
        n_items = min(self.n_items, len(self.model.items))
        columns = np.full((n_users, n_items), -1, dtype=np.int32)
        scores = np.full((n_users, n_items), np.nan, dtype=np.float32)
        starts = range(0, n_users, _USERS_PER_CHUNK)
        for start in tracked(starts, "recommending", verbose=self.verbose and len(starts) > 1):
            chunk = slice(start, start + _USERS_PER_CHUNK)
            self._choose(self.rows[part][chunk], rules[chunk], columns[chunk], scores[chunk])
        return columns, scores

    def _choose(self, rows, rules, columns, scores):
        """Fill in the lists of the given users."""
        is_new = self.model.popularity == 0
        ranking = Ranking(self.model, rows, rules, self.num_threads)
        fresh = Ranking(self.model, rows, rules, self.num_threads, is_new)
        full = min(columns.shape[1], most_items(rules, len(self.model.items)))

        def fill(users, depth):
            if len(users) > 1 and len(users) * depth > _ENTRIES:
                for half in np.array_split(users, 2):
                    fill(half, depth)
                return
            shelf = fresh.best(users, depth) if rules.min_new else _nothing(len(users))
            chosen, values, decided, n_new = choose(
                *ranking.best(users, depth), depth >= ranking.n_candidates,
                *shelf, depth >= fresh.n_candidates, is_new,
                rules.groups, rules.quotas, full, min(rules.min_new, full),
            )  # fmt: skip
            done = users[decided]
            columns[done, :full], scores[done, :full] = chosen[decided], values[decided]
            self.n_short += np.count_nonzero(n_new[decided] < rules.min_new)
            if not decided.all():
                fill(users[~decided], _DEEPER * depth)

        fill(np.arange(len(rows)), columns.shape[1] * (_DEEPER if len(rules.quotas) else 1))

    def warn_if_short(self):
        """Warn if some lists have too few new items."""
        if self.n_short:
            few = (
                f"{self.n_short} of {len(self.rows)} lists have fewer than "
                f"min_new={self.rules.min_new} new items: "
            )
            if len(self.rules.quotas):
                why = (
                    "no further items without interactions are allowed for these users and within "
                    "the quotas of max_per_group. Raise the quotas, add more new items to "
                    "item_data before fit, or call fold_in_items."
                )
            else:
                why = (
                    "no further items without interactions are allowed for these users. Add more "
                    "new items to item_data before fit, or call fold_in_items."
                )
            warn(few + why)


def _nothing(n_users):
    """Return empty rankings."""
    return np.full((n_users, 1), -1, np.int32), np.full((n_users, 1), np.nan, np.float32)


class Ranking:
    """Rankings of the candidates of users, up to a requested depth.

    Parameters
    ----------
    model : FittedModel
    rows : ndarray of shape (n_users,), int
    rules : ListRules
    num_threads : int
    mask : bool array of shape (n_items,) or None
        Mask that further restricts the candidates.
    """

    def __init__(self, model, rows, rules, num_threads, mask=None):
        self.model, self.rows, self.rules, self.num_threads = model, rows, rules, num_threads
        self.candidates = rules.candidates
        if mask is not None:
            inside = np.arange(len(mask)) if self.candidates is None else self.candidates
            self.candidates = inside[mask[inside]]
        n_all = len(model.items)
        self.n_candidates = n_all if self.candidates is None else len(self.candidates)

    def best(self, users, depth):
        """Return columns and scores of the best items of users, at most `depth` per user."""
        depth = max(min(depth, self.n_candidates), 1)
        if self.rules.allowed is not None:
            return self._from_listed(users, depth)
        factors = self.model.user_rows(self.rows[users])
        check_finite_model(factors)
        barred = self._barred(users)
        return best_items(
            lambda part: factors[part],
            len(users),
            self.model.item_factors,
            depth,
            barred=lambda part: None if barred is None else barred[part],
            candidates=self.candidates,
            num_threads=self.num_threads,
        )

    def _barred(self, users):
        """Return the items that must not be recommended to the given users, or None."""
        own = self.model.seen_by(self.rows[users]) if self.rules.filter_seen else None
        excluded = None if self.rules.excluded is None else self.rules.excluded[users]
        if own is None or excluded is None:
            return own if excluded is None else excluded
        return own + excluded

    @cached_property
    def _listed(self):
        """Allowed items of users, best first: start of each user, columns and scores."""
        allowed = self.rules.allowed
        row, column = entry_rows(allowed), allowed.indices
        keep = np.ones(len(row), dtype=bool)
        if self.candidates is not None:
            is_candidate = np.zeros(allowed.shape[1], dtype=bool)
            is_candidate[self.candidates] = True
            keep = is_candidate[column]
        barred = self._barred(np.arange(len(self.rows)))
        if barred is not None:
            n_all = allowed.shape[1]
            pairs = np.sort(entry_rows(barred) * n_all + barred.indices)
            wanted = row * n_all + column
            place = np.minimum(np.searchsorted(pairs, wanted), max(len(pairs) - 1, 0))
            keep &= pairs[place] != wanted if len(pairs) else True
        row, column = row[keep], column[keep]
        scores = self.model.score_pairs(self.rows[row], column)
        check_finite_model(scores)
        starts = np.searchsorted(row, np.arange(len(self.rows) + 1))
        order = order_rows(starts, scores)
        return starts, column[order], scores[order]

    def _from_listed(self, users, depth):
        starts, column, score = self._listed
        length = np.minimum(starts[users + 1] - starts[users], depth)
        columns = np.full((len(users), depth), -1, dtype=np.int32)
        scores = np.full((len(users), depth), np.nan, dtype=np.float32)
        inside = np.arange(depth) < length[:, None]
        entries = (starts[users][:, None] + np.arange(depth))[inside]
        columns[inside], scores[inside] = column[entries], score[entries]
        return columns, scores


def most_items(rules, n_all):
    """Return the maximum length of a list under the quotas, to limit the search."""
    candidates = slice(None) if rules.candidates is None else rules.candidates
    most = n_all if rules.candidates is None else len(rules.candidates)
    for groups, quota in zip(rules.groups[:, candidates], rules.quotas, strict=True):
        sizes = np.bincount(groups[groups >= 0])
        most = min(most, np.count_nonzero(groups < 0) + np.minimum(sizes, quota).sum())
    return int(most)

r"""Lists under quotas, and with a shelf of new items.

**Quotas**: of each group of items at most so many. Going down the ranking and taking what still
fits is the list of the highest sum of scores, if the groups do not cross: if any two are disjoint,
or one lies within the other. (The lists are then independent sets of a laminar matroid, for which
the greedy algorithm is exact.)

**Shelf**: at least m new items. As long as there are fewer, the exchange of an item that is not new
for a new one which costs the least is made, among those that keep to the quotas. The best list with
one more item of a color is always one exchange away (Gabow & Tarjan 1984, "Efficient algorithms for
a family of matroid intersection problems"), so this is exact in the same cases. Where groups
cross, exchanges may end too early: then the new items are taken first, and the rest of the list
after them.
"""

import numpy as np

from ._jit import jit


@jit
def choose(columns, scores, whole, new_columns, new_scores, new_whole, is_new, groups, quotas,
           n, min_new):  # fmt: skip
    """Choose lists from rankings.

    Parameters
    ----------
    columns, scores : arrays of shape (n_users, k), int32 and float32
        The ranking of each user, best first; -1 ends it.
    whole : bool
        Whether the rankings have all candidates: else a user may need more of one.
    new_columns, new_scores, new_whole
        The same, of new items only.
    is_new : bool array of shape (n_items,)
    groups : int32 array of shape (n_kinds, n_items)
        The group of an item; -1: none.
    quotas : int array of shape (n_kinds,)
        How many items of a group a list has at most.
    n, min_new : int
        Length of the lists, and how many of them are to be new at least.

    Returns
    -------
    chosen : int32 array of shape (n_users, n)
        Best first; -1 where there is none.
    values : float32 array of shape (n_users, n)
    decided : bool array of shape (n_users,)
        False: the ranking was too short.
    n_new : int array of shape (n_users,)
    """
    n_users = len(columns)
    chosen = np.full((n_users, n), -1, dtype=np.int32)
    values = np.full((n_users, n), np.nan, dtype=np.float32)
    decided = np.ones(n_users, dtype=np.bool_)
    n_new = np.zeros(n_users, dtype=np.int64)
    for u in range(n_users):
        m = _take(columns[u], scores[u], groups, quotas, chosen[u], values[u], 0)
        if m < n and not whole and columns[u, -1] >= 0:
            decided[u] = False
            continue
        n_new[u] = is_new[chosen[u, :m]].sum()
        while n_new[u] < min_new:
            more = new_whole or new_columns[u, -1] < 0
            out, place, sure = _best_exchange(
                new_columns[u], new_scores[u], more, is_new, groups, quotas, chosen[u, :m],
                values[u, :m],
            )  # fmt: skip
            if not sure:
                decided[u] = False
            if not sure or out < 0:
                break
            _exchange(chosen[u, :m], values[u, :m], out, new_columns[u, place],
                      new_scores[u, place])  # fmt: skip
            n_new[u] += 1
        if not decided[u] or not min_new or len(quotas) < 2:
            continue
        if n_new[u] < min_new:
            first, worth = np.full(n, -1, dtype=np.int32), np.full(n, np.nan, dtype=np.float32)
            found = _take(new_columns[u], new_scores[u], groups, quotas, first[:min_new],
                          worth[:min_new], 0)  # fmt: skip
            if found < min_new and not new_whole and new_columns[u, -1] >= 0:
                decided[u] = False
                continue
            if found > n_new[u]:
                chosen[u], values[u], m = first, worth, found
        m = _fill(columns[u], scores[u], groups, quotas, chosen[u], values[u], m)
        decided[u] = m == n or whole or columns[u, -1] < 0
        n_new[u] = is_new[chosen[u, :m]].sum()
    return chosen, values, decided, n_new


@jit
def order_rows(starts, scores):
    """Return the order in which the scores of each row fall, of equal ones the first one first.

    Row n is `scores[starts[n] : starts[n + 1]]`; the order is of positions in `scores`.
    """
    order = np.empty(len(scores), dtype=np.int64)
    for row in range(len(starts) - 1):
        first, end = starts[row], starts[row + 1]
        order[first:end] = first + np.argsort(-scores[first:end], kind="mergesort")
    return order


@jit
def _take(columns, scores, groups, quotas, chosen, values, m):
    """Go down a ranking and take what fits, until the list, of m so far, is full; return m."""
    for j in range(len(columns)):
        if m == len(chosen) or columns[j] < 0:
            break
        if not (chosen[:m] == columns[j]).any() and _fits(
            columns[j], -1, groups, quotas, chosen[:m]
        ):
            chosen[m], values[m] = columns[j], scores[j]
            m += 1
    return m


@jit
def _fill(columns, scores, groups, quotas, chosen, values, m):
    """Take what fits besides the m items of a list, and put all in order; return how many."""
    m = _take(columns, scores, groups, quotas, chosen, values, m)
    order = np.argsort(-values[:m], kind="mergesort")
    chosen[:m], values[:m] = chosen[:m][order], values[:m][order]
    return m


@jit
def _fits(column, out, groups, quotas, chosen):
    """Return whether an item fits into a list of which the item at `out` (-1: none) is taken."""
    for kind in range(len(groups)):
        group, count = groups[kind, column], 0
        if group < 0:
            continue
        for place in range(len(chosen)):
            count += place != out and groups[kind, chosen[place]] == group
        if count >= quotas[kind]:
            return False
    return True


@jit
def _best_exchange(new_columns, new_scores, whole, is_new, groups, quotas, chosen, values):
    """Find the cheapest exchange: what goes (-1: none), what comes, and whether that is sure."""
    lowest = np.inf
    for place in range(len(chosen)):
        if not is_new[chosen[place]]:
            lowest = min(lowest, values[place])
    best, out, comes = -np.inf, -1, -1
    for j in range(len(new_columns)):
        if new_columns[j] < 0:
            return out, comes, True
        if best >= new_scores[j] - lowest:  # nor can what is further down be better
            return out, comes, True
        if (chosen == new_columns[j]).any():
            continue
        for place in range(len(chosen) - 1, -1, -1):
            gain = new_scores[j] - values[place]
            old = not is_new[chosen[place]]
            if old and gain > best and _fits(new_columns[j], place, groups, quotas, chosen):
                best, out, comes = gain, place, j
    return out, comes, whole


@jit
def _exchange(chosen, values, out, column, score):
    """Replace an item of a list that is sorted by score."""
    place = out
    while place + 1 < len(chosen) and values[place + 1] >= score:
        chosen[place], values[place] = chosen[place + 1], values[place + 1]
        place += 1
    while place > 0 and values[place - 1] < score:
        chosen[place], values[place] = chosen[place - 1], values[place - 1]
        place -= 1
    chosen[place], values[place] = column, score

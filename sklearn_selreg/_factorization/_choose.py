r"""Top-n lists under group quotas and with a minimum number of new items.

**Quotas** limit the number of items per group. The greedy algorithm takes items in ranking order
whenever they fit. It maximizes the sum of scores if any two groups are either disjoint or nested:
the feasible lists are then the independent sets of a laminar matroid.

**Minimum of m new items**: while a list has fewer, it swaps an old item for a new one, choosing the
cheapest swap that respects the quotas. The best list with one more new item is always one swap away
(Gabow & Tarjan 1984, "Efficient algorithms for a family of matroid intersection problems"), so this
is exact under the same condition. If groups overlap partially, the swaps may end too early; then
the new items are chosen first, and the list is filled up afterwards.
"""

import numpy as np

from ._jit import jit


@jit
def choose(columns, scores, whole, new_columns, new_scores, new_whole, is_new, groups, quotas,
           n, min_new):  # fmt: skip
    """Build top-n lists from rankings.

    Parameters
    ----------
    columns, scores : arrays of shape (n_users, k), int32 and float32
        Ranking of each user, best first, terminated by -1.
    whole : bool
        Whether the rankings contain all candidates. If False, a user may need a longer one.
    new_columns, new_scores, new_whole
        The same for rankings of new items only.
    is_new : bool array of shape (n_items,)
    groups : int32 array of shape (n_kinds, n_items)
        Group of each item; -1 if it has none.
    quotas : int array of shape (n_kinds,)
        Maximum number of items per group in a list.
    n, min_new : int
        Length of the lists, and minimum number of new items in each.

    Returns
    -------
    chosen : int32 array of shape (n_users, n)
        Best first, padded with -1.
    values : float32 array of shape (n_users, n)
        Scores, padded with NaN.
    decided : bool array of shape (n_users,)
        False where the ranking was too short.
    n_new : int array of shape (n_users,)
        Number of new items in each list.
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
    """Positions in `scores` that sort each row in descending order, with a stable sort.

    Row n is `scores[starts[n] : starts[n + 1]]`.
    """
    order = np.empty(len(scores), dtype=np.int64)
    for row in range(len(starts) - 1):
        first, end = starts[row], starts[row + 1]
        order[first:end] = first + np.argsort(-scores[first:end], kind="mergesort")
    return order


@jit
def _take(columns, scores, groups, quotas, chosen, values, m):
    """Append the items of a ranking that fit to a list of length m; return its new length."""
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
    """Fill up a list of length m from a ranking and sort it by score; return its new length."""
    m = _take(columns, scores, groups, quotas, chosen, values, m)
    order = np.argsort(-values[:m], kind="mergesort")
    chosen[:m], values[:m] = chosen[:m][order], values[:m][order]
    return m


@jit
def _fits(column, out, groups, quotas, chosen):
    """Whether an item fits into a list from which the item at `out` is removed (-1: none)."""
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
    """Find the cheapest swap: position of the old item (-1: none), that of the new, and certainty.

    The result is uncertain if a longer ranking of new items might contain a better swap.
    """
    lowest = np.inf
    for place in range(len(chosen)):
        if not is_new[chosen[place]]:
            lowest = min(lowest, values[place])
    best, out, comes = -np.inf, -1, -1
    for j in range(len(new_columns)):
        if new_columns[j] < 0:
            return out, comes, True
        if best >= new_scores[j] - lowest:  # no later item can be better
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
    """Replace an item of a list, which stays sorted by score."""
    place = out
    while place + 1 < len(chosen) and values[place + 1] >= score:
        chosen[place], values[place] = chosen[place + 1], values[place + 1]
        place += 1
    while place > 0 and values[place - 1] < score:
        chosen[place], values[place] = chosen[place - 1], values[place - 1]
        place -= 1
    chosen[place], values[place] = column, score

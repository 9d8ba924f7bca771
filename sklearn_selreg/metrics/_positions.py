r"""Metrics over all relevant items of a user, in expectation over the orders of tied items.

A group of :math:`t` candidates with the same score takes positions :math:`a + 1` to :math:`a + t`
in random order. With :math:`r` relevant candidates in the group and :math:`b` in previous groups
(McSherry & Najork, 2008):

- the first j are all irrelevant with probability :math:`\prod_{i \le j} (1 - r / (t - i + 1))`;
- the j-th is relevant with probability :math:`r / t`, and the expected number of relevant ones up
  to its position is then :math:`b + 1 + (j - 1) (r - 1) / (t - 1)`.
"""

import numpy as np


def position_metrics(user, n_above, n_tied, n_users, k):
    """Compute hit rate, average precision and reciprocal rank per user.

    Parameters
    ----------
    user : int array of shape (n_pairs,)
        Values in [0, n_users).
    n_above, n_tied : float arrays of shape (n_pairs,)
        Number of the user's other candidates with a higher and with the same score.
    n_users, k : int

    Returns
    -------
    metrics : dict of str to float array of shape (n_users,)
        `hit rate`, `MAP` and `MRR`: 0 for users without relevant items.
    """
    order = np.lexsort((n_above, user))
    user, above, size = user[order], n_above[order], n_tied[order] + 1
    starts = np.ones(len(user), dtype=bool)
    starts[1:] = (user[1:] != user[:-1]) | (above[1:] != above[:-1])
    first = np.flatnonzero(starts)
    n_relevant = np.diff(np.append(first, len(user)))
    owner, above, size = user[first], above[first], size[first]
    before = first - np.searchsorted(user, owner)
    hit, precision, reciprocal = _of_groups(above, size, n_relevant, before, k)
    opens = before == 0  # a user's first relevant item is in this group
    ideal = np.clip(np.bincount(user, minlength=n_users), 1, k)
    return {
        "hit rate": np.bincount(owner[opens], hit[opens], minlength=n_users),
        "MAP": np.bincount(owner, precision, minlength=n_users) / ideal,
        "MRR": np.bincount(owner[opens], reciprocal[opens], minlength=n_users),
    }


def _of_groups(above, size, n_relevant, before, k):
    """Compute the contributions of groups of tied candidates; see the module docstring.

    Parameters
    ----------
    above, size, n_relevant, before : arrays of shape (n_groups,)
        a, t, r and b in the module docstring.
    k : int

    Returns
    -------
    hit, precision, reciprocal : float64 arrays of shape (n_groups,)
        Probability of a relevant candidate in the top k, sum of precisions at relevant candidates,
        and reciprocal position of the first relevant one.
    """
    precision, reciprocal = np.zeros((2, len(above)))
    none_yet = np.ones(len(above))
    more = (n_relevant - 1) / np.maximum(size - 1, 1)
    for j in range(1, k + 1):
        inside = np.flatnonzero((above + j <= k) & (j <= size))
        if not len(inside):
            break
        position, t, r = above[inside] + j, size[inside], n_relevant[inside]
        up_to = before[inside] + 1 + (j - 1) * more[inside]
        precision[inside] += r / t * up_to / position
        relevant = np.minimum(r / (t - j + 1), 1)  # given that no previous one is
        reciprocal[inside] += none_yet[inside] * relevant / position
        none_yet[inside] *= 1 - relevant
    return 1 - none_yet, precision, reciprocal

"""Sampling of synthetic interactions."""

import numpy as np

from .._utils._progress import Progress

_CHUNK = 2**18  # interactions sampled at a time
_ROUNDS = 8  # of proposals, before exact sampling for the few remaining users
_TABLE = 2**22  # entries of a user-item table in memory
_START, _SPAN = 1_640_995_200, 3 * 365 * 86_400  # three years from 2022, in seconds


def draw_lengths(n_users, most, total, spread, rng):
    """Draw log-normal numbers of interactions, from 1 to `most`, with the given total."""
    raw = np.exp(spread * rng.standard_normal(n_users))

    def scaled(log_scale):
        return np.clip(np.exp(log_scale) * raw, 1, most)

    low, high = -np.log(raw.max()), np.log(most / raw.min())
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if scaled(middle).sum() < total else (low, middle)
    exact = scaled(high)
    lengths = np.floor(exact).astype(np.int64)
    # Round up the largest remainders first, then any numbers below the maximum.
    missing = total - lengths.sum()
    order = np.argsort(lengths - exact + 2.0 * (lengths >= most), kind="stable")
    lengths[order[:missing]] += 1
    return lengths


def draw_interactions(world, lengths, rng, verbose):
    """Draw distinct items for each user, one after another.

    Returns
    -------
    users, items, times : ndarray of shape (n_interactions,), int64
        Sorted by user and time.
    """
    total = lengths.sum()
    users = np.repeat(np.arange(len(lengths)), lengths)
    items, times = np.empty((2, total), dtype=np.int64)
    stop = np.cumsum(lengths)
    starts = np.flatnonzero(np.diff((stop - lengths) // _CHUNK, prepend=-1))
    with Progress("drawing", total, unit="interaction", verbose=verbose) as progress:
        for first, last in zip(starts, [*starts[1:], len(lengths)], strict=True):
            part = slice(stop[first] - lengths[first], stop[last - 1])
            user, items[part] = draw_items(world, np.arange(first, last), lengths[first:last], rng)
            seconds = rng.integers(_SPAN, size=len(user))
            times[part] = np.sort(user * _SPAN + seconds) % _SPAN + _START
            progress.update(len(user))
    return users, items, times


def draw_items(world, users, lengths, rng):
    """Draw `lengths` distinct items for each of some users, in random order.

    This is successive sampling without replacement, with probabilities from `world.utility`.

    Returns
    -------
    user, item : ndarray of shape (lengths.sum(),), int64
        Positions in `users`, ascending, and items.
    """
    n_items = len(world.by_rank)
    taken, missing = _draw_by_proposals(world, users, lengths, rng)
    remaining = np.flatnonzero(missing)
    size = max(1, _TABLE // n_items)
    for rows in np.split(remaining, range(size, len(remaining), size)):
        more = _draw_exactly(world, users, rows, missing[rows], taken, rng)
        taken = np.concatenate([taken, more])
    user = taken // n_items
    order = np.lexsort((rng.random(len(taken)), user))
    return user[order], taken[order] % n_items


def _draw_by_proposals(world, users, lengths, rng):
    """Draw items by rejection sampling.

    Items are proposed by popularity and accepted with the probability that the user likes them;
    items that the user already has are skipped.

    Returns
    -------
    taken : ndarray of shape (n_taken,), int64
        Numbers user * n_items + item.
    missing : ndarray of shape (n_users,), int64
        Number of items still missing per user.
    """
    n_items = len(world.by_rank)
    taken = np.empty(0, dtype=np.int64)  # in order of sampling, per user
    missing = lengths
    for turn in range(_ROUNDS):
        if not missing.any():
            break
        n_proposed = np.minimum((4 << turn) * missing, _TABLE // len(users) + 4 * missing)
        user = np.repeat(np.arange(len(users)), n_proposed * (missing > 0))
        item = world.come_across(rng.random(len(user)))
        affinity = np.einsum("nk,nk->n", world.user_factors[users[user]], world.item_factors[item])
        is_liked = world.is_liked(affinity, rng.random(len(user), dtype=np.float32))
        drawn = np.concatenate([taken, user[is_liked] * n_items + item[is_liked]])
        _, first = np.unique(drawn, return_index=True)
        taken = drawn[np.sort(first)]
        taken = taken[np.argsort(taken // n_items, kind="stable")]
        n_taken = np.bincount(taken // n_items, minlength=len(users))
        taken = taken[_count_up(n_taken) < np.repeat(lengths, n_taken)]
        missing = lengths - np.minimum(n_taken, lengths)
    return taken, missing


def _draw_exactly(world, users, rows, missing, taken, rng):
    """Draw the `missing` items of `users[rows]` together, none of which is `taken`.

    Taking the largest utilities with Gumbel noise is equivalent to successive sampling.

    Returns
    -------
    drawn : ndarray of shape (missing.sum(),), int64
        Numbers user * n_items + item.
    """
    n_items = len(world.by_rank)
    score = world.utility(users[rows, np.newaxis], np.arange(n_items))
    score += rng.gumbel(size=score.shape)
    position = np.searchsorted(rows, taken // n_items).clip(max=max(len(rows) - 1, 0))
    is_own = rows[position] == taken // n_items if len(rows) else np.zeros(len(taken), dtype=bool)
    score[position[is_own], taken[is_own] % n_items] = -np.inf
    best = np.argsort(-score, axis=1)
    row = np.repeat(np.arange(len(rows)), missing)
    return rows[row] * n_items + best[row, _count_up(missing)]


def _count_up(counts):
    """Return 0, 1, ..., count - 1 for each count, concatenated."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)

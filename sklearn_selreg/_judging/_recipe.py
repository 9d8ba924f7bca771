"""Where candidates are drawn from, and with which odds."""

from dataclasses import dataclass

import numpy as np

_TAIL_POOL = 20  # candidates from the tail are among that many best ones of it
_ANY = 1e-9  # odds of items that no part of the recipe is for: they only fill small catalogs


@dataclass(frozen=True)
class Recipe:
    """Which items the candidates of a slate are drawn from, in parts of any unit.

    The parts overlap: an item among the 30 best is among the 100 best, too.

    Attributes
    ----------
    best : tuple of (int, float)
        Numbers of best items of the reference model, and the part drawn from so many, uniformly.
    popular : float
        Part drawn by popularity.
    tail : float
        Part drawn from the 20 best items of the tail, uniformly.
    """

    best: tuple
    popular: float
    tail: float


RECIPE = Recipe(best=((30, 12), (100, 3)), popular=2, tail=3)
"""Of every 20 candidates."""


class CandidateOdds:
    """How likely each item is to be a candidate for a user, up to a factor.

    Parameters
    ----------
    scores : ndarray of shape (n_items,)
    taken : ndarray of intp
        Items that are not drawn.
    model : ReferenceModel
    recipe : Recipe

    Attributes
    ----------
    odds : ndarray of shape (n_items,), float64
        0 for those taken.
    """

    def __init__(self, scores, taken, model, recipe):
        allowed = np.ones(len(scores), dtype=bool)
        allowed[taken] = False
        pools = [(_best(scores, allowed & model.tail, _TAIL_POOL), recipe.tail)]
        pools += [(_best(scores, allowed, depth), part) for depth, part in recipe.best]
        popularity = np.where(allowed, model.popularity, 0)
        self.odds = recipe.popular * popularity / max(popularity.sum(), 1) + _ANY * allowed
        self._pools, rest = [], allowed
        for pool, part in pools:
            self.odds[pool] += part / max(len(pool), 1)
            self._pools.append(pool[rest[pool]])
            rest[pool] = False
        self._rest = np.flatnonzero(rest)

    def draw(self, n_items, random, left_out=()):
        """Draw items, about as many from each part of the recipe as it says."""
        order = np.concatenate([*map(random.permutation, self._pools), self._rest])
        if len(left_out):
            order = order[~np.isin(order, left_out)]
        return order[draw_systematically(self.odds[order], min(n_items, len(order)), random)]


def draw_systematically(odds, n_drawn, random):
    """Draw different places, with the probabilities of `_inclusion`: at equal steps of their sum.

    Of neighbors as many are drawn as their probabilities sum to, rounded up or down.
    """
    steps = random.random() + np.arange(n_drawn)
    found = np.searchsorted(np.cumsum(_inclusion(odds, n_drawn)), steps, side="right")
    return np.minimum(found, len(odds) - 1)


def _inclusion(odds, n_drawn):
    """Return the probabilities of being drawn: in proportion to the odds, but 1 at most."""
    probabilities = n_drawn * odds / max(odds.sum(), 1e-300)
    while (probabilities > 1).any():
        sure = probabilities >= 1
        probabilities[sure] = 1
        left = n_drawn - sure.sum()
        probabilities[~sure] *= left / max(probabilities[~sure].sum(), 1e-300)
    return probabilities


def _best(scores, allowed, n_items):
    """Return the allowed items with the highest scores."""
    items = np.flatnonzero(allowed)
    if n_items < len(items):
        items = (
            items[np.argpartition(-scores[items], n_items - 1)[:n_items]] if n_items else items[:0]
        )
    return items[np.argsort(-scores[items], kind="stable")]

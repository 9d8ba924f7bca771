"""Sampling of slate candidates from a mixture of item pools."""

from dataclasses import dataclass

import numpy as np

_TAIL_POOL = 20  # tail candidates come from this many top items of the tail
_ANY = 1e-9  # odds of items outside of all pools, which only fill up small catalogs


@dataclass(frozen=True)
class Recipe:
    """Mixture of pools from which the candidates of a slate are drawn; weights have any scale.

    The pools overlap: the top 100 items include the top 30.

    Attributes
    ----------
    best : tuple of (int, float)
        Sizes of pools of top items of the reference model, and their weights. Draws within a pool
        are uniform.
    popular : float
        Weight of draws proportional to popularity.
    tail : float
        Weight of uniform draws from the top 20 items of the tail.
    """

    best: tuple
    popular: float
    tail: float


RECIPE = Recipe(best=((30, 12), (100, 3)), popular=2, tail=3)
"""Default mixture, with weights per 20 candidates."""


class CandidateOdds:
    """Relative probabilities of the items to be candidates for a user.

    Parameters
    ----------
    scores : ndarray of shape (n_items,)
    taken : ndarray of intp
        Items to exclude.
    model : ReferenceModel
    recipe : Recipe

    Attributes
    ----------
    odds : ndarray of shape (n_items,), float64
        Unnormalized probabilities; 0 for excluded items.
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
        """Draw items without replacement, with pools represented in proportion to the recipe."""
        order = np.concatenate([*map(random.permutation, self._pools), self._rest])
        if len(left_out):
            order = order[~np.isin(order, left_out)]
        return order[draw_systematically(self.odds[order], min(n_items, len(order)), random)]


def draw_systematically(odds, n_drawn, random):
    """Draw distinct positions by systematic sampling with the probabilities of `_inclusion`.

    From each consecutive range, the number drawn is the sum of its probabilities, rounded up or
    down.
    """
    steps = random.random() + np.arange(n_drawn)
    found = np.searchsorted(np.cumsum(_inclusion(odds, n_drawn)), steps, side="right")
    return np.minimum(found, len(odds) - 1)


def _inclusion(odds, n_drawn):
    """Inclusion probabilities: proportional to the odds, clipped to 1."""
    probabilities = n_drawn * odds / max(odds.sum(), 1e-300)
    while (probabilities > 1).any():
        sure = probabilities >= 1
        probabilities[sure] = 1
        left = n_drawn - sure.sum()
        probabilities[~sure] *= left / max(probabilities[~sure].sum(), 1e-300)
    return probabilities


def _best(scores, allowed, n_items):
    """Return the allowed items with the highest scores, best first."""
    items = np.flatnonzero(allowed)
    if n_items < len(items):
        items = (
            items[np.argpartition(-scores[items], n_items - 1)[:n_items]] if n_items else items[:0]
        )
    return items[np.argsort(-scores[items], kind="stable")]

"""A judge whose reliability is known."""

from collections.abc import Callable
from numbers import Integral
from os import PathLike

import joblib
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from ..judges import LLMJudge
from ._world import World

_LENGTHS = np.arange(21)  # history lengths at which functions of reliability are compared


class SimulatedJudge(LLMJudge):
    """Judge in a world of :func:`~sklearn_selreg.datasets.make_interactions`.

    Parameters
    ----------
    world : object
        The truth, as `make_interactions` makes it.
    reliability : float or callable
        See `judge_reliability` of `make_interactions`.
    knows : {"tastes", "popularity"}, default="tastes"
        See `judge_knows` of `make_interactions`.
    seed : int, default=0
        Seed of the judge's errors, >= 0.
    cache : "default", path or None, default=None
        Where answers are kept: a file in the user's cache directory, another file, or memory.

    See Also
    --------
    sklearn_selreg.datasets.make_interactions : Makes the judge; has the formulas.

    Notes
    -----
    It knows users and items by their ids, and has no opinion (NaN) on those outside its world. Only
    the length of the history matters.

    Examples
    --------
    >>> from sklearn_selreg.datasets import make_interactions
    >>> judge = make_interactions(random_state=0).judge
    >>> judge.set_params(reliability=0.0).reliability_of([1, 2], [3, 4])
    array([0., 0.])
    """

    def __init__(
        self,
        world: World,
        reliability: float | Callable,
        knows: str = "tastes",
        seed: int = 0,
        cache: str | PathLike | None = None,
    ):
        self.world = world
        self.reliability = reliability
        self.knows = knows
        self.seed = seed
        self.cache = cache

    def reliability_of(self, history_length: ArrayLike, popularity: ArrayLike) -> np.ndarray:
        """Return the correlation of the judge's beliefs with the truth.

        Parameters
        ----------
        history_length : array-like of int
            Number of items that the judge is shown.
        popularity : array-like of int
            Number of interactions of the rated item; broadcast with `history_length`.

        Returns
        -------
        reliability : ndarray, float64
            In [0, 1].

        Raises
        ------
        ValueError
            If the parameter `reliability` returns anything else.
        """
        length, popularity = np.broadcast_arrays(history_length, popularity)
        if not callable(self.reliability):
            reliability = np.full(length.shape, self.reliability, dtype=np.float64)
        else:
            reliability = np.asarray(self.reliability(length, popularity), dtype=np.float64)
        if reliability.shape != length.shape or not ((reliability >= 0) & (reliability <= 1)).all():
            raise ValueError(
                "A judge's reliability must be a number in [0, 1], or a function that returns one "
                f"for each of its arguments (arrays of shape {length.shape} here); got "
                f"{reliability!r}."
            )
        return reliability

    def _check_parameters(self):
        if self.knows not in ("tastes", "popularity"):
            raise ValueError(f'knows must be "tastes" or "popularity"; got {self.knows!r}.')
        self._table()

    def _table(self):
        """Return the reliability at all history lengths and popularities that occur."""
        popularity = np.unique(self.world.popularity)
        return self.reliability_of(_LENGTHS[:, np.newaxis], popularity)

    def _identity(self):
        # Functions are identified by their values.
        return {
            "judge": "simulated",
            "world": self.world.fingerprint,
            "reliability": joblib.hash(self._table()),
            "knows": self.knows,
            "seed": self.seed,
        }

    def _rate(self, slates):
        world = self.world
        sizes = [len(slate.candidates) for slate in slates]
        users = np.repeat(_positions([s.user for s in slates], len(world.user_factors)), sizes)
        items = [item for slate in slates for item in slate.candidates]
        items = _positions(items, len(world.item_factors))
        lengths = np.repeat([len(slate.history) for slate in slates], sizes)
        if self.knows == "tastes":
            truth = world.affinity(users, items)
        else:
            truth = world.normal_popularity[items]
        reliability = self.reliability_of(lengths, world.popularity[items])
        error = _normal_hash(self.seed, users, items)
        ratings = ndtr(reliability * truth + np.sqrt(1 - reliability**2) * error)
        ratings[(users < 0) | (items < 0)] = np.nan
        return np.split(ratings, np.cumsum(sizes)[:-1])


def _positions(ids, n):
    """Return ids as positions, -1 for anything but an integer from 0 to n - 1."""
    known = [isinstance(i, Integral) and not isinstance(i, bool) and 0 <= i < n for i in ids]
    return np.array([i if ok else -1 for i, ok in zip(ids, known, strict=True)], dtype=np.int64)


def _normal_hash(seed, users, items):
    """Return a standard normal number for each pair, whatever the other pairs are.

    The mixer is that of SplitMix64 (Steele, Lea & Flood 2014).
    """
    mixed = np.full(len(users), seed, dtype=np.uint64)
    for ids in (users, items):
        mixed = mixed + ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return ndtri(((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53)

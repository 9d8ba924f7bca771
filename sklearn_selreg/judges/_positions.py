"""Finds judges that rate where items stand in the list that they are shown, not what they are.

Each slate gives two rank correlations: of the ratings with the position shown (the mean over its
orders), and of the ratings in one order with those in the next, its reverse. Positions are random,
so of a judge who does not look at them the first one is 0 on average, whatever it thinks of the
items; averaged over an order and its reverse, agreement about items cancels out of it. A judge is
said to follow positions if the mean over slates is clear of what is usual:

- the interval of the correlation with position lies above 0.5, or below -0.5, or
- the interval of the correlation between the orders lies below -0.1.

Intervals are those of Student's t, at 99.9 %, over slates, which are independent. So a judge who
cares a little for positions, as all models do, and much for items is not accused: its ratings are
averaged over the orders, where that little cancels out.
"""

from collections import ChainMap
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.stats import rankdata, t

from .._utils._warn import warn
from ..exceptions import JudgmentWarning

FIRST_LOOK = 20
"""Answered slates that are enough to look at."""

_CONFIDENCE = 0.999
_FOLLOWS = 0.5  # correlation with the position: a quarter of the variance of ranks
_TURNS = -0.1  # correlation between the two orders


@dataclass(frozen=True)
class Interval:
    """A mean over slates, with its confidence interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        """Return that of the mean of independent values, at least two."""
        mean, n = float(np.mean(values)), len(values)
        half = t.ppf((1 + _CONFIDENCE) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
        return cls(mean, max(mean - half, -1.0), min(mean + half, 1.0))

    def __str__(self):
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class PositionBias:
    """How ratings go with positions.

    Attributes
    ----------
    n_slates : int
    position : Interval
        Correlation of ratings with the position shown.
    orders : Interval or None
        Correlation of ratings in one order with those in its reverse; None if asked once.
    """

    n_slates: int
    position: Interval
    orders: Interval | None

    @classmethod
    def of(cls, shown):
        """Measure it; None where fewer than `FIRST_LOOK` slates tell.

        Parameters
        ----------
        shown : iterable of list of (ndarray of shape (n_candidates,), ndarray of int)
            For each slate and order the ratings as shown, and the place in the slate of each.
        """
        with_position, between = [], []
        for answers in shown:
            found = [rank_correlation(r, np.arange(len(r))) for r, _ in answers]
            if not np.isnan(found).all():
                with_position.append(np.nanmean(found))
            if len(answers) > 1:
                first, second = (r[np.argsort(order)] for r, order in answers[:2])
                between.append(rank_correlation(first, second))
        between = [r for r in between if not np.isnan(r)]
        if len(with_position) < FIRST_LOOK:
            return None
        orders = Interval.of(between) if len(between) >= FIRST_LOOK else None
        return cls(len(with_position), Interval.of(with_position), orders)

    @property
    def is_clear(self):
        """Whether the judge follows positions beyond doubt."""
        follows = max(self.position.low, -self.position.high) > _FOLLOWS
        return follows or (self.orders is not None and self.orders.high < _TURNS)


def rank_correlation(a, b):
    """Return Spearman's correlation of two arrays where both are known; NaN if one is constant."""
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = rankdata(a[known]), rankdata(b[known])
    a, b = a - a.mean() if len(a) else a, b - b.mean() if len(b) else b
    norm = np.sqrt((a @ a) * (b @ b))
    return a @ b / norm if norm > 0 else np.nan


class PositionCheck:
    """Looks twice at a judge: at its first slates, and at all of them; speaks once."""

    def __init__(self):
        self._first = True
        self._told = False

    def look(self, judge, asked, found, *, is_last=False):
        """Warn if the judge follows positions.

        Parameters
        ----------
        judge : BaseJudge
        asked : list of SlatePrompts
        found : mapping of str to ndarray
            Answers so far.
        is_last : bool, default=False
            Whether there will be no more.
        """
        if self._told or not (self._first or is_last):
            return
        answered = (prompts for prompts in asked if all(key in found for key in prompts.keys))
        if not is_last:
            answered = islice(answered, FIRST_LOOK)
        shown = [prompts.shown(found) for prompts in answered]
        if len(shown) < FIRST_LOOK:
            return
        self._first = False
        bias = PositionBias.of(shown)
        if bias is not None and bias.is_clear:
            self._told = True
            warn(_message(judge, bias), JudgmentWarning)


def _message(judge, bias):
    title = judge._title()
    orders = ""
    if bias.orders is not None:
        orders = f", and that of ratings in one order with those in its reverse is {bias.orders}"
    return (
        f"{title[0].upper()}{title[1:]} rates where candidates stand in the list, not what they "
        f"are: over {bias.n_slates} slates the rank correlation of its ratings with the position "
        f"shown is {bias.position}{orders} (99.9 % intervals). Such answers say little of the "
        "items. Ask a better model, and try it first: judge.rate(plan.slates[:20]) with the plan "
        'of plan_judging. With warnings.simplefilter("error", JudgmentWarning) asking stops here; '
        "what was answered is kept."
    )


_current: ContextVar[PositionCheck | None] = ContextVar("position_check", default=None)


@contextmanager
def one_check():
    """Check all that judges answer within as one, as for one fit, whose lists are in random order.

    Outside only judges are checked that shuffle candidates themselves: of others nobody knows
    whether the lists are sorted.
    """
    token = _current.set(PositionCheck())
    try:
        yield
    finally:
        _current.reset(token)


def looker(judge, asked, found):
    """Return a function that looks at a judge, given answers besides those found already."""
    check = _current.get() or (PositionCheck() if judge._shuffles else None)

    def look(more, *, is_last=False):
        if check is not None:
            check.look(judge, asked, ChainMap(more, found), is_last=is_last)

    return look

"""Detection of position bias: judges that rate list positions instead of items.

Each slate yields two rank correlations: of the ratings with the position shown (averaged over its
orders), and of the ratings in one order with those in the next, its reverse. Positions are random,
so the first correlation is 0 on average for an unbiased judge, whatever its opinions; averaging
over an order and its reverse cancels the item effects. A judge is reported if, for the mean over
slates,

- the interval of the correlation with position lies above 0.5 or below -0.5, or
- the interval of the correlation between the orders lies below -0.1.

These are 99.9 % Student's t intervals over slates, which are independent. A weak position bias, as
all models have, is not reported: averaging the ratings over orders cancels it.
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
"""Number of answered slates required for a check."""

_CONFIDENCE = 0.999
_FOLLOWS = 0.5  # correlation with the position: explains a quarter of the variance of the ranks
_TURNS = -0.1  # correlation between the two orders


@dataclass(frozen=True)
class Interval:
    """A mean over slates, with its confidence interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        """Return the mean of at least two independent values, with its interval."""
        mean, n = float(np.mean(values)), len(values)
        half = t.ppf((1 + _CONFIDENCE) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
        return cls(mean, max(mean - half, -1.0), min(mean + half, 1.0))

    def __str__(self):
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class PositionBias:
    """Correlation of ratings with positions.

    Attributes
    ----------
    n_slates : int
    position : Interval
        Correlation of the ratings with the position shown.
    orders : Interval or None
        Correlation of the ratings in one order with those in its reverse; None with one order.
    """

    n_slates: int
    position: Interval
    orders: Interval | None

    @classmethod
    def of(cls, shown):
        """Measure the bias; None with fewer than `FIRST_LOOK` informative slates.

        Parameters
        ----------
        shown : iterable of list of (ndarray of shape (n_candidates,), ndarray of int)
            For each slate and order, the ratings as shown and their indices in the slate.
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
        """Whether the position bias exceeds the thresholds with confidence."""
        follows = max(self.position.low, -self.position.high) > _FOLLOWS
        return follows or (self.orders is not None and self.orders.high < _TURNS)


def rank_correlation(a, b):
    """Spearman's correlation over entries known in both arrays; NaN if one is constant."""
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = rankdata(a[known]), rankdata(b[known])
    a, b = a - a.mean() if len(a) else a, b - b.mean() if len(b) else b
    norm = np.sqrt((a @ a) * (b @ b))
    return a @ b / norm if norm > 0 else np.nan


class PositionCheck:
    """Checks a judge after its first slates and again at the end; warns at most once."""

    def __init__(self):
        self._first = True
        self._told = False

    def look(self, judge, asked, found, *, is_last=False):
        """Warn if the judge has a strong position bias.

        Parameters
        ----------
        judge : BaseJudge
        asked : list of SlatePrompts
        found : mapping of str to ndarray
            Answers so far.
        is_last : bool, default=False
            Whether these are all answers.
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
        orders = f", and that between ratings in one order and in its reverse is {bias.orders}"
    return (
        f"{title[0].upper()}{title[1:]} seems to rate list positions rather than items: over "
        f"{bias.n_slates} slates, the rank correlation of its ratings with the position shown is "
        f"{bias.position}{orders} (99.9 % intervals). Such ratings say little about the items. "
        "Use a better model, and test it first on a few slates: judge.rate(plan.slates[:20]), "
        'where plan comes from plan_judging. Use warnings.simplefilter("error", JudgmentWarning) '
        "to stop at this point; answers so far are kept in the cache."
    )


_current: ContextVar[PositionCheck | None] = ContextVar("position_check", default=None)


@contextmanager
def one_check():
    """Check all answers within the context together, as in one fit, where orders are random.

    Outside this context, only judges that shuffle candidates themselves are checked, as the
    slates of others may be sorted.
    """
    token = _current.set(PositionCheck())
    try:
        yield
    finally:
        _current.reset(token)


def looker(judge, asked, found):
    """Return a function that checks a judge, given further answers in addition to `found`."""
    check = _current.get() or (PositionCheck() if judge._shuffles else None)

    def look(more, *, is_last=False):
        if check is not None:
            check.look(judge, asked, ChainMap(more, found), is_last=is_last)

    return look

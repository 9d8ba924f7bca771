"""Checks that times of later interactions have the kind, and probably the unit, of the fit."""

from __future__ import annotations

import numpy as np

from .._utils._typing import Column
from ._interactions import Interactions

# Times more than this many spans of the fitted times away from them are unlikely to have the same
# unit. New times are often later, rarely earlier, and even more rarely if another unit explains it.
_FAR_AFTER, _FAR_BEFORE, _BEFORE = 10, 1, 0.25
_UNIT_RATIOS = np.outer([1, 60, 3600, 86_400], [1, 1e3, 1e6, 1e9]).ravel()[1:]


def check_times(
    kind: str | None,
    span: tuple[float, float] | None,
    interactions: Interactions,
    column: Column | None,
) -> str | None:
    """Check that times have the kind, and probably the unit, that they had in the fit.

    Parameters
    ----------
    kind : str or None
        Kind of the fitted times; None without times.
    span : tuple of (float, float) or None
        First and last fitted time.
    interactions : Interactions
    column : int or str or None
        The parameter `time_col`.

    Returns
    -------
    warning : str or None
        Warning message if the times of some users are far from those of the fit.

    Raises
    ------
    TypeError
        If the times are of another kind, e.g. numbers instead of datetimes.
    """
    if kind is None or span is None or interactions.times is None:
        return None
    if interactions.time_kind != kind:
        raise TypeError(
            f"The times of X (time_col={column!r}) must be {kind}, as in fit; got "
            f"{interactions.time_kind}. Convert them, e.g. with pandas.to_datetime(..., unit='s'), "
            "or to numbers in the same unit."
        )
    first, last = span
    if last == first:
        return None
    active = np.flatnonzero(np.diff(interactions.matrix.indptr))
    starts = interactions.matrix.indptr[active]
    side = _far_side(interactions.times, first, last)
    far = np.minimum.reduceat(np.abs(side), starts) > 0  # all interactions of a user
    if not far.any():
        return None
    example = np.maximum.reduceat(interactions.times, starts)[far][0]
    side, period = ("before", "first") if example < first else ("after", "last")
    new, earliest, latest = (_format_time(time, kind) for time in (example, first, last))
    return (
        f"For {far.sum()} of {len(far)} users of X, all times (time_col={column!r}; e.g. {new}) "
        f"are far {side} those of fit ({earliest} to {latest}). These users are placed in the "
        f"{period} period. If the unit differs (seconds, milliseconds), convert the times."
    )


def _format_time(time, kind):
    return str(np.datetime64(int(time), "us").astype("M8[s]") if kind == "datetimes" else time)


def _far_side(times, first, last):
    """Return -1 for times far before `first`, 1 for times far after `last`, else 0; (n,) int."""
    span = last - first
    before, after = first - times, times - last
    far = before > _FAR_BEFORE * span
    candidates = np.flatnonzero((before > _BEFORE * span) & ~far)
    for ratio in _UNIT_RATIOS:
        converted = times[candidates] * ratio
        far[candidates] |= (first <= converted) & (converted <= last + span)
    return np.where(far, -1, np.where(after > _FAR_AFTER * span, 1, 0))

"""Search space of tuning: start values, alternatives and their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._factorization._als_backbone import ALSBackbone
from .._factorization._sampled_backbones import BPRBackbone, LMFBackbone

# Compared without refitting.
BIASES = (0.0, 0.03, 0.08, 0.15, 0.3, 0.6, 1.5)
FEW_BIASES = (0.03, 0.2, 1.5)
RECENCY_POWERS = (0.0, 0.35, 0.65, 1.0, 1.5)
PERIODS = (8, 1, 2)

# Settings of the first fit.
START: dict[type, dict[str, Any]] = {
    ALSBackbone: {"factors": 32, "alpha": 10.0, "regularization": 22.0, "recency_power": 0.65},
    BPRBackbone: {"factors": 32, "regularization": 0.05},
    LMFBackbone: {"factors": 16, "alpha": 10.0, "regularization": 6.0},
}
START_OF_ALL: dict[str, Any] = {
    "prior_strength": 2.5,
    "item_bias": 0.2,
    "missing_power": 0.5,
    "popularity_periods": PERIODS[0],
    "strengths": "log",
}
START_RATIO = 2.2  # regularization relative to alpha times the mean strength, for ALS
PLAIN: dict[str, Any] = {  # the defaults of `implicit`
    "regularization": 0.01,
    "alpha": 1.0,
    "item_bias": 0.0,
    "missing_power": 0.0,
    "recency_power": 0.0,
    "strengths": "raw",
}

# Tried after all other settings: multiples of the number of sweeps, and numbers of factors.
MORE_SWEEPS = (2, 4)
FACTORS: dict[type, tuple[int, ...]] = {
    ALSBackbone: (64, 128, 256),
    BPRBackbone: (64,),
    LMFBackbone: (32,),
}


@dataclass(frozen=True)
class Effort:
    """Limits of a search.

    Attributes
    ----------
    interactions : int
        Maximum number of interactions; above it, users are sampled.
    users : int
        Maximum number of users to evaluate on.
    sweeps : int
        Number of ALS sweeps per fit.
    rounds : int
        Maximum number of rounds over all settings.
    """

    interactions: int
    users: int
    sweeps: int
    rounds: int


EFFORTS = {
    "fast": Effort(200_000, 3000, 6, 1),
    "thorough": Effort(1_000_000, 10_000, 8, 3),
}


@dataclass(frozen=True)
class Move:
    """Alternative values of some settings; each of them requires a fit.

    Attributes
    ----------
    names : set of str
        Settings that change, as far as they are free.
    alternatives : callable
        Maps the current settings to a list of dicts with the changed ones.
    stops_at_first : bool
        Whether to accept the first improvement without trying further alternatives.
    """

    names: set[str]
    alternatives: Callable[[dict[str, Any]], list[dict[str, Any]]]
    stops_at_first: bool


def _values(name: str, *values: object) -> Move:
    """Move to other values of a setting."""
    return Move(
        {name},
        lambda settings: [{name: value} for value in values if value != settings[name]],
        stops_at_first=False,
    )


def _scale(names: set[str], *factors: float) -> Move:
    """Move that multiplies settings by a factor."""
    return Move(
        names,
        lambda settings: [{name: settings[name] * factor for name in names} for factor in factors],
        stops_at_first=True,
    )


_BOTH = {"alpha", "regularization"}
# Moves before the rounds.
FIRST_MOVES: dict[type, tuple[Move, ...]] = {
    ALSBackbone: (
        _scale(_BOTH, 4.0, 0.25),
        _scale({"regularization"}, 0.25, 4.5),
        _values("strengths", "binary", "raw"),
    ),
    BPRBackbone: (_scale({"regularization"}, 0.2, 5.0),),
    LMFBackbone: (
        _scale(_BOTH, 0.25),
        _scale({"regularization"}, 0.25, 4.0),
        _values("strengths", "raw"),
    ),
}
# Moves of each round.
ROUND_MOVES: dict[type, tuple[Move, ...]] = {
    ALSBackbone: (
        _values("missing_power", 0.0, 0.5, 1.0),
        _scale({"prior_strength"}, 0.25, 4.0),
        _scale({"regularization"}, 0.5, 2.0),
        _scale(_BOTH, 0.5, 2.0),
    ),
    BPRBackbone: (_scale({"prior_strength"}, 0.25, 4.0),),
    LMFBackbone: (_scale({"prior_strength"}, 0.25, 4.0),),
}
AFTER_MORE_SWEEPS = (_scale(_BOTH, 2.0, 0.5), _scale({"regularization"}, 2.0, 0.5))

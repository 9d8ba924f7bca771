"""What the search for settings tries, from where, and in which order."""

from dataclasses import dataclass
from typing import NamedTuple

from .._factorization._als_backbone import ALSBackbone
from .._factorization._sampled_backbones import BPRBackbone, LMFBackbone
from ._hold_out import Result

BIASES = (0.0, 0.03, 0.08, 0.15, 0.3, 0.6, 1.5)
FEW_BIASES = (0.03, 0.2, 1.5)
RECENCY_POWERS = (0.0, 0.35, 0.65, 1.0, 1.5)
PERIODS = (8, 1, 2)
"""Numbers of periods of popularity that are compared."""
MORE_SWEEPS = (2, 4)  # as many times, once all else is found
FACTORS = {ALSBackbone: (64, 128, 256), BPRBackbone: (64,), LMFBackbone: (32,)}
START = {
    ALSBackbone: {"factors": 32, "alpha": 10.0, "regularization": 22.0, "recency_power": 0.65},
    BPRBackbone: {"factors": 32, "regularization": 0.05},
    LMFBackbone: {"factors": 16, "alpha": 10.0, "regularization": 6.0},
}
RATIO = 2.2  # of regularization and alpha for ALS, to begin with
START_OF_ALL = {
    "prior_strength": 2.5,
    "item_bias": 0.2,
    "missing_power": 0.5,
    "popularity_periods": PERIODS[0],
    "strengths": "log",
}
PLAIN = {  # what `implicit` does by default
    "regularization": 0.01,
    "alpha": 1.0,
    "item_bias": 0.0,
    "missing_power": 0.0,
    "recency_power": 0.0,
    "strengths": "raw",
}


@dataclass(frozen=True)
class Effort:
    """How much a search may do.

    Attributes
    ----------
    interactions : int
        To search on, at most, of users drawn at random.
    users : int
        To evaluate by, at most.
    sweeps : int
        Of fits by ALS.
    rounds : int
        How often all settings are gone through.
    """

    interactions: int
    users: int
    sweeps: int
    rounds: int


EFFORTS = {
    "fast": Effort(200_000, 3000, 6, 1),
    "thorough": Effort(1_000_000, 10_000, 8, 3),
}


class Trial(NamedTuple):
    """Settings that were tried, how they did, and the processor time they took."""

    settings: dict
    result: Result
    seconds: float


class CandidateFit(NamedTuple):
    """A trial, and what evaluates its factors with other settings that need no fit."""

    trial: Trial
    evaluate: object

    @property
    def settings(self):
        return self.trial.settings


def _set(name, *values):
    """Return a move: other values of one of the settings."""
    return {name}, lambda settings: [{name: v} for v in values if v != settings[name]], False


def _scale(names, *steps):
    """Return a move: some of the settings, those that are free, times a step; up or down."""
    return names, lambda settings: [{n: settings[n] * step for n in names} for step in steps], True


_BOTH = {"alpha", "regularization"}
# By kind of backbone: moves to begin with, and moves of each round.
MOVES = {
    ALSBackbone: (
        (
            _scale(_BOTH, 4.0, 0.25),
            _scale({"regularization"}, 0.25, 4.5),
            _set("strengths", "binary", "raw"),
        ),
        (
            _set("missing_power", 0.0, 0.5, 1.0),
            _scale({"prior_strength"}, 0.25, 4.0),
            _scale({"regularization"}, 0.5, 2.0),
            _scale(_BOTH, 0.5, 2.0),
        ),
    ),
    BPRBackbone: (
        (_scale({"regularization"}, 0.2, 5.0),),
        (_scale({"prior_strength"}, 0.25, 4.0),),
    ),
    LMFBackbone: (
        (_scale(_BOTH, 0.25), _scale({"regularization"}, 0.25, 4.0), _set("strengths", "raw")),
        (_scale({"prior_strength"}, 0.25, 4.0),),
    ),
}


AFTER_MORE_SWEEPS = (_scale(_BOTH, 2.0, 0.5), _scale({"regularization"}, 2.0, 0.5))

"""Real and synthetic data sets for experiments and examples."""

from ._movielens import load_movielens_coldstart
from ._movietweetings import load_movietweetings_coldstart
from ._online_retail import load_online_retail_coldstart
from ._simulated_judge import SimulatedJudge
from ._synthetic import make_interactions

__all__ = [
    "SimulatedJudge",
    "load_movielens_coldstart",
    "load_movietweetings_coldstart",
    "load_online_retail_coldstart",
    "make_interactions",
]

"""Plots of fitted models, in the style of scikit-learn's `Display` objects."""

from ._gate import GateDisplay
from ._loss import LossDisplay
from ._regimes import RegimeDisplay

__all__ = ["GateDisplay", "LossDisplay", "RegimeDisplay"]

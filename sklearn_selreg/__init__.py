"""Matrix factorization regularized by an LLM's preferences where they can be trusted."""

import logging

from ._asking import JudgingPlan
from ._gate import ReliabilityGate
from ._interactions import interactions_from_sparse
from ._items import AutoItemEncoder
from ._mf import SelectiveLLMRegularizedMF
from ._version import __version__ as __version__
from .exceptions import ModelVersionWarning
from .judges import LLMJudge

logging.getLogger(__name__).addHandler(logging.NullHandler())  # quiet, unless told otherwise

__all__ = [
    "AutoItemEncoder",
    "JudgingPlan",
    "LLMJudge",
    "ModelVersionWarning",
    "ReliabilityGate",
    "SelectiveLLMRegularizedMF",
    "interactions_from_sparse",
]

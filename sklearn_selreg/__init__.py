"""Matrix factorization regularized by an LLM's preferences where they can be trusted."""

import logging

from ._data._interactions import interactions_from_sparse
from ._data._item_encoder import AutoItemEncoder
from ._gate import ReliabilityGate
from ._judging._plan import JudgingPlan
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

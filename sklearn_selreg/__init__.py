"""Matrix factorization regularized by an LLM's preferences where they can be trusted."""

import logging

from ._data._interactions import interactions_from_sparse
from ._data._item_encoder import AutoItemEncoder
from ._factorization._specifications import ALS, BPR, LMF
from ._gate import ReliabilityGate
from ._judging._plan import JudgingPlan
from ._judging._slate_sampler import SlateSampler
from ._mf import SelectiveLLMRegularizedMF
from ._version import __version__ as __version__
from .exceptions import ModelVersionWarning
from .judges import LLMJudge

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent unless configured

__all__ = [
    "ALS",
    "BPR",
    "LMF",
    "AutoItemEncoder",
    "JudgingPlan",
    "LLMJudge",
    "ModelVersionWarning",
    "ReliabilityGate",
    "SelectiveLLMRegularizedMF",
    "SlateSampler",
    "interactions_from_sparse",
]

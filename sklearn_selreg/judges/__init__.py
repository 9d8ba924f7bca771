"""Judges: sources of preference ratings, such as LLMs."""

from ..exceptions import CacheError, JudgeError
from ._anthropic import AnthropicJudge
from ._base import BaseJudge
from ._content import ContentJudge
from ._frozen import FrozenJudge
from ._live import LiveJudge
from ._llm import LLMJudge
from ._openai import OpenAIJudge
from ._precomputed import JudgedSlates, PrecomputedJudge
from ._service import Reply, TransientError
from ._slate import CostEstimate, Preferences, Slate

__all__ = [
    "AnthropicJudge",
    "BaseJudge",
    "CacheError",
    "ContentJudge",
    "CostEstimate",
    "FrozenJudge",
    "JudgeError",
    "JudgedSlates",
    "LLMJudge",
    "LiveJudge",
    "OpenAIJudge",
    "PrecomputedJudge",
    "Preferences",
    "Reply",
    "Slate",
    "TransientError",
]

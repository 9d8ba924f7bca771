"""Judges: where opinions on what a user would like come from."""

from ..exceptions import CacheError, JudgeError
from ._anthropic import AnthropicJudge
from ._base import LLMJudge
from ._content import ContentJudge
from ._frozen import FrozenJudge
from ._openai import OpenAIJudge
from ._precomputed import JudgedSlates, PrecomputedJudge
from ._slate import CostEstimate, Preferences, Slate

__all__ = [
    "AnthropicJudge",
    "CacheError",
    "ContentJudge",
    "CostEstimate",
    "FrozenJudge",
    "JudgeError",
    "JudgedSlates",
    "LLMJudge",
    "OpenAIJudge",
    "PrecomputedJudge",
    "Preferences",
    "Slate",
]

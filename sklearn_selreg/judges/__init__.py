"""Judges: where opinions on what a user would like come from."""

from ._base import LLMJudge, Preferences, Slate
from ._precomputed import JudgedSlates, PrecomputedJudge

__all__ = ["JudgedSlates", "LLMJudge", "PrecomputedJudge", "Preferences", "Slate"]

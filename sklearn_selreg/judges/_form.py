"""The answer formats of live judges: ratings or a ranking."""

from collections.abc import Callable
from dataclasses import dataclass

from ._orders import sha256
from ._prompt import PROMPT_ID, PROMPT_VERSION, SYSTEM, parse_ratings, ratings_schema
from ._ranking import RANKING_SYSTEM, RANKING_VERSION, parse_ranking, ranking_schema


@dataclass(frozen=True)
class AnswerForm:
    """An answer format.

    Attributes
    ----------
    version, identity : str
        Parts of cache keys, instead of the wording of the system prompt.
    system : str
        System prompt.
    schema : callable
        Maps (n_candidates, bounded) to the JSON schema.
    parse : callable
        Maps (text, n_candidates) to the ratings and their problem or None.
    tokens : int
        Approximate number of output tokens per candidate.
    """

    version: str
    identity: str
    system: str
    schema: Callable
    parse: Callable
    tokens: int


FORMS = {
    "ratings": AnswerForm(PROMPT_VERSION, PROMPT_ID, SYSTEM, ratings_schema, parse_ratings, 8),
    "ranking": AnswerForm(
        *(RANKING_VERSION, sha256(RANKING_SYSTEM), RANKING_SYSTEM),
        *(ranking_schema, parse_ranking, 4),
    ),
}

"""The forms of answers that a live judge may ask for: ratings, or a ranking."""

from collections.abc import Callable
from dataclasses import dataclass

from ._orders import sha256
from ._prompt import PROMPT_ID, PROMPT_VERSION, SYSTEM, parse_ratings, ratings_schema
from ._ranking import RANKING_SYSTEM, RANKING_VERSION, parse_ranking, ranking_schema


@dataclass(frozen=True)
class AnswerForm:
    """What a model is asked to answer.

    Attributes
    ----------
    version, identity : str
        Parts of what identifies an answer, in place of the wording of the system prompt.
    system : str
        The system prompt.
    schema : callable
        Number of candidates, and whether numbers and lengths are bounded, to the JSON schema.
    parse : callable
        Text and number of candidates to the ratings, and what is wrong with them or None.
    tokens : int
        Of the output, for each candidate, about.
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

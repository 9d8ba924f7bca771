"""The forms of answers that a live judge may ask for: ratings, or a ranking."""

from collections.abc import Callable
from dataclasses import dataclass

from ._prompt import PROMPT_VERSION, SYSTEM, parse_ratings, ratings_schema
from ._ranking import RANKING_SYSTEM, RANKING_VERSION, parse_ranking, ranking_schema


@dataclass(frozen=True)
class AnswerForm:
    """What a model is asked to answer.

    Attributes
    ----------
    version : str
        Part of what identifies an answer, as is the system prompt.
    system : str
        The system prompt.
    schema : callable
        Number of candidates, and whether the length of a list is fixed, to the JSON schema.
    parse : callable
        Text and number of candidates to the ratings, and what is wrong with them or None.
    tokens : int
        Of the output, for each candidate, about.
    """

    version: str
    system: str
    schema: Callable
    parse: Callable
    tokens: int


FORMS = {
    "ratings": AnswerForm(
        PROMPT_VERSION, SYSTEM, lambda n, fixed_length: ratings_schema(n), parse_ratings, 8
    ),
    "ranking": AnswerForm(RANKING_VERSION, RANKING_SYSTEM, ranking_schema, parse_ranking, 4),
}

"""Columns of evidence that the estimator passes to its gate, with readable labels."""

from typing import NamedTuple


class Context(NamedTuple):
    """Axis label of a context column, and names of preferences with low and high values."""

    label: str
    low: str
    high: str


# Evidence that does not come from the judge.
PRIOR = {"prior_popularity": "popularity", "prior_model": "the model"}
CONTEXT = {
    "history_length": Context(
        "items in the user's history", "users with short histories", "users with long histories"
    ),
    "popularity_rarer": Context(
        "users of the rarer item of the two", "pairs with a rare item", "pairs of popular items"
    ),
    "popularity_commoner": Context(
        "users of the more common item of the two",
        "pairs of rare items",
        "pairs with a popular item",
    ),
    "model_uncertainty": Context(
        "uncertainty of the model (1: undecided)",
        "pairs that the model is sure of",
        "pairs that the model is unsure of",
    ),
    "agreement": Context(
        "agreement of the judge with itself (1: full)",
        "inconsistent answers",
        "consistent answers",
    ),
}
# Known only after querying the judge, so it cannot guide where to query.
OF_ANSWERS = {"agreement"}
COLUMNS = ("gap", *PRIOR, *CONTEXT, "offset")

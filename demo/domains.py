"""Three domains: where an LLM helps, where it does not, and the effect of bad judges."""

from functools import cache

from bad_judges import BAD
from movielens import EVERYWHERE, NO_LLM, POPULARITY, SELECTIVE, with_judge
from reports import COLUMNS, difference, pick, power

from sklearn_selreg.datasets import (
    load_movielens_coldstart,
    load_movietweetings_coldstart,
    load_online_retail_coldstart,
)

LOADERS = {
    "MovieLens": load_movielens_coldstart,
    "MovieTweetings": load_movietweetings_coldstart,
    "Online Retail": load_online_retail_coldstart,
}
MOVIELENS = "MovieLens"
METHODS = (POPULARITY, NO_LLM, EVERYWHERE, SELECTIVE)
WITH_BAD_JUDGES = tuple(with_judge(SELECTIVE, kind) for kind in BAD)
VIEWS = ("without_other_likes", "judged")
JUDGED = "NDCG@10 judged"  # over the judged users

SMALLEST = 5e-5  # smallest value not shown as 0 in a table


@cache
def load(name):
    """Load a data set, once per process."""
    return LOADERS[name]()


def compare(reports, a, b):
    """Compare two methods: column -> difference and bounds of its 95 % interval."""
    among = {view: difference(reports[view][a], reports[view][b]) for view in VIEWS}
    return {JUDGED: among["judged"]["NDCG@10 overall"], **among["without_other_likes"]}


def describe(data, reports, model):
    """Collect the results of a domain, as plain data in a fixed order.

    Parameters
    ----------
    data : Bunch
    reports : dict
        View -> method -> report, averaged over the seeds.
    model : SelectiveLLMRegularizedMF
        Fitted with the recorded answers and the first seed.
    """
    everyone, judged = (reports[view] for view in VIEWS)
    return {
        "methods": {
            method: {
                JUDGED: pick(judged[method], "NDCG@10 overall"),
                **{column: pick(everyone[method], column) for column in COLUMNS},
            }
            for method in METHODS
        },
        "differences": {
            "selective - no LLM": compare(reports, SELECTIVE, NO_LLM),
            "everywhere - no LLM": compare(reports, EVERYWHERE, NO_LLM),
        },
        "bad_judges": {kind: compare(reports, with_judge(SELECTIVE, kind), NO_LLM) for kind in BAD},
        "power": {
            "selective": power(judged[SELECTIVE], judged[NO_LLM]),
            "everywhere": power(judged[EVERYWHERE], judged[NO_LLM]),
        },
        "gate": {"accuracy": model.gate_.accuracy_, "gap_coef": model.gate_.gap_coef_},
        "items": len(data.item_data),
    }


def worst(compared):
    """Return the column most standard errors below 0; None if no loss is possible."""
    losing = {column: cell for column, cell in compared.items() if cell[1] < -SMALLEST}
    if not losing:
        return None
    return min(
        losing, key=lambda column: losing[column][0] / (losing[column][2] - losing[column][1])
    )

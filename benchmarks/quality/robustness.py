"""Bad judges: does the gate keep them from doing harm?

The recorded questions of MovieLens with increasingly bad answers. Each judge is used selectively
and everywhere (`gate=None`), and compared with no LLM. All models use our defaults: their settings
are tuned on `train` without the judge, so they are the same.
"""

import gzip
import json
from functools import lru_cache

import data_sets
import evaluation
import methods
import numpy as np
from evaluation import columns, demo, differences, evaluate

from sklearn_selreg.judges import PrecomputedJudge

POSITION_SHARE = 0.7  # of a position-biased rating; the rest is the recorded one
SHUFFLED = (0.0, 0.25, 0.5, 0.75, 0.9)
OTHERS = ("inverted", "constant", "popular", "leaking", "position")
NO_LLM = "no LLM"
USES = ("selective", "everywhere")


@lru_cache
def recorded():
    """Return the recorded answers, with the candidates in the order shown."""
    with gzip.open(data_sets.load("movielens").judge.judgments, "rt") as lines:
        return [json.loads(line) for line in lines]


def _by_position(ratings):
    """Prefer the first candidates shown."""
    first = np.linspace(1, 0, len(ratings))
    return POSITION_SHARE * first + (1 - POSITION_SHARE) * np.array(ratings)


def bad_judge(kind, seed):
    """Return a judge that answers the recorded questions badly.

    Parameters
    ----------
    kind : float or str
        Probability that a question's ratings are shuffled; "inverted": 1 - rating; "constant": no
        preference; "popular": by number of other users with the item; "leaking": by number of users
        with the item in the same table, the likes hidden from the judge included; "position":
        mostly by position in the prompt.
    seed : int
        Seed for the shuffles.
    """
    data = data_sets.load("movielens")
    if not isinstance(kind, str):
        return demo.bad_judges.shuffled_judge(data.judge, kind, seed) if kind else data.judge
    if kind == "popular":
        return demo.bad_judges.popular_judge(data.judge, data.train)
    count = data.train["item"].value_counts()
    answer = {
        "inverted": lambda record: 1 - np.array(record["ratings"]),
        "constant": lambda record: np.full(len(record["ratings"]), 0.5),
        "leaking": lambda record: (
            (n := count.reindex(record["candidates"], fill_value=0).to_numpy()) / (n + 10)
        ),
        "position": lambda record: _by_position(record["ratings"]),
    }[kind]
    return PrecomputedJudge([r | {"ratings": answer(r).tolist()} for r in recorded()])


def fit(name, seed):
    """Report on the test fold: `NO_LLM`, or (use, kind of judge)."""
    data = data_sets.load("movielens")
    if name == NO_LLM:
        return evaluate(methods.no_llm(data, seed), data, "test")
    use, kind = name
    made = methods.selective if use == "selective" else methods.everywhere
    return evaluate(made(data, seed, bad_judge(kind, seed)), data, "test")


def main(seeds, n_jobs):
    """Run all judges, and store the results."""
    data = data_sets.load("movielens")
    names = [NO_LLM, *((use, kind) for kind in (*SHUFFLED, *OTHERS) for use in USES)]
    reports = evaluation.by_seed(fit, names, seeds, n_jobs, "bad judges")
    without = reports.pop(NO_LLM)
    results = {
        "no LLM": columns(without, data),
        "table": {f"{use}, {kind}": columns(r, data) for (use, kind), r in reports.items()},
        "against no LLM": {
            f"{use}, {kind}": differences(r, without, data) for (use, kind), r in reports.items()
        },
    }
    evaluation.write("robustness", results, seeds)

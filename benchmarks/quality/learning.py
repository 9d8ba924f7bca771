"""Learning curves in the number of questions, and the gain per dollar.

On MovieLens with our defaults, tuned without the judge. Users are selected in the order of the
package (short histories and uncertain models first) or in random order; each has two supervision
questions. All calibration questions are asked and paid for with the first supervision question.
Questions are asked once (the first recorded answer) or as recorded (933 of 1,627 in two orders).
"""

from functools import lru_cache

import data_sets
import evaluation
import methods
import numpy as np
import pandas as pd
import peers
import questions
from evaluation import columns, demo, differences, evaluate
from internals import describe, index_interactions, read_item_data
from robustness import recorded

from sklearn_selreg.judges import AnthropicJudge, PrecomputedJudge, Slate

SHARES = (0.125, 0.25, 0.5, 1.0)
PRICED = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5")
NO_LLM = "no LLM"


@lru_cache
def _interactions():
    data = data_sets.load("movielens")
    return index_interactions(
        data.train, **demo.ID_COLUMNS, time_col="time", extra_items=data.item_data["item"]
    )


@lru_cache
def _order():
    return questions.priority(data_sets.load("movielens"), _interactions(), _features())


def _features():
    data, items = data_sets.load("movielens"), _interactions().items
    return data.features[np.searchsorted(data.item_data["item"], items)]


def _users(choice, share, seed):
    order = _order()
    if choice == "random":
        order = np.random.default_rng(seed).permutation(order)
    return set(order[: round(share * len(order))].tolist())


def subset(choice, share, asked, seed):
    """Return the records of the questions asked, including all calibration questions."""
    users, kept, seen = _users(choice, share, seed), [], set()
    for record in recorded():
        key = record["user"], tuple(record["history"]), frozenset(record["candidates"])
        if asked == "once" and key in seen:
            continue
        if record["kind"] == "calibration" or record["user"] in users:
            seen.add(key)
            kept.append(record)
    return kept


def fit(name, seed):
    """Report on the test fold: `NO_LLM`, or (choice, share, asked)."""
    data = data_sets.load("movielens")
    if name == NO_LLM:
        return evaluate(methods.no_llm(data, seed), data, "test")
    judge = PrecomputedJudge(subset(*name, seed))
    return evaluate(methods.selective(data, seed, judge), data, "test")


def _price(records):
    """Return the expected cost in dollars by model, with single requests."""
    table = read_item_data(data_sets.load("movielens").item_data, "item")
    text = dict(zip(table.ids.tolist(), describe(table.ids, table, None), strict=True))
    slates = [
        Slate(
            record["user"],
            record["history"],
            record["candidates"],
            [text[item] for item in record["history"]],
            [text[item] for item in record["candidates"]],
        )
        for record in records[:: max(1, len(records) // 200)]
    ]
    prices = {}
    for model in PRICED:
        judge = AnthropicJudge(model, max_cost=1.0, cache=None, n_orders=1)
        prices[model] = judge.estimate_cost(slates).cost / len(slates) * len(records)
    return prices


def within_slates(data, chosen, fit_method):
    """Accuracy of ratings and models on pairs of candidates of supervision questions.

    Returns
    -------
    accuracy : dict
        `pairs`: number of pairs of a test interaction and another candidate of the same question;
        `accuracy`: fraction of them that each method orders correctly (ties count half).
    """
    asked = data.judge.judged_slates()
    user = np.repeat(asked.user, np.diff(asked.indptr))
    slate = np.repeat(np.arange(len(asked.user)), np.diff(asked.indptr))
    pairs = set(map(tuple, data.test[["user", "item"]].to_numpy().tolist()))
    known = set(map(tuple, data.train[["user", "item"]].to_numpy().tolist()))
    cells = list(zip(user.tolist(), asked.candidates.tolist(), strict=True))
    liked = np.array([cell in pairs for cell in cells])
    free = np.array([cell not in known for cell in cells])
    supervises = ~np.isin(slate, slate[~free])
    first, second = [], []
    for s in np.unique(slate[liked & supervises]):
        members = np.flatnonzero((slate == s) & free)
        yes, no = members[liked[members]], members[~liked[members]]
        first.append(np.repeat(yes, len(no)))
        second.append(np.tile(no, len(yes)))
    first, second = np.concatenate(first), np.concatenate(second)
    place = np.searchsorted(data.item_data["item"], asked.candidates)
    users, row = np.unique(user, return_inverse=True)

    def accuracy(scores):
        a, b = scores[first], scores[second]
        return round(float(np.mean((a > b) + (a == b) / 2)), 4)

    found = {"LLM": accuracy(np.nan_to_num(asked.ratings, nan=0.5))}
    found["popularity"] = accuracy(peers.popularity(data, 0)(users[:1])[0][place])
    for name in ("ALS", "ours, no LLM", "ours, selective"):
        method, settings, *_ = chosen[name]
        model = fit_method("movielens", method, 0, settings)
        if hasattr(model, "predict"):
            scores = model.predict(pd.DataFrame({"user": user, "item": asked.candidates}))
        else:
            scores = model(users)[row, place]
        found[name] = accuracy(scores)
    return {"pairs": len(first), "accuracy": found}


def main(seeds, n_jobs):
    """Run all points of the curves, and store the results."""
    data = data_sets.load("movielens")
    points = [
        (choice, share, asked)
        for asked in ("once", "both orders")
        for share in SHARES
        for choice in ("chosen", "random")
        if share < 1 or choice == "chosen"
    ]
    reports = evaluation.by_seed(fit, [NO_LLM, *points], seeds, n_jobs, "learning curve")
    without, curve = reports[NO_LLM], []
    for choice, share, asked in points:
        report, records = reports[choice, share, asked], subset(choice, share, asked, 0)
        n_supervision = 2 * len(_users(choice, share, 0))
        curve.append(
            {
                "choice": choice,
                "asked": asked,
                "supervision questions": n_supervision,
                "answers": len(records),
                "cost": {model: round(cost, 4) for model, cost in _price(records).items()},
                "table": columns(report, data),
                "against no LLM": differences(report, without, data),
            }
        )
    evaluation.write("learning", {"no LLM": columns(without, data), "curve": curve}, seeds)

"""How many new items are recommended, and what reserving positions for them costs.

Run ``python benchmarks/quality/new_items.py [--output FILE]``. Models are tuned and fitted on the
fold `train` of the cold-start MovieLens data, and recommend 10 films to each user of `test`, with
and without ``min_new``. New films have no interactions in `train`. Reported are the fraction of
list positions with new films, the fraction of users who get any, and NDCG@10 and recall@10 on all
held-out likes and on those of new films, with differences from ``min_new=0`` (95 % intervals,
paired bootstrap over users).
"""

import argparse
import json
from pathlib import Path

import numpy as np

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.metrics import compare_reports, ranking_report

LENGTH, SHELVES = 10, (0, 1, 2, 3)
METRICS = ("NDCG", "recall", "novelty", "coverage")
COLUMNS = {"user_col": "user", "item_col": "item"}


def fit(data, **how):
    model = SelectiveLLMRegularizedMF(
        **COLUMNS, time_col="time", item_data=data.item_data, random_state=0, **how
    )
    return model.fit(data.train)


def report_lists(model, data, lists):
    """Evaluate lists: scores decrease with the rank; all other items share the lowest score."""
    catalog = model.items_
    column = {item: n for n, item in enumerate(catalog)}
    ranks = dict(list(lists.groupby("user")))

    def score(users):
        scores = np.full((len(users), len(catalog)), -LENGTH - 1.0)
        for row, user in enumerate(users):
            own = ranks[user]
            scores[row, [column[item] for item in own["item"]]] = -own["rank"]
        return scores

    return ranking_report(
        score, data.test, train=data.train, items=catalog, k=LENGTH, metrics=METRICS, **COLUMNS
    )


def evaluate(model, data):
    """Return one row per value of `min_new`."""
    users, known = data.test["user"].unique(), set(data.train["item"])
    reports, rows = [], []
    for min_new in SHELVES:
        lists = model.recommend(users, LENGTH, min_new=min_new, as_frame=True)
        is_new = ~lists["item"].isin(known)
        report = report_lists(model, data, lists)
        reports.append(report)
        difference = compare_reports(report, reports[0])
        row = {
            "min_new": min_new,
            "places": is_new.mean(),
            "users": is_new.groupby(lists["user"]).any().mean(),
            "coverage": report.loc["overall", f"coverage@{LENGTH}"],
        }
        for regime in ("overall", "new"):
            for name in ("NDCG", "recall"):
                metric = f"{name}@{LENGTH}"
                row[f"{metric} {regime}"] = report.loc[regime, metric]
                row[f"{metric} {regime} difference"] = difference.loc[regime, metric].tolist()
        rows.append({name: np.round(value, 5).tolist() for name, value in row.items()})
        print(rows[-1], flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    data = load_movielens_coldstart()
    known = set(data.train["item"])
    results = {
        "catalog": float(np.round(1 - len(known) / len(data.item_data), 4)),
        "held-out likes": float(np.round(1 - data.test["item"].isin(known).mean(), 4)),
        "users": int(data.test["user"].nunique()),
        "models": {
            "without judge": evaluate(fit(data), data),
            "with judge": evaluate(fit(data, judge=data.judge), data),
        },
    }
    print(results["catalog"], results["held-out likes"], results["users"])
    if args.output is not None:
        args.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

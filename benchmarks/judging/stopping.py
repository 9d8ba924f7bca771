"""Does `stop_if_useless` stop the right judges? Simulated judges of known reliability.

For each judge and seed, on synthetic data (`make_interactions`): whether judging would stop after
the first 30 calibration slates. For the first seeds also the result of judging all slates: the
fraction of preferences that the gate uses, and the change in NDCG@10 on held-out interactions.

    python benchmarks/judging/stopping.py [--seeds 20] [--fits 3]

Writes ``benchmarks/results/stopping.json`` and the table in ``docs/judges.md``.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository
from internals import FIRST_SLATES, early_accuracy, gather, index_interactions
from sklearn.base import clone
from tqdm.auto import tqdm

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.exceptions import GateWarning
from sklearn_selreg.metrics import ranking_report
from sklearn_selreg.model_selection import LeaveLastOut

SIZES = {"n_users": 600, "n_items": 400, "n_interactions": 12_000}
COLUMNS = {"user_col": "user", "item_col": "item", "time_col": "time"}
FIXED = {"tuning": None, "factors": 16, "random_state": 0}
# Reliability, and kind of knowledge.
JUDGES = {
    "noise": (0.0, "tastes"),
    "knows popularity only": (0.9, "popularity"),
    "reliability .1": (0.1, "tastes"),
    "reliability .2": (0.2, "tastes"),
    "reliability .3": (0.3, "tastes"),
    "reliability .5": (0.5, "tastes"),
    "reliability .8": (0.8, "tastes"),
}


def fit(train, **settings):
    """Fit a model with fixed settings."""
    model = SelectiveLLMRegularizedMF(**COLUMNS, **FIXED, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GateWarning)
        return model.fit(train)


def split(seed):
    """Return training and held-out interactions of synthetic data, and its judge."""
    data = make_interactions(**SIZES, random_state=seed)
    train, test = next(LeaveLastOut(**COLUMNS).split(data.X))
    return data.X.iloc[train], data.X.iloc[test], data.judge


def would_stop(train, judge):
    """Whether judging would stop after the first calibration slates."""
    plan = SelectiveLLMRegularizedMF(**COLUMNS, **FIXED, judge=judge).plan_judging(train)
    likes = train.groupby("user")["item"].agg(set)
    first = [s for s in plan.slates if likes[s.user] & set(s.candidates)][:FIRST_SLATES]
    interactions = index_interactions(train, **COLUMNS)
    accuracy = early_accuracy(gather(first, judge.answers(first), interactions), interactions)
    return accuracy is not None and accuracy.is_useless


def worth(train, test, judge):
    """Return the fraction of preferences that the gate uses, and the change in NDCG@10."""
    models = fit(train, judge=judge), fit(train)
    with_judge, without = (
        ranking_report(model, test, train=train, user_col="user", item_col="item")["NDCG@10"][
            "overall"
        ]
        for model in models
    )
    stats = models[0].judge_stats_
    return stats["pairs_weighted"] / stats["pairs"], float(with_judge - without)


def as_table(results):
    """Build the Markdown table."""
    lines = [
        "| judge | stopped | preferences used otherwise | change of NDCG@10 otherwise |",
        "|---|---|---|---|",
    ]
    for name, stopped in results["stopped"].items():
        used, change = np.array(results["worth"][name]).T
        lines.append(
            f"| {name} | {np.sum(stopped)} of {len(stopped)} | {used.mean():.0%} "
            f"| {change.mean():+.4f} (from {change.min():+.4f} to {change.max():+.4f}) |"
        )
    return "\n".join(lines) + "\n"


def main():
    """Run all judges and seeds, and store the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--fits", type=int, default=3, help="seeds with which models are fitted")
    args = parser.parse_args()
    results = {"stopped": {name: [] for name in JUDGES}, "worth": {name: [] for name in JUDGES}}
    for seed in tqdm(range(args.seeds)):
        train, test, judge = split(seed)
        for name, (reliability, knows) in JUDGES.items():
            judge = clone(judge).set_params(reliability=reliability, knows=knows)
            results["stopped"][name].append(would_stop(train, judge))
            if seed < args.fits:
                results["worth"][name].append(worth(train, test, judge))
    path = repository.RESULTS / "stopping.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    repository.write_block("docs/judges.md", "benchmarks/judging/stopping.py", as_table(results))


if __name__ == "__main__":
    main()

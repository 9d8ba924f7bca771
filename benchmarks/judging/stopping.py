"""Does `stop_if_useless` stop the right judges? Simulated ones, whose knowledge is known.

For each judge and seed, in a world of `make_interactions`: whether asking would stop after the
first 30 calibration slates, and what all slates would have led to: the part of the preferences
that the gate uses, and by how much NDCG@10 on held-out interactions changes.

    python benchmarks/judging/stopping.py [--seeds 8]

Writes ``benchmarks/results/stopping.json`` and the table in ``docs/judges.md``.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # of what all benchmarks share

import repository
from tqdm.auto import tqdm

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.exceptions import GateWarning, JudgmentWarning
from sklearn_selreg.metrics import ranking_report
from sklearn_selreg.model_selection import LeaveLastOut

SIZES = {"n_users": 600, "n_items": 400, "n_interactions": 12_000}
COLUMNS = {"user_col": "user", "item_col": "item", "time_col": "time"}
FIXED = {"tuning": None, "factors": 16, "random_state": 0}
# Reliability, and what the judge knows.
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
    """Fit a model of fixed settings."""
    model = SelectiveLLMRegularizedMF(**COLUMNS, **FIXED, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GateWarning)
        return model.fit(train)


def try_judge(reliability, knows, seed):
    """Return whether asking stops, and what the judge is worth if it does not."""
    data = make_interactions(
        **SIZES, judge_reliability=reliability, judge_knows=knows, random_state=seed
    )
    train, test = next(LeaveLastOut(**COLUMNS).split(data.X))
    train, test = data.X.iloc[train], data.X.iloc[test]
    stopping = SelectiveLLMRegularizedMF(**COLUMNS, **FIXED, judge=data.judge)
    stopping.set_params(slates__stop_if_useless=True, iterations=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stopping.fit(train)
    stopped = any(
        issubclass(w.category, JudgmentWarning) and "stop_if_useless" in str(w.message)
        for w in caught
    )
    with_judge, without = fit(train, judge=data.judge), fit(train)
    ndcg = [
        ranking_report(model, test, train=train, user_col="user", item_col="item")["NDCG@10"][
            "overall"
        ]
        for model in (with_judge, without)
    ]
    stats = with_judge.judge_stats_
    used = stats["pairs_weighted"] / stats["pairs"]
    return stopped, used, float(ndcg[0] - ndcg[1]), float(ndcg[1])


def as_table(results):
    """Write the results as a table of Markdown."""
    lines = [
        "| judge | stopped | preferences used otherwise | change of NDCG@10 otherwise |",
        "|---|---|---|---|",
    ]
    for name, runs in results["judges"].items():
        stopped, used, change, _ = np.array(runs, dtype=float).T
        lines.append(
            f"| {name} | {stopped.sum():.0f} of {len(runs)} | {used.mean():.0%} "
            f"| {change.mean():+.4f} (from {change.min():+.4f} to {change.max():+.4f}) |"
        )
    return "\n".join(lines) + "\n"


def main():
    """Run all, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8)
    n_seeds = parser.parse_args().seeds
    found = {name: [] for name in JUDGES}
    for seed in tqdm(range(n_seeds)):
        for name, judge in JUDGES.items():
            found[name].append(try_judge(*judge, seed))
            print(seed, name, found[name][-1], flush=True)
    path = repository.RESULTS / "stopping.json"
    path.write_text(json.dumps({"judges": found}, indent=1) + "\n", encoding="utf-8")
    repository.write_block(
        "judges.md", "benchmarks/judging/stopping.py", as_table({"judges": found})
    )


if __name__ == "__main__":
    main()

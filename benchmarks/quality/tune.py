"""Random search for the defaults on the fold `valid` of MovieLens; `test` is never used.

Each trial samples settings and fits three models with them: without the LLM, with the LLM
everywhere (`gate=None`), and selective. Trials are appended to a JSON Lines file, so that a search
can be stopped, resumed and sharded by seed.

    python benchmarks/quality/tune.py --trials 100 --seed 0 --output benchmarks/tuning/seed0.jsonl
    python benchmarks/quality/tune.py --around benchmarks/tuning/seed*.jsonl --output near.jsonl
    python benchmarks/quality/tune.py --show benchmarks/tuning/*.jsonl

`--around` samples near the best trials so far, and fits only the selective model.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.metrics import ranking_report

COLUMNS = ["NDCG@10", "NDCG@10 cold", "AUC", "AUC cold", "AUC tail", "AUC new"]
# Differences of NDCG between settings are mostly noise; users of all kinds count.
OBJECTIVE = [0.5, 0.5, 1.0, 1.0, 0.5, 0.5]
METHODS = ("no LLM", "global", "selective")


def draw(rng):
    """Sample settings."""

    def log_uniform(low, high):
        return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))), 4)

    alpha = log_uniform(15, 90)
    iterations = int(rng.choice([20, 30, 40]))
    return {
        "alpha": alpha,
        "regularization": round(alpha * log_uniform(1.3, 4.5), 2),
        "prior_strength": log_uniform(0.6, 3),
        "item_bias": log_uniform(0.1, 0.6),
        "popularity_periods": int(rng.choice([6, 8, 12])),
        "backbone__missing_power": float(rng.choice([0.0, 0.25, 0.5, 0.75])),
        "backbone__recency_power": float(rng.choice([0.2, 0.35, 0.5, 0.65])),
        "llm_weight": log_uniform(0.1, 1),
        "margin": log_uniform(0.2, 0.7),
        "iterations": iterations,
        "backbone__refine_iterations": iterations // 2,
    }


def draw_near(rng, best):
    """Sample settings near one of the best."""
    settings, other = dict(best[rng.integers(len(best))]), best[rng.integers(len(best))]
    groups = [
        ["backbone__missing_power"],
        ["backbone__recency_power"],
        ["popularity_periods"],
        ["iterations", "backbone__refine_iterations"],
    ]
    for group in groups:
        if rng.random() < 0.3:
            # Older logs have fewer settings.
            settings = settings | {name: other[name] for name in group if name in other}
    for name in sorted(settings.keys() - {name for group in groups for name in group}):
        settings[name] = round(settings[name] * float(np.exp(rng.normal(0, 0.15))), 4)
    return settings


def evaluate(model, data):
    """Return the six columns for a fitted model on `valid`."""
    report = ranking_report(
        model, data.valid, train=data.train, cohort=data.cohort, user_col="user", item_col="item"
    )
    ndcg, auc = report["NDCG@10"], report["AUC"]
    values = [ndcg["overall"], ndcg["cold"], *auc[["overall", "cold", "tail", "new"]]]
    return [round(float(value), 5) for value in values]


def run_trial(settings, data, methods=METHODS, random_state=0):
    """Fit each method with the given settings; return its columns."""
    options = {"no LLM": {}, "global": {"judge": data.judge, "gate": None}}
    options["selective"] = {"judge": data.judge}
    results = {}
    for method in methods:
        model = SelectiveLLMRegularizedMF(
            item_data=data.item_data,
            user_col="user",
            item_col="item",
            time_col="time",
            random_state=random_state,
            n_jobs=1,
            tuning=None,
            **options[method],
        )
        results[method] = evaluate(model.set_params(**settings).fit(data.train), data)
    return results


def rank(paths, method):
    """Return settings, columns and objective of all trials of a method, best first."""
    lines = "".join(Path(path).read_text() for path in paths).splitlines()
    trials = [json.loads(line) for line in lines]
    trials = [trial for trial in trials if method in trial["results"]]
    table = pd.DataFrame([trial["settings"] for trial in trials])
    table[COLUMNS] = [trial["results"][method] for trial in trials]
    table["objective"] = table[COLUMNS] @ OBJECTIVE
    order = table["objective"].argsort()[::-1]
    return [trials[i]["settings"] for i in order], table.iloc[order]


def show(paths, most=15):
    """Print the best trials of a search."""
    for method in METHODS:
        _, table = rank(paths, method)
        print(f"\n{method}, the best of {len(table)} trials")
        print(table.head(most).round(4).to_string(index=False))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/tuning/seed0.jsonl"))
    parser.add_argument("--show", nargs="+", metavar="FILE", help="print the best trials and exit")
    parser.add_argument("--around", nargs="+", metavar="FILE", help="sample near their best trials")
    arguments = parser.parse_args()
    if arguments.show:
        show(arguments.show)
        return
    data = load_movielens_coldstart()
    rng = np.random.default_rng(arguments.seed)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.touch()
    with arguments.output.open("a") as log:
        for _ in tqdm(range(arguments.trials), desc="trials"):
            if arguments.around:
                best, _ = rank([*arguments.around, arguments.output], "selective")
                settings = draw_near(rng, best[:6])
                results = run_trial(settings, data, methods=["selective"])
            else:
                settings = draw(rng)
                results = run_trial(settings, data)
            log.write(json.dumps({"settings": settings, "results": results}) + "\n")
            log.flush()


if __name__ == "__main__":
    main()

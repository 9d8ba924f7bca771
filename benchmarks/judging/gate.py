"""What the gate gains from an LLM with the fixed settings (`tuning=None`) of 0.1.0.

Run ``python benchmarks/judging/gate.py [--fold valid|test] [--jobs N]``. Writes
``benchmarks/results/gate_FOLD.json``: no LLM, selective and everywhere on each of the three
recorded domains; on MovieLens also for cold users' likes that were dropped from `train`, on which
nothing was tuned. `make demo` shows the same for tuned settings.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository  # isort: skip
import bad_judges
import domains
import movielens
import reports

from sklearn_selreg.exceptions import GateWarning

SEEDS = {domains.MOVIELENS: 5, "MovieTweetings": 2, "Online Retail": 2}
# Settings of the first measurements on the other domains.
_SHORT = {"iterations": 16, "item_bias": 0.6}
SETTINGS = {
    domains.MOVIELENS: {},
    "MovieTweetings": {**_SHORT, "alpha": 4, "regularization": 14},
    "Online Retail": {
        **_SHORT,
        **{"factors": 128, "alpha": 7.4, "regularization": 18.7},
        **{"backbone__missing_power": 0.75, "prior_strength": 5},
    },
}
NO_LLM, SELECTIVE, EVERYWHERE = "no LLM", "selective", "everywhere"
VIEWS = {domains.MOVIELENS: ["all", "without_other_likes", "cold"]}


def measure(name, method, kind, seed, fold):
    """Fit and evaluate one method; return one report per view."""
    data = domains.load(name)
    judge = None if method == NO_LLM else bad_judges.make(kind, data, seed)
    gate = {"gate": None} if method == EVERYWHERE else {}
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", GateWarning)  # caused by bad judges
        model = movielens.ours(data, seed, judge, tuning=None, **gate, **SETTINGS[name])
        return reports.evaluate(model, data, fold, VIEWS.get(name, ["all", "judged"]))


def main():
    """Run all methods, and store the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fold", choices=("valid", "test"), default="test")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    recorded = bad_judges.RECORDED
    kinds = {NO_LLM: [recorded], EVERYWHERE: [recorded], SELECTIVE: [recorded, *bad_judges.BAD]}
    tasks = [
        (name, method, kind, seed)
        for name, n_seeds in SEEDS.items()
        for method, some in kinds.items()
        for kind in some
        for seed in range(n_seeds if kind == recorded else 1)
    ]
    done = Parallel(args.jobs)(delayed(measure)(*task, args.fold) for task in tasks)
    by_seed = {}
    for (name, method, kind, _), views in zip(tasks, done, strict=True):
        for view, report in views.items():
            by_seed.setdefault((name, view), {}).setdefault((method, kind), []).append(report)
    results = {}
    for (name, view), methods in by_seed.items():
        plain = methods[NO_LLM, recorded]
        table, against = {}, {}
        for (method, kind), some in methods.items():
            title = method if kind == recorded else f"{method}, {kind}"
            mean = reports.average(some)
            table[title] = {column: reports.pick(mean, column) for column in reports.COLUMNS}
            if method != NO_LLM:
                base = reports.average(plain[: len(some)])
                against[title] = reports.difference(mean, base)
        results.setdefault(name, {})[view] = {"table": table, "less no LLM": against}
    path = repository.RESULTS / f"gate_{args.fold}.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    for name, views in results.items():
        for view, found in views.items():
            print(f"\n{name}, {view}")
            for title, row in found["table"].items():
                print(f"  {title:28}", *(f"{value:.4f}" for value in row.values()))
            for title, row in found["less no LLM"].items():
                print(
                    f"  {title:28}", *(f"{a:+.4f} [{b:+.4f}, {c:+.4f}]" for a, b, c in row.values())
                )


if __name__ == "__main__":
    main()

"""What an LLM adds to each backbone: ALS, BPR and LMF with features, without LLM and selective.

Run ``python benchmarks/quality/backbones.py [--fold valid|test] [--seeds 5] [--show]``. Writes
``benchmarks/results/backbones.json``, one part per fold, and the table in ``benchmarks/README.md``.
MovieLens, full-catalog ranking; differences have 95 % intervals (paired bootstrap over users).
Settings are tuned once per backbone and seed, without a judge, and both models use them. Goals for
each backbone: selective regularization improves AUC overall and cold (interval above 0), and costs
at most .003 AUC tail.
"""

import argparse
import sys
from pathlib import Path

from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository  # isort: skip
import movielens as demo
from formatting import interval, number, table
from internals import BACKBONES

from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.metrics import compare_reports

MAKER = "benchmarks/quality/backbones.py"
RESULTS = repository.RESULTS / "backbones.json"
METHODS = ("no LLM", "selective", "difference")


def compare(data, backbone, fold, seeds):
    """Compare a backbone with and without the judge, at the same settings."""
    models = {"no LLM": [demo.ours(data, seed, backbone=backbone) for seed in range(seeds)]}
    found = [model.found_params() for model in models["no LLM"]]
    models["selective"] = [
        demo.ours(data, seed, data.judge, backbone=backbone, **found[seed]) for seed in range(seeds)
    ]
    reports = {
        name: demo.average([demo.evaluate(model, data, fold)["all"] for model in fitted])
        for name, fitted in models.items()
    }
    compared = compare_reports(reports["selective"], reports["no LLM"])
    cells = {
        column: {
            **{name: demo.pick(report, column) for name, report in reports.items()},
            "difference": demo.pick(compared, column),
        }
        for column in demo.COLUMNS
    }
    gains = [cells[column]["difference"][1] > 0 for column in ("AUC overall", "AUC cold")]
    reached = all(gains) and cells["AUC tail"]["difference"][0] >= -0.003
    return {"columns": cells, "goal reached": reached, "found": found[0]}


def as_table(results):
    """Build the Markdown table: three rows per backbone and fold."""
    rows = []
    for backbone in BACKBONES:
        for fold in (fold for fold in ("valid", "test") if fold in results):
            columns = results[fold][backbone]["columns"]
            for method in METHODS:
                write = interval if method == "difference" else number
                cells = [write(columns[column][method]) for column in demo.COLUMNS]
                rows.append([backbone, fold, method, *cells])
    return table(["backbone", "fold", "", *demo.COLUMNS], rows, left=3)


def main():
    """Run one fold and store its results next to those of the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fold", choices=("valid", "test"), default="test")
    parser.add_argument("--seeds", type=int, default=5)
    repository.add_output_options(parser, RESULTS)
    args = parser.parse_args()
    results = repository.load(args.output) if args.output.exists() else {}
    if not args.show:
        data = load_movielens_coldstart()
        with threadpool_limits(1, user_api="blas"):
            found = {name: compare(data, name, args.fold, args.seeds) for name in BACKBONES}
        made = repository.provenance(seeds=args.seeds)
        repository.save(args.output, results | {args.fold: {"made": made, **found}})
        results = repository.load(args.output)
    for fold, backbones in results.items():
        reached = [name for name in BACKBONES if backbones[name]["goal reached"]]
        print(f"{fold}: goal reached by {', '.join(reached) or 'no backbone'}")
    repository.show(MAKER, as_table(results), args.output == RESULTS)


if __name__ == "__main__":
    main()

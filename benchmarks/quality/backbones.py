"""What an LLM adds to each backbone: ALS, BPR and LMF with features, without LLM and selective.

Run ``python benchmarks/quality/backbones.py [--fold valid|test] [--seeds 5]``. Writes
``benchmarks/results/backbones.json``, a part for each fold. MovieLens, full-catalog ranking, with
intervals over users (paired bootstrap) of the differences. Goals, for each backbone: the LLM's
selective regularization gains in AUC overall and cold (interval above 0), and loses no more than
.003 in AUC tail.
"""

import argparse
import json
import sys
from pathlib import Path

from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))  # of what all benchmarks share

import repository  # isort: skip
import movielens as demo
from internals import BACKBONES

from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.metrics import compare_reports

RESULTS = repository.RESULTS / "backbones.json"


def compare(data, backbone, fold, seeds):
    """Fit a backbone without judge and with it, and compare."""
    reports = {}
    for name, judge in (("no LLM", None), ("selective", data.judge)):
        models = [demo.ours(data, seed, judge, backbone=backbone) for seed in range(seeds)]
        reports[name] = demo.average([demo.evaluate(m, data, fold)["all"] for m in models])
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
    return {"columns": cells, "goal reached": reached}


def main():
    """Run one fold and write its results beside those of the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fold", choices=("valid", "test"), default="test")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    data = load_movielens_coldstart()
    with threadpool_limits(1, user_api="blas"):
        results = {name: compare(data, name, args.fold, args.seeds) for name in BACKBONES}
    saved = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    saved[args.fold] = {"seeds": args.seeds} | results
    RESULTS.write_text(json.dumps(saved, indent=1) + "\n")
    print("| backbone | " + " | ".join(demo.COLUMNS) + " |")
    for backbone, result in results.items():
        for method in ("no LLM", "selective", "difference"):
            row = []
            for cell in result["columns"].values():
                if method == "difference":
                    row.append("{:+.4f} [{:+.4f}, {:+.4f}]".format(*cell[method]))
                else:
                    row.append(f"{cell[method]:.4f}")
            print(f"| {backbone}, {method} | " + " | ".join(row) + " |")
        print(backbone, "goal reached:", result["goal reached"])


if __name__ == "__main__":
    main()

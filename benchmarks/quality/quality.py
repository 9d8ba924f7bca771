"""Ranking quality compared with other recommenders, and with other ways to use an LLM.

Run ``make benchmark-quality``, or parts of it: ``python benchmarks/quality/quality.py PART...``,
with the parts `tune`, `test` (both for each data set), `robustness`, `learning`, `ablations`,
`collapse` and `show`. `tune` appends to logs of trials in ``benchmarks/tuning/quality`` and resumes
where it stopped; the others write ``benchmarks/results/quality``. Settings are selected on `valid`
only.
"""

import argparse
import json

import ablations
import collapse
import data_sets
import evaluation
import figures
import learning
import numpy as np
import peers
import robustness
import tables
from evaluation import columns, differences, evaluate, objective
from methods import GLOBAL, METHODS, NO_LLM, ON_FIXED, PLAIN_ALS, SELECTIVE
from repository import TUNING

LOGS = TUNING / "quality"
BIASES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)  # in standard deviations of a user's scores
OBJECTIVE_COLUMNS = (
    *("NDCG@10 overall", "NDCG@10 cold"),
    *("AUC overall", "AUC cold", "AUC tail", "AUC new"),
)
# Overall popularity, and popularity in the period of the user's latest interaction, as in ours.
BIASED, TREND = " + item bias", " + trend"
# Row -> method and settings. Without settings, ours is tuned on `train`; the uses of the LLM on the
# fixed backbone are compared with no LLM on the same backbone.
DEFAULTS = {
    "ours, no LLM, defaults": (NO_LLM, {}),
    NO_LLM + ON_FIXED: (NO_LLM, {"tuning": None}),
    "ours, selective, defaults": (SELECTIVE, {}),
}
AGAINST = (
    *(PLAIN_ALS, NO_LLM, GLOBAL, "ours, no LLM, defaults"),
    *(NO_LLM + ON_FIXED, GLOBAL + ON_FIXED),
)


def with_item_bias(score, data, fold, bias, kind):
    """Add a popularity bias to the scores of a fold's users, overall or by period."""
    users = np.unique(data[fold]["user"])
    matrix = peers.table(data).matrix
    count = matrix.getnnz(axis=0)
    scores = score(users)
    spread = scores[:, count > 0].std(axis=1, keepdims=True)
    gains = count / (count + 10)
    if kind == TREND:
        everyone, gains = peers.trend_bias(data)
        gains = gains[np.searchsorted(everyone, users)]
    biased = scores + (bias * spread * gains).astype(np.float32)
    return lambda ids: biased[np.searchsorted(users, ids)]


def fit(dataset, method, seed, settings):
    """Fit a method."""
    return METHODS[method].fit(data_sets.load(dataset), seed, **settings)


def run_trial(dataset, method, trial):
    """Fit with sampled settings; return them and the results on `valid` by item bias."""
    data, settings = data_sets.load(dataset), METHODS[method].draw(method, trial)
    try:
        model = fit(dataset, method, 0, settings)
        results = {}
        for kind in ("",) if METHODS[method].biased else ("", BIASED, TREND):
            for bias in BIASES[1:] if kind else (0.0,):
                biased = with_item_bias(model, data, "valid", bias, kind) if bias else model
                found = columns(evaluate(biased, data, "valid"), data)
                results[f"{bias}{kind}"] = {name: found[name] for name in OBJECTIVE_COLUMNS}
    except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
        return settings, {"failed": str(error)[:200]}
    return settings, results


def read_trials(dataset):
    """Return the logged trials as dicts; empty without a log."""
    path = LOGS / f"{dataset}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def tune(dataset, n_trials, n_jobs, names):
    """Run the trials that are not yet in the log."""
    LOGS.mkdir(parents=True, exist_ok=True)
    done = {(line["method"], line["trial"]) for line in read_trials(dataset)}
    tasks = [
        (dataset, method, trial)
        for trial in range(n_trials)
        for method in names
        if (method, trial) not in done
        # Half as many trials for search spaces of three settings.
        and (not method.endswith(ON_FIXED) or trial < max(1, n_trials // 2))
        and (METHODS[method].space or trial == 0)
        # The fixed settings were chosen on MovieLens.
        and (dataset == "movielens" or not method.endswith(ON_FIXED))
    ]
    with (LOGS / f"{dataset}.jsonl").open("a") as log:
        for (_, method, trial), (settings, results) in evaluation.run(
            run_trial, tasks, n_jobs, f"trials, {dataset}"
        ):
            line = {"method": method, "trial": trial, "settings": settings, "results": results}
            log.write(json.dumps(line) + "\n")
            log.flush()


def best(dataset, n_trials):
    """Select the settings of each method, with and without an item bias.

    Returns
    -------
    chosen : dict
        Name of a row -> (method, settings, item bias, kind of item bias).
    """
    found = {}
    for line in read_trials(dataset):
        most = max(1, n_trials // 2) if line["method"].endswith(ON_FIXED) else n_trials
        if line["trial"] >= most or "failed" in line["results"]:
            continue
        for name, result in line["results"].items():
            value, method = objective(result), line["method"]
            bias, kind = name.split(" ", 1) if " " in name else (name, "")
            kind = kind and f" {kind}"
            kinds = [kind] if kind or METHODS[method].biased else ["", BIASED, TREND]
            for row in (method + one for one in kinds):
                if row not in found or value > found[row][0]:
                    found[row] = value, (method, line["settings"], float(bias), kind)
    variants = ("", BIASED, TREND)
    order = [row for method in METHODS for kind in variants if (row := method + kind) in found]
    return {row: found[row][1] for row in order}


def report_row(dataset, row, chosen, seed, fold="test"):
    """Fit the selected settings of a row, and evaluate on a fold."""
    data = data_sets.load(dataset)
    method, settings, bias, kind = chosen[row]
    model = fit(dataset, method, seed, settings)
    return evaluate(with_item_bias(model, data, fold, bias, kind) if bias else model, data, fold)


class _Row:
    """`report_row` with given settings, as a picklable function of the name and the seed."""

    def __init__(self, dataset, chosen):
        self.dataset, self.chosen = dataset, chosen

    def __call__(self, row, seed):
        return report_row(self.dataset, row, self.chosen, seed)


def test(dataset, n_trials, seeds, n_jobs):
    """Evaluate the selected settings on `test`, with intervals relative to rows in `AGAINST`."""
    data, chosen = data_sets.load(dataset), best(dataset, n_trials)
    chosen |= {row: (*of_row, 0.0, "") for row, of_row in DEFAULTS.items()}
    reports = evaluation.by_seed(_Row(dataset, chosen), list(chosen), seeds, n_jobs, dataset)
    against = {
        other: {
            row: differences(report, reports[other], data)
            for row, report in reports.items()
            if row != other
        }
        for other in AGAINST
        if other in reports
    }
    counts = {
        f"{what} {regime}": int(reports[NO_LLM].loc[regime, what])
        for what in ("users", "interactions")
        for regime in evaluation.REGIMES
    }
    results = {
        "trials": n_trials,
        "held out": counts,
        "settings": {row: {"settings": c[1], "item bias": c[2]} for row, c in chosen.items()},
        "table": {row: columns(report, data) for row, report in reports.items()},
        "against": against,
    }
    if dataset == "movielens":
        results["slates"] = learning.within_slates(data, chosen, fit)
    evaluation.write(dataset, results, seeds)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("tune", "test", "robustness", "learning", "ablations", "collapse", "show")
    parser.add_argument("parts", nargs="*", metavar="PART", default=parts)
    parser.add_argument("--datasets", nargs="+", default=data_sets.DATASETS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--trials", type=int, default=24, help="trials of each method on MovieLens")
    parser.add_argument(
        "--world-trials", type=int, default=10, help="trials of each method on synthetic data"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="number of processes")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(parts):
        parser.error(f"unknown parts {sorted(unknown)}; choose from {', '.join(parts)}")
    seeds = range(args.seeds)
    for dataset in args.datasets:
        n_trials = args.trials if dataset == "movielens" else args.world_trials
        if "tune" in args.parts:
            tune(dataset, n_trials, args.jobs, args.methods)
        if "test" in args.parts:
            test(dataset, n_trials, seeds, args.jobs)
    for part in (robustness, learning, ablations):
        if part.__name__ in args.parts:
            part.main(seeds, args.jobs)
    if "collapse" in args.parts:
        collapse.main(best("movielens", args.trials), seeds)
    if "show" in args.parts:
        figures.draw()
        tables.write()
        tables.fill_readme()


if __name__ == "__main__":
    main()

"""Evaluation by all regimes of the quality benchmark, and parallel fits."""

import json
import platform
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository  # isort: skip
import movielens as demo
from internals import COLD_BELOW, REGIMES

from sklearn_selreg.metrics import RankingReport, compare_reports, ranking_report

RESULTS = repository.RESULTS / "quality"

average = demo.average
METRICS = ("NDCG@10", "recall@10", "AUC")
PAPER_REGIMES = {"cold": "cold <3", "tail": "tail 20%"}  # of the paper, as further columns
_TAIL_FRACTION = 0.2
PACKAGES = [
    *("scikit-learn", "implicit", "numpy", "scipy", "pandas"),
    *("lightfm-next", "cmfrec", "irspack"),
]


def evaluate(model, data, fold):
    """Evaluate an estimator, or a function from user ids to scores of all items, on a fold."""
    return ranking_report(
        model,
        data[fold],
        train=data.train,
        cohort=data.cohort,
        items=data.item_data["item"],
        **demo.ID_COLUMNS,
    )


def by_paper(report, data):
    """Return the report for the paper's definitions of cold users and tail items.

    Cold users have fewer than 3 training interactions. Tail items are the least popular 20 % of
    the items with training interactions, including ties.
    """
    popularity = data.train["item"].value_counts()
    lengths = data.train["user"].value_counts()
    bound = np.sort(popularity)[int(np.ceil(_TAIL_FRACTION * len(popularity))) - 1]
    details = report.details
    cold = details["user"].map(lengths).fillna(0) < COLD_BELOW
    n = details["item"].map(popularity).fillna(0)
    details = details.assign(cold=cold, warm=~cold, tail=(n > 0) & (n <= bound), new=n == 0)
    return RankingReport.from_details(details, report.k)


def columns(report, data):
    """Convert a report to a dict: "AUC cold" -> number."""
    own = {f"{m} {r}": float(report.loc[r, m]) for m in METRICS for r in REGIMES}
    other = by_paper(report, data)
    paper = {f"{m} {n}": float(other.loc[r, m]) for m in METRICS for r, n in PAPER_REGIMES.items()}
    return {name: round(value, 5) for name, value in (own | paper).items()}


def differences(a, b, data):
    """Compare two reports: column -> difference and bounds of its 95 % interval."""
    own, paper = compare_reports(a, b), compare_reports(by_paper(a, data), by_paper(b, data))
    picked = {f"{m} {r}": own.loc[r, m] for m in METRICS for r in REGIMES}
    picked |= {f"{m} {n}": paper.loc[r, m] for m in METRICS for r, n in PAPER_REGIMES.items()}
    return {name: np.round(np.asarray(cell, float), 5).tolist() for name, cell in picked.items()}


def objective(found):
    """Objective of tuning, as in `tune.py`: mostly AUC, over all kinds of users and items.

    Differences in NDCG between settings are mostly noise.
    """
    value = found["AUC overall"] + found["AUC cold"]
    halves = ("AUC tail", "AUC new", "NDCG@10 overall", "NDCG@10 cold")
    # Regimes without held-out interactions are NaN.
    return value + sum(found[name] for name in halves if np.isfinite(found[name])) / 2


def _quietly(job, arguments):
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        return arguments, job(*arguments)


def run(job, tasks, n_jobs, label):
    """Call `job(*task)` in single-threaded processes; yield (task, result) on completion."""
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(_quietly)(job, task) for task in tasks
    )
    yield from tqdm(done, total=len(tasks), desc=label)


def by_seed(job, names, seeds, n_jobs, label):
    """Run `job(name, seed)` for all seeds, and average the reports by name."""
    tasks = [(name, seed) for seed in seeds for name in names]
    reports = {name: {} for name in names}
    for (name, seed), report in run(job, tasks, n_jobs, label):
        reports[name][seed] = report
    return {name: average([found[seed] for seed in seeds]) for name, found in reports.items()}


def write(name, results, seeds):
    """Store results as JSON, with date, seeds and versions."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    made = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "seeds": list(seeds),
        "python": platform.python_version(),
        **{package: repository.version_of(package) for package in ("sklearn_selreg", *PACKAGES)},
    }
    text = json.dumps({"made": made, **results}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def read(name):
    """Read stored results."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))

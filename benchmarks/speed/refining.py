"""Time and memory of refining given factors, for a growing number of users.

Run ``python benchmarks/speed/refining.py [--users 10000000] [--slates 10000] [--show]``. Writes
``benchmarks/results/refining.json`` and the table in ``benchmarks/README.md``. Random factors are
read from files, as they would come from another system; each size runs in its own process. There is
one slate per judged user, and X has 20 interactions of each. Goal: seconds beyond reading,
independent of the number of users.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository
from formatting import table

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.judges import PrecomputedJudge

MAKER = "benchmarks/speed/refining.py"
RESULTS = repository.RESULTS / "refining.json"
FACTORS, ITEMS, SLATE, LIKES = 64, 100_000, 20, 20


def make(folder, n_users):
    """Write factors in chunks."""
    rng = np.random.default_rng(0)
    for name, n in (("users", n_users), ("items", ITEMS)):
        file = np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=(n, FACTORS)
        )
        for start in range(0, n, 2**18):
            part = file[start : start + 2**18]
            part[:] = rng.standard_normal(part.shape, dtype=np.float32) * 0.05
        file.flush()


def judged(n_users, n_slates):
    """Return interactions of the judged users, and a judge with noisy ratings of their likes."""
    rng = np.random.default_rng(1)
    users = np.sort(rng.choice(n_users, n_slates, replace=False))
    likes = rng.random((n_slates, ITEMS // 50)).argsort(axis=1)[:, :LIKES] * 50
    likes += rng.integers(0, 50, likes.shape)
    X = np.column_stack([np.repeat(users, LIKES), likes.ravel()])
    records = []
    for number, (user, liked) in enumerate(zip(users.tolist(), likes, strict=True)):
        hidden = liked[-4:] if number % 3 == 0 else liked[:0]
        candidates = np.concatenate([hidden, rng.integers(0, ITEMS, SLATE - len(hidden))])
        candidates = np.unique(candidates)
        ratings = rng.random(len(candidates)) * 0.6 + 0.4 * np.isin(candidates, liked)
        records.append(
            {
                "user": user,
                "history": liked[: -len(hidden) or None][-10:].tolist(),
                "candidates": candidates.tolist(),
                "ratings": ratings.tolist(),
            }
        )
    return X, PrecomputedJudge(records)


def run(folder, n_slates):
    """Time the steps in this process, and print them as JSON."""
    warnings.simplefilter("ignore")
    seconds, start = {}, time.perf_counter()

    def lap(name):
        nonlocal start
        seconds[name] = round(time.perf_counter() - start, 2)
        start = time.perf_counter()

    factors = [np.load(folder / f"{name}.npy") for name in ("users", "items")]
    lap("reading")
    n_users = len(factors[0])
    X, judge = judged(n_users, n_slates)
    lap("making interactions and judge")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = SelectiveLLMRegularizedMF.from_factors(
        np.arange(n_users), np.arange(ITEMS), *factors, copy=False, judge=judge
    )
    lap("from_factors")
    model.refine(X)
    lap("refine")
    model.recommend(X[::LIKES, 0][:1000])
    lap("recommend to 1,000")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({
        "users": n_users, "slates": n_slates, "seconds": seconds,
        "GB of factors": round(sum(f.nbytes for f in factors) / 1e9, 2),
        "peak GB beyond what was read": round((after - before) / 1e6, 2),
        "pairs": model.judge_stats_["pairs_weighted"],
    }))  # fmt: skip


def as_table(results):
    """Build the Markdown table: one row per number of users."""
    columns = ["users", "factors", "reading", "`from_factors`", "`refine`"]
    columns.append("memory beyond what was read")
    rows = []
    for row in results["rows"]:
        steps = (row["seconds"][name] for name in ("reading", "from_factors", "refine"))
        memory = [
            f"{row[name]:.2f} GB" for name in ("GB of factors", "peak GB beyond what was read")
        ]
        seconds = [f"{value:.2f} s" for value in steps]
        rows.append([f"{row['users']:,}", memory[0], *seconds, memory[1]])
    return table(columns, rows, left=0)


def main():
    """Run each size in its own process, and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=10_000_000)
    parser.add_argument("--slates", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    repository.add_output_options(parser, RESULTS)
    args = parser.parse_args()
    if args.folder:
        run(args.folder, args.slates)
        return
    if not args.show:
        rows = []
        for n_users in (args.users // 100, args.users // 10, args.users):
            with tempfile.TemporaryDirectory() as folder:
                make(Path(folder), n_users)
                command = [sys.executable, __file__]
                command += ["--slates", str(args.slates), "--folder", folder]
                rows.append(json.loads(subprocess.check_output(command)))
                print(rows[-1], flush=True)
        made = repository.provenance(seed=0, cores=os.cpu_count())
        repository.save(args.output, {"made": made, "rows": rows})
    repository.show(MAKER, as_table(repository.load(args.output)), args.output == RESULTS)


if __name__ == "__main__":
    main()

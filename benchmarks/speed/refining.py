"""Time and memory of refining factors made elsewhere, with a catalog of users that grows.

Run ``python benchmarks/speed/refining.py [--users 10000000] [--slates 10000]``. Writes
``benchmarks/results/refining.json``. Random factors lie in files, as they would come from another
system; each size runs in a process of its own. Judged are as many users as there are slates; X
holds 20 interactions of each. Goal: seconds beyond reading, whatever the number of users.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # of what all benchmarks share

import repository

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.judges import PrecomputedJudge

RESULTS = repository.RESULTS / "refining.json"
FACTORS, ITEMS, SLATE, LIKES = 64, 100_000, 20, 20


def make(folder, n_users):
    """Write factors, in parts."""
    rng = np.random.default_rng(0)
    for name, n in (("users", n_users), ("items", ITEMS)):
        file = np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=(n, FACTORS)
        )
        for start in range(0, n, 2**18):
            part = file[start : start + 2**18]
            part[:] = rng.standard_normal(part.shape, dtype=np.float32) * 0.05
        file.flush()


def judged(n_users, n_slates, factors):
    """Make interactions of the judged users, and records of a judge who half knows the factors."""
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
    """Time the steps in this process, and print them."""
    warnings.simplefilter("ignore")
    seconds, start = {}, time.perf_counter()

    def lap(name):
        nonlocal start
        seconds[name] = round(time.perf_counter() - start, 2)
        start = time.perf_counter()

    factors = [np.load(folder / f"{name}.npy") for name in ("users", "items")]
    lap("reading")
    n_users = len(factors[0])
    X, judge = judged(n_users, n_slates, factors)
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


def main():
    """Run each size in a process of its own and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=10_000_000)
    parser.add_argument("--slates", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder:
        run(args.folder, args.slates)
        return
    rows = []
    for n_users in (args.users // 100, args.users // 10, args.users):
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), n_users)
            command = [sys.executable, __file__, "--slates", str(args.slates), "--folder", folder]
            rows.append(json.loads(subprocess.check_output(command)))
            print(rows[-1], flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

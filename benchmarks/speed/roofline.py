"""Limits of the machine, the fraction that a sweep reaches, and its serial parts.

    python benchmarks/speed/roofline.py [--interactions 20000000] [--factors 64]

All on one thread, in CPU time. Prints, and adds to ``benchmarks/results/speed.json``:

- the machine: the peak rate of a matrix product (float32), and the bandwidth of gathering random
  rows from tables that fit into caches of several sizes, or into none;
- a sweep part by part, on a matrix with item popularity proportional to 1 / rank, with features and
  weights of missing entries: the parts that run in blocks on all threads, their numbers of blocks
  and longest block, and the serial remainder.
"""

import argparse
import json
import sys
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numba import njit
from speed import ALPHA, REGULARIZATION, RESULTS
from sweeps import zipf_matrix
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

from internals import RegularizedALS, gather_rows

TABLES = (4, 16, 64, 256)  # MB
SWEEPS = 2
ROW = 50
STEPS_FLOPS = 2 * (2 + 2 + 1)  # per entry and factor: first residual, one step, last step


def fastest(call, repeat=5):
    """CPU seconds of the fastest call."""
    seconds = []
    for _ in range(repeat):
        start = time.thread_time()
        call()
        seconds.append(time.thread_time() - start)
    return min(seconds)


@njit
def gather(table, indices, out):
    """Gather rows into the same small buffer, like the rows of a user."""
    for start in range(0, len(indices) - ROW + 1, ROW):
        gather_rows(table, indices, start, ROW, out, 0)


def machine(factors, size=1500):
    """Peak rate of a matrix product, in GFlop/s, and bandwidth of gathering rows, in GB/s."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((size, size), dtype=np.float32) for _ in range(2))
    found = {"product, GFlop/s": 2 * size**3 / fastest(lambda: a @ b) / 1e9}
    for megabytes in TABLES:
        table = rng.random((megabytes * 2**20 // (4 * factors), factors), dtype=np.float32)
        rows = rng.integers(len(table), size=100_000, dtype=np.int32)
        out = np.zeros((ROW, factors), dtype=np.float32)
        seconds = fastest(lambda t=table, r=rows, o=out: gather(t, r, o))
        found[f"gather from {megabytes} MB, GB/s"] = 4 * factors * len(rows) / seconds / 1e9
    return found


class Timed:
    """Runs blocks as `threads` does, and records the seconds of each block by call."""

    def __init__(self):
        self.calls = []

    def __call__(self, function, bounds):
        seconds, results = [], []
        for start, stop in pairwise(bounds):
            began = time.thread_time()
            results.append(function(start, stop))
            seconds.append(time.thread_time() - began)
        self.calls.append((function.__qualname__.split(".")[-1], seconds))
        return results


def parts(n_interactions, factors):
    """Measure the parts of a sweep; return one row per part."""
    rng = np.random.default_rng(0)
    matrix = zipf_matrix(rng, n_interactions)
    n_users, n_items = matrix.shape
    features = sp.random_array((n_items, 500), density=0.02, rng=rng, dtype=np.float32).tocsr()
    problem = RegularizedALS(
        matrix * np.float32(ALPHA),
        *(rng.random((n, factors), dtype=np.float32) * 0.01 for n in (n_users, n_items)),
        regularization=REGULARIZATION,
        missing_weights=rng.uniform(0.5, 2, n_items),
        features=sp.csr_matrix(features),
        num_threads=1,
    )
    problem.sweep()
    timed = Timed()

    @contextmanager
    def threads(num_threads):
        with threadpool_limits(1, "blas"):
            yield timed

    module = sys.modules[RegularizedALS.__module__]
    kept, module.threads = module.threads, threads
    began = time.thread_time()
    for _ in range(SWEEPS):
        problem.sweep()
    total = (time.thread_time() - began) / SWEEPS
    module.threads = kept
    rows, names = [], {"do": "rows", "<lambda>": "rotation"}
    for name in dict.fromkeys(name for name, _ in timed.calls):
        some = [seconds for other, seconds in timed.calls if other == name]
        rows.append(
            {
                "part": names.get(name, name),
                "seconds": sum(map(sum, some)) / SWEEPS,
                "calls": len(some) // SWEEPS,
                "blocks": max(map(len, some)),
                "longest": max(max(seconds) for seconds in some),
            }
        )
    serial = total - sum(row["seconds"] for row in rows)
    rows.append({"part": "serial", "seconds": serial, "calls": 1, "blocks": 1, "longest": serial})
    for row in rows:
        row["share"] = row["seconds"] / total
    flops = 2 * matrix.nnz * STEPS_FLOPS * factors
    return {
        "interactions": matrix.nnz, "factors": factors, "sweep, s": total,
        "GFlop/s": flops / total / 1e9, "parts": rows,
    }  # fmt: skip


def main():
    """Measure, print, and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interactions", type=int, default=20_000_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file to add to")
    args = parser.parse_args()
    with threadpool_limits(1, "blas"):
        found = {"machine": machine(args.factors)}
    for name, value in found["machine"].items():
        print(f"{name:<28}{value:8.1f}", flush=True)
    found |= parts(args.interactions, args.factors)
    found["share of the product's peak"] = found["GFlop/s"] / found["machine"]["product, GFlop/s"]
    share = found["share of the product's peak"]
    print(
        f"\na sweep of {found['interactions']:,} interactions: {found['sweep, s']:.2f} s, "
        f"{found['GFlop/s']:.1f} GFlop/s, {share:.0%} of the product's peak"
    )
    print(f"{'part':<12}{'s':>8}{'share':>8}{'calls':>7}{'blocks':>8}{'longest, s':>12}")
    for row in found["parts"]:
        print(
            f"{row['part']:<12}{row['seconds']:8.3f}{row['share']:8.1%}{row['calls']:7}"
            f"{row['blocks']:8}{row['longest']:12.4f}"
        )
    results = json.loads(args.output.read_text()) if args.output.exists() else {}
    results["roofline"] = found
    args.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Time and peak memory of indexing a table of interactions.

Run ``python benchmarks/speed/indexing.py [--rows 10000000] [--containers pandas polars ...]``. Each
container is measured in its own process, on int64 columns user, item and time. Peak memory includes
the columns, and is given as a multiple of their 3 x 8 bytes per row. Requires the module
``resource`` (Linux, macOS).
"""

import argparse
import multiprocessing
import resource
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

from internals import index_interactions

CONTAINERS = ("pandas", "polars", "array")


def make_table(container, n_rows, n_users, random_state=0):
    """Create int64 columns: uniform users, items with geometric popularity, random times."""
    rng = np.random.default_rng(random_state)
    columns = {
        "user": lambda: rng.integers(10**9, 10**9 + n_users, n_rows),
        "item": lambda: rng.geometric(1e-4, n_rows),
        "time": lambda: rng.integers(0, 10**9, n_rows),
    }
    if container == "array":
        array = np.empty((n_rows, len(columns)), dtype=np.int64)
        for position, draw in enumerate(columns.values()):
            array[:, position] = draw()
        return array
    table = {name: draw() for name, draw in columns.items()}
    return pl.DataFrame(table) if container == "polars" else pd.DataFrame(table, copy=False)


def peak_memory():
    """Peak memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def measure(container, n_rows, n_users, with_time):
    """Index one table; return seconds, peak memory per byte of the columns, and the matrix."""
    columns = {"user_col": 0, "item_col": 1, "time_col": 2 if with_time else None}
    index = partial(index_interactions, **columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the unused time column
        index(make_table(container, 10, 3))  # excludes imports
        X = make_table(container, n_rows, n_users)
        before, start = peak_memory(), time.perf_counter()
        matrix = index(X).matrix
        seconds = time.perf_counter() - start
    return seconds, 1 + (peak_memory() - before) / (3 * 8 * n_rows), matrix


def main():
    """Measure each container, with and without a time column."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument(
        "--containers", nargs="+", choices=CONTAINERS, default=CONTAINERS, metavar="NAME"
    )
    args = parser.parse_args()
    print(f"{args.rows:,} rows")
    print(f"{'container':<10}{'time_col':<10}{'seconds':>8}{'memory':>8}  matrix")
    for container in args.containers:
        for with_time in (False, True):
            # A new process each, as the peak of a process never decreases.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, memory, matrix = pool.apply(
                    measure, (container, args.rows, args.users, with_time)
                )
            print(
                f"{container:<10}{with_time!s:<10}{seconds:>8.1f}{memory:>7.2f}x"
                f"  {matrix.shape[0]:,} x {matrix.shape[1]:,}, {matrix.nnz:,} pairs"
            )


if __name__ == "__main__":
    main()

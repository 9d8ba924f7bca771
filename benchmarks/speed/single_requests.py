"""Time of one request for one user, with more and more users, next to `implicit`.

Run ``python benchmarks/speed/single_requests.py``. Both have the same random factors and
interactions. Shown is the shortest of many calls, in processor time, since what matters is the
overhead of a call; BLAS has one thread, as `implicit` recommends. Ours takes ids, `implicit` row
numbers and rows of the matrix of interactions. A visitor is folded in to a shallow copy of the
model; `implicit` recomputes the user of a given row (`recalculate_user`). Writes
``benchmarks/results/single_requests.json`` and the table in ``docs/serving.md``. Goal: the same
time whatever the number of users.
"""

import copy
import datetime
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))  # of what all benchmarks share

import formatting
import repository

from sklearn_selreg import SelectiveLLMRegularizedMF

RESULTS = repository.RESULTS / "single_requests.json"
SCRIPT = "benchmarks/speed/single_requests.py"
USERS, ITEMS, FACTORS, LIKES, HISTORY = (20_000, 200_000, 1_000_000), 20_000, 64, 10, 30
CALLS, SECONDS = 300, 3  # at most this many calls, for at most this long


def shortest(call):
    """Return the shortest processor time of many calls, in milliseconds."""
    call()  # caches, compilation
    times, start = [], time.perf_counter()
    while len(times) < CALLS and time.perf_counter() < start + SECONDS:
        before = time.process_time()
        call()
        times.append(time.process_time() - before)
    return 1e3 * min(times)


def make(n_users):
    """Return random factors of users and items, and interactions."""
    rng = np.random.default_rng(0)
    users, items = (
        rng.standard_normal((n, FACTORS), dtype=np.float32) / 8 for n in (n_users, ITEMS)
    )
    likes = rng.integers(0, ITEMS, n_users * LIKES, dtype=np.int32)
    indptr = np.arange(0, len(likes) + 1, LIKES)
    matrix = sp.csr_matrix((np.ones(len(likes), np.float32), likes, indptr), (n_users, ITEMS))
    matrix.sum_duplicates()
    return users, items, matrix


def requests_of_ours(users, items, matrix, history):
    """Return the calls of our model by name."""
    ids = np.arange(len(users)), np.arange(len(items))
    model = SelectiveLLMRegularizedMF.from_factors(
        *ids, users, items, interactions=matrix, copy=False, n_jobs=1
    )
    visitor = np.column_stack([np.full(len(history), len(users)), history])

    def visit():
        guest = copy.copy(model)
        return guest.fold_in(visitor, known="replace").recommend([len(users)])

    return {
        "`recommend`, one user": lambda: model.recommend([7]),
        "`fold_in` of a visitor, and `recommend`": visit,
        "`similar_items`, one item": lambda: model.similar_items([7]),
    }


def requests_of_implicit(users, items, matrix, history):
    """Return the same calls of `implicit`."""
    model = AlternatingLeastSquares(factors=FACTORS, num_threads=1)
    model.user_factors, model.item_factors = users, items
    ones = np.ones(len(history), np.float32)
    row = sp.csr_matrix((ones, history, [0, len(history)]), (1, ITEMS))
    return [
        lambda: model.recommend(7, matrix[7], filter_already_liked_items=True),
        lambda: model.recommend(0, row, recalculate_user=True),
        lambda: model.similar_items(7),
    ]


def measure(n_users):
    """Return the milliseconds of all calls with this number of users."""
    made = *make(n_users), np.sort(np.random.default_rng(1).choice(ITEMS, HISTORY, replace=False))
    ours, peers = requests_of_ours(*made), requests_of_implicit(*made)
    return {
        name: {"ours": shortest(call), "implicit": shortest(peer)}
        for (name, call), peer in zip(ours.items(), peers, strict=True)
    }


def table(results):
    """Return the results as a table in Markdown."""
    columns = ["ms, ours / `implicit`", *(f"{n:,} users" for n in USERS)]
    rows = [
        [
            name,
            *(" / ".join(formatting.number(r[name][who], 2) for who in r[name]) for r in results),
        ]
        for name in results[0]
    ]
    return formatting.table(columns, rows)


def main():
    """Measure, print and write."""
    results = []
    with threadpool_limits(1, "blas"):
        for n_users in USERS:
            results.append(measure(n_users))
            print(f"{n_users:,} users", results[-1], flush=True)
    packages = ("sklearn_selreg", "implicit", "numpy", "scipy", "pandas")
    about = {
        "date": datetime.date.today().isoformat(),
        "versions": {name: repository.version_of(name) for name in packages},
        "cores": os.cpu_count(),
        "items": ITEMS,
        "factors": FACTORS,
    }
    about["milliseconds"] = dict(zip(map(str, USERS), results, strict=True))
    RESULTS.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    repository.write_block("docs/serving.md", SCRIPT, table(results))


if __name__ == "__main__":
    main()

"""Time of recommending against `implicit`'s own top-k, side by side.

Run ``python benchmarks/speed/recommending.py [--repeat 15] [--output FILE]``. Both have the same
factors and the same seen items, and find the 10 best unseen items in batches of 10,000 users. In
each round both run once, in turn; shown are the median time over the rounds, and the median of the
rounds' ratios to `implicit`'s `AlternatingLeastSquares.recommend` (its BLAS limited to one thread,
as it asks for). What `implicit` is given are row numbers and the rows of the seen matrix; ours are
given ids, and the conversions are counted. Goal: at most 1.1x. The last section is one call for
100,000 users, with its memory by tracemalloc beyond what it returns.
"""

import argparse
import json
import os
import platform
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from sweeps import REFERENCE, measure, seconds_of, zipf_matrix
from threadpoolctl import threadpool_limits

from sklearn_selreg import SelectiveLLMRegularizedMF, interactions_from_sparse
from sklearn_selreg.datasets import load_movielens_coldstart

GOAL = 1.1
BATCH = 10_000
FITTED = {"factors": 64, "iterations": 1, "tuning": None, "random_state": 0}


def compare(title, model, users, repeat):
    """Compare batches of users; what `implicit` gets is prepared beforehand."""
    with threadpool_limits(1, "blas"):
        reference = AlternatingLeastSquares(factors=model.item_factors_.shape[1])
    reference.user_factors, reference.item_factors = model.user_factors_, model.item_factors_
    rows = np.searchsorted(model.users_, users)
    seen = model._fitted.matrix[rows]
    ids, listed = model.users_[rows], users.tolist()

    def implicit_recommend():
        with threadpool_limits(1, "blas"):
            return reference.recommend(rows, seen, N=10)

    expected = implicit_recommend()[0]
    same = np.mean(model.recommend(ids)[0] == model.items_[expected])
    assert same > 0.9999, same  # ties in float32 may fall either way

    ours = {
        "ours": partial(model.recommend, ids),
        "ours, list of ids": partial(model.recommend, listed),
        "ours, as_frame": partial(model.recommend, ids, as_frame=True),
    }
    variants = {
        name: partial(seconds_of, call)
        for name, call in {REFERENCE: implicit_recommend, **ours}.items()
    }
    n_users, n_items = model._fitted.matrix.shape
    title = f"{title}: {len(users)} of {n_users} users, {n_items} items"
    return measure(title, variants, repeat, goals=dict.fromkeys(ours, GOAL))


def movielens(repeat):
    """Recommend films; 10,000 users are drawn from the few there are."""
    data = load_movielens_coldstart()
    columns = {"user_col": "user", "item_col": "item", "time_col": "time"}
    model = SelectiveLLMRegularizedMF(item_data=data.item_data, **columns, **FITTED)
    model.fit(data.train)
    users = np.random.default_rng(0).choice(model.users_, BATCH)
    return compare("MovieLens", model, users, repeat)


def synthetic(n_interactions, repeat, *, strings):
    """Recommend from many items to some of many users, with ids of numbers or strings."""
    rng = np.random.default_rng(0)
    X, y = interactions_from_sparse(zipf_matrix(rng, n_interactions))
    if strings:
        X = np.char.add(np.array(["user-", "item-"]), X.astype(str)).astype(object)
    model = SelectiveLLMRegularizedMF(**FITTED).fit(X, y)
    users = rng.choice(model.users_, BATCH, replace=False)
    title = "Synthetic, string ids" if strings else "Synthetic, int ids"
    return compare(title, model, users, repeat), model


def many(model):
    """Recommend to 100,000 users in one call, and measure time and memory."""
    users = np.random.default_rng(0).choice(model.users_, 100_000)
    seconds = seconds_of(partial(model.recommend, users))
    tracemalloc.start()
    found = model.recommend(users)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    row = {
        "section": f"100,000 users, {len(model.items_)} items",
        "seconds": seconds,
        "peak_mb": peak / 1e6,
        "result_mb": sum(part.nbytes for part in found) / 1e6,
        "all_scores_mb": len(users) * len(model.items_) * 4 / 1e6,
    }
    print(
        "\n" + ", ".join(f"{k}: {v if isinstance(v, str) else round(v, 1)}" for k, v in row.items())
    )
    return row


def main():
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=15, help="rounds")
    parser.add_argument("--interactions", type=int, default=5_000_000, help="of the synthetic one")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    args = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {FITTED['factors']} factors")
    rows = movielens(args.repeat)
    by_number, model = synthetic(args.interactions, args.repeat, strings=False)
    rows += by_number
    rows.append(many(model))
    rows += synthetic(args.interactions, args.repeat, strings=True)[0]
    if args.output is not None:
        results = {"cores": os.cpu_count(), "repeat": args.repeat, "rows": rows}
        args.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Time of recommending compared with `implicit`'s own top-k, side by side.

Run ``python benchmarks/speed/recommending.py [--repeat 15] [--show]``. Writes
``benchmarks/results/recommending.json`` and the table in ``benchmarks/README.md``. Both have the
same factors and the same seen items, and find the 10 best unseen items for batches of 10,000 users.
In each round, each variant runs once, in turn. Reported are the median time over the rounds, and
the median of the rounds' ratios to `implicit`'s `AlternatingLeastSquares.recommend` (its BLAS
limited to one thread, as it recommends). `implicit` receives row numbers and the rows of the seen
matrix; ours receives ids, and the conversion is included. Goal: at most 1.1x. One section is a
single call for 100,000 users, with the memory it allocates (tracemalloc; result included).
"""

import argparse
import os
import platform
import sys
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository  # isort: skip
from formatting import table
from implicit.cpu.als import AlternatingLeastSquares
from sweeps import REFERENCE, measure, seconds_of, zipf_matrix
from threadpoolctl import threadpool_limits

from sklearn_selreg import SelectiveLLMRegularizedMF, interactions_from_sparse
from sklearn_selreg.datasets import load_movielens_coldstart

MAKER = "benchmarks/speed/recommending.py"
RESULTS = repository.RESULTS / "recommending.json"
GOAL = 1.1
BATCH = 10_000
FITTED = {"factors": 64, "iterations": 1, "tuning": None, "random_state": 0}


def compare(title, model, users, repeat):
    """Compare variants on a batch of users; the input of `implicit` is prepared beforehand."""
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
    """Recommend films to 10,000 users, drawn with replacement."""
    data = load_movielens_coldstart()
    columns = {"user_col": "user", "item_col": "item", "time_col": "time"}
    model = SelectiveLLMRegularizedMF(item_data=data.item_data, **columns, **FITTED)
    model.fit(data.train)
    users = np.random.default_rng(0).choice(model.users_, BATCH)
    return compare("MovieLens", model, users, repeat)


def synthetic(n_interactions, repeat, *, strings):
    """Recommend from a large catalog, with integer or string ids."""
    rng = np.random.default_rng(0)
    X, y = interactions_from_sparse(zipf_matrix(rng, n_interactions))
    if strings:
        X = np.char.add(np.array(["user-", "item-"]), X.astype(str)).astype(object)
    model = SelectiveLLMRegularizedMF(**FITTED).fit(X, y)
    users = rng.choice(model.users_, BATCH, replace=False)
    title = "Synthetic, string ids" if strings else "Synthetic, int ids"
    return compare(title, model, users, repeat), model


def many(model):
    """Measure time and memory of recommending to 100,000 users in one call."""
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


def as_table(results):
    """Build the Markdown table: one row per section and variant."""
    columns = ["data", "variant", "seconds", "ratio", "goal", "peak, MB"]
    rows = []
    for row in results["rows"]:
        ratio = f"{row['ratio']:.2f}x" if "ratio" in row else ""
        goal = f"{row['goal']:.1f}x" if row.get("goal") else ""
        peak = f"{row['peak_mb']:.0f}" if "peak_mb" in row else ""
        variant = row.get("variant", "ours, one call")
        rows.append([row["section"], variant, f"{row['seconds']:.2f}", ratio, goal, peak])
    return table(columns, rows, left=2)


def main():
    """Measure, and store the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=15, help="rounds")
    parser.add_argument(
        "--interactions", type=int, default=5_000_000, help="size of the synthetic data"
    )
    repository.add_output_options(parser, RESULTS)
    args = parser.parse_args()
    if not args.show:
        print(f"{platform.machine()}, {os.cpu_count()} cores, {FITTED['factors']} factors")
        rows = movielens(args.repeat)
        by_number, model = synthetic(args.interactions, args.repeat, strings=False)
        rows += by_number
        rows.append(many(model))
        rows += synthetic(args.interactions, args.repeat, strings=True)[0]
        made = repository.provenance(seed=0, cores=os.cpu_count(), repeat=args.repeat)
        repository.save(args.output, {"made": made, "rows": rows})
    repository.show(MAKER, as_table(repository.load(args.output)), args.output == RESULTS)


if __name__ == "__main__":
    main()

"""CPU time of tuning compared with the final fit, and with a fit with fixed settings.

    python benchmarks/speed/search_cost.py [--sizes N [N ...]] [--show]

Writes ``benchmarks/results/search_cost.json`` and the table in ``benchmarks/README.md``. Synthetic
interactions of users with tastes and items with features and decreasing popularity. The search is
timed as part of `fit`; the final fit is timed by fitting again with `found_params()`, without a
search. A first small fit, which compiles or loads the kernels, is not counted.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository
from formatting import table

from sklearn_selreg import SelectiveLLMRegularizedMF

MAKER = "benchmarks/speed/search_cost.py"
RESULTS = repository.RESULTS / "search_cost.json"
SIZES = (20_000, 100_000, 1_000_000, 5_000_000)
WARM_UP = 10_000
_TASTES = 40


def make(n_interactions, rng):
    """Return interactions in order of time, and the kind of each item."""
    n_users, n_items = n_interactions // 25, int(60 * n_interactions**0.4)
    taste, kind = rng.integers(_TASTES, size=n_users), rng.integers(_TASTES, size=n_items)
    weight = 1 / (5 + np.arange(n_items)) ** 0.8
    user = rng.integers(n_users, size=2 * n_interactions)
    item = rng.choice(n_items, 2 * n_interactions, p=weight / weight.sum())
    kept = (kind[item] == taste[user]) | (rng.random(len(user)) < 0.3)
    log = pd.DataFrame({"user": user, "item": item})[kept].drop_duplicates()[:n_interactions]
    log["time"] = np.arange(len(log))
    return log, pd.Series(kind).map("kind {}".format)


def measure(n_interactions):
    """Return the CPU seconds of the search, of the final fit and of a fit with fixed settings."""
    log, items = make(n_interactions, np.random.default_rng(0))
    model = SelectiveLLMRegularizedMF(
        item_data=items, user_col="user", item_col="item", time_col="time", random_state=0
    )
    start = time.process_time()
    model.fit(log)
    both = time.process_time() - start
    found = model.found_params()
    start = time.process_time()
    model.set_params(tuning=None, **found).fit(log)
    fit = time.process_time() - start
    fixed = SelectiveLLMRegularizedMF(
        item_data=items, user_col="user", item_col="item", time_col="time", random_state=0,
        tuning=None,
    )  # fmt: skip
    start = time.process_time()
    fixed.fit(log)
    return {
        "interactions": len(log),
        "search": round(both - fit, 2),
        "fit": round(fit, 2),
        "ratio": round((both - fit) / fit, 2),
        "fit with the fixed settings": round(time.process_time() - start, 2),
        "found": found,
    }


def as_table(results):
    """Build the Markdown table: one row per size."""
    columns = ["interactions", "search", "final fit", "search / final fit"]
    columns += ["fit with the fixed settings", "search / that"]
    rows = []
    for row in results["rows"]:
        fixed = row["fit with the fixed settings"]
        seconds = [f"{value:.1f}" for value in (row["search"], row["fit"])]
        ratios = [f"{row['ratio']:.1f}", f"{fixed:.1f}", f"{row['search'] / fixed:.1f}"]
        rows.append([f"{row['interactions']:,}", *seconds, *ratios])
    return table(columns, rows, left=0)


def main():
    """Measure all sizes, and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    repository.add_output_options(parser, RESULTS)
    args = parser.parse_args()
    if not args.show:
        warnings.simplefilter("ignore")
        measure(WARM_UP)
        rows = []
        for n_interactions in args.sizes:
            rows.append(measure(n_interactions))
            print(rows[-1], flush=True)
        repository.save(args.output, {"made": repository.provenance(seed=0), "rows": rows})
    repository.show(MAKER, as_table(repository.load(args.output)), args.output == RESULTS)


if __name__ == "__main__":
    main()

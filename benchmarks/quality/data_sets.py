"""Data of the quality benchmark: MovieLens, and synthetic data in the same format."""

import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

from internals import COLD_BELOW

from sklearn_selreg import AutoItemEncoder, SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import load_movielens_coldstart, make_interactions
from sklearn_selreg.judges import PrecomputedJudge

WORLDS = {
    "dense": {"n_users": 1000, "n_items": 500, "n_interactions": 20_000},
    # As sparse as Amazon reviews: two thirds of the users have fewer than 3 training interactions.
    "sparse": {"n_users": 3000, "n_items": 2000, "n_interactions": 15_000},
    "tiny": {"n_users": 120, "n_items": 80, "n_interactions": 1200},  # for tests
}
DATASETS = ("movielens", "dense", "sparse")


def knows_the_known(history_length, popularity):
    """Reliability of the simulated judge: lower for rare items and short histories."""
    return 0.7 * history_length / (history_length + 1) * (popularity + 3) / (popularity + 12)


@lru_cache
def load(name):
    """Load a data set by name.

    Returns
    -------
    data : Bunch
        With the keys of `load_movielens_coldstart`, and `features`: the csr_matrix of our item
        encoder, which the peers receive as well.
    """
    data = load_movielens_coldstart() if name == "movielens" else _make(**WORLDS[name])
    described = data.item_data.drop(columns="item")
    data.features = AutoItemEncoder().fit_transform(described).tocsr().astype(np.float32)
    return data


def _make(**sizes):
    """Generate synthetic data, hold out each user's last interactions, and record the judge.

    The latest interaction is `test`, and the one before is `valid` if there are at least three.
    """
    world = make_interactions(judge_reliability=knows_the_known, random_state=0, **sizes)
    age = world.X.groupby("user").cumcount(ascending=False)
    length = world.X.groupby("user")["user"].transform("size")
    test = (age == 0) & (length >= 2)
    valid = (age == 1) & (length >= 3)
    train = world.X[~test & ~valid].reset_index(drop=True)
    asked = SelectiveLLMRegularizedMF(
        item_data=world.item_data,
        judge=world.judge,
        user_col="user",
        item_col="item",
        time_col="time",
    )
    slates = asked.plan_judging(train).slates
    records = [
        {
            "user": slate.user,
            "history": list(slate.history),
            "candidates": list(slate.candidates),
            "ratings": ratings.tolist(),
        }
        for slate, ratings in zip(slates, world.judge.rate(slates), strict=True)
    ]
    n_train = train["user"].value_counts()
    return Bunch(
        train=train,
        valid=world.X[valid],
        test=world.X[test],
        dropped=world.X.iloc[:0],
        item_data=world.item_data,
        judge=PrecomputedJudge(records),
        cohort=pd.Series(np.where(n_train < COLD_BELOW, "cold", "warm"), n_train.index),
    )

"""A small synthetic data set with a known truth, and reference implementations with loops."""

import numpy as np
import pandas as pd
from estimators import make_estimator

from sklearn_selreg.judges import PrecomputedJudge

N_USERS, N_ITEMS = 40, 50
SETTINGS = {
    "factors": 6,
    "regularization": 3.0,
    "alpha": 6.0,
    "iterations": 9,
    "item_bias": 0.1,
    "backbone__missing_power": 0.5,
    "backbone__recency_power": 0.0,
    "llm_weight": 10 / 3,
    "margin": 0.1,
    "backbone__refine_iterations": 4,
    "user_col": "user",
    "item_col": "item",
    "random_state": 0,
    "n_jobs": 1,
}


class World:
    """Users and items with a true affinity; interactions drawn from it; a judge that knows it."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        taste, kind = rng.normal(size=(N_USERS, 3)), rng.normal(size=(N_ITEMS, 3))
        affinity = taste @ kind.T + 0.5 * rng.normal(size=N_ITEMS)
        liked = np.argsort(-(affinity + rng.gumbel(size=affinity.shape)), axis=1)
        n_liked = rng.integers(8, 16, N_USERS)
        rows, held_out, self.records = [], [], []
        for user in range(N_USERS):
            own = liked[user, : n_liked[user]]
            train = own[:-2]
            rows += [(user, item, place) for place, item in enumerate(train)]
            held_out += [(user, item) for item in own[-2:]]
            others = np.setdiff1d(np.arange(N_ITEMS), train)
            for shown, hidden in ((train[:3], train[3:6]), (train[-4:], train[:0])):
                candidates = np.append(hidden, rng.choice(others, 6, replace=False))
                score = affinity[user, candidates] + rng.normal(size=len(candidates))
                self.records.append(
                    {
                        "user": user,
                        "history": shown.tolist(),
                        "candidates": candidates.tolist(),
                        "ratings": (1 / (1 + np.exp(-score))).tolist(),
                    }
                )
        order = rng.permutation(len(rows))
        train = pd.DataFrame(rows, columns=["user", "item", "time"]).iloc[order]
        self.train = train.reset_index(drop=True)[["user", "item"]]
        self.times = train.reset_index(drop=True)["time"]
        self.test = pd.DataFrame(held_out, columns=["user", "item"])
        genres = np.array(["drama", "comedy", "crime"])
        self.item_data = pd.DataFrame(
            {"item": np.arange(N_ITEMS), "genre": genres[kind.argmax(axis=1)]}
        )

    @property
    def judge(self):
        return PrecomputedJudge(self.records)

    def model(self, **settings):
        return make_estimator(**(SETTINGS | settings))

    def judged(self, **settings):
        return self.model(item_data=self.item_data, **({"judge": self.judge} | settings))


def make_model(made, judge, **settings):
    """A small model of data from `make_interactions`, with a live judge."""
    settings = {
        "factors": 4,
        "iterations": 4,
        "slates__max_slates": 40,
        "slates__size": 8,
        **settings,
    }
    columns = {"user_col": "user", "item_col": "item", "time_col": "time"}
    return make_estimator(
        item_data=made.item_data, judge=judge, random_state=0, n_jobs=1, **columns, **settings
    )


# Reference implementations


def all_scores(model):
    return model.user_factors_.astype(np.float64) @ model.item_factors_.T


def same_factors(a, b):
    return np.array_equal(a.user_factors_, b.user_factors_) and np.array_equal(
        a.item_factors_, b.item_factors_
    )


def ndcg_by_loop(model, fitted, X, y):
    """NDCG@10 by a loop over users; ids are positions, and unknown ids lie beyond them."""
    scores = all_scores(model)
    results = []
    for user in sorted(set(X["user"])):
        own = X["user"] == user
        relevant = set(X["item"][own & (y > 0)])
        if not relevant:
            continue
        seen = set(fitted["item"][fitted["user"] == user]) - set(X["item"][own])
        row = scores[user] if user < len(scores) else scores.mean(axis=0)
        candidates = [i for i in range(scores.shape[1]) if i not in seen]
        ranking = sorted(candidates, key=lambda i: -row[i])
        gains = [1 / np.log2(rank + 2) for rank, i in enumerate(ranking[:10]) if i in relevant]
        results.append(sum(gains) / sum(1 / np.log2(np.arange(2, 2 + min(10, len(relevant))))))
    return np.mean(results)


def solve_user(model, popularity, columns, strengths, ages):
    """Solution of a user's least squares problem with fixed items; ages in the order of columns."""
    items = model.item_factors_[:, : model.factors].astype(np.float64)
    padded = popularity + 5
    weight = (padded / padded.mean()) ** model.missing_power_
    observed = np.array(model.alpha * strengths, dtype=float)
    if model.recency_power_:
        observed *= 3 / (1 + ages) ** model.recency_power_
    weight[columns] = observed
    left = (items * weight[:, np.newaxis]).T @ items + model.regularization * np.eye(model.factors)
    return np.linalg.solve(left, items[columns].T @ observed)


def preferences_by_loop(world):
    """Pairs of unfitted candidates and their gaps, sorted, from the records."""
    fitted = set(world.train.itertuples(index=False, name=None))
    return sorted(
        (record["user"], a, b, p - q)
        for record in world.records
        for a, p in zip(record["candidates"], record["ratings"], strict=True)
        for b, q in zip(record["candidates"], record["ratings"], strict=True)
        if p > q and not {(record["user"], a), (record["user"], b)} & fitted
    )

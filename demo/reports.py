"""Evaluation on held-out likes, averages over seeds, and comparisons."""

import numpy as np
import pandas as pd

from sklearn_selreg.metrics import compare_reports, ranking_report, users_needed

COLUMNS = [
    *("NDCG@10 overall", "NDCG@10 cold"),
    *("AUC overall", "AUC cold", "AUC warm", "AUC tail", "AUC new"),
]
ID_COLUMNS = {"user_col": "user", "item_col": "item"}
HELD_OUT = ("valid", "test", "dropped")
CANDIDATES = ("all", "without_other_likes")


def views(data, fold):
    """Return the views: name -> table of held-out likes, and likes excluded from the ranking.

    - `all` and `without_other_likes`: a fold, ranked among all items, or without the user's likes
      in the other folds.
    - `later`: the fold and those before it.
    - `cold`: likes of cold users before and shortly after their training likes. There are many,
      and no setting was ever selected on the `dropped` ones.
    - `judged`: the fold for judged users.
    """
    folds = ["valid", "test"][: ("valid", "test").index(fold) + 1]

    def likes(*names):
        return pd.concat([data[name] for name in names], ignore_index=True)

    others = likes(*(name for name in HELD_OUT if name != fold))
    before = likes("dropped", "valid")
    judged = data.judge.judged_slates().user
    return {
        "all": (data[fold], None),
        "without_other_likes": (data[fold], others),
        "later": (likes(*folds), likes(*(name for name in HELD_OUT if name not in folds))),
        "cold": (before[before["user"].map(data.cohort) == "cold"], data.test),
        "judged": (data[fold][data[fold]["user"].isin(judged)], others),
    }


def evaluate(model, data, fold, names=CANDIDATES):
    """Evaluate a model on some of the `views`."""
    available = views(data, fold)
    return {
        name: ranking_report(
            model,
            available[name][0],
            train=data.train,
            cohort=data.cohort,
            items=data.item_data["item"],
            exclude=available[name][1],
            **ID_COLUMNS,
        )
        for name in names
    }


def average(reports):
    """Average reports on the same interactions, including their details."""
    mean = sum(reports[1:], start=reports[0]) / len(reports)
    measured = {
        name: np.mean([report.details[name] for report in reports], axis=0)
        for name in ("gain", "hit", "auc")
    }
    # Positions belong to a single ranking, so averages have no hit rate, MAP or MRR.
    details = reports[0].details.drop(columns=["n_above", "n_tied"])
    mean.details, mean.k = details.assign(**measured), reports[0].k
    return mean


def pick(table, column):
    """Extract a column, e.g. "AUC cold", from a report or a comparison, as plain numbers."""
    metric, regime = column.split()
    return np.round(table.loc[regime, metric].astype(float), 6).tolist()


def difference(a, b):
    """Compare two reports: column -> difference and bounds of its 95 % interval."""
    compared = compare_reports(a, b)
    return {column: pick(compared, column) for column in COLUMNS}


def power(a, b, column="NDCG@10 overall", gap=0.005):
    """Number of users needed to detect a difference, and the basis of the estimate."""
    error, n_users, needed = pick(users_needed(a, b, gap), column)
    return {
        "difference": gap,
        "error": error,
        "sd": round(error * n_users**0.5, 4),
        "users": int(n_users),
        "needed": None if np.isnan(needed) else int(needed),  # no differences: cannot be estimated
    }

"""Evaluating models on held-out likes, averaging over seeds, and comparing."""

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
    """Name what can be evaluated on: a table of held-out likes, and likes not to be ranked.

    - `all` and `without_other_likes`: a fold, among all items and among those that are not in
      another fold of the user.
    - `later`: the fold and those before it.
    - `cold`: what cold users liked before and shortly after their training likes. They have many
      such likes, and no setting was ever chosen by the `dropped` ones.
    - `judged`: the fold of the users whom the judge was asked about.
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
    """Report on some of the `views`."""
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
    """Average reports of the same interactions, with the details they are made of."""
    mean = sum(reports[1:], start=reports[0]) / len(reports)
    measured = {
        name: np.mean([report.details[name] for report in reports], axis=0)
        for name in ("gain", "hit", "auc")
    }
    # Positions are those of one ranking; so reports that are averaged have no hit rate, MAP or MRR.
    details = reports[0].details.drop(columns=["n_above", "n_tied"])
    mean.details, mean.k = details.assign(**measured), reports[0].k
    return mean


def pick(table, column):
    """Take a column such as "AUC cold" out of a report or a comparison, as plain numbers."""
    metric, regime = column.split()
    return np.round(table.loc[regime, metric].astype(float), 6).tolist()


def difference(a, b):
    """Compare two reports: column -> difference, low and high end of its 95 % interval."""
    compared = compare_reports(a, b)
    return {column: pick(compared, column) for column in COLUMNS}


def power(a, b, column="NDCG@10 overall", gap=0.005):
    """Tell how many users it takes to see a difference, and what that was estimated from."""
    error, n_users, needed = pick(users_needed(a, b, gap), column)
    return {
        "difference": gap,
        "error": error,
        "sd": round(error * n_users**0.5, 4),
        "users": int(n_users),
        "needed": None if np.isnan(needed) else int(needed),  # nothing differs: no telling
    }

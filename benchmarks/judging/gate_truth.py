"""Does the gate estimate a judge's value correctly? Its coefficients and those of held-out likes.

Run ``python benchmarks/judging/gate_truth.py``. Prints, for each of the three recorded domains with
the fixed settings of ``gate.py``, the gate's coefficients of the rating gap, log popularity and log
ranks, and those of a logistic regression on pairs of supervision candidates with exactly one item
in the fold `valid`: likes that were not sampled and that the gate has not seen. Below are the
accuracies of the judge and of the model on these pairs. Intervals are 95 % bootstrap over users.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import gate  # isort: skip (it makes the demo importable)
import domains
import movielens

COLUMNS = ["gap", "prior_popularity", "prior_model"]
N_SAMPLES = 200


def coefficients(evidence, right, weights=None):
    """Coefficients of a logistic regression without an intercept."""
    model = LogisticRegression(C=1e6, fit_intercept=False)
    return model.fit(evidence, right, sample_weight=weights).coef_[0]


def held_out(model, likes):
    """Return evidence and outcome of preferences with exactly one held-out like."""
    table = model.preferences_
    liked = pd.MultiIndex.from_frame(likes[["user", "item"]])
    preferred, other = (
        pd.MultiIndex.from_frame(table[["user", name]]).isin(liked)
        for name in ("preferred", "other")
    )
    known = preferred != other
    return table[known], preferred[known]


def main():
    """Fit on all domains, and print the coefficients."""
    for name, settings in gate.SETTINGS.items():
        data = domains.load(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = movielens.ours(data, 0, data.judge, tuning=None, **settings)
        table, right = held_out(model, data.valid)
        evidence = table[COLUMNS].to_numpy()
        _, user = np.unique(table["user"], return_inverse=True)
        random = np.random.default_rng(0)
        samples = [
            coefficients(evidence, right, np.bincount(drawn, minlength=user.max() + 1)[user])
            for drawn in random.integers(user.max() + 1, size=(N_SAMPLES, user.max() + 1))
        ]
        low, high = np.percentile(samples, [2.5, 97.5], axis=0)
        found = [model.gate_.gap_coef_, *model.gate_.prior_coef_]
        print(f"{name}: {len(right):,} pairs of {user.max() + 1} users")
        for column, mine, true, *ends in zip(
            COLUMNS, found, coefficients(evidence, right), low, high, strict=True
        ):
            interval = "[{:.2f}, {:.2f}]".format(*ends)
            print(f"  {column:17} gate {mine:5.2f}   held out {true:5.2f} {interval}")
        model_right = np.where(table["prior_model"] == 0, 0.5, (table["prior_model"] > 0) == right)
        print(f"  the judge is right on {right.mean():.3f}, the model on {model_right.mean():.3f}")


if __name__ == "__main__":
    main()

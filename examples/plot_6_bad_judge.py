"""
A bad judge does no harm
========================

What if the language model knows nothing about your items? We take the recorded answers on MovieLens
and shuffle an increasing fraction of them among the candidates of their question. Using all of them
("global distillation", ``gate=None``) does harm. The gate detects this by itself.
"""

# %%
# Corrupting a judge
# ------------------
# Its answers are available as columns, with one row per candidate; a judge can be created from a
# list of records.
import numpy as np

from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.judges import PrecomputedJudge

data = load_movielens_coldstart()


def corrupt(judge, fraction, seed=0):
    """Shuffle the ratings of a fraction of the questions among their candidates."""
    rng = np.random.default_rng(seed)
    asked, records = judge.judged_slates(), []
    for slate, user in enumerate(asked.user.tolist()):
        shown = slice(*asked.history_indptr[slate : slate + 2])
        rows = slice(*asked.indptr[slate : slate + 2])
        ratings = asked.ratings[rows]
        records.append(
            {
                "user": user,
                "history": asked.history[shown].tolist(),
                "candidates": asked.candidates[rows].tolist(),
                "ratings": rng.permutation(ratings) if rng.random() < fraction else ratings,
            }
        )
    return PrecomputedJudge(records)


# %%
# With and without a gate
# -----------------------
# `fit` tunes its settings on the interactions. They do not depend on the judge, so they are tuned
# once, without the LLM.
import pandas as pd
from sklearn.base import clone

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.metrics import ranking_report

settings = {
    "item_data": data.item_data,
    "user_col": "user",
    "item_col": "item",
    "time_col": "time",
    "random_state": 0,
}


def auc(model):
    model.fit(data.train)
    return ranking_report(model, data.test, train=data.train, cohort=data.cohort)["AUC"]


alone = SelectiveLLMRegularizedMF(**settings)
without_llm = auc(alone)
found = alone.found_params()
fractions, rows, trust = [0, 0.25, 0.5, 1], [], []
for fraction in fractions:
    judge = corrupt(data.judge, fraction)
    selective = SelectiveLLMRegularizedMF(**settings, judge=judge).set_params(**found)
    everywhere = clone(selective).set_params(gate=None)
    rows.append({"with gate": auc(selective), "believe everything": auc(everywhere)})
    trust.append((selective.gate_.accuracy_, selective.gate_.gap_coef_))
table = pd.DataFrame(
    [{name: by_regime["overall"] for name, by_regime in row.items()} for row in rows],
    index=pd.Index(fractions, name="fraction of answers shuffled"),
)
table[["accuracy", "log-odds per gap"]] = trust
table.round(3)

# %%
# The last column is what the gate has learned about the judge: the log-odds that a gap of 1 between
# two of its ratings adds.
import matplotlib.pyplot as plt

_, panels = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for axes, regime in zip(panels, ("overall", "cold"), strict=True):
    for name, style in {"with gate": "o-C0", "believe everything": "s-C1"}.items():
        axes.plot(fractions, [row[name][regime] for row in rows], style, label=name)
    axes.axhline(without_llm[regime], color="0.3", linestyle="--", label="without LLM")
    axes.set_title("all users" if regime == "overall" else "cold users")
    axes.set_xlabel("fraction of answers shuffled")
panels[0].set_ylabel("AUC")
_ = panels[0].legend()

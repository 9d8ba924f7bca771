"""
MovieLens, end to end
=====================

Real likes of 659 people, and real answers of a language model about what they might like. Half of
the people are *cold*: only one to five of their likes are used for training. We fit models with and
without the answers, and look at what they add, for whom, and at one person's recommendations.
"""

# %%
# The data
# --------
# :func:`~sklearn_selreg.datasets.load_movielens_coldstart` returns likes in folds by time, a table
# of films, and a judge with the recorded answers.
from sklearn_selreg.datasets import load_movielens_coldstart

data = load_movielens_coldstart()
data.train.head(3)

# %%
data.item_data.head(3)

# %%
# Two models
# ----------
# Each row of `train` is one like. Both models use title, year and genres of all films. One of them
# also learns from the judge's preferences, where its gate expects them to be correct.
from sklearn_selreg import SelectiveLLMRegularizedMF

settings = {
    "item_data": data.item_data,
    "user_col": "user",
    "item_col": "item",
    "time_col": "time",
    "random_state": 0,
}
without_llm = SelectiveLLMRegularizedMF(**settings).fit(data.train)
selective = SelectiveLLMRegularizedMF(**settings, judge=data.judge).fit(data.train)
selective.judge_stats_

# %%
# How good they are
# -----------------
# :func:`~sklearn_selreg.metrics.ranking_report` ranks all films for each person and evaluates the
# ranks of the held-out likes. *Tail* refers to films with at most three likes in `train`, *new* to
# films with none.
from sklearn_selreg.metrics import compare_reports, ranking_report

reports = {
    name: ranking_report(model, data.test, train=data.train, cohort=data.cohort)
    for name, model in {"without LLM": without_llm, "selective": selective}.items()
}
reports["selective"].round(3)

# %%
# This is one run on one fold: is a difference more than chance? A paired bootstrap over users gives
# 95 % intervals.
difference = compare_reports(reports["selective"], reports["without LLM"])
difference["AUC"].round(4)

# %%
import matplotlib.pyplot as plt

auc = difference["AUC"][::-1]
_, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
axes.errorbar(
    auc["difference"],
    auc.index,
    xerr=[auc["difference"] - auc["low"], auc["high"] - auc["difference"]],
    fmt="o",
)
axes.axvline(0, color="0.3", linewidth=1)
axes.set_xlabel("AUC with the judge - AUC without, 95 % interval")
_ = axes.set_title("What the LLM adds")

# %%
# One person
# ----------
# The top of the list for a cold person, in one call. Held-out likes of this person are marked.
import pandas as pd

titles = data.item_data.set_index("item")["title"]
likes = data.train[data.train["user"].isin(data.cohort.index[data.cohort == "cold"])]
user = likes["user"].value_counts().idxmax()
held_out = set(pd.concat([data.valid, data.test]).query("user == @user")["item"])
print("liked:", ", ".join(titles[likes.query("user == @user")["item"]]))


def top_10(model):
    items = model.recommend([user], n_items=10)[0][0]
    return [f"{titles[item]}{' *' if item in held_out else ''}" for item in items]


pd.DataFrame(
    {"without LLM": top_10(without_llm), "selective": top_10(selective)}, range(1, 11)
)

# %%
# What the gate has learned
# -------------------------
# The judge's accuracy on likes that were hidden from it, the log-odds that a gap of 1 between two
# of its ratings adds, and what raises or lowers the trust in it.
gate = selective.gate_
print(f"accuracy {gate.accuracy_:.2f}, log-odds per unit of gap {gate.gap_coef_:.2f}")
{name: round(effect, 2) for name, effect in gate.context_effects_.items() if effect}

"""
When an LLM helps, and when it does not
=======================================

Three domains, each with recorded answers of a language model. It knows films, and people with long
histories of ratings like what it expects. People who post the film they saw last night like what
is on, which it does not know. And of a shop's terse product descriptions nobody can tell what goes
with what; purchases can. You need not know beforehand which of these your data are: fit with the
answers and without, and look.
"""

# %%
# Three domains
# -------------
# All have the same form: interactions in folds, what the items are, and a judge.
from sklearn_selreg.datasets import (
    load_movielens_coldstart,
    load_movietweetings_coldstart,
    load_online_retail_coldstart,
)

domains = {
    "MovieLens": load_movielens_coldstart(),
    "MovieTweetings": load_movietweetings_coldstart(),
    "Online Retail": load_online_retail_coldstart(),
}
for name, data in domains.items():
    print(f"{name}:", *data.item_data.iloc[1000, 1:])

# %%
# With the judge, and without
# ---------------------------
# With its defaults `fit` finds the settings of the factorization in the interactions. To save the
# time we give what it has found here (`found_params()` returns it); nothing else is tuned. With
# ``gate=None`` every preference counts, whether the judge has proved right or not.
from sklearn.base import clone

from sklearn_selreg import SelectiveLLMRegularizedMF

names = (
    "factors regularization alpha iterations prior_strength item_bias popularity_periods"
)
names = [*names.split(), "strengths", "backbone__missing_power", "backbone__recency_power"]
found = {
    "MovieLens": [64, 88, 40, 24, 2.5, 0.15, 8, "raw", 0.5, 0.65],
    "MovieTweetings": [64, 352, 160, 12, 2.5, 1.5, 1, "raw", 1, 0],
    "Online Retail": [256, 88, 40, 6, 0.625, 0.15, 8, "raw", 1, 1.5],
}
models = {}
for name, data in domains.items():
    settings = dict(zip(names, found[name], strict=True))
    without = SelectiveLLMRegularizedMF(
        item_data=data.item_data,
        user_col="user",
        item_col="item",
        time_col="time",
        random_state=0,
    ).set_params(**settings)
    models[name] = {
        "without LLM": without,
        "selective": clone(without).set_params(judge=data.judge),
        "everywhere": clone(without).set_params(judge=data.judge, gate=None),
    }
    for model in models[name].values():
        model.fit(data.train)

# %%
# What it adds
# ------------
# We look at the people whom the judge was asked about: for others hardly anything can change. Their
# likes in other folds are no misses, so they are taken out of the list.
import pandas as pd

from sklearn_selreg.metrics import compare_reports, ranking_report, users_needed

rows, needed = {}, {}
for name, data in domains.items():
    judged = set(models[name]["selective"].preferences_["user"])
    reports = {
        use: ranking_report(
            model,
            data.test[data.test["user"].isin(judged)],
            train=data.train,
            cohort=data.cohort,
            exclude=pd.concat([data.valid, data.dropped]),
        )
        for use, model in models[name].items()
    }
    for use in ("selective", "everywhere"):
        difference = compare_reports(reports[use], reports["without LLM"])
        for metric in ("NDCG@10", "AUC"):
            rows[metric, use, name] = difference.loc["overall", metric]
    needed[name] = users_needed(reports["selective"], reports["without LLM"]).loc["overall"]
gains = pd.DataFrame(rows).T.sort_index()
gains.round(4)

# %%
# NDCG@10 is about the top of the list, AUC about the whole of it. On MovieLens the LLM lifts the
# top. On MovieTweetings it only helps below: what belongs at the top there is what is popular this
# week, and whoever believes all that the LLM says pays dearly for it; selectively a little. On
# Online Retail there is little to gain.
import matplotlib.pyplot as plt

figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for axes, metric in zip(panels, ("NDCG@10", "AUC"), strict=True):
    for shift, (use, color) in enumerate({"selective": "C0", "everywhere": "C1"}.items()):
        gain = gains.loc[metric, use]
        axes.errorbar(
            gain["difference"],
            [place + 0.2 * shift for place in range(len(gain))],
            xerr=[gain["difference"] - gain["low"], gain["high"] - gain["difference"]],
            fmt="o",
            color=color,
            label=use,
        )
    axes.axvline(0, color="0.3", linewidth=1)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(f"{metric} with the LLM - without, 95 % interval")
panels[0].set_yticks([0.1, 1.1, 2.1], domains)
panels[0].invert_yaxis()
_ = figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)

# %%
# How many judged people it takes to see a difference of .005 in 4 of 5 cases, and how many we have.
pd.DataFrame(needed).T["NDCG@10"][["users", "needed"]].astype("Int64")

# %%
# What the model says
# -------------------
# You need none of this to find out: the gate has tried the judge on interactions it was not shown.
for name in domains:
    print(f"{name}: {models[name]['selective'].judge_summary_}")

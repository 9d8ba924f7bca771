"""
When an LLM helps, and when it does not
=======================================

Three domains, each with recorded answers of a language model. On MovieLens, the model knows the
films, and people with long rating histories like what it expects. On MovieTweetings, people post
the film they saw last night, and like what is currently showing, which the model does not know. On
Online Retail, terse product descriptions do not show which products go together, but purchases do.
You do not need to know beforehand which case applies to your data: fit with and without the
answers, and compare.
"""

# %%
# Three domains
# -------------
# All have the same format: interactions in folds, a table of items, and a judge.
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
# With and without the judge
# --------------------------
# By default, `fit` tunes the settings of the factorization on the interactions. To save time, we
# pass the values it has found here (as returned by `found_params()`); nothing else is tuned. With
# ``gate=None``, every preference counts, whether or not the judge has proved right.
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
# We evaluate on the judged users, since little can change for others. Their likes in other folds
# are excluded from the ranking, because they are not errors.
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
# NDCG@10 evaluates the top of the list, AUC the whole list. On MovieLens, the LLM improves the top.
# On MovieTweetings it helps only below: the top should contain what is popular this week, and using
# all of the LLM's preferences costs much there, selective use a little. On Online Retail there is
# little to gain.
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
# Number of judged users, and the number needed to detect a difference of .005 with a power of 80 %.
pd.DataFrame(needed).T["NDCG@10"][["users", "needed"]].astype("Int64")

# %%
# The model's own summary
# -----------------------
# None of this is required: the gate has tested the judge on interactions that were hidden from it.
for name in domains:
    print(f"{name}: {models[name]['selective'].judge_summary_}")

"""
GridSearchCV
============

The estimator works with scikit-learn's splitters and searches, with one row per interaction. We
search over two parameters on MovieLens, and look at the scores.
"""

# %%
# Shuffle the rows: in a table sorted by user, unshuffled folds would contain users without training
# interactions. The score is the mean NDCG@10 over users.
import pandas as pd
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import load_movielens_coldstart

data = load_movielens_coldstart()
model = SelectiveLLMRegularizedMF(
    factors=32,
    iterations=10,
    tuning=None,  # fixed values for all other settings, instead of tuning in each fit
    item_data=data.item_data,
    user_col="user",
    item_col="item",
    time_col="time",
    random_state=0,
)
search = GridSearchCV(
    model,
    {"regularization": [40, 85, 170], "backbone__missing_power": [0, 0.5]},
    cv=KFold(3, shuffle=True, random_state=0),
)
search.fit(data.train)
search.best_params_

# %%
# Each point is the mean of three folds, with its standard error. Smaller differences mean little.
import matplotlib.pyplot as plt

results = pd.DataFrame(search.cv_results_)
_, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for missing_power, rows in results.groupby("param_backbone__missing_power"):
    axes.errorbar(
        rows["param_regularization"].astype(float),
        rows["mean_test_score"],
        yerr=rows["std_test_score"] / 3**0.5,
        marker="o",
        label=f"missing_power={missing_power}",
    )
axes.set_xscale("log")
axes.set_xticks([40, 85, 170], [40, 85, 170])
axes.minorticks_off()
axes.set_xlabel("regularization")
axes.set_ylabel("NDCG@10, mean of three folds")
_ = axes.legend()

# %%
# `best_estimator_` is fitted on all rows, and can recommend.
items, _ = search.best_estimator_.recommend([2], n_items=5)
data.item_data.set_index("item").loc[items[0]]

# %%
# With a judge
# ------------
# A judge's questions depend only on the rows and on the parameters of `slates`, not on `factors`,
# `regularization`, `llm_weight` or the gate. Within a fold, all settings of a search share the
# answers. The number of slates is known beforehand:
from sklearn_selreg.judges import AnthropicJudge

model.set_params(judge=AnthropicJudge(max_cost=5, cache=None), slates__max_slates=200)
plan = model.plan_judging(data.train, cv=search.cv)
plan.n_fits, plan.estimate

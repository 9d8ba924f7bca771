"""
Asking Claude, live and in batches, within a budget
===================================================

What judging costs, what happens at the limit, and how to continue from there.

.. note::

   The judge, its requests and its accounting are real, but the service is not: to build this page
   without an API key or network access, a small local server
   (:download:`replay.py <../../../examples/replay.py>`) replays recorded answers of a Claude model.
   With an API key, leave out ``base_url``.
"""

# %%
# Slates
# ------
# Usually the estimator selects the slates. Here we use the recorded ones: a user, the user's
# history, and candidates, with their texts.
from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.judges import Slate

data = load_movielens_coldstart()
texts = {
    film.item: f"{film.title}, {film.year:.0f}, {film.genres}"
    for film in data.item_data.itertuples()
}
record, slates = data.judge.judged_slates(), []
for n, user in enumerate(record.user.tolist()):
    shown = slice(*record.history_indptr[n : n + 2])
    asked = slice(*record.indptr[n : n + 2])
    ids = record.history[shown].tolist(), record.candidates[asked].tolist()
    slates.append(Slate(user, *ids, *([texts[item] for item in part] for part in ids)))
print(slates[0].history_texts[0], "->", slates[0].candidate_texts[0])

# %%
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from replay import start_replay_server

address = start_replay_server(slates, data.judge.rate(slates))
os.environ.setdefault("ANTHROPIC_API_KEY", "not-needed-here")
folder = TemporaryDirectory()
cache = Path(folder.name) / "answers.sqlite"  # by default a file in your cache directory

# %%
# What would it cost?
# -------------------
# Each question is asked with its candidates in two orders. `max_cost` of the estimate is an upper
# bound, and the amount that the judge reserves from its budget.
import pandas as pd

from sklearn_selreg.judges import AnthropicJudge

judge = AnthropicJudge(max_cost=0.05, cache=cache, base_url=address)
pd.Series(vars(judge.estimate_cost(slates)), dtype=object)

# %%
# Live, until the budget is used up
# ---------------------------------
# Five cents are not enough for all slates. A request is sent only if its worst case fits the
# remaining budget. Otherwise there is one warning, and the other slates remain unanswered.
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    ratings = judge.rate(slates)
print(caught[0].message)

# %%
import numpy as np

answered = sum(not np.isnan(rated).all() for rated in ratings)
print(f"{answered} of {len(slates)} slates have an answer")
live = pd.Series(judge.stats_, dtype=object)
live

# %%
# The rest in a batch, at half the price
# --------------------------------------
# With the same cache, nothing is asked twice, and both limits apply to all its answers. The Message
# Batches API may take up to 24 hours; if this process ends, call `rate` again later.
batch_judge = AnthropicJudge(
    max_cost=2, cache=cache, base_url=address, batch=True, batch_poll=0.1
)
pd.Series(vars(batch_judge.estimate_cost(slates)), dtype=object)

# %%
ratings = batch_judge.rate(slates)
pd.Series(batch_judge.stats_, dtype=object)

# %%
# The cost of a thousand answers:
import matplotlib.pyplot as plt

batch = {name: batch_judge.stats_[name] - live[name] for name in ("cost", "answers")}
costs = [1000 * part["cost"] / part["answers"] for part in (live, batch)]
_, axes = plt.subplots(figsize=(5.5, 1.8), layout="constrained")
axes.bar_label(axes.barh(["live", "batch"], costs), fmt="$%.3f", padding=4)
axes.invert_yaxis()
axes.margins(x=0.2)
_ = axes.set_xlabel("USD per 1,000 answers")

# %%
# Use the answers
# ---------------
# An export contains all answers and can be used on any machine without an API key. Fitting with it
# gives the same results as with the recorded judge, except that ratings were rounded to integers
# from 0 to 99.
from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.judges import PrecomputedJudge

exported = Path(folder.name) / "answers.jsonl"
batch_judge.export(exported)
model = SelectiveLLMRegularizedMF(
    item_data=data.item_data,
    judge=PrecomputedJudge(exported),
    user_col="user",
    item_col="item",
    time_col="time",
    random_state=0,
)
model.fit(data.train).judge_stats_

# %%
# In one step
# -----------
# A live judge passed to the estimator is queried during `fit`. The number of its questions and
# their cost are known beforehand:
model.set_params(judge=batch_judge, slates__max_slates=500)
pd.Series(vars(model.plan_judging(data.train).estimate), dtype=object)

# %%
# ``model.fit(data.train)`` would now ask about these slates. (The local server cannot answer them,
# because they were not recorded.)

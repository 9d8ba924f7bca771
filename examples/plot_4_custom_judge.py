"""
A custom judge in 20 lines
==========================

A judge is anything that can rate how much a user would like each candidate: a language model on
your own server, a classifier, editorial rules. Override `_rate`; the base class caches the answers
and asks each question once, and the estimator selects the questions.
"""

# %%
# The judge
# ---------
# This one compares genres and years. It reads the texts of a
# :class:`~sklearn_selreg.judges.Slate`, which the estimator generates from `item_data`. Ratings are
# in [0, 1]; NaN means no opinion.
import re

from sklearn_selreg import LLMJudge


class GenreJudge(LLMJudge):
    reads_texts = True

    def __init__(self, year_scale=20.0):
        self.year_scale = year_scale

    def _rate(self, slates):
        for slate in slates:
            liked = [self._read(text) for text in slate.history_texts]
            candidates = [self._read(text) for text in slate.candidate_texts]
            yield [self._similarity(film, liked) for film in candidates]

    def _read(self, text):
        year = re.search(r"year: (\d{4})", text)
        genres = set(re.findall(r"[A-Z]\w+", text.split("genres:")[-1]))
        return genres, int(year[1]) if year else 0

    def _similarity(self, film, liked):
        genres, year = film
        near = [
            len(genres & g) / len(genres | g or {0}) / (1 + abs(year - y) / self.year_scale)
            for g, y in liked
        ]
        return max(near, default=float("nan"))


# %%
# Its questions
# -------------
# `plan_judging` returns the slates without querying the judge. This is one of them:
from sklearn_selreg import SelectiveLLMRegularizedMF, SlateSampler
from sklearn_selreg.datasets import load_movielens_coldstart

data = load_movielens_coldstart()
model = SelectiveLLMRegularizedMF(
    item_data=data.item_data,
    judge=GenreJudge(),
    slates=SlateSampler(max_slates=300),
    user_col="user",
    item_col="item",
    time_col="time",
    random_state=0,
)
slate = model.plan_judging(data.train).slates[0]
print(*slate.history_texts, "-- candidates:", *slate.candidate_texts[:5], "...", sep="\n")

# %%
model.judge.rate([slate])[0].round(2)

# %%
# Is it useful?
# -------------
# Some of the slates hide known likes among the candidates. From these, the gate learns how often
# the judge is right, and what it adds to popularity and to the model itself.
model.fit(data.train)
gate = model.gate_
print(f"right on {gate.accuracy_:.0%} of the pairs with a known outcome")
gate.log_loss_

# %%
# `prior` is the cross-validated log-loss without the judge, `selected` with it. Each preference
# gets a weight, which is 0 for preferences of little use.
import matplotlib.pyplot as plt

_, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
weight = model.preferences_["weight"]
axes.hist(weight[weight > 0], bins=40)
axes.set_title(f"{(weight > 0).mean():.0%} of the preferences have a weight above 0")
axes.set_xlabel("their weight, in log-odds")
_ = axes.set_ylabel("preferences")

# %%
# Test it
# -------
# :class:`~sklearn_selreg.judges.testing.JudgeContract` contains tests that every judge should pass:
# cloning, pickling, caching, multiple processes. Put this into a pytest module::
#
#     from sklearn_selreg.judges.testing import JudgeContract
#
#
#     class TestGenreJudge(JudgeContract):
#         def make_judge(self):
#             return GenreJudge()
#
# A function can be a judge as well: `LLMJudge.from_callable(f, name="mine", version="1")`.

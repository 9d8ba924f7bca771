"""
A judge of your own, in 20 lines
================================

A judge is whatever can say how much somebody would like each of some items: a language model on
your own server, a colleague's classifier, rules of an editor. Override `_rate`; the base class
keeps the answers and asks each question once, and the estimator chooses what to ask.
"""

# %%
# The judge
# ---------
# This one goes by shared genres and by years: it reads the texts of a
# :class:`~sklearn_selreg.judges.Slate`, which the estimator makes of `item_data`. Ratings are in
# [0, 1]; NaN is no opinion.
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
# What it is asked
# ----------------
# `plan_judging` shows the slates without asking about them. This is one of them:
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
# Is it worth anything?
# ---------------------
# Nobody needs to guess. Some of the slates hide known likes among the candidates, and from these
# the gate learns how often the judge is right, and what it adds to popularity and to the model
# itself.
model.fit(data.train)
gate = model.gate_
print(f"right on {gate.accuracy_:.0%} of the pairs with a known outcome")
gate.log_loss_

# %%
# `prior` is the cross-validated log-loss without the judge, `selected` with it. Each preference
# gets a weight; those of little use get 0.
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
# :class:`~sklearn_selreg.judges.testing.JudgeContract` holds the tests that any judge should pass:
# cloning, pickling, caching, several processes. Put this into a test module of pytest::
#
#     from sklearn_selreg.judges.testing import JudgeContract
#
#
#     class TestGenreJudge(JudgeContract):
#         def make_judge(self):
#             return GenreJudge()
#
# A function can be a judge, too: `LLMJudge.from_callable(f, name="mine", version="1")`.

"""A fit or refit that raises or is interrupted leaves the model unchanged."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.judges import PrecomputedJudge

COLUMNS = {"user_col": "user", "item_col": "item", "factors": 4, "random_state": 0}


class Stop(BaseEstimator):
    """A gate that interrupts its calibration."""

    def fit(self, Z, y, groups=None):
        raise KeyboardInterrupt

    def transform(self, Z):
        raise AssertionError


@pytest.fixture
def likes():
    pairs = np.unique(np.random.default_rng(0).integers(0, 30, (300, 2)), axis=0)
    return pd.DataFrame(pairs, columns=["user", "item"])


def make_judge(likes, seed=0):
    rng = np.random.default_rng(seed)
    records = []
    for user, items in likes.groupby("user")["item"]:
        items = items.tolist()
        others = np.setdiff1d(np.arange(30), items)[:4].tolist()
        record = {"user": user, "history": items[:2], "candidates": items[2:4] + others}
        records.append(record | {"ratings": rng.uniform(size=len(record["candidates"])).tolist()})
    return PrecomputedJudge(records)


def state(model):
    return {name: value for name, value in vars(model).items() if name not in model.get_params()}


def check_as_it_was(model, before, likes, scores):
    after = state(model)
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)
    np.testing.assert_array_equal(model.predict(likes), scores)
    assert len(model.recommend(model.users_, 3)[0]) == len(model.users_)


def test_a_refit_that_raises_leaves_the_model(likes):
    model = SelectiveLLMRegularizedMF(**COLUMNS).fit(likes)
    before, scores = state(model), model.predict(likes)
    strange = {"user": 999, "history": [1], "candidates": [2, 3], "ratings": [0.1, 0.9]}
    model.set_params(judge=PrecomputedJudge([strange]))
    with pytest.raises(ValueError, match="No slate of the judge matches the interactions"):
        model.fit(likes[likes["user"] >= 5])
    check_as_it_was(model, before, likes, scores)


def test_a_refit_that_is_interrupted_leaves_the_model(likes):
    model = SelectiveLLMRegularizedMF(**COLUMNS, judge=make_judge(likes), gate=None).fit(likes)
    before, scores = state(model), model.predict(likes)
    fewer = likes[likes["user"] >= 5]
    model.set_params(gate=Stop(), judge=make_judge(fewer))
    with pytest.raises(KeyboardInterrupt):
        model.fit(fewer)
    check_as_it_was(model, before, likes, scores)


def test_a_first_fit_that_raises_leaves_no_half_model(likes):
    model = SelectiveLLMRegularizedMF(**COLUMNS, judge=make_judge(likes), gate=Stop())
    with pytest.raises(KeyboardInterrupt):
        model.fit(likes)
    assert not state(model)


def test_refining_that_is_interrupted_leaves_what_was_refined(likes):
    fitted = SelectiveLLMRegularizedMF(**COLUMNS, item_bias=0).fit(likes)
    parts = fitted.users_, fitted.items_, fitted.user_factors_, fitted.item_factors_
    model = SelectiveLLMRegularizedMF.from_factors(
        *parts, judge=make_judge(likes), gate=None, user_col="user", item_col="item"
    ).refine(likes)
    before, scores = state(model), model.predict(likes)
    assert not np.array_equal(scores, fitted.predict(likes))
    with pytest.raises(KeyboardInterrupt):
        model.set_params(gate=Stop(), judge=make_judge(likes, 1)).refine(likes)
    check_as_it_was(model, before, likes, scores)


def test_folding_in_that_raises_leaves_the_model(likes):
    model = SelectiveLLMRegularizedMF(**COLUMNS).fit(likes)
    before, scores = state(model), model.predict(likes)
    with pytest.raises(ValueError, match="must not contain missing"):
        model.fold_in(pd.DataFrame({"user": [99], "item": [1]}), y=[np.nan])
    check_as_it_was(model, before, likes, scores)

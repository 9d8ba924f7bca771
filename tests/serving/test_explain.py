"""Explanations: contributions sum to the score, and agree with the fit."""

import copy

import numpy as np
import pandas as pd
import pytest
from estimators import make_estimator
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import FunctionTransformer
from worlds import N_ITEMS

from sklearn_selreg import SelectiveLLMRegularizedMF

CASES = {
    "plain": {"item_data": None, "item_bias": 0.0, "backbone__missing_power": 0.0},
    "features": {},
    "recency": {"backbone__recency_power": 0.6},
    "no bias": {"item_bias": 0.0, "backbone__recency_power": 0.6},
    "judge": {"judged": True},
    "judge without gate": {"judged": True, "gate": None},
    "judge and recency": {"judged": True, "backbone__recency_power": 0.6},
    "judge alone": {
        "judged": True,
        "item_data": None,
        "backbone__missing_power": 0.0,
        "item_bias": 0.0,
    },
}


def make(world, case, **more):
    settings = {"item_data": world.item_data} | CASES[case] | more
    if settings.pop("judged", False):
        settings["judge"] = world.judge
    return world.model(**settings)


@pytest.mark.parametrize("by_feature", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_contributions_sum_to_the_score(world, case, by_feature):
    model = make(world, case).fit(world.train)
    model.fold_in(pd.DataFrame({"user": [-1, -1, 2], "item": [4, 9, 3]}), known="replace")
    for user in (0, 2, 31, -1, 10**6):  # fitted, folded in again, fitted, folded in, unknown
        for item in (0, 7, N_ITEMS - 1):
            table = model.explain(user, item, by_feature=by_feature)
            assert table.columns.tolist() == ["kind", "source", "contribution"]
            assert np.isfinite(table["contribution"]).all()
            score = model.predict(pd.DataFrame({"user": [user], "item": [item]}))[0]
            assert table["contribution"].sum() == pytest.approx(score, abs=1e-6)
            for _, part in table.groupby("kind"):
                assert part["contribution"].is_monotonic_decreasing
    assert len(model.users_) == len(world.train["user"].unique()) + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["plain", "features", "judge", "judge without gate", "judge alone"]
)
def test_nothing_remains_at_the_fixed_point(world, case):
    # Contributions are computed independently of the fit, so this only holds if they are right.
    judged = CASES[case].get("judged")
    more = {"backbone__refine_iterations": 995} if judged else {}
    model = make(world, case, iterations=1000, regularization=8.0, **more).fit(world.train)
    remainders, parts = [], []
    for user in range(0, 40, 5):
        for item in range(0, N_ITEMS, 7):
            table = model.explain(user, item).set_index("kind")["contribution"]
            remainders.append(table.pop("remainder"))
            parts.append(table.groupby(level=0).sum())
    assert np.abs(remainders).max() < 2e-4
    size = pd.DataFrame(parts).fillna(0).abs().max()
    assert set(size.index) == {
        "history",
        *(["feature"] if case not in ("plain", "judge alone") else []),
        *(["bias"] if case not in ("plain", "judge alone") else []),
        *(["preference", "item_preference"] if judged else []),
    }
    assert size.min() > 0.02  # so none is so small that an error would go unnoticed


def test_history_without_judge_is_what_folding_in_gives(world):
    # Without preferences, a user's factors are determined by the history.
    model = make(world, "recency", item_data=None, iterations=60).fit(world.train)
    table = model.explain(5, 3)
    own = world.train["item"][world.train["user"] == 5]
    history = table[table["kind"] == "history"]
    assert set(history["source"]) == set(own)
    # The right-hand side is linear in the confidences: omit one, keep the matrix.
    assert set(table["kind"]) == {"history", "bias", "remainder"}


def test_last_update_leaves_no_remainder_on_the_side_of_the_user(world):
    # Folding in a user with the same rows removes only the effect of preferences.
    model = make(world, "judge and recency", gate=None).fit(world.train)
    user, items = 3, np.arange(N_ITEMS)
    pairs = pd.DataFrame({"user": user, "item": items})
    before = model.predict(pairs)
    tables = [model.explain(user, i).groupby("kind")["contribution"].sum() for i in items]
    preferred = pd.DataFrame(tables)["preference"].to_numpy()
    own = world.train[world.train["user"] == user]
    change = before - model.fold_in(own, known="replace").predict(pairs)
    assert np.std(change) > 0.02
    assert np.corrcoef(preferred, change)[0, 1] > 0.95
    after = model.explain(user, 0)
    assert "preference" not in set(after["kind"])
    assert "item_preference" in set(after["kind"])


def test_preferred_items_push_up(world):
    model = make(world, "judge", gate=None).fit(world.train)
    first, last = [], []
    for record in world.records[:20]:
        user, ratings = record["user"], np.array(record["ratings"])
        new = ~np.isin(record["candidates"], world.train["item"][world.train["user"] == user])
        items = np.array(record["candidates"])[new][np.argsort(-ratings[new])]
        for item, into in ((items[0], first), (items[-1], last)):
            table = model.explain(user, item)
            own = table[(table["kind"] == "preference") & (table["source"] == item)]
            into.append(own["contribution"].sum())
    assert np.mean(first) > 0.01
    assert np.mean(last) < -0.03
    assert np.mean(first) - np.mean(last) > 0.06


def test_an_item_that_nobody_has_is_explained_by_what_it_is(world):
    data = pd.concat([world.item_data, world.item_data.iloc[[4]].assign(item=999)])
    model = make(world, "features", item_data=data).fit(world.train)
    table = model.explain(8, 999)
    parts = table.groupby("kind")["contribution"].agg(lambda c: c.abs().max())
    assert parts["history"] < 1e-12 < parts["feature"]
    names = model.item_encoder_.get_feature_names_out()
    assert set(table["source"][table["kind"] == "feature"]) <= set(names)
    by_history = model.explain(8, 999, by_feature=False)
    assert "feature" not in set(by_history["kind"])
    for kind in ("history", "feature"):
        listed = table if kind == "feature" else by_history
        total = listed["contribution"][listed["kind"] == kind].sum()
        assert total == pytest.approx(table["contribution"].iloc[:-2].sum(), rel=1e-6)


def test_unknown_user_is_the_mean_user(world):
    model = make(world, "judge").fit(world.train)
    table = model.explain(10**6, 3)
    assert (table["kind"] == "mean_user").sum() == 1
    assert not {"history", "preference"} & set(table["kind"])
    assert table["source"][table["kind"] == "mean_user"].tolist() == [None]


def test_ids_come_back_as_they_are():
    likes = [["ann", "Alien"], ["ann", 7], ["bob", "Alien"], ["cat", 7], ["cat", "Up"]]
    model = SelectiveLLMRegularizedMF(factors=2, regularization=1, random_state=0).fit(likes)
    table = model.explain("bob", 7)
    assert table["source"].tolist() == ["Alien", None, None]
    assert model.explain("ann", "Up")["source"].tolist()[:2] in (["Alien", 7], [7, "Alien"])


def test_features_without_names_are_counted(world):
    plain = FunctionTransformer(lambda frame: np.ones((len(frame), 2)))
    model = make(world, "features", item_encoder=plain).fit(world.train)
    table = model.explain(0, 0)
    assert set(table["source"][table["kind"] == "feature"]) == {"feature 0", "feature 1"}


def test_unknown_item_and_unfitted_model(world):
    model = make(world, "plain")
    with pytest.raises(NotFittedError):
        clone(model).explain(0, 0)
    with pytest.raises(KeyError, match="1 of 1 item ids are unknown to the model: 'x'"):
        model.fit(world.train).explain(0, "x")


@pytest.mark.parametrize("by_feature", [True, False])
def test_more_features_than_items(by_feature):
    # For every pair, features of any number are named, and not confused with items.
    rng = np.random.default_rng(0)
    n_items = 30
    X = pd.DataFrame({"user": rng.integers(0, 40, 400), "item": rng.integers(0, n_items, 400)})
    items = pd.DataFrame(
        {
            "item": range(n_items),
            "name": [f"word{k} thing{k % 7} color{k % 5}" for k in range(n_items)],
            "price": rng.normal(size=n_items),
            "weight": rng.normal(size=n_items),
        }
    )
    model = SelectiveLLMRegularizedMF(
        user_col="user", item_col="item", item_data=items, random_state=0, iterations=3
    ).fit(X)
    names = model.item_encoder_.get_feature_names_out()
    assert len(names) > 2 * n_items
    for user in range(0, 40, 7):
        owned = set(X["item"][X["user"] == user])
        for item in range(n_items):
            table = model.explain(user, item, by_feature=by_feature)
            score = model.predict(pd.DataFrame({"user": [user], "item": [item]}))[0]
            assert table["contribution"].sum() == pytest.approx(score, abs=1e-5)
            source = {kind: set(part["source"]) for kind, part in table.groupby("kind")}
            assert source["history"] == owned
            if by_feature:
                assert source["feature"] == set(names[model._fitted.features[[item]].indices])


def test_features_are_solved_for_once_until_they_change():
    rng = np.random.default_rng(0)
    likes = pd.DataFrame({"user": rng.integers(0, 20, 200), "item": rng.integers(0, 30, 200)})
    kinds = pd.DataFrame({"kind": [f"kind {k % 4}" for k in range(30)]})
    columns = {"user_col": "user", "item_col": "item"}
    model = make_estimator(**columns, factors=3, item_data=kinds, tuning=None, random_state=0).fit(
        likes
    )
    first = model.explain(1, 2)
    solved = model._fitted.item_cache["coefficients"]
    pd.testing.assert_frame_equal(model.explain(1, 2), first)
    model.fold_in(pd.DataFrame({"user": [99], "item": [3]})).explain(99, 2)
    assert model._fitted.item_cache["coefficients"] is solved
    model.fold_in_items(kinds[:3].set_axis([900, 901, 902]))
    anew = copy.deepcopy(model)
    anew._fitted.item_cache.clear()
    for item in (2, 901):
        pd.testing.assert_frame_equal(model.explain(1, item), anew.explain(1, item))
    assert model._fitted.item_cache["coefficients"] is not solved
    refitted = model.fit(likes[:150])
    anew = copy.copy(refitted)
    anew._fitted.item_cache.clear()
    pd.testing.assert_frame_equal(refitted.explain(1, 2), anew.explain(1, 2))

"""Popularity over time: periods, the period of each user, and effects on scores."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimators import make_estimator

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg._data._interactions import index_interactions
from sklearn_selreg._data._periods import (
    PopularityOverTime,
    period_positions,
    period_weights,
    times_to_numbers,
)
from sklearn_selreg.exceptions import DataWarning
from sklearn_selreg.metrics import ranking_report

COLUMNS = {"user_col": "user", "item_col": "item"}

SETTINGS = {
    "factors": 4, "regularization": 5.0, "alpha": 5.0, "iterations": 5, "item_bias": 0.5,
    "backbone__recency_power": 0.0, "user_col": "user", "item_col": "item", "random_state": 0,
    "n_jobs": 1,
}  # fmt: skip

SAMPLED = {name: value for name, value in SETTINGS.items() if not name.startswith("backbone__")}
BACKBONES = {
    "als": SETTINGS,
    "bpr": SAMPLED | {"backbone": "bpr", "alpha": None},
    "lmf": SAMPLED | {"backbone": "lmf", "alpha": None},
}


@pytest.fixture
def table():
    """Even items are popular early, odd ones late; each user is active for a short time."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(60):
        begin = rng.uniform(0, 1000)
        odd = begin / 1000
        for item in rng.choice(20, 6, replace=False, p=np.tile([1 - odd, odd], 10) / 10):
            rows.append((f"u{user:02}", item, begin + rng.uniform(0, 20)))
    return pd.DataFrame(rows, columns=["user", "item", "time"])


def fit(table, time_col="time", **settings):
    return make_estimator(time_col=time_col, **SETTINGS | settings).fit(table)


def test_periods_hold_about_equally_many(table):
    interactions = index_interactions(table, user_col="user", item_col="item", time_col="time")
    trend = PopularityOverTime.of(interactions, 5)
    assert len(trend.centers) == 5
    np.testing.assert_allclose(trend.centers, np.quantile(table["time"], [0.1, 0.3, 0.5, 0.7, 0.9]))
    counts = trend.counts_by_period()
    np.testing.assert_allclose(counts.sum(axis=1), interactions.matrix.getnnz(axis=0), rtol=1e-6)
    np.testing.assert_allclose(counts.sum(axis=0), len(table) / 5, rtol=0.15)


def test_popularity_is_counted_by_hand(table):
    interactions = index_interactions(table, user_col="user", item_col="item", time_col="time")
    centers = np.quantile(table["time"], [1 / 6, 3 / 6, 5 / 6])
    expected = np.zeros((20, 3))
    left_out = [3, 10]
    for user, item, time in table.itertuples(index=False):
        if int(user[1:]) in left_out:
            continue
        for period in range(3):
            hat = np.interp(time, centers, np.eye(3)[period])
            expected[item, period] += hat
    found = PopularityOverTime.of(interactions, 3).counts_by_period(np.array(left_out))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_users_are_in_the_period_of_their_newest_interaction(table):
    model = fit(table, popularity_periods=4)
    centers = np.quantile(table["time"], np.array([1, 3, 5, 7]) / 8)
    newest = table.groupby("user")["time"].max()[model.users_]
    shares = np.column_stack([np.interp(newest, centers, unit) for unit in np.eye(4)])
    np.testing.assert_allclose(model.user_factors_[:, 4:], shares, atol=1e-4)
    assert model.item_factors_.shape == (20, 8)


def test_what_was_popular_at_that_time_scores_higher(table):
    model = fit(table)
    gain = model.item_factors_[1::2, 4:].mean(axis=0) - model.item_factors_[::2, 4:].mean(axis=0)
    assert gain.shape == (8,)
    assert gain[0] < -0.1 and gain[-1] > 0.1


def test_now_is_the_last_period_for_everyone(table):
    model = fit(table, popularity_at="last")
    assert (model.user_factors_[:, 4:] == np.eye(8)[-1]).all()
    history = table[table["user"] == "u00"].assign(user="new", time=-1e6)
    np.testing.assert_array_equal(model.fold_in(history).user_factors_[-1, 4:], np.eye(8)[-1])


def test_folded_in_users_have_the_period_of_their_history(table):
    model = fit(table)
    history = table[table["user"] == "u07"].assign(user="new")
    model.fold_in(history)
    row = np.flatnonzero(model.users_ == "u07")[0]
    np.testing.assert_allclose(model.user_factors_[-1, 4:], model.user_factors_[row, 4:], atol=1e-6)
    pairs = pd.DataFrame({"user": ["new"] * 20, "item": range(20)})
    expected = model.user_factors_[-1] @ model.item_factors_.T
    np.testing.assert_allclose(model.predict(pairs), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("how", ["no time", "one period", "one moment", "no bias"])
def test_without_trend_there_is_a_single_column_at_most(table, how):
    settings = {
        "no time": {"time_col": None},
        "one period": {"popularity_periods": 1},
        "one moment": {},
    }
    if how == "one moment":
        table = table.assign(time=5)
    model = fit(table, **settings.get(how, {"item_bias": 0}))
    wide = 0 if how == "no bias" else 1
    assert model.user_factors_.shape[1] == model.item_factors_.shape[1] == 4 + wide
    assert (model.user_factors_[:, 4:] == 1).all()


def test_datetimes_are_times_like_others(table):
    moments = pd.Timestamp("2020-01-01") + pd.to_timedelta(table["time"].round(), unit="h")
    by_hour = fit(table.assign(time=table["time"].round()))
    by_date = fit(table.assign(time=moments))
    np.testing.assert_allclose(by_date.user_factors_, by_hour.user_factors_, atol=1e-5)
    zoned = fit(table.assign(time=moments.dt.tz_localize("UTC")))
    np.testing.assert_allclose(zoned.user_factors_, by_date.user_factors_, atol=1e-6)
    assert times_to_numbers(np.array(["1970-01-01T00:00:02"], dtype="M8[s]")).tolist() == [2e6]


def test_saved_models_know_their_periods(table, tmp_path):
    model = fit(table)
    model.save(tmp_path / "m")
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "m")
    history = table[table["user"] == "u31"].assign(user="new")
    pairs = pd.DataFrame({"user": ["new", "u02"], "item": [4, 5]})
    expected = model.fold_in(history).predict(pairs)
    np.testing.assert_array_equal(loaded.fold_in(history).predict(pairs), expected)


@pytest.mark.parametrize("backbone", ["als", "bpr", "lmf"])
def test_each_backbone_has_periods(table, backbone):
    model, flat = (
        make_estimator(time_col="time", **BACKBONES[backbone], **periods).fit(table)
        for periods in ({}, {"popularity_periods": 1})
    )
    assert model.item_factors_.shape[1] == 4 + 8
    np.testing.assert_allclose(model.item_factors_[:, :4], flat.item_factors_[:, :4])
    bias = model.item_factors_[:, 4:]
    assert (bias[1::2, -1] - bias[1::2, 0]).mean() > (bias[::2, -1] - bias[::2, 0]).mean()


def test_explanations_have_the_bias_of_the_users_period(table):
    model = fit(table, iterations=60)
    for user, item in (("u00", 3), ("u41", 8)):
        parts = model.explain(user, item)
        score = model.predict(pd.DataFrame({"user": [user], "item": [item]}))[0]
        assert parts["contribution"].sum() == pytest.approx(score, abs=1e-5)
        row = np.flatnonzero(model.users_ == user)[0]
        expected = model.user_factors_[row, 4:] @ model.item_factors_[item, 4:]
        bias = parts.loc[parts["kind"] == "bias", "contribution"].item()
        assert bias == pytest.approx(expected, rel=1e-5)


def test_shown_parts_of_a_history_have_their_own_period():
    matrix = sp.csr_matrix(np.array([[1, 1, 0], [0, 1, 1]], dtype=np.float32))
    centers = np.array([10.0, 20.0])
    when = period_positions(np.array([10.0, 20.0, 15.0, 10.0]), centers)
    trend = PopularityOverTime(matrix, centers, when, at="user")
    shown = sp.csr_matrix(np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]], dtype=np.float32))
    shares = trend.partial_user_weights(np.array([0, 1, 1]), shown)
    np.testing.assert_allclose(shares, [[1, 0], [0.5, 0.5], [0, 1]])
    np.testing.assert_allclose(trend.user_weights(), [[0, 1], [0.5, 0.5]])
    np.testing.assert_allclose(period_weights(np.float32([0.25]), 3), [[0.75, 0.25, 0]])


def test_of_whom_nothing_is_known_is_in_the_last_period(table):
    names = pd.DataFrame({"user": ["silent", "stranger"] * 20, "item": np.repeat(range(20), 2)})
    silent = pd.concat([table, pd.DataFrame({"user": ["silent"], "item": [0], "time": [0.0]})])
    strengths = np.append(np.ones(len(table)), 0.0)
    model = make_estimator(time_col="time", **SETTINGS).fit(silent, strengths)
    row = np.flatnonzero(model.users_ == "silent")[0]
    np.testing.assert_array_equal(model.user_factors_[row, 4:], np.eye(8)[-1])
    others = np.delete(model.user_factors_[:, :4], row, axis=0)
    np.testing.assert_allclose(model.user_factors_[row, :4], others.mean(axis=0), rtol=1e-4)
    scores = model.predict(names)
    np.testing.assert_allclose(scores[1::2], scores[::2], rtol=1e-5)
    report = ranking_report(model, names[:2], items=model.items_, train=table, **COLUMNS)
    assert report.loc["overall", "users"] == 2
    with pytest.warns(DataWarning, match="interactions are ignored"):
        model.fold_in(names[:1].assign(item=99, time=0.0))
    np.testing.assert_allclose(model.user_factors_[row, 4:], np.eye(8)[-1])

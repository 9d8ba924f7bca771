"""Tuning: held-out interactions, their ranking, and interplay with the rest of the estimator."""

import logging
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimators import make_estimator
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg._data._interactions import index_interactions
from sklearn_selreg._data._periods import PopularityOverTime
from sklearn_selreg._data._strengths import StrengthScale
from sklearn_selreg._factorization._factors import popularity_bias
from sklearn_selreg._tuning._evaluation import Result
from sklearn_selreg._tuning._hold_out import HoldOut
from sklearn_selreg._tuning._moves import EFFORTS
from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.exceptions import DataWarning, ParameterWarning
from sklearn_selreg.judges import LLMJudge
from sklearn_selreg.metrics import ranking_report
from sklearn_selreg.model_selection import LeaveLastOut

N_USERS, N_ITEMS = 500, 120
COLUMNS = {"user_col": "user", "item_col": "item", "time_col": "time"}
SETTINGS = (
    *("factors", "regularization", "alpha", "iterations", "prior_strength", "item_bias"),
    *("missing_power", "recency_power", "strengths", "popularity_periods"),
)
FIXED = {
    "factors": 64,
    "regularization": 85.0,
    "alpha": 50.0,
    "iterations": 20,
    "prior_strength": 2.5,
    "item_bias": 0.25,
    "backbone__missing_power": 0.5,
    "backbone__recency_power": 0.65,
    "strengths": "raw",
    "popularity_periods": 8,
}


def make_log(seed=0, *, tastes=6, mean_length=14):
    """Interactions of users with tastes; item popularity follows a power law."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(tastes, size=N_USERS)
    kind = rng.integers(tastes, size=N_ITEMS)
    base = 1 / (1 + np.arange(N_ITEMS)) ** 0.7
    rows = []
    for user in range(N_USERS):
        weight = base * np.where(kind == taste[user], 8.0, 1.0)
        length = min(2 + rng.poisson(mean_length - 2), N_ITEMS)
        items = rng.choice(N_ITEMS, length, replace=False, p=weight / weight.sum())
        rows += [(user, item) for item in items]
    log = pd.DataFrame(rows, columns=["user", "item"])
    log["time"] = rng.permutation(len(log))
    return log, pd.Series(kind).map("kind {}".format)


@pytest.fixture(scope="module")
def log():
    return make_log()[0]


@pytest.fixture(scope="module")
def kinds():
    return make_log()[1]


def make_model(**parameters):
    return make_estimator(**COLUMNS, **{"random_state": 0} | parameters)


@pytest.fixture(scope="module")
def found(log, kinds):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return make_model(item_data=kinds).fit(log)


# -- held-out interactions ---------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["times", "no times"])
def interactions(log, request):
    columns = COLUMNS if request.param else COLUMNS | {"time_col": None}
    return index_interactions(log, **columns)


def as_pairs(matrix):
    return set(zip(*matrix.nonzero(), strict=True))


def test_every_interaction_is_fitted_or_held_out(interactions):
    hold_out = HoldOut.of(interactions, None, (8,), EFFORTS["fast"])
    every, fitted = as_pairs(interactions.matrix), as_pairs(hold_out.matrix)
    held_out = set(zip(hold_out.users[hold_out.rows], hold_out.items, strict=True))
    assert len(held_out) == len(hold_out.items) and not held_out & fitted
    assert held_out | fitted == every
    np.testing.assert_array_equal(hold_out.popularity, hold_out.matrix.getnnz(axis=0))
    assert (np.diff(hold_out.matrix.indptr)[hold_out.users] > 0).all()
    # One per user, plus a few of rare items.
    assert np.bincount(hold_out.rows[hold_out.is_last]).max() == 1
    assert hold_out.is_last.sum() == N_USERS
    assert (hold_out.popularity[hold_out.items[~hold_out.is_last]] <= 3).all()
    np.testing.assert_array_equal(hold_out.is_rare, hold_out.popularity[hold_out.items] <= 3)


def test_the_newest_is_held_out_and_ages_are_of_what_is_left(log):
    interactions = index_interactions(log, **COLUMNS)
    hold_out = HoldOut.of(interactions, None, (1,), EFFORTS["fast"])
    newest = log.sort_values("time").groupby("user")["item"].last()
    last = hold_out.is_last
    np.testing.assert_array_equal(newest[hold_out.rows[last]], hold_out.items[last])
    age = sp.csr_matrix(
        (hold_out.recency_rank + 1, hold_out.matrix.indices, hold_out.matrix.indptr),
        hold_out.matrix.shape,
    )
    for user in (0, 7, 99):
        own = log[log["user"] == user].sort_values("time", ascending=False)["item"]
        left = [item for item in own if hold_out.matrix[user, item]]
        assert [age[user, item] for item in left] == list(range(1, len(left) + 1))


def test_without_times_the_order_of_the_rows_does_not_tell_what_is_last(log):
    by_item = log.sort_values(["user", "item"])
    hold_out = HoldOut.of(
        index_interactions(by_item, user_col="user", item_col="item"), None, (8,), EFFORTS["fast"]
    )
    own_last = by_item.groupby("user")["item"].last()
    last = hold_out.is_last
    assert np.mean(hold_out.items[last] == own_last[hold_out.rows[last]]) < 0.2


def test_large_data_are_searched_by_some_of_the_users(log):
    few = EFFORTS["fast"]
    few = type(few)(**{**few.__dict__, "interactions": 2000, "users": 60})
    hold_out = HoldOut.of(index_interactions(log, **COLUMNS), None, (8,), few)
    lengths = np.diff(hold_out.matrix.indptr)
    assert 1800 < hold_out.matrix.nnz <= 2000
    assert hold_out.user_fraction == pytest.approx((lengths > 0).mean(), abs=0.01)
    assert hold_out.is_last.sum() == 60 and (lengths[hold_out.users] > 0).all()
    # Popularity counts all users.
    assert hold_out.popularity.sum() == len(log) - len(hold_out.items)


def test_where_items_are_new_some_are_held_out_as_a_whole(log, kinds):
    """The last third of the catalog has no interactions, but the same kinds as the rest."""
    known = log[log["item"] < 80]
    hold_out = HoldOut.of(
        index_interactions(known, **COLUMNS, extra_items=np.arange(N_ITEMS)),
        sp.identity(N_ITEMS, format="csr", dtype=np.float32), (1,), EFFORTS["fast"],
    )  # fmt: skip
    assert (hold_out.popularity[hold_out.items[hold_out.is_rare]] <= 3).all()
    assert 50 <= (~hold_out.is_last).sum() <= 0.05 * len(known)
    model = make_model(item_data=kinds).fit(known)
    later = log[log["item"] >= 80]
    report = ranking_report(model, later, train=known).loc["new", "AUC"]
    fixed = ranking_report(make_model(item_data=kinds, tuning=None).fit(known), later, train=known)
    assert report > fixed.loc["new", "AUC"] - 0.05


# -- ranking -----------------------------------------------------------------------------------


def brute_force(hold_out, scores):
    """The three metrics by loops over items, from scores of all users."""
    gains, of_last, of_rare = [], [], []
    for n, item in enumerate(hold_out.items):
        user = hold_out.users[hold_out.rows[n]]
        out = set(hold_out.items[hold_out.rows == hold_out.rows[n]])
        seen = set(hold_out.matrix[user].indices)
        others = [i for i in range(scores.shape[1]) if i not in out | seen]
        above = sum((scores[user, i] > scores[user, item]) + (scores[user, i] == scores[user, item])
                    / 2 for i in others)  # fmt: skip
        auc = 1 - above / len(others)
        if hold_out.is_last[n]:
            gains.append(1 / np.log2(2 + above) if above < 10 else 0)
            of_last.append(auc)
        if hold_out.is_rare[n]:
            of_rare.append(auc)
    return np.mean(gains), np.mean(of_last), np.mean(of_rare)


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("ties", [False, True])
def test_held_out_interactions_are_ranked_as_by_brute_force(ties, n_threads):
    rng = np.random.default_rng(3)
    log = make_log(2, mean_length=6)[0]
    rare = rng.random(len(log)) < 0.3
    log["item"] = np.where(rare, 200 + rng.integers(150, size=len(log)), log["item"])
    interactions = index_interactions(log, **COLUMNS)
    hold_out = HoldOut.of(interactions, None, (4,), EFFORTS["fast"])
    assert hold_out.is_rare.sum() > 50
    users = rng.normal(size=(hold_out.matrix.shape[0], 3)).astype(np.float32)
    items = rng.normal(size=(hold_out.matrix.shape[1], 3)).astype(np.float32)
    if ties:
        users, items = np.round(users), np.round(items)
    results = hold_out.evaluate(users[hold_out.users], items, [0.0, 2.0], 4, n_threads)
    np.testing.assert_allclose(results[0], brute_force(hold_out, users @ items.T), rtol=1e-5)
    if not ties:
        bias, periods = hold_out.biases[4]
        gains = np.zeros((len(users), len(items)))
        gains[hold_out.users] = periods @ bias.T
        expected = brute_force(hold_out, users @ items.T + 2 * gains)
        np.testing.assert_allclose(results[1], expected, rtol=1e-3)
    by_count = np.tile(hold_out.popularity, (len(users), 1))
    np.testing.assert_allclose(hold_out.popularity_result(), brute_force(hold_out, by_count),
                               rtol=1e-5)  # fmt: skip


def test_periods_know_nothing_of_what_is_held_out(log):
    interactions = index_interactions(log, **COLUMNS)
    hold_out = HoldOut.of(interactions, None, (4,), EFFORTS["fast"])
    held_out = pd.MultiIndex.from_arrays([hold_out.users[hold_out.rows], hold_out.items])
    rest = log[~pd.MultiIndex.from_frame(log[["user", "item"]]).isin(held_out)]
    trend = PopularityOverTime.of(index_interactions(rest, **COLUMNS), 4)
    bias, periods = hold_out.biases[4]
    np.testing.assert_allclose(bias, popularity_bias(trend.counts_by_period(), None), atol=1e-6)
    np.testing.assert_allclose(periods, trend.user_weights()[hold_out.users])


def test_each_metric_alone_raises_the_criterion():
    base = Result(0.1, 0.9, 0.5)
    for better in (Result(0.11, 0.9, 0.5), Result(0.1, 0.91, 0.5), Result(0.1, 0.9, 0.51)):
        assert better.criterion > base.criterion
    assert Result(0.101, 0.9, None).criterion > Result(0.1, 0.9, None).criterion
    for worst in (Result(0.0, 0.0, 0.0), Result(1.0, 1.0, 1.0)):
        assert np.isfinite(worst.criterion)


# -- found settings ----------------------------------------------------------------------------


def test_found_settings_are_better_than_the_fixed_ones_on_new_rows(log, kinds, found):
    train, test = next(LeaveLastOut(**COLUMNS).split(log))
    reports = {}
    for tuning in ("fast", None):
        model = make_model(item_data=kinds, tuning=tuning).fit(log.iloc[train])
        reports[tuning] = ranking_report(model, log.iloc[test]).loc["overall"]
    assert reports["fast"]["NDCG@10"] > reports[None]["NDCG@10"]
    assert reports["fast"]["AUC"] > reports[None]["AUC"] - 0.005


def test_noise_is_regularized_away():
    """If there is only popularity, tuning reaches it, and the factors nearly vanish."""
    log, _ = make_log(5, tastes=1)
    train, test = next(LeaveLastOut(**COLUMNS).split(log))
    model = make_model().fit(log.iloc[train])
    own = ranking_report(model, log.iloc[test]).loc["overall"]
    popular = ranking_report("popularity", log.iloc[test], train=log.iloc[train],
                             items=model.items_, user_col="user", item_col="item")  # fmt: skip
    fixed = ranking_report(make_model(tuning=None).fit(log.iloc[train]), log.iloc[test])
    assert own["AUC"] > popular.loc["overall", "AUC"] - 0.01
    assert own["AUC"] > fixed.loc["overall", "AUC"] + 0.01


def test_what_is_found_is_told(log, kinds, caplog):
    caplog.set_level(logging.INFO, "sklearn_selreg")
    model = make_model(item_data=kinds).fit(log)
    (line,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Found")]
    assert f"alpha={model.alpha_:.4g}" in line and f"{N_USERS} held-out" in line
    table = model.tuning_
    assert f"{len(table)} fits" in line
    assert [*table.columns[:10]] == list(SETTINGS)
    best = table.loc[table["criterion"].idxmax()]
    for name in ("alpha", "regularization", "missing_power", "prior_strength"):
        assert best[name] == getattr(model, f"{name}_")
    assert (table["seconds"] > 0).all() and table["NDCG@10"].between(0, 1).all()


def test_settings_that_are_given_stay(log, kinds):
    given = {"alpha": 7.0, "backbone__missing_power": 0.25, "factors": 20}
    model = make_model(item_data=kinds, **given).fit(log)
    for parameter, value in given.items():
        name = parameter.removeprefix("backbone__")
        assert getattr(model, f"{name}_") == value
        if name != "factors":
            assert set(model.tuning_[name]) == {value}
    assert model.tuning_["regularization"].nunique() > 1
    assert model.item_factors_.shape[1] == 20 + model.popularity_periods_
    assert set(given) & set(model.found_params()) == set()


def test_a_fit_with_what_was_found_is_the_same(log, kinds, found):
    assert set(found.found_params()) == set(FIXED)
    again = clone(found).set_params(**found.found_params())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.fit(log)
    np.testing.assert_array_equal(again.user_factors_, found.user_factors_)
    np.testing.assert_array_equal(again.item_factors_, found.item_factors_)
    assert again.found_params() == {}
    with pytest.raises(AttributeError, match="nothing was tuned"):
        _ = again.tuning_


def test_settings_without_effect_are_not_found(log):
    columns = {"user_col": "user", "item_col": "item"}
    model = make_estimator(**columns, random_state=0, tuning=None).fit(log)
    found = model.found_params()
    assert set(FIXED) - set(found) == {"prior_strength", "popularity_periods"}
    again = clone(model).set_params(**found).fit(log)
    np.testing.assert_array_equal(again.item_factors_, model.item_factors_)


@pytest.mark.parametrize("change", [{"random_state": 1}, {"n_jobs": 1}, {"n_jobs": 2}], ids=str)
def test_what_is_found_depends_on_the_data_only(log, kinds, found, change):
    model = make_model(item_data=kinds, **change).fit(log)
    assert model.found_params() == found.found_params()
    left, right = (m.tuning_.drop(columns="seconds") for m in (model, found))
    pd.testing.assert_frame_equal(left, right)


def test_tuning_none_is_the_fixed_settings(log, kinds):
    model = make_model(item_data=kinds, tuning=None).fit(log)
    assert model.found_params() == FIXED
    same = make_model(item_data=kinds, **FIXED).fit(log)
    np.testing.assert_array_equal(model.user_factors_, same.user_factors_)


def test_none_is_the_backbones_own_value(log):
    model = make_model(factors=None, regularization=None, alpha=None, iterations=None).fit(log)
    values = model.factors_, model.regularization_, model.alpha_, model.iterations_
    assert values == (64, 85.0, 50.0, 20)


def test_too_little_to_hold_out_is_told(caplog):
    caplog.set_level(logging.INFO, "sklearn_selreg")
    log = make_log()[0].query("user < 199")
    model = make_model().fit(log)
    assert "Fewer than 200 interactions can be held out" in caplog.text
    assert model.found_params() == {k: v for k, v in FIXED.items() if k != "prior_strength"}
    users = make_log()[0].query("user < 200")
    assert "Found" not in caplog.text
    make_model().fit(users)
    assert "Found" in caplog.text


def test_order_is_not_time(log):
    model = SelectiveLLMRegularizedMF(user_col="user", item_col="item", random_state=0).fit(log)
    assert model.recency_power_ == 0
    shuffled = log.sample(frac=1, random_state=0)
    other = clone(model).set_params(**model.found_params()).fit(shuffled)
    np.testing.assert_allclose(other.item_factors_, model.item_factors_, atol=1e-5)
    kept = make_estimator(user_col="user", item_col="item", backbone__recency_power=0.5)
    assert kept.fit(log).recency_power_ == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["bpr", "lmf"])
def test_other_backbones_find_what_they_have(log, kinds, backbone):
    model = make_model(item_data=kinds, backbone=backbone).fit(log)
    assert model.missing_power_ is None and model.recency_power_ is None
    assert (model.alpha_ is None) == (backbone == "bpr")
    assert model.tuning_["regularization"].nunique() > 1
    again = clone(model).set_params(**model.found_params()).fit(log)
    np.testing.assert_array_equal(again.user_factors_, model.user_factors_)


# -- strengths ---------------------------------------------------------------------------------


def test_strength_scales_against_numpy():
    data = np.array([1, 10, 1000], dtype=np.float32)
    matrix = sp.csr_matrix(data)
    raw, log_, binary = (StrengthScale.of(k, data).apply(matrix) for k in ("raw", "log", "binary"))
    assert raw is matrix
    np.testing.assert_allclose(log_.data, np.log1p(data) / np.log1p(data).mean(), rtol=1e-6)
    np.testing.assert_array_equal(binary.data, 1)


@pytest.fixture(scope="module")
def plays(log):
    """Uninformative play counts that span orders of magnitude."""
    rng = np.random.default_rng(1)
    return np.ceil(np.exp(rng.normal(1, 2.5, size=len(log))))


def test_counts_of_all_magnitudes_are_compressed(log, plays):
    train, test = next(LeaveLastOut(**COLUMNS).split(log))
    model = make_model().fit(log.iloc[train], plays[train])
    assert model.strengths_ in ("log", "binary")
    with pytest.warns(DataWarning, match="span orders of magnitude.*strengths='log'"):
        raw = make_model(strengths="raw", tuning=None).fit(log.iloc[train], plays[train])
    ndcg = {m.strengths_: ranking_report(m, log.iloc[test]).loc["overall", "NDCG@10"]
            for m in (model, raw)}  # fmt: skip
    assert ndcg[model.strengths_] > ndcg["raw"] + 0.02


@pytest.mark.slow
def test_raw_strengths_that_lose_are_told(log, plays):
    with pytest.warns(DataWarning, match="largest ones dominate.*Set strengths='(log|binary)'"):
        make_model(strengths="raw").fit(log, plays)


def test_equal_strengths_need_no_comparison(log, found):
    assert found.strengths_ == "raw"
    fives = make_model(strengths="auto", factors=8).fit(log, np.full(len(log), 5.0))
    ones = make_model(strengths="auto", factors=8).fit(log)
    assert fives.strengths_ == "binary"
    np.testing.assert_array_equal(fives.user_factors_, ones.user_factors_)


@pytest.mark.parametrize("strengths", ["log", "binary", "raw"])
def test_folding_in_weighs_strengths_as_fit_did(log, plays, strengths, tmp_path):
    plays = np.minimum(plays, 40)
    settings = {"strengths": strengths, "tuning": None, "alpha": 0.5, "regularization": 5.0}
    model = make_model(**settings, backbone__recency_power=0, factors=8, iterations=40).fit(
        log, plays
    )
    own = (log["user"] == 3).to_numpy()
    renamed = log[own].assign(user=10_000)
    path = tmp_path / "model.npz"
    model.save(path)
    loaded = SelectiveLLMRegularizedMF.load(path)
    for some in (model, loaded):
        folded = some.fold_in(renamed, plays[own])
        new = folded.user_factors_[folded.users_ == 10_000, :8]
        # Compare with the user's normal equations, solved by numpy.
        items = folded.item_factors_[:, :8].astype(float)
        fitted = folded._fitted_model
        c = fitted.backbone.missing_weights(fitted.popularity)
        y = plays[own]
        full = {"raw": plays, "log": np.log1p(plays) / np.log1p(plays).mean(),
                "binary": np.ones_like(plays)}[strengths][own]  # fmt: skip
        column = np.searchsorted(folded.items_, log["item"][own])
        assert len(y) == len(column)
        left = (items.T * c) @ items + 5 * np.eye(8)
        right = np.zeros(8)
        for i, weight in zip(column, 0.5 * full, strict=True):
            left += (weight - c[i]) * np.outer(items[i], items[i])
            right += weight * items[i]
        np.testing.assert_allclose(new[0], np.linalg.solve(left, right), rtol=2e-3, atol=2e-4)


@pytest.mark.slow
def test_the_unit_of_raw_strengths_does_not_matter(log):
    y = np.random.default_rng(2).integers(1, 4, size=len(log)).astype(float)
    usual, large = (make_model(strengths="raw", factors=8).fit(log, y * f) for f in (1, 1024))
    assert large.alpha_ == pytest.approx(usual.alpha_ / 1024)
    assert large.regularization_ == pytest.approx(usual.regularization_)


def test_strengths_are_compared_where_all_numbers_are_given(log, plays):
    numbers = {name: v for name, v in FIXED.items() if name != "strengths"}
    model = make_model(**numbers | {"backbone__recency_power": 0}).fit(log, plays)
    assert model.strengths_ in ("log", "binary")
    assert set(model.tuning_["alpha"]) == {50.0}


def test_a_given_alpha_stays_while_strengths_are_compared(log, plays):
    model = make_model(alpha=9.0).fit(log, np.minimum(plays, 4))
    assert set(model.tuning_["strengths"]) == {"raw", "log", "binary"}
    assert set(model.tuning_["alpha"]) == {9.0}


def test_few_users_and_wide_counts_are_told(log, plays):
    few = (log["user"] < 150).to_numpy()
    with pytest.warns(DataWarning, match="span orders of magnitude.*strengths='log'"):
        make_model().fit(log[few], plays[few])


# -- interplay with the rest -------------------------------------------------------------------


def test_warm_start_keeps_what_was_found(log, kinds, caplog):
    model = make_model(item_data=kinds, warm_start=True).fit(log)
    before = model.found_params()
    caplog.set_level(logging.INFO, "sklearn_selreg")
    model.fit(log.sample(frac=0.9, random_state=0))
    assert model.found_params() == before and "Found" not in caplog.text
    model.set_params(alpha=3.0).fit(log)
    assert model.alpha_ == 3.0
    assert model.found_params() == {k: v for k, v in before.items() if k != "alpha"}


def test_loaded_models_have_what_was_found(found, log, tmp_path):
    path = tmp_path / "model.npz"
    found.save(path)
    loaded = SelectiveLLMRegularizedMF.load(path)
    assert loaded.found_params() == found.found_params()
    assert loaded.alpha == "auto"
    with pytest.raises(AttributeError, match="or the model was loaded"):
        _ = loaded.tuning_
    rows = log[log["user"] == 5].assign(user=777)
    new = [m.fold_in(rows).user_factors_[-1] for m in (loaded, clone(found).fit(log))]
    np.testing.assert_allclose(*new, rtol=1e-5)


def test_given_factors_are_not_searched_for(log):
    rng = np.random.default_rng(0)
    model = SelectiveLLMRegularizedMF.from_factors(
        np.arange(N_USERS), np.arange(N_ITEMS), rng.normal(size=(N_USERS, 5)),
        rng.normal(size=(N_ITEMS, 5)), user_col="user", item_col="item",
    )  # fmt: skip
    assert (model.factors_, model.regularization_, model.alpha_) == (5, 85.0, 50.0)
    assert (model.item_bias_, model.missing_power_, model.recency_power_) == (0, 0, 0)
    with pytest.raises(AttributeError, match="nothing was tuned"):
        _ = model.tuning_


@pytest.mark.slow
def test_a_search_that_finds_all_else_anew_is_told_once(log):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = GridSearchCV(make_model(), {"item_bias": [0.0, 0.2]}, cv=LeaveLastOut(**COLUMNS))
        search.fit(log)
    told = [w for w in caught if "item_bias was set on a clone" in str(w.message)]
    assert len(told) == 1 and told[0].category is ParameterWarning
    assert told[0].filename == __file__
    found_first = make_model().fit(log)
    found_first.set_params(**found_first.found_params())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GridSearchCV(found_first, {"item_bias": [0.0]}, cv=LeaveLastOut(**COLUMNS)).fit(log)
        # In cross-validation, tuning in each fold is intended.
        cross_validate(make_model(), log, cv=LeaveLastOut(**COLUMNS))
        clone(make_model()).set_params(random_state=1).fit(log)


def test_what_was_chosen_is_marked(found):
    (chosen,) = found.tuning_.index[found.tuning_["chosen"]]
    row = found.tuning_.loc[chosen]
    for name in SETTINGS:
        assert row[name] == getattr(found, f"{name}_")


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["bpr", "lmf"])
def test_sampled_backbones_find_the_same_with_any_threads(log, backbone):
    one, two = (make_model(backbone=backbone, n_jobs=n, random_state=None).fit(log)
                for n in (1, 2))  # fmt: skip
    assert one.found_params() == two.found_params()


def test_given_factors_with_strengths_and_warm_start():
    rng = np.random.default_rng(0)
    factors = rng.random((30, 4)), rng.random((20, 4))
    model = SelectiveLLMRegularizedMF.from_factors(
        np.arange(30), np.arange(20), *factors, strengths="binary", warm_start=True,
        alpha=1, regularization=1,
    )  # fmt: skip
    model.fold_in([[100, 1], [101, 1]], y=[1000.0, 1.0])
    np.testing.assert_array_equal(*model.user_factors_[-2:])


@pytest.mark.filterwarnings("ignore:.*as without the judge:UserWarning")  # it rates by id
def test_more_regularized_sweeps_than_were_found_are_added(log):
    model = make_model(judge=ByNumber(), slates__max_slates=20, backbone__refine_iterations=40).fit(
        log
    )
    assert model.n_iter_ == 41 == model.iterations_
    with pytest.raises(ValueError, match="refine_iterations=40 and iterations=30"):
        make_model(judge=ByNumber(), backbone__refine_iterations=40, iterations=30).fit(log)


def test_one_crawler_does_not_take_the_place_of_all_others(log):
    crawler = pd.DataFrame({"user": -1, "item": np.arange(1000, 3500), "time": 0})
    effort = type(EFFORTS["fast"])(**{**EFFORTS["fast"].__dict__, "interactions": 4000})
    hold_out = HoldOut.of(
        index_interactions(pd.concat([log, crawler]), **COLUMNS), None, (1,), effort
    )
    assert hold_out.is_last.sum() > 150 and hold_out.matrix.nnz > 3000


class ByNumber(LLMJudge):
    """Rates items by their numbers."""

    reads_texts = False

    def _rate(self, slates):
        for slate in slates:
            yield np.array([int(item) % 97 / 97 for item in slate.candidates])


@pytest.mark.filterwarnings("ignore:.*as without the judge:UserWarning")  # it rates by id
def test_what_a_judge_is_asked_does_not_depend_on_the_settings(log, kinds):
    plans = []
    for settings in ({}, {"tuning": None}, {"alpha": 3.0, "factors": 7}, {"random_state": 5}):
        model = make_model(item_data=kinds, judge=ByNumber(), slates__max_slates=60, **settings)
        plans.append(model.plan_judging(log).slates)
    assert all(plan == plans[0] for plan in plans)
    model = make_model(item_data=kinds, judge=ByNumber(), slates__max_slates=60).fit(log)
    assert model.judge_stats_["slates_used"] == 60
    assert model.alpha_ is not None and model.tuning_ is not None


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_hidden_pairs_that_the_search_saw_do_not_move_the_gate(seed):
    """Tuning without the calibration pairs gives the same gamma, within its standard error."""
    world = make_interactions(400, 200, 8000, random_state=seed)
    columns = {"user_col": "user", "item_col": "item", "time_col": "time", "random_state": 0}
    model = make_estimator(item_data=world.item_data, judge=world.judge, **columns)
    model.fit(world.X)
    hidden = set()
    for slate in model.plan_judging(world.X).slates:
        own = set(world.X["item"][world.X["user"] == slate.user])
        hidden |= {(slate.user, i) for i in set(slate.candidates) & own}
    assert len(hidden) > 200
    pairs = pd.MultiIndex.from_frame(world.X[["user", "item"]])
    rest = world.X[~pairs.isin(list(hidden))]
    blind = make_estimator(item_data=world.item_data, **columns).fit(rest)
    other = clone(model).set_params(**blind.found_params()).fit(world.X)
    gamma, blind_gamma = (m.gate_.gap_coef_ for m in (model, other))
    # The standard error, from other synthetic data with as many calibration slates.
    spread = []
    for another in (10, 11, 12):
        world = make_interactions(400, 200, 8000, random_state=another)
        fitted = clone(other).set_params(item_data=world.item_data, judge=world.judge)
        spread.append(fitted.fit(world.X).gate_.gap_coef_)
    assert abs(gamma - blind_gamma) < np.std(spread, ddof=1) + 0.05 * abs(gamma)


def test_llm_weights_of_the_scale_before_are_told(log):
    model = make_model(judge=ByNumber(), llm_weight=8, slates__max_slates=20, tuning=None)
    with pytest.warns(ParameterWarning, match="relative to alpha"):
        model.fit(log)


def test_a_preference_weighs_relative_to_alpha(log):
    settings = {
        "judge": ByNumber(),
        "gate": None,
        "slates__max_slates": 40,
        "tuning": None,
        "factors": 6,
    }
    unit = make_model(**settings, alpha=5.0, llm_weight=0.3).fit(log)
    assert unit._fitted_model.preferences.weight == pytest.approx(1.5)
    bpr = make_model(judge=ByNumber(), slates__max_slates=40, tuning=None, factors=6, iterations=5,
                     backbone="bpr", gate=None).fit(log)  # fmt: skip
    assert bpr._fitted_model.preferences.weight == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tuning": "slow"}, "'tuning' parameter"),
        ({"alpha": "automatic"}, "'alpha' parameter"),
        ({"strengths": "sqrt"}, "'strengths' parameter"),
        ({"item_bias": None}, "'item_bias' parameter"),
    ],
)
def test_bad_settings_are_named(log, settings, message):
    with pytest.raises(ValueError, match=message):
        make_model(**settings).fit(log)

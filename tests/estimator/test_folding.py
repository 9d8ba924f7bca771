"""Updates after the fit: rows that are added to or replace a user's history, and new items."""

import copy
import json
import pickle
import warnings
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from estimators import make_estimator
from sklearn.preprocessing import OneHotEncoder

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg._data._interactions import index_interactions
from sklearn_selreg.exceptions import DataWarning
from sklearn_selreg.judges import PrecomputedJudge

N_USERS, N_ITEMS = 30, 24
COLUMNS = {"user_col": "user", "item_col": "item"}
SETTINGS = {"factors": 4, "regularization": 2.0, "alpha": 8.0, "iterations": 12, "random_state": 0}


def make_log(seed=0, n=500):
    rng = np.random.default_rng(seed)
    user = rng.integers(0, N_USERS, n)
    item = (rng.integers(0, N_ITEMS // 3, n) * 3 + user % 3 * (rng.random(n) < 0.8)) % N_ITEMS
    return pd.DataFrame({"user": user, "item": item, "time": rng.integers(0, 90, n) * 1.0})


def make_model(**parameters):
    return make_estimator(**COLUMNS, **SETTINGS | parameters)


@pytest.fixture(scope="module")
def log():
    return make_log()


@pytest.fixture(scope="module")
def judge(log):
    """A judge with one slate of unknown items per user, rated by item number."""
    records = []
    for user, own in log.groupby("user")["item"]:
        others = np.setdiff1d(np.arange(N_ITEMS), own)[:8].tolist()
        ratings = [0.1 + item / 40 for item in others]
        records.append({"user": user, "history": [], "candidates": others, "ratings": ratings})
    return PrecomputedJudge(records)


# Appending to histories


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("time_col", [None, "time"])
@pytest.mark.parametrize("negatives", ["error", "net"])
def test_adding_is_indexing_all_rows_at_once(seed, time_col, negatives):
    rng = np.random.default_rng(seed)
    rows = make_log(seed, 400)
    y = rng.integers(0, 4, 400) / 2.0
    if negatives == "net":
        returned = rng.random((N_USERS, N_ITEMS)) < 0.2
        y[250:] *= np.where(returned[rows["user"][250:], rows["item"][250:]], -1, 1)
    columns = COLUMNS | {"time_col": time_col}

    def read(part, how):
        return index_interactions(rows[part], y[part], **columns, negatives=how)

    whole = read(slice(None), negatives)
    first, later = read(slice(250), negatives), read(slice(250, None), "keep")
    # The later rows have users and items in a different order, and new ones of both.
    place = [np.searchsorted(whole.items, part.items) for part in (first, later)]
    old, new = (
        part.select_items(where, len(whole.items))
        for part, where in zip((first, later), place, strict=True)
    )
    known = np.full(len(later.users), -1)
    both = np.isin(later.users, first.users)
    known[both] = np.searchsorted(first.users, later.users[both])
    joined = old[known].add(new)
    expected = whole.matrix[np.searchsorted(whole.users, later.users)]
    entries = sp.csr_matrix((whole.recency_rank + 1, whole.matrix.indices, whole.matrix.indptr))
    np.testing.assert_allclose(joined.matrix.toarray(), expected.toarray())
    ages = sp.csr_matrix((joined.recency_rank + 1, joined.matrix.indices, joined.matrix.indptr))
    wanted = entries[np.searchsorted(whole.users, later.users)]
    np.testing.assert_array_equal(ages.toarray(), wanted.toarray())
    if time_col:
        times = sp.csr_matrix((whole.times + 1, whole.matrix.indices, whole.matrix.indptr))
        wanted = times[np.searchsorted(whole.users, later.users)].toarray()
        found = sp.csr_matrix((joined.times + 1, joined.matrix.indices, joined.matrix.indptr))
        np.testing.assert_array_equal(found.toarray(), wanted)


@pytest.mark.parametrize("time_col", [None, "time"])
@pytest.mark.parametrize("backbone", ["als", "bpr", "lmf"])
def test_two_parts_are_as_the_whole(log, backbone, time_col):
    settings = {"backbone": backbone, "time_col": time_col}
    if backbone != "als":
        settings |= {"alpha": None, "regularization": None}
    model = make_model(**settings).fit(log)
    rows = log[log["user"] < 6].assign(user=lambda rows: rows["user"] + 100)
    y = np.arange(len(rows)) % 5 / 2 + 0.5
    whole = copy.copy(model).fold_in(rows, y)
    parts = copy.copy(model).fold_in(rows[:40], y[:40]).fold_in(rows[40:], y[40:], known="append")
    order = np.argsort(parts.users_)
    assert parts.users_[order].tolist() == whole.users_.tolist()
    np.testing.assert_allclose(
        parts.user_factors_[order], whole.user_factors_, rtol=1e-3, atol=1e-5
    )
    assert (parts._fitted.matrix[order] != whole._fitted.matrix).nnz == 0
    recommended = parts.recommend(rows["user"], N_ITEMS)[0]
    for row, user in zip(recommended, rows["user"], strict=True):
        assert not set(row) & set(rows["item"][rows["user"] == user])


def test_a_fitted_user_is_solved_with_all_rows(log):
    model = make_model(backbone__recency_power=0.7, backbone__missing_power=0.6, item_bias=0).fit(
        log[:450]
    )
    items = model.item_factors_.astype(np.float64)
    more = pd.DataFrame({"user": [3, 3, 3], "item": [23, 1, 23]})
    model.fold_in(more, [1, 2, 0.5], known="append")
    own = pd.concat([log[:450][log[:450]["user"] == 3][["user", "item"]], more])
    strength = pd.Series([1.0] * (len(own) - 3) + [1, 2, 0.5]).groupby(own["item"].to_numpy()).sum()
    newest = own["item"].drop_duplicates(keep="last")[::-1].tolist()
    confidence = {
        item: 8 * strength[item] * 3 / (1 + age) ** 0.7 for age, item in enumerate(newest)
    }
    popularity = log[:450].drop_duplicates(["user", "item"])["item"].value_counts()
    padded = popularity.reindex(model.items_, fill_value=0).to_numpy() + 5.0
    weight = (padded / padded.mean()) ** 0.6
    weight[list(confidence)] = list(confidence.values())
    left = (items * weight[:, None]).T @ items + 2 * np.eye(4)
    expected = np.linalg.solve(left, items[list(confidence)].T @ list(confidence.values()))
    np.testing.assert_allclose(model.user_factors_[3], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("item_bias", [0, 0.2])
def test_preferences_of_the_judge_go_on_to_act(log, judge, item_bias):
    settings = {"judge": judge, "gate": None, "llm_weight": 3 / 8, "item_bias": item_bias}
    model = make_model(**settings, backbone__missing_power=0, backbone__recency_power=0.5).fit(log)
    more = pd.DataFrame({"user": [3, 3, 99], "item": [5, 23, 2]})
    appended = copy.copy(model).fold_in(more, known="append")
    # The gradient of the user's objective is 0 at the solution.
    x = appended.user_factors_[3, :4].astype(np.float64)
    items = appended.item_factors_[:, :4].astype(np.float64)
    bias = appended.item_factors_[:, 4:].sum(axis=1)
    own = pd.concat([log[log["user"] == 3][["user", "item"]], more[:2]])
    strength = own["item"].value_counts()
    newest = own["item"].drop_duplicates(keep="last")[::-1].tolist()
    gradient = items.T @ (items @ x) + 2 * x
    for age, item in enumerate(newest):
        c = 8 * strength[item] * 3 / (1 + age) ** 0.5
        gradient += (c * (items[item] @ x - 1) - items[item] @ x) * items[item]
    scale = np.abs(gradient).max()  # far from 0 without the preferences
    table = model.preferences_
    for _, row in table[table["user"] == 3].iterrows():
        i, j = int(row["preferred"]), int(row["other"])
        hinge = model.margin - ((items[i] - items[j]) @ x + bias[i] - bias[j])
        gradient -= 3.0 * max(0, hinge) * (items[i] - items[j])
    assert np.abs(gradient).max() < 1e-2 * scale
    # They do not affect other users, are explained, and are dropped when the history is replaced.
    parts = appended.explain(3, 20)
    assert "preference" in set(parts["kind"])
    score = appended.predict(pd.DataFrame({"user": [3], "item": [20]}))[0]
    assert parts["contribution"].sum() == pytest.approx(score, abs=1e-5)
    without = make_model(
        backbone__recency_power=0.5, backbone__missing_power=0, item_bias=item_bias
    ).fit(log)
    replaced = copy.copy(model).fold_in(own, known="replace")
    assert "preference" not in set(replaced.explain(3, 20)["kind"])
    others = np.setdiff1d(np.arange(N_USERS), [3])
    np.testing.assert_array_equal(appended.user_factors_[others], model.user_factors_[others])
    assert without.users_.tolist() == model.users_.tolist()


def test_appending_nothing_new_to_a_judged_user_changes_little(log, judge):
    model = make_model(judge=judge, gate=None, backbone__recency_power=0.5).fit(log)
    same = copy.copy(model).fold_in(log[log["user"] == 4][:1], [1e-6], known="append")
    fitted, moved = model.user_factors_[4], same.user_factors_[4]
    replaced = copy.copy(model).fold_in(log[log["user"] == 4], known="replace").user_factors_[4]
    assert np.linalg.norm(moved - fitted) < 0.3 * np.linalg.norm(replaced - fitted)


@pytest.mark.parametrize("backbone", ["als", "bpr"])
def test_appending_nothing_changes_nothing(log, judge, backbone):
    model = make_model(judge=judge, gate=None, backbone__recency_power=0.5 * (backbone == "als"))
    model.set_params(backbone=backbone, alpha=8.0 if backbone == "als" else "auto")
    model.set_params(time_col="time", item_bias=1.0).fit(log)
    more = pd.DataFrame({"user": [4, 4, 5, 99], "item": [2, 3, 2, 2], "time": [200.0] * 4})
    added = copy.copy(model).fold_in(more, [0, 0, 3, 1], known="append")
    np.testing.assert_array_equal(added.user_factors_[4], model.user_factors_[4])
    assert not np.allclose(added.user_factors_[5], model.user_factors_[5], atol=1e-4)


@pytest.mark.parametrize("backbone", ["bpr", "lmf"])
def test_what_bpr_and_lmf_know_of_a_user_stays(log, judge, backbone):
    parameters = {"regularization": None, "alpha": None, "item_bias": 0}
    model = make_model(backbone=backbone, judge=judge, gate=None, **parameters).fit(log)
    more = pd.DataFrame({"user": [3], "item": [23]})
    history = log[log["user"] == 3][["user", "item"]]
    alone = pd.concat([history.assign(user=100), more.assign(user=101)])
    alone = pd.concat([alone, history.assign(user=101)])
    solved = copy.copy(model).fold_in(alone).user_factors_
    before = model.user_factors_[3]
    model.fold_in(more, known="append")
    np.testing.assert_allclose(
        model.user_factors_[3] - before, solved[-1] - solved[-2], rtol=1e-3, atol=1e-4
    )


def test_the_period_is_that_of_the_newest_interaction(log):
    model = make_model(time_col="time", popularity_periods=4).fit(log)
    for time in (0.0, 89.0):
        more = pd.DataFrame({"user": [3, 200], "item": [2, 2], "time": [time] * 2})
        folded = copy.copy(model).fold_in(more, known="append")
        newest = max(time, log["time"][log["user"] == 3].max())
        alone = copy.copy(model).fold_in(more.assign(user=201, time=newest)).user_factors_[-1, 4:]
        np.testing.assert_allclose(folded.user_factors_[3, 4:], alone)


def test_returns_are_taken_off_what_is_known(log):
    model = make_model(negatives="net").fit(log, np.ones(len(log)))
    item = int(log["item"][log["user"] == 3].iloc[-1])
    bought = float(model._fitted.matrix[3, item])
    more = pd.DataFrame({"user": [3, 3], "item": [item, 23]})
    model.fold_in(more, [-bought, 1.0], known="append")
    assert model._fitted.matrix[3, item] == 0
    assert model._fitted.matrix[3, 23] == 1 + np.sum((log["user"] == 3) & (log["item"] == 23))
    assert item in model.recommend([3], N_ITEMS)[0]
    with pytest.raises(ValueError, match="returns"):
        make_model().fit(log).fold_in(more, [-1, 1], known="append")


# Replacing histories


def test_replacing_warns_if_something_is_lost(log):
    model = make_model().fit(log)
    more = pd.DataFrame({"user": [3, 4, 99], "item": [23, 23, 2]})
    with pytest.warns(
        DataWarning, match=r"2 of 3 users of X are already known.*e.g. 3.*known='append'"
    ):
        implicit = copy.copy(model).fold_in(more)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explicit = copy.copy(model).fold_in(more, known="replace")
        copy.copy(model).fold_in(more, known="append")
        copy.copy(model).fold_in(log[log["user"] == 3])  # the complete history
        copy.copy(model).fold_in(more[2:])
    np.testing.assert_array_equal(implicit.user_factors_, explicit.user_factors_)
    with pytest.raises(ValueError, match=r"known must be 'append', 'replace' or None; got 'add'"):
        model.fold_in(more, known="add")


def test_replacing_warns_if_strengths_are_lost(log):
    own = log[log["user"] == 3].drop_duplicates("item")
    model = make_model().fit(log, np.full(len(log), 4.0))
    known = pd.Series(model._fitted.matrix[3].toarray()[0])[own["item"]].to_numpy()
    less = known.copy()
    less[0] = 0.5
    with pytest.warns(DataWarning, match=r"1 of 1 users of X are already known.*strengths"):
        copy.copy(model).fold_in(own, less)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy.copy(model).fold_in(own, known)
        copy.copy(model).fold_in(own, known + 1)


def test_replacing_warns_if_a_judge_is_forgotten(log, judge):
    model = make_model(judge=judge, gate=None).fit(log)
    with pytest.warns(DataWarning, match="1 of 1 users .*a judge's preferences"):
        model.fold_in(log[log["user"] == 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fold_in(log[log["user"] == 3])  # nothing is left to lose


def test_given_factors_have_nothing_to_append_to():
    rng = np.random.default_rng(0)
    model = SelectiveLLMRegularizedMF.from_factors(
        ["ann", "bob"], [1, 2, 3], rng.normal(size=(2, 2)), rng.normal(size=(3, 2))
    )
    with pytest.raises(ValueError, match=r"from_factors was given none for 1 users.*'ann'"):
        model.fold_in([["ann", 1], ["new", 2]], known="append")
    with pytest.warns(DataWarning, match=r"1 of 2 users .*'ann'.*given factors"):
        copy.copy(model).fold_in([["ann", 1], ["new", 2]])
    model.fold_in([["new", 2]], known="append").fold_in([["new", 3]], known="append")
    whole = copy.copy(model).fold_in([["other", 2], ["other", 3]]).user_factors_[-1]
    np.testing.assert_allclose(model.user_factors_[-1], whole, rtol=1e-4, atol=1e-6)


# Times


KINDS = {
    "numbers": lambda t: t * 86_400.0,
    "datetimes": lambda t: pd.Timestamp("2024-01-01") + pd.to_timedelta(t, unit="D"),
    "timedeltas": lambda t: pd.to_timedelta(t, unit="D"),
}


@pytest.mark.parametrize("given", KINDS)
@pytest.mark.parametrize("fitted", KINDS)
def test_times_are_of_the_kind_they_had(log, fitted, given, tmp_path):
    model = make_model(time_col="time").fit(log.assign(time=KINDS[fitted](log["time"])))
    rows = log[:9].assign(user=99, time=KINDS[given](log["time"][:9]))
    model.save(tmp_path / "model.npz")
    for m in (model, SelectiveLLMRegularizedMF.load(tmp_path / "model.npz")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if given == fitted:
                m.fold_in(rows)
                continue
            with pytest.raises(TypeError, match=f"must be {fitted}.*got {given}"):
                m.fold_in(rows)
        assert 99 not in m.users_


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("days", "side"), [(5000, "after"), (-5000, "before")])
def test_far_times_warn(log, kind, days, side):
    model = make_model(time_col="time").fit(log.assign(time=KINDS[kind](log["time"])))
    rows = log[:9].assign(user=99, time=KINDS[kind](log["time"][:9] + days))
    with pytest.warns(DataWarning, match=rf"far {side} those of fit.*seconds, milliseconds"):
        copy.copy(model).fold_in(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        usual = log[:1].assign(time=KINDS[kind](log["time"][:1]), user=99, item=N_ITEMS - 1)
        model.fold_in(pd.concat([rows[rows["item"] < N_ITEMS - 1], usual]))


def test_seconds_and_milliseconds(log):
    epoch = 1.7e9 + 86_400 * log["time"]
    model = make_model(time_col="time").fit(log.assign(time=epoch))
    for unit in (1e3, 1e-9):
        with pytest.warns(DataWarning, match="far"):
            copy.copy(model).fold_in(log[:9].assign(user=99, time=epoch[:9] * unit))


def seconds(start, stop, n=500):
    days = pd.to_datetime([start, stop]).astype("M8[s]").astype(np.int64)
    return np.linspace(*days, n).round()


# Time units: factors that convert seconds to the units of the fit and of the folded-in rows.
OTHER_UNITS = {
    "ms, folded in as s": (1e3, 1),
    "s, as ms": (1, 1e3),
    "s, as minutes": (1, 1 / 60),
    "s, as hours": (1, 1 / 3600),
    "s, as days": (1, 1 / 86_400),
    "days, as s": (1 / 86_400, 1),
    "ms, as days": (1e3, 1 / 86_400),
    "us, as ms": (1e6, 1e3),
}


@pytest.mark.parametrize("start", ["2023-01-01", "2017-07-14", "2000-01-01", "1990-01-01"])
@pytest.mark.parametrize("units", OTHER_UNITS)
def test_other_units_warn_however_long_the_log_is(log, start, units):
    fitted, given = OTHER_UNITS[units]
    times = seconds(start, "2023-11-14")
    model = make_model(time_col="time", popularity_periods=4).fit(log.assign(time=times * fitted))
    newest = log[:9].assign(user=99, time=times[-9:] * given)
    with pytest.warns(DataWarning, match="1 of 1 users.*far"):
        copy.copy(model).fold_in(newest)
    # One of two users; the times of the other match the fit.
    right = log[:9].assign(user=98, time=times[-9:] * fitted)
    with pytest.warns(DataWarning, match="1 of 2 users.*far"):
        copy.copy(model).fold_in(pd.concat([newest, right]))
    later = right.assign(time=right["time"] + 3 * np.ptp(times) * fitted)  # long after the fit
    earlier = right.assign(time=times[0] * fitted - 0.5 * np.ptp(times) * fitted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows in (right, later) + (earlier,) * (start != "1990-01-01"):
            copy.copy(model).fold_in(rows)


def test_datetimes_read_without_their_unit_warn(log):
    for start in ("2017-07-14", "1990-01-01"):
        times = pd.to_datetime(seconds(start, "2023-11-14"), unit="s")
        model = make_model(time_col="time", popularity_periods=4).fit(log.assign(time=times))
        rows = log[:1].assign(user=99, time=pd.to_datetime([1_700_000_000]))
        with pytest.warns(DataWarning, match="1970-01-01T00:00:01.* are far before"):
            model.fold_in(rows)


# Saved models


@pytest.mark.parametrize("time_col", [None, "time"])
def test_loaded_models_go_on(log, judge, tmp_path, time_col):
    model = make_model(judge=judge, gate=None, time_col=time_col).fit(log)
    unknown = pd.DataFrame({"user": [50, 50, 50], "item": [1, 2, 999], "time": [1.0, 2, 3]})
    with pytest.warns(DataWarning, match="999"):
        model.fold_in(unknown)  # the newest item is unknown and ignored; recency ranks have no gap
    model.save(tmp_path / "model.npz")
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "model.npz")
    more = pd.DataFrame({"user": [3, 50, 60], "item": [23, 4, 5], "time": [30.0, 0.5, 30]})
    pickled = pickle.loads(pickle.dumps(model))
    for m in (model, loaded, pickled):
        m.fold_in(more, known="append")
        np.testing.assert_array_equal(m.user_factors_, model.user_factors_)
        np.testing.assert_array_equal(
            m._fitted.histories.recency_rank, model._fitted.histories.recency_rank
        )
    assert set(np.flatnonzero(model._fitted.matrix[-2].toarray())) == {1, 2, 4}


# New items


def catalog(ids):
    kinds = [f"kind {k % 3}" for k in ids]
    return pd.DataFrame({"item": ids, "kind": kinds, "price": [10.0 * (k % 7) + k for k in ids]})


@pytest.mark.parametrize("missing_power", [0, 0.6])
@pytest.mark.parametrize("backbone", ["als", "bpr", "lmf"])
def test_new_items_are_as_those_that_nobody_has(log, backbone, missing_power):
    known = [*range(N_ITEMS), *range(100, 112)]  # items from 100 on have no interactions
    parameters = {} if backbone == "als" else {"regularization": None, "alpha": None}
    if backbone == "als":
        parameters |= {"backbone__missing_power": missing_power, "iterations": 60}
    model = make_model(
        backbone=backbone,
        item_data=catalog(known),
        time_col="time",
        popularity_periods=3,
        **parameters,
    ).fit(log)
    fitted = model.item_factors_[N_ITEMS:].copy()
    twins = catalog(range(100, 112)).assign(item=range(200, 212))
    model.fold_in_items(twins)
    assert model.items_[-12:].tolist() == list(range(200, 212))
    placed = model.item_factors_[-12:]
    np.testing.assert_allclose(placed[:, :4], fitted[:, :4], rtol=0.02, atol=2e-3)
    np.testing.assert_allclose(placed[:, 4:], fitted[:, 4:], rtol=1e-3, atol=1e-4)
    scores = [model.predict(pd.DataFrame({"user": 3, "item": ids})) for ids in (
        range(100, 112), range(200, 212))]  # fmt: skip
    np.testing.assert_allclose(*scores, rtol=0.02, atol=5e-3)


def test_models_with_new_items_can_all_that_others_can(log, tmp_path):
    model = make_model(item_data=catalog(range(N_ITEMS))).fit(log)
    scores = model.predict(log)
    model.fold_in_items(catalog(range(20, 40)))  # items from 24 on are new
    assert model.items_.tolist() == list(range(40))
    np.testing.assert_array_equal(model.predict(log), scores)
    assert len(model.similar_items([30], 39)[0][0]) == 39
    parts = model.explain(3, 30)
    score = model.predict(pd.DataFrame({"user": [3], "item": [30]}))[0]
    assert parts["contribution"].sum() == pytest.approx(score, abs=1e-5)
    remainder = parts["contribution"][parts["kind"] == "remainder"].item()
    assert abs(remainder) < 0.5 * abs(score)
    model.save(tmp_path / "model.npz")
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "model.npz")
    for m in (model, loaded):
        m.fold_in(pd.DataFrame({"user": [77, 77], "item": [30, 31]}))
        assert 30 not in m.recommend([77], 38)[0]
    np.testing.assert_array_equal(model.user_factors_, loaded.user_factors_)
    with pytest.raises(ValueError, match=r"no item_encoder_.*before save"):
        loaded.fold_in_items(catalog([50]))
    again = model.set_params(warm_start=True, item_data=catalog(range(40))).fit(log)
    assert again.items_.tolist() == list(range(40))


@pytest.mark.parametrize(
    "new",
    [
        pl.DataFrame({"item": [50], "kind": ["kind 1"], "price": [3.0]}),
        catalog([50]).set_index("item"),
        {50: {"kind": "kind 1", "price": 3.0}},
    ],
)
def test_new_items_may_come_in_any_container(log, new):
    model = make_model(item_data=catalog(range(N_ITEMS))).fit(log)
    assert model.fold_in_items(new) is model
    assert model.items_[-1] == 50


@pytest.mark.parametrize("encoder", ["auto", OneHotEncoder(handle_unknown="ignore")])
def test_columns_of_new_items_may_come_in_another_order(log, encoder):
    table = pd.DataFrame({"kind": [f"kind {k % 3}" for k in range(N_ITEMS)]})
    table["maker"] = [f"maker {k % 4}" for k in range(N_ITEMS)]
    model = make_model(item_data=table, item_encoder=encoder).fit(log)
    new = table[:2].set_axis([900, 901])
    one, other = (copy.copy(model).fold_in_items(t) for t in (new, new[["maker", "kind"]]))
    np.testing.assert_array_equal(one.item_factors_, other.item_factors_)
    with pytest.raises(ValueError, match="feature names"):
        model.fold_in_items(new[["maker"]].assign(other="kind 1"))


def test_what_is_wrong_with_new_items(log):
    data = catalog(range(N_ITEMS))
    plain = make_model().fit(log)
    with pytest.raises(ValueError, match="no features: it was fitted without item_data"):
        plain.fold_in_items(data)
    model = make_model(item_data=data).fit(log)
    with pytest.warns(DataWarning, match="All 24 items .* already known"):
        model.fold_in_items(data)
    with pytest.raises(ValueError, match="feature names"):
        model.fold_in_items(catalog([50]).rename(columns={"price": "cost"}))
    with pytest.raises(ValueError, match="one row per item"):
        model.fold_in_items(catalog([50, 50]))
    with pytest.warns(DataWarning, match="Check the id type"):
        copy.copy(model).fold_in_items(catalog([50]).assign(item="50"))
    assert model.items_.tolist() == list(range(N_ITEMS))
    own = make_model(item_data=data[["item", "kind"]], item_encoder=OneHotEncoder()).fit(log)
    with pytest.raises(ValueError, match="unknown categories"):
        own.fold_in_items(pd.DataFrame({"item": [50], "kind": ["new"]}))
    assert own.fold_in_items(catalog([50])[["item", "kind"]]).items_[-1] == 50


@pytest.mark.parametrize(
    "damage",
    [
        {"time_kind": "weeks"},
        {"time_kind": ["numbers"]},
        {"time_span": [0.0]},
        {"time_span": None},
        {"time_span": ["a", "b"]},
    ],
)
def test_files_with_wrong_times_are_refused(log, tmp_path, damage):
    make_model(time_col="time").fit(log).save(tmp_path / "model.npz")
    with zipfile.ZipFile(tmp_path / "model.npz") as old:
        parts = {name: old.read(name) for name in old.namelist()}
    parts["model.json"] = json.dumps(json.loads(parts["model.json"]) | damage)
    with zipfile.ZipFile(tmp_path / "new.npz", "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    with pytest.raises(ValueError, match="damaged"):
        SelectiveLLMRegularizedMF.load(tmp_path / "new.npz")


# A day without events


@pytest.mark.parametrize("known", [None, "append", "replace"])
@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_an_empty_table_changes_nothing(log, known, kind):
    model = make_model().fit(log[["user", "item"]])
    before = model.user_factors_.copy()
    with pytest.warns(DataWarning, match="X is empty, so fold_in changes nothing"):
        model.fold_in(kind(log[["user", "item"]].iloc[:0].to_dict("list")), known=known)
    np.testing.assert_array_equal(model.user_factors_, before)
    with pytest.warns(DataWarning, match="X is empty"):
        model.fold_in(log[["user", "item"]].iloc[:0], [], known=known)
    with pytest.raises(ValueError, match="X is empty"):
        model.fold_in(log[["user", "item"]].iloc[:0], [1.0], known=known)


def test_described_users_next_to_an_empty_table(log):
    ages = {user: {"age": 20 + user % 15} for user in range(N_USERS)}
    X = log[["user", "item"]]
    one, two = (make_model(user_data=ages).fit(X) for _ in range(2))
    one.fold_in(user_data={99: {"age": 25}})
    two.fold_in(X.iloc[:0], user_data={99: {"age": 25}})
    assert 99 in two.users_
    np.testing.assert_array_equal(one.user_factors_, two.user_factors_)

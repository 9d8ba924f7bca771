"""Integer ids in one table and float ids in another, at all entry points."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.judges import PrecomputedJudge
from sklearn_selreg.metrics import ranking_report

BIG = 2**60  # like database ids composed of time and machine
STEP = 1024  # such ids are distinct as floats, but most are rounded
COLUMNS = {"user_col": "user", "item_col": "item"}


def log(offset=0, step=1):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 30, 300), "item": rng.integers(0, 12, 300)})
    return X.drop_duplicates(ignore_index=True) * step + offset


def fitted(X, **parameters):
    settings = {"factors": 3, "iterations": 2, "random_state": 0}
    return SelectiveLLMRegularizedMF(**COLUMNS, **settings | parameters).fit(X)


def catalog(ids):
    return pd.DataFrame({"item": ids, "kind": [f"kind {k % 3}" for k in range(len(ids))]})


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("floats", ["X", "item_data"])
def test_fit_keeps_integers(frame, floats):
    X, items = log(), catalog(range(15))
    (X if floats == "X" else items)["item"] = (X if floats == "X" else items)["item"].astype(float)
    model = fitted(frame(X.to_dict("list")), item_data=frame(items.to_dict("list")))
    assert model.items_.dtype == np.int64
    np.testing.assert_array_equal(model.items_, range(15))
    same = fitted(log(), item_data=catalog(range(15)))
    np.testing.assert_array_equal(model.item_factors_, same.item_factors_)
    assert model.recommend([1], 1)[0].dtype == np.int64


def test_a_hole_in_a_catalog_of_big_ids_is_an_error():
    items = catalog([BIG + STEP * i for i in range(15)])
    with_hole = pd.concat([items, pd.DataFrame({"item": [None], "kind": ["kind 0"]})])
    with_hole = with_hole.astype({"item": float}).dropna()
    with pytest.raises(ValueError, match=r"floats in another.*Int64"):
        fitted(log(BIG, STEP), item_data=with_hole)
    model = fitted(log(BIG, STEP), item_data=items)
    assert set(model.items_.tolist()) == {BIG + STEP * i for i in range(15)}


def entrances(ids, rows=None):
    """Entry points for ids other than `fit`: functions of a model and the ids of 5 rows."""
    table = pd.DataFrame({"user": ids, "item": ids})
    return {
        "predict": lambda m: m.predict(table),
        "score": lambda m: m.score(table),
        "fold_in": lambda m: m.fold_in(table),
        "recommend": lambda m: m.recommend(ids),
        "recommend, a list": lambda m: m.recommend(ids.tolist()),
        "items": lambda m: m.recommend(m.users_[:1], items=ids),
        "exclude": lambda m: m.recommend(m.users_[:1], exclude=ids),
        "exclude, pairs": lambda m: m.recommend(m.users_[:1], exclude=table),
        "similar_items": lambda m: m.similar_items(ids),
        "explain": lambda m: m.explain(ids[0], ids[0]),
        "report": lambda m: ranking_report(m, table),
        "train": lambda m: ranking_report(m, rows, train=table),
        "cohort": lambda m: ranking_report(m, rows, cohort=pd.Series("cold", index=ids)),
    }


@pytest.mark.filterwarnings("ignore::sklearn_selreg.exceptions.DataWarning")
@pytest.mark.parametrize("name", entrances(np.arange(5.0)))
def test_floats_find_the_integers_of_the_model(name):
    floats, integers = (entrances(ids, log())[name] for ids in (np.arange(5.0), np.arange(5)))
    results = [use(fitted(log(), backbone="als")) for use in (floats, integers)]
    if name == "fold_in":
        assert [m.users_.dtype for m in results] == [np.int64] * 2
        results = [m.user_factors_ for m in results]
    for one, other in zip(*map(flat, results), strict=True):
        np.testing.assert_array_equal(one, other)


def flat(result):
    return [np.asarray(part) for part in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.filterwarnings("ignore::sklearn_selreg.exceptions.DataWarning")
@pytest.mark.parametrize("name", entrances(np.arange(5.0)))
def test_big_floats_are_errors_everywhere(name):
    model = fitted(log(BIG, STEP))
    users = model.users_.copy()
    with pytest.raises(ValueError, match=r"floats in another.*Int64"):
        entrances(BIG + STEP * np.arange(5.0), log(BIG, STEP))[name](model)
    np.testing.assert_array_equal(model.users_, users)
    assert model.users_.dtype == np.int64


def test_floats_that_fell_together_are_not_to_be_dropped():
    items = catalog(np.array([BIG, BIG + 1, BIG + 2]).astype(float))
    with pytest.raises(ValueError, match=r"2[*][*]53.*Int64"):
        fitted(log(BIG), item_data=items)


def test_integers_folded_in_to_floats_make_integers():
    model = fitted(log().astype(float))
    model.fold_in(pd.DataFrame({"user": [100, 100], "item": [1, 2]}))
    assert model.users_.dtype == np.int64
    assert model.users_[-1] == 100


@pytest.mark.filterwarnings("ignore::sklearn_selreg.exceptions.JudgmentWarning")
@pytest.mark.filterwarnings("ignore::sklearn_selreg.exceptions.GateWarning")
@pytest.mark.parametrize(("offset", "step"), [(0, 1), (BIG, STEP)])
def test_recorded_slates(offset, step):
    X = log(offset, step)
    records = pd.DataFrame(
        {
            "user": X["user"].unique()[:9].astype(float),
            "history": [[]] * 9,
            "candidates": [[float(offset + step * i) for i in range(12)]] * 9,
            "ratings": [[i / 12 for i in range(12)]] * 9,
        }
    )
    if offset:
        with pytest.raises(ValueError, match="floats in another"):
            fitted(X, judge=PrecomputedJudge(records), gate=None)
        return
    model = fitted(X, judge=PrecomputedJudge(records), gate=None)
    assert model.judge_stats_["slates_used"] == 9
    assert model.preferences_["preferred"].dtype == np.int64


def objects(*ids):
    array = np.empty(len(ids), dtype=object)
    array[:] = ids
    return array


@pytest.mark.filterwarnings("ignore::sklearn_selreg.exceptions.DataWarning")
@pytest.mark.parametrize("make", [float, np.float64, np.float32])
@pytest.mark.parametrize("name", entrances(np.arange(5.0)))
def test_big_floats_beside_text_are_errors_everywhere(name, make):
    model = fitted(log(BIG, 1))
    users = model.users_.copy()
    ids = objects(make(BIG), "a", "b", "c", 5)
    with pytest.raises(ValueError, match=r"must not be floats.*Int64.*dtype=str"):
        entrances(ids, log(BIG, 1))[name](model)
    np.testing.assert_array_equal(model.users_, users)


@pytest.mark.filterwarnings("ignore::sklearn_selreg.exceptions.DataWarning")
def test_a_guest_makes_no_other_user_of_a_float():
    model = fitted(log(BIG, 1))
    model.fold_in(pd.DataFrame({"user": ["guest"], "item": [BIG + 1]}))
    factors = model.user_factors_.copy()
    more = pd.DataFrame({"user": [float(BIG + 7)] * 2, "item": [BIG + 1, BIG + 2]})
    with pytest.raises(ValueError, match="must not be floats"):
        model.fold_in(more, known="append")
    np.testing.assert_array_equal(model.user_factors_, factors)


@pytest.mark.parametrize("column", ["user", "item"])
@pytest.mark.parametrize(("dtype", "limit"), [(np.float64, 53), (np.float32, 24), (object, 53)])
def test_a_log_of_floats_that_fell_together_is_an_error(column, dtype, limit):
    X = log().astype({column: dtype})
    X[column] = (X[column].astype(float) + 2.0**limit).astype(dtype)
    with pytest.raises(ValueError, match=rf"'{column}'.*2[*][*]{limit} or more.*Int64.*=str"):
        fitted(X)
    below = log().astype({column: float})
    below[column] = (2.0**limit - 1 - below[column]).astype(dtype)
    model = fitted(below)
    np.testing.assert_array_equal(getattr(model, f"{column}s_"), np.unique(below[column]))


def test_lists_with_a_float_among_big_integers():
    rows = [["ann", BIG + 1], ["ann", BIG + 2], ["bob", BIG + 3], ["bob", 5.0]]
    with pytest.raises(ValueError, match="must not be floats"):
        SelectiveLLMRegularizedMF(tuning=None, factors=2).fit(rows)


def test_a_missing_id_in_floats_tells_how_to_read_the_column():
    X = log(BIG).astype({"item": float})
    X.loc[7, "item"] = np.nan
    with pytest.raises(ValueError, match=r"first in row 7.*Int64.*dtype=str.*dropna"):
        fitted(X)


def test_a_missing_id_in_a_catalog_of_floats_tells_how_to_read_the_column():
    items = catalog(np.append(np.arange(12.0), np.nan))
    with pytest.raises(ValueError, match=r"first in row 12 .*Int64.*dtype=str"):
        fitted(log(), item_data=items)

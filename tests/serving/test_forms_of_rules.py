"""Forms of rules of lists: equivalent forms have equal results, others raise clear errors."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.exceptions import DataWarning

SETTINGS = {"factors": 3, "regularization": 1.0, "alpha": 5.0, "iterations": 4, "random_state": 0}
ITEMS = np.arange(12)
BANDS = pd.cut(ITEMS, [-1, 3, 7, 12])


@pytest.fixture(scope="module")
def likes():
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((15, 12)) < 0.3)
    return pd.DataFrame({"user": users + 100, "item": items})


@pytest.fixture(scope="module")
def model(likes):
    """Fitted on an array, so columns are known by position: ranks could be mistaken for items."""
    return SelectiveLLMRegularizedMF(
        **SETTINGS, item_data={i: {"name": f"Film {i}", "band": BANDS[i]} for i in ITEMS}
    ).fit(likes.to_numpy())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_tables_of_recommend_go_back_in(model, library):
    users = [100, 101, 102]
    table = model.recommend(users, 2, as_frame=library)
    pairs = pl.from_arrow(table) if library == "pyarrow" else pl.DataFrame(table)
    pairs = pairs.select("user", "item").to_numpy()
    expected = model.recommend(users, 3, exclude=pairs)[0]
    np.testing.assert_array_equal(model.recommend(users, 3, exclude=table)[0], expected)
    again = model.recommend(users, 2, per_user_items=table)[0]
    np.testing.assert_array_equal(again, pairs[:, 1].reshape(3, 2))
    scores = np.asarray(table["score"])
    np.testing.assert_allclose(model.predict(table), scores, atol=1e-6)
    np.testing.assert_array_equal(model.predict(table), model.predict(pairs))


def test_other_wide_tables_are_told_by_the_name_of_the_argument(model):
    wide = np.array([[100, 1, 5]])
    with pytest.warns(DataWarning, match=r"^exclude is an array .*Pass exclude\[:, :2\]"):
        model.recommend([100], 1, exclude=wide)
    for name in ("exclude", "per_user_items"):
        with pytest.warns(DataWarning, match=f"^{name} has 3 columns.* columns of {name} are"):
            model.recommend([100], 1, **{name: pd.DataFrame(wide)})


@pytest.mark.filterwarnings("error")
def test_a_series_of_lists_is_a_mapping(model, likes):
    lists = likes.groupby("user")["item"].agg(list)
    how = {"filter_seen": False}
    expected = model.recommend([100, 101], 3, per_user_items=lists.to_dict(), **how)[0]
    found = model.recommend([100, 101], 3, per_user_items=lists, **how)[0]
    np.testing.assert_array_equal(found, expected)
    long = pd.Series([1, 2], index=[100, 100])
    with pytest.raises(ValueError, match=r"several rows for some users. .* pass .*reset_index\(\)"):
        model.recommend([100], 3, per_user_items=long)


def test_lists_to_exclude_are_told_how_to_pass(model, likes):
    lists = likes.groupby("user")["item"].agg(list)
    with pytest.raises(ValueError, match=r"exclude must contain single ids; got \[.*explode\(\)"):
        model.recommend([100], 3, exclude=lists)
    with pytest.raises(ValueError, match=r"got a dict.*pd.Series\(exclude\).explode\(\)"):
        model.recommend([100], 3, exclude=lists.to_dict())
    pairs = lists.explode().reset_index().to_numpy()
    assert len(pairs) == len(likes)
    np.testing.assert_array_equal(
        model.recommend([100], 3, exclude=pairs, filter_seen=False)[0],
        model.recommend([100], 3)[0],
    )


@pytest.mark.filterwarnings("error")
def test_views_and_generators_are_lists(model):
    ids = {4: "a", 5: "b", 6: "c"}
    expected = model.recommend([100], 2, items=[4, 5, 6], exclude=[5])[0]
    for given in (ids.keys(), dict(zip("abc", ids, strict=True)).values(), iter(ids)):
        found = model.recommend((u for u in [100]), 2, items=given, exclude={5: 0}.keys())[0]
        np.testing.assert_array_equal(found, expected)
    found = model.recommend([100], 2, per_user_items={100: ids.keys()}, exclude=iter([5]))[0]
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"items must be .* got a dict. Pass its keys, list"):
        model.recommend([100], 2, items=ids)


def test_users_of_another_type_are_told(model):
    message = r"2 of 2 users of per_user_items are unknown.*'100'.*items are ignored.* Check the id"
    with pytest.warns(DataWarning, match=message):
        model.recommend([100], 1, per_user_items={"100": [1], "101": [1]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.recommend([100], 1, per_user_items={100: [1], 999: [2]})  # not requested


def test_empty_tables_list_nothing(model):
    empty = model.recommend([100], 2, exclude=ITEMS, as_frame=True)
    assert len(empty) == 0
    for nothing in (empty, {}, empty[["user", "item"]], []):
        with pytest.warns(DataWarning, match="1 of 1 users have no items in per_user_items"):
            found = model.recommend([100], 2, per_user_items=nothing)[0]
        assert found.tolist() == [[None, None]]
    told = model.explain_lists(empty)
    assert told.columns.tolist() == ["user", "item", "title", "reason"]
    assert len(told) == 0


def test_arguments_of_another_method_are_named(model):
    pytest.importorskip("pyarrow")
    with pytest.raises(
        TypeError, match=r"recommend_batches\(\) got .* 'as_frame'; it accepts users, n"
    ):
        model.recommend_batches([100], as_frame=True)


@pytest.mark.parametrize("names", [("user", "title"), ("reason", "item")])
def test_columns_of_explain_lists_do_not_overwrite_ids(likes, names):
    table = likes.set_axis(names, axis=1)
    titles = {item: f"Film {item}" for item in ITEMS}
    model = SelectiveLLMRegularizedMF(
        **SETTINGS, user_col=names[0], item_col=names[1], item_data={
            item: {"name": title} for item, title in titles.items()
        }
    ).fit(table)  # fmt: skip
    lists = model.recommend([100, 101], 2, as_frame=True)
    told = model.explain_lists(lists)
    assert told.columns.tolist() == ["user", "item", "title", "reason"]
    assert told["user"].tolist() == lists[names[0]].tolist()
    assert told["item"].tolist() == lists[names[1]].tolist()
    assert told["title"].tolist() == [titles[item] for item in told["item"]]


def test_intervals_are_groups_before_and_after_a_file(model, tmp_path):
    model.save(tmp_path / "model.npz")
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "model.npz")
    for some in (model, loaded):
        table = some.recommend([100, 101], 9, max_per_group={"band": 1}, as_frame=True)
        for _, own in table.groupby("user"):
            assert pd.Series(BANDS[own["item"].to_numpy()]).is_unique
            assert len(own) == 3


def test_how_to_get_groups_is_told():
    items = pd.DataFrame({"sku": [7, 8], "kind": ["a", "b"]})
    model = SelectiveLLMRegularizedMF.from_factors(
        [1], [7, 8], np.ones((1, 2)), np.eye(2), item_data=items
    )
    with pytest.raises(ValueError, match=r"No columns are available. .* set item_col to the name"):
        model.recommend([1], max_per_group={"kind": 1})


def test_new_items_are_of_known_groups_whatever_type_their_values_have(likes):
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(ITEMS % 4, unit="D")
    data = pd.DataFrame({"item": ITEMS, "day": days, "shelf": ITEMS % 5, "sale": ITEMS % 2 == 0})
    model = SelectiveLLMRegularizedMF(
        **SETTINGS, user_col="user", item_col="item", item_data=data
    ).fit(likes)
    new = data.assign(item=ITEMS + 50).astype({"shelf": str, "sale": int})
    model.fold_in_items(new.assign(day=new["day"].dt.strftime("%Y-%m-%d")))
    for column, n_groups in (("day", 4), ("shelf", 5), ("sale", 2)):
        quota = {column: 1}
        table = model.recommend([100], 20, filter_seen=False, max_per_group=quota, as_frame=True)
        groups = data[column][table["item"] % 50]
        assert len(table) == n_groups
        assert groups.is_unique

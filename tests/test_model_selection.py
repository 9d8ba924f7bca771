"""Splitters, against loops over users in plain Python."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.exceptions import DataWarning
from sklearn_selreg.model_selection import ColdStartSplit, LeaveLastOut

BY_NAME = {"user_col": "user", "item_col": "item", "time_col": "time"}


@pytest.fixture(scope="module", params=range(3))
def table(request):
    """Interactions with repeated pairs, users with one item, and times unlike row order."""
    rng = np.random.default_rng(request.param)
    n = 200
    return pd.DataFrame(
        {
            "item": [f"i{i}" for i in rng.integers(15, size=n)],
            "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.permutation(n), unit="h"),
            "user": [f"u{i}" for i in np.minimum(rng.geometric(0.05, size=n), 40)],
        }
    )


def histories(table, strengths=None):
    """Each user's items, oldest first, each at the position of its latest interaction."""
    if strengths is not None:
        table = table[strengths > 0]
    found = {}
    for row in table.sort_values("time", kind="stable").itertuples():
        history = found.setdefault(row.user, [])
        if row.item in history:
            history.remove(row.item)
        history.append(row.item)
    return found


def pairs(table, rows):
    return set(zip(table["user"].iloc[rows], table["item"].iloc[rows], strict=True))


def check_partition(table, train, test):
    np.testing.assert_array_equal(np.sort(np.append(train, test)), np.arange(len(table)))
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    assert not pairs(table, train) & pairs(table, test)


@pytest.mark.parametrize("n", [1, 3])
def test_last_items_are_held_out(table, n):
    splitter = LeaveLastOut(n, **BY_NAME)
    ((train, test),) = splitter.split(table)
    assert splitter.get_n_splits() == 1
    check_partition(table, train, test)
    expected = {
        (user, item)
        for user, history in histories(table).items()
        if len(history) > n
        for item in history[-n:]
    }
    assert pairs(table, test) == expected
    short = {user for user, history in histories(table).items() if len(history) <= n}
    assert short
    assert short <= set(table["user"].iloc[train]) - set(table["user"].iloc[test])


@pytest.mark.parametrize("k", [1, 2, 4])
def test_cold_users_keep_their_first_items(table, k):
    splitter = ColdStartSplit(k, n_splits=3, random_state=7, **BY_NAME)
    splits = list(splitter.split(table))
    assert len(splits) == splitter.get_n_splits() == 3
    full = histories(table)
    cold = []
    for train, test in splits:
        check_partition(table, train, test)
        kept, later = histories(table.iloc[train]), histories(table.iloc[test])
        for user, history in full.items():
            if user in later:
                assert kept[user] == history[:k]
                assert later[user] == history[k:]
            else:
                assert kept[user] == history
        cold.append(set(later))
    assert set().union(*cold) == {user for user, history in full.items() if len(history) > k}
    assert sum(map(len, cold)) == len(set().union(*cold))  # each user is cold exactly once
    assert max(map(len, cold)) - min(map(len, cold)) <= 1


def test_the_seed_decides_who_is_cold(table):
    def splits(seed):
        return [
            test.tolist() for _, test in ColdStartSplit(random_state=seed, **BY_NAME).split(table)
        ]

    assert splits(0) == splits(0)
    assert splits(0) != splits(1)


@pytest.mark.parametrize(
    "splitter",
    [LeaveLastOut(2, **BY_NAME), ColdStartSplit(2, random_state=0, **BY_NAME)],
    ids=["last", "cold"],
)
def test_rows_of_strength_0_are_no_interactions(table, splitter):
    strengths = np.random.default_rng(0).integers(0, 3, size=len(table))
    with_zeros = list(splitter.split(table, strengths))
    positive = np.flatnonzero(strengths)
    without = list(splitter.split(table.iloc[positive]))
    for (train, test), (_, expected) in zip(with_zeros, without, strict=True):
        held_out = pairs(table, positive[expected])
        assert pairs(table, test) == held_out
        # Rows of strength 0 follow their pair, or stay in the training rows if there is none.
        assert not pairs(table, train) & held_out


@pytest.mark.parametrize(
    "splitter",
    [LeaveLastOut(2, **BY_NAME), ColdStartSplit(2, random_state=0, **BY_NAME)],
    ids=["last", "cold"],
)
def test_tables_of_all_kinds_split_alike(table, splitter):
    expected = [test.tolist() for _, test in splitter.split(table)]
    found = [test.tolist() for _, test in splitter.split(pl.from_pandas(table))]
    assert found == expected
    settings = vars(splitter) | {"user_col": 2, "item_col": 0, "time_col": 1}
    positional = type(splitter)(**settings)
    assert [test.tolist() for _, test in positional.split(table.to_numpy())] == expected
    ordered = table.sort_values("time")
    by_row = type(splitter)(**settings | {"time_col": None})
    found = [ordered.index[test] for _, test in by_row.split(ordered[["item", "time", "user"]])]
    assert [sorted(rows) for rows in found] == expected


def test_order_of_time_is_what_counts(table):
    ((_, test),) = LeaveLastOut(**BY_NAME).split(table)
    shuffled = table.sample(frac=1, random_state=3)
    ((_, again),) = LeaveLastOut(**BY_NAME).split(shuffled)
    assert pairs(table, test) == pairs(shuffled, again)


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
@pytest.mark.parametrize(
    "splitter",
    [LeaveLastOut(**BY_NAME), ColdStartSplit(2, n_splits=2, random_state=0, **BY_NAME)],
    ids=["last", "cold"],
)
def test_in_searches(table, search, splitter):
    model = SelectiveLLMRegularizedMF(factors=2, iterations=2, n_jobs=1, random_state=0, **BY_NAME)
    fitted = search(model, {"factors": [1, 2]}, cv=splitter).fit(table)
    scores = fitted.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    if search is GridSearchCV:
        for factors, score in zip([1, 2], scores, strict=True):
            of_folds = [
                clone(model).set_params(factors=factors).fit(table.iloc[a]).score(table.iloc[b])
                for a, b in splitter.split(table)
            ]
            assert score == pytest.approx(np.mean(of_folds))


def test_printing_names_the_settings():
    assert repr(LeaveLastOut(2)) == "LeaveLastOut(item_col=1, n=2, time_col=None, user_col=0)"


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: ColdStartSplit(random_state=None),
            "random_state must be an integer >= 0, so that .* same splits each time; got None",
        ),
        (
            lambda: ColdStartSplit(random_state=np.random.RandomState(0)),
            "random_state must be an integer.*got RandomState",
        ),
        (lambda: ColdStartSplit(random_state=-1), "random_state must be an integer.*got -1"),
        (lambda: ColdStartSplit(0, random_state=0), "k must be an integer >= 1; got 0"),
        (lambda: ColdStartSplit(n_splits=1, random_state=0), "n_splits must be.*>= 2; got 1"),
        (lambda: LeaveLastOut(0), "n must be an integer >= 1; got 0"),
        (lambda: LeaveLastOut(1.5), "n must be an integer >= 1; got 1.5"),
    ],
)
def test_bad_settings_are_named_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bad_tables_are_named(table):
    with pytest.raises(
        ValueError, match=r"X must have users with more than n=99 items.*got at most"
    ):
        next(LeaveLastOut(99, **BY_NAME).split(table))
    with pytest.raises(ValueError, match=r"n_splits=5 users with more than k=14 items"):
        next(ColdStartSplit(14, random_state=0, **BY_NAME).split(table))
    with pytest.raises(ValueError, match="no column for user_col='who'"):
        next(LeaveLastOut(user_col="who").split(table))
    with pytest.raises(TypeError, match="interactions_from_sparse"):
        next(LeaveLastOut().split(sp.eye(3, format="csr")))
    with pytest.raises(ValueError, match="must have a sum > 0"):
        next(LeaveLastOut(**BY_NAME).split(table, -np.ones(len(table))))


@pytest.mark.parametrize("by", ["strength", "item id"])
def test_rows_that_are_sorted_by_no_time_are_told(by):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": np.repeat(np.arange(60), 9), "item": rng.integers(300, size=540)})
    X = X.drop_duplicates()
    plays = rng.integers(1, 50, size=len(X))
    key = -plays if by == "strength" else X["item"]
    order = np.lexsort((key, X["user"]))
    sorted_rows, y = X.iloc[order], plays[order]
    swapped = np.arange(len(X))
    swapped[[4, 5]] = [5, 4]  # one exception
    with pytest.warns(DataWarning, match=f"sorted by {by}"):
        next(LeaveLastOut().split(sorted_rows.iloc[swapped], y[swapped]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(LeaveLastOut().split(X, plays))
        once = np.ones(len(X))
        once[8] = 2  # a single row is not informative
        next(LeaveLastOut().split(X, once))
        times = sorted_rows.assign(time=np.arange(len(X)))
        next(LeaveLastOut(time_col="time").split(times[["user", "item", "time"]], y))

"""Held-out rows must not be visible to the model, its judge or its gate."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from estimators import make_estimator
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    PredefinedSplit,
    ShuffleSplit,
    TimeSeriesSplit,
    cross_validate,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_selreg import AutoItemEncoder, ReliabilityGate
from sklearn_selreg.judges import LLMJudge, PrecomputedJudge
from sklearn_selreg.model_selection import ColdStartSplit, LeaveLastOut

N_USERS, N_ITEMS, N_LIKED = 40, 60, 12
COLUMNS = {"user_col": "user", "item_col": "item", "time_col": "time"}
# The judges here know nothing about tastes.
adds_nothing = pytest.mark.filterwarnings("ignore:.*as without the judge:UserWarning")


@pytest.fixture(scope="module")
def likes():
    """Each user likes 12 of 60 items at random times; rows are in order of time."""
    rng = np.random.default_rng(0)
    weights = np.exp(rng.normal(size=N_ITEMS))
    chosen = np.argsort(-np.log(weights) - rng.gumbel(size=(N_USERS, N_ITEMS)), axis=1)
    user, item = np.repeat(np.arange(N_USERS), N_LIKED), chosen[:, :N_LIKED].ravel()
    table = pd.DataFrame({"user": user, "item": item, "time": rng.permutation(len(user))})
    table = table.assign(user="u" + table["user"].astype(str), item="i" + table["item"].astype(str))
    return table.sort_values("time", ignore_index=True)


@pytest.fixture(scope="module")
def films():
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "genre": rng.choice(["crime", "drama", "war"], N_ITEMS),
            "year": 1950 + np.arange(N_ITEMS),
        },
        index=[f"i{i}" for i in range(N_ITEMS)],
    )


class SpyJudge(LLMJudge):
    """Answers by a fixed taste, and logs each call with everything it was shown to a file."""

    def __init__(self, path):
        self.path = path

    def answers(self, slates):
        slates = list(slates)
        shown = [
            {"user": slate.user, "history": slate.history, "candidates": slate.candidates}
            for slate in slates
        ]
        with Path(self.path).open("a") as file:
            file.write(json.dumps(shown) + "\n")
        return super().answers(slates)

    def _rate(self, slates):
        for slate in slates:
            numbers = np.array([int(item[1:]) for item in slate.candidates])
            yield numbers % 7 / 7

    def calls(self):
        return [json.loads(line) for line in Path(self.path).read_text().splitlines()]


class SpyGate(ReliabilityGate):
    """Stores the data it was fitted on."""

    def fit(self, Z, y, groups=None):
        self.seen_ = Z.copy(), np.array(y), np.array(groups)
        return super().fit(Z, y, groups)


class SpyEncoder(AutoItemEncoder):
    """Stores the data it was fitted on."""

    def fit_transform(self, X, y=None):
        self.seen_ = X.copy()
        return super().fit_transform(X, y)


SPLITTERS = {
    "KFold": KFold(3, shuffle=True, random_state=0),
    "GroupKFold": GroupKFold(3),
    "ShuffleSplit": ShuffleSplit(2, test_size=0.3, random_state=0),
    "TimeSeriesSplit": TimeSeriesSplit(2),
    "LeaveLastOut": LeaveLastOut(2, **COLUMNS),
    "ColdStartSplit": ColdStartSplit(3, n_splits=3, random_state=0, **COLUMNS),
}


def model_of(judge, films, **settings):
    return make_estimator(
        factors=3,
        iterations=4,
        item_data=films,
        item_encoder=SpyEncoder(),
        judge=judge,
        gate=SpyGate(),
        slates__size=10,
        slates__calibration_fraction=0.5,
        random_state=0,
        n_jobs=1,
        **COLUMNS | settings,
    )


def pairs(table):
    return set(zip(table["user"], table["item"], strict=True))


def cells(model, rows, columns):
    """Pairs of ids at given positions of a fitted model."""
    return set(zip(model.users_[rows].tolist(), model.items_[columns].tolist(), strict=True))


def check_fitted(model, train, held_out):
    """Check what the fitted model treated as shown, liked and not liked; return the latter."""
    slates = model._supervision.slates
    shown, liked, rest = (
        cells(model, slates.users[rows], columns)
        for rows, columns in (
            slates.shown.nonzero(),
            *((r, slates.items[r, c]) for r, c in map(np.nonzero, (slates.relevance == 1,))),
            *((r, slates.items[r, c]) for r, c in map(np.nonzero, (slates.relevance == 0,))),
        )
    )
    assert shown <= train
    assert liked
    assert liked <= train
    assert not rest & train
    assert not (shown | liked) & held_out
    return rest


@pytest.mark.slow
@pytest.mark.parametrize("in_pipeline", [False, True], ids=["alone", "pipeline"])
@pytest.mark.parametrize("splitter", SPLITTERS.values(), ids=SPLITTERS)
@pytest.mark.filterwarnings("ignore:ReliabilityGate got:UserWarning")
@adds_nothing
@pytest.mark.filterwarnings("ignore:.* users are unknown to the model:UserWarning")
def test_a_live_judge_is_shown_training_rows_alone(likes, films, splitter, in_pipeline, tmp_path):
    judge = SpyJudge(tmp_path / "calls.jsonl")
    model = model_of(judge, films)
    if in_pipeline:
        model = Pipeline([("same", FunctionTransformer()), ("mf", model)])
    X = pl.from_pandas(likes) if in_pipeline else likes
    result = cross_validate(
        model,
        X,
        groups=likes["user"].to_numpy() if isinstance(splitter, GroupKFold) else None,
        cv=splitter,
        return_estimator=True,
        return_indices=True,
    )
    calls = judge.calls()
    folds = list(
        zip(
            calls,
            result["estimator"],
            *(result["indices"][part] for part in ("train", "test")),
            strict=True,
        )
    )  # one call of the judge per fold
    assert len(folds) == splitter.get_n_splits(likes, groups=likes["user"])
    for call, estimator, train_rows, test_rows in folds:
        fitted = estimator[-1] if in_pipeline else estimator
        train, held_out = pairs(likes.iloc[train_rows]), pairs(likes.iloc[test_rows])
        assert call
        histories = {(slate["user"], item) for slate in call for item in slate["history"]}
        assert histories
        assert histories <= train
        assert not histories & held_out
        # The judge cannot distinguish held-out items from other unseen items.
        rest = check_fitted(fitted, train, held_out)
        if not isinstance(splitter, GroupKFold):
            assert rest & held_out

        # The gate learns from outcomes and counts in the training rows only.
        evidence, right, groups = fitted.gate_.seen_
        asked = {slate["user"] for slate in call}
        assert set(fitted.users_[np.unique(groups)]) <= asked
        counts = likes.iloc[train_rows].groupby("item")["user"].nunique()
        known = counts.reindex(fitted.items_, fill_value=0).to_numpy()
        np.testing.assert_array_equal(fitted._fitted.popularity, known)
        assert evidence["popularity_commoner"].max() <= np.log1p(known.max()) + 1e-6
        assert len(right) == len(evidence) == fitted.judge_stats_["calibration_pairs"]
        assert not set(fitted.users_) - set(likes["user"].iloc[train_rows])
        assert pairs_fitted(fitted) == train
        # Features are computed from the item data, which do not depend on interactions.
        pd.testing.assert_frame_equal(fitted.item_encoder_.seen_, films.reset_index(drop=True))


def pairs_fitted(model):
    return cells(model, *model._fitted.matrix.nonzero())


@adds_nothing
def test_the_held_out_rows_make_no_difference(likes, films, tmp_path):
    """Models of folds equal models that never had the other rows: factors, gate and questions."""
    (train, _), *_ = SPLITTERS["ColdStartSplit"].split(likes)
    first, alone = (SpyJudge(tmp_path / name) for name in ("first", "alone"))
    result = cross_validate(
        model_of(first, films), likes, cv=SPLITTERS["ColdStartSplit"], return_estimator=True
    )
    within = result["estimator"][0]
    fitted = model_of(alone, films).fit(likes.iloc[train].reset_index(drop=True))
    assert first.calls()[0] == alone.calls()[0]
    np.testing.assert_array_equal(within.user_factors_, fitted.user_factors_)
    np.testing.assert_array_equal(within.item_factors_, fitted.item_factors_)
    pd.testing.assert_frame_equal(within.gate_.seen_[0], fitted.gate_.seen_[0])


def recorded(likes, n_shown, rng):
    """Answers for each user, whose first items are shown; the others are hidden among new ones."""
    records = []
    for user, items in likes.groupby("user")["item"]:
        items = items.tolist()
        unseen = [f"i{i}" for i in range(N_ITEMS) if f"i{i}" not in items]
        candidates = items[n_shown:] + rng.permutation(unseen)[:6].tolist()
        records.append(
            {
                "user": user,
                "history": items[:n_shown],
                "candidates": candidates,
                "ratings": rng.uniform(size=len(candidates)).tolist(),
            }
        )
    return records


@pytest.mark.parametrize("splitter", SPLITTERS.values(), ids=SPLITTERS)
@pytest.mark.filterwarnings("ignore:ReliabilityGate got:UserWarning")
@adds_nothing
@pytest.mark.filterwarnings("ignore:Dropped from the judge's:UserWarning")
@pytest.mark.filterwarnings("ignore:.* users are unknown to the model:UserWarning")
def test_recorded_slates_are_read_by_the_training_rows(likes, films, splitter):
    records = recorded(likes, 2, np.random.default_rng(0))
    result = cross_validate(
        model_of(PrecomputedJudge(records), films),
        likes,
        groups=likes["user"].to_numpy() if isinstance(splitter, GroupKFold) else None,
        cv=splitter,
        return_estimator=True,
        return_indices=True,
    )
    for fitted, train_rows, test_rows in zip(
        result["estimator"], *(result["indices"][part] for part in ("train", "test")), strict=True
    ):
        train, held_out = pairs(likes.iloc[train_rows]), pairs(likes.iloc[test_rows])
        check_fitted(fitted, train, held_out)
        usable = sum(all((r["user"], i) in train for i in r["history"]) for r in records)
        assert fitted.judge_stats_["slates_used"] == usable > 0


def test_predefined_split_keeps_recorded_slates(likes, films, recwarn):
    """With later rows as the validation fold no slate is lost, because histories precede them."""
    records = recorded(likes, 2, np.random.default_rng(0))
    place = likes.groupby("user").cumcount().to_numpy()
    fold = np.where(place >= N_LIKED - 3, 0, -1)
    result = cross_validate(
        model_of(PrecomputedJudge(records), films),
        likes,
        cv=PredefinedSplit(fold),
        return_estimator=True,
    )
    (fitted,) = result["estimator"]
    assert fitted.judge_stats_["slates_used"] == N_USERS
    assert not [w for w in recwarn if "dropped" in str(w.message)]
    rest = check_fitted(fitted, pairs(likes[fold < 0]), pairs(likes[fold == 0]))
    assert len(rest & pairs(likes[fold == 0])) == 3 * N_USERS

"""Scorers in searches, against the report, which is tested against brute force."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_selreg import SelectiveLLMRegularizedMF, interactions_from_sparse
from sklearn_selreg.metrics import (
    auc_scorer,
    ndcg_at_k_scorer,
    ranking_report,
    recall_at_k_scorer,
)
from sklearn_selreg.model_selection import ColdStartSplit

SETTINGS = {"factors": 3, "iterations": 3, "random_state": 0, "n_jobs": 1}
SCORERS = {
    "NDCG@10": ndcg_at_k_scorer,
    "recall@10": recall_at_k_scorer,
    "AUC": lambda k, regime: auc_scorer(regime=regime),
}


@pytest.fixture(scope="module")
def rows():
    """Training and held-out interactions, with cold users and with rare and new items."""
    rng = np.random.default_rng(0)
    user = np.minimum(rng.geometric(0.06, size=300), 40)
    item = np.minimum(rng.geometric(0.05, size=300), 60)
    table = pd.DataFrame({"user": user, "item": item}).drop_duplicates()
    return table.iloc[:150], table.iloc[150:]


@pytest.fixture(scope="module")
def model(rows):
    items = {i: ["war", "love", "crime"][i % 3] for i in range(1, 61)}
    return SelectiveLLMRegularizedMF(**SETTINGS, item_data=items).fit(rows[0])


@pytest.mark.parametrize("regime", [None, "cold", "warm", "tail", "new"])
@pytest.mark.parametrize("metric", SCORERS)
def test_scores_are_those_of_the_report(rows, model, metric, regime):
    train, held_out = rows
    report = ranking_report(model, held_out, train=train)
    expected = report.loc[regime or "overall", metric]
    assert np.isfinite(expected)
    scorer = SCORERS[metric](10, regime=regime)
    assert scorer(model, held_out) == expected
    strengths = np.random.default_rng(0).integers(0, 2, size=len(held_out))
    report = ranking_report(model, held_out[strengths > 0], train=train)
    relevant = scorer(model, held_out, strengths)
    assert relevant == pytest.approx(report.loc[regime or "overall", metric])
    assert relevant != expected or expected == 0


def test_ndcg_at_10_is_the_score(rows, model):
    assert ndcg_at_k_scorer(10)(model, rows[1]) == pytest.approx(model.score(rows[1]))


@pytest.mark.parametrize("k", [1, 5, 60])
def test_cutoffs(rows, model, k):
    report = ranking_report(model, rows[1], train=rows[0], k=k)
    assert ndcg_at_k_scorer(k)(model, rows[1]) == report.loc["overall", f"NDCG@{k}"]
    assert recall_at_k_scorer(k)(model, rows[1]) == report.loc["overall", f"recall@{k}"]


def test_pipelines_and_searches_are_seen_through(rows, model):
    train, held_out = rows
    rename = {"who": "user", "what": "item"}
    outside = {new: old for old, new in rename.items()}
    pipe = Pipeline(
        [
            ("rename", FunctionTransformer(lambda X: X.rename(columns=rename))),
            ("inner", Pipeline([("same", FunctionTransformer()), ("mf", clone(model))])),
        ]
    )
    search = GridSearchCV(pipe, {"inner__mf__factors": [3]}, cv=[([0, 1, 2], [3])])
    search.fit(train.rename(columns=outside))
    X = held_out.rename(columns=outside)
    expected = ranking_report(model, held_out, train=train)
    for fitted in (search, search.best_estimator_, Pipeline([("search", search)])):
        pd.testing.assert_frame_equal(ranking_report(fitted, X), expected)
        given = ranking_report(fitted, X, train=train.rename(columns=outside))
        pd.testing.assert_frame_equal(given, expected)
        assert auc_scorer(regime="cold")(fitted, X) == expected.loc["cold", "AUC"]


@pytest.mark.filterwarnings("ignore:.* are also in the training data:UserWarning")
def test_sparse_fits_are_remembered(rows):
    matrix = pd.crosstab(rows[0]["user"], rows[0]["item"]).to_numpy()
    matrix = sp.csr_matrix(matrix)
    fitted = SelectiveLLMRegularizedMF(**SETTINGS).fit(matrix)
    table, _ = interactions_from_sparse(matrix)
    expected = ranking_report(fitted, table[::3], train=table)
    pd.testing.assert_frame_equal(ranking_report(fitted, table[::3]), expected)


def test_rows_of_folded_in_users_are_remembered(rows, model):
    new = pd.DataFrame({"user": 99, "item": model.items_[:5]})
    fitted = copy.deepcopy(model).fold_in(new)
    later = pd.DataFrame({"user": 99, "item": model.items_[5:7]})
    expected = ranking_report(fitted, later, train=new)
    both = pd.concat([rows[0], new])
    pd.testing.assert_frame_equal(
        ranking_report(fitted, later), ranking_report(fitted, later, train=both)
    )
    assert ndcg_at_k_scorer()(fitted, later) == expected.loc["overall", "NDCG@10"]


def test_scorers_can_be_pickled_cloned_and_compared():
    for scorer in (ndcg_at_k_scorer(5, regime="tail"), recall_at_k_scorer(), auc_scorer()):
        assert pickle.loads(pickle.dumps(scorer)) == clone(scorer, safe=False) == scorer
    assert len({ndcg_at_k_scorer(5), ndcg_at_k_scorer(10), ndcg_at_k_scorer(10)}) == 2


def test_an_empty_regime_is_nan_with_a_reason(rows):
    model = SelectiveLLMRegularizedMF(**SETTINGS)
    every = pd.concat(rows)
    cv = ColdStartSplit(3, n_splits=2, random_state=0)
    scoring = {"cold": auc_scorer(regime="cold"), "warm": auc_scorer(regime="warm")}
    with pytest.warns(UserWarning, match=r"AUC is NaN.*'cold'. Cold users have fewer than 3"):
        result = cross_validate(model, every, cv=cv, scoring=scoring)
    assert np.isnan(result["test_cold"]).all()
    assert np.isfinite(result["test_warm"]).all()
    cv = ColdStartSplit(n_splits=2, random_state=0)
    result = cross_validate(model, every, cv=cv, scoring=scoring["cold"])
    assert np.isfinite(result["test_score"]).all()


def test_scorers_warn_if_most_users_are_unknown(rows, model):
    strangers = rows[1].assign(user=-rows[1]["user"])
    n_users = strangers["user"].nunique()
    for score in (auc_scorer(), lambda model, X: model.score(X)):
        with pytest.warns(
            UserWarning, match=f"{n_users} of {n_users} users are unknown to the model"
        ):
            score(model, strangers)


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: ndcg_at_k_scorer(0), ValueError, "k must be an integer >= 1; got 0"),
        (lambda: recall_at_k_scorer(2.0), TypeError, "k must be an integer >= 1; got 2.0"),
        (lambda: auc_scorer(regime="hot"), ValueError, "regime must be one of .*got 'hot'"),
    ],
)
def test_bad_scorers_are_named_at_once(make, error, message):
    with pytest.raises(error, match=message):
        make()


class Forgetful(BaseEstimator):
    """A model with factors but without interactions."""

    def fit(self, X, y=None):
        return self


def test_what_does_not_remember_needs_train(rows, model):
    forgetful = Forgetful()
    for name in ("users_", "items_", "user_factors_", "item_factors_"):
        setattr(forgetful, name, getattr(model, name))
    with pytest.raises(
        ValueError, match=r"train must be given, .* a Forgetful does not keep them; got None"
    ):
        ranking_report(forgetful, rows[1])
    with pytest.raises(ValueError, match=r"train must be given, .* a function does not keep them"):
        ranking_report(lambda users: np.zeros((len(users), 3)), rows[1], items=[1, 2, 3])
    with pytest.raises(Exception, match="needs a fitted estimator with users_"):
        auc_scorer()(DummyClassifier(), rows[1])

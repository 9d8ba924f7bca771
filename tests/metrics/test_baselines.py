"""Comparison with baselines, against independent implementations."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.metrics import compare_baselines, compare_reports, ranking_report
from sklearn_selreg.model_selection import LeaveLastOut

COLUMNS = {"user_col": "user", "item_col": "item", "time_col": "time"}
N_USERS, N_ITEMS = 80, 150


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    weight = 1 / (1 + np.arange(N_ITEMS))
    rows = [(user, item) for user in range(N_USERS)
            for item in rng.choice(N_ITEMS, 8, replace=False, p=weight / weight.sum())]  # fmt: skip
    log = pd.DataFrame(rows, columns=["user", "item"]).assign(time=rng.permutation(len(rows)))
    train, test = next(LeaveLastOut(2, **COLUMNS).split(log))
    return log.iloc[train], log.iloc[test]


@pytest.fixture(scope="module")
def model(split):
    settings = {"factors": 4, "iterations": 3, "tuning": None, "random_state": 0, "n_jobs": 1}
    return SelectiveLLMRegularizedMF(**COLUMNS, **settings).fit(split[0])


@pytest.fixture(scope="module")
def table(model, split):
    return compare_baselines(model, split[1], n_bootstrap=200)


def report_of(model, split, score):
    """Report on scores of the model's catalog, (n_users, n_items), with rows as in `users_`."""
    return ranking_report(
        lambda users: score[np.searchsorted(model.users_, users)],
        split[1], train=split[0], items=model.items_, user_col="user", item_col="item",
    )  # fmt: skip


def dense(model, split):
    matrix = np.zeros((len(model.users_), len(model.items_)), dtype=np.float32)
    rows = np.searchsorted(model.users_, split[0]["user"])
    matrix[rows, np.searchsorted(model.items_, split[0]["item"])] = 1
    return matrix


def assert_row(table, name, report, own):
    compared = compare_reports(own, report, n_bootstrap=200)
    for metric in ("NDCG@10", "recall@10", "AUC"):
        assert table.loc[name, (metric, "value")] == pytest.approx(report.loc["overall", metric])
        for part in ("difference", "low", "high"):
            expected = compared.loc["overall", (metric, part)]
            assert table.loc[name, (metric, part)] == pytest.approx(expected)
    tail = report.loc["tail", "AUC"]
    assert table.loc[name, ("AUC tail", "value")] == pytest.approx(tail, nan_ok=True)


def test_rows_are_those_of_other_ways(model, split, table):
    names = ["model", "popularity", "recent popularity", "implicit ALS", "item-kNN"]
    assert table.index.tolist() == names
    own = ranking_report(model, split[1])
    assert table.loc["model", ("AUC", "value")] == own.loc["overall", "AUC"]
    assert table.loc["model"].xs("difference", level=1).isna().all()
    matrix = dense(model, split)
    popular = ranking_report("popularity", split[1], train=split[0], items=model.items_,
                             user_col="user", item_col="item")  # fmt: skip
    assert_row(table, "popularity", popular, own)

    newest = split[0]["time"] >= np.quantile(split[0]["time"], 0.9)
    count = split[0]["item"][newest].value_counts().reindex(model.items_, fill_value=0)
    recent = report_of(model, split, np.tile(count.to_numpy(float), (N_USERS, 1)))
    assert_row(table, "recent popularity", recent, own)

    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(random_state=0, iterations=15, num_threads=1)
        als.fit(sp.csr_matrix(dense(model, split)), show_progress=False)
    assert_row(table, "implicit ALS",
               report_of(model, split, als.user_factors @ als.item_factors.T), own)  # fmt: skip

    norm = np.sqrt(matrix.sum(axis=0))
    cosine = matrix.T @ matrix / np.maximum(norm[:, None] * norm, 1e-9)
    np.fill_diagonal(cosine, 0)
    kept = np.argsort(-cosine, axis=1, kind="stable")[:, :100]
    nearest = np.zeros_like(cosine)
    np.put_along_axis(nearest, kept, np.take_along_axis(cosine, kept, 1), 1)
    ties = 1e-6 * matrix.sum(axis=0) / matrix.sum(axis=0).max()
    knn = report_of(model, split, matrix @ nearest + ties)
    assert table.loc["item-kNN", ("AUC", "value")] == pytest.approx(
        knn.loc["overall", "AUC"], abs=0.01
    )


def test_parameters_of_als_are_given_to_it(model, split):
    other = compare_baselines(
        model, split[1], als_params={"factors": 2, "regularization": 5}, n_bootstrap=2
    )
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(2, regularization=5, random_state=0, iterations=15,
                                      num_threads=1)  # fmt: skip
        als.fit(sp.csr_matrix(dense(model, split)), show_progress=False)
    report = report_of(model, split, als.user_factors @ als.item_factors.T)
    assert other.loc["implicit ALS", ("AUC", "value")] == pytest.approx(
        report.loc["overall", "AUC"]
    )


def test_without_times_nothing_is_recent(split):
    columns = {"user_col": "user", "item_col": "item"}
    model = SelectiveLLMRegularizedMF(**columns, factors=3, iterations=2, tuning=None)
    table = compare_baselines(model.fit(split[0]), split[1], n_bootstrap=2)
    assert "recent popularity" not in table.index and len(table) == 4


def test_pipelines_and_searches_are_seen_through(model, split, table):
    settings = model.get_params()
    pipe = make_pipeline(FunctionTransformer(), SelectiveLLMRegularizedMF(**settings))
    piped = compare_baselines(pipe.fit(split[0]), split[1], n_bootstrap=200)
    pd.testing.assert_frame_equal(piped, table)
    search = GridSearchCV(SelectiveLLMRegularizedMF(**settings), {"factors": [4]},
                          cv=LeaveLastOut(**COLUMNS))  # fmt: skip
    found = compare_baselines(search.fit(split[0]), split[1], n_bootstrap=200)
    pd.testing.assert_frame_equal(found, table)


def test_returns_are_taken_off_as_the_model_does(split):
    settings = {"factors": 3, "iterations": 2, "tuning": None, "random_state": 0, "n_jobs": 1}
    model = SelectiveLLMRegularizedMF(**COLUMNS, **settings, negatives="net")
    (X, y), (held_out, strengths) = (
        (pd.concat([rows, rows[:20]]), np.append(np.ones(len(rows)), -np.ones(20)))
        for rows in split
    )
    table = compare_baselines(model.fit(X, y), held_out, y=strengths, n_bootstrap=2)
    pd.testing.assert_frame_equal(table, compare_baselines(model, split[1][20:], n_bootstrap=2))


def test_unknown_users_are_ranked_for(model, split):
    new = pd.concat([split[1], pd.DataFrame({"user": [999], "item": [0], "time": [0]})])
    table = compare_baselines(model, new, n_bootstrap=2)
    assert np.isfinite(table.xs("value", axis=1, level=1)[["NDCG@10", "AUC"]]).all(axis=None)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"als_params": 3}, TypeError, "als_params must be a dict or None; got an int"),
        ({"random_state": None}, ValueError, "random_state must be an integer >= 0"),
        ({"k": 0}, ValueError, "k must be an integer >= 1"),
        ({"n_bootstrap": 0}, ValueError, "n_bootstrap must be an integer >= 1"),
    ],
)
def test_bad_input_is_named(model, split, arguments, error, message):
    with pytest.raises(error, match=message):
        compare_baselines(model, split[1], **arguments)


def test_a_model_without_interactions_is_refused():
    model = SelectiveLLMRegularizedMF.from_factors([1, 2], [3, 4], np.eye(2), np.eye(2))
    with pytest.raises(ValueError, match="must keep the interactions"):
        compare_baselines(model, [[1, 3]])


def test_strengths_by_position_as_in_fit(model, split):
    X, y = split[1], np.arange(len(split[1])) % 2
    by_name = compare_baselines(model, X, y=y, n_bootstrap=10)
    pd.testing.assert_frame_equal(compare_baselines(model, X, y, n_bootstrap=10), by_name)
    pd.testing.assert_frame_equal(ranking_report(model, X, y), ranking_report(model, X, y=y))

"""Factors fitted by other libraries: input formats, and histories of their users."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.exceptions import DataWarning
from sklearn_selreg.judges import LLMJudge
from sklearn_selreg.metrics import ranking_report

N_USERS, N_ITEMS, K = 30, 20, 4


@pytest.fixture(scope="module")
def likes():
    """Six items per user."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", int(item) * 10)
        for user in range(N_USERS)
        for item in rng.choice(N_ITEMS, 6, replace=False)
    ]
    return pd.DataFrame(rows, columns=["user", "item"])


@pytest.fixture(scope="module")
def given():
    rng = np.random.default_rng(1)
    factors = [rng.normal(0, 0.3, (n, K)).astype(np.float32) for n in (N_USERS, N_ITEMS)]
    return [f"u{user}" for user in range(N_USERS)], np.arange(N_ITEMS) * 10, *factors


def make(given, **settings):
    return SelectiveLLMRegularizedMF.from_factors(*given, **settings)


def list_columns(factors):
    """Return factors as list columns of all kinds."""
    rows, k = factors.tolist(), factors.shape[1]
    fixed = pa.array(rows, pa.list_(pa.float32(), k))
    return {
        "pandas, lists": pd.Series(rows),
        "pandas, arrays": pd.Series(list(factors)),
        "pandas, Arrow": pd.Series(rows, dtype=pd.ArrowDtype(pa.list_(pa.float32()))),
        "polars, List": pl.Series(rows, dtype=pl.List(pl.Float32)),
        "polars, Array": pl.Series(rows, dtype=pl.Array(pl.Float32, k)),
        "Arrow, lists": pa.array(rows),
        "Arrow, fixed": fixed,
        "Arrow, chunks": pa.chunked_array([fixed[:7], fixed[7:]]),
        "lists": rows,
        "arrays": list(factors),
    }


@pytest.mark.parametrize("kind", list_columns(np.zeros((9, 2))))
def test_columns_of_lists_are_factors(given, kind):
    parts = [list_columns(factors)[kind] for factors in given[2:]]
    model = make((*given[:2], *parts))
    np.testing.assert_array_equal(model.user_factors_, given[2])
    np.testing.assert_array_equal(model.item_factors_, given[3])


def test_a_frame_of_ids_and_lists_is_taken_by_its_columns(given):
    """As returned by Spark's toPandas, with unordered ids."""
    order = np.random.default_rng(2).permutation(N_USERS)
    frame = pd.DataFrame({"id": np.arange(N_USERS), "features": list(given[2])}).iloc[order]
    model = make((frame["id"], given[1], frame["features"], given[3]))
    assert model.users_.tolist() == order.tolist()
    np.testing.assert_array_equal(model.user_factors_, given[2][order])


@pytest.mark.parametrize(
    "column", [[[1.0, 2.0], [3.0]], [[1.0, 2.0], None], [[1.0, 2.0], ["x", 3.0]]]
)
def test_lists_of_several_lengths_are_refused(column):
    with pytest.raises(ValueError, match=r"must be an array of numbers.* the same length"):
        make((["a", "b"], [1], pd.Series(column), [[1.0, 2.0]]))


def test_what_was_seen_is_left_out(given, likes):
    seen = likes.groupby("user")["item"].agg(set)
    found, _ = make(given, interactions=likes).recommend(given[0], n_items=N_ITEMS)
    for user, items in zip(given[0], found, strict=True):
        assert set(items) - {None} == set(given[1].tolist()) - seen[user]


def test_a_matrix_is_in_the_order_of_the_ids(given, likes):
    order = np.random.default_rng(3).permutation(N_USERS)
    users = [given[0][n] for n in order]
    rows, columns = pd.Index(users).get_indexer(likes["user"]), likes["item"] // 10
    matrix = sp.coo_array((np.ones(len(likes)), (rows, columns)), (N_USERS, N_ITEMS))
    parts = users, given[1], given[2][order], given[3]
    by_matrix, by_table = make(parts, interactions=matrix), make(given, interactions=likes)
    for model in (by_matrix, by_table):
        model.fold_in(likes.assign(user="new " + likes["user"]))
    found = [model.recommend(given[0], 5)[0].tolist() for model in (by_matrix, by_table)]
    assert found[0] == found[1]
    with pytest.raises(
        ValueError, match=r"each given item, shape \(30, 20\); got shape \(29, 20\)"
    ):
        make(parts, interactions=matrix.tocsr()[1:])


def test_strengths_are_known_too(given, likes):
    y = np.random.default_rng(4).integers(1, 5, len(likes))
    settings = {"regularization": 2.0, "alpha": 3.0}
    model = make(given, interactions=likes, y=y, **settings)
    one = likes["user"] == "u3"
    model.fold_in([["u3", 0], ["u3", 10]], [2, 1], known="append")
    more = pd.concat([likes[one], pd.DataFrame({"user": "u3", "item": [0, 10]})])
    strengths = np.append(y[one], [2, 1])
    solved = [
        make(given, **settings).fold_in(rows.assign(user="x"), weights).user_factors_[-1]
        for rows, weights in ((likes[one], y[one]), (more, strengths))
    ]
    moved = model.user_factors_[3] - given[2][3]
    np.testing.assert_allclose(moved, solved[1] - solved[0], atol=1e-5)


def test_without_interactions_a_warning_says_what_may_be_recommended(given, likes):
    model = make(given)
    message = r"What 2 of 3 users \(e.g. 'u5'\) have seen is unknown: it may be recommended"
    with pytest.warns(DataWarning, match=message):
        model.recommend(["stranger", "u5", "u7"])
    with pytest.warns(DataWarning, match="it is ranked among the candidates"):
        model.score(likes)
    with pytest.raises(ValueError, match=r"train must be given, .* was given none"):
        ranking_report(model, likes)
    model.recommend(["u5"], filter_seen=False)  # no warning
    model.fold_in(likes[likes["user"] == "u5"], known="replace").recommend(["u5"])


def test_with_interactions_who_has_none_has_seen_nothing(given, likes):
    some = make(given, interactions=likes[likes["user"] != "u7"])
    found = some.recommend(["u5", "u7"], len(given[1]), as_frame=True)  # no warning
    assert set(found["item"][found["user"] == "u7"]) == set(given[1])
    assert not set(found["item"][found["user"] == "u5"]) & set(likes["item"][likes["user"] == "u5"])
    with pytest.raises(ValueError, match=r"train must be given.* does not keep them"):
        ranking_report(lambda users: np.zeros((len(users), 2)), likes, items=[1, 2])


def test_interactions_without_factors_are_left_out_with_a_warning(given, likes):
    more = pd.concat([likes, pd.DataFrame({"user": ["zz"], "item": [10]})])
    with pytest.warns(DataWarning, match="1 of 31 users are unknown .* interactions are left out"):
        model = make(given, interactions=more)
    assert model.users_.tolist() == given[0]


@pytest.mark.parametrize("offset", [None, 0, 7.5])
@pytest.mark.parametrize("base", [0, 1])
def test_users_are_folded_in_as_by_the_normal_equations(given, likes, base, offset, tmp_path):
    """Compared with plain numpy, with counts and a user with a single like."""
    rows = likes[likes["user"].isin(["u1", "u2"])].iloc[:7]
    y = np.arange(1, 8) % 3 + 1
    model = make(given, regularization=0.7, alpha=3, base_confidence=base, count_offset=offset)
    model.save(tmp_path / "model.npz")
    for folding in (model, SelectiveLLMRegularizedMF.load(tmp_path / "model.npz")):
        folding.fold_in(rows, y, known="replace")
        items = given[3].astype(float)
        for user in ("u1", "u2"):
            own = (rows["user"] == user).to_numpy()
            liked, c = items[rows["item"][own] // 10], base + 3 * y[own]
            penalty = 0.7 * (1 if offset is None else own.sum() + offset)
            system = items.T @ items + (liked.T * (c - 1)) @ liked + penalty * np.eye(K)
            expected = np.linalg.solve(system, liked.T @ c)
            found = folding.user_factors_[folding.users_.tolist().index(user)]
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_users_of_nothing_are_the_mean_user_whatever_the_penalty(given):
    flat = given[2][:, :2], np.column_stack([given[3][:, 0], np.zeros(N_ITEMS)])
    parts = (*given[:2], *flat)
    model = make(parts, count_offset=0, regularization=0.5)
    model.fold_in([["new", 10], ["other", 10]], [1, 0])
    assert np.isfinite(model.user_factors_).all()
    np.testing.assert_allclose(model.user_factors_[-1], flat[0].mean(axis=0), rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_confidence": -1}, "base_confidence must be a number >= 0; got -1"),
        ({"base_confidence": None}, "base_confidence must be a number >= 0; got None"),
        ({"count_offset": True}, "count_offset must be a number >= 0 or None; got True"),
        ({"count_offset": np.inf}, "count_offset must be a number >= 0 or None; got inf"),
        ({"y": [1]}, "y was passed without X"),
    ],
)
def test_bad_settings_are_named(given, settings, message):
    with pytest.raises(ValueError, match=message):
        make(given, **settings)


def parity_judge(asked):
    def rate(slate):
        asked.append(slate)
        return [0.9 if item % 20 == 0 else 0.1 for item in slate.candidates]

    return LLMJudge.from_callable(rate, name="parity", version="1")


def test_a_plan_is_of_what_refine_asks_and_no_fit_comes_before(given, likes):
    """With item data, which a fit would encode as features, resulting in other slates."""
    asked = []
    texts = pd.DataFrame({"item": given[1], "text": [f"thing {n % 5}" for n in range(N_ITEMS)]})
    settings = {"item_data": texts, "gate": None, "user_col": "user", "item_col": "item"}
    model = make(given, interactions=likes, judge=parity_judge(asked), **settings)
    plan = model.plan_judging(None)
    frozen = plan.ask()
    assert len(asked) == len(plan.slates) > 20
    model.set_params(judge=frozen).refine()
    assert model.judge_stats_["slates"] == len(plan.slates)
    again = make(given, judge=frozen, **settings).refine(likes)
    np.testing.assert_array_equal(model.user_factors_, again.user_factors_)
    assert len(asked) == len(plan.slates)
    assert np.any(model.user_factors_ != given[2])


def test_refine_needs_interactions(given, likes):
    model = make(given, judge=parity_judge([]))
    with pytest.raises(ValueError, match=r"X must be the interactions .* without interactions"):
        model.refine()
    with pytest.raises(ValueError, match="pass both"):
        model.refine(None, [1])

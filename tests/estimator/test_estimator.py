"""The estimator, on small synthetic data and on MovieLens with recorded answers."""

import html
import pickle
import re
import warnings

import implicit.cpu.als
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from estimators import make_estimator
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from threadpoolctl import threadpool_limits
from worlds import (
    N_ITEMS,
    N_USERS,
    SETTINGS,
    World,
    all_scores,
    ndcg_by_loop,
    preferences_by_loop,
    same_factors,
    solve_user,
)

from sklearn_selreg import ReliabilityGate, SelectiveLLMRegularizedMF, interactions_from_sparse
from sklearn_selreg._judging import _supervision
from sklearn_selreg.exceptions import DataWarning, GateWarning
from sklearn_selreg.judges import LLMJudge, PrecomputedJudge
from sklearn_selreg.metrics import ranking_report

GATE_COLUMNS = [
    "gap",
    "prior_popularity",
    "prior_model",
    "history_length",
    "popularity_rarer",
    "popularity_commoner",
    "model_uncertainty",
    "agreement",
    "offset",
]


@pytest.fixture(scope="module")
def model(world):
    return world.model(item_data=world.item_data).fit(world.train)


@pytest.fixture(scope="module")
def judged(world):
    return world.judged(backbone__compute_loss=True).fit(world.train)


# Input types of X


def test_tables_of_all_kinds_give_the_same_model(world):
    expected = world.model().fit(world.train)
    frame = world.train.assign(noise=None)
    by_position = {"user_col": 0, "item_col": 1}
    models = [
        world.model().fit(frame[["noise", "item", "user"]]),
        world.model().fit(pl.DataFrame(world.train.to_dict("list"))),
        world.model(**by_position).fit(world.train),
        world.model(**by_position).fit(world.train.to_numpy()),
        world.model(**by_position).fit(world.train.to_numpy().tolist()),
        world.model(user_col=1, item_col=0).fit(world.train[["item", "user"]].to_numpy()),
    ]
    for other in models:
        assert same_factors(other, expected)
        np.testing.assert_array_equal(other.users_, np.arange(N_USERS))


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, sp.coo_matrix, sp.csc_array])
def test_sparse_matrices_hold_strengths(kind):
    rng = np.random.default_rng(0)
    dense = rng.poisson(0.3, (20, 25)) * rng.uniform(1, 2, (20, 25))
    X, y = interactions_from_sparse(kind(dense))
    settings = SETTINGS | {"user_col": 0, "item_col": 1}
    from_matrix = make_estimator(**settings).fit(kind(dense))
    from_table = make_estimator(**settings).fit(X, y)
    np.testing.assert_array_equal(from_matrix.users_, np.arange(20))
    assert set(from_table.items_) <= set(from_matrix.items_)
    np.testing.assert_allclose(from_matrix.predict(X), from_table.predict(X), atol=0.02)
    with pytest.raises(TypeError, match="interactions_from_sparse"):
        from_matrix.predict(kind(dense))
    with pytest.raises(TypeError, match="interactions_from_sparse"):
        from_matrix.score(kind(dense))
    with pytest.raises(TypeError, match="interactions_from_sparse"):
        from_matrix.fold_in(kind(dense))


def test_read_only_matrices_can_be_fitted():
    matrix = sp.random(20, 15, density=0.3, random_state=0, format="csr", dtype=np.float32)
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.flags.writeable = False
    fitted = make_estimator(**SETTINGS).fit(matrix)
    assert np.isfinite(fitted.item_factors_).all()


@pytest.mark.parametrize(
    "rename",
    [lambda n: n * 7 - 100, lambda n: f"id {n:03}", lambda n: pd.Timestamp(2020, 1, 1 + n % 28, n)],
    ids=["int", "str", "datetime"],
)
def test_ids_of_any_kind_come_back(world, rename):
    small = world.train[(world.train < 24).all(axis=1)]
    renamed = small.map(rename)
    expected = world.model().fit(small)
    model = world.model().fit(renamed)
    assert same_factors(model, expected)
    np.testing.assert_array_equal(
        model.users_, renamed["user"].drop_duplicates().sort_values().to_numpy()
    )
    items, scores = model.recommend(renamed["user"].to_numpy()[:3], 2)
    plain_items, plain_scores = expected.recommend(small["user"].to_numpy()[:3], 2)
    np.testing.assert_array_equal(scores, plain_scores)
    assert items.dtype == model.items_.dtype
    position = {item: n for n, item in enumerate(expected.items_.tolist())}
    np.testing.assert_array_equal(
        items, model.items_[[[position[i] for i in row] for row in plain_items.tolist()]]
    )
    np.testing.assert_array_equal(model.predict(renamed), expected.predict(small))


def test_ids_of_mixed_kinds_are_told_apart():
    X = [["ann", 1], ["ann", "1"], [7, 1], ["7", 2], ["7", "1"]]
    model = SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(X)
    assert set(model.users_) == {"ann", 7, "7"}
    items, _ = model.recommend(["7", 7], 3)
    assert [set(row) - {None} for row in items.tolist()] == [{1}, {"1", 2}]


def test_time_orders_the_history_and_row_order_is_the_default(world):
    timed = world.train.assign(time=world.times.to_numpy())
    settings = {"backbone__recency_power": 1.0, "popularity_periods": 1}
    by_time = world.model(time_col="time", **settings).fit(timed)
    sorted_rows = timed.sort_values("time", kind="stable")
    by_row = world.model(**settings).fit(sorted_rows[["user", "item"]])
    assert same_factors(by_time, by_row)
    assert not same_factors(by_time, world.model(**settings).fit(world.train))


def test_repeated_rows_add_up(world):
    rng = np.random.default_rng(0)
    strengths = rng.integers(1, 4, len(world.train))
    repeated = world.train.loc[np.repeat(np.arange(len(world.train)), strengths)]
    assert same_factors(
        world.model().fit(repeated), world.model().fit(world.train, strengths.astype(float))
    )


# Backbone


def test_everything_off_is_implicit():
    matrix = sp.random(60, 45, density=0.15, random_state=1, format="csr", dtype=np.float32)
    model = make_estimator(
        factors=8,
        regularization=5.0,
        alpha=4.0,
        iterations=500,
        item_bias=0,
        backbone__missing_power=0,
        backbone__recency_power=0,
        random_state=7,
    ).fit(matrix)
    with threadpool_limits(1, "blas"):
        peer = implicit.cpu.als.AlternatingLeastSquares(
            factors=8, regularization=5.0, alpha=4.0, iterations=500, random_state=7, num_threads=1
        )
        peer.fit(matrix, show_progress=False)
    pairs = np.indices(matrix.shape).reshape(2, -1).T
    expected = peer.user_factors @ peer.item_factors.T
    # Users without interactions get the mean user here, but zeros there.
    active = np.diff(matrix.indptr) > 0
    predicted = model.predict(pairs).reshape(matrix.shape)
    np.testing.assert_allclose(predicted[active], expected[active], atol=1e-5)
    assert np.any(expected > 0.1)


def test_items_of_item_data_can_be_recommended_by_what_they_are():
    # Two groups of users, two genres, and a new film of each genre.
    X = [(user, item) for user in range(20) for item in range(10) if user % 2 == item % 2]
    X = [pair for n, pair in enumerate(X) if n % 7]
    genres = {item: ["crime", "comedy"][item % 2] for item in range(12)}
    model = SelectiveLLMRegularizedMF(
        factors=3, regularization=1.0, item_bias=0, item_data=genres, random_state=0
    ).fit(X)
    assert model.items_.tolist() == list(range(12))
    scores = all_scores(model)
    assert np.all(scores[::2, 10] > scores[::2, 11])
    assert np.all(scores[1::2, 11] > scores[1::2, 10])


def test_item_data_of_all_kinds_and_any_encoder(world, model):
    series = world.item_data.set_index("item")["genre"]
    for item_data in (
        pl.DataFrame(world.item_data.to_dict("list")),
        series,
        series.to_frame(),
        series.to_dict(),
    ):
        assert same_factors(world.model(item_data=item_data).fit(world.train), model)
    without = world.model(item_data=series, item_encoder=None).fit(world.train)
    assert without.item_encoder_ is None
    assert not same_factors(without, model)

    class Words(CountVectorizer):
        def fit_transform(self, X, y=None):
            return super().fit_transform(X["genre"])

    words = Words()
    own = world.model(item_data=world.item_data, item_encoder=words).fit(world.train)
    assert own.item_encoder_.get_feature_names_out().tolist() == ["comedy", "crime", "drama"]
    assert not hasattr(words, "vocabulary_")
    assert not same_factors(own, without)


def test_biases_are_the_last_column_and_grow_with_popularity(world):
    with_bias = world.model(item_bias=0.2).fit(world.train)
    without = world.model(item_bias=0).fit(world.train)
    assert with_bias.user_factors_.shape[1] == without.user_factors_.shape[1] + 1
    assert np.all(with_bias.user_factors_[:, -1] == 1)
    popularity = world.train["item"].value_counts().reindex(with_bias.items_).to_numpy()
    np.testing.assert_allclose(
        with_bias.item_factors_[:, -1], 0.2 * popularity / (popularity + 5), rtol=1e-6
    )


def test_a_user_without_interactions_is_the_mean_user(world):
    X = pd.concat([world.train, pd.DataFrame({"user": [99, 99], "item": [0, 1]})])
    y = np.append(np.ones(len(world.train)), [0, 0])
    model = world.model().fit(X, y)
    assert model.users_[-1] == 99
    np.testing.assert_allclose(
        model.user_factors_[-1], model.user_factors_[:-1].mean(axis=0), rtol=1e-5
    )
    items, _ = model.recommend([99], N_ITEMS)
    assert set(items[0]) == set(model.items_)  # no items were seen


# predict, score, recommend


def test_predict_is_the_product_of_factors(world, model):
    X = world.test.sample(frac=1, random_state=0)
    predicted = model.predict(X)
    assert predicted.dtype == np.float32
    assert predicted.shape == (len(X),)
    expected = all_scores(model)[X["user"], X["item"]]  # ids equal positions here
    np.testing.assert_allclose(predicted, expected, atol=1e-6)


def test_predict_for_unknown_users_and_items(model):
    scores = all_scores(model)
    mean = scores.mean(axis=0)
    X = pd.DataFrame({"user": [3, 999, 3, 999, 4], "item": [777, 5, 6, 777, 777]})
    expected = [scores[3].min(), mean[5], scores[3, 6], mean.min(), scores[4].min()]
    with pytest.warns(DataWarning, match=r"3 of 5 items are unknown.* 777.*unknown_items='nan'"):
        np.testing.assert_allclose(model.predict(X), expected, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = model.predict(X, unknown_items="nan")
        assert (model.predict(X[1:3]) == found[1:3]).all()
    assert np.isnan(found).tolist() == [True, False, False, True, True]
    with pytest.raises(ValueError, match="unknown_items must be 'lowest' or 'nan'; got 'mean'"):
        model.predict(X, unknown_items="mean")


def test_score_is_the_ndcg_of_a_loop(world, model):
    unknown_items = pd.DataFrame({"user": [0, 1, 1], "item": [800, 800, 801]})
    unknown_users = pd.DataFrame({"user": [500, 500, 501], "item": [3, 4, 800]})
    fitted = world.train.iloc[::9]
    X = pd.concat([world.test, unknown_items, unknown_users, fitted], ignore_index=True)
    y = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    y[-len(fitted) :] = 1
    expected = ndcg_by_loop(model, world.train, X, y)
    assert 0.05 < expected < 0.95
    assert model.score(X, y) == pytest.approx(expected, abs=1e-9)
    everything = ndcg_by_loop(model, world.train, X, np.ones(len(X)))
    assert model.score(X) == pytest.approx(everything, abs=1e-9)


def test_score_of_relevant_items_on_top_is_1(model):
    items, _ = model.recommend(model.users_, 4)
    X = pd.DataFrame({"user": np.repeat(model.users_, 4), "item": items.ravel()})
    assert model.score(X) == 1
    with pytest.warns(UserWarning, match=r"1 of 1 items are unknown to the model \(e.g. -1\)"):
        assert model.score(X.assign(item=-1)) == 0


def test_score_warns_if_most_users_are_unknown(world, model):
    half = world.test.assign(user=world.test["user"] + N_USERS // 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.score(half)
    most = world.test.assign(user=world.test["user"] + N_USERS // 2 + 1)
    with pytest.warns(UserWarning, match="21 of 40 users are unknown to the model.* shuffle"):
        assert np.isfinite(model.score(most))


@pytest.mark.parametrize("filter_seen", [True, False])
@pytest.mark.parametrize("n_items", [1, 7, N_ITEMS, N_ITEMS + 5])
def test_recommend_is_the_ranking_of_a_loop(world, model, filter_seen, n_items):
    users = [5, 0, 31, 5]
    items, scores = model.recommend(users, n_items, filter_seen=filter_seen)
    assert items.shape == scores.shape == (4, min(n_items, N_ITEMS))
    assert scores.dtype == np.float32
    for user, row, values in zip(users, items, scores, strict=True):
        seen = set(world.train["item"][world.train["user"] == user]) if filter_seen else set()
        expected = [i for i in np.argsort(-all_scores(model)[user]) if i not in seen][:n_items]
        found = len(expected)
        assert row[:found].tolist() == expected
        np.testing.assert_allclose(values[:found], all_scores(model)[user, expected], atol=1e-6)
        assert all(item is None for item in row[found:])
        assert np.isnan(values[found:]).all()
        assert not seen & set(row)


def test_recommend_to_unknown_users_what_the_mean_user_gets(model):
    items, scores = model.recommend([999, -1], 5)
    mean = all_scores(model).mean(axis=0)
    best = np.argsort(-mean)[:5]
    for row, values in zip(items, scores, strict=True):
        assert row.tolist() == best.tolist()
        np.testing.assert_allclose(values, mean[best], atol=1e-6)


def test_recommend_takes_users_of_any_container(model):
    expected = model.recommend(np.array([3, 4]), 3)[0]
    for users in ([3, 4], (3, 4), pd.Series([3, 4]), pl.Series([3, 4]), pd.Index([3, 4])):
        np.testing.assert_array_equal(model.recommend(users, 3)[0], expected)
    assert model.recommend([], 3)[0].shape == (0, 3)


# fold_in


@pytest.mark.parametrize("settings", [{}, {"backbone__recency_power": 0.7}, {"item_bias": 0}])
@pytest.mark.parametrize("missing_power", [0.0, 0.8])
def test_fold_in_solves_the_users_least_squares(world, settings, missing_power):
    model = world.model(backbone__missing_power=missing_power, **settings).fit(world.train)
    items = model.item_factors_.copy()
    X = pd.DataFrame(
        {"user": [7, 7, 100, 7, 100, 100], "item": [4, 9, 9, 30, 2, 4]}  # 7 is known, 100 is new
    )
    y = np.array([1, 2, 1, 0.5, 1, 3])
    assert model.fold_in(X, y, known="replace") is model
    assert model.users_.tolist() == [*range(N_USERS), 100]
    popularity = np.bincount(world.train["item"], minlength=N_ITEMS)
    for user in (7, 100):
        own = np.flatnonzero(X["user"] == user)
        ages = len(own) - 1 - np.arange(len(own))
        expected = solve_user(model, popularity, X["item"].to_numpy()[own], y[own], ages)
        row = model.users_.tolist().index(user)
        np.testing.assert_allclose(model.user_factors_[row, :6], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(model.item_factors_, items)
    # Their new items are filtered.
    recommended = model.recommend([7, 100], N_ITEMS)[0]
    assert set(model.items_) - set(recommended[0]) == {4, 9, 30}
    assert set(model.items_) - set(recommended[1]) == {2, 4, 9}


def test_folding_in_the_fitted_rows_changes_little(world):
    # With recency, users are solved to convergence, both at the end of fit and in fold_in.
    model = world.model(backbone__recency_power=0.5).fit(world.train)
    before = model.user_factors_.copy()
    model.fold_in(world.train)
    np.testing.assert_allclose(model.user_factors_, before, rtol=1e-3, atol=1e-4)


def test_fold_in_leaves_other_users_alone(world):
    model = world.model().fit(world.train)
    before = model.user_factors_.copy()
    others = np.delete(np.arange(N_USERS), 3)
    recommended = model.recommend(others, N_ITEMS)[0]
    model.fold_in(pd.DataFrame({"user": [3, -5], "item": [1, 2]}), known="replace")
    np.testing.assert_array_equal(model.user_factors_[others], before[others])
    np.testing.assert_array_equal(model.recommend(others, N_ITEMS)[0], recommended)
    assert model.users_.tolist() == [*range(N_USERS), -5]


def test_fold_in_warns_of_unknown_items_and_leaves_them_out(world):
    model = world.model().fit(world.train)
    other = clone(model).fit(world.train)
    X = pd.DataFrame({"user": [997, 997, 998], "item": [3, 888, 888]})
    with pytest.warns(UserWarning, match=r"1 of 2 items are unknown to the model \(e.g. 888\)"):
        model.fold_in(X)
    other.fold_in(X[:1])
    assert model.users_[-2:].tolist() == [997, 998]
    np.testing.assert_allclose(model.user_factors_[-2], other.user_factors_[-1], rtol=1e-5)
    np.testing.assert_allclose(  # unknown users
        model.user_factors_[-1], model.user_factors_[:N_USERS].mean(axis=0), rtol=1e-5
    )


def test_fold_in_of_a_shortened_history_knows_less(world):
    model = world.model(item_bias=0).fit(world.train)
    user = world.train[world.train["user"] == 3]
    scores = []
    for n in (1, 4, len(user)):
        model.fold_in(user.iloc[:n], known="replace")
        scores.append(model.predict(user).mean())
    assert scores[0] < scores[1] < scores[2]


# The judge and the gate


def test_gate_auto_is_a_default_gate(world, judged):
    own = ReliabilityGate()
    other = world.judged(gate=own).fit(world.train)
    assert same_factors(other, judged)
    assert other.gate_ is not own
    assert not hasattr(own, "classes_")
    tuned = world.judged(gate=ReliabilityGate(C=0.01)).fit(world.train)
    assert tuned.gate_.C_ == 0.01
    assert not same_factors(tuned, judged)
    assert judged.gate_.feature_names_in_.tolist() == GATE_COLUMNS


class SpyGate(ReliabilityGate):
    """Stores the data it was fitted on."""

    def fit(self, Z, y, groups=None):
        self.fitted_on_ = Z, y, groups
        return super().fit(Z, y, groups=groups)


def test_gate_is_fitted_on_pairs_of_a_known_positive_and_another_item(world):
    evidence, right, groups = world.judged(gate=SpyGate()).fit(world.train).gate_.fitted_on_
    fitted = set(world.train.itertuples(index=False, name=None))
    popularity = np.bincount(world.train["item"], minlength=N_ITEMS)
    expected = sorted(
        (record["user"], p - q, (record["user"], a) in fitted, len(record["history"]))
        for record in world.records
        for a, p in zip(record["candidates"], record["ratings"], strict=True)
        for b, q in zip(record["candidates"], record["ratings"], strict=True)
        if p > q and ((record["user"], a) in fitted) != ((record["user"], b) in fitted)
    )
    users, group = np.unique(groups, return_inverse=True)
    assert len(users) == N_USERS
    found = np.column_stack([group, evidence["gap"], right, evidence["history_length"]])
    order = np.lexsort(found.T[::-1])
    np.testing.assert_allclose(found[order], expected, atol=1e-6)
    # Popularity comes from models that were fitted without a quarter of these users.
    assert evidence["popularity_commoner"].max() < np.log1p(popularity.max())


def test_without_gate_all_preferences_weigh_1(world, judged):
    model = world.judged(gate=None).fit(world.train)
    assert model.gate_ is None
    assert set(model.preferences_["weight"]) == {1.0}
    assert len(model.preferences_) == len(judged.preferences_)
    assert not same_factors(model, judged)


def test_preferences_are_the_preferences_between_items_not_fitted(world, judged):
    table = judged.preferences_
    assert list(table.columns) == ["user", "preferred", "other", *GATE_COLUMNS, "weight"]
    columns = ["user", "preferred", "other", "gap"]
    found = table[columns].sort_values(columns).to_numpy()
    np.testing.assert_allclose(found, preferences_by_loop(world), atol=1e-6)
    popularity = world.train["item"].value_counts()
    a, b = (table[name].map(popularity).fillna(0) for name in ("preferred", "other"))
    np.testing.assert_allclose(table["prior_popularity"], np.log1p(a) - np.log1p(b), atol=1e-6)


def test_preferences_weigh_what_the_gate_says(judged):
    table = judged.preferences_
    assert (table["weight"] >= 0).all()
    assert (table["weight"] > 0).any()
    np.testing.assert_array_equal(
        table["weight"], judged.gate_.transform(table[GATE_COLUMNS])[:, 0]
    )


def test_judge_stats_count(world, judged):
    fitted = set(world.train.itertuples(index=False, name=None))
    calibration, calibration_pairs = 0, 0
    for record in world.records:
        known = [(record["user"], item) in fitted for item in record["candidates"]]
        calibration += 0 < sum(known) < len(known)
        calibration_pairs += sum(known) * (len(known) - sum(known))
    assert judged.judge_stats_ == {
        "slates": 2 * N_USERS,
        "answers": 2 * N_USERS,
        "slates_used": 2 * N_USERS,
        "calibration_slates": calibration,
        "calibration_pairs": calibration_pairs,
        "pairs": len(preferences_by_loop(world)),
        "pairs_weighted": int((judged.preferences_["weight"] > 0).sum()),
    }
    assert calibration == N_USERS


def test_a_good_judge_is_trusted_and_followed(world, model, judged):
    assert judged.gate_.gap_coef_ > 1
    table = judged.preferences_
    heavy = table[table["weight"] > table["weight"].median()]

    def margin(model):
        scores = all_scores(model)
        return scores[heavy["user"], heavy["preferred"]] - scores[heavy["user"], heavy["other"]]

    assert np.mean(margin(judged) > 0) > np.mean(margin(model) > 0) + 0.05
    assert margin(judged).mean() > margin(model).mean()


def test_stronger_llm_weight_pulls_harder(world, model):
    pairs = world.judged(gate=None).fit(world.train).preferences_
    shares = []
    for llm_weight in (0.0, 0.2, 4.0):
        scores = all_scores(world.judged(gate=None, llm_weight=llm_weight).fit(world.train))
        shares.append(
            np.mean(
                scores[pairs["user"], pairs["preferred"]] > scores[pairs["user"], pairs["other"]]
            )
        )
    assert shares[0] < shares[1] < shares[2]


def inverted(records):
    return [record | {"ratings": [1 - r for r in record["ratings"]]} for record in records]


def test_a_judge_that_is_wrong_changes_nothing(world):
    with pytest.warns(GateWarning, match=r"None of 1,200 .* It is wrong more often than right"):
        wrong = world.judged(judge=PrecomputedJudge(inverted(world.records))).fit(world.train)
    assert wrong.gate_.gap_coef_ < 0
    assert not wrong.preferences_["weight"].any()
    assert wrong.judge_stats_["pairs_weighted"] == 0
    without = world.judged(judge=None).fit(world.train)  # with the same number of sweeps
    np.testing.assert_allclose(wrong.user_factors_, without.user_factors_, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(wrong.item_factors_, without.item_factors_, rtol=1e-3, atol=1e-5)
    assert wrong.n_iter_ == without.n_iter_ == 9


@pytest.mark.parametrize(("iterations", "refine"), [(9, 9), (9, 12), (1, None)])
def test_some_sweeps_must_be_the_backbones(world, iterations, refine):
    model = world.judged(iterations=iterations, backbone__refine_iterations=refine)
    with pytest.raises(
        ValueError, match=rf"refine_iterations={refine} and iterations={iterations}"
    ):
        model.fit(world.train)
    assert model.set_params(judge=None).fit(world.train).n_iter_ == iterations


@pytest.mark.parametrize("judge", ["gpt", [{"user": "u1"}]])
def test_judges_are_wrapped(world, judge):
    with pytest.raises(TypeError, match=rf"must be a BaseJudge.*got a {type(judge).__name__}"):
        world.judged(judge=judge).fit(world.train)


def test_a_dense_matrix_is_not_taken_in_silence():
    model = SelectiveLLMRegularizedMF(factors=2, iterations=2)
    with pytest.warns(UserWarning, match=r"csr_matrix\(X\)"):
        model.fit(np.eye(6))


def test_without_judge_there_are_no_judgments(model):
    assert model.gate_ is None
    assert model.judge_stats_ == {}
    with pytest.raises(AttributeError, match="fitted without a judge"):
        _ = model.preferences_


def test_too_little_to_calibrate_on(world):
    no_positives = [r for r in world.records if len(r["candidates"]) == 6]
    with pytest.warns(UserWarning, match="cannot be calibrated and trusts no preference"):
        model = world.judged(judge=PrecomputedJudge(no_positives)).fit(world.train)
    assert model.gate_ is None
    assert not model.preferences_["weight"].any()
    assert model.judge_stats_["calibration_slates"] == 0
    few = world.records[:4]
    with pytest.warns(UserWarning, match="ReliabilityGate got 36 pairs.*Falling back"):
        model = world.judged(judge=PrecomputedJudge(few)).fit(world.train)
    assert model.gate_.is_fallback_


# Judge summary


def random_ratings(records, seed=0):
    rng = np.random.default_rng(seed)
    return [record | {"ratings": rng.random(len(record["ratings"])).tolist()} for record in records]


def test_the_summary_is_that_of_the_gate_for_all_preferences(judged):
    evidence = judged.preferences_[judged.gate_.feature_names_in_]
    assert judged.judge_summary_ == judged.gate_.summary(evidence)
    used = round(100 * np.mean(judged.preferences_["weight"] > 0))
    assert f"used for {used} % of 1,200 preferences" in judged.judge_summary_


def test_of_many_slates_the_summary_looks_at_a_part(judged, monkeypatch):
    monkeypatch.setattr(_supervision, "_SLATES_PER_CHUNK", 27)  # every third one of 80
    slate = np.arange(1200) // 15  # each with 6 candidates of different ratings
    evidence = judged.preferences_[judged.gate_.feature_names_in_][slate % 3 == 0]
    assert judged.judge_summary_ == judged.gate_.summary(evidence, n_preferences=1200)
    assert judged.judge_summary_ != judged.gate_.summary(evidence)


def test_the_diagram_shows_the_summary(judged, model):
    paragraph = f"<p>{html.escape(judged.judge_summary_)}</p>"
    bundle = judged._repr_mimebundle_()
    for shown in (judged._repr_html_(), bundle["text/html"]):
        assert shown.count(paragraph) == 1
    assert bundle["text/plain"] == repr(judged)
    assert f"<p>{judged.gate_.summary()}</p>" in judged.gate_._repr_html_()
    for other in (model, clone(judged), ReliabilityGate()):
        assert "calibration pairs" not in other._repr_html_()
    with sklearn.config_context(display="text"):
        assert list(judged._repr_mimebundle_()) == ["text/plain"]


def test_without_a_gate_there_is_no_summary(world, model, judged, tmp_path):
    judged.save(tmp_path / "model.npz")
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "model.npz")
    for other in (model, loaded, world.judged(gate=None).fit(world.train)):
        with pytest.raises(AttributeError, match=r"judge_summary_ is not.* or it was loaded"):
            _ = other.judge_summary_
        assert "<p>" not in other._repr_html_()[-200:]
    with pytest.raises(NotFittedError):
        _ = world.judged().judge_summary_
    assert pickle.loads(pickle.dumps(judged)).judge_summary_ == judged.judge_summary_


def test_who_paid_for_a_useless_judge_learns_it(world):
    judge = PrecomputedJudge(random_ratings(world.records))
    with pytest.warns(GateWarning) as told:
        model = world.judged(judge=judge).fit(world.train)
    assert len(told) == 1
    message = str(told[0].message)
    assert message.startswith(model.gate_.summary() + " None of 1,200 preferences counts")
    assert "leave the judge out" in message
    assert told[0].filename == __file__
    without = world.judged(judge=None).fit(world.train)
    np.testing.assert_allclose(model.item_factors_, without.item_factors_, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_judge_that_lowers_no_loss_is_not_used(world):
    threshold = ReliabilityGate(threshold=0)  # which trusts any preference
    without = world.judged(judge=None).fit(world.train)
    n_useless = 0
    for seed in range(10):
        judge = PrecomputedJudge(random_ratings(world.records, seed))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model = world.judged(judge=judge, gate=threshold).fit(world.train)
        loss, n = model.gate_.log_loss_, model.judge_stats_["pairs_weighted"]
        assert model.gate_.adds_ == (loss["selected"] < loss["prior"])
        if not model.gate_.adds_:
            n_useless += 1
            assert n == 0
            assert len(told) == 1
            assert ", no gain). None of 1,200 preferences counts: the model is" in str(
                told[0].message
            )
            np.testing.assert_allclose(
                model.item_factors_, without.item_factors_, rtol=1e-3, atol=1e-5
            )
    assert n_useless


def test_a_judge_who_knows_what_is_hidden_is_told(world):
    counts = np.log1p(world.train["item"].value_counts()) / 10  # including the hidden likes
    records = [
        record | {"ratings": counts.reindex(record["candidates"], fill_value=0).tolist()}
        for record in world.records
    ]
    with pytest.warns(GateWarning, match="implausibly certain. The judge may know interactions"):
        world.judged(judge=PrecomputedJudge(records)).fit(world.train)


class Strange(TransformerMixin, BaseEstimator):
    """A gate with arbitrary output."""

    def __init__(self, give):
        self.give = give

    def fit(self, Z, y, groups=None):
        return self

    def transform(self, Z):
        return self.give(len(Z))


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (np.ones, r"must return one column for \d+ pairs; got an array of shape \(\d+,\)"),
        (lambda n: np.full((n, 1), np.nan), "must return finite weights >= 0"),
        (
            lambda n: np.full((n, 1), -1.0),
            "must return finite weights >= 0; got values from -1 to -1",
        ),
    ],
)
def test_gates_that_give_no_weights_are_refused(world, give, message):
    with pytest.raises(ValueError, match=message):
        world.judged(gate=Strange(give)).fit(world.train)


@pytest.mark.parametrize(
    "gate",
    [ReliabilityGate(offset_col="nope"), Strange(np.ones), make_pipeline(ReliabilityGate())],
)
def test_gates_that_cannot_work_are_found_out_before_anything_is_asked(world, gate):
    asked = []
    judge = LLMJudge.from_callable(asked.append, name="counts", version="1", cache=None)
    with pytest.raises(ValueError, match=r"columns of Z|one column|groups"):
        world.judged(judge=judge, gate=gate).fit(world.train)
    assert not asked


def test_a_judge_of_calibration_alone_is_told(world):
    known = [record for record in world.records if len(record["candidates"]) == 9]
    known = [record | {"candidates": record["candidates"][:4]} for record in known]
    known = [record | {"ratings": record["ratings"][:4]} for record in known]
    with pytest.warns(GateWarning, match="no preferences between .* Judge slates of such"):
        model = world.judged(judge=PrecomputedJudge(known)).fit(world.train)
    assert model.judge_stats_["pairs"] == 0
    assert model.judge_summary_ == model.gate_.summary()


class Indifferent(TransformerMixin, BaseEstimator):
    """A custom gate that trusts no preference."""

    def fit(self, Z, y, groups=None):
        self.fitted_ = True
        return self

    def transform(self, Z):
        return np.zeros((len(Z), 1))


def test_gates_of_another_kind_are_told_of_too(world):
    with pytest.warns(GateWarning, match=r"^None of 1,200 preferences counts: .* Inspect the gate"):
        model = world.judged(gate=Indifferent()).fit(world.train)
    with pytest.raises(AttributeError, match="a custom gate"):
        _ = model.judge_summary_


@pytest.mark.parametrize("gate", [None, ReliabilityGate(min_pairs=10_000)])
def test_what_is_not_learned_is_not_told_as_if(world, gate):
    judge = PrecomputedJudge(random_ratings(world.records))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        world.judged(gate=gate, judge=judge).fit(world.train)
    assert len(told) == (gate is not None)
    assert not any("as without the judge" in str(warning.message) for warning in told)


# Leakage


def test_slates_beyond_the_fitted_rows_are_dropped_in_one_warning(world):
    part = world.train.sample(frac=0.8, random_state=0)
    fitted = set(part.itertuples(index=False, name=None))
    outside = [
        any((record["user"], item) not in fitted for item in record["history"])
        for record in world.records
    ]
    assert 10 < sum(outside) < len(outside) - 10
    with pytest.warns(UserWarning) as caught:
        model = world.judged().fit(part)
    messages = [str(w.message) for w in caught]
    assert len(messages) == 1
    assert f"judge's {len(outside)} slates" in messages[0]
    assert f"{sum(outside)} slates whose history is not within the user's" in messages[0]
    assert model.judge_stats_["slates_used"] == len(outside) - sum(outside)
    kept = [r for r, dropped in zip(world.records, outside, strict=True) if not dropped]
    assert same_factors(model, world.judged(judge=PrecomputedJudge(kept)).fit(part))


def test_no_slate_left_is_an_error(world):
    elsewhere = [record | {"user": f"user {record['user']}"} for record in world.records]
    with pytest.raises(
        ValueError, match=r"No slate of the judge matches .* 80 slates of unknown .* user 'user "
    ):
        world.judged(judge=PrecomputedJudge(elsewhere)).fit(world.train)
    as_text = [
        record | {"history": [], "candidates": [str(i) for i in record["candidates"]]}
        for record in world.records
    ]
    with pytest.raises(ValueError, match=r"candidates of unknown items.* must be the same"):
        world.judged(judge=PrecomputedJudge(as_text)).fit(world.train)


def test_unknown_users_and_items_in_slates_are_no_errors(world, judged):
    strange = [
        {"user": "who", "history": [], "candidates": [1, 2], "ratings": [0, 1]},
        {"user": 0, "history": ["what"], "candidates": [1, 2], "ratings": [0, 1]},
    ]
    more = [
        record | {"candidates": [*record["candidates"], "what"], "ratings": [*record["ratings"], 1]}
        for record in world.records
    ]
    with pytest.warns(UserWarning) as caught:
        model = world.judged(judge=PrecomputedJudge(more + strange)).fit(world.train)
    assert len(caught) == 1
    message = str(caught[0].message)
    for part in (
        "judge's 82 slates",
        "1 slate of unknown users",
        "1 slate whose history",
        "80 candidates of unknown items",
    ):
        assert part in message
    np.testing.assert_allclose(model.item_factors_, judged.item_factors_, rtol=1e-3, atol=1e-4)


def test_what_is_said_of_fitted_candidates_never_regularizes(world):
    fitted = set(world.train.itertuples(index=False, name=None))
    rng = np.random.default_rng(0)

    def retell(of_fitted):
        return PrecomputedJudge(
            [
                record
                | {
                    "ratings": [
                        rng.uniform() if ((record["user"], item) in fitted) == of_fitted else rating
                        for item, rating in zip(
                            record["candidates"], record["ratings"], strict=True
                        )
                    ]
                }
                for record in world.records
            ]
        )

    told = world.judged(gate=None).fit(world.train)
    assert same_factors(world.judged(gate=None, judge=retell(True)).fit(world.train), told)
    assert not same_factors(world.judged(gate=None, judge=retell(False)).fit(world.train), told)


def test_truth_comes_from_the_rows_not_from_the_record(world, judged):
    lies = [record | {"hidden_positives": [0, 1], "kind": "other"} for record in world.records]
    assert same_factors(world.judged(judge=PrecomputedJudge(lies)).fit(world.train), judged)
    # Without their positives in the rows, the same slates cannot be used for calibration.
    hidden = {(r["user"], i) for r in world.records for i in r["candidates"]}
    keep = [row not in hidden for row in world.train.itertuples(index=False, name=None)]
    shown = [record for record in world.records if len(record["candidates"]) == 9]
    with pytest.warns(UserWarning, match="cannot be calibrated"):
        model = world.judged(judge=PrecomputedJudge(shown)).fit(world.train[keep])
    assert model.judge_stats_["calibration_slates"] == 0


# Scikit-learn API


def test_same_random_state_same_result_bit_by_bit(world, judged):
    again = world.judged().fit(world.train)
    assert same_factors(again, judged)
    assert same_factors(again.fit(world.train), judged)  # refitting starts from scratch
    assert not same_factors(world.judged(random_state=1).fit(world.train), judged)
    seeds = [np.random.RandomState(3), np.random.RandomState(3)]
    assert same_factors(*(world.judged(random_state=s).fit(world.train) for s in seeds))
    seeds = [np.random.default_rng(3), np.random.default_rng(3), 3]
    models = [world.judged(random_state=s).fit(world.train) for s in seeds]
    assert same_factors(models[0], models[1])
    assert same_factors(models[0], models[2])


@pytest.mark.parametrize("n_jobs", [1, 2, 3, -1])
def test_the_result_does_not_depend_on_threads(world, judged, n_jobs):
    model = world.judged(n_jobs=n_jobs).fit(world.train)
    assert same_factors(model, judged)
    np.testing.assert_array_equal(model.recommend([1, 2])[0], judged.recommend([1, 2])[0])


def test_clone_and_parameters(world):
    model = world.judged(gate=ReliabilityGate(C=0.5), margin=0.3)
    copy = clone(model)
    assert copy is not model
    assert copy.get_params()["margin"] == 0.3
    assert copy.get_params()["gate__C"] == 0.5
    copy.set_params(gate__C=2.0, factors=3)
    assert model.gate.C == 0.5
    assert copy.fit(world.train).item_factors_.shape == (N_ITEMS, 4)
    assert copy.gate_.C_ == 2.0
    assert list(SelectiveLLMRegularizedMF().get_params()) == sorted(
        SelectiveLLMRegularizedMF._parameter_constraints
    )


def test_fit_changes_no_parameter(world):
    item_data, records = world.item_data.copy(), [dict(r) for r in world.records]
    model = world.judged().fit(world.train)
    pd.testing.assert_frame_equal(model.item_data, item_data)
    assert model.judge.judgments == records
    assert {k: v for k, v in model.get_params().items() if k in SETTINGS} == SETTINGS


def test_pickles_predict_and_recommend_the_same(world, judged):
    restored = pickle.loads(pickle.dumps(judged))
    np.testing.assert_array_equal(restored.predict(world.test), judged.predict(world.test))
    assert restored.score(world.test) == judged.score(world.test)
    for a, b in zip(restored.recommend([1, 99]), judged.recommend([1, 99]), strict=True):
        np.testing.assert_array_equal(a, b)
    pd.testing.assert_frame_equal(restored.preferences_, judged.preferences_)
    restored.fold_in(world.test, known="replace")


@pytest.mark.parametrize("llm_weight", [0.0, 0.2, 4.0])
@pytest.mark.parametrize("gate", ["auto", None])
def test_the_loss_never_rises(world, llm_weight, gate):
    model = world.judged(
        backbone__compute_loss=True, llm_weight=llm_weight, gate=gate, iterations=16
    )
    model.set_params(backbone__refine_iterations=None)
    curve = np.array(model.fit(world.train).loss_curve_)
    assert curve.shape == (8,)
    assert np.isfinite(curve).all()
    assert np.all(np.diff(curve) <= 1e-5 * curve[:-1])
    assert curve[-1] < curve[0]


def test_the_loss_is_computed_on_demand(world, model, judged):
    assert model.loss_curve_ == []
    assert len(judged.loss_curve_) == judged.backbone.refine_iterations
    alone = world.model(backbone__compute_loss=True).fit(world.train)
    assert len(alone.loss_curve_) == alone.n_iter_ == alone.iterations
    assert np.all(np.diff(alone.loss_curve_) <= 1e-5 * np.array(alone.loss_curve_[:-1]))


def test_progress_is_shown_on_demand(world, capsys):
    world.model().fit(world.train)
    assert capsys.readouterr().err == ""
    model = world.judged(verbose=1).fit(world.train)
    assert "33/33" in capsys.readouterr().err  # including the calibration sweeps
    score = model.score(world.test)
    assert "ranking: 100%" in capsys.readouterr().err
    some = model.recommend(model.users_[:5])[1]
    assert capsys.readouterr().err == ""  # no progress bar for a few users
    users = np.tile(model.users_, 20_000 // len(model.users_) + 1)
    many = model.recommend(users)[1]
    assert "recommending: 100%" in capsys.readouterr().err
    np.testing.assert_array_equal(many[:5], some)
    assert model.set_params(verbose=0).score(world.test) == score
    model.recommend(users)
    assert capsys.readouterr().err == ""


def test_the_steps_of_a_fit_are_logged(world, caplog):
    caplog.set_level("INFO", "sklearn_selreg")
    model = world.judged().fit(world.train)
    stats = model.judge_stats_
    told = [record.getMessage() for record in caplog.records]
    assert "fixed settings are used" in told.pop(0)
    assert [text.split()[0] for text in told] == [
        "Fitting", "Using", "Calibrated", str(stats["pairs_weighted"]), "Of", "Fitted"
    ]  # fmt: skip
    assert told[4] == model.judge_summary_
    assert f"of {len(model.users_)} users with {len(model.items_)} items" in told[0]
    assert f"on {stats['calibration_pairs']} pairs of {stats['calibration_slates']}" in told[2]
    assert f"of {stats['pairs']} preferences have a positive weight" in told[3]


def test_works_in_a_pipeline(world, model):
    pipe = Pipeline([("mf", clone(model))]).fit(world.train)
    np.testing.assert_array_equal(pipe.predict(world.test), model.predict(world.test))
    assert pipe.score(world.test) == model.score(world.test)
    assert pipe[-1].recommend([0], 2)[0].shape == (1, 2)


def test_works_in_cross_validation(world, model):
    cv = KFold(4, shuffle=True, random_state=0)
    scores = cross_val_score(clone(model), world.train, cv=cv)
    assert scores.shape == (4,)
    assert np.all((scores > 0.05) & (scores < 1))
    strengths = np.random.default_rng(0).integers(0, 3, len(world.train))
    assert np.isfinite(cross_val_score(clone(model), world.train, strengths, cv=cv)).all()
    # Each fold uses the slates that match its rows.
    with pytest.warns(UserWarning, match="history is not within"):
        judged = cross_val_score(world.judged(), world.train, cv=cv)
    assert np.isfinite(judged).all()
    assert not np.array_equal(judged, scores)


def test_works_in_a_grid_search(world):
    search = GridSearchCV(
        world.judged(gate=ReliabilityGate()),
        {"factors": [2, 6], "gate__C": [0.1, 1.0]},
        cv=KFold(2, shuffle=True, random_state=0),
    )
    with pytest.warns(UserWarning, match="history is not within|Falling back"):
        search.fit(world.train)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.recommend([0], 3)[0].shape == (1, 3)
    assert search.predict(world.test).shape == (len(world.test),)


@pytest.mark.parametrize("method", ["predict", "score", "recommend", "fold_in"])
def test_nothing_works_before_fit(world, method):
    with pytest.raises(NotFittedError):
        getattr(world.model(), method)(world.test)


# Bad input


def replaced(column, row, value):
    frame = World().train.astype(object)
    frame.loc[row, column] = value
    return frame


RECORD = {"user": 0, "history": [], "candidates": [1, 2], "ratings": [0.5, 1]}


@pytest.mark.parametrize(
    ("settings", "X", "y", "message"),
    [
        ({}, pd.DataFrame({"user": [], "item": []}), None, "0 sample(s) (shape=(0, 2))"),
        ({}, replaced("user", 3, None), None, "Column 'user' of X (user_col) must not contain"),
        ({}, replaced("item", 3, np.nan), None, "Column 'item' of X (item_col) must not contain"),
        ({}, replaced("item", 3, pd.NaT), None, "the first in row 3"),
        ({}, replaced("item", 3, np.inf), None, "missing or infinite values"),
        ({}, pl.DataFrame({"user": [1, None], "item": [1, 2]}), None, "the first in row 1"),
        ({}, None, -1.0, "y must contain strengths >= 0 in the range of float32; got 1 negative"),
        ({}, None, np.nan, "y must not contain missing or infinite values"),
        ({}, None, np.inf, "y must not contain missing or infinite values"),
        ({"user_col": "who"}, None, None, "no column for user_col='who'. The columns of X are ["),
        ({"item_col": "it"}, None, None, "no column for item_col='it'. The columns of X are ["),
        ({"time_col": "when"}, None, None, "no column for time_col='when'. The columns of X are"),
        ({"user_col": 0, "item_col": 7}, None, None, "X has 2 feature(s)"),
        ({"user_col": "item"}, None, None, "must be different columns; got user_col='item'"),
        ({"user_col": 0, "item_col": 1}, np.arange(5), None, "2-D array with one row per inter"),
        ({}, None, [1.0, 2.0], "one strength for each of the"),
        ({}, None, 0.0, "y must contain at least one strength > 0"),
        (
            {"item_data": pd.Series(["a", "b"], index=[1, 1])},
            None,
            None,
            "one row per item; got several for 1 item ids",
        ),
        (
            {"item_data": pd.DataFrame(index=[1, 2])},
            None,
            None,
            "must have a column besides the item ids; got none",
        ),
        (
            {"judge": PrecomputedJudge([RECORD | {"ratings": [0.5, 1.5]}])},
            None,
            None,
            "Record 0: ratings must be in [0, 1]; got 1.5",
        ),
        (
            {"judge": PrecomputedJudge([RECORD, RECORD | {"ratings": [0.5]}])},
            None,
            None,
            "Record 1: ratings must contain one number for each of the 2 candidates; got 1",
        ),
        (
            {"judge": PrecomputedJudge([])},
            None,
            None,
            "judgments must contain at least one record; got none",
        ),
        ({"factors": 0}, None, None, "'factors' parameter of SelectiveLLMRegularizedMF must be"),
        ({"factors": 2.5}, None, None, "'factors' parameter of SelectiveLLMRegularizedMF must be"),
        ({"regularization": 0.0}, None, None, "a str among {'auto'} or None. Got 0.0"),
        ({"alpha": -1.0}, None, None, "'alpha' parameter"),
        ({"iterations": 0}, None, None, "'iterations' parameter"),
        ({"item_bias": -0.1}, None, None, "'item_bias' parameter"),
        ({"backbone__missing_power": np.nan}, None, None, "'missing_power' parameter"),
        ({"backbone__recency_power": -1}, None, None, "'recency_power' parameter"),
        ({"prior_strength": 0}, None, None, "'prior_strength' parameter"),
        ({"llm_weight": -1.0}, None, None, "'llm_weight' parameter"),
        ({"margin": -0.1}, None, None, "'margin' parameter"),
        ({"backbone__refine_iterations": 0}, None, None, "'refine_iterations' parameter"),
        ({"gate": "always"}, None, None, "'gate' parameter"),
        ({"item_encoder": "tfidf"}, None, None, "'item_encoder' parameter"),
        ({"random_state": "0"}, None, None, "'random_state' parameter"),
    ],
)
def test_bad_input_to_fit_is_named(world, settings, X, y, message):
    X = world.train if X is None else X
    if isinstance(y, float):  # one bad strength; 0 is only bad if all strengths are 0
        strengths = np.full(len(X), 0.0 if y == 0 else 1.0)
        strengths[5] = y
        y = strengths
    model = world.model(**settings)
    with pytest.raises(ValueError, match=re.escape(message)):
        model.fit(X, y)
    assert not hasattr(model, "users_")


@pytest.mark.parametrize(
    ("settings", "X", "y", "message"),
    [
        ({"judge": World}, None, None, "judge must be a BaseJudge"),
        (
            {"judge": PrecomputedJudge([RECORD]), "gate": ReliabilityGate},
            None,
            None,
            "gate must be 'auto', None or an instance; got the class ReliabilityGate: pass",
        ),
        ({"item_data": 3}, None, None, "item_data"),
        ({}, np.ones((3, 2)), None, "user_col='user' is a column name, but X is an array"),
        ({}, replaced("user", 3, [1, 2]), None, "hashable"),
        ({}, None, "strong", "y must contain numbers; got text (e.g. 'strong')"),
        (
            {"user_col": ["user"]},
            None,
            None,
            "'user_col' parameter of SelectiveLLMRegularizedMF must be an int or an",
        ),
    ],
)
def test_input_of_a_wrong_kind_is_named(world, settings, X, y, message):
    X = world.train if X is None else X
    y = None if y is None else [y] * len(X)
    with pytest.raises(TypeError, match=re.escape(message)):
        world.model(**settings).fit(X, y)


def test_strengths_of_a_sparse_matrix_are_in_it():
    matrix = sp.random(9, 9, density=0.5, random_state=0)
    with pytest.raises(ValueError, match="y must be None when X is a sparse matrix"):
        SelectiveLLMRegularizedMF().fit(matrix, np.ones(9))
    with pytest.raises(ValueError, match="strengths >= 0"):
        SelectiveLLMRegularizedMF().fit(-matrix)


def test_bad_input_to_a_fitted_model_is_named(world, model):
    with pytest.raises(ValueError, match="n_items must be an integer >= 1; got 0"):
        model.recommend([1], 0)
    with pytest.raises(ValueError, match=r"n_items must be an integer >= 1; got 2\.5"):
        model.recommend([1], 2.5)
    with pytest.raises(ValueError, match=r"1-D array of user ids; got 1. Pass a list, \[1\]"):
        model.recommend(1)
    with pytest.raises(ValueError, match=r"1-D array of user ids; got shape \(1, 2\)"):
        model.recommend([[1, 2]])
    for method in (model.predict, model.score, model.fold_in):
        with pytest.raises(ValueError, match="no column for item_col='item'"):
            method(world.test[["user"]])
        with pytest.raises(
            ValueError, match=r"Column 'user' of X .* must not .* missing .* got 2 "
        ):
            method(world.test.astype(float).replace({"user": {3: np.nan}}))
    for method in (model.predict, model.score):
        with pytest.raises(ValueError, match=r"X is empty: .* minimum of 1 is required"):
            method(world.test.iloc[:0])
    with pytest.raises(TypeError, match=r"interactions_from_sparse\(csr\[42:43\], users=\[42\]\)"):
        model.fold_in(sp.eye(3, format="csr"))
    for method in (model.score, model.fold_in):
        with pytest.raises(ValueError, match="strength for each of the 80 rows"):
            method(world.test, [1.0])
        with pytest.raises(ValueError, match="y must contain at least one strength > 0"):
            method(world.test, np.zeros(80))


# MovieLens: expected quality on the fold that the defaults were chosen on


def fit_movielens(data, **settings):
    model = make_estimator(
        user_col="user",
        item_col="item",
        time_col="time",
        random_state=0,
        item_data=data.item_data,
        tuning=None,
        **settings,
    )
    return model.fit(data.train)


@pytest.fixture(scope="module")
def movielens_model(movielens):
    return fit_movielens(movielens, judge=movielens.judge, backbone__compute_loss=True)


def report(data, model):
    columns = {"user_col": "user", "item_col": "item"}
    return ranking_report(model, data.valid, train=data.train, cohort=data.cohort, **columns)


@pytest.fixture(scope="module")
def movielens_reports(movielens, movielens_model):
    plain = {
        "item_encoder": None,
        "item_bias": 0,
        "backbone__missing_power": 0,
        "backbone__recency_power": 0,
    }
    models = {
        "plain": fit_movielens(movielens, factors=64, regularization=50, alpha=10, **plain),
        "alone": fit_movielens(movielens),
        "judged": movielens_model,
    }
    return {name: report(movielens, model) for name, model in models.items()}


@pytest.mark.slow
def test_movielens_quality(movielens_reports):
    auc = {name: table["AUC"] for name, table in movielens_reports.items()}
    ndcg = {name: table["NDCG@10"] for name, table in movielens_reports.items()}
    # The judge improves the model, mostly where data are sparse ...
    assert auc["judged"]["overall"] > auc["alone"]["overall"]
    assert auc["judged"]["cold"] > auc["alone"]["cold"]
    assert auc["judged"]["tail"] > auc["alone"]["tail"] + 0.004
    assert auc["judged"]["new"] > auc["alone"]["new"] + 0.003
    assert ndcg["judged"]["overall"] > ndcg["alone"]["overall"]
    # ... and both are much better than plain implicit.
    assert auc["judged"]["overall"] > auc["plain"]["overall"] + 0.04
    assert auc["judged"]["cold"] > auc["plain"]["cold"] + 0.05
    assert auc["judged"]["tail"] > auc["plain"]["tail"] + 0.1
    assert auc["judged"]["new"] > auc["plain"]["new"] + 0.2
    assert ndcg["judged"]["overall"] > ndcg["plain"]["overall"]
    assert ndcg["judged"]["overall"] > 0.077
    for regime, floor in {"overall": 0.925, "cold": 0.913, "tail": 0.813, "new": 0.728}.items():
        assert auc["judged"][regime] > floor


@pytest.mark.slow
def test_movielens_gate_trusts_the_judge_more_on_rare_films(movielens_model):
    gate = movielens_model.gate_
    assert not gate.is_fallback_
    assert gate.gap_coef_ > 2
    assert gate.accuracy_ == pytest.approx(0.79, abs=0.02)  # measured independently
    assert gate.log_loss_["selected"] <= gate.log_loss_["constant"] < gate.log_loss_["prior"]
    assert gate.context_effects_["popularity_rarer"] <= 0
    assert movielens_model.judge_stats_["calibration_slates"] == 309
    assert movielens_model.judge_stats_["slates_used"] == 659 + 659 + 309


@pytest.mark.slow
def test_movielens_loss_never_rises(movielens_model):
    curve = np.array(movielens_model.loss_curve_)
    assert len(curve) == movielens_model.n_iter_ // 2
    assert np.all(np.diff(curve) <= 1e-5 * curve[:-1])


def test_fold_in_goes_by_the_fitted_settings(world):
    fitted, changed = world.model().fit(world.train), world.model().fit(world.train)
    changed.set_params(factors=3, alpha=100.0, regularization=1.0, item_bias=0)
    few = world.train.groupby("user").head(2)
    np.testing.assert_array_equal(
        *(m.fold_in(few, known="replace").user_factors_ for m in (changed, fitted))
    )


@pytest.mark.slow
def test_report_takes_the_columns_of_the_model(movielens, movielens_model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # not even about three columns: they have names
        told = ranking_report(movielens_model, movielens.valid, train=movielens.train)
    columns = {"user_col": "user", "item_col": "item"}
    named = ranking_report(movielens_model, movielens.valid, train=movielens.train, **columns)
    pd.testing.assert_frame_equal(told, named)


@pytest.mark.slow
def test_movielens_score_agrees_with_the_report(movielens, movielens_model, movielens_reports):
    score = movielens_model.score(movielens.valid)
    assert score == pytest.approx(movielens_reports["judged"].loc["overall", "NDCG@10"])


@pytest.mark.slow
def test_movielens_recommends_unseen_films(movielens, movielens_model):
    users = movielens.train["user"].unique()
    items, scores = movielens_model.recommend(users, 10)
    table = pd.DataFrame({"user": np.repeat(users, 10), "item": items.ravel()})
    assert not table.merge(movielens.train, on=["user", "item"]).size
    assert np.all(np.diff(scores, axis=1) <= 0)
    np.testing.assert_allclose(movielens_model.predict(table), scores.ravel(), atol=1e-5)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_frames_as_the_output_of_transformers_change_nothing(world, judged, output):
    with sklearn.config_context(transform_output=output):
        model = world.judged().fit(world.train)
        pd.testing.assert_frame_equal(model.preferences_, judged.preferences_)
    assert same_factors(model, judged)
    gate = ReliabilityGate().set_output(transform=output)
    assert same_factors(world.judged(gate=gate).fit(world.train), judged)

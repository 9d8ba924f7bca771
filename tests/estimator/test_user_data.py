"""User features, also for users without interactions."""

import copy
import json
import pickle
import warnings
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from estimators import make_estimator
from sklearn.model_selection import GridSearchCV, GroupKFold

from sklearn_selreg import AutoItemEncoder, SelectiveLLMRegularizedMF
from sklearn_selreg.exceptions import DataWarning, ParameterWarning
from sklearn_selreg.judges import LLMJudge, PrecomputedJudge
from sklearn_selreg.metrics import auc_scorer, compare_baselines, ranking_report

N_USERS, N_ITEMS, N_GROUPS, N_NEW = 400, 90, 6, 150
COLUMNS = {"user_col": "user", "item_col": "item"}
SETTINGS = {
    "factors": 8,
    "regularization": 12.0,
    "alpha": 8.0,
    "iterations": 12,
    "tuning": None,
    "random_state": 0,
}


class World:
    """Users whose taste depends on their occupation; the last ones have no interactions yet."""

    def __init__(self, seed=0, mean_length=8):
        rng = np.random.default_rng(seed)
        group = rng.integers(N_GROUPS, size=N_USERS + N_NEW)
        kind = rng.integers(N_GROUPS, size=N_ITEMS)
        base = 1 / (2 + rng.permutation(N_ITEMS)) ** 0.7
        rows = []
        for user, own in enumerate(group):
            weight = base * np.where(kind == own, 12.0, 1.0)
            length = 1 + rng.poisson(mean_length)
            items = rng.choice(N_ITEMS, length, replace=False, p=weight / weight.sum())
            rows += [(user, item, place) for place, item in enumerate(items)]
        log = pd.DataFrame(rows, columns=["user", "item", "time"])
        log["time"] = rng.permutation(len(log)).astype(float)
        is_new = log["user"] >= N_USERS
        self.train, self.of_new = log[~is_new], log[is_new]
        self.group = group
        self.user_data = pd.DataFrame(
            {
                "user": np.arange(N_USERS + N_NEW),
                "occupation": pd.Series(group).map("occupation {}".format),
                "age": rng.normal(40 + 3 * group, 5),
            }
        )
        names = pd.Series(kind).map("kind {}".format)
        self.item_data = pd.DataFrame({"item": np.arange(N_ITEMS), "kind": names})

    def model(self, **parameters):
        return make_estimator(**COLUMNS, **SETTINGS | {"user_data": self.user_data} | parameters)


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture(scope="module")
def model(world):
    return world.model().fit(world.train)


def auc(scores, held_out, seen=None):
    """Mean AUC of users' held-out items; rows of `scores` are users, and ids are positions."""
    values = []
    for user, own in held_out.groupby("user")["item"]:
        others = np.setdiff1d(np.arange(N_ITEMS), own)
        if seen is not None:
            others = np.setdiff1d(others, seen["item"][seen["user"] == user])
        a, b = scores(user)[own.to_numpy()], scores(user)[others]
        above = (a[:, np.newaxis] > b).mean() + 0.5 * (a[:, np.newaxis] == b).mean()
        values.append(above)
    return np.mean(values)


def scores_of(model):
    every = model.user_factors_ @ model.item_factors_.T
    return lambda user: every[user]


# Benefit of user features


@pytest.mark.parametrize("backbone", ["als", "bpr", "lmf"])
def test_new_users_get_what_users_like_them_like(world, backbone):
    settings = {} if backbone == "als" else {"regularization": None, "alpha": None}
    model = world.model(backbone=backbone, **settings, iterations=None).fit(world.train)
    assert model.users_.tolist() == list(range(N_USERS + N_NEW))
    popularity = np.bincount(world.train["item"], minlength=N_ITEMS)
    by_features = auc(scores_of(model), world.of_new)
    by_popularity = auc(lambda _: popularity, world.of_new)
    assert by_features > by_popularity + 0.08
    # The recommendations match their tastes, and `predict` agrees.
    new = np.arange(N_USERS, N_USERS + N_NEW)
    items, scores = model.recommend(new, 5)
    pairs = pd.DataFrame({"user": np.repeat(new, 5), "item": items.ravel()})
    np.testing.assert_allclose(model.predict(pairs), scores.ravel(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backbone", ["als", "bpr"])
def test_short_histories_lean_on_features(world, backbone):
    last = world.train.sort_values("time").groupby("user").tail(1)
    rest = world.train.drop(last.index)
    is_short = rest["user"] % 3 == 0  # the other users have more, to learn the items from
    few = pd.concat([rest[is_short].groupby("user").tail(2), rest[~is_short]])
    settings = {"backbone": backbone, "time_col": None, "iterations": None}
    if backbone == "bpr":
        settings |= {"regularization": None, "alpha": None}
    with_features = world.model(**settings).fit(few)
    without = world.model(**settings, user_data=None).fit(few)
    last = last[(last["user"] % 3 == 0) & last["user"].isin(few["user"])]
    place = {user: row for row, user in enumerate(without.users_)}
    every = without.user_factors_ @ without.item_factors_.T
    plain = auc(lambda user: every[place[user]], last, few)
    assert auc(scores_of(with_features), last, few) > plain + 0.03


def test_users_without_interactions_change_nothing_for_others(world, model):
    """They are only placed: neither their features nor their missing entries count."""
    fitted = model._fitted
    backbone, (n, matrix) = fitted.backbone, (N_USERS, fitted.matrix[:N_USERS])
    users, items = backbone.start(n, N_ITEMS, np.random.default_rng(0))
    features, nobody = fitted.user_features[:n], sp.csr_matrix(matrix.shape, dtype=np.float32)
    alone = backbone.fit(matrix, None, (users, items), user_features=features)
    both = backbone.fit(
        sp.vstack([matrix, nobody], format="csr"),
        None,
        (np.vstack([users, users + 1]), items),
        user_features=sp.vstack([features, 2 * features], format="csr"),
    )
    np.testing.assert_allclose(both.users[:n], alone.users, atol=1e-5)
    np.testing.assert_allclose(both.items, alone.items, atol=1e-5)
    finished = backbone.finish(
        sp.vstack([matrix, nobody], format="csr"),
        np.zeros(matrix.nnz, dtype=np.int32),
        both,
        None,
        user_features=sp.vstack([features, 2 * features], format="csr"),
    )
    expected = 2 * (features @ both.user_coefficients)
    np.testing.assert_allclose(finished.users[n:], expected, atol=1e-6)


def test_users_without_features_and_interactions_are_the_mean_user(world):
    matrix = sp.lil_matrix((5, 4))
    matrix[0, 0] = matrix[1, 1] = matrix[2, 2] = matrix[3, 0] = 1
    data = {0: "a", 1: "b", 2: "b", 3: "a"}
    model = make_estimator(factors=2, regularization=1, user_data=data, random_state=0)
    model.fit(matrix.tocsr())
    np.testing.assert_allclose(
        model.user_factors_[4], model.user_factors_[:4].mean(axis=0), rtol=1e-5
    )


# Equations


def expected_solution(model, columns, confidence, prior):
    """Solution of a user's least squares problem with a prior mean and fixed items, in float64."""
    fitted = model._fitted
    items = fitted.plain_factors[1].astype(np.float64)
    weight = np.ones(len(items))
    if model.missing_power_:
        padded = fitted.popularity + 5
        weight = (padded / padded.mean()) ** model.missing_power_
    weight = weight.copy()
    weight[columns] = confidence
    penalty = model.regularization
    left = (items * weight[:, np.newaxis]).T @ items + penalty * np.eye(items.shape[1])
    return np.linalg.solve(left, items[columns].T @ confidence + penalty * prior)


@pytest.mark.parametrize("missing_power", [0.0, 0.7])
@pytest.mark.parametrize("recency_power", [0.0, 0.6])
def test_fitted_and_folded_in_users_solve_their_equations(world, missing_power, recency_power):
    powers = {"missing_power": missing_power, "recency_power": recency_power}
    powers = {f"backbone__{name}": value for name, value in powers.items()}
    model = world.model(**powers, prior_strength=3.0, time_col="time").fit(world.train)
    new = pd.DataFrame({"user": [1000] * 3, "item": [4, 30, 7], "time": [9e3, 9e3 + 1, 9e3 + 2]})
    profile = {1000: {"occupation": "occupation 3", "age": 45.0}}
    model.fold_in(new, user_data=pd.DataFrame.from_dict(profile, orient="index"))
    features = AutoItemEncoder().fit(world.user_data.drop(columns="user"))
    told = pd.DataFrame({"occupation": ["occupation 3"], "age": [45.0]})
    coefficients = model._fitted.user_coefficients.astype(np.float64)

    def check(user, own, prior):
        own = own.sort_values("time", ascending=False)
        confidence = model.alpha * (
            3 / (1 + np.arange(len(own))) ** recency_power if recency_power else np.ones(len(own))
        )
        found = model.user_factors_[model.users_.tolist().index(user), :8]
        expected = expected_solution(model, own["item"].to_numpy(), confidence, prior)
        np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())

    for user in (0, 17, 250):
        row = features.transform(world.user_data.drop(columns="user").iloc[[user]])
        own = world.train[world.train["user"] == user]
        check(user, own, (row @ coefficients).ravel())
    check(1000, new, (features.transform(told) @ coefficients).ravel())


def test_the_prior_is_the_ridge_regression_of_the_fitted_users(world):
    """As computed by scikit-learn, on the users at the end of the sweeps."""
    from sklearn.linear_model import Ridge

    model = world.model(backbone__recency_power=0.0, iterations=300).fit(world.train)
    fitted = model._fitted
    known = np.arange(N_USERS)  # at convergence, the final update of users has no effect
    ridge = Ridge(alpha=8, fit_intercept=False)
    ridge.fit(fitted.user_features[known].toarray(), fitted.plain_factors[0][known])
    scale = np.abs(ridge.coef_).max()
    np.testing.assert_allclose(fitted.user_coefficients, ridge.coef_.T, atol=0.01 * scale)


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_bits_do_not_depend_on_threads(n_jobs):
    rng = np.random.default_rng(0)
    matrix = sp.random(3000, 800, 0.02, "csr", rng=rng)
    matrix.data[:] = 1
    data = pd.DataFrame({"group": rng.integers(12, size=3500), "x": rng.normal(size=3500)})
    data["group"] = data["group"].astype(str)

    def fit(n_jobs):
        model = make_estimator(**SETTINGS | {"factors": 32, "iterations": 3}, n_jobs=n_jobs)
        return model.set_params(user_data=data).fit(matrix)

    one, more = fit(1), fit(n_jobs)
    np.testing.assert_array_equal(one.user_factors_, more.user_factors_)
    np.testing.assert_array_equal(one.item_factors_, more.item_factors_)


# Folding in


def test_folding_in_is_as_if_listed_in_the_fit(world, model):
    listed = world.user_data.set_index("user").loc[[N_USERS, N_USERS + 7]]
    fresh = listed.set_axis([5000, 5001])
    later = copy.copy(model).fold_in(user_data=fresh)
    assert later.users_[-2:].tolist() == [5000, 5001]
    np.testing.assert_allclose(
        later.user_factors_[-2:], model.user_factors_[[N_USERS, N_USERS + 7]], rtol=1e-5, atol=1e-7
    )
    assert len(model.users_) == N_USERS + N_NEW  # only the copy has changed


def test_rows_and_features_of_a_user_in_any_order(world, model):
    rows = pd.DataFrame({"user": [6000, 6000], "item": [3, 8]})
    profile = pd.DataFrame({"age": [41.0], "occupation": ["occupation 2"]}, index=[6000])
    at_once = copy.copy(model).fold_in(rows, user_data=profile)
    rows_first = copy.copy(model).fold_in(rows).fold_in(user_data=profile)
    profile_first = copy.copy(model).fold_in(user_data=profile).fold_in(rows, known="append")
    for other in (rows_first, profile_first):
        np.testing.assert_allclose(
            at_once.user_factors_[-1], other.user_factors_[-1], rtol=1e-4, atol=1e-6
        )
        assert other.recommend([6000], 90)[0][0].tolist().count(None) == 2  # seen items
    without = copy.copy(model).fold_in(rows)
    assert np.abs(without.user_factors_[-1] - at_once.user_factors_[-1]).max() > 1e-3


def test_known_users_keep_their_history_and_lean_on_what_they_are_now(world, model):
    profile = world.user_data.set_index("user").loc[[5]]
    profile["occupation"] = f"occupation {(world.group[5] + 1) % N_GROUPS}"
    changed = copy.copy(model).fold_in(user_data=profile)
    assert changed.users_.tolist() == model.users_.tolist()
    assert (changed._fitted.matrix != model._fitted.matrix).nnz == 0
    others = np.arange(len(model.users_)) != 5
    np.testing.assert_array_equal(changed.user_factors_[others], model.user_factors_[others])
    assert np.abs(changed.user_factors_[5] - model.user_factors_[5]).max() > 1e-3
    # Rows, together with new features of other users.
    rows = world.train[world.train["user"] == 9][["user", "item"]]
    both = copy.copy(model).fold_in(rows, known="replace", user_data=profile)
    np.testing.assert_allclose(both.user_factors_[5], changed.user_factors_[5], rtol=1e-5)
    np.testing.assert_allclose(both.user_factors_[9], model.user_factors_[9], atol=1e-3)


def test_nothing_new_is_told(world, model):
    with pytest.warns(DataWarning, match="nothing changes"):
        same = copy.copy(model).fold_in(user_data=world.user_data)
    np.testing.assert_array_equal(same.user_factors_, model.user_factors_)


@pytest.mark.parametrize("how", ["polars", "dict", "index", "other order"])
def test_user_data_of_all_kinds(world, model, how):
    frame = world.user_data
    if how == "polars":
        data = pl.DataFrame(frame.to_dict("list"))
    elif how == "dict":
        data = frame.set_index("user").to_dict("index")
    elif how == "index":
        data = frame.set_index("user")
    else:
        data = frame.sample(frac=1, random_state=0)
    other = world.model(user_data=data).fit(world.train)
    np.testing.assert_allclose(other.user_factors_, model.user_factors_, rtol=1e-3, atol=1e-4)


def test_sparse_matrices_take_user_data(world, model):
    rows, columns = world.train["user"], world.train["item"]
    matrix = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), (N_USERS, N_ITEMS))
    data = world.user_data.set_index("user")
    found = make_estimator(**SETTINGS, user_data=data).fit(matrix)
    np.testing.assert_allclose(found.user_factors_, model.user_factors_, rtol=1e-3, atol=1e-4)
    shifted = data.set_index(data.index.where(data.index < N_USERS, N_USERS - 1 - data.index))
    found = make_estimator(**SETTINGS, user_data=shifted).fit(matrix)
    assert found.users_.tolist() == list(range(-N_NEW, N_USERS))
    assert found._fitted.matrix.getnnz(axis=1)[:N_NEW].sum() == 0
    # The initial factors differ, but the fits converge to the same scores.
    as_table, found = (m.set_params(iterations=150) for m in (world.model(), found))
    as_table, found = as_table.fit(world.train), found.fit(matrix)
    scores = [
        m.user_factors_[m.users_.tolist().index(user)] @ m.item_factors_.T
        for m, user in ((as_table, N_USERS + 2), (found, -3))
    ]
    np.testing.assert_allclose(*scores, atol=0.01)


def test_embeddings_are_taken_as_they_are(world):
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(N_GROUPS, 40))
    vectors = centers[world.group] + 0.3 * rng.normal(size=(N_USERS + N_NEW, 40))
    data = dict(enumerate(vectors))
    model = world.model(user_data=data).fit(world.train)
    assert model.user_encoder_.column_kinds_ == {"text": "vector"}
    popularity = np.bincount(world.train["item"], minlength=N_ITEMS)
    by_popularity = auc(lambda _: popularity, world.of_new)
    assert auc(scores_of(model), world.of_new) > by_popularity + 0.08


# Interaction with the rest of the estimator


def test_both_sides_and_a_judge(world):
    """The judge's slates include one for a user with features but no interactions."""
    rng = np.random.default_rng(0)
    records = []
    for user in [*range(0, N_USERS, 4), N_USERS, N_USERS + 1]:
        own = world.train["item"][world.train["user"] == user].to_numpy()
        others = np.setdiff1d(np.arange(N_ITEMS), own)
        hidden = own[1:][:2]
        candidates = [*hidden, *rng.choice(others, 6, replace=False)]
        fits = world.item_data["kind"].str[-1].astype(int).to_numpy() == world.group[user]
        ratings = np.clip(
            0.3 + 0.4 * fits[candidates] + 0.1 * rng.normal(size=len(candidates)), 0, 1
        )
        records.append(
            {
                "user": user,
                "history": own[:1].tolist(),
                "candidates": [int(i) for i in candidates],
                "ratings": ratings.tolist(),
            }
        )
    settings = {"item_data": world.item_data, "backbone__compute_loss": True}
    model = world.model(judge=PrecomputedJudge(records), **settings).fit(world.train)
    assert model.judge_stats_["pairs_weighted"] > 0
    assert (np.diff(model.loss_curve_) <= 1e-4 * np.abs(model.loss_curve_[:-1])).all()
    assert auc(scores_of(model), world.of_new) > 0.7
    for user in (0, 1, N_USERS, N_USERS + 9):
        table = model.explain(user, 3)
        score = model.predict(pd.DataFrame({"user": [user], "item": [3]}))[0]
        assert table["contribution"].sum() == pytest.approx(score, abs=1e-6)


def test_what_a_judge_is_asked_does_not_depend_on_user_data(world):
    judge = LLMJudge.from_callable(
        lambda slate: [0.5] * len(slate.candidates), name="x", version="1"
    )
    settings = {"judge": judge, "slates__max_slates": 30, "slates__size": 6}
    settings |= {"item_data": world.item_data, "time_col": "time"}
    with_data, without = (
        world.model(**settings, user_data=data).plan_judging(world.train).slates
        for data in (world.user_data, None)
    )
    assert len(with_data) == 30
    assert with_data == without


def test_the_gate_sees_users_as_features_alone_tell_them(world):
    """Hidden items are ranked by fits without a fold's users, who start from their features."""
    from sklearn_selreg._data._interactions import index_interactions
    from sklearn_selreg._data._periods import PopularityOverTime
    from sklearn_selreg._judging._standing import cross_fitted_standing

    class Slates:  # everything that is read from them
        users = np.arange(0, N_USERS, 5)
        shown = sp.csr_matrix((len(users), N_ITEMS), dtype=np.float32)

    interactions = index_interactions(world.train, **COLUMNS)
    trend = PopularityOverTime.of(interactions, 1)
    held_out = [world.train["item"][world.train["user"] == u].iloc[0] for u in Slates.users]
    items = np.array(held_out)[:, np.newaxis]
    fitted = world.model().fit(world.train)
    backbone, features = fitted._fitted.backbone, fitted._fitted.user_features[:N_USERS]
    start = backbone.start(N_USERS, N_ITEMS, np.random.default_rng(0))
    with_features, without = (
        cross_fitted_standing(items, Slates, backbone, trend, None, start, user_features=f).ranks
        for f in (features, None)
    )
    assert np.log(with_features).mean() < np.log(without).mean() - 0.3


@pytest.mark.parametrize("case", ["users", "both", "recency"])
def test_explanations_name_the_features_of_a_user(world, case):
    settings = {"iterations": 400, "backbone__recency_power": 0.6 if case == "recency" else 0.0}
    if case == "both":
        settings["item_data"] = world.item_data
    if case == "recency":
        settings["time_col"] = "time"
    model = world.model(**settings).fit(world.train)
    for user in (3, 40, N_USERS + 3):
        for item in (0, 50):
            table = model.explain(user, item).set_index("kind")["contribution"]
            score = model.predict(pd.DataFrame({"user": [user], "item": [item]}))[0]
            assert table.sum() == pytest.approx(score, abs=1e-6)
            assert case == "recency" or abs(table["remainder"]) < 5e-3
    table = model.explain(N_USERS + 3, 0)
    assert set(table["kind"]) == {"user_feature", "bias", "remainder"}
    named = table["source"][table["kind"] == "user_feature"]
    assert f"occupation=occupation {world.group[N_USERS + 3]}" in named.tolist()


def test_files_hold_what_users_are(world, model, tmp_path):
    model.save(tmp_path / "model")
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "model")
    assert loaded.user_data is None and loaded.user_encoder_ is None
    rows = pd.DataFrame({"user": [5, 6000], "item": [3, 8]})
    for a, b in (
        (loaded, model),
        (
            copy.copy(loaded).fold_in(rows, known="append"),
            copy.copy(model).fold_in(rows, known="append"),
        ),
    ):
        np.testing.assert_array_equal(a.user_factors_, b.user_factors_)
        pd.testing.assert_frame_equal(a.explain(5, 3), b.explain(5, 3))
        assert (
            a.recommend([N_USERS + 4], 5)[0].tolist() == b.recommend([N_USERS + 4], 5)[0].tolist()
        )
    with pytest.raises(ValueError, match="user_encoder_ to compute them, because saved files"):
        loaded.fold_in(user_data=world.user_data)
    with pytest.warns(DataWarning, match="user_data"):
        loaded.fit(world.train)
    with zipfile.ZipFile(tmp_path / "model") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name in ("user_features_data.npy", "user_coefficients.npy", "user_features_indptr.npy"):
        with zipfile.ZipFile(tmp_path / "torn", "w") as archive:
            for other in members.keys() - {name}:
                archive.writestr(other, members[other])
        with pytest.raises(ValueError, match="damaged"):
            SelectiveLLMRegularizedMF.load(tmp_path / "torn")
    pickled = pickle.loads(pickle.dumps(model)).fold_in(
        user_data={7000: dict(age=3.0, occupation="x")}
    )
    assert pickled.users_[-1] == 7000


def test_files_of_before_user_features_are_read(world, tmp_path):
    model = world.model(user_data=None).fit(world.train)
    model.save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    about = json.loads(members["model.json"])
    about["format_version"] = 4
    del about["user_feature_names"], about["parameters"]["user_data"]
    with zipfile.ZipFile(tmp_path / "old", "w") as archive:
        for name, content in (members | {"model.json": json.dumps(about)}).items():
            archive.writestr(name, content)
    old = SelectiveLLMRegularizedMF.load(tmp_path / "old")
    np.testing.assert_array_equal(old.user_factors_, model.user_factors_)
    more = pd.DataFrame({"user": [7, 1000], "item": [3, 4]})
    assert old.fold_in(more, known="append").users_[-1] == 1000


def test_the_search_is_one_of_fits_with_user_features(world):
    """Informative features rank held-out interactions better than noise."""
    settings = {"tuning": "fast", "regularization": "auto", "alpha": "auto", "iterations": "auto"}
    rng = np.random.default_rng(0)
    occupation = rng.permutation(world.user_data["occupation"])
    noise = world.user_data.assign(occupation=occupation).drop(columns="age")
    best = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)
        for name, data in {"told": world.user_data, "noise": noise, "none": None}.items():
            model = world.model(**settings, user_data=data).fit(world.train)
            best[name] = model.tuning_.query("chosen")["criterion"].item()
    assert best["told"] > best["noise"] + 0.05
    assert best["told"] > best["none"] + 0.05


@pytest.mark.parametrize("backbone", ["als", "bpr"])
def test_warm_starts_take_new_user_data(world, backbone):
    settings = {"backbone": backbone, "warm_start": True}
    if backbone == "bpr":
        settings |= {"regularization": None, "alpha": None, "iterations": 60}
    model = world.model(**settings, user_data=world.user_data[:300]).fit(world.train)
    assert len(model.users_) == N_USERS
    model.set_params(user_data=world.user_data).fit(world.train)
    assert len(model.users_) == N_USERS + N_NEW
    popularity = np.bincount(world.train["item"], minlength=N_ITEMS)
    by_popularity = auc(lambda _: popularity, world.of_new)
    assert auc(scores_of(model), world.of_new) > by_popularity + 0.05


def test_searches_compare_with_and_without(world):
    model = world.model(time_col="time")
    search = GridSearchCV(
        model,
        {"user_data": [None, world.user_data]},
        cv=GroupKFold(3).split(world.train, groups=world.train["user"]),
        scoring=auc_scorer(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # users of other folds are new
        search.fit(world.train)
    assert search.best_params_["user_data"] is not None


def test_baselines_know_nothing_of_users_without_interactions(world, model):
    table = compare_baselines(model, world.of_new[["user", "item"]], n_bootstrap=50)["AUC"]
    rows = {"X": world.of_new, "train": world.train}
    rows = {name: some[["user", "item"]] for name, some in rows.items()}
    plain = ranking_report("popularity", **rows, items=model.items_)
    assert table["value"]["popularity"] == pytest.approx(plain.loc["overall", "AUC"])
    assert table["value"]["model"] > table["value"].drop("model").max() + 0.05
    assert table["value"]["implicit ALS"] > 0.55  # that of the mean user, not of zeros


def test_without_user_data_nothing_is_there(world):
    model = world.model(user_data=None).fit(world.train)
    assert model.user_encoder_ is None and model._fitted.user_features is None
    with pytest.raises(
        ValueError, match="fold_in places users by their features, but the model has no features"
    ):
        model.fold_in(user_data=world.user_data)
    with pytest.raises(ValueError, match="needs X, user_data or both"):
        model.fold_in()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "user_data must contain at least one user"),
        (pd.DataFrame({"a": [1, 2]}, index=[3, 3]), "user_data must have one row per user"),
        (pd.DataFrame(index=[1, 2]), "user_data must have a column besides the user ids"),
        (pd.DataFrame({"a": ["x", "y"]}, index=[1.0, np.nan]), "user ids of user_data must not be"),
        (pl.DataFrame({"who": [1], "a": ["x"]}), "a column of user ids named 'user'"),
        (pd.DataFrame({"a": ["x"] * 9}), "at least one usable column"),
    ],
)
def test_bad_user_data_is_named(world, data, message):
    with pytest.raises(ValueError, match=message):
        world.model(user_data=data).fit(world.train)


def test_ids_of_another_type_warn(world):
    data = world.user_data.astype({"user": str}).query("user < '400'")
    with pytest.warns(DataWarning, match="No user id of X is in user_data"):
        world.model(user_data=data).fit(world.train)
    shifted = world.train.assign(user=world.train["user"] + 100)
    numbered = world.user_data.rename(columns={"user": "id"}).assign(id=lambda d: d["id"] + 100)
    with pytest.warns(DataWarning, match="ids of user_data were taken from its index"):
        world.model(user_data=numbered[:450]).fit(shifted)
    with pytest.raises(TypeError, match="user_data must be a table"):
        world.model(user_data="users.csv").fit(world.train)


# Similar users


@pytest.mark.parametrize("n_users", [3, 700])
def test_similar_users_have_the_largest_cosines(model, n_users):
    factors = model.user_factors_[:, :8].astype(float)
    cosines = factors @ factors.T / np.outer(*[np.linalg.norm(factors, axis=1)] * 2)
    queries = [7, 0, 7, N_USERS + 1]
    similar, similarities = model.similar_users(queries, n_users)
    assert similar.shape == similarities.shape == (4, min(n_users, len(factors)))
    n = min(n_users, len(factors) - 1)
    for user, found, values in zip(queries, similar, similarities, strict=True):
        row = np.delete(cosines[user], user)
        np.testing.assert_allclose(values[:n], np.sort(row)[::-1][:n], atol=1e-5)
        np.testing.assert_allclose(cosines[user][found[:n].astype(int)], values[:n], atol=1e-5)
        assert user not in found[:n]
        assert len(set(found[:n])) == n
        assert all(i is None for i in found[n:]) and np.isnan(values[n:]).all()


def test_similar_users_share_tastes(world, model):
    similar, _ = model.similar_users(np.arange(N_USERS), 5)
    agreement = world.group[similar.astype(int)] == world.group[:N_USERS, np.newaxis]
    assert agreement.mean() > 3 / N_GROUPS


def test_similar_users_as_frame(model):
    similar, similarities = model.similar_users([10, 0], 3)
    table = model.similar_users([10, 0], 3, as_frame=True)
    assert table.columns.tolist() == ["user", "rank", "similar", "score"]
    assert table["user"].tolist() == [10] * 3 + [0] * 3
    np.testing.assert_array_equal(table["similar"], similar.ravel())
    np.testing.assert_array_equal(table["score"], similarities.ravel())


def test_users_of_whom_nothing_is_known_are_similar_to_none():
    matrix = sp.lil_matrix((6, 4))
    matrix[0, 0] = matrix[1, 1] = matrix[2, 2] = matrix[3, 0] = 1
    model = make_estimator(factors=2, regularization=1, random_state=0).fit(matrix.tocsr())
    similar, similarities = model.similar_users([0, 5], 5)
    assert set(similar[0]) == {1, 2, 3, None}
    assert set(similar[1]) == {0, 1, 2, 3, None}
    assert np.isnan(similarities[0]).sum() == 2
    given = SelectiveLLMRegularizedMF.from_factors([0, 1, 2], [5, 6], np.eye(3), np.ones((2, 3)))
    assert set(given.similar_users([0], 2)[0][0]) == {1, 2}


def test_similar_to_unknown_users(model):
    with pytest.raises(KeyError, match=r"1 of 2 user ids are unknown to the model: 'x'"):
        model.similar_users(["x", 10])
    with pytest.raises(ValueError, match="users must be a 1-D array of user ids"):
        model.similar_users(7)
    with pytest.raises(ValueError, match="n_users"):
        model.similar_users([7], 0)


def test_a_missing_date_folded_in_alone_is_missing(world):
    """So are its rows in a table, in any notation; a date as text equals the date."""
    days = pd.to_timedelta(np.arange(len(world.user_data)) * 20, unit="D")
    data = world.user_data.assign(born=pd.Timestamp("1950-01-01") + days)
    model = SelectiveLLMRegularizedMF(**COLUMNS, **SETTINGS, user_data=data).fit(world.train)
    new = data.head(2).assign(user=[9001, 9002], born=pd.to_datetime([None, "1960-05-17"]))

    def factors_of(table):
        return copy.copy(model).fold_in(user_data=table).user_factors_[len(model.users_) :]

    together = factors_of(new)
    np.testing.assert_allclose(factors_of(new.head(1)), together[:1], atol=1e-6)
    np.testing.assert_allclose(factors_of(new.head(1).assign(born=None)), together[:1], atol=1e-6)
    row = {9001: {name: new[name].tolist()[0] for name in new.columns[1:]}}
    np.testing.assert_allclose(factors_of(row), together[:1], atol=1e-6)
    text = new.assign(born=[None, "1960-05-17"])
    np.testing.assert_allclose(factors_of(text), together, atol=1e-6)
    earliest = factors_of(new.head(1).assign(born=data["born"].min()))
    assert np.abs(earliest - together[:1]).max() > 1e-3
    with pytest.warns(DataWarning, match=r"'born' contained dates in fit, .*1960.*to_datetime"):
        factors_of(new.assign(born=[None, 1960]))

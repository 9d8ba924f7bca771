"""BPR and LMF as backbones, and warm starts of all backbones."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimators import make_estimator
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.cpu.lmf import LogisticMatrixFactorization
from sklearn.base import clone

from sklearn_selreg import ALS, BPR, ReliabilityGate, SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.exceptions import DataWarning, ParameterWarning
from sklearn_selreg.judges import PrecomputedJudge

N_USERS, N_ITEMS, N_GROUPS = 120, 40, 4
BACKBONES = ["als", "bpr", "lmf"]


def table(seed=0, per_user=6):
    """Interactions in which users mostly like the items of their own group."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(N_USERS):
        liked = np.arange(N_ITEMS) % N_GROUPS == user % N_GROUPS
        weight = np.where(liked, 8.0, 1.0) / (1 + np.arange(N_ITEMS) // N_GROUPS)
        items = rng.choice(N_ITEMS, per_user, replace=False, p=weight / weight.sum())
        rows += [(f"u{user:03}", f"i{item:02}") for item in items]
    return pd.DataFrame(rows, columns=["user", "item"])


@pytest.fixture(scope="module")
def X():
    return table()


@pytest.fixture(scope="module")
def genres():
    return {f"i{item:02}": f"genre{item % N_GROUPS}" for item in range(N_ITEMS + 4)}


@pytest.fixture(scope="module")
def judge(X):
    """Judge that knows the groups; half of its slates hide positives."""
    rng, records = np.random.default_rng(1), []
    for number, (user, items) in enumerate(X.groupby("user")["item"]):
        items = items.tolist()
        shown, hidden = (items[:3], items[3:]) if number % 2 else (items, [])
        others = rng.permutation([f"i{i:02}" for i in range(N_ITEMS) if f"i{i:02}" not in items])
        candidates = hidden + others[:10].tolist()
        same = [int(c[1:]) % N_GROUPS == int(user[1:]) % N_GROUPS for c in candidates]
        ratings = 0.7 * np.array(same) + rng.random(len(candidates)) * 0.3
        record = {"user": user, "history": shown, "candidates": candidates}
        records.append(record | {"ratings": ratings.tolist()})
    return PrecomputedJudge(records)


def make(backbone, **settings):
    defaults = {"factors": 8, "random_state": 0, "backbone": backbone}
    if backbone == "als":
        defaults |= {"regularization": 5.0, "alpha": 10.0, "iterations": 12}
    return make_estimator(**defaults | settings)


def matrix_of(X):
    rows, columns = pd.factorize(X["user"], sort=True)[0], pd.factorize(X["item"], sort=True)[0]
    return sp.csr_matrix((np.ones(len(X), np.float32), (rows, columns)))


def in_group(model):
    """Fraction of recommended items that belong to the user's group."""
    items, _ = model.recommend(model.users_, n_items=3)
    group = [[int(i[1:]) % N_GROUPS for i in row] for row in items]
    return np.mean(np.array(group) == [[int(u[1:]) % N_GROUPS] for u in model.users_])


def own_group_first(model):
    """Fraction of correctly ordered pairs of a new item of the user's group and one of another."""
    right = []
    for user, scores in zip(model.users_, model.user_factors_ @ model.item_factors_.T, strict=True):
        new = np.isin(model.items_, model.recommend([user], n_items=N_ITEMS)[0])
        own = np.array([int(i[1:]) % N_GROUPS == int(user[1:]) % N_GROUPS for i in model.items_])
        right.append(np.mean(scores[new & own][:, np.newaxis] > scores[new & ~own]))
    return np.mean(right)


def test_bpr_alone_is_implicits(X):
    model = make("bpr", item_bias=0).fit(X)
    own = BayesianPersonalizedRanking(
        8, learning_rate=0.05, regularization=0.05, iterations=100, num_threads=1, random_state=0
    )
    own.fit(matrix_of(X), show_progress=False)
    np.testing.assert_array_equal(model.user_factors_, own.user_factors)
    np.testing.assert_array_equal(model.item_factors_, own.item_factors)


def test_lmf_alone_ranks_as_implicits(X):
    """User biases are dropped, since they do not affect rankings."""
    model = make("lmf", item_bias=0).fit(X)
    own = LogisticMatrixFactorization(
        8, learning_rate=1.0, regularization=6.0, iterations=50, num_threads=1, random_state=0
    )
    own.fit(10 * matrix_of(X), show_progress=False)
    ours = model.user_factors_ @ model.item_factors_.T
    theirs = own.user_factors @ own.item_factors.T
    assert ours.shape[1] == N_ITEMS and model.item_factors_.shape[1] == 9
    np.testing.assert_allclose(ours, theirs - own.user_factors[:, -1:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backbone", ["bpr", "lmf"])
def test_settings_reach_implicit(X, backbone):
    model = make(backbone, backbone__learning_rate=0.01, iterations=3).fit(X)
    assert np.abs(model.predict(X) - make(backbone, iterations=3).fit(X).predict(X)).max() > 1e-3
    assert model.n_iter_ == 3


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_judge_who_knows_is_followed(X, genres, judge, backbone):
    plain = make(backbone, item_data=genres).fit(X)
    model = make(backbone, item_data=genres, judge=judge, backbone__compute_loss=True).fit(X)
    assert model.gate_.gap_coef_ > 0
    # All new items, since the top ones may stay the same: LMF is worse than chance on small data.
    assert own_group_first(model) > own_group_first(plain)
    assert in_group(model) >= in_group(plain)
    heavier = clone(model).set_params(llm_weight=1.0).fit(X)
    assert own_group_first(heavier) > own_group_first(plain)
    assert in_group(heavier) > in_group(plain)
    loss = np.array(model.loss_curve_)
    assert len(loss) >= 6
    assert np.all(np.diff(loss) <= 1e-6 * loss[:-1])
    judgments = model.preferences_
    assert len(judgments) and (judgments["weight"] >= 0).all()


@pytest.mark.parametrize("backbone", ["bpr", "lmf"])
def test_items_nobody_has_touched_are_what_their_features_say(X, genres, backbone):
    """The four new items rank higher for users of their genre."""
    model = make(backbone, item_data=genres).fit(X)
    new = [f"i{N_ITEMS + g}" for g in range(N_GROUPS)]
    columns = np.searchsorted(model.items_, new)
    scores = model.user_factors_ @ model.item_factors_[columns].T
    group = np.array([int(u[1:]) % N_GROUPS for u in model.users_])
    assert np.mean(scores.argmax(axis=1) == group) > 0.6  # 0.25 by chance


@pytest.mark.parametrize("backbone", ["bpr", "lmf"])
def test_folded_in_users_are_like_fitted_ones(X, backbone):
    """The same histories with new user ids yield similar scores of the same scale."""
    model = make(backbone).fit(X)
    fitted = model.user_factors_ @ model.item_factors_.T
    model.fold_in(X.assign(user="new " + X["user"]))
    assert len(model.users_) == 2 * N_USERS
    new = model.user_factors_[np.char.startswith(model.users_.astype(str), "new ")]
    folded = new @ model.item_factors_.T
    assert np.corrcoef(fitted.ravel(), folded.ravel())[0, 1] > 0.7
    centered = [s - s.mean(axis=1, keepdims=True) for s in (fitted, folded)]
    assert 0.5 < centered[1].std() / centered[0].std() < 2


@pytest.mark.parametrize("backbone", BACKBONES)
def test_seeded_results_are_the_same_with_any_number_of_threads(X, judge, backbone):
    one, two = (make(backbone, judge=judge, n_jobs=n).fit(X) for n in (1, 2))
    np.testing.assert_array_equal(one.user_factors_, two.user_factors_)
    np.testing.assert_array_equal(one.item_factors_, two.item_factors_)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_nothing_is_printed_or_warned(X, judge, backbone, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(backbone, judge=judge, random_state=None).fit(X).recommend(["u001"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"backbone": "svd"}, ValueError, "backbone"),
        ({"backbone": "bpr", "alpha": 3.0}, ValueError, "'bpr' has no parameter alpha"),
        ({"backbone": "bpr", "backbone__neg_prop": 3}, ValueError, "neg_prop.*LMF.*BPR"),
        ({"backbone": "lmf", "backbone__missing_power": 0.75}, ValueError, "missing_power.*LMF"),
        ({"backbone__learning_rate": 1}, ValueError, "learning_rate.*BPR.*ALS"),
        ({"backbone": ALS}, ValueError, "'backbone' parameter"),
        ({"backbone": "lmf", "backbone__neg_prop": 0}, ValueError, "neg_prop.*LMF.*Got 0"),
        ({"backbone": BPR("fast")}, ValueError, "learning_rate.*BPR.*Got 'fast'"),
    ],
)
def test_settings_a_backbone_lacks_are_named(X, settings, error, message):
    with pytest.raises(error, match=message):
        make_estimator(**settings).fit(X)


@pytest.mark.parametrize("backbone", ["bpr", "lmf"])
def test_saved_models_predict_fold_in_and_go_on(X, judge, backbone, tmp_path):
    model = make(backbone, judge=judge, warm_start=True).fit(X)
    model.save(tmp_path / "model.zip")
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "model.zip")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    new = X.assign(user="new " + X["user"])
    folded = [m.fold_in(new).user_factors_ for m in (model, loaded)]
    np.testing.assert_array_equal(*folded)
    model.set_params(judge=None, iterations=2).fit(X)
    with pytest.warns(DataWarning, match="does not hold judge"):
        loaded.set_params(iterations=2).fit(X)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


# Warm start


def als_loss(model, X):
    """Objective of plain ALS at the factors of a model, in numpy."""
    matrix = matrix_of(X).toarray()
    x, y = model.user_factors_.astype(float), model.item_factors_.astype(float)
    weights = np.where(matrix > 0, 10.0, 1.0)
    return np.sum(weights * (matrix - x @ y.T) ** 2) + 5 * (np.sum(x**2) + np.sum(y**2))


def plain(**settings):
    off = {"item_bias": 0, "backbone__missing_power": 0, "backbone__recency_power": 0}
    return make("als", **off | settings)


def test_warm_start_goes_on_from_the_old_factors(X):
    converged = als_loss(plain(iterations=100).fit(X), X)
    cold = als_loss(plain(iterations=2).fit(X), X)
    model = plain(iterations=10, warm_start=True).fit(X)
    before = als_loss(model, X)
    warm = als_loss(model.set_params(iterations=2).fit(X), X)
    assert converged <= warm < before
    assert warm - converged < 0.2 * (cold - converged)


def test_ids_are_found_where_they_have_moved(X):
    """New ids sort before, between and after the old ones, and rows are in another order."""
    rename = {"u000": "a", "u001": "zz", "i00": "a", "i01": "zz"}
    half = X[~X["user"].isin(["u005", "u050"]) & (X["item"] != "i07")]
    first = plain(iterations=10, warm_start=True).fit(half)
    old = dict(zip(first.users_, first.user_factors_, strict=True))
    again = pd.concat([X, X.replace(rename)]).drop_duplicates().sample(frac=1, random_state=0)
    model = clone(first).set_params(iterations=1).fit(again)  # a clone has no warm start
    cold = als_loss_of_any(model, again)
    warm = als_loss_of_any(first.set_params(iterations=1).fit(again), again)
    converged = als_loss_of_any(plain(iterations=100).fit(again), again)
    assert {"u005", "a", "zz"} <= set(first.users_) and "i07" in first.items_
    assert warm - converged < 0.3 * (cold - converged)
    new = dict(zip(first.users_, first.user_factors_, strict=True))
    cosine = [
        old[u] @ new[u] / np.linalg.norm(old[u]) / np.linalg.norm(new[u]) for u in half["user"]
    ]
    assert np.mean(cosine) > 0.9


def als_loss_of_any(model, X):
    ids = X.assign(
        user=pd.Categorical(X["user"], model.users_).codes,
        item=pd.Categorical(X["item"], model.items_).codes,
    )
    return als_loss(model, ids)


def test_warm_start_drops_who_is_no_longer_there(X):
    model = plain(warm_start=True).fit(X).fit(X[X["user"] < "u060"])
    assert len(model.users_) == len(model.user_factors_) == 60
    np.testing.assert_array_equal(model.users_, np.unique(X["user"])[:60])


@pytest.mark.parametrize("backbone", ["bpr", "lmf"])
def test_bpr_and_lmf_go_on_too(X, genres, backbone):
    """After one more epoch, old users, new users and new items rank as after many."""
    old = X[(X["user"] > "u030") & (X["item"] != "i02")]
    model = make(backbone, item_data=genres, warm_start=True).fit(old)
    model.set_params(iterations=1, backbone__learning_rate=0.05).fit(X)
    cold = make(backbone, item_data=genres, iterations=1, backbone__learning_rate=0.05).fit(X)
    full = make(backbone, item_data=genres).fit(X)

    def likeness(a):
        return np.corrcoef(
            (a.user_factors_ @ a.item_factors_.T).ravel(),
            (full.user_factors_ @ full.item_factors_.T).ravel(),
        )[0, 1]

    assert likeness(model) > max(0.6, likeness(cold) + 0.1)
    assert in_group(model) > in_group(cold)


@pytest.mark.parametrize("backbone", ["bpr", "lmf"])
def test_going_on_adds_the_popularity_only_once(X, backbone):
    model = make(backbone, warm_start=True).fit(X)
    spread = model.item_factors_[:, -1].std()
    for _ in range(3):
        model.set_params(iterations=1, backbone__learning_rate=1e-6).fit(X)
    assert model.item_factors_[:, -1].std() == pytest.approx(spread, rel=0.05)


class Recorder(ReliabilityGate):
    """Gate that records its training data."""

    def fit(self, Z, y, groups=None, sample_weight=None):
        self.evidence_, self.right_, self.weights_ = Z, y, sample_weight
        return super().fit(Z, y, groups, sample_weight)


def test_old_factors_do_not_calibrate_the_gate(X, judge):
    """Old factors know hidden interactions, so the evidence must be that of a cold start.

    Only the sample weights may differ: they depend on the slates weighted with the current model.
    """
    cold = make("als", judge=judge, gate=Recorder()).fit(X).gate_
    warm = make("als", judge=judge, gate=Recorder(), warm_start=True).fit(X).fit(X).gate_
    pd.testing.assert_frame_equal(warm.evidence_, cold.evidence_, check_exact=True)
    np.testing.assert_array_equal(warm.right_, cold.right_)
    assert not np.array_equal(warm.weights_, cold.weights_)


@pytest.mark.parametrize("other", [{"factors": 9}, {"backbone": "bpr"}])
def test_other_factors_cannot_go_on(X, other):
    model = make("als", warm_start=True).fit(X)
    if "backbone" in other:
        other = other | {"regularization": None, "alpha": None, "iterations": None}
    with pytest.raises(ValueError, match="warm_start requires the same kind and number"):
        model.set_params(**other).fit(X)


def test_there_is_no_partial_fit():
    assert not hasattr(SelectiveLLMRegularizedMF, "partial_fit")


def test_factors_that_vanish_are_told():
    X = make_interactions(200, 100, 4000, random_state=0).X[["user", "item"]]
    model = make("als", regularization=1e4)
    with pytest.warns(ParameterWarning, match="regularization is too large"):
        model.fit(X)
    lists, _ = model.recommend(model.users_, n_items=5, filter_seen=False)
    assert len(np.unique(lists, axis=0)) == 1
    model.set_params(regularization=10).fit(X)  # warnings are errors
    lists, _ = model.recommend(model.users_, n_items=5, filter_seen=False)
    assert len(np.unique(lists, axis=0)) > 100

"""Refining of factors fitted elsewhere."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from sklearn_selreg import ALS, SelectiveLLMRegularizedMF, SlateSampler
from sklearn_selreg._data._interactions import index_interactions
from sklearn_selreg.exceptions import GateWarning
from sklearn_selreg.judges import ContentJudge, LLMJudge, PrecomputedJudge

N_USERS, N_ITEMS, N_GROUPS, K = 200, 60, 4, 8
SETTINGS = {"regularization": 2.0, "alpha": 10.0}


@pytest.fixture(scope="module")
def X():
    """Users mostly like the items of their group; user 7 is "u007"."""
    rng, rows = np.random.default_rng(0), []
    for user in range(N_USERS):
        weight = np.where(np.arange(N_ITEMS) % N_GROUPS == user % N_GROUPS, 4.0, 1.0)
        items = rng.choice(N_ITEMS, 8, replace=False, p=weight / weight.sum())
        rows += [(f"u{user:03}", int(item)) for item in items]
    return pd.DataFrame(rows, columns=["user", "item"])


@pytest.fixture(scope="module")
def given(X):
    """Unordered ids, and factors fitted by implicit's ALS."""
    interactions = index_interactions(X)
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(factors=K, random_state=0, **SETTINGS)
        als.fit(interactions.matrix, show_progress=False)
    rng = np.random.default_rng(1)
    users, items = rng.permutation(N_USERS), rng.permutation(N_ITEMS)
    return (
        interactions.users[users],
        interactions.items[items],
        als.user_factors[users],
        als.item_factors[items],
    )


def records(X, users):
    """Answers of a judge that knows the groups, for some users; every third hides likes."""
    rng, made = np.random.default_rng(2), []
    for number, user in enumerate(users):
        items = X.loc[X["user"] == user, "item"].tolist()
        shown, hidden = (items[:4], items[4:]) if number % 3 else (items, [])
        others = rng.permutation(np.setdiff1d(np.arange(N_ITEMS), items))[:10].tolist()
        candidates = hidden + others
        same = np.array(candidates) % N_GROUPS == int(user[1:]) % N_GROUPS
        ratings = (0.7 * same + 0.3 * rng.random(len(same))).tolist()
        record = {"user": user, "history": shown, "candidates": candidates, "ratings": ratings}
        made.append(record)
    return made


@pytest.fixture(scope="module")
def judged_users(X):
    return X["user"].unique()[::3].tolist()


@pytest.fixture(scope="module")
def judge(X, judged_users):
    return PrecomputedJudge(records(X, judged_users))


def make(given, judge=None, **settings):
    return SelectiveLLMRegularizedMF.from_factors(*given, judge=judge, **SETTINGS | settings)


def gain(model, given, X, users):
    """Increase of the scores of new items of the users' own groups over other new items."""
    rise = model.user_factors_ @ model.item_factors_.T - given[2] @ given[3].T
    seen = set(zip(X["user"], X["item"], strict=True))
    gains = []
    for row, user in enumerate(given[0]):
        if user in users:
            new = np.array([(user, item) not in seen for item in given[1].tolist()])
            own = given[1] % N_GROUPS == int(user[1:]) % N_GROUPS
            gains.append(rise[row, new & own].mean() - rise[row, new & ~own].mean())
    return np.mean(gains)


def test_given_factors_work_at_once(given):
    model = make(given)
    users, items, x, y = given
    scores = model.predict([["u007", items[0]], ["u008", items[5]]])
    rows = [users.tolist().index(u) for u in ("u007", "u008")]
    np.testing.assert_allclose(scores, [x[rows[0]] @ y[0], x[rows[1]] @ y[5]], rtol=1e-5)
    found, best = model.recommend(["u007"], n_items=5, filter_seen=False)
    order = np.argsort(-(y @ x[rows[0]]))[:5]
    assert found[0].tolist() == items[order].tolist()
    np.testing.assert_allclose(best[0], (y @ x[rows[0]])[order], rtol=1e-5)
    mean = model.predict([["stranger", items[0]]])
    np.testing.assert_allclose(mean, x.mean(axis=0) @ y[:1].T, rtol=1e-4)


def test_folding_in_is_that_of_the_model_that_made_them(given, X):
    """implicit solves the full normal equations of a user, as we do."""
    _, items, _, y = given
    model = make(given).fold_in(X[X["user"] == "u007"].assign(user="new"))
    liked = np.isin(items, X.loc[X["user"] == "u007", "item"]).astype(float)
    wide = y.astype(float)
    A = wide.T @ (wide * (1 + 9 * liked)[:, None]) + 2 * np.eye(K)
    expected = np.linalg.solve(A, 10 * liked @ wide)
    new = model.user_factors_[model.users_.tolist().index("new")]
    np.testing.assert_allclose(new, expected, rtol=1e-3, atol=1e-4)


def test_refining_follows_a_judge_who_knows_and_moves_judged_rows_alone(
    given, X, judge, judged_users
):
    model = make(given, judge, backbone=ALS(compute_loss=True)).refine(X)
    moved = np.any(model.user_factors_ != given[2], axis=1)
    assert set(model.users_[moved]) <= set(judged_users)
    assert moved.sum() > len(judged_users) / 2
    candidates = {c for record in records(X, judged_users) for c in record["candidates"]}
    moved = np.any(model.item_factors_ != given[3], axis=1)
    assert set(model.items_[moved].tolist()) <= candidates
    assert gain(model, given, X, judged_users) > 0
    assert model.gate_.gap_coef_ > 0
    loss = np.array(model.loss_curve_)
    assert len(loss) == model.n_iter_ == 15
    assert np.all(np.diff(loss) <= 1e-6 * loss[:-1])


def test_a_judge_who_is_wrong_is_not_followed(given, X, judged_users):
    rng, wrong = np.random.default_rng(3), records(X, judged_users)
    for record in wrong:
        record["ratings"] = rng.permutation(record["ratings"]).tolist()
    good = make(given, PrecomputedJudge(records(X, judged_users))).refine(X)
    with pytest.warns(GateWarning, match="as without the judge"):
        bad = make(given, PrecomputedJudge(wrong)).refine(X)
    distance = [np.linalg.norm(m.user_factors_ - given[2]) for m in (bad, good)]
    assert distance[0] < 0.3 * distance[1]


def test_only_the_judged_users_interactions_are_needed(given, X, judge, judged_users):
    """Judged users get about the same factors; popularity is counted from the given rows."""
    few = make(given, judge, gate=None).refine(X[X["user"].isin(judged_users)])
    full = make(given, judge, gate=None).refine(X)
    moves = [(m.user_factors_ - given[2]).ravel() for m in (few, full)]
    assert np.corrcoef(*moves)[0, 1] > 0.95


def test_seen_items_are_filtered_after_refining(given, X, judge):
    model = make(given, judge).refine(X)
    found, _ = model.recommend(["u003"], n_items=20)
    assert not set(found[0].tolist()) & set(X.loc[X["user"] == "u003", "item"])


def test_refining_again_is_refining_once(given, X, judge):
    model = make(given, judge).refine(X)
    once = model.user_factors_.copy(), model.item_factors_.copy()
    model.refine(X)
    np.testing.assert_array_equal(model.user_factors_, once[0])
    np.testing.assert_array_equal(model.item_factors_, once[1])


def test_histories_beyond_the_rows_are_dropped(given, X, judge, judged_users):
    """Leakage rule: shown histories must be part of X."""
    hidden = X[~((X["user"] == judged_users[0]) & (X.groupby("user").cumcount() == 0))]
    with pytest.warns(UserWarning, match="1 slate whose history is not within"):
        model = make(given, judge).refine(hidden)
    assert model.judge_stats_["slates_used"] == len(judged_users) - 1
    assert judged_users[0] not in set(model.preferences_["user"])


def test_saved_factors_can_be_refined(given, X, judge, tmp_path):
    model = make(given)
    model.save(tmp_path / "model.zip")
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "model.zip")
    refined = [m.set_params(judge=judge).refine(X).user_factors_ for m in (model, loaded)]
    np.testing.assert_array_equal(*refined)


def test_preferences_are_in_raw_ids_and_of_new_items(given, X, judge, judged_users):
    judgments = make(given, judge).refine(X).preferences_
    assert set(judgments["user"]) <= set(judged_users)
    seen = set(zip(X["user"], X["item"], strict=True))
    assert not seen & set(zip(judgments["user"], judgments["preferred"], strict=True))
    assert not seen & set(zip(judgments["user"], judgments["other"], strict=True))


def test_copies_are_made_unless_they_are_not_wanted(given, X, judge, tmp_path):
    before = given[2].copy()
    make(given, judge).refine(X)
    np.testing.assert_array_equal(given[2], before)
    own = given[2].copy(), given[3].copy()
    model = make((*given[:2], *own), judge, copy=False)
    assert np.shares_memory(model.user_factors_, own[0])
    model.refine(X)
    assert np.any(own[0] != before)
    for name, array in zip("xy", given[2:], strict=True):
        np.save(tmp_path / f"{name}.npy", array)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="c") for name in "xy"]
    same = make((*given[:2], *mapped), judge, copy=False).refine(X)
    np.testing.assert_array_equal(same.user_factors_, model.user_factors_)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), before)
    read_only = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "xy"]
    with pytest.raises(ValueError, match=r"user_factors must be writable .* got a read-only array"):
        make((*given[:2], *read_only), copy=False)


def test_a_live_judge_is_asked_about_users_of_X(given, X):
    asked = []

    def rate(slate):
        asked.append(slate)
        same = np.array(slate.candidates) % N_GROUPS == int(slate.user[1:]) % N_GROUPS
        return np.where(same, 0.9, 0.1)

    some = X[X["user"] < "u100"]
    judge = LLMJudge.from_callable(rate, name="groups", version="1")
    texts = {item: f"item {item}" for item in range(N_ITEMS)}
    model = make(given, judge, item_data=texts, slates=SlateSampler(max_slates=60)).refine(some)
    assert len(asked) == model.judge_stats_["slates_used"] == 60
    assert {slate.user for slate in asked} <= set(some["user"])
    assert gain(model, given, X, {slate.user for slate in asked}) > 0


def test_unknown_users_and_items_are_left_out_with_a_warning(given, X, judge):
    more = pd.concat([X, pd.DataFrame({"user": ["zz", "u001"], "item": [1, 999]})])
    with pytest.warns(UserWarning) as caught:
        model = make(given, judge).refine(more)
    text = " ".join(str(w.message) for w in caught)
    assert "users are unknown to the model" in text and "items are unknown to the model" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = make(given, judge).refine(X)
    np.testing.assert_allclose(model.user_factors_, same.user_factors_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: ["a"] * N_USERS}, "user_ids must be unique"),
        ({0: ["a", "b"]}, r"a row for each of user_ids; got shapes \(200, 8\) and \(2,\)"),
        ({3: np.zeros((N_ITEMS, 5))}, "same number of columns.*got 8 and 5 columns"),
        ({2: np.full((N_USERS, K), np.nan)}, "user_factors must be finite"),
        ({2: [["x"] * K] * N_USERS}, "user_factors must be an array of numbers: .* 'x'"),
    ],
)
def test_bad_factors_are_named(given, change, message):
    parts = [change.get(place, part) for place, part in enumerate(given)]
    with pytest.raises(ValueError, match=message):
        make(parts)


def test_what_cannot_be_refined(given, X, judge):
    with pytest.raises(ValueError, match="refine needs a judge, but judge is None"):
        make(given).refine(X)
    with pytest.raises(ValueError, match="requires a model built by from_factors"):
        SelectiveLLMRegularizedMF(factors=4, judge=judge, random_state=0).fit(X).refine(X)
    with pytest.raises(ValueError, match="backbone must be 'als' for given factors"):
        make(given, backbone="bpr", alpha=None)
    with pytest.raises(ValueError, match="`factors` must be 'auto', None or that number"):
        make(given, factors=9)
    with pytest.raises(ValueError, match="from_factors"):
        make(given).explain("u007", 3)


def test_refining_a_copy_or_its_original_leaves_the_other_as_it_was():
    rng = np.random.default_rng(0)
    factors = [rng.normal(size=(n, 6)).astype(np.float32) * 0.3 for n in (300, 40)]
    likes = [(u, i) for u in range(300) for i in rng.choice(40, 6, replace=False)]
    kinds = rng.choice(["war", "love", "space", "cats"], 40)
    model = SelectiveLLMRegularizedMF.from_factors(
        np.arange(300), np.arange(40), *factors,
        interactions=likes, alpha=10.0, regularization=1.0, judge=ContentJudge(),
        item_data=dict(enumerate(kinds)), gate=None, llm_weight=2.0, random_state=0,
    )  # fmt: skip
    given = model.user_factors_.copy(), model.item_factors_.copy()
    copied = copy.copy(model)
    refined = copy.copy(model).refine()
    for untouched in (model, copied):
        np.testing.assert_array_equal(untouched.user_factors_, given[0])
        np.testing.assert_array_equal(untouched.item_factors_, given[1])
    assert np.abs(refined.item_factors_ - given[1]).max() > 0.001
    # Each starts from the given factors, also after others were refined, and again.
    expected = refined.user_factors_.copy(), refined.item_factors_.copy()
    for other in (model.refine(), model.refine(), copied.refine(), copy.copy(refined).refine()):
        np.testing.assert_array_equal(other.user_factors_, expected[0])
        np.testing.assert_array_equal(other.item_factors_, expected[1])
    # What is computed once from the factors is that of the model's own.
    guest = [[1000, item] for item in (3, 9, 17)]
    fresh = copy.deepcopy(model).fold_in(guest)
    np.testing.assert_allclose(
        model.fold_in(guest).user_factors_[-1], fresh.user_factors_[-1], atol=1e-6
    )

"""Synthetic data against their documentation, and a gate that has to recover the reliability."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from estimators import make_estimator
from scipy.stats import kstest, norm, spearmanr
from sklearn.base import clone

from sklearn_selreg import ReliabilityGate
from sklearn_selreg._utils._sklearn import InvalidParameterError
from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.datasets._draws import draw_items
from sklearn_selreg.datasets._world import World
from sklearn_selreg.judges import Slate
from sklearn_selreg.judges.testing import JudgeContract

COLUMNS = {"user_col": "user", "item_col": "item", "time_col": "time"}


def better_with_history(history_length, popularity):
    return 0.9 * np.minimum(history_length, 10) / 10


def worse_with_history(history_length, popularity):
    return 0.9 / np.maximum(history_length, 1)


def better_for_the_popular(history_length, popularity):
    return 0.9 * popularity / (popularity + 30)


def out_of_range(history_length, popularity):
    return popularity * 1.0


def one_number(history_length, popularity):
    return 0.5


@pytest.fixture(scope="module")
def world():
    return make_interactions(
        2000, 1000, 40_000, judge_reliability=better_for_the_popular, random_state=0
    )


# -- interactions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes", [(1, 2, 1), (50, 20, 500), (50, 20, 50), (1000, 500, 20_000), (300, 40, 5999)]
)
def test_sizes_are_as_asked(sizes):
    n_users, n_items, n_interactions = sizes
    data = make_interactions(*sizes, random_state=0)
    X = data.X
    assert X.shape == (n_interactions, 3)
    assert X.dtypes.to_list() == [np.int64] * 3
    assert not X.duplicated(["user", "item"]).any()
    assert X["user"].unique().tolist() == list(range(n_users))
    assert X["item"].between(0, n_items - 1).all()
    assert X["user"].value_counts().max() <= n_items // 2
    assert data.item_data["item"].tolist() == list(range(n_items))
    np.testing.assert_array_equal(data.popularity, np.bincount(X["item"], minlength=n_items))
    assert X.equals(X.sort_values(["user", "time"], kind="stable"))
    assert pd.to_datetime(X["time"], unit="s").dt.year.between(2022, 2024).all()
    assert data.y.shape == (n_interactions,)
    assert (data.y == 1).all()


def test_same_seed_same_world_other_seed_other_world():
    a, b, c = (make_interactions(100, 50, 1000, random_state=seed) for seed in (1, 1, 2))
    assert a.X.equals(b.X)
    assert a.item_data.equals(b.item_data)
    assert not a.X.equals(c.X)
    slate = Slate(3, [1, 2], range(10, 30))
    np.testing.assert_array_equal(*(w.judge.rate([slate])[0] for w in (a, b)))
    assert not np.array_equal(*(w.judge.rate([slate])[0] for w in (a, c)))


def test_progress_is_shown_on_demand(capsys):
    quiet = make_interactions(100, 50, 1000, random_state=1).X
    assert capsys.readouterr().err == ""
    assert make_interactions(100, 50, 1000, random_state=1, verbose=1).X.equals(quiet)
    assert "drawing: 100%" in capsys.readouterr().err


def test_many_small_parts_make_one_world(monkeypatch):
    """Sampling in small chunks gives the same sizes and order."""
    monkeypatch.setattr("sklearn_selreg.datasets._draws._CHUNK", 100)
    X = make_interactions(200, 50, 2000, random_state=0).X
    assert len(X) == 2000
    assert X["user"].is_monotonic_increasing
    assert not X.duplicated(["user", "item"]).any()


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("rounds", [0, 8])
def test_items_are_drawn_with_the_probabilities_described(exponent, rounds, monkeypatch):
    """The first of all draws, and sets of two draws, against explicitly computed probabilities."""
    monkeypatch.setattr("sklearn_selreg.datasets._draws._ROUNDS", rounds)
    rng = np.random.default_rng(0)
    n_items, n_draws = 8, 40_000
    items = rng.normal(size=(n_items, 2)).astype(np.float32)
    users = np.full((n_draws, 2), np.sqrt(0.5), dtype=np.float32)
    by_rank = rng.permutation(n_items)
    world = World(users, items, by_rank, exponent, 3.0)
    rank = np.argsort(by_rank)
    # Popularity is a continuous function of rank; integrate it numerically within each rank.
    fine = (rank[:, np.newaxis] + (np.arange(1000) + 0.5) / 1000 + 10) ** -exponent
    chance = fine.mean(axis=1) / (1 + np.exp(-3 * (items @ users[0] - 1)))
    chance /= chance.sum()
    # Two draws without replacement: i first, or j first and then i.
    after = [chance * chance[i] / (1 - chance) for i in range(n_items)]
    both = chance + np.array([a.sum() - a[i] for i, a in enumerate(after)])
    for length, expected in ((1, chance), (2, both)):
        user, item = draw_items(world, np.arange(n_draws), np.full(n_draws, length), rng)
        np.testing.assert_array_equal(user, np.repeat(np.arange(n_draws), length))
        observed = np.bincount(item, minlength=n_items) / n_draws
        error = np.sqrt(expected * (1 - expected) / n_draws)
        assert (np.abs(observed - expected) < 4.5 * error).all()
    utility = world.utility(0, np.arange(n_items))
    np.testing.assert_allclose(utility - utility[0], np.log(chance / chance[0]), atol=2e-5)


def test_popularity_is_long_tailed_and_histories_are_skewed(world):
    popularity = np.sort(world.popularity)[::-1]
    assert popularity[:100].sum() > 0.3 * popularity.sum()
    lengths = world.X["user"].value_counts()
    assert lengths.median() < 0.75 * lengths.mean()
    assert kstest(np.log(lengths[lengths > 1]), norm(np.log(lengths.median()), 1).cdf)[0] < 0.1


def test_people_take_what_they_like(world):
    X = world.X
    taken = world.affinity(X["user"].to_numpy(), X["item"].to_numpy())
    anything = world.affinity(X["user"].to_numpy(), np.random.default_rng(0).permutation(X["item"]))
    assert taken.mean() > anything.mean() + 0.8
    every = world.affinity(np.arange(2000)[:, np.newaxis], np.arange(1000))
    np.testing.assert_allclose(every, world.user_factors @ world.item_factors.T, atol=1e-5)
    assert every.std() == pytest.approx(1, abs=0.05)


def test_item_data_tells_of_the_factors():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_score

    told = {}
    for informativeness in (0.0, 0.5, 1.0):
        data = make_interactions(
            10, 1500, 100, item_informativeness=informativeness, random_state=0
        )
        words = TfidfVectorizer().fit_transform(data.item_data["description"])
        told[informativeness] = cross_val_score(RidgeCV(), words, data.item_factors[:, 0]).mean()
    assert told[0.0] < 0.02
    assert 0.05 < told[0.5] < told[1.0]
    assert told[1.0] > 0.3


def test_user_data_tells_of_the_factors_and_changes_nothing_else():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_score

    plain = make_interactions(1500, 40, 3000, random_state=0)
    assert "user_data" not in plain
    told = {}
    for informativeness in (0.0, 1.0):
        data = make_interactions(
            1500, 40, 3000, user_informativeness=informativeness, random_state=0
        )
        assert data.X.equals(plain.X) and data.item_data.equals(plain.item_data)
        assert data.user_data["user"].tolist() == list(range(1500))
        words = TfidfVectorizer().fit_transform(data.user_data["description"])
        told[informativeness] = cross_val_score(RidgeCV(), words, data.user_factors[:, 0]).mean()
    assert told[0.0] < 0.02
    assert told[1.0] > 0.3


# -- the judge ---------------------------------------------------------------------------------


class TestSimulatedJudge(JudgeContract):
    def make_judge(self):
        return make_interactions(
            20, 10, 60, judge_reliability=better_with_history, random_state=0
        ).judge


@pytest.mark.parametrize("reliability", [0.0, 0.4, 0.9, 1.0])
def test_ratings_correlate_with_the_truth_as_said(world, reliability):
    judge = clone(world.judge).set_params(reliability=reliability)
    slates = [Slate(user, [0], range(1000)) for user in range(100)]
    ratings = np.array(judge.rate(slates))
    believed = norm.ppf(np.clip(ratings, 1e-12, 1 - 1e-12))
    truth = world.affinity(np.arange(100)[:, np.newaxis], np.arange(1000))
    assert np.corrcoef(believed.ravel(), truth.ravel())[0, 1] == pytest.approx(
        reliability, abs=0.02
    )
    assert kstest(ratings.ravel()[::50], "uniform").pvalue > 1e-4


def test_pairs_are_right_as_often_as_the_formula_says(world):
    judge = clone(world.judge).set_params(reliability=0.6)
    users = np.arange(200)
    ratings = np.array(judge.rate([Slate(user, [0], range(1000)) for user in users.tolist()]))
    truth = world.affinity(users[:, np.newaxis], np.arange(1000))
    right = np.sign(ratings[:, ::2] - ratings[:, 1::2]) == np.sign(truth[:, ::2] - truth[:, 1::2])
    assert right.mean() == pytest.approx(0.5 + np.arcsin(0.6) / np.pi, abs=0.01)


def test_reliability_follows_history_and_popularity(world):
    rare, popular = np.argsort(world.popularity)[[range(500), range(500, 1000)]].tolist()
    rho = {}
    for name, items in (("rare", rare), ("popular", popular)):
        ratings = np.array(world.judge.rate([Slate(u, [0], items) for u in range(200)]))
        rho[name] = np.corrcoef(
            norm.ppf(ratings).ravel(), world.affinity(np.arange(200)[:, np.newaxis], items).ravel()
        )[0, 1]
        assert rho[name] == pytest.approx(
            world.reliability(1, world.popularity[items]).mean(), abs=0.03
        )
    assert rho["popular"] > rho["rare"] + 0.2
    np.testing.assert_allclose(world.reliability([[1], [10]], [0, 30]), np.tile([0, 0.45], (2, 1)))


def test_a_judge_of_popularity_says_the_same_to_all_but_for_its_errors(world):
    judge = clone(world.judge).set_params(reliability=1.0, knows="popularity")
    a, b = judge.rate([Slate(user, [0], range(1000)) for user in (1, 2)])
    np.testing.assert_array_equal(a, b)
    assert spearmanr(a, world.popularity)[0] == pytest.approx(1)


def test_has_no_opinion_on_strangers(world):
    ratings = world.judge.rate([Slate("x", [], [1]), Slate(1, [], [5, -1, 1000, "5", np.int64(6)])])
    assert np.isnan(ratings[0]).all()
    assert np.isnan(ratings[1]).tolist() == [False, True, True, True, False]


def test_answers_are_kept_by_what_determines_them(world):
    slate = Slate(1, [2], [3, 4])
    first = world.judge.rate([slate])[0]
    assert world.judge._identity() == clone(world.judge)._identity()
    assert world.judge._identity() == pickle.loads(pickle.dumps(world.judge))._identity()
    same = clone(world.judge).set_params(reliability=lambda h, p: better_for_the_popular(h, p))
    assert same._identity() == world.judge._identity()
    others = [{"reliability": 0.5}, {"seed": 1}, {"knows": "popularity"}]
    for other in others:
        judge = clone(world.judge).set_params(**other)
        assert judge._identity() != world.judge._identity()
        assert not np.array_equal(judge.rate([slate])[0], first)


def test_cloning_copies_no_world(world):
    assert clone(world.judge).world is world.judge.world
    assert len(repr(clone(world.judge))) < 300


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"n_interactions must be between 10 and 50 .* got 51"):
        make_interactions(10, 10, 51)
    with pytest.raises(ValueError, match=r"must be between 10 and 50 .* got 9"):
        make_interactions(10, 10, 9)
    for wrong in ({"judge_reliability": 1.5}, {"judge_knows": "all"}, {"n_factors": 17}):
        with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
            make_interactions(**wrong)
    for function in (out_of_range, one_number):
        with pytest.raises(ValueError, match="reliability must be a number in"):
            make_interactions(judge_reliability=function)
    judge = make_interactions(10, 10, 20, random_state=0).judge
    with pytest.raises(ValueError, match="knows must be"):
        judge.set_params(knows="nothing").rate([Slate(1, [], [2])])


def test_a_worker_process_gives_the_same_answers(world):
    slates = [Slate(user, [1], [2, 3, 4]) for user in range(5)]
    there = joblib.Parallel(n_jobs=2)(joblib.delayed(world.judge.rate)([s]) for s in slates)
    np.testing.assert_array_equal([t[0] for t in there], world.judge.rate(slates))


# -- gate --------------------------------------------------------------------------------------


def fit(data, **settings):
    model = make_estimator(
        factors=16,
        tuning=None,
        item_data=data.item_data,
        judge=data.judge,
        random_state=0,
        **COLUMNS,
        **settings,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model.fit(data.X)


def rank_correlation(model, data):
    """Rank correlation of fitted trust and true reliability over the regularizing preferences."""
    pairs = model.preferences_
    trust = model.gate_.trust(pairs[model.gate_.feature_names_in_])
    lengths = pairs["history_length"].to_numpy()
    truth = sum(
        data.reliability(lengths, data.popularity[pairs[which].to_numpy()]) / 2
        for which in ("preferred", "other")
    )
    return spearmanr(trust, truth)[0]


SMALL, LARGER = (600, 400, 12_000), (1500, 600, 30_000)
# Top candidates have similar popularity, so more of them are needed to detect its effect.
MORE = {"slates__max_slates": 1400, "slates__calibration_fraction": 0.45}


@pytest.mark.slow
# Popularity also needs more users than history. Of its two columns, the gate uses only the more
# informative one, so trust cannot rank all pairs correctly.
@pytest.mark.parametrize(
    ("reliability", "sizes", "asked", "at_least"),
    [
        (better_with_history, SMALL, {}, 0.8),
        (worse_with_history, SMALL, {}, 0.8),
        (better_for_the_popular, LARGER, MORE, 0.77),
    ],
)
def test_the_gate_recovers_where_the_judge_is_reliable(reliability, sizes, asked, at_least):
    data = make_interactions(*sizes, judge_reliability=reliability, random_state=0)
    assert rank_correlation(fit(data, **asked), data) > at_least


def better_with_both(history_length, popularity):
    return 0.9 * popularity / (popularity + 20) * np.minimum(history_length, 10) / 10


@pytest.mark.slow
# Of two effects, the stronger one is always found: history, which is known exactly.
@pytest.mark.parametrize(
    ("reliability", "asked", "contexts"),
    [
        (better_for_the_popular, MORE, ("popularity_rarer", "popularity_commoner")),
        (better_with_both, {}, ("history_length",)),
    ],
)
def test_a_gate_that_asks_for_less_support_recovers_weaker_differences(
    reliability, asked, contexts
):
    data = make_interactions(*SMALL, judge_reliability=reliability, random_state=0)
    model = fit(data, gate=ReliabilityGate(support=0.5), **asked)
    assert rank_correlation(model, data) > 0.8
    assert sum(model.gate_.context_effects_[name] for name in contexts) > 0


@pytest.mark.slow
def test_a_judge_that_knows_popularity_only_is_trusted_less():
    weight = {}
    for knows in ("tastes", "popularity"):
        data = make_interactions(*SMALL, judge_reliability=0.9, judge_knows=knows, random_state=0)
        weight[knows] = fit(data).preferences_["weight"].mean()
    assert weight["popularity"] < 0.6 * weight["tastes"]

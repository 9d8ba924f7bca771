"""Judges whose answers are sent to other processes: of a search, and of a cluster."""

import os
import pickle
import sqlite3

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold
from worlds import make_model

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.judges import (
    AnthropicJudge,
    ContentJudge,
    FrozenJudge,
    LLMJudge,
    PrecomputedJudge,
    Slate,
)
from sklearn_selreg.judges.testing import JudgeContract

FOLDS = KFold(2, shuffle=True, random_state=0)
GRID = {"llm_weight": [0.1, 0.5]}


@pytest.fixture(scope="module")
def world():
    return make_interactions(80, 60, 1200, random_state=0)


class TestFrozen(JudgeContract):
    def make_judge(self):
        return FrozenJudge.record(ContentJudge(), self.make_slates())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*as without the judge:UserWarning")  # the server knows nothing
def test_a_search_with_frozen_answers_is_that_of_the_live_judge(
    world, tmp_path, monkeypatch, server_process
):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-none")
    cache = tmp_path / "cache.sqlite"
    with server_process.another() as server:
        judge = AnthropicJudge(max_requests=10_000, cache=cache, base_url=server.url)
        model = make_model(world, judge)
        plan = model.plan_judging(world.X, cv=FOLDS)
        frozen = plan.ask()
        assert set(server.stats()["questions"].values()) == {1}
        assert len(server.stats()["questions"]) == plan.estimate.requests
        live = GridSearchCV(model, GRID, cv=FOLDS).fit(world.X)
        assert len(server.stats()["questions"]) == plan.estimate.requests
    # No service, no key and no cache: opening the cache file would create a new one.
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    for file in tmp_path.iterdir():
        file.unlink()
    get_reusable_executor().shutdown()  # its workers have the key
    model.set_params(judge=frozen)
    spread = GridSearchCV(model, GRID, cv=FOLDS, n_jobs=2).fit(world.X)
    assert not list(tmp_path.iterdir())
    np.testing.assert_allclose(
        spread.cv_results_["mean_test_score"], live.cv_results_["mean_test_score"], rtol=1e-5
    )
    found, expected = spread.best_estimator_, live.best_estimator_
    assert found.judge_stats_ == expected.judge_stats_
    assert found.judge_stats_["slates_used"] == 40  # in each fit: none is dropped
    np.testing.assert_allclose(found.item_factors_, expected.item_factors_, atol=1e-5)


@pytest.mark.slow
def test_answers_in_several_orders_are_kept_apart(monkeypatch, server_process):
    slates = [Slate(1, [2], [3, 4, 5]), Slate("b", [], ["x", "y"])]
    recorded = PrecomputedJudge(
        [
            {"user": 1, "history": [2], "candidates": [3, 4, 5], "ratings": [0.1, 0.2, None]},
            {"user": "b", "history": [], "candidates": ["x", "y"], "ratings": [0.5, 1]},
        ]
    )
    frozen = FrozenJudge.record(recorded, [*slates, slates[0]])
    assert len(frozen.table.keys) == 2
    for a, b in zip(frozen.answers(slates), recorded.answers(slates), strict=True):
        np.testing.assert_array_equal(a, b)
    with server_process.another() as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-none")
        judge = AnthropicJudge(max_requests=9, cache=None, base_url=server.url, n_orders=2)
        both = judge.answers(slates)
    assert both[0].shape == (3, 2)
    for a, b in zip(FrozenJudge.record(judge, slates).answers(slates), both, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_unknown_slate_gets_no_opinion_and_a_warning():
    known, other = (
        Slate(1, [2], [3, 4], ["a"], ["b", "a"]),
        Slate(1, [2], [3, 4], ["a"], ["c", "a"]),
    )
    frozen = FrozenJudge.record(ContentJudge(), [known])
    with pytest.warns(UserWarning, match="1 of 2 slates are not among the 1 that ContentJudge"):
        ratings = frozen.rate([known, other])
    np.testing.assert_array_equal(ratings[0], ContentJudge().rate([known])[0])
    assert np.isnan(ratings[1]).all()


def test_cloning_and_pickling_cost_little():
    slates = [Slate(user, [1], range(2, 22), ["red"], ["x" * 1000] * 20) for user in range(500)]
    frozen = FrozenJudge.record(ContentJudge(), slates)
    assert clone(frozen).table is frozen.table
    # Per slate: 64 bytes of key, 8 of position, 160 of ratings, and no texts.
    assert len(pickle.dumps(frozen)) < 500 * (64 + 8 + 160) + 2000
    assert len(repr(frozen)) < 100


def test_a_recorded_judge_needs_no_asking(world):
    judge = PrecomputedJudge([{"user": 0, "history": [], "candidates": [1], "ratings": [1]}])
    assert make_model(world, judge).plan_judging(world.X, cv=3).ask() is judge


def test_workers_answer_and_this_process_writes(tmp_path):
    def rate(slate):
        return [os.getpid() % 997 / 997] * len(slate.candidates)

    path = tmp_path / "cache.sqlite"
    judge = LLMJudge.from_callable(rate, name="pid", version="1", cache=path)
    slates = [Slate(user, [], [1, 2]) for user in range(150)]
    with joblib.parallel_config(backend="loky", n_jobs=2):
        ratings = judge.rate(slates)
    own = os.getpid() % 997 / 997
    assert all(r[0] != own for r in ratings)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT COUNT(*) FROM answers").fetchone() == (150,)
        owners = connection.execute("SELECT COUNT(*) FROM owners").fetchone()
    connection.close()
    assert owners == (0,)
    again = judge.rate(slates)
    np.testing.assert_array_equal(again, ratings)


def test_a_wrong_answer_of_a_worker_is_named():
    judge = LLMJudge.from_callable(lambda slate: [0.5], name="short", version="1")
    with (
        joblib.parallel_config(backend="threading", n_jobs=2),
        pytest.raises(ValueError, match="each of the 2 candidates; got 1"),
    ):
        judge.rate([Slate(user, [], [1, 2]) for user in range(20)])


def test_features_are_made_in_the_process_of_the_fit(world):
    with joblib.parallel_config(backend=Refusing()):
        SelectiveLLMRegularizedMF(
            item_data=world.item_data, user_col="user", item_col="item", factors=2, iterations=2
        ).fit(world.X)


class Refusing(joblib.parallel.SequentialBackend):
    """A backend, as of a cluster, that fails if it is given work."""

    def effective_n_jobs(self, n_jobs):
        return 2

    def submit(self, func, callback=None):
        raise AssertionError("Work was sent away.")

    apply_async = submit


def test_what_is_no_judge_or_no_table_is_named():
    slate = Slate(7, [1], [2, 3])
    with pytest.raises(TypeError, match=r"judge must be one of sklearn_selreg\.judges; got an int"):
        FrozenJudge.record(3, [slate])
    with pytest.raises(
        TypeError, match=r"table must be created by FrozenJudge.record .* got a list"
    ):
        FrozenJudge([slate]).rate([slate])

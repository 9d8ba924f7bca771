"""Judging and searching on a real cluster, one of whose worker processes is killed."""

import os
import signal
import threading
import time
from itertools import chain

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, KFold
from worlds import make_model

from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.judges import LLMJudge

distributed = pytest.importorskip("distributed")


@pytest.fixture
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        # It would remove the replicas that are needed after a worker is killed.
        client.amm.stop()
        yield client


def kill_the_first_to_write(log):
    """Kill the process whose id is written to `log` first, as soon as it is."""

    def wait_and_kill():
        while not log.exists() or "\n" not in log.read_text():
            time.sleep(0.01)
        os.kill(int(log.read_text().split()[0]), signal.SIGKILL)

    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.start()
    return thread


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_killed_worker_changes_nothing(client, tmp_path):
    world = make_interactions(80, 60, 1200, random_state=0)
    asked, fitted = tmp_path / "asked", tmp_path / "fitted"
    asked.mkdir()
    truth = world.judge

    def rate(slate):  # local functions are pickled by value
        with open(asked / f"{os.getpid()}", "a") as log:
            log.write(repr(slate) + "\n")
        return truth.rate([slate])[0]

    def score(model, X, y=None):
        with open(fitted, "a") as log:
            log.write(f"{os.getpid()}\n")
        time.sleep(0.05)
        return model.score(X)

    judge = LLMJudge.from_callable(rate, name="sim", version="1", cache=tmp_path / "c.sqlite")
    splits = list(KFold(3, shuffle=True, random_state=0).split(world.X))
    plan = make_model(world, judge).plan_judging(world.X, cv=splits)
    with joblib.parallel_config(backend="dask"):
        frozen = plan.ask()
    # The workers answered, each question once.
    assert f"{os.getpid()}" not in os.listdir(asked)
    questions = [q for name in os.listdir(asked) for q in (asked / name).read_text().splitlines()]
    assert len(questions) == len(set(questions)) == len(plan.slates)

    grid = {"llm_weight": [0.1, 0.5], "factors": [4, 6]}
    search = GridSearchCV(make_model(world, frozen), grid, cv=splits, scoring=score, refit=False)
    killer = kill_the_first_to_write(fitted)
    with joblib.parallel_config(backend="dask", scatter=[world.X, *chain(*splits)]):
        spread = search.fit(world.X).cv_results_["mean_test_score"]
    killer.join()
    workers = fitted.read_text().split()
    assert len(set(workers)) >= 2
    expected = GridSearchCV(make_model(world, truth), grid, cv=splits, refit=False).fit(world.X)
    np.testing.assert_allclose(spread, expected.cv_results_["mean_test_score"], rtol=1e-5)
    # Nothing was asked again.
    assert sum(len((asked / f).read_text().splitlines()) for f in os.listdir(asked)) == len(
        questions
    )

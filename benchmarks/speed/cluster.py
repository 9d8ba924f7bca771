"""Judging and searching on a cluster of worker processes, one of which is killed half way.

Run ``python benchmarks/speed/cluster.py [PART ...]`` (needs ``distributed``). Updates
``benchmarks/results/cluster.json``. The parts:

- `search`: a `dask.distributed` cluster of a scheduler and separate worker processes that
  communicate over TCP on loopback, as between machines. The LLM is the server of the tests, in its
  own process; it counts how often each question is asked.
- `blocks`: whether half-sweeps pay off in processes. Users are divided into blocks, each with its
  part of the matrix in a joblib process that receives the item factors and returns the factors of
  its users. The processes have one thread each, and together as many as the single call in this
  process that they are compared with.
"""

import json
import os
import signal
import sys
import tempfile
import threading
import time
from datetime import date
from itertools import chain
from pathlib import Path

import joblib
import numpy as np
from distributed import Client, LocalCluster
from implicit.cpu._als import _least_squares_cg
from sklearn.model_selection import GridSearchCV, KFold
from sweeps import seconds_of, zipf_matrix
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository  # isort: skip
from loopback import LLMServer

from sklearn_selreg import SelectiveLLMRegularizedMF, SlateSampler
from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.judges import AnthropicJudge

N_WORKERS = 2
GRID = {"llm_weight": [0.05, 0.2], "factors": [8, 16]}
N_INTERACTIONS, FACTORS, ROUNDS = 2_000_000, 64, 5


def make_model(world, judge):
    """Return a small model for synthetic data."""
    return SelectiveLLMRegularizedMF(
        user_col="user", item_col="item", time_col="time", item_data=world.item_data, judge=judge,
        iterations=10, tuning=None, slates=SlateSampler(max_slates=150), random_state=0, n_jobs=1,
    )  # fmt: skip


def search_with_a_killed_worker(folder):
    """Search on a cluster, kill a worker after its first fit, and compare with one process."""
    world = make_interactions(500, 300, 15_000, random_state=0)
    splits = list(KFold(3, shuffle=True, random_state=0).split(world.X))
    log = folder / "fits"

    def score(model, X, y=None):  # local functions are pickled with their code
        value = model.score(X)
        with open(log, "a") as file:
            file.write(f"{os.getpid()}\n")
        return value

    def kill():
        while not log.exists() or "\n" not in log.read_text():
            time.sleep(0.01)
        os.kill(int(log.read_text().split()[0]), signal.SIGKILL)

    with LLMServer() as server:
        judge = AnthropicJudge(max_cost=10, cache=folder / "cache.sqlite", base_url=server.url)
        model = make_model(world, judge)
        plan = model.plan_judging(world.X, cv=splits)
        model.set_params(judge=plan.ask())  # once, in this process, into the local cache
        search = GridSearchCV(model, GRID, cv=splits, scoring=score, refit=False)
        with (
            LocalCluster(
                N_WORKERS, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            # Scattered data cannot be recomputed, so each worker must keep its copy.
            client.amm.stop()
            killer = threading.Thread(target=kill, daemon=True)
            killer.start()
            start = time.perf_counter()
            with joblib.parallel_config(backend="dask", scatter=[world.X, *chain(*splits)]):
                spread = search.fit(world.X).cv_results_["mean_test_score"]
            seconds = time.perf_counter() - start
            killer.join()
        fits = log.read_text().split()
        model.set_params(judge=judge)
        alone = search.set_params(scoring=None).fit(world.X).cv_results_["mean_test_score"]
        asked = server.stats()["questions"]
    return {
        "fits": len(splits) * len(spread),
        "fits_run": len(fits),
        "processes": len(set(fits)),
        "fits_of_the_killed_worker": fits.count(fits[0]),
        "seconds_with_the_kill": seconds,
        "largest_difference_of_scores": float(np.abs(spread - alone).max()),
        "questions": len(asked),
        "planned": plan.estimate.requests,
        "most_often_asked": max(asked.values()),
    }


def solve(matrix, users, items, num_threads):
    """Update the factors of users."""
    parts = matrix.indptr, matrix.indices, matrix.data
    with threadpool_limits(1, "blas"):
        _least_squares_cg(*parts, users, items, 60.0, num_threads=num_threads)


def solve_block(matrix, users, items):
    """Solve for a block in one thread, and return its factors.

    Its matrix and old factors are memory-mapped, which is as fast as keeping them in the process.
    """
    users = np.load(users, mmap_mode="r+")
    solve(joblib.load(matrix, mmap_mode="c"), users, items, num_threads=1)
    return np.array(users)


def blocks_of_a_half_sweep(folder):
    """Compare one call with all threads and blocks in processes."""
    matrix = zipf_matrix(np.random.default_rng(0), N_INTERACTIONS) * np.float32(14)
    n_users, n_items = matrix.shape
    users, items = (
        np.random.default_rng(0).random((n, FACTORS), dtype=np.float32) * np.float32(0.01)
        for n in matrix.shape
    )
    n_blocks = os.cpu_count()
    blocks = []
    for b, rows in enumerate(np.array_split(np.arange(n_users), n_blocks)):
        paths = folder / f"matrix{b}", folder / f"users{b}.npy"
        joblib.dump(matrix[rows[0] : rows[-1] + 1], paths[0])
        np.save(paths[1], users[rows])
        blocks.append(paths)

    def one_call():
        solve(matrix, users, items, num_threads=0)

    # Arguments go through a pipe, as to another machine, instead of shared memory.
    with joblib.Parallel(n_blocks, max_nbytes=None) as parallel:

        def in_processes():
            return parallel(joblib.delayed(solve_block)(*paths, items) for paths in blocks)

        in_processes()  # starts the processes
        rounds = [(seconds_of(one_call), seconds_of(in_processes)) for _ in range(ROUNDS)]
    one, several = np.median(rounds, axis=0)
    return {
        "interactions": N_INTERACTIONS, "users": n_users, "items": n_items, "blocks": n_blocks,
        "one_call_seconds": one, "blocks_seconds": several,
        "ratio": float(np.median([b / a for a, b in rounds])),
        "megabytes_sent": (n_blocks * n_items + n_users) * FACTORS * 4 / 1e6,
    }  # fmt: skip


PARTS = {"search": search_with_a_killed_worker, "blocks": blocks_of_a_half_sweep}


def main():
    """Run the parts, and update the results."""
    os.environ["ANTHROPIC_API_KEY"] = "none"
    path = repository.RESULTS / "cluster.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            found = PARTS[name](Path(folder))
        results[name] = {
            "date": date.today().isoformat(), "cores": os.cpu_count(), "seed": 0, **found,
        }  # fmt: skip
        print(json.dumps(results[name], indent=1), flush=True)
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

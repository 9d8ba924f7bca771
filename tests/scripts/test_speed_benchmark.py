"""A small run of the speed benchmark: all processes answer."""

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "speed"


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield pytest.importorskip("speed")
    sys.modules.pop("speed", None)


@pytest.mark.slow
def test_methods_answer_from_their_processes(speed, tmp_path):
    speed.make_world(tmp_path, 20_000)
    for name in ("implicit", "ours, slates 10 %"):
        with speed.Child(name, tmp_path) as child:
            fit = child.ask("fit")
            assert fit["answer"] > 0
            assert fit["peak"] > fit["imported"] > 10
            wall, cpu = child.ask("sweep")["answer"]
            assert wall > 0
            assert cpu > 0


def test_ndcg_is_that_of_the_definition(speed):
    rng = np.random.default_rng(0)
    users, items = rng.random((30, 3)), rng.random((40, 3))
    seen = rng.random((30, 40)) < 0.2
    valid = (rng.random((30, 40)) < 0.1) & ~seen
    expected = []
    for u in np.flatnonzero(valid.any(axis=1)):
        scores = np.where(seen[u], -np.inf, items @ users[u])
        hits = valid[u, np.argsort(-scores)[:10]]
        ideal = sum(1 / np.log2(r + 2) for r in range(min(10, valid[u].sum())))
        expected.append(sum(h / np.log2(r + 2) for r, h in enumerate(hits)) / ideal)
    found = speed.ndcg(users, items, sp.csr_matrix(seen), sp.csr_matrix(valid))
    assert found == pytest.approx(np.mean(expected))

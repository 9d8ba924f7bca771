"""Row solver, compared with plain numpy in float64, and its behavior in extreme cases."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp

import sklearn_selreg
from sklearn_selreg._factorization import _feature_prior, _half_sweep
from sklearn_selreg._factorization._als import RegularizedALS
from sklearn_selreg._factorization._half_sweep import HalfSweep, aligned, weighted_gram
from sklearn_selreg._factorization._kernel import compiled
from sklearn_selreg._factorization._slate_terms import SlateTerms, kernel_terms
from sklearn_selreg._factorization._threads import threads

N_ROWS, N_OTHERS, SIZE, WEIGHT = 60, 40, 7, 3.0
PARTS = ("missing", "scale", "prior", "slates", "terms")
CASES = [(), *((part,) for part in PARTS), ("missing", "prior", "slates"), (*PARTS[:3], "terms")]


class Case:
    """Rows to solve, with a subset of the possible terms, and the same problem in plain numpy."""

    def __init__(self, on, k, seed=0):
        rng = np.random.default_rng(seed)
        observed = rng.random((N_ROWS, N_OTHERS)) < 0.2
        observed[[3, 4]] = False
        self.c = np.where(observed, rng.uniform(1, 30, observed.shape), 0).astype(np.float32)
        self.x, self.y = (rng.normal(0, 0.4, (n, k)).astype(np.float32) for n in self.c.shape)
        self.penalty = rng.uniform(1, 9, N_ROWS).astype(np.float32)
        self.missing = self.scale = self.prior = None
        if "missing" in on:
            self.missing = rng.uniform(0.3, 3, N_OTHERS).astype(np.float32)
        if "scale" in on:
            self.scale = rng.uniform(0.3, 3, N_ROWS).astype(np.float32)
        if "prior" in on:
            self.prior = rng.normal(0, 0.4, self.x.shape).astype(np.float32)
        self.slates, self.kind = None, None
        if {"slates", "terms"} & {*on}:
            self.kind = "slates" if "slates" in on else "terms"
            n_users, n_items = self.c.shape if "slates" in on else self.c.shape[::-1]
            self.slates = random_terms(rng, n_users, n_items)

    def half(self):
        matrix, pairs = sp.csr_matrix(self.c), {}
        if self.slates is not None:
            shape = matrix.shape if self.kind == "slates" else matrix.shape[::-1]
            of_users, of_items = kernel_terms(self.slates, WEIGHT, *shape)
            pairs = {"pairs": of_users}
            if self.kind == "terms":  # users are solved first: they determine the pulls
                pairs, first = {"pairs": of_items}, HalfSweep(
                    sp.csr_matrix(matrix.T.shape, dtype=np.float32),
                    np.full(N_OTHERS, 1e9, np.float32),
                    pairs=of_users,
                )  # fmt: skip
                with threads(1) as run:
                    still = self.y.copy()
                    first.solve(still, self.x.copy(), prior=self.y.copy(), steps=1, run=run)
        return HalfSweep(matrix, self.penalty, scale=self.scale, missing=self.missing, **pairs)

    def solve(self, num_threads=1, steps=None, **how):
        """Solve for the rows and return them in the original basis."""
        x, y = aligned(self.x), aligned(self.y)
        prior = None if self.prior is None else self.prior.copy()
        steps, tolerance = (4 * x.shape[1], 1e-13) if steps is None else (steps, 0)
        with threads(num_threads) as run:
            gram = weighted_gram(y, self.missing, run)
            found, q = self.half().solve(
                x, y, gram, prior=prior, steps=steps, tolerance=tolerance, run=run, **how
            )
        scale = np.ones(N_ROWS) if self.scale is None else self.scale
        np.testing.assert_allclose(found, x.T.astype(float) * scale @ x, rtol=1e-4, atol=1e-4)
        return x @ q.T

    def equations(self, u):
        """A and b of a row in float64; the hinge of a violated pair is linear."""
        missing = np.ones(N_OTHERS) if self.missing is None else self.missing.astype(float)
        scale = 1.0 if self.scale is None else float(self.scale[u])
        c, y, x = self.c[u].astype(float), self.y.astype(float), self.x[u].astype(float)
        A = (y.T * np.where(c > 0, c, scale * missing)) @ y + self.penalty[u] * np.eye(len(x))
        b = c @ y
        if self.prior is not None:
            b = b + self.penalty[u] * self.prior[u]
        for user, first, second, margin, weight in self.pairs():
            if self.kind == "slates" and user == u:
                moved = y[first] - y[second]
                A = A + weight * np.outer(moved, moved)
                b = b + weight * max(margin, x @ moved) * moved
            elif self.kind == "terms" and u in (first, second):
                other, sign = (second, 1) if u == first else (first, -1)
                unmet = max(0, margin - sign * y[user] @ (x - self.x[other].astype(float)))
                A = A + 2 * weight * np.outer(y[user], y[user])
                b = b + weight * (2 * y[user] @ x + sign * unmet) * y[user]
        return A, b

    def pairs(self):
        if self.slates is None:
            return
        weights, margins = self.slates.matrices(), self.slates.margin_matrices()
        for s, i, j in zip(*np.nonzero(weights), strict=True):
            items, bias = self.slates.items[s], self.slates.bias[s].astype(float)
            margin = float(margins[s, i, j]) - bias[i] + bias[j]
            weight = WEIGHT * float(weights[s, i, j])
            yield self.slates.users[s], items[i], items[j], margin, weight

    def expected(self):
        return np.array([np.linalg.solve(*self.equations(u)) for u in range(N_ROWS)])


def random_terms(rng, n_users, n_items):
    users = np.sort(rng.integers(n_users, size=30))
    items = np.array([rng.choice(n_items, SIZE, replace=False) for _ in users])
    weights = rng.normal(size=(len(users), SIZE * (SIZE - 1) // 2)).astype(np.float32)
    weights *= rng.random(weights.shape) < 0.6
    margins = rng.uniform(0, 0.8, weights.shape).astype(np.float32)
    bias = rng.uniform(0, 0.5, items.shape).astype(np.float32)
    return SlateTerms(users, items, weights, margins, bias)


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("k", [1, 6, 33])
@pytest.mark.parametrize("on", CASES, ids="+".join)
def test_rows_solve_their_normal_equations(on, k):
    case = Case(on, k)
    assert relative_error(case.solve(num_threads=2), case.expected()) < 3e-6


@pytest.mark.parametrize("on", CASES, ids="+".join)
def test_long_rows_are_solved_as_others_are(on, monkeypatch):
    case = Case(on, 6)
    few = case.solve(steps=2, relaxation=1.5)
    monkeypatch.setattr(_half_sweep, "_SHORT", 5)
    monkeypatch.setattr(_half_sweep, "_SHARE", 10**6)
    monkeypatch.setattr(_half_sweep, "_CHUNK", 3)
    assert len(case.half()._long) > (5 if "slates" in on else 40)  # rows with slates are not split
    assert relative_error(case.solve(), case.expected()) < 3e-6
    assert relative_error(case.solve(steps=2, relaxation=1.5), few) < 1e-5


@pytest.mark.parametrize("on", CASES, ids="+".join)
@pytest.mark.parametrize("relaxation", [0.5, 1.9])
def test_any_step_towards_the_solution_lowers_the_objective(on, relaxation):
    case = Case(on, 6)
    found = case.solve(steps=1, relaxation=relaxation)
    for u in range(N_ROWS):
        A, b = case.equations(u)
        before, after = (x @ A @ x - 2 * b @ x for x in (case.x[u].astype(float), found[u]))
        assert after < before


def test_rows_without_entries_are_at_their_prior():
    case = Case((), 6)
    assert not case.solve()[[3, 4]].any()
    case = Case(("prior",), 6)
    A, b = case.equations(3)
    np.testing.assert_allclose(case.solve()[3], np.linalg.solve(A, b), atol=1e-6)


# Threads and processes

LARGE = {"missing": True, "features": True, "slates": True}


def sweeps(num_threads=1, readonly=False):
    """Factors after a few sweeps of a problem with many blocks and some long rows."""
    rng = np.random.default_rng(0)
    n_users, n_items, k = 3000, 500, 16
    popular = rng.random(n_items) ** 4
    matrix = sp.csr_matrix(rng.random((n_users, n_items)) < popular, dtype=np.float32) * 9
    users = np.sort(rng.integers(n_users, size=800))
    items = np.argsort(rng.random((800, n_items)), axis=1)[:, :SIZE]
    weights = rng.normal(size=(800, SIZE * (SIZE - 1) // 2)).astype(np.float32)
    slates = SlateTerms(users, items, weights, np.full(weights.shape, 0.2, np.float32))
    features = sp.csr_matrix(rng.random((n_items, 9)) < 0.3, dtype=np.float32)
    if readonly:
        for array in (matrix.data, matrix.indices, matrix.indptr, weights, slates.margins):
            array.flags.writeable = False
    problem = RegularizedALS(
        matrix,
        *(rng.random((n, k), dtype=np.float32) * 0.01 for n in (n_users, n_items)),
        regularization=5.0,
        missing_weights=rng.uniform(0.3, 3, n_items),
        features=features,
        slates=slates,
        llm_weight=2.0,
        num_threads=num_threads,
    )
    for _ in range(3):
        problem.sweep()
    return np.vstack([problem.user_factors, problem.item_factors])


@pytest.fixture(scope="module")
def expected():
    return sweeps()


@pytest.mark.parametrize("long", [False, True])
def test_bits_do_not_depend_on_the_number_of_threads(expected, long, monkeypatch):
    if long:
        monkeypatch.setattr(_half_sweep, "_SHORT", 500)
        monkeypatch.setattr(_half_sweep, "_CHUNK", 100)
        monkeypatch.setattr(_feature_prior, "_ROWS", 30)
        expected = sweeps()
    for num_threads in (2, 7):
        np.testing.assert_array_equal(sweeps(num_threads), expected)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_bits_are_the_same_in_workers(expected, backend):
    made = joblib.Parallel(4 if backend == "threading" else 2, backend=backend)(
        joblib.delayed(sweeps)(2) for _ in range(4)
    )
    for found in made:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_bits_are_the_same_in_a_fork_after_use(expected):
    sweeps(2)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply_async(sweeps, (2,)).get(timeout=60)
    np.testing.assert_array_equal(found, expected)


def test_read_only_arrays_compile_nothing(expected):
    np.testing.assert_array_equal(sweeps(readonly=True), expected)
    assert [len(function.signatures) for function in compiled()] == [1, 1]


FIT = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
from sklearn_selreg import SelectiveLLMRegularizedMF
import sklearn_selreg
assert sklearn_selreg.__file__.startswith(sys.argv[1])
likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Up"], ["bob", "Coco"]]
print(SelectiveLLMRegularizedMF(factors=2, random_state=0).fit(likes).recommend(["ann"], 1)[0])
"""


@pytest.fixture
def installed(tmp_path):
    """A copy of the package without compiled files."""
    source = Path(sklearn_selreg.__file__).parent
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, tmp_path / "site" / "sklearn_selreg", ignore=ignore)
    return tmp_path / "site"


def fit_in_process(site, **env):
    process = subprocess.run(
        [sys.executable, "-c", FIT, str(site)],
        env={**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", **env},
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.slow
def test_the_first_fit_says_once_that_it_compiles_and_the_next_does_not(installed):
    assert fit_in_process(installed).count("Compiling the solver") == 1
    assert "Compiling" not in fit_in_process(installed)


@pytest.mark.slow
def test_without_a_place_for_a_cache_it_works(installed):
    # A file in place of the cache directory has the same effect as a read-only file system.
    (installed / "sklearn_selreg" / "_factorization" / "__pycache__").write_text("")
    (installed / "file").write_text("")
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"), str(installed / "file"))
    assert "Compiling" in fit_in_process(installed, **nowhere)


@pytest.mark.slow
def test_platforms_without_numba_are_named():
    code = "import sys; sys.modules['numba'] = None; import sklearn_selreg"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert process.returncode != 0
    for word in ("requires numba", "macOS on Intel", "musl", "free-threaded"):
        assert word in process.stderr

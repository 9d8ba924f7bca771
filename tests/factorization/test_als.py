"""Factorization, compared with plain numpy in float64 that evaluates the objective pair by pair."""

import itertools
import os
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sp
from estimators import make_estimator
from implicit.cpu.als import AlternatingLeastSquares
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from sklearn_selreg._factorization._als import RELAXATION, RegularizedALS, fold_in
from sklearn_selreg._factorization._als_backbone import ALSBackbone
from sklearn_selreg._factorization._factors import with_bias
from sklearn_selreg._factorization._preferences import PreferenceLoss
from sklearn_selreg._factorization._slate_terms import SlateTerms
from sklearn_selreg._factorization._top_k import top_k

N_USERS, N_ITEMS, N_FACTORS, N_FEATURES, N_USER_FEATURES = 14, 18, 6, 5, 4
SLATE_USERS = [1, 1, 1, 2, 4, 5, 5, 7, 8, 13]  # user 13 has only slates, user 12 no data at all
SLATE_SIZES = [2, 7, 3, 7, 1, 5, 4, 2, 7, 6]
COMBINATIONS = [
    dict(zip(("missing", "features", "bias", "user_features"), which, strict=True))
    for which in itertools.product([False, True], repeat=4)
]
NO_PAIRS = {"llm_weight": 0.0, "largest_weight": 1.0}


@dataclass
class Problem:
    """Objective of `_als` in loops over dense float64 arrays; confidence 0 means missing."""

    confidence: np.ndarray
    x: np.ndarray
    y: np.ndarray
    missing_weights: np.ndarray | None = None
    features: np.ndarray | None = None
    user_features: np.ndarray | None = None
    slates: SlateTerms | None = None
    llm_weight: float = 0.0
    regularization: float = 60.0
    item_regularization: float = 90.0

    def __post_init__(self):
        n_items = len(self.y)
        self.c = np.ones(n_items) if self.missing_weights is None else self.missing_weights
        self.weights = np.where(self.confidence > 0, self.confidence, self.c)
        self.is_known = np.ones(len(self.x))
        if self.user_features is not None:
            self.is_known[:] = (self.confidence > 0).any(axis=1)
            if self.slates is not None:
                self.is_known[self.slates.users] = 1
            self.weights *= self.is_known[:, np.newaxis]
        self.pairs = []  # user, preferred item, other item, margin minus bias difference, weight
        if self.slates is not None:
            matrices, margins = self.slates.matrices(), self.slates.margin_matrices()
            for s, i, j in zip(*np.nonzero(matrices), strict=True):
                items, weight = self.slates.items[s], float(matrices[s, i, j])
                bias = np.zeros(len(items)) if self.slates.bias is None else self.slates.bias[s]
                short = float(margins[s, i, j]) - float(bias[i]) + float(bias[j])
                pair = self.slates.users[s], items[i], items[j], short, self.llm_weight * weight
                self.pairs.append(pair)

    def solver(self, **options):
        return RegularizedALS(
            sp.csr_matrix(self.confidence, dtype=np.float32),
            self.x.astype(np.float32),
            self.y.astype(np.float32),
            regularization=self.regularization,
            item_regularization=self.item_regularization,
            missing_weights=self.missing_weights,
            features=None if self.features is None else sp.csr_matrix(self.features),
            user_features=(
                None if self.user_features is None else sp.csr_matrix(self.user_features)
            ),
            slates=self.slates,
            llm_weight=self.llm_weight,
            **{"num_threads": 1, "relaxation": 1.0, **options},
        )

    def prior(self, y):
        """W, (n_features, k), by scikit-learn's ridge regression, and the items it predicts."""
        if self.features is None:
            return np.zeros((0, y.shape[1])), np.zeros_like(y)
        ridge = Ridge(alpha=8, fit_intercept=False).fit(self.features, y, sample_weight=self.c)
        return ridge.coef_.T, ridge.predict(self.features)

    def user_prior(self, x):
        """The same for users, without those that have neither interactions nor slates."""
        if self.user_features is None:
            return np.zeros((0, x.shape[1])), np.zeros_like(x)
        ridge = Ridge(alpha=8, fit_intercept=False)
        ridge.fit(self.user_features, x, sample_weight=self.is_known)
        return ridge.coef_.T, ridge.predict(self.user_features)

    def loss(self, x, y):
        coefficients, expected = self.prior(y)
        user_coefficients, expected_users = self.user_prior(x)
        loss = self.regularization * 8 * np.sum(user_coefficients**2)
        for u in range(len(x)):
            distance = np.sum((x[u] - expected_users[u]) ** 2)
            loss += self.regularization * self.is_known[u] * distance
            for i in range(len(y)):
                target = 1 if self.confidence[u, i] > 0 else 0
                loss += self.weights[u, i] * (target - x[u] @ y[i]) ** 2
        for i in range(len(y)):
            loss += self.item_regularization * self.c[i] * np.sum((y[i] - expected[i]) ** 2)
        loss += self.item_regularization * 8 * np.sum(coefficients**2)
        for u, i, j, short, weight in self.pairs:
            loss += weight * max(0, short - x[u] @ (y[i] - y[j])) ** 2
        return loss

    def user_equations(self, x, y, u):
        """A and b of a user's normal equations, with each hinge majorized at x and y."""
        A = self.regularization * np.eye(x.shape[1])
        b = self.regularization * self.user_prior(x)[1][u]
        for i in range(len(y)):
            A += self.weights[u, i] * np.outer(y[i], y[i])
            b += self.confidence[u, i] * y[i]
        for v, i, j, short, weight in self.pairs:
            if v == u:
                target = max(short, x[u] @ (y[i] - y[j]))
                A += weight * np.outer(y[i] - y[j], y[i] - y[j])
                b += weight * target * (y[i] - y[j])
        return A, b

    def item_equations(self, x, y, i):
        """The same for an item; curvature is doubled, as the other item of a pair also moves."""
        penalty = self.item_regularization * self.c[i]
        A, b = penalty * np.eye(x.shape[1]), penalty * self.prior(y)[1][i]
        for u in range(len(x)):
            A += self.weights[u, i] * np.outer(x[u], x[u])
            b += self.confidence[u, i] * x[u]
        for u, preferred, other, short, weight in self.pairs:
            if i in (preferred, other):
                pull = max(0, short - x[u] @ (y[preferred] - y[other]))
                A += 2 * weight * np.outer(x[u], x[u])
                b += weight * (2 * x[u] @ y[i] + (pull if i == preferred else -pull)) * x[u]
        return A, b


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def random_problem(
    seed,
    *,
    missing=False,
    features=False,
    bias=False,
    user_features=False,
    llm_weight=0.0,
    largest_weight=1.0,
):
    """Two users and two items have no interactions; one of each appears in slates."""
    rng = np.random.default_rng(seed)
    confidence = rng.integers(1, 30, (N_USERS, N_ITEMS)) * (rng.random((N_USERS, N_ITEMS)) < 0.3)
    confidence[[12, 13]] = 0
    confidence[:, [0, N_ITEMS - 1]] = 0
    slates = None
    if llm_weight > 0:
        slates = random_slates(rng, SLATE_USERS, SLATE_SIZES, N_ITEMS - 1, largest_weight, bias)
    x, y = random_factors(rng, N_USERS, N_FACTORS), random_factors(rng, N_ITEMS, N_FACTORS)
    missing_weights = rng.uniform(0.2, 4, N_ITEMS)
    of_items = (rng.random((N_ITEMS, N_FEATURES)) < 0.4).astype(np.float32)
    of_users = (rng.random((N_USERS, N_USER_FEATURES)) < 0.4).astype(np.float32)
    of_users[[12, 13], 1] = 1
    return Problem(
        confidence.astype(np.float64),
        x,
        y,
        missing_weights=missing_weights if missing else None,
        features=of_items if features else None,
        user_features=of_users if user_features else None,
        slates=slates,
        llm_weight=llm_weight,
    )


def random_slates(rng, users, sizes, n_items, largest_weight, bias=False):
    """Slates of unequal sizes; most pairs are weighted, by 1 / `largest_weight` or more."""
    shape = len(sizes), max(sizes)
    items, weights = np.zeros(shape, dtype=np.intp), np.zeros((*shape, shape[1]), np.float32)
    for s, size in enumerate(sizes):
        items[s, :size] = rng.choice(n_items, size, replace=False)
        preferred = np.triu(rng.random((size, size)) < 0.8, 1)
        weights[s, :size, :size] = preferred * largest_weight ** rng.uniform(-1, 1, (size, size))
    weights[1::2] = weights[1::2].transpose(0, 2, 1)  # the later candidate is preferred
    biases = rng.uniform(0, 0.5, shape).astype(np.float32) if bias else None
    terms = SlateTerms.from_matrices(np.array(users), items, weights, 0.0, biases)
    return replace(terms, margins=rng.uniform(0, 0.6, terms.weights.shape).astype(np.float32))


def random_factors(rng, n_rows, n_factors):
    """Float64 factors that float32 represents exactly."""
    return rng.normal(0, 0.4, (n_rows, n_factors)).astype(np.float32).astype(np.float64)


def random_matrix(rng, n_users, n_items, density):
    """Positive float32 strengths; no row is empty."""
    strengths = rng.integers(1, 5, (n_users, n_items)) * (rng.random((n_users, n_items)) < density)
    strengths[np.arange(n_users), rng.integers(n_items, size=n_users)] = 1
    return sp.csr_matrix(strengths, dtype=np.float32)


def solve(equations):
    return np.array([np.linalg.solve(A, b) for A, b in equations])


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def relative_energy(found, expected, equations):
    """Relative error in the norm of the normal equations."""

    def energy(rows):
        return sum(row @ A @ row for row, (A, _) in zip(rows, equations, strict=True))

    return np.sqrt(energy(found - expected) / energy(expected))


# Plain ALS


def implicit_model(matrix, **parameters):
    with threadpool_limits(1, "blas"):  # implicit warns otherwise
        model = AlternatingLeastSquares(**parameters, num_threads=1)
        model.fit(matrix, show_progress=False)
    return model


def as_implicit(matrix, alpha, regularization, seed):
    """Set up the problem that `implicit` solves, with its starting point."""
    start = np.random.default_rng(seed)
    return RegularizedALS(
        matrix * np.float32(alpha),
        *(start.random((n, 8), dtype=np.float32) * 0.01 for n in matrix.shape),
        regularization=regularization,
    )


def test_solutions_are_those_of_implicit(rng):
    matrix = random_matrix(rng, 70, 50, 0.1)
    settings = {"factors": 8, "regularization": 5.0, "alpha": 3.0, "random_state": 3}
    expected = implicit_model(matrix, **settings, iterations=1000)
    solver = as_implicit(matrix, 3.0, 5.0, seed=3)
    for _ in range(500):
        solver.sweep()
    scores = expected.user_factors @ expected.item_factors.T
    found = solver.user_factors @ solver.item_factors.T
    np.testing.assert_allclose(found, scores, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_sweeps", [6, 10, 15, 30])
@pytest.mark.parametrize("regularization", [0.5, 5.0, 50.0])
def test_the_objective_is_not_above_that_of_implicit(rng, n_sweeps, regularization):
    matrix = random_matrix(rng, 300, 200, 0.05)
    settings = {"factors": 8, "regularization": regularization, "alpha": 3.0, "random_state": 3}
    expected = implicit_model(matrix, **settings, iterations=n_sweeps)
    theirs = RegularizedALS(
        matrix * np.float32(3),
        expected.user_factors,
        expected.item_factors,
        regularization=regularization,
    )
    solver = as_implicit(matrix, 3.0, regularization, seed=3)
    for _ in range(n_sweeps):
        solver.sweep()
    solver.solve_users()  # the final step of a fit
    assert solver.loss() <= 1.0001 * theirs.loss()


@pytest.mark.parametrize("as_table", [False, True])
def test_plain_estimator_predicts_as_implicit(rng, as_table):
    matrix = random_matrix(rng, 70, 50, 0.1)
    parameters = {"factors": 8, "regularization": 5.0, "alpha": 2.5, "iterations": 800}
    expected = implicit_model(matrix, **parameters, random_state=7)
    model = make_estimator(
        **parameters,
        judge=None,
        item_data=None,
        item_bias=0,
        backbone__missing_power=0,
        backbone__recency_power=0,
        random_state=7,
    )
    if as_table:
        entries = matrix.tocoo()
        model.fit(np.column_stack([entries.row, entries.col]), entries.data)
    else:
        model.fit(matrix)
    assert model.users_.tolist() == list(range(70))
    assert model.items_.tolist() == np.unique(matrix.indices).tolist() == list(range(50))
    pairs = np.array(list(np.ndindex(70, 50)))
    scores = expected.user_factors @ expected.item_factors.T
    np.testing.assert_allclose(model.predict(pairs), scores[tuple(pairs.T)], rtol=0, atol=1e-5)


# Half-sweeps


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
@pytest.mark.parametrize(
    "pairs",
    [
        NO_PAIRS,
        {"llm_weight": 1.0, "largest_weight": 1.0},
        {"llm_weight": 30.0, "largest_weight": 1.0},
        {"llm_weight": 1000.0, "largest_weight": 1.0},
        {"llm_weight": 1.0, "largest_weight": 1e3},
        {"llm_weight": 30.0, "largest_weight": 1e3},
        {"llm_weight": 1000.0, "largest_weight": 1e3},
    ],
    ids=str,
)
def test_half_sweeps_solve_the_normal_equations(options, pairs):
    problem = random_problem(0, **options, **pairs)
    solver = problem.solver(cg_steps=2 * N_FACTORS)
    solver.sweep()
    x, y = solver.user_factors.astype(np.float64), solver.item_factors.astype(np.float64)
    user_side = [problem.user_equations(problem.x, problem.y, u) for u in range(N_USERS)]
    item_side = [problem.item_equations(x, problem.y, i) for i in range(N_ITEMS)]
    for found, equations in ((x, user_side), (y, item_side)):
        expected = solve(equations)
        assert relative_energy(found, expected, equations) < 1e-4
        # At 1e6 the equations are too ill-conditioned for any float32 solution.
        if pairs["llm_weight"] * pairs["largest_weight"] < 1e6:
            assert relative_error(found, expected) < 1e-4


def test_problems_cover_the_special_cases():
    problem = random_problem(0, llm_weight=1.0)
    users, first, second, *_ = (np.array(column) for column in zip(*problem.pairs, strict=True))
    items = np.append(first, second)
    assert problem.confidence[np.append(users, users), items].any()  # some with interactions
    assert 0 in items  # only in slates
    assert N_ITEMS - 1 not in items  # in neither slates nor interactions
    assert 13 in users
    assert not problem.confidence[[12, 13]].any()
    x, y = problem.x, problem.y
    hinges = [short - x[u] @ (y[i] - y[j]) for u, i, j, short, _ in problem.pairs]
    assert min(hinges) < 0 < max(hinges)  # both sides of the hinge


@pytest.mark.parametrize("llm_weight", [1.0, 1000.0])
def test_many_slates_leave_no_trace_in_other_rows(rng, llm_weight):
    """Contributions of slates to their rows must not leak into other rows."""
    n_users, n_items = 9000, 60
    asked = np.arange(1, n_users, 2)
    problem = Problem(
        random_matrix(rng, n_users, n_items, 0.05).toarray().astype(np.float64),
        random_factors(rng, n_users, N_FACTORS),
        random_factors(rng, n_items, N_FACTORS),
        slates=random_slates(rng, asked, rng.integers(2, 6, len(asked)), n_items, 1e3),
        llm_weight=llm_weight,
    )
    solver = problem.solver(cg_steps=2 * N_FACTORS)
    solver.sweep()
    x, y = solver.user_factors.astype(np.float64), solver.item_factors.astype(np.float64)
    for users in (range(0, n_users, 1000), range(1, n_users, 1000)):
        equations = [problem.user_equations(problem.x, problem.y, u) for u in users]
        assert relative_energy(x[users], solve(equations), equations) < 1e-4
    items = range(0, n_items, 20)
    equations = [problem.item_equations(x, problem.y, i) for i in items]
    assert relative_energy(y[items], solve(equations), equations) < 1e-4


def test_preferences_may_fall_into_separate_parts(rng):
    """Pairs 0-1 and 2-3 of one slate are disconnected; candidate 4 is in no pair."""
    weights = np.zeros((1, 5, 5), dtype=np.float32)
    weights[0, 0, 1], weights[0, 3, 2] = 2.0, 1e-3
    slates = SlateTerms.from_matrices(np.array([1]), np.array([[3, 5, 6, 2, 0]]), weights, 0.3)
    problem = Problem(
        random_matrix(rng, N_USERS, N_ITEMS, 0.2).toarray().astype(np.float64),
        random_factors(rng, N_USERS, N_FACTORS),
        random_factors(rng, N_ITEMS, N_FACTORS),
        slates=slates,
        llm_weight=1000.0,
        regularization=0.1,
    )
    solver = problem.solver(cg_steps=4 * N_FACTORS)
    solver.sweep()
    equations = [problem.user_equations(problem.x, problem.y, 1)]
    assert relative_error(solver.user_factors[[1]], solve(equations)) < 1e-4


def test_factors_are_copies():
    problem = random_problem(0, missing=True)
    solver = problem.solver()
    solver.user_factors[:] = 0
    solver.item_factors[:] = 0
    np.testing.assert_array_equal(solver.user_factors, problem.x)
    np.testing.assert_allclose(solver.item_factors, problem.y, rtol=1e-6)


def test_factors_that_are_taken_are_those_of_the_problem():
    solver = random_problem(0, missing=True, features=True).solver()
    solver.sweep()
    users, items = solver.user_factors, solver.item_factors
    for found, expected in zip(solver.take_factors(), (users, items), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_alpha_multiplies_confidences():
    problem = random_problem(0, missing=True, features=True)
    plain = problem.solver()
    problem.confidence = problem.confidence / 4
    scaled = problem.solver(alpha=4.0)
    for solver in (plain, scaled):
        solver.sweep()
        solver.sweep()
    np.testing.assert_allclose(scaled.user_factors, plain.user_factors, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(scaled.item_factors, plain.item_factors, rtol=1e-4, atol=1e-6)
    assert scaled.loss() == pytest.approx(plain.loss(), rel=1e-6)


@pytest.mark.parametrize("missing", [False, True])
def test_feature_prior_is_weighted_ridge_regression(missing):
    """With users at zero, items depend only on their prior."""
    problem = random_problem(0, missing=missing, features=True)
    problem.confidence[:] = 0
    solver = problem.solver(cg_steps=2 * N_FACTORS)
    solver.sweep()
    assert np.abs(solver.user_factors).max() < 1e-6
    _, expected = problem.prior(problem.y)
    assert relative_error(solver.item_factors, expected) < 1e-5


# Objective


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
@pytest.mark.parametrize("pairs", [NO_PAIRS, {"llm_weight": 30.0, "largest_weight": 1e3}], ids=str)
def test_loss_is_the_objective(options, pairs):
    problem = random_problem(1, **options, **pairs)
    solver = problem.solver()
    for _ in range(3):
        expected = problem.loss(
            solver.user_factors.astype(float), solver.item_factors.astype(float)
        )
        assert solver.loss() == pytest.approx(expected, rel=1e-6)
        solver.sweep()


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
@pytest.mark.parametrize("llm_weight", [0.0, 1e-3, 1.0, 30.0, 1e3])
@pytest.mark.parametrize("regularization", [0.01, 10.0])
def test_loss_never_rises(options, llm_weight, regularization):
    rng = np.random.default_rng(2)
    n_users, n_items = 120, 80
    missing, features, bias, user_features = options.values()
    slates = random_slates(
        rng, np.sort(rng.integers(n_users, size=90)), rng.integers(2, 12, 90), n_items, 1.0, bias
    )
    solver = RegularizedALS(
        random_matrix(rng, n_users, n_items, 0.05) * np.float32(14),
        rng.random((n_users, 12), dtype=np.float32) * 0.01,
        rng.random((n_items, 12), dtype=np.float32) * 0.01,
        regularization=regularization,
        missing_weights=rng.uniform(0.2, 4, n_items) if missing else None,
        features=random_matrix(rng, n_items, 20, 0.2) if features else None,
        user_features=random_matrix(rng, n_users, 10, 0.2) if user_features else None,
        slates=slates,
        llm_weight=llm_weight,
        num_threads=1,
    )
    losses = [solver.loss()]
    for _ in range(12):
        solver.sweep()
        losses.append(solver.loss())
    assert np.all(np.diff(losses) <= 1e-5 * np.array(losses[:-1]))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("options", [COMBINATIONS[0], COMBINATIONS[-1]], ids=str)
def test_sweeps_converge_to_a_stationary_point(rng, options):
    """Finite differences of the exact objective (without majorization) vanish."""
    problem = random_problem(2, **options, llm_weight=20.0)
    problem.regularization = problem.item_regularization = 2.0
    dx, dy = random_factors(rng, N_USERS, N_FACTORS), random_factors(rng, N_ITEMS, N_FACTORS)

    def slopes(x, y, step=1e-4):
        ends = [
            [problem.loss(x + h * along_x * dx, y + h * along_y * dy) for h in (-step, step)]
            for along_x, along_y in ((1, 0), (0, 1), (1, 1))
        ]
        return np.abs(np.diff(ends, axis=1)) / (2 * step)

    solver = problem.solver()
    for _ in range(1200):
        solver.sweep()
    start = slopes(problem.x, problem.y)
    end = slopes(solver.user_factors.astype(float), solver.item_factors.astype(float))
    assert end.max() < 3e-3 * start.min()


@pytest.mark.parametrize("num_threads", [1, 2])
def test_sweeps_are_reproducible(num_threads):
    options = {"missing": True, "features": True, "bias": True, "user_features": True}
    options["llm_weight"] = 30.0

    def factors(num_threads):
        solver = random_problem(3, **options).solver(num_threads=num_threads)
        for _ in range(5):
            solver.sweep()
        return np.vstack([solver.user_factors, solver.item_factors])

    expected = factors(num_threads=1)
    np.testing.assert_array_equal(factors(num_threads), expected)


# Slates and lists


def test_slate_terms_hold_each_pair_once(rng):
    slates = random_slates(rng, SLATE_USERS, SLATE_SIZES, N_ITEMS, 10.0)
    matrices = slates.matrices()
    assert slates.weights.shape == (len(SLATE_USERS), 21)
    assert (matrices >= 0).all()
    assert (matrices.transpose(0, 2, 1)[matrices > 0] == 0).all()
    again = SlateTerms.from_matrices(slates.users, slates.items, matrices, 0.0)
    np.testing.assert_array_equal(again.weights, slates.weights)
    np.testing.assert_array_equal(slates.matrices(slice(3, 5)), matrices[3:5])
    empty = np.array(SLATE_SIZES) == 1
    assert slates.weighted()[~empty].any(axis=1).all()
    assert not slates.weighted()[empty].any()


@pytest.mark.parametrize("filter_seen", [False, True])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_top_k_is_that_of_a_full_sort(rng, k, filter_seen):
    users, items = (rng.normal(size=(n, 7)).astype(np.float32) for n in (30, 40))
    seen = random_matrix(rng, 30, 40, 0.2)
    seen = sp.vstack([sp.csr_matrix(np.ones((1, 40), np.float32)), seen[1:]], format="csr")
    found, scores = top_k(users, items, k, seen=seen if filter_seen else None)
    assert found.shape == scores.shape == (30, k)
    assert scores.dtype == np.float32
    for u in range(30):
        candidates = set(range(40)) - (set(seen[u].indices) if filter_seen else set())
        product = {i: float(users[u].astype(float) @ items[i]) for i in candidates}
        best = sorted(candidates, key=product.get, reverse=True)[:k]
        padding = k - len(best)
        assert found[u].tolist() == best + [-1] * padding
        expected = [product[i] for i in best] + [np.nan] * padding
        np.testing.assert_allclose(scores[u], expected, rtol=1e-4, atol=1e-6)


# Folding in, and the settings


@pytest.mark.parametrize("missing", [False, True])
def test_fold_in_solves_the_users_normal_equations(missing):
    problem = random_problem(4, missing=missing)
    found = fold_in(
        sp.csr_matrix(problem.confidence, dtype=np.float32),
        problem.y.astype(np.float32),
        regularization=problem.regularization,
        missing_weights=problem.missing_weights,
        num_threads=1,
    )
    equations = [problem.user_equations(problem.x, problem.y, u) for u in range(N_USERS)]
    assert relative_error(found, solve(equations)) < 1e-5
    assert not found[[12, 13]].any()


def backbone(**settings):
    defaults = {
        "factors": N_FACTORS, "regularization": 60.0, "alpha": 14.0, "iterations": 5,
        "prior_strength": 1.0, "item_bias": 0.0, "missing_power": 0.0, "recency_power": 0.0,
        "num_threads": 1,
    }  # fmt: skip
    return ALSBackbone(**{**defaults, **settings})


def test_confidence_is_alpha_times_strength(rng):
    matrix = random_matrix(rng, 20, 30, 0.2)
    confidence = backbone(alpha=2.5).confidence(matrix)
    assert confidence.dtype == np.float32
    np.testing.assert_allclose(confidence.toarray(), 2.5 * matrix.toarray())


@pytest.mark.parametrize("power", [0.0, 0.5, 1.5])
def test_recent_confidence_falls_with_age(rng, power):
    matrix = random_matrix(rng, 20, 30, 0.2)
    age = np.concatenate([rng.permutation(n) for n in np.diff(matrix.indptr)]).astype(np.int32)
    confidence = backbone(alpha=2.0, recency_power=power).recent_confidence(matrix, age)
    assert confidence.dtype == np.float32
    expected = 2.0 * matrix.data * (3 / (1.0 + age) ** power if power > 0 else 1)
    np.testing.assert_allclose(confidence.data, expected, rtol=1e-6)
    np.testing.assert_array_equal(confidence.indices, matrix.indices)


def test_missing_entries_of_popular_items_weigh_more():
    popularity = np.array([0, 3, 10, 200])
    assert backbone().missing_weights(popularity) is None
    weights = backbone(missing_power=0.75).missing_weights(popularity)
    mean = (5 + 8 + 15 + 205) / 4
    expected = [(n / mean) ** 0.75 for n in (5, 8, 15, 205)]
    np.testing.assert_allclose(weights, expected)


def test_bias_grows_with_popularity_and_saturates():
    popularity = np.array([0, 5, 15, 10**6])
    assert backbone().bias(popularity[:, None], None) is None
    bias = backbone(item_bias=0.04).bias(popularity[:, None], None)
    assert bias.dtype == np.float32
    np.testing.assert_allclose(bias[:, 0], [0, 0.02, 0.03, 0.04], rtol=1e-4)


def test_bias_leans_on_features_where_interactions_are_few(rng):
    popularity = np.append(np.zeros(5, dtype=int), rng.integers(1, 50, 35))
    features = (rng.random((40, 3)) < 0.5).astype(np.float64)
    plain = popularity / (popularity + 5)
    # Ridge regression with an intercept, by its normal equations.
    centered = features - features.mean(axis=0)
    slopes = np.linalg.solve(centered.T @ centered + np.eye(3), centered.T @ (plain - plain.mean()))
    ridge = plain.mean() + centered @ slopes
    expected = 0.1 * (popularity * plain + 3 * ridge) / (popularity + 3)
    bias = backbone(item_bias=0.1).bias(popularity[:, None], sp.csr_matrix(features))
    np.testing.assert_allclose(bias[:, 0], expected, rtol=1e-3)


def test_bias_is_of_the_popularity_in_each_period():
    # 16 interactions in the first period, 4 in the second.
    by_period = np.array([[12, 0], [4, 0], [0, 4], [0, 0]])
    bias = backbone(item_bias=1.0).bias(by_period, None)
    n = [
        [12 * 12.2 / (9.6 + 0.2), 12 * 0.2 / (2.4 + 0.2)],
        [4 * 4.2 / (3.2 + 0.2), 4 * 0.2 / (0.8 + 0.2)],
        [4 * 0.2 / (3.2 + 0.2), 4 * 4.2 / (0.8 + 0.2)],
        [0, 0],
    ]
    np.testing.assert_allclose(bias, np.array(n) / (np.array(n) + 5), rtol=1e-6)


def test_with_bias_adds_the_bias_to_every_score(rng):
    users, items = (random_factors(rng, n, N_FACTORS).astype(np.float32) for n in (4, 5))
    bias, shares = rng.random((5, 2)).astype(np.float32), rng.random((4, 2)).astype(np.float32)
    wide_users, wide_items = with_bias(users, items, bias, shares)
    assert wide_users.dtype == wide_items.dtype == np.float32
    expected = users @ items.T + shares @ bias.T
    np.testing.assert_allclose(wide_users @ wide_items.T, expected, rtol=1e-5)
    wide_users, wide_items = with_bias(users, items, bias[:, :1])
    expected = users @ items.T + bias[:, 0]
    np.testing.assert_allclose(wide_users @ wide_items.T, expected, rtol=1e-5)
    same_users, same_items = with_bias(users, items, None)
    assert same_users is users
    assert same_items is items


@pytest.mark.parametrize("features", [False, True])
def test_backbone_states_its_problem(rng, features):
    """A sweep equals one of the problem constructed by hand."""
    matrix = random_matrix(rng, N_USERS, N_ITEMS, 0.2)
    popularity = (matrix.toarray() > 0).sum(axis=0)
    settings = backbone(prior_strength=0.5, missing_power=0.5, item_bias=0.1)
    factors = random_factors(rng, N_USERS, N_FACTORS), random_factors(rng, N_ITEMS, N_FACTORS)
    f = (rng.random((N_ITEMS, N_FEATURES)) < 0.4).astype(np.float32) if features else None
    wide = None if f is None else sp.csr_matrix(f)
    slates = random_slates(rng, SLATE_USERS, SLATE_SIZES, N_ITEMS, 1.0, bias=True)
    pairs = {"slates": slates, "llm_weight": 5.0}
    expected = Problem(
        14.0 * matrix.toarray().astype(np.float64),
        *factors,
        missing_weights=((popularity + 5) / np.mean(popularity + 5)) ** 0.5,
        features=f,
        regularization=60.0,
        item_regularization=30.0 if features else 60.0,  # prior_strength needs a prior
        **pairs,
    )
    problem = settings.problem(matrix, wide, factors, preferences=PreferenceLoss(slates, 5.0))
    assert problem.loss() == pytest.approx(expected.loss(*factors), rel=1e-6)
    problem.sweep()
    solver = expected.solver(relaxation=RELAXATION)
    solver.sweep()
    np.testing.assert_allclose(problem.user_factors, solver.user_factors, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(problem.item_factors, solver.item_factors, rtol=1e-4, atol=1e-6)


# Warnings

FIT_WITHOUT_WARNINGS = """
import warnings
import numpy as np
from sklearn_selreg import ALS, SelectiveLLMRegularizedMF
from sklearn_selreg.judges import PrecomputedJudge

warnings.simplefilter("error")
rng = np.random.default_rng(0)
X = np.column_stack([np.tile(np.arange(60), 6), rng.integers(0, 40, 360), np.arange(360)])
ratings = np.linspace(0, 1, 5).tolist()
judge = PrecomputedJudge([
    {"user": u, "history": [], "candidates": rng.permutation(40)[:5].tolist(), "ratings": ratings}
    for u in range(60)
])
genres = {i: ["comedy", "drama", "crime"][i % 3] for i in range(40)}
model = SelectiveLLMRegularizedMF(
    factors=8, item_data=genres, judge=judge, gate=None, time_col=2,
    backbone=ALS(recency_power=0.5, compute_loss=True), random_state=0,
)
model.fit(X).recommend([0, 1, 999])
model.fold_in(np.array([[100, 1, 0], [100, 2, 1]]))
assert np.isfinite(model.predict(X)).all()
"""


@pytest.mark.slow
def test_no_warnings_with_several_blas_threads():
    process = subprocess.run(
        [sys.executable, "-c", FIT_WITHOUT_WARNINGS],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""

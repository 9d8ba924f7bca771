"""The proximal problem, compared with plain numpy."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_selreg._factorization._proximal import ProximalProblem, shrink_to_features
from sklearn_selreg._factorization._slate_terms import SlateTerms

N_USERS, N_ITEMS, K, N_FEATURES = 12, 20, 4, 5


def metric(rng):
    root = rng.normal(size=(K, K))
    return root @ root.T + np.eye(K)


def settings(seed, *, features):
    rng = np.random.default_rng(seed)
    users = np.array([1, 3, 3, 7, 11])
    items = np.array([rng.choice(N_ITEMS, 6, replace=False) for _ in users])
    gaps = rng.normal(size=(len(users), 6))
    weights = np.maximum(gaps[:, :, None] - gaps[:, None], 0).astype(np.float32)
    weights[1, 5] = weights[1, :, 5] = 0  # a candidate without weights
    items[1, 5] = 0
    made = {
        "user_center": rng.normal(size=(N_USERS, K)).astype(np.float32),
        "item_center": rng.normal(size=(N_ITEMS, K)).astype(np.float32),
        "user_weights": rng.uniform(0.5, 3, N_USERS),
        "item_weights": rng.uniform(0.5, 3, N_ITEMS),
        "user_metric": metric(rng),
        "item_metric": metric(rng),
        "features": sp.csr_matrix(rng.random((N_ITEMS, N_FEATURES)), dtype=np.float32)
        if features
        else None,
        "prior_weight": 1.7,
        "llm_weight": 2.5,
    }
    biases = rng.normal(size=N_ITEMS).astype(np.float32)[items]
    terms = SlateTerms.from_matrices(users, items, weights, 0.8, biases)
    margins = rng.uniform(0.4, 1.2, terms.weights.shape).astype(np.float32)
    return made | {"slates": replace(terms, margins=margins)}


def ridge(y, F):
    return np.linalg.solve(F.T @ F + 8 * np.eye(F.shape[1]), F.T @ y)


def objective(s, x, y, W):
    """The objective of the module docstring, term by term."""
    A, B = s["user_metric"], s["item_metric"]
    dx, dy = x - s["user_center"], y - s["item_center"]
    loss = sum(w * d @ A @ d for w, d in zip(s["user_weights"], dx, strict=True))
    loss += sum(w * d @ B @ d for w, d in zip(s["item_weights"], dy, strict=True))
    if W is not None:
        distance = y - s["features"].toarray() @ W
        loss += s["prior_weight"] * (
            sum(d @ B @ d for d in distance) + 8 * sum(w @ B @ w for w in W)
        )
    slates = s["slates"]
    parts = slates.users, slates.items, slates.matrices(), slates.margin_matrices(), slates.bias
    for user, items, weights, margins, bias in zip(*parts, strict=True):
        for i, j in zip(*np.nonzero(weights), strict=True):
            p, o = items[i], items[j]
            z = x[user] @ (y[p] - y[o]) + bias[i] - bias[j]
            loss += s["llm_weight"] * weights[i, j] * max(0, margins[i, j] - z) ** 2
    return loss


@pytest.mark.parametrize("features", [False, True])
def test_loss_is_the_objective_and_never_rises(features):
    s = settings(0, features=features)
    problem = ProximalProblem(**s)
    losses = []
    for _ in range(8):
        x, y = problem.user_factors.astype(float), problem.item_factors.astype(float)
        W = ridge(y, s["features"].toarray().astype(float)) if features else None
        losses.append(problem.loss())
        assert losses[-1] == pytest.approx(objective(s, x, y, W), rel=1e-5)
        problem.sweep()
    assert np.all(np.diff(losses) < 0)


@pytest.mark.parametrize("features", [False, True])
def test_sweeps_converge_to_a_stationary_point(features):
    """No small change to any factor decreases the objective."""
    s = settings(1, features=features)
    problem = ProximalProblem(**s, cg_steps=3 * K)
    for _ in range(400):
        problem.sweep()
    x, y = problem.user_factors.astype(float), problem.item_factors.astype(float)

    def at(step_x, step_y):
        new = y + step_y
        W = ridge(new, s["features"].toarray().astype(float)) if features else None
        return objective(s, x + step_x, new, W)

    rng, eps = np.random.default_rng(2), 1e-4
    start = ProximalProblem(**s)
    x0, y0 = start.user_factors.astype(float), start.item_factors.astype(float)
    for _ in range(10):
        dx, dy = rng.normal(size=x.shape), rng.normal(size=y.shape)
        slope = (at(eps * dx, eps * dy) - at(-eps * dx, -eps * dy)) / (2 * eps)
        W = ridge(y0, s["features"].toarray().astype(float)) if features else None
        steps = [objective(s, x0 + e * dx, y0 + e * dy, W) for e in (eps, -eps)]
        assert abs(slope) < 2e-3 * abs((steps[0] - steps[1]) / (2 * eps)) + 1e-2


def test_rows_without_pairs_stay_and_none_is_changed_in_place():
    s = settings(3, features=False)
    before = s["user_center"].copy(), s["item_center"].copy()
    problem = ProximalProblem(**s)
    problem.sweep()
    np.testing.assert_array_equal(s["user_center"], before[0])
    np.testing.assert_array_equal(s["item_center"], before[1])
    moved = np.any(problem.user_factors != before[0], axis=1)
    assert np.flatnonzero(moved).tolist() == [1, 3, 7, 11]
    slates = s["slates"]
    used = slates.matrices().any(axis=1) | slates.matrices().any(axis=2)
    moved = np.any(problem.item_factors != before[1], axis=1)
    assert set(np.flatnonzero(moved)) == set(slates.items[used])


def test_a_strong_pull_keeps_the_factors():
    """Far from the targets, movement is inversely proportional to the proximal weight."""
    s = settings(4, features=False)
    distance = []
    for scale in (1e4, 1e6):
        strong = s | {name: scale * s[name] for name in ("user_weights", "item_weights")}
        problem = ProximalProblem(**strong)
        for _ in range(30):
            problem.sweep()
        distance.append(np.abs(problem.user_factors - s["user_center"]).max())
    assert distance[0] == pytest.approx(100 * distance[1], rel=0.1)


def test_shrinking_to_features_is_the_joint_minimum():
    s = settings(5, features=True)
    weights = s["item_weights"].copy()
    weights[:4] = 0  # items without interactions
    F, center = s["features"].toarray().astype(float), s["item_center"].astype(float)
    shrunk = shrink_to_features(s["item_center"], weights, s["features"], 1.7)
    # The whole objective as one least squares problem in (y, W), column by column.
    n = N_ITEMS
    A = np.zeros((n + N_FEATURES, n + N_FEATURES))
    A[:n, :n] = np.diag(weights + 1.7)
    A[:n, n:], A[n:, :n] = -1.7 * F, -1.7 * F.T
    A[n:, n:] = 1.7 * (F.T @ F + 8 * np.eye(N_FEATURES))
    b = np.vstack([weights[:, None] * center, np.zeros((N_FEATURES, K))])
    np.testing.assert_allclose(shrunk, np.linalg.solve(A, b)[:n], rtol=1e-3, atol=1e-4)

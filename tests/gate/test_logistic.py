"""Solver of the gate, compared with scipy and scikit-learn, including difficult outcomes."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from sklearn_selreg._gate import _logistic
from sklearn_selreg._gate._logistic import CrossValidation, KnownPairs, fit_logistic
from sklearn_selreg.exceptions import GateWarning

OFFSETS = {
    "none": (0, 0),
    "usual": (1, 2),
    "large": (0, 30),
    "larger": (0, 1e3),
    "huge": (0, 1e6),
    "all huge": (-1e4, 1),
}


def make_pairs(n_pairs, n_columns, offset=(0, 0), is_separable=False, seed=0):
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(n_pairs, n_columns))
    noise = 0 if is_separable else 2 * rng.logistic(size=n_pairs)
    right = columns[:, 0] + noise > 0
    offset = offset[0] + offset[1] * rng.normal(size=n_pairs)
    return columns, KnownPairs(right, offset, rng.uniform(0.1, 2, n_pairs), np.arange(n_pairs) % 40)


def loss_and_gradient(coef, columns, known, C):
    sign = np.where(known.right, 1.0, -1.0)
    margin = sign * (known.offset + columns @ coef)
    wrong = sign * known.weights * expit(-margin)
    value = known.weights @ np.logaddexp(0, -margin) + coef @ coef / (2 * C)
    return value, coef / C - wrong @ columns


def scipy_coef(columns, known, C):
    def hessian(coef):
        p = expit(known.offset + columns @ coef)
        by_pair = columns.T * (known.weights * p * (1 - p))
        return by_pair @ columns + np.eye(len(coef)) / C

    start, given = np.zeros(columns.shape[1]), (columns, known, C)
    return minimize(
        loss_and_gradient, start, given, jac=True, method="trust-exact",
        hess=lambda coef, *_: hessian(coef), options={"gtol": 1e-9 * len(columns)},
    ).x  # fmt: skip


@pytest.mark.parametrize("C", [1e-3, 1, 100])
@pytest.mark.parametrize("is_separable", [False, True])
@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("shape", [(1000, 6), (300, 1), (60, 12)])
def test_it_finds_what_scipy_finds(shape, offset, is_separable, C):
    columns, known = make_pairs(*shape, OFFSETS[offset], is_separable)
    coef, expected = fit_logistic(columns, known, C), scipy_coef(columns, known, C)
    np.testing.assert_allclose(coef, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    found, best = (loss_and_gradient(c, columns, known, C)[0] for c in (coef, expected))
    assert found <= best + 1e-12 * abs(best)


def test_it_finds_what_scikit_learn_finds_without_offset():
    columns, known = make_pairs(2000, 5)
    peer = LogisticRegression(C=0.3, fit_intercept=False, solver="newton-cholesky", tol=1e-12)
    peer.fit(columns, known.right, sample_weight=known.weights)
    np.testing.assert_allclose(fit_logistic(columns, known, 0.3), peer.coef_[0], rtol=1e-8)


@pytest.mark.parametrize("offset", OFFSETS)
def test_where_it_starts_does_not_matter(offset):
    columns, known = make_pairs(500, 4, OFFSETS[offset])
    coef = fit_logistic(columns, known, 1.0)
    for start in (coef, -5 * coef, np.array([100.0, -100.0, 0.0, 3.0])):
        given = start.copy()
        found = fit_logistic(columns, known, 1.0, start)
        np.testing.assert_allclose(found, coef, rtol=1e-6, atol=1e-6 * np.abs(coef).max())
        np.testing.assert_array_equal(start, given)


def test_columns_that_repeat_each_other_share_a_coefficient_even_without_a_penalty():
    columns, known = make_pairs(500, 3)
    doubled = fit_logistic(columns[:, [0, 1, 2, 0]], known, np.inf)
    single = fit_logistic(columns, known, np.inf)
    np.testing.assert_allclose(doubled[[0, 3]], single[0] / 2, rtol=1e-6)
    np.testing.assert_allclose(doubled[1:3], single[1:], rtol=1e-6)


def test_a_single_outcome_and_no_columns_leave_the_offset_alone():
    columns, known = make_pairs(50, 3)
    one = KnownPairs(np.ones(50, bool), known.offset, known.weights, known.groups)
    assert not fit_logistic(columns, one, 1.0).any()
    assert fit_logistic(columns[:, :0], known, 1.0).shape == (0,)


def test_it_says_where_it_did_not_converge(monkeypatch):
    monkeypatch.setattr(_logistic, "_MOST_STEPS", 3)
    columns, known = make_pairs(60, 2, is_separable=True)
    with pytest.warns(GateWarning, match="60 pairs has not converged after 3 steps: the last one"):
        fit_logistic(columns, known, 1e9)


def test_cross_validation_by_a_loop_of_fits_from_nothing():
    """Independent of earlier fits with other columns and much larger coefficients."""
    columns, known = make_pairs(800, 5, OFFSETS["usual"])
    held_out = CrossValidation(columns, known, 5)
    for selected, C in (([0, 1, 2, 3, 4], 100), ([0, 3], 1e-3), ([3, 1, 0], 1.0), ([], 1.0)):
        expected = known.offset.copy()
        for train, test in GroupKFold(5).split(columns, groups=known.groups):
            coef = scipy_coef(columns[train][:, selected], known[train], C) if selected else []
            expected[test] += columns[test][:, selected] @ np.array(coef)
        np.testing.assert_allclose(held_out.log_odds(selected, C), expected, atol=1e-6)
        likely = expit(np.where(known.right, expected, -expected))
        np.testing.assert_allclose(
            held_out.losses(selected, C), -known.weights * np.log(likely), atol=1e-6
        )

"""Popularity biases and their prediction from features, compared with scikit-learn's Ridge."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from sklearn_selreg._factorization._factors import expected_bias, popularity_bias


def make_items(n_items, n_features, density, n_periods=3):
    rng = np.random.default_rng(0)
    features = sp.random(n_items, n_features, density, "csr", np.float32, random_state=rng)
    by_period = rng.poisson(rng.pareto(1, (n_items, 1)) * rng.uniform(0, 2, (n_items, n_periods)))
    assert (by_period.sum(axis=1) == 0).any()
    return features, by_period


SHAPES = pytest.mark.parametrize(
    ("n_items", "n_features", "density"), [(300, 20, 0.2), (60, 200, 0.05), (200, 30, 1.0)]
)


def ridge_of(features, by_period):
    """Biases without features, on which the ridge regression is fitted."""
    alone = popularity_bias(by_period, None)
    return alone, Ridge(alpha=1.0, solver="svd").fit(features.toarray().astype(float), alone)


@SHAPES
def test_rare_items_lean_on_what_a_ridge_regression_expects(n_items, n_features, density):
    features, by_period = make_items(n_items, n_features, density)
    n = by_period.sum(axis=1, keepdims=True)
    alone, ridge = ridge_of(features, by_period)
    expected = (n * alone + 3 * ridge.predict(features.toarray())) / (n + 3)
    np.testing.assert_allclose(popularity_bias(by_period, features), expected, atol=1e-6)
    one = popularity_bias(by_period[:, :1], features)
    assert one.shape == (n_items, 1)


@SHAPES
def test_new_items_have_the_bias_that_their_features_lead_to_expect(n_items, n_features, density):
    features, by_period = make_items(n_items, n_features, density)
    new = make_items(n_items, n_features, density)[0][::-1][:10]
    _, ridge = ridge_of(features, by_period)
    bias = 0.15 * popularity_bias(by_period, features)
    found = expected_bias(new.tocsr(), features, bias, by_period.sum(axis=1))
    np.testing.assert_allclose(found, 0.15 * ridge.predict(new.toarray()), atol=1e-6)

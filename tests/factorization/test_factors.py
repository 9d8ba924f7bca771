"""Popularity biases shrunk toward a ridge regression, compared with scikit-learn's Ridge."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import Ridge

from sklearn_selreg._factorization._factors import popularity_bias


@pytest.mark.parametrize(
    ("n_items", "n_features", "density"), [(300, 20, 0.2), (40, 60, 0.3), (300, 40, 1.0)]
)
@pytest.mark.parametrize("n_periods", [1, 4])
def test_biases_lean_on_a_ridge_regression(n_items, n_features, density, n_periods):
    rng = np.random.default_rng(0)
    features = sp.random(n_items, n_features, density, "csr", np.float32, random_state=0)
    by_period = rng.poisson(rng.exponential(3, (n_items, 1)), (n_items, n_periods))
    alone, leaning = popularity_bias(by_period, None), popularity_bias(by_period, features)
    dense = features.toarray().astype(np.float64)
    expected = Ridge(alpha=1.0, solver="cholesky").fit(dense, alone).predict(dense)
    expected = expected.reshape(alone.shape)
    n = by_period.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(leaning, (n * alone + 3 * expected) / (n + 3), atol=2e-6)

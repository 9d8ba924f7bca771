"""A piecewise linear spline of one number."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import SplineTransformer


class LinearSpline(TransformerMixin, BaseEstimator):
    """Piecewise linear spline of one number, for ridge regression: hat functions at quantiles.

    Unlike in scikit-learn's ``SplineTransformer(degree=1, knots="quantile")``, coinciding
    quantiles yield a single knot, and missing values become zeros plus an indicator feature (if
    `fit` saw any). The spline is constant outside the knots.

    Parameters
    ----------
    n_knots : int
        Number of quantiles, >= 2.
    """

    def __init__(self, n_knots):
        self.n_knots = n_knots

    def fit(self, X, y=None):
        """Fit on a frame of shape (n, 1), float64 with NaN and at least two distinct numbers."""
        x = X.to_numpy().ravel()
        self.has_missing_ = bool(np.isnan(x).any())
        self.knots_ = np.unique(np.nanquantile(x, np.linspace(0, 1, self.n_knots)))
        self.spline_ = SplineTransformer(
            degree=1, knots=self.knots_[:, None], extrapolation="constant", sparse_output=True
        ).fit(self.knots_[:, None])
        return self

    def transform(self, X):
        """Evaluate the hat functions: CSR matrix of shape (n, n_knots [+ 1])."""
        x = X.to_numpy()
        missing = np.isnan(x)
        hats = self.spline_.transform(np.where(missing, self.knots_[0], x))
        hats = sparse.csr_matrix(hats).multiply(~missing)
        blocks = [hats, missing] if self.has_missing_ else [hats]
        return sparse.hstack(blocks, format="csr")

    def get_feature_names_out(self, input_features=None):
        """Return the knots as names, followed by "missing" if there is that feature."""
        names = [f"{knot:.6g}" for knot in self.knots_]
        if self.has_missing_:
            names.append("missing")
        return np.array(names, dtype=object)

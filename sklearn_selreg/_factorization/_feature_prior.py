"""Ridge regression of factors on features, whose predictions serve as a prior mean."""

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from .._data._csr import gram, is_dense
from ._threads import in_turn, single_threaded_blas

# A feature shared by about this many items is shrunk by half. With 1, features overfit the items
# they are learned from, and nothing is left to regularize.
FEATURE_RIDGE = 8.0
_ROWS = 2**12  # items per block of a thread


class FeaturePrior:
    """Weighted ridge regression of item factors on features.

    Parameters
    ----------
    features : csr_matrix of shape (n_items, n_features), float32
    weights : ndarray of shape (n_items,) or None
        Item weights. If None, 1.

    Raises
    ------
    LinAlgError
        If weights are not finite or close to overflow.
    """

    def __init__(self, features, weights=None):
        self._weights = np.ones(features.shape[0]) if weights is None else weights
        with single_threaded_blas():  # rounding must not depend on the number of threads
            moments = gram(features, self._weights.astype(np.float64))
            moments[np.diag_indices_from(moments)] += FEATURE_RIDGE
            self._gram = scipy.linalg.cho_factor(moments, overwrite_a=True, check_finite=False)
        self._bounds = np.append(np.arange(0, features.shape[0], _ROWS), features.shape[0])
        if is_dense(features):  # e.g. embeddings: BLAS is much faster
            self._features = features.toarray()
        else:
            self._features = sp.csr_matrix(features, dtype=np.float32)

    def coefficients(self, y, run=in_turn):
        """Regression coefficients W of item factors, (n_features, k) float32.

        `run` comes from ``_threads.threads``; the result does not depend on it.
        """

        def regress(start, stop):
            scale = self._weights[start:stop, np.newaxis].astype(np.float32)
            return self._features[start:stop].T @ (scale * y[start:stop])

        rhs = sum(run(regress, self._bounds), np.zeros((self._features.shape[1], y.shape[1])))
        # The watch reports non-finite factors.
        return scipy.linalg.cho_solve(self._gram, rhs, check_finite=False).astype(np.float32)

    def expected(self, y, run=in_turn):
        """Item factors predicted from features, (n_items, k) float32."""
        coefficients = self.coefficients(y, run)
        expected = np.empty(y.shape, np.float32)

        def expect(start, stop):
            expected[start:stop] = self._features[start:stop] @ coefficients

        run(expect, self._bounds)
        return expected

    def loss(self, y, root=None):
        """Objective of the ridge regression in the metric `root` @ `root`.T (None: Euclidean)."""
        coefficients = self.coefficients(y).astype(np.float64)
        distance = y - self._features @ coefficients
        if root is not None:
            distance, coefficients = distance @ root, coefficients @ root
        weighted = np.sum(distance**2, axis=1) @ self._weights
        return weighted + FEATURE_RIDGE * np.sum(coefficients**2)

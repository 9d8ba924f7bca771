r"""Alternating least squares with a feature prior and pairwise preferences.

Knows matrices and weights, and nothing of judges, gates or tables.

Users :math:`x_u`, items :math:`y_i`, confidences :math:`c_{ui}` of observed interactions, weights
:math:`c_i` of missing entries, item features :math:`f_i`, fixed biases :math:`b_{ui}`, pair
weights :math:`a_{uij} \ge 0` and margins :math:`m_{uij}`; the objective is

.. math::

    \sum_{ui\ observed} c_{ui} (1 - x_u \cdot y_i)^2
    + \sum_{ui\ missing} c_i (x_u \cdot y_i)^2
    + \lambda \sum_u |x_u|^2
    + \lambda_I \Big(\sum_i c_i |y_i - W^T f_i|^2 + \kappa |W|^2\Big)
    + \mu \sum_{u,\, i \succ j} a_{uij} \max(0, m_{uij} - z_{uij})^2,
    \qquad z_{uij} = x_u \cdot (y_i - y_j) + b_{ui} - b_{uj}

With :math:`c_i = 1`, no features and no pairs it is the objective of Hu, Koren & Volinsky (2008),
"Collaborative filtering for implicit feedback datasets", as minimized by ``implicit``. Each
half-sweep is one call of ``_half_sweep``.
"""

from functools import cached_property

import numpy as np

from .._data._finite import are_finite, quiet
from ._feature_prior import FeaturePrior
from ._half_sweep import HalfSweep, aligned, weighted_gram
from ._slate_terms import kernel_terms, pair_loss
from ._threads import single_threaded_blas, threads, useful_threads

CG_STEPS = 2  # of a half-sweep, warm-started
RELAXATION = 1.5  # how far rows go in a sweep, relative to the solution
_TO_CONVERGENCE = 1e-12  # of the squared residual
_ENTRIES_PER_CHUNK = 2**20


class RegularizedALS:
    r"""Alternating least squares on one interaction matrix, sweep by sweep.

    Parameters
    ----------
    confidence : csr_matrix of shape (n_users, n_items), float32
        Confidences of the observed interactions, > 0.
    user_factors, item_factors : ndarrays of shape (n_users, k) and (n_items, k), float32
        Factors to start from; they are copied.
    regularization : float or ndarray of shape (n_users,)
        :math:`\lambda`; an array, of each user, only to solve for users.
    item_regularization : float or None
        :math:`\lambda_I`; None = `regularization`.
    missing_weights : ndarray of shape (n_items,) or None
        :math:`c_i` > 0; None = 1.
    features : csr_matrix of shape (n_items, n_features), float32, or None
        Item features of the prior; None = items are shrunk to zero.
    slates : SlateTerms or None
        Pairwise preferences.
    llm_weight : float
        :math:`\mu`.
    num_threads : int
        0 = all cores. The result does not depend on it.
    cg_steps : int
        Conjugate gradient steps of a half-sweep.
    relaxation : float
        How far rows go in a half-sweep, relative to the solution; between 0 and 2.

    Notes
    -----
    The squared hinge is majorized at the current factors: with :math:`z_0` the current difference,
    :math:`\max(0, m - z)^2 \le (t - z)^2` at :math:`t = \max(m, z_0)`. So no sweep raises the loss,
    also where rows go further than to the solution (see ``_half_sweep``).
    """

    def __init__(
        self,
        confidence,
        user_factors,
        item_factors,
        *,
        regularization,
        item_regularization=None,
        missing_weights=None,
        features=None,
        slates=None,
        llm_weight=0.0,
        num_threads=0,
        cg_steps=CG_STEPS,
        relaxation=RELAXATION,
    ):
        self.regularization = regularization
        self.item_regularization = item_regularization or regularization
        self.num_threads, self.cg_steps, self.relaxation = num_threads, cg_steps, relaxation
        self._confidence = confidence
        self._weights = None if missing_weights is None else missing_weights.astype(np.float32)
        self._prior = None if features is None else FeaturePrior(features, missing_weights)
        self._pairs, self._of_users, self._of_items = None, None, None
        if slates is not None and llm_weight > 0:
            self._pairs = slates, llm_weight
            self._of_users, self._of_items = kernel_terms(slates, llm_weight, *confidence.shape)
        self._x, self._y = aligned(user_factors), aligned(item_factors)
        # Both sides are multiplied by the eigenvectors of Gram matrices as they come.
        self._basis, self._gram = None, None

    @cached_property
    def _user_half(self):
        return HalfSweep(
            self._confidence,
            np.full(len(self._x), self.regularization, np.float32),
            missing=self._weights,
            pairs=self._of_users,
        )

    @cached_property
    def _item_half(self):
        scale = 1 if self._weights is None else self._weights
        return HalfSweep(
            self._confidence.T.tocsr(),
            np.full(len(self._y), self.item_regularization, np.float32) * scale,
            scale=self._weights,
            pairs=self._of_items,
        )

    @property
    def user_factors(self):
        """Current user factors, a copy, (n_users, k) float32."""
        return self._rotated_back(self._x)

    @property
    def item_factors(self):
        """Current item factors, a copy, (n_items, k) float32."""
        return self._rotated_back(self._y)

    def _rotated_back(self, rows):
        if self._basis is None:
            return rows.copy()
        with single_threaded_blas(), quiet():
            return rows @ self._basis.T.astype(np.float32)

    @property
    def is_finite(self):
        """Whether the factors are; one user that is not makes all items so in a sweep."""
        return are_finite(self._y)

    def sweep(self):
        """Update the users, then the items."""
        how = {"steps": self.cg_steps, "relaxation": self.relaxation}
        with self._threads() as run, quiet():
            gram, _ = self._solve_users(run, **how)
            prior = None if self._prior is None else self._prior.expected(self._y)
            half = self._item_half
            self._gram, q = half.solve(self._y, self._x, gram, prior=prior, run=run, **how)
            self._basis = self._basis @ q

    def solve_users(self, cg_steps=None):
        """Solve for the users and return their factors, (n_users, k) float32.

        `cg_steps` None: to convergence.
        """
        how = {"steps": cg_steps}
        if cg_steps is None:
            how = {"steps": 2 * self._x.shape[1], "tolerance": _TO_CONVERGENCE}
        with self._threads() as run, quiet():
            _, q = self._solve_users(run, **how)
            self._gram = q.T @ self._gram @ q
        return self.user_factors

    def _threads(self):
        n_products = (self._confidence.nnz + len(self._x)) * self._x.shape[1]
        return threads(useful_threads(self.num_threads, n_products))

    def _solve_users(self, run, **how):
        if self._gram is None:
            self._gram = weighted_gram(self._y, self._weights, run)
        gram, q = self._user_half.solve(self._x, self._y, self._gram, run=run, **how)
        self._basis = q if self._basis is None else self._basis @ q
        return gram, q

    def loss(self):
        """Return the objective at the current factors, summed in float64."""
        x, y = self._x.astype(np.float64), self._y.astype(np.float64)
        weights = np.ones(len(y)) if self._weights is None else self._weights.astype(np.float64)
        loss = np.sum((x.T @ x) * (y.T @ (weights[:, np.newaxis] * y)))
        loss += self.regularization * np.sum(x**2)
        if self._prior is None:
            loss += self.item_regularization * np.sum(weights @ y**2)
        else:
            loss += self.item_regularization * self._prior.loss(y)
        confidence = self._confidence
        rows = np.repeat(np.arange(len(x)), np.diff(confidence.indptr))
        for start in range(0, confidence.nnz, _ENTRIES_PER_CHUNK):
            chunk = slice(start, start + _ENTRIES_PER_CHUNK)
            items = confidence.indices[chunk]
            scores = np.einsum("nk,nk->n", x[rows[chunk]], y[items])
            loss += np.sum(confidence.data[chunk] * (1 - scores) ** 2 - weights[items] * scores**2)
        if self._pairs is not None:
            loss += pair_loss(*self._pairs, x, y)
        return float(loss)


def fold_in(
    confidence,
    item_factors,
    *,
    regularization,
    missing_weights=None,
    num_threads=0,
    start=None,
    cg_steps=None,
):
    """Solve for the factors of users, given their interactions and fixed items.

    Parameters
    ----------
    confidence : csr_matrix of shape (n_users, n_items), float32
        Confidences of the users' interactions; a user without any gets zeros.
    item_factors : ndarray of shape (n_items, k), float32
    regularization : float or ndarray of shape (n_users,), float32
        Of all users, or of each.
    missing_weights : ndarray of shape (n_items,) or None
        As in `RegularizedALS`.
    num_threads : int
    start : ndarray of shape (n_users, k), float32, or None
        None: zeros.
    cg_steps : int or None
        None: to convergence.

    Returns
    -------
    user_factors : ndarray of shape (n_users, k), float32
    """
    if start is None:
        start = np.zeros((confidence.shape[0], item_factors.shape[1]), dtype=np.float32)
    solver = RegularizedALS(
        confidence,
        start,
        item_factors,
        regularization=regularization,
        missing_weights=missing_weights,
        num_threads=num_threads,
    )
    return solver.solve_users(cg_steps)

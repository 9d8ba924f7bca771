r"""Alternating least squares with a feature prior and pairwise preferences.

With users :math:`x_u`, items :math:`y_i`, confidences :math:`c_{ui}` of observed interactions,
weights :math:`c_i` of missing entries, item features :math:`f_i`, fixed biases :math:`b_{ui}`, pair
weights :math:`a_{uij} \ge 0` and margins :math:`m_{uij}`, the objective is

.. math::

    \sum_{ui\ observed} c_{ui} (1 - x_u \cdot y_i)^2
    + \sum_{ui\ missing} c_i (x_u \cdot y_i)^2
    + \lambda \sum_u |x_u|^2
    + \lambda_I \Big(\sum_i c_i |y_i - W^T f_i|^2 + \kappa |W|^2\Big)
    + \mu \sum_{u,\, i \succ j} a_{uij} \max(0, m_{uij} - z_{uij})^2,
    \qquad z_{uij} = x_u \cdot (y_i - y_j) + b_{ui} - b_{uj}

With user features :math:`g_u`, :math:`|x_u|^2` becomes :math:`|x_u - V^T g_u|^2`, plus
:math:`\kappa |V|^2`. Users with neither interactions nor pairs are then excluded from the objective
and set to :math:`V^T g_u`.

With :math:`c_i = 1`, no features and no pairs, this is the objective of Hu, Koren & Volinsky
(2008), "Collaborative filtering for implicit feedback datasets", as minimized by ``implicit``. Each
half-sweep is one call of ``_half_sweep``.
"""

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from .._data._csr import transposed
from .._data._finite import are_finite, quiet
from ._feature_prior import FeaturePrior
from ._half_sweep import HalfSweep, aligned, eigenbasis, rotate, weighted_gram
from ._slate_terms import kernel_terms, pair_loss
from ._threads import single_threaded_blas, threads, useful_threads

CG_STEPS = 2  # per half-sweep, warm-started
RELAXATION = 1.5  # step length of rows in a sweep, relative to the solution
_TO_CONVERGENCE = 1e-12  # tolerance of the squared residual
_ENTRIES_PER_CHUNK = 2**20


class RegularizedALS:
    r"""Alternating least squares on one interaction matrix, sweep by sweep.

    Parameters
    ----------
    confidence : csr_matrix of shape (n_users, n_items), float32
        Confidences of the observed interactions, > 0.
    alpha : float
        Factor of the confidences, applied without a copy.
    user_factors, item_factors : ndarrays of shape (n_users, k) and (n_items, k), float32
        Initial factors; they are copied.
    regularization : float or ndarray of shape (n_users,)
        :math:`\lambda`. An array with a value per user is supported only by `solve_users`.
    item_regularization : float or None
        :math:`\lambda_I`. If None, `regularization`.
    missing_weights : ndarray of shape (n_items,) or None
        :math:`c_i` > 0. If None, 1.
    features : csr_matrix of shape (n_items, n_features), float32, or None
        Item features of the prior. If None, items are shrunk toward zero.
    user_features : csr_matrix of shape (n_users, n_user_features), float32, or None
        User features of the prior. If None, users are shrunk toward zero.
    user_prior : ndarray of shape (n_users, k), float32, or None
        Prior mean of the users in `solve_users`, instead of `user_features`.
    slates : SlateTerms or None
        Pairwise preferences.
    llm_weight : float
        :math:`\mu`.
    num_threads : int
        0 means all cores. The result does not depend on it.
    cg_steps : int
        Conjugate gradient steps per half-sweep.
    relaxation : float
        Step length of rows in a half-sweep, relative to the solution; between 0 and 2.
    item_gram : tuple or None
        As from `cached_gram`; it may include items that no user has, besides `item_factors`. If
        None, it is computed.

    Notes
    -----
    The squared hinge is majorized at the current factors: with :math:`z_0` the current difference,
    :math:`\max(0, m - z)^2 \le (t - z)^2` at :math:`t = \max(m, z_0)`. Hence no sweep increases the
    loss, even with over-relaxation (see ``_half_sweep``).
    """

    def __init__(
        self,
        confidence,
        user_factors,
        item_factors,
        *,
        regularization,
        alpha=1.0,
        item_regularization=None,
        missing_weights=None,
        features=None,
        user_features=None,
        user_prior=None,
        slates=None,
        llm_weight=0.0,
        num_threads=0,
        cg_steps=CG_STEPS,
        relaxation=RELAXATION,
        item_gram=None,
    ):
        self.regularization = regularization
        self.item_regularization = item_regularization or regularization
        self.num_threads, self.cg_steps, self.relaxation = num_threads, cg_steps, relaxation
        self._confidence, self._alpha = confidence, np.float32(alpha)
        self._weights = None if missing_weights is None else missing_weights.astype(np.float32)
        self._prior = None if features is None else FeaturePrior(features, missing_weights)
        self._user_weights, self._user_prior, self._users_expected = None, None, user_prior
        if user_features is not None or user_prior is not None:
            self._user_weights = _are_known(confidence, slates)
        if user_features is not None:
            self._user_prior = FeaturePrior(user_features, self._user_weights)
        self._pairs, self._of_users, self._of_items = None, None, None
        if slates is not None and llm_weight > 0:
            self._pairs = slates, llm_weight
            self._of_users, self._of_items = kernel_terms(slates, llm_weight, *confidence.shape)
        self._x, self._y = aligned(user_factors), aligned(item_factors)
        # The stored factors are rotated by the accumulated eigenvectors of Gram matrices.
        self._basis = None
        self._gram, self._first_basis = (None, None) if item_gram is None else item_gram

    @cached_property
    def _user_half(self):
        return HalfSweep(
            self._confidence,
            np.full(len(self._x), self.regularization, np.float32),
            alpha=self._alpha,
            scale=self._user_weights,
            missing=self._weights,
            pairs=self._of_users,
        )

    @cached_property
    def _item_half(self):
        scale = 1 if self._weights is None else self._weights
        return HalfSweep(
            transposed(self._confidence),
            np.full(len(self._y), self.item_regularization, np.float32) * scale,
            alpha=self._alpha,
            scale=self._weights,
            pairs=self._of_items,
        )

    @property
    def user_factors(self):
        """Copy of the current user factors, (n_users, k) float32."""
        return self._rotated_back(self._x)

    @property
    def item_factors(self):
        """Copy of the current item factors, (n_items, k) float32."""
        return self._rotated_back(self._y)

    @property
    def user_coefficients(self):
        """Coefficients V, (n_user_features, k) float32; None without user features."""
        if self._user_prior is None:
            return None
        with single_threaded_blas(), quiet():
            return self._user_prior.coefficients(self.user_factors)

    def _rotated_back(self, rows):
        if self._basis is None:
            return rows.copy()
        with single_threaded_blas(), quiet():
            return rows @ self._basis.T.astype(np.float32)

    def take_factors(self):
        """Return user and item factors without a copy; the problem cannot be used afterwards."""
        self.__dict__.pop("_item_half", None)  # the transposed matrix
        if self._basis is not None:
            with self._threads() as run, quiet():
                for rows in (self._x, self._y):
                    rotate(rows, self._basis.T, run)
        x, y, self._x, self._y = self._x, self._y, None, None
        return x, y

    @property
    def is_finite(self):
        """Whether the factors are finite; a sweep spreads non-finite values to all items."""
        return are_finite(self._y)

    def sweep(self):
        """Update the users, then the items."""
        how = {"steps": self.cg_steps, "relaxation": self.relaxation}
        with self._threads() as run, quiet():
            gram, _ = self._solve_users(run, _expected(self._user_prior, self._x, run), **how)
            prior, half = _expected(self._prior, self._y, run), self._item_half
            self._gram, q = half.solve(self._y, self._x, gram, prior=prior, run=run, **how)
            self._basis = self._basis @ q

    def solve_users(self, cg_steps=None, *, last=False):
        """Solve for the users and return their factors, (n_users, k) float32.

        If `cg_steps` is None, solve to convergence. `last` avoids a copy, like `take_factors`.
        """
        how = {"steps": cg_steps}
        if cg_steps is None:
            how = {"steps": 2 * self._x.shape[1], "tolerance": _TO_CONVERGENCE}
        with self._threads() as run, quiet():
            _, q = self._solve_users(run, self._expected_users(run), **how)
            self._gram = q.T @ self._gram @ q
        return self.take_factors()[0] if last else self.user_factors

    def _threads(self):
        n_products = (self._confidence.nnz + len(self._x)) * self._x.shape[1]
        return threads(useful_threads(self.num_threads, n_products))

    def _expected_users(self, run):
        if self._users_expected is None:
            return _expected(self._user_prior, self._x, run)
        if self._basis is None:
            return self._users_expected.astype(np.float32)
        return (self._users_expected @ self._basis).astype(np.float32)

    def _solve_users(self, run, prior, **how):
        if self._gram is None:
            self._gram = weighted_gram(self._y, self._weights, run)
        half = self._user_half
        basis, self._first_basis = self._first_basis, None
        gram, q = half.solve(self._x, self._y, self._gram, basis=basis, prior=prior, run=run, **how)
        self._basis = q if self._basis is None else self._basis @ q
        return gram, q

    def loss(self):
        """Objective at the current factors, summed in float64."""
        x, y = self._x.astype(np.float64), self._y.astype(np.float64)
        weights = np.ones(len(y)) if self._weights is None else self._weights.astype(np.float64)
        counted = x if self._user_weights is None else x[self._user_weights > 0]
        loss = np.sum((counted.T @ counted) * (y.T @ (weights[:, np.newaxis] * y)))
        if self._user_prior is None:
            loss += self.regularization * np.sum(x**2)
        else:
            loss += self.regularization * self._user_prior.loss(x)
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
            observed = self._alpha * confidence.data[chunk]
            loss += np.sum(observed * (1 - scores) ** 2 - weights[items] * scores**2)
        if self._pairs is not None:
            loss += pair_loss(*self._pairs, x, y)
        return float(loss)


def fold_in(
    confidence,
    item_factors,
    *,
    regularization,
    missing_weights=None,
    prior=None,
    num_threads=0,
    start=None,
    cg_steps=None,
    cache=None,
):
    """Solve for the factors of users, given their interactions and fixed items.

    Parameters
    ----------
    confidence : csr_matrix of shape (n_users, n_items), float32
        Confidences of the users' interactions; users without any get the prior mean.
    item_factors : ndarray of shape (n_items, k), float32
    regularization : float or ndarray of shape (n_users,), float32
        L2 penalty, common or per user.
    missing_weights : ndarray of shape (n_items,) or None
        As in `RegularizedALS`.
    prior : ndarray of shape (n_users, k), float32, or None
        Prior mean of the users. If None, zeros.
    num_threads : int
    start : ndarray of shape (n_users, k), float32, or None
        Starting point. If None, zeros.
    cg_steps : int or None
        Number of conjugate gradient steps. If None, solve to convergence.
    cache : dict or None
        Holds the Gram matrix of the items for later calls with the same items and weights. The time
        for a few interactions then does not depend on the number of items.

    Returns
    -------
    user_factors : ndarray of shape (n_users, k), float32
    """
    gram = None
    if cache is not None and 0 < confidence.nnz < len(item_factors):
        gram = cached_gram(cache, item_factors, missing_weights)
        used, column = np.unique(confidence.indices, return_inverse=True)
        shape = confidence.shape[0], len(used)
        confidence = sp.csr_matrix((confidence.data, column, confidence.indptr), shape)
        item_factors = item_factors[used]
        missing_weights = None if missing_weights is None else missing_weights[used]
    if start is None:
        start = np.zeros((confidence.shape[0], item_factors.shape[1]), dtype=np.float32)
    solver = RegularizedALS(
        confidence,
        start,
        item_factors,
        regularization=regularization,
        missing_weights=missing_weights,
        user_prior=prior,
        num_threads=num_threads,
        item_gram=gram,
    )
    return solver.solve_users(cg_steps, last=True)


def cached_gram(cache, item_factors, missing_weights):
    """Return the weighted Gram matrix of items and its `eigenbasis`, kept in a dict."""
    if "fold-in gram" not in cache:
        weights = None if missing_weights is None else missing_weights.astype(np.float32)
        with threads(1) as run, quiet():
            gram = weighted_gram(aligned(item_factors), weights, run)
            cache["fold-in gram"] = gram, eigenbasis(gram)
    return cache["fold-in gram"]


def _expected(prior, rows, run):
    return None if prior is None else prior.expected(rows, run)


def _are_known(confidence, slates):
    """Return an indicator of users with interactions or pairs, (n_users,) float32."""
    known = np.diff(confidence.indptr) > 0
    if slates is not None:
        known[slates.users] = True
    return known.astype(np.float32)

r"""Factors made elsewhere, kept by a proximal term while a feature prior and preferences act.

Knows factors and weights, and nothing of how the factors were made. Given users :math:`\bar x_u`,
items :math:`\bar y_i`, their weights :math:`\rho_u` and :math:`\rho_i`, item features :math:`f_i`,
a weight :math:`s` of the prior, metrics A and B (positive definite; :math:`|x|_A^2 = x^T A x`),
fixed biases :math:`b_{ui}`, pair weights :math:`a_{uij} \ge 0` and margins :math:`m_{uij}`; the
objective is

.. math::

    \sum_u \rho_u |x_u - \bar x_u|_A^2 + \sum_i \rho_i |y_i - \bar y_i|_B^2
    + s \Big(\sum_i |y_i - W^T f_i|_B^2 + \kappa |W|_B^2\Big)
    + \mu \sum_{u,\, i \succ j} a_{uij} \max(0, m_{uij} - z_{uij})^2,
    \qquad z_{uij} = x_u \cdot (y_i - y_j) + b_{ui} - b_{uj}

With the covariance of the items as A, and the second moment of the users as B, the proximal terms
are the mean squared change of a user's and of an item's scores: what a preference asks for is done
where other scores notice it least. Rows without pairs have a closed form, which does not depend on
B. Only those with pairs are in the least squares problems, so that without features nothing else is
read or touched. They are solved by ``implicit``'s conjugate gradient kernel as in ``_als``, each
row divided by its weight. The rows that the kernel makes its Gram matrix of are those of a Cholesky
factor of the metric; all others are pseudo-rows.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from .._data._finite import are_finite
from ._als import CG_STEPS, DIRECTION_SCALE, FeaturePrior, HalfSweep, PairLoss, single_threaded_blas


class ProximalProblem:
    r"""Alternating least squares around given factors, sweep by sweep.

    Parameters
    ----------
    user_center, item_center : ndarrays of shape (n_users, k) and (n_items, k), float32
        :math:`\bar x_u` and :math:`\bar y_i`; they are not changed.
    user_weights, item_weights : ndarrays of shape (n_users,) and (n_items,)
        :math:`\rho_u` > 0 and :math:`\rho_i`, > 0 too unless there are features.
    user_metric, item_metric : ndarrays of shape (k, k), float64
        A and B.
    items_start : ndarray of shape (n_items, k), float32, or None
        Item factors to start from. None: the center.
    features : csr_matrix of shape (n_items, n_features), float32, or None
    prior_weight : float
        :math:`s` > 0; without features it does nothing.
    slates : SlateTerms or None
        Pairwise preferences.
    llm_weight : float
        :math:`\mu`.
    num_threads, cg_steps : int
        As in `RegularizedALS`.

    Attributes
    ----------
    users, items : ndarrays of int, sorted
        The rows that may move: users with pairs; items with pairs, with features all.

    Notes
    -----
    Pairs are majorized as in `RegularizedALS`, so that no sweep raises the loss.
    """

    def __init__(
        self,
        user_center,
        item_center,
        *,
        user_weights,
        item_weights,
        user_metric,
        item_metric,
        items_start=None,
        features=None,
        prior_weight=0.0,
        slates=None,
        llm_weight=0.0,
        num_threads=0,
        cg_steps=CG_STEPS,
    ):
        self.num_threads, self.cg_steps = num_threads, cg_steps
        self._centers = user_center, item_center
        self._metrics = user_metric, item_metric
        nothing = np.empty(0, dtype=np.intp)
        if slates is None or llm_weight == 0:
            slates = None
            self.users = self.items = nothing
        else:
            self.users, users = np.unique(slates.users, return_inverse=True)
            used = slates.weighted()
            self.items = np.unique(slates.items[used])
        if features is not None:
            self.items = np.arange(len(item_center))
        start = item_center if items_start is None else items_start
        self._x, self._x_center = user_center[self.users], user_center[self.users]
        self._y, self._y_center = start[self.items].copy(), item_center[self.items]
        self._x_weight = user_weights[self.users].astype(np.float32)[:, np.newaxis]
        self._y_weight = item_weights[self.items].astype(np.float32)[:, np.newaxis]
        self._prior, self._prior_weight = None, 0.0
        if features is not None:
            self._prior_weight = np.float32(prior_weight)
            self._prior = FeaturePrior(features, np.ones(len(item_center), dtype=np.float32))
            self._prior.fit(self._y)
        self._pairs = None
        if slates is not None:
            items = np.searchsorted(self.items, np.where(used, slates.items, self.items[:1]))
            users = users.astype(np.intp)
            compact = replace(slates, users=users, items=items)
            ones = np.ones(len(self.items), dtype=np.float32)
            self._pairs = PairLoss(compact, llm_weight, ones, num_threads=num_threads)
            self._build()

    def _build(self):
        """Make the kernel's matrices, each row divided by its weight."""
        factors, pairs = self._x.shape[1], self._pairs
        n_users = len(self.users)
        directions = pairs.directions(slice(0, n_users), slice(0, len(pairs.users)))
        rows = np.repeat(np.arange(n_users), np.diff(directions.indptr))
        directions.data /= self._x_weight[rows, 0]
        self._user_half = HalfSweep(
            sp.csr_matrix((n_users, factors), dtype=np.float32),
            factors,
            rhs_rows=np.arange(n_users),
            directions=directions,
        )
        n_rows = len(pairs.item_rows)
        curvature = pairs.item_entries(n_users)[pairs.item_rows]
        rows = np.repeat(np.arange(n_rows), np.diff(curvature.indptr))
        curvature.data /= (self._y_weight[pairs.item_rows, 0] + self._prior_weight)[rows]
        self._item_half = HalfSweep(
            sp.csr_matrix((n_rows, factors), dtype=np.float32),
            factors,
            rhs_rows=np.arange(n_rows),
            directions=curvature,
        )
        # What stays the same in all sweeps: the right-hand sides that keep rows at their centers.
        user_metric, item_metric = (metric.astype(np.float32) for metric in self._metrics)
        self._x_stay = self._x_center @ user_metric
        self._y_stay = self._y_center[pairs.item_rows] @ item_metric
        # The kernel makes the metrics of these rows, as the Gram matrix of all that it is given.
        self._user_half.others[:] = np.linalg.cholesky(self._metrics[0]).T
        self._item_half.others[:] = np.linalg.cholesky(self._metrics[1]).T

    def sweep(self):
        """Update the users, then the items, then the feature prior."""
        with single_threaded_blas():
            if self._pairs is not None:
                self._sweep_users()
            self._sweep_items()
            if self._prior is not None:
                self._prior.fit(self._y)

    def _sweep_users(self):
        pull = self._pairs.user_side(self._x, self._y, self._user_half.directions)
        pull /= self._x_weight
        pull += self._x_stay
        self._user_half.set_rhs(pull)
        self._user_half.solve(self._x, 0.0, self.num_threads, self.cg_steps)

    def _sweep_items(self):
        weight = self._y_weight + self._prior_weight
        target = self._y_center
        if self._prior is not None:
            target = (self._y_weight * target + self._prior_weight * self._prior.mean()) / weight
        if self._pairs is None:
            self._y[:] = target
            return
        rows = self._pairs.item_rows
        pull = self._pairs.item_side(self._x, self._y)
        pull /= weight[rows]
        pull += self._y_stay if self._prior is None else target[rows] @ self._metrics[1]
        solved = self._y[rows]
        np.multiply(self._x, np.float32(DIRECTION_SCALE), out=self._item_half.directions)
        self._item_half.set_rhs(pull)
        self._item_half.solve(solved, 0.0, self.num_threads, self.cg_steps)
        self._y[:] = target
        self._y[rows] = solved

    @property
    def user_factors(self):
        """All user factors, a copy, (n_users, k) float32."""
        return _with_rows(self._centers[0], self.users, self._x)

    @property
    def item_factors(self):
        """All item factors, a copy, (n_items, k) float32."""
        return _with_rows(self._centers[1], self.items, self._y)

    @property
    def is_finite(self):
        """Whether the factors that may move are."""
        return are_finite(self._x, self._y)

    def loss(self):
        """Return the objective at the current factors, summed in float64."""
        x, y = self._x.astype(np.float64), self._y.astype(np.float64)
        loss = _squares(x - self._x_center, self._metrics[0]) @ self._x_weight[:, 0]
        loss += _squares(y - self._y_center, self._metrics[1]) @ self._y_weight[:, 0]
        if self._prior is not None:
            root = np.linalg.cholesky(self._metrics[1])
            loss += self._prior_weight * self._prior.loss(y, root)
        if self._pairs is not None:
            loss += self._pairs.loss(x, y)
        return float(loss)


def shrink_to_features(factors, weights, features, prior_weight):
    r"""Minimize the objective without pairs over items and W, in closed form.

    With :math:`w_i = \rho_i / (\rho_i + s)`, W is the ridge regression of :math:`\bar y_i` on
    :math:`f_i` with weights :math:`w_i`, and
    :math:`y_i = w_i \bar y_i + (1 - w_i) W^T f_i`.

    Parameters
    ----------
    factors : ndarray of shape (n_items, k), float32
        :math:`\bar y_i`.
    weights : ndarray of shape (n_items,)
        :math:`\rho_i` >= 0.
    features : csr_matrix of shape (n_items, n_features), float32
    prior_weight : float
        :math:`s` > 0.

    Returns
    -------
    factors : ndarray of shape (n_items, k), float32
    """
    share = (weights / (weights + prior_weight)).astype(np.float32)
    root = np.sqrt(share)
    prior = FeaturePrior(features, root)
    prior.fit(root[:, np.newaxis] * factors)
    return share[:, np.newaxis] * factors + (1 - share[:, np.newaxis]) * prior.predict(features)


def _squares(rows, metric):
    return np.einsum("nk,kl,nl->n", rows, metric, rows, optimize=True)


def _with_rows(factors, rows, values):
    changed = factors.copy()
    changed[rows] = values
    return changed

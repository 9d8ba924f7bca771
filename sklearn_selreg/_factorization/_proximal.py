r"""Regularization of pretrained factors: a proximal term, a feature prior and preferences.

With pretrained users :math:`\bar x_u` and items :math:`\bar y_i`, their weights :math:`\rho_u` and
:math:`\rho_i`, item features :math:`f_i`, a weight :math:`s` of the prior, positive definite
metrics A and B (:math:`|x|_A^2 = x^T A x`), fixed biases :math:`b_{ui}`, pair weights
:math:`a_{uij} \ge 0` and margins :math:`m_{uij}`, the objective is

.. math::

    \sum_u \rho_u |x_u - \bar x_u|_A^2 + \sum_i \rho_i |y_i - \bar y_i|_B^2
    + s \Big(\sum_i |y_i - W^T f_i|_B^2 + \kappa |W|_B^2\Big)
    + \mu \sum_{u,\, i \succ j} a_{uij} \max(0, m_{uij} - z_{uij})^2,
    \qquad z_{uij} = x_u \cdot (y_i - y_j) + b_{ui} - b_{uj}

With the covariance of the items as A and the second moment of the users as B, the proximal terms
are the mean squared changes of a user's and of an item's scores, so preferences are satisfied where
other scores change least. Rows without pairs have a closed form, which does not depend on B. Only
rows with pairs enter the least squares problems; without features, all others stay untouched. The
problems are solved as in ``_als``, after a change of basis by a Cholesky factor of the metric that
turns it into the identity.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from .._data._finite import are_finite
from ._feature_prior import FeaturePrior
from ._half_sweep import HalfSweep, aligned
from ._slate_terms import kernel_terms, pair_loss
from ._threads import threads, useful_threads

_CG_STEPS = 3


class ProximalProblem:
    r"""Alternating least squares around given factors, sweep by sweep.

    Parameters
    ----------
    user_center, item_center : ndarrays of shape (n_users, k) and (n_items, k), float32
        :math:`\bar x_u` and :math:`\bar y_i`; not modified.
    user_weights, item_weights : ndarrays of shape (n_users,) and (n_items,)
        :math:`\rho_u` > 0 and :math:`\rho_i` > 0; with features, :math:`\rho_i` may be 0.
    user_metric, item_metric : ndarrays of shape (k, k), float64
        A and B.
    items_start : ndarray of shape (n_items, k), float32, or None
        Initial item factors. If None, `item_center`.
    features : csr_matrix of shape (n_items, n_features), float32, or None
    prior_weight : float
        :math:`s` > 0; ignored without features.
    slates : SlateTerms or None
        Pairwise preferences.
    llm_weight : float
        :math:`\mu`.
    num_threads, cg_steps : int
        As in `RegularizedALS`.

    Attributes
    ----------
    users, items : ndarrays of int, sorted
        Rows that may change: users with pairs, and items with pairs (with features, all items).

    Notes
    -----
    Pairs are majorized as in `RegularizedALS`, so no sweep increases the loss.
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
        cg_steps=_CG_STEPS,
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
        self._x = user_center[self.users].astype(np.float64)
        self._y = start[self.items].astype(np.float64)
        self._x_center, self._y_center = self._x.copy(), item_center[self.items].astype(np.float64)
        self._x_weight = user_weights[self.users].astype(np.float32)
        self._y_weight = item_weights[self.items].astype(np.float32)
        self._prior, self._prior_weight = None, np.float32(0)
        if features is not None:
            self._prior, self._prior_weight = FeaturePrior(features), np.float32(prior_weight)
        self._pairs = None
        if slates is not None:
            items = np.searchsorted(self.items, np.where(used, slates.items, self.items[:1]))
            users = users.astype(np.intp)
            self._pairs = replace(slates, users=users, items=items), llm_weight
            self._build()

    def _build(self):
        shape = len(self._x), len(self._y)
        nothing = sp.csr_matrix(shape, dtype=np.float32)
        of_users, of_items = kernel_terms(*self._pairs, *shape)
        self._user_half = HalfSweep(nothing, self._x_weight, pairs=of_users)
        item_weight = self._y_weight + self._prior_weight
        self._item_half = HalfSweep(nothing.T.tocsr(), item_weight, pairs=of_items)

    def sweep(self):
        """Update the users, then the items, then the feature prior."""
        n_products = self._x.size + self._y.size
        with threads(useful_threads(self.num_threads, n_products)) as run:
            target = self._y_center
            if self._prior is not None:
                share = (self._y_weight / (self._y_weight + self._prior_weight))[:, np.newaxis]
                target = share * target + (1 - share) * self._prior.expected(self._y, run)
            if self._pairs is None:
                self._y = target
                return
            for half, metric, side in (
                (self._user_half, self._metrics[0], (self._x, self._y, self._x_center)),
                (self._item_half, self._metrics[1], (self._y, self._x, target)),
            ):
                self._solve(half, np.linalg.cholesky(metric), *side, run)

    def _solve(self, half, root, rows, others, center, run):
        """Solve for rows in place, in the basis in which the metric root @ root.T is identity."""
        inverse = np.linalg.inv(root)
        solved, near = aligned(rows @ root), (center @ root).astype(np.float32)
        half.solve(solved, aligned(others @ inverse.T), prior=near, steps=self.cg_steps, run=run)
        rows[:] = center + (solved - near.astype(np.float64)) @ inverse

    @property
    def user_factors(self):
        """Copy of all user factors, (n_users, k) float32."""
        return _with_rows(self._centers[0], self.users, self._x)

    @property
    def item_factors(self):
        """Copy of all item factors, (n_items, k) float32."""
        return _with_rows(self._centers[1], self.items, self._y)

    @property
    def is_finite(self):
        """Whether the factors that may change are finite."""
        return are_finite(self._x, self._y)

    def loss(self):
        """Objective at the current factors, summed in float64."""
        x, y = self._x, self._y
        loss = _squares(x - self._x_center, self._metrics[0]) @ self._x_weight
        loss += _squares(y - self._y_center, self._metrics[1]) @ self._y_weight
        if self._prior is not None:
            root = np.linalg.cholesky(self._metrics[1])
            loss += self._prior_weight * self._prior.loss(y, root)
        if self._pairs is not None:
            loss += pair_loss(*self._pairs, x, y)
        return float(loss)


def shrink_to_features(factors, weights, features, prior_weight):
    r"""Minimize the objective without pairs over the items and W in closed form.

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
    return lean_on(FeaturePrior(features, share).expected(factors), factors, weights, prior_weight)


def lean_on(expected, factors, weights, prior_weight):
    """Weighted mean of factors and their expected values, float32."""
    share = (weights / (weights + prior_weight)).astype(np.float32)[:, np.newaxis]
    return share * factors + (1 - share) * expected


def _squares(rows, metric):
    return np.einsum("nk,kl,nl->n", rows, metric, rows, optimize=True)


def _with_rows(factors, rows, values):
    changed = factors.copy()
    changed[rows] = values
    return changed

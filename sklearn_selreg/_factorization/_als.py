r"""Alternating least squares with a feature prior and pairwise preferences.

The only module that knows the internals of ``implicit``. It knows matrices and weights, and nothing
of judges, gates or tables.

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
"Collaborative filtering for implicit feedback datasets", as minimized by ``implicit``.

Everything is solved in scaled item factors :math:`\tilde y_i = \sqrt{c_i} y_i`, for which missing
entries weigh 1 again, by the compiled conjugate gradient kernel of ``implicit``. Each half-sweep is
one call of it. What the kernel does not know is put in as *pseudo-rows*: an entry of confidence
:math:`-(1 + w)` on row v adds :math:`w\,v v^T` to the normal equations and nothing to the
right-hand side; an entry of confidence 1 / d on row d b adds b to the right-hand side and a
negligible :math:`d\,b b^T` to the matrix. The kernel sums a Gram matrix over the rows it is given;
pseudo-rows are kept out of it, as they lie behind these in the same array (see `HalfSweep`).
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from implicit.cpu._als import _least_squares_cg
from implicit.cpu.topk import topk
from threadpoolctl import ThreadpoolController

from .._data._csr import gram, is_dense
from .._data._finite import are_finite, quiet

CG_STEPS = 3  # of a half-sweep, warm-started; implicit's own number
# Items that a feature must have, about, to count half. With 1 features explain what is noise of
# the items they are learned from, and nothing is left to regularize.
FEATURE_RIDGE = 8.0

# The kernel calls BLAS from threads of its own. Finding the libraries takes milliseconds: once.
_THREADPOOLS = ThreadpoolController()

DIRECTION_SCALE = 2.0**-30  # so that 1 + w / e ** 2 loses nothing of a small w in float32
_RHS_SCALE = 2.0**-40
_PRODUCTS_WORTH_THREADS = 2**20  # some milliseconds; waking threads may take longer
_SLATES_PER_CHUNK = 128  # 20 candidates and 64 factors: 0.7 MB, stays in the cache
_BLOCK = 2**14  # pseudo-rows of a block of users, at most; 64 factors: 4 MB
_ENTRIES_PER_ROW = 8  # what a block takes for as many entries counts as a pseudo-row
_ENTRIES_PER_PART = 2**16  # of a matrix that grows in place; a part is held twice
_JITTER = 1e-12  # of the largest degree of a slate: what is singular has a Cholesky factor too


@dataclass(frozen=True, eq=False)
class SlateTerms:
    """Weighted preferences of users between the items of slates.

    Attributes
    ----------
    users : ndarray of shape (n_slates,), int
        Row of the user each slate belongs to, not decreasing.
    items : ndarray of shape (n_slates, slate_size), int
        Columns of the candidates; places without a candidate hold 0 and have no weights.
    weights : ndarray of shape (n_slates, slate_size * (slate_size - 1) / 2), float32
        Of each pair of places, in the order of ``np.triu_indices(slate_size, 1)``: the weight of
        "first above second", or minus the weight of "second above first".
    margins : ndarray of the same shape, float32
        By how much each preferred candidate should be scored higher; beyond it the pair does
        nothing.
    bias : ndarray of shape (n_slates, slate_size), float32, or None
        Of the candidates' scores, :math:`b_{ui}`; None: 0.
    """

    users: np.ndarray
    items: np.ndarray
    weights: np.ndarray
    margins: np.ndarray
    bias: np.ndarray | None = None

    @classmethod
    def from_matrices(cls, users, items, weights, margin, bias=None):
        """Make terms with one margin; `weights` as `pack_pairs` takes them."""
        weights = pack_pairs(weights)
        margins = np.broadcast_to(np.float32(margin), weights.shape)
        return cls(users, items, weights, margins, bias)

    def matrices(self, which=slice(None)):
        """Return the weights of some slates, as `pack_pairs` takes them."""
        weights, size = self.weights[which], self.items.shape[1]
        first, second = np.triu_indices(size, 1)
        matrices = np.zeros((len(weights), size, size), dtype=np.float32)
        matrices[:, first, second] = np.maximum(weights, 0)
        matrices[:, second, first] = np.maximum(-weights, 0)
        return matrices

    def margin_matrices(self, which=slice(None)):
        """Return the margins of some slates, the same for a pair and its reverse."""
        margins, size = self.margins[which], self.items.shape[1]
        first, second = np.triu_indices(size, 1)
        matrices = np.zeros((len(margins), size, size), dtype=np.float32)
        matrices[:, first, second] = matrices[:, second, first] = margins
        return matrices

    def of_users(self, rows, shares, item_bias):
        """Return the slates of some users, who are numbered anew.

        Parameters
        ----------
        rows : ndarray of int, sorted
            The users.
        shares : ndarray of shape (n_rows, n_periods), float32
            Their periods.
        item_bias : ndarray of shape (n_items, n_periods), float32
            In each period; of 0 periods if there is none.
        """
        which = np.isin(self.users, rows)
        users, items, bias = np.searchsorted(rows, self.users[which]), self.items[which], None
        if self.bias is not None:
            bias = np.einsum("sp,sip->si", shares[users], item_bias[items])
        return SlateTerms(users, items, self.weights[which], self.margins[which], bias)

    def weighted(self, which=slice(None)):
        """Return which candidates of some slates are in pairs with a weight, bool."""
        matrices = self.matrices(which)
        return matrices.any(axis=1) | matrices.any(axis=2)


def pack_pairs(weights):
    """Return the weights of pairs as `SlateTerms` has them.

    Parameters
    ----------
    weights : ndarray of shape (n_slates, slate_size, slate_size), float32
        ``weights[s, i, j]`` >= 0 is the weight of "candidate i above candidate j"; of two
        candidates one can be preferred.

    Returns
    -------
    packed : ndarray of shape (n_slates, slate_size * (slate_size - 1) / 2), float32
    """
    first, second = np.triu_indices(weights.shape[1], 1)
    return weights[:, first, second] - weights[:, second, first]


class RegularizedALS:
    r"""Alternating least squares on one interaction matrix, sweep by sweep.

    Parameters
    ----------
    confidence : csr_matrix of shape (n_users, n_items), float32
        Confidences of the observed interactions, > 0.
    user_factors, item_factors : ndarrays of shape (n_users, k) and (n_items, k), float32
        Factors to start from; they are copied.
    regularization : float
        :math:`\lambda`.
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
        Threads of the kernel; 0 = all cores. The result does not depend on it.
    cg_steps : int
        Conjugate gradient steps of a half-sweep.

    Notes
    -----
    The squared hinge is majorized at the current factors: with :math:`z_0` the current difference,
    :math:`\max(0, m - z)^2 \le (t - z)^2` at :math:`t = \max(m, z_0)`. In a user half-sweep the
    pairs of a slate are the quadratic form of its weighted graph Laplacian L, whose Cholesky factor
    makes at most slate_size - 1 rank-one terms of it. In an item half-sweep both items of a pair
    move; :math:`(d_i - d_j)^2 \le 2 d_i^2 + 2 d_j^2` separates them. So no sweep raises the loss.
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
    ):
        self.regularization = regularization
        self.item_regularization = item_regularization or regularization
        self.num_threads = num_threads
        self.cg_steps = cg_steps
        self._confidence = confidence
        self._prior = None
        self._root = np.ones(confidence.shape[1], dtype=np.float32)
        kernel, pull, self._pull_t = confidence, None, None
        if missing_weights is not None:
            self._root = np.sqrt(missing_weights).astype(np.float32)
            kernel, pull = scaled_confidence(confidence, self._root)
            self._pull_t = pull.T.tocsr()
        if features is not None:
            self._prior = FeaturePrior(features, self._root)
        self._pairs = None
        if slates is not None and llm_weight > 0:
            self._pairs = PairLoss(slates, llm_weight, self._root, num_threads=num_threads)
        self._build(kernel, pull, np.shape(user_factors)[1])
        self._x[:] = user_factors
        self._y[:] = self._root[:, np.newaxis] * item_factors
        self._fit_prior()

    def _build(self, kernel, pull, factors):
        n_users, n_items = kernel.shape
        pairs, entries = self._pairs, None
        # Where nothing but entries of the kernel's own kind is needed, there are no pseudo-rows
        # and the sweep is implicit's own.
        item_rows = np.empty(0, dtype=np.intp)
        if pairs is not None:
            item_rows, entries = pairs.item_rows, pairs.item_entries(n_users)
            entries.data = -(1 + entries.data)
        if pull is not None or self._prior is not None:
            item_rows = np.arange(n_items)
        if pairs is not None:
            self._item_pairs_at = np.searchsorted(item_rows, pairs.item_rows)
        self._item_half = HalfSweep(
            kernel.T.tocsr(), factors, rhs_rows=item_rows, entries=entries, in_place=True
        )
        # Users do not depend on each other: each thread holds the pseudo-rows of one block.
        n_pseudo = np.zeros(n_users, dtype=np.int64)
        if pull is not None:
            n_pseudo += 1
        if pairs is not None:
            n_pseudo += pairs.directions_of_users(n_users)
            if pull is None:
                n_pseudo[pairs.user_rows] += 1
        blocks, n_held, first = [slice(0, n_users)], 0, 0
        if n_pseudo.any():
            sizes = n_pseudo + np.diff(kernel.indptr) // _ENTRIES_PER_ROW
            blocks, first = _cut(sizes, _BLOCK), factors
            n_held = max(n_pseudo[block].sum() for block in blocks)
        self._user_blocks = [_UserBlock(kernel, pull, pairs, block) for block in blocks]
        n_threads = min(self.num_threads or os.cpu_count(), len(blocks))
        buffer = np.zeros((first + n_items + n_threads * n_held, factors), dtype=np.float32)
        self._places = [
            Place(buffer, first, first + n_items + thread * n_held) for thread in range(n_threads)
        ]
        # The factors live in the arrays that the kernel reads: a sweep copies none of them.
        self._x, self._y = self._item_half.others, buffer[first : first + n_items]

    @property
    def user_factors(self):
        """Current user factors, a copy, (n_users, k) float32."""
        return self._x.copy()

    @property
    def item_factors(self):
        """Current item factors, a copy, (n_items, k) float32."""
        return self._y / self._root[:, np.newaxis]

    @property
    def is_finite(self):
        """Whether the factors are; one user that is not makes all items so in a sweep."""
        return are_finite(self._y)

    def release(self):
        """Return user and item factors, without copying what fills its array; this is the end."""
        x, y = self._x, self._y
        if x.base.size > 1.5 * x.size:
            x = x.copy()
        if y.base.size > 1.5 * y.size or (self._root != 1).any():
            y = self.item_factors
        return x, y

    def sweep(self):
        """Update the users, then the items, then the feature prior."""
        with single_threaded_blas(), quiet():
            self._sweep_users(self.cg_steps)
            self._sweep_items()
            self._fit_prior()

    def solve_users(self, cg_steps=None):
        """Solve for the users and return their factors, (n_users, k) float32.

        `cg_steps` None: to convergence.
        """
        with single_threaded_blas(), quiet():
            self._sweep_users(cg_steps or 2 * self._x.shape[1])
        return self.user_factors

    def _sweep_users(self, cg_steps):
        place = self._places[0]
        if place.first:
            # Once for all blocks: rows with the same Gram matrix.
            eigenvalues, vectors = np.linalg.eigh((self._y.T @ self._y).astype(np.float64))
            place.buffer[: place.first] = (vectors * np.sqrt(np.maximum(eigenvalues, 0))).T
        if len(self._user_blocks) == 1:
            num_threads = self.num_threads
            return self._sweep_block(self._user_blocks[0], place, num_threads, cg_steps)
        # A thread for each block: the kernel's own would wait for each other in every call.
        free = SimpleQueue()
        for place in self._places:
            free.put(place)

        def do(block):
            place = free.get()
            self._sweep_block(block, place, 1, cg_steps)
            free.put(place)

        if len(self._places) == 1:
            for block in self._user_blocks:
                do(block)
            return None
        with ThreadPoolExecutor(len(self._places)) as pool:
            return list(pool.map(do, self._user_blocks))

    def _sweep_block(self, block, place, num_threads, cg_steps):
        half = block.half(place)
        rhs = None if block.pull is None else block.pull @ self._y
        if block.n_slates:
            slates = block.slates
            pull = self._pairs.user_side(self._x, self._y, half.directions, slates, num_threads)
            rhs = _add_rows(rhs, block.pairs_at, pull)
        half.set_rhs(rhs)
        half.solve(self._x[block.users], self.regularization, num_threads, cg_steps)

    def _sweep_items(self):
        rhs = None if self._pull_t is None else self._pull_t @ self._x
        if self._prior is not None:
            expected = np.float32(self.item_regularization) * self._prior.mean()
            rhs = expected if rhs is None else rhs + expected
        if self._pairs is not None:
            pull = self._pairs.item_side(self._x, self._y)
            rhs = _add_rows(rhs, self._item_pairs_at, pull)
        self._item_half.set_rhs(rhs)
        self._item_half.solve(self._y, self.item_regularization, self.num_threads, self.cg_steps)

    def _fit_prior(self):
        if self._prior is not None:
            self._prior.fit(self._y)

    def loss(self):
        """Return the objective at the current factors, summed in float64."""
        x, y = self._x.astype(np.float64), self._y.astype(np.float64)
        loss = np.sum((x.T @ x) * (y.T @ y)) + self.regularization * np.sum(x**2)
        if self._prior is None:
            loss += self.item_regularization * np.sum(y**2)
        else:
            loss += self.item_regularization * self._prior.loss(y)
        confidence = self._confidence
        rows = np.repeat(np.arange(len(x)), np.diff(confidence.indptr))
        for start in range(0, confidence.nnz, 2**20):
            chunk = slice(start, start + 2**20)
            items = confidence.indices[chunk]
            scaled = np.einsum("nk,nk->n", x[rows[chunk]], y[items])
            loss += np.sum(confidence.data[chunk] * (1 - scaled / self._root[items]) ** 2)
            loss -= np.sum(scaled**2)
        if self._pairs is not None:
            loss += self._pairs.loss(x, y)
        return float(loss)


class _UserBlock:
    """The half-sweep of some users, and what is needed for its right-hand sides.

    Attributes
    ----------
    users, slates : slice
        Rows of the users, and of their slates.
    n_slates : int
    pairs_at : ndarray of int
        Which of the right-hand sides are those of users with slates.
    pull : csr_matrix of shape (n_block, n_items) or None
        See `scaled_confidence`.
    """

    def __init__(self, kernel, pull, pairs, users):
        self.users, self.slates, self.n_slates = users, slice(0, 0), 0
        self.pull = None if pull is None else _rows_of(pull, users)
        self._kernel = _rows_of(kernel, users)
        self._rhs_rows, self._pairs = np.empty(0, dtype=np.intp), pairs
        if pairs is not None:
            self.slates = _within(pairs.users, users)
            self.n_slates = self.slates.stop - self.slates.start
            self._rhs_rows = pairs.user_rows[_within(pairs.user_rows, users)] - users.start
        judged = self._rhs_rows
        if pull is not None:
            self._rhs_rows = np.arange(users.stop - users.start)
        self.pairs_at = np.searchsorted(self._rhs_rows, judged)

    def half(self, place):
        """Return the `HalfSweep`. Its matrix is made each time: that is fast, and it is large."""
        directions = None
        if self.n_slates:
            directions = self._pairs.directions(self.users, self.slates)
        return HalfSweep(
            self._kernel, rhs_rows=self._rhs_rows, directions=directions, place=place
        )  # fmt: skip


def _rows_of(matrix, rows):
    """Return a slice of the rows of a CSR matrix, without copying its entries."""
    indptr = matrix.indptr[rows.start : rows.stop + 1]
    entries = slice(indptr[0], indptr[-1])
    return sp.csr_matrix(
        (matrix.data[entries], matrix.indices[entries], indptr - indptr[0]),
        shape=(rows.stop - rows.start, matrix.shape[1]),
    )


def _within(sorted_rows, block):
    """Return where sorted row numbers lie within a slice of rows."""
    return slice(*np.searchsorted(sorted_rows, [block.start, block.stop]).tolist())


def _cut(sizes, most):
    """Cut rows into consecutive slices, each with a total size of `most` or with one row."""
    total, blocks, start = np.append(0, np.cumsum(sizes)), [], 0
    while start < len(sizes):
        stop = int(np.searchsorted(total, total[start] + most, side="right")) - 1
        blocks.append(slice(start, min(max(stop, start + 1), len(sizes))))
        start = blocks[-1].stop
    return blocks


def scaled_confidence(confidence, root):
    r"""Split confidences for scaled item factors into kernel entries and a right-hand side.

    Parameters
    ----------
    confidence : csr_matrix of shape (n_rows, n_items), float32
    root : ndarray of shape (n_items,), float32
        Square roots of the missing entries' weights :math:`c_i`.

    Returns
    -------
    kernel : csr_matrix
        :math:`-c_{ui} / c_i`: curvature alone.
    pull : csr_matrix
        :math:`c_{ui} / \sqrt{c_i}`: the right-hand side for a target of 1 is ``pull @ y``.
    """
    scale = root[confidence.indices]
    places = confidence.indices, confidence.indptr  # shared by all three
    pull = sp.csr_matrix((confidence.data / scale, *places), confidence.shape)
    kernel = sp.csr_matrix((-pull.data / scale, *places), confidence.shape)
    return kernel, pull


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
    regularization : float
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


def top_k(user_factors, item_factors, k, *, seen=None, num_threads=0):
    """Find the best items of users by implicit's compiled top-k.

    Parameters
    ----------
    user_factors, item_factors : ndarrays of shape (n_users, f) and (n_items, f), float32
    k : int
        At most the number of items.
    seen : csr_matrix of shape (n_users, n_items) or None
        Items that are no candidates.
    num_threads : int

    Returns
    -------
    items : ndarray of shape (n_users, k), int32
        Best first; -1 where a user has too few candidates.
    scores : ndarray of shape (n_users, k), float32
        NaN there.
    """
    rows = None if seen is None else _SeenRows(seen)
    num_threads = useful_threads(num_threads, len(user_factors) * item_factors.size)
    with single_threaded_blas():
        items, scores = topk(
            item_factors, user_factors, k, filter_query_items=rows, num_threads=num_threads
        )
    missing = scores == -np.finfo(np.float32).max  # what it gives items in `seen`
    return np.where(missing, -1, items), np.where(missing, np.float32(np.nan), scores)


class _SeenRows:
    """The rows of a CSR matrix as topk reads them; scipy's own take longer than the ranking."""

    def __init__(self, matrix):
        self._indptr, self._indices = matrix.indptr.tolist(), matrix.indices

    def __getitem__(self, row):
        return _SeenRow(self._indices[self._indptr[row] : self._indptr[row + 1]])


class _SeenRow(NamedTuple):
    indices: np.ndarray


def useful_threads(num_threads, n_products):
    """Return 1 for small work, which threads take longer to share than to do.

    Parameters
    ----------
    num_threads : int
        0: all cores.
    n_products : int
        Multiplications to do, about.
    """
    return 1 if n_products < _PRODUCTS_WORTH_THREADS else num_threads


def single_threaded_blas():
    return _THREADPOOLS.limit(limits=1, user_api="blas")


class FeaturePrior:
    """Ridge regression W of scaled item factors on scaled features."""

    def __init__(self, features, root):
        if is_dense(features):  # such as embeddings: BLAS is faster by far
            self._features = features.toarray()
            self._features *= root[:, np.newaxis]
            moments = gram(features, root.astype(np.float64) ** 2)
        else:
            self._features = sp.csr_matrix(sp.diags(root) @ features, dtype=np.float32)
            moments = gram(self._features)
        moments[np.diag_indices_from(moments)] += FEATURE_RIDGE
        self._gram = scipy.linalg.cho_factor(moments, overwrite_a=True, check_finite=False)
        self._coefficients = None

    def fit(self, y):
        rhs = (self._features.T @ y).astype(np.float64)
        # Factors that are not finite are told of by who watches the sweeps.
        solved = scipy.linalg.cho_solve(self._gram, rhs, check_finite=False)
        self._coefficients = solved.astype(np.float32)

    def mean(self):
        """Return what items are expected to be from their features, scaled, (n_items, k)."""
        return self._features @ self._coefficients

    def predict(self, features):
        """Return what other, unscaled features lead to expect, (n, k)."""
        return features @ self._coefficients

    def loss(self, y, root=None):
        """Return the ridge regression's objective; `root` @ `root`.T is a metric, None: 1."""
        distance, coefficients = y - self.mean(), self._coefficients.astype(np.float64)
        if root is not None:
            distance, coefficients = distance @ root, coefficients @ root
        return np.sum(distance**2) + FEATURE_RIDGE * np.sum(coefficients**2)


class PairLoss:
    """The pairs of slates as additions to the normal equations of both half-sweeps.

    Of a slate the weights and a Cholesky factor are held, both without their zeros.

    Attributes
    ----------
    users : ndarray of shape (n_slates,), int
        Row of the user each slate belongs to, not decreasing.
    user_rows, item_rows : ndarrays of int, sorted
        Users and items with pairs: the rows that `user_side` and `item_side` return.
    """

    def __init__(self, slates, llm_weight, root, num_threads=0):
        self.users, self._weights, self._bias = slates.users, slates.weights, slates.bias
        self._items = slates.items.astype(np.int32, copy=False)
        self._llm_weight, self._margins = np.float32(llm_weight), slates.margins
        self._n_items = len(root)
        self._root = None if (root == 1).all() else root
        self._num_threads = num_threads or os.cpu_count()

        size = slates.items.shape[1]
        self._pairs = np.triu_indices(size, 1)
        pair = np.arange(len(self._pairs[0]))
        self._difference = np.zeros((len(pair), size), dtype=np.float32)
        self._difference[pair, self._pairs[0]] = 1
        self._difference[pair, self._pairs[1]] = -1

        self._triangle = np.tril_indices(size)
        self._diagonal = np.flatnonzero(self._triangle[0] == self._triangle[1])
        shape = len(self.users), len(self._triangle[0])
        self._half = np.empty(shape, dtype=np.float32)
        n_directions = np.empty(len(self.users), dtype=np.int64)
        has_pairs = np.zeros(len(root), dtype=bool)
        self._each_chunk(lambda chunk: self._decompose(chunk, n_directions, has_pairs))
        self._first_direction = np.append(0, np.cumsum(n_directions))
        self.user_rows, self._first_slate = np.unique(self.users, return_index=True)
        self.item_rows = np.flatnonzero(has_pairs)

    def directions_of_users(self, n_users):
        """Return the number of slate directions of each user, (n_users,)."""
        return np.diff(self._first_direction[np.searchsorted(self.users, np.arange(n_users + 1))])

    def directions(self, users, slates):
        """Return kernel entries of consecutive users on the directions of their slates.

        Parameters
        ----------
        users, slates : slice

        Returns
        -------
        curvature : csr_matrix of shape (n_block, n_directions), float32
            Along each of the unscaled directions.
        """
        first_slate = np.searchsorted(self.users, np.arange(users.start, users.stop + 1))
        indptr = (self._first_direction[first_slate] - self._first_direction[slates.start]).astype(
            np.int32
        )
        n_directions = indptr[-1]
        return sp.csr_matrix(
            (
                np.full(n_directions, self._llm_weight),
                np.arange(n_directions, dtype=np.int32),
                indptr,
            ),
            shape=(len(indptr) - 1, n_directions),
        )

    def item_entries(self, n_users):
        """Return the curvature of items along their users, (n_items, n_users) csr float32."""
        degrees = np.empty(self._items.shape, dtype=np.float32)

        def do(chunk):
            degrees[chunk] = 2 * self._llm_weight * self._degrees(chunk)
            if self._root is not None:
                degrees[chunk] /= self._root[self._items[chunk]] ** 2

        self._each_chunk(do)
        entries = self._by_user(degrees, n_users)
        if not degrees.all():
            entries = entries.copy()  # it shares the items
            entries.eliminate_zeros()
        return entries.T.tocsr()

    def _by_user(self, values, n_users):
        """Return values of candidates as a matrix of users and items, (n_users, n_items) csr."""
        size = self._items.shape[1]
        indptr = size * np.searchsorted(self.users, np.arange(n_users + 1))
        dtype = np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64
        places = self._items.reshape(-1).astype(dtype, copy=False), indptr.astype(dtype)
        return sp.csr_matrix((values.reshape(-1), *places), (n_users, self._n_items))

    def _each_chunk(self, do, slates=slice(None), num_threads=None):
        """Call a function for each chunk of slates; numpy computes on all threads at once."""
        start, stop, _ = slates.indices(len(self.users))
        size = _SLATES_PER_CHUNK
        chunks = [slice(first, min(first + size, stop)) for first in range(start, stop, size)]
        n_threads = min(num_threads or self._num_threads, len(chunks))
        if n_threads < 2:
            return [do(chunk) for chunk in chunks]
        with single_threaded_blas(), ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(do, chunks))

    def _degrees(self, chunk):
        """Return the sum of the weights of each candidate's pairs, (n_slates, slate_size)."""
        return np.abs(self._weights[chunk]) @ np.abs(self._difference)

    def _decompose(self, chunk, n_directions, has_pairs):
        """Take the Laplacians of some slates apart into directions."""
        weights = np.abs(self._weights[chunk], dtype=np.float64)
        degrees = weights @ np.abs(self._difference, dtype=np.float64)
        connected = degrees > 0
        has_pairs[self._items[chunk][connected]] = True
        first, second = self._pairs
        place = np.arange(degrees.shape[1])
        laplacian = np.zeros((*degrees.shape, len(place)))
        laplacian[:, second, first] = -weights
        jitter = _JITTER * degrees.max(axis=1, keepdims=True)
        laplacian[:, place, place] = np.where(connected, degrees + jitter, 1)
        lower = np.linalg.cholesky(laplacian)
        # The rank of n connected candidates is n - 1: there is nothing left for the last.
        last = len(place) - 1 - np.argmax(connected[:, ::-1], axis=1)
        connected[np.arange(len(last)), last] = False
        n_directions[chunk] = connected.sum(axis=1)
        lower *= DIRECTION_SCALE * connected[:, np.newaxis]  # a power of two: nothing is lost
        self._half[chunk] = lower[:, self._triangle[0], self._triangle[1]]

    def _directions_of(self, candidates, chunk, out):
        """Write the directions of some slates, scaled, (n_directions, k)."""
        packed = self._half[chunk]
        row, column = self._triangle
        half = np.zeros((*candidates.shape[:2], candidates.shape[1]), dtype=np.float32)
        half[:, column, row] = packed
        if len(out) == len(half) * (half.shape[1] - 1):  # all slates are full: no copy
            out = out.reshape(len(half), -1, out.shape[1])
            np.matmul(half[:, :-1], candidates, out=out)
            return
        rows = np.flatnonzero(packed[:, self._diagonal])
        every = (half @ candidates).reshape(-1, out.shape[1])
        np.take(every, rows, axis=0, out=out, mode="clip")

    def _candidates(self, x, y, chunk):
        """Return the factors and the scores (without bias) of the candidates of one chunk."""
        candidates = np.take(y, self._items[chunk], axis=0)
        if self._root is not None:
            candidates /= self._root[self._items[chunk], np.newaxis]
        return candidates, (candidates @ x[self.users[chunk], :, np.newaxis])[..., 0]

    def _preferred(self, scores, chunk):
        """Return by how much the scores agree with each pair, (n_slates, n_pairs)."""
        return (scores @ self._difference.T) * np.sign(self._weights[chunk])

    def _hinges(self, scores, chunk):
        """Return max(0, margin - z) of all pairs, (n_slates, n_pairs)."""
        total = scores if self._bias is None else scores + self._bias[chunk]
        hinges = self._margins[chunk] - self._preferred(total, chunk)
        return np.maximum(hinges, 0, out=hinges)

    def _targets(self, scores, chunk):
        """Return weight times target of all pairs, the bias taken off, (n_slates, n_pairs)."""
        total = scores if self._bias is None else scores + self._bias[chunk]
        targets = self._preferred(total, chunk)
        np.maximum(targets, self._margins[chunk], out=targets)
        if self._bias is not None:
            targets -= self._preferred(self._bias[chunk], chunk)
        targets *= self._weights[chunk]
        return targets

    def user_side(self, x, y, directions, slates=slice(None), num_threads=None):
        """Write the scaled slate directions into `directions`, return mu Y_S' r, a row per user.

        `slates` are all of some consecutive users. `num_threads` None: as all else.
        """
        first, last, _ = slates.indices(len(self.users))
        factors = x.shape[1]
        pull = np.empty((last - first, factors), dtype=np.float32)

        def do(chunk):
            candidates, scores = self._candidates(x, y, chunk)
            r = self._targets(scores, chunk) @ self._difference
            pull[chunk.start - first : chunk.stop - first] = (r[:, np.newaxis, :] @ candidates)[
                :, 0
            ]
            ends = self._first_direction[[chunk.start, chunk.stop]] - self._first_direction[first]
            self._directions_of(candidates, chunk, directions[slice(*ends)])

        self._each_chunk(do, slates, num_threads)
        first_slate = self._first_slate[_within(self._first_slate, slice(first, last))] - first
        if len(first_slate) < len(pull):
            pull = np.add.reduceat(pull, first_slate)
        return self._llm_weight * pull

    def item_side(self, x, y):
        """Return the right-hand sides of the items with pairs, (len(item_rows), k)."""
        coefficients = np.empty(self._items.shape, dtype=np.float32)

        def do(chunk):
            _, scores = self._candidates(x, y, chunk)
            r = (self._weights[chunk] * self._hinges(scores, chunk)) @ self._difference
            r += 2 * self._degrees(chunk) * scores
            r *= self._llm_weight
            coefficients[chunk] = r if self._root is None else r / self._root[self._items[chunk]]

        self._each_chunk(do)
        return (self._by_user(coefficients, len(x)).T @ x)[self.item_rows]

    def loss(self, x, y):
        """Return the part of the objective, with its weight."""

        def of(chunk):
            _, scores = self._candidates(x, y, chunk)
            return np.sum(np.abs(self._weights[chunk]) * self._hinges(scores, chunk) ** 2)

        return self._llm_weight * sum(self._each_chunk(of))


class Place(NamedTuple):
    """Where in an array the rows are that rows are solved against.

    Attributes
    ----------
    buffer : ndarray of shape (n, k), float32
    first : int
        Of the other side's own rows. Above 0: the kernel makes its Gram matrix of as many rows
        before them, else of their own.
    first_pseudo : int
        Of the pseudo-rows.
    """

    buffer: np.ndarray
    first: int
    first_pseudo: int


class HalfSweep:
    """One call of the kernel: the rows to solve, and all rows they are solved against.

    The kernel is told of the rows alone that it is to make its Gram matrix of. Entries on others
    point behind them, into the same array: the kernel does not check its indices.

    Parameters
    ----------
    confidence : csr_matrix of shape (n_rows, n_others), float32
        Kernel entries of the observed interactions.
    factors : int or None
        None: as `place` has.
    rhs_rows : ndarray of int, sorted
        Rows with a right-hand side of their own.
    directions : csr_matrix of shape (n_rows, n_directions), float32, or None
        Curvature along pseudo-rows, before these are scaled by `DIRECTION_SCALE`.
    entries : csr_matrix of shape (n_rows, n_others), float32, or None
        More kernel entries on the others' own rows.
    place : Place or None
        None: an array of its own.
    in_place : bool
        True: `confidence` is used up, which takes less memory.
    """

    def __init__(
        self,
        confidence,
        factors=None,
        *,
        rhs_rows,
        directions=None,
        entries=None,
        place=None,
        in_place=False,
    ):
        n_rows, n_others = confidence.shape
        n_directions = 0 if directions is None else directions.shape[1]
        n_pseudo = n_directions + len(rhs_rows)
        if place is None:
            buffer = np.zeros((n_others + n_pseudo, factors), dtype=np.float32)
            place = Place(buffer, 0, n_others)
        before, after = place.first, place.first_pseudo - place.first - n_others
        parts = [_nothing(n_rows, before)] if before else []
        parts.append(confidence)
        if entries is not None:
            parts.append(entries)
        if after and n_pseudo:
            parts.append(_nothing(n_rows, after))
        if directions is not None:
            scaled = -(1 + directions.data / np.float32(DIRECTION_SCALE**2))
            places = directions.indices, directions.indptr
            parts.append(sp.csr_matrix((scaled, *places), directions.shape))
        if len(rhs_rows):
            parts.append(_one_in_each(n_rows, rhs_rows))
        folded = n_others if entries is not None else None
        self._matrix = _beside(parts, folded, in_place)
        self._rhs_entries = self._matrix[0][rhs_rows + 1] - 1  # the last of their rows
        rows, (_, first, first_pseudo) = place.buffer, place
        self.others = rows[first : first + n_others]
        self._gram_rows = rows[:first] if first else self.others
        self.directions = rows[first_pseudo : first_pseudo + n_directions]
        self._rhs = rows[first_pseudo + n_directions : first_pseudo + n_pseudo]

    def set_rhs(self, rhs):
        """Set the right-hand sides, (n_rhs_rows, k) or None; d shrinks as they grow."""
        if rhs is None:
            return
        with quiet():
            _, exponent = np.frexp(np.einsum("nk,nk->n", rhs, rhs))  # squared norms < 2 ** exponent
            scale = np.ldexp(_RHS_SCALE, -np.maximum(exponent, 0))
            np.multiply(rhs, scale[:, np.newaxis], out=self._rhs, casting="same_kind")
            self._matrix[2][self._rhs_entries] = 1 / scale

    def solve(self, rows, regularization, num_threads, cg_steps):
        """Update `rows` in place, warm-started from their values."""
        n_entries = len(self._matrix[1])
        num_threads = useful_threads(num_threads, n_entries * rows.shape[1])
        _least_squares_cg(
            *self._matrix, rows, self._gram_rows, regularization, num_threads=num_threads,
            cg_steps=cg_steps,
        )  # fmt: skip


def _add_rows(rhs, places, rows):
    """Add rows to the right-hand sides at some places; None: there are no others."""
    if rhs is None:
        return rows
    rhs[places] += rows
    return rhs


def _nothing(n_rows, n_columns):
    return sp.csr_matrix((n_rows, n_columns), dtype=np.float32)


def _one_in_each(n_rows, rows):
    """Return a matrix with a column for each of some rows, and 1 there."""
    indptr = np.zeros(n_rows + 1, dtype=np.int32)
    indptr[rows + 1] = 1
    entries = np.ones(len(rows), np.float32), np.arange(len(rows), dtype=np.int32)
    return sp.csr_matrix((*entries, np.cumsum(indptr, dtype=np.int32)), (n_rows, len(rows)))


def _beside(parts, folded, in_place):
    """Put CSR matrices beside one another.

    Parameters
    ----------
    parts : list of csr_matrix with the same number of rows
    folded : int or None
        What is subtracted from column numbers from `folded` on.
    in_place : bool
        True: the first matrix is used up: its rows are moved block by block, from the last.

    Returns
    -------
    indptr, indices, data : ndarrays
        Those of the only matrix itself.
    """
    if len(parts) == 1:
        return parts[0].indptr, parts[0].indices, parts[0].data
    if not in_place:
        joined = sp.hstack(parts, format="csr")
        if folded is not None:
            joined.indices[joined.indices >= folded] -= folded
        return joined.indptr, joined.indices, joined.data
    matrix = parts[0]
    indptr = sum(part.indptr.astype(np.int64) for part in parts)
    largest = max(indptr[-1], sum(part.shape[1] for part in parts))
    dtype = np.int32 if largest <= np.iinfo(np.int32).max else np.int64
    # One after the other: what was copied is freed before more is taken.
    indices = np.empty(indptr[-1], dtype)
    indices[: matrix.nnz] = matrix.indices
    matrix.indices = indices[: matrix.nnz]
    data = np.empty(indptr[-1], np.float32)
    data[: matrix.nnz] = matrix.data
    matrix.data = data[: matrix.nnz]
    for rows in reversed(_cut(np.diff(matrix.indptr), _ENTRIES_PER_PART)):
        _, *joined = _beside([_rows_of(part, rows) for part in parts], folded, in_place=False)
        to = slice(indptr[rows.start], indptr[rows.stop])
        indices[to], data[to] = joined
    return indptr.astype(dtype), indices, data

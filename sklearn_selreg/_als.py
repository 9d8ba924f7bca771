r"""Alternating least squares with a feature prior and pairwise preferences.

The only module that knows the internals of ``implicit``. It knows matrices and weights, and nothing
of judges, gates or tables.

Users :math:`x_u`, items :math:`y_i`, confidences :math:`c_{ui}` of observed interactions, weights
:math:`c_i` of missing entries, item features :math:`f_i`, fixed biases :math:`b_{ui}`, pair
weights :math:`a_{uij} \ge 0`; the objective is

.. math::

    \sum_{ui\ observed} c_{ui} (1 - x_u \cdot y_i)^2
    + \sum_{ui\ missing} c_i (x_u \cdot y_i)^2
    + \lambda \sum_u |x_u|^2
    + \lambda_I \Big(\sum_i c_i |y_i - W^T f_i|^2 + |W|^2\Big)
    + \mu \sum_{u,\, i \succ j} a_{uij} \max(0, m - z_{uij})^2,
    \qquad z_{uij} = x_u \cdot (y_i - y_j) + b_{ui} - b_{uj}

With :math:`c_i = 1`, no features and no pairs it is the objective of Hu, Koren & Volinsky (2008),
"Collaborative filtering for implicit feedback datasets", as minimized by ``implicit``.

Everything is solved in scaled item factors :math:`\tilde y_i = \sqrt{c_i} y_i`, for which missing
entries weigh 1 again, by the compiled conjugate gradient kernel of ``implicit``. Each half-sweep is
one call of it. What the kernel does not know is put in as *pseudo-rows*: an entry of confidence
:math:`-(1 + w)` on row v adds :math:`w\,v v^T` to the normal equations and nothing to the
right-hand side; an entry of confidence 1 / d on row d b adds b to the right-hand side and a
negligible :math:`d\,b b^T` to the matrix. The kernel sums a Gram matrix over all rows it is given,
so pseudo-rows are scaled down by powers of two, which costs no precision.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from implicit.cpu._als import _least_squares_cg
from implicit.cpu.topk import topk
from threadpoolctl import ThreadpoolController

CG_STEPS = 3  # of a half-sweep, warm-started; implicit's own number

# The kernel calls BLAS from threads of its own. Finding the libraries takes milliseconds: once.
_THREADPOOLS = ThreadpoolController()

DIRECTION_SCALE = 2.0**-30
_RHS_SCALE = 2.0**-40
_PRODUCTS_WORTH_THREADS = 2**22  # some milliseconds; waking threads may take longer
_SLATES_PER_CHUNK = 256  # 20 candidates and 64 factors: 1.3 MB, stays in the cache
_LEAST_BLOCK = 2**18  # pseudo-rows of a block of users, if there are fewer items; each call costs


@dataclass(frozen=True, eq=False)
class SlateTerms:
    """Weighted preferences of users between the items of slates.

    Attributes
    ----------
    users : ndarray of shape (n_slates,), int
        Row of the user each slate belongs to, not decreasing.
    items : ndarray of shape (n_slates, slate_size), int
        Columns of the candidates; places without a candidate hold 0 and have no weights.
    weights : ndarray of shape (n_slates, slate_size, slate_size), float32
        ``weights[s, i, j]`` >= 0 is the weight of "candidate i above candidate j".
    bias : ndarray of shape (n_slates, slate_size), float32, or None
        Of the candidates' scores, :math:`b_{ui}`; None: 0.
    """

    users: np.ndarray
    items: np.ndarray
    weights: np.ndarray
    bias: np.ndarray | None = None

    def laplacian(self):
        """Return the weighted graph Laplacians, (n_slates, slate_size, slate_size), float64."""
        both = (self.weights + self.weights.transpose(0, 2, 1)).astype(np.float64)
        degree = both.sum(axis=2)
        return degree[:, :, np.newaxis] * np.eye(both.shape[1]) - both


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
    llm_weight, margin : float
        :math:`\mu` and m.
    num_threads : int
        Threads of the kernel; 0 = all cores. The result does not depend on it.
    cg_steps : int
        Conjugate gradient steps of a half-sweep.

    Notes
    -----
    The squared hinge is majorized at the current factors: with :math:`z_0` the current difference,
    :math:`\max(0, m - z)^2 \le (t - z)^2` at :math:`t = \max(m, z_0)`. In a user half-sweep the
    pairs of a slate are the quadratic form of its weighted graph Laplacian L, whose eigenvectors
    make at most slate_size - 1 rank-one terms of it. In an item half-sweep both items of a pair
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
        margin=0.0,
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
            self._pairs = PairLoss(slates, llm_weight, margin, self._root, num_threads=num_threads)
        self._build(kernel, pull, np.shape(user_factors)[1])
        self._x[:] = user_factors
        self._y[:] = self._root[:, np.newaxis] * item_factors
        self._fit_prior()

    def _build(self, kernel, pull, factors):
        n_users, n_items = kernel.shape
        pairs = self._pairs
        no_rows = np.empty(0, dtype=np.intp)
        # Where nothing but entries of the kernel's own kind is needed, there are no pseudo-rows
        # and the sweep is implicit's own.
        item_rows = no_rows if pairs is None else pairs.item_rows
        if pull is not None or self._prior is not None:
            item_rows = np.arange(n_items)
        if pairs is not None:
            self._item_pairs_at = np.searchsorted(item_rows, pairs.item_rows)
        self._item_half = HalfSweep(
            kernel.T.tocsr(), factors, rhs_rows=item_rows, entries=pairs and _entries(pairs)
        )
        # Users do not depend on each other: in blocks, the pseudo-rows of one at a time are held.
        n_pseudo = np.zeros(n_users, dtype=np.int64)
        if pull is not None:
            n_pseudo += 1
        if pairs is not None:
            n_pseudo += np.bincount(pairs.directions[0], minlength=n_users)
            if pull is None:
                n_pseudo[pairs.user_rows] += 1
        blocks = _cut(n_pseudo, max(4 * n_items, _LEAST_BLOCK))
        most = max(n_pseudo[block].sum() for block in blocks)
        buffer = np.zeros((n_items + most, factors), dtype=np.float32)
        self._user_blocks = [_UserBlock(kernel, pull, pairs, block, buffer) for block in blocks]
        # The factors live in the arrays that the kernel reads: a sweep copies none of them.
        self._x, self._y = self._item_half.others, buffer[:n_items]

    @property
    def user_factors(self):
        """Current user factors, a copy, (n_users, k) float32."""
        return self._x.copy()

    @property
    def item_factors(self):
        """Current item factors, a copy, (n_items, k) float32."""
        return self._y / self._root[:, np.newaxis]

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
        with single_threaded_blas():
            self._sweep_users(self.cg_steps)
            self._sweep_items()
            self._fit_prior()

    def solve_users(self):
        """Solve for the users, to convergence, and return their factors, (n_users, k) float32."""
        with single_threaded_blas():
            self._sweep_users(cg_steps=2 * self._x.shape[1])
        return self.user_factors

    def _sweep_users(self, cg_steps):
        for block in self._user_blocks:
            half = block.half
            rhs = None if block.pull is None else block.pull @ self._y
            if block.n_slates:
                pull = self._pairs.user_side(self._x, self._y, half.directions, block.slates)
                rhs = _add_rows(rhs, block.pairs_at, pull)
            half.set_rhs(rhs)
            half.solve(self._x[block.users], self.regularization, self.num_threads, cg_steps)

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
    half : HalfSweep
    """

    def __init__(self, kernel, pull, pairs, users, buffer):
        whole = users == slice(0, kernel.shape[0])
        self.users, self.slates, self.n_slates = users, slice(0, 0), 0
        self.pull = pull if whole or pull is None else pull[users]
        rhs_rows, directions = np.empty(0, dtype=np.intp), None
        if pairs is not None:
            rows, curvature = pairs.directions
            self.slates = _within(pairs.users, users)
            self.n_slates = self.slates.stop - self.slates.start
            some = _within(rows, users)
            directions = rows[some] - users.start, curvature[some]
            rhs_rows = pairs.user_rows[_within(pairs.user_rows, users)] - users.start
        judged = rhs_rows
        if pull is not None:
            rhs_rows = np.arange(users.stop - users.start)
        self.pairs_at = np.searchsorted(rhs_rows, judged)
        self.half = HalfSweep(
            kernel if whole else kernel[users], buffer.shape[1], rhs_rows=rhs_rows,
            directions=directions, buffer=buffer,
        )  # fmt: skip


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


def _entries(pairs):
    """Return the kernel entries of the item half-sweep, on the users' own rows."""
    items, users, curvature = pairs.item_curvature
    return items, users, -(1 + curvature)


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


def fold_in(confidence, item_factors, *, regularization, missing_weights=None, num_threads=0):
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

    Returns
    -------
    user_factors : ndarray of shape (n_users, k), float32
    """
    solver = RegularizedALS(
        confidence,
        np.zeros((confidence.shape[0], item_factors.shape[1]), dtype=np.float32),
        item_factors,
        regularization=regularization,
        missing_weights=missing_weights,
        num_threads=num_threads,
    )
    return solver.solve_users()


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
        self._features = sp.csr_matrix(sp.diags(root) @ features, dtype=np.float32)
        wide = self._features.astype(np.float64)
        gram = (wide.T @ wide).toarray()
        gram[np.diag_indices_from(gram)] += 1
        self._gram = scipy.linalg.cho_factor(gram, overwrite_a=True)
        self._coefficients = None

    def fit(self, y):
        rhs = (self._features.T @ y).astype(np.float64)
        self._coefficients = scipy.linalg.cho_solve(self._gram, rhs).astype(np.float32)

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
        return np.sum(distance**2) + np.sum(coefficients**2)


class PairLoss:
    """The pairs of slates as additions to the normal equations of both half-sweeps.

    Attributes
    ----------
    users : ndarray of shape (n_slates,), int
        Row of the user each slate belongs to, not decreasing.
    user_rows, item_rows : ndarrays of int, sorted
        Users and items with pairs: the rows that `user_side` and `item_side` return.
    directions : tuple of ndarrays (rows, curvature)
        User of each slate direction, sorted, and the curvature along it.
    item_curvature : tuple of ndarrays (items, users, curvature)
        Curvature of an item along each of its users, sorted by item.
    """

    def __init__(self, slates, llm_weight, margin, root, num_threads=0):
        self.users, self._items, self._weights = slates.users, slates.items, slates.weights
        self._llm_weight, self._margin = np.float32(llm_weight), np.float32(margin)
        self._root = root[slates.items]
        self._unscaled = bool((self._root == 1).all())
        self._bias = slates.bias
        self._num_threads = num_threads or os.cpu_count()

        self._half = np.empty(self._weights.shape, dtype=np.float32)
        self._kept = np.empty(self._items.shape, dtype=bool)
        degree = np.empty(self._items.shape)
        self._each_chunk(lambda chunk: self._decompose(chunk, degree))
        n_kept = self._kept.sum(axis=1)
        self._first_direction = np.append(0, np.cumsum(n_kept))
        rows = np.repeat(self.users, n_kept)
        self.directions = rows, np.full(len(rows), float(llm_weight))

        self._degree = degree.astype(np.float32)
        self.user_rows, self._first_slate = np.unique(self.users, return_index=True)
        slate, place = np.nonzero(degree)
        items, users = self._items[slate, place], self.users[slate]
        order = np.argsort(items, kind="stable")
        self._order = slate[order], place[order]
        items, users = items[order], users[order]
        curvature = 2 * llm_weight * (degree / self._root**2)[self._order]
        self.item_curvature = items, users, curvature
        self.item_rows, row = np.unique(items, return_inverse=True)
        indptr = np.append(0, np.cumsum(np.bincount(row, minlength=len(self.item_rows))))
        self._item_matrix = (users, indptr)

    def _decompose(self, chunk, degree):
        """Take the Laplacians of some slates apart into directions."""
        terms = SlateTerms(self.users[chunk], self._items[chunk], self._weights[chunk])
        laplacian = terms.laplacian()
        degree[chunk] = np.einsum("sii->si", laplacian)
        eigenvalues, vectors = np.linalg.eigh(laplacian)
        # The largest is last; a slate of n connected candidates has n - 1 above zero.
        self._kept[chunk] = eigenvalues > 1e-9 * eigenvalues[:, -1:]
        half = vectors * np.sqrt(np.maximum(eigenvalues, 0))[:, np.newaxis, :]
        half *= DIRECTION_SCALE  # a power of two: nothing is lost
        self._half[chunk] = half.transpose(0, 2, 1)

    def _each_chunk(self, do, slates=slice(None)):
        """Call a function for each chunk of slates; numpy computes on all threads at once."""
        start, stop, _ = slates.indices(len(self.users))
        size = _SLATES_PER_CHUNK
        chunks = [slice(first, min(first + size, stop)) for first in range(start, stop, size)]
        n_threads = min(self._num_threads, len(chunks))
        if n_threads < 2:
            return [do(chunk) for chunk in chunks]
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(do, chunks))

    def _candidates(self, x, y, chunk):
        """Return the factors and the scores (without bias) of the candidates of one chunk."""
        candidates = np.take(y, self._items[chunk], axis=0)
        if not self._unscaled:
            candidates /= self._root[chunk, :, np.newaxis]
        return candidates, (candidates @ x[self.users[chunk], :, np.newaxis])[..., 0]

    def _hinges(self, scores, chunk):
        """Return max(0, m - z) of all pairs, (n_slates, slate_size, slate_size)."""
        total = scores if self._bias is None else scores + self._bias[chunk]
        hinges = (total + self._margin)[:, np.newaxis, :] - total[:, :, np.newaxis]
        return np.maximum(hinges, 0, out=hinges)

    def _push(self, scores, chunk):
        """Return by how much the hinges of its pairs push each candidate up, weighted."""
        hinges = self._hinges(scores, chunk)
        hinges *= self._weights[chunk]
        ones = np.ones(hinges.shape[1], dtype=np.float32)
        return hinges @ ones - ones @ hinges

    def user_side(self, x, y, directions, slates=slice(None)):
        """Write the scaled slate directions into `directions`, return mu Y_S' r, a row per user.

        Since t = z + max(0, m - z), r is the push of the hinges, plus L times the scores. `slates`
        are all of some consecutive users.
        """
        first, last, _ = slates.indices(len(self.users))
        factors = x.shape[1]
        pull = np.empty((last - first, factors), dtype=np.float32)

        def do(chunk):
            candidates, scores = self._candidates(x, y, chunk)
            half = self._half[chunk]
            r = half.transpose(0, 2, 1) @ (half @ (scores / DIRECTION_SCALE**2)[..., np.newaxis])
            r = r[..., 0] + self._push(scores, chunk)
            pull[chunk.start - first : chunk.stop - first] = (r[:, np.newaxis, :] @ candidates)[
                :, 0
            ]
            ends = self._first_direction[[chunk.start, chunk.stop]] - self._first_direction[first]
            out = directions[slice(*ends)]
            kept = np.flatnonzero(self._kept[chunk])
            np.take((half @ candidates).reshape(-1, factors), kept, axis=0, out=out, mode="clip")

        self._each_chunk(do, slates)
        first_slate = self._first_slate[_within(self._first_slate, slice(first, last))] - first
        if len(first_slate) < len(pull):
            pull = np.add.reduceat(pull, first_slate)
        return self._llm_weight * pull

    def item_side(self, x, y):
        """Return the right-hand sides of the items with pairs, (len(item_rows), k)."""
        coefficients = np.empty(self._items.shape, dtype=np.float32)

        def do(chunk):
            _, scores = self._candidates(x, y, chunk)
            r = self._push(scores, chunk) + 2 * self._degree[chunk] * scores
            coefficients[chunk] = self._llm_weight * r / self._root[chunk]

        self._each_chunk(do)
        users, indptr = self._item_matrix
        shape = len(self.item_rows), len(x)
        return sp.csr_matrix((coefficients[self._order], users, indptr), shape=shape) @ x

    def loss(self, x, y):
        """Return the part of the objective, with its weight."""

        def of(chunk):
            _, scores = self._candidates(x, y, chunk)
            return np.sum(self._weights[chunk] * self._hinges(scores, chunk) ** 2)

        return self._llm_weight * sum(self._each_chunk(of))


class HalfSweep:
    """One call of the kernel: the rows to solve, and all rows they are solved against.

    Parameters
    ----------
    confidence : csr_matrix of shape (n_rows, n_others), float32
        Kernel entries of the observed interactions.
    factors : int
    rhs_rows : ndarray of int, sorted
        Rows with a right-hand side of their own.
    directions : tuple of ndarrays (rows, curvature), or None
        Rows that pseudo-rows act on, sorted, and the curvature along each.
    entries : tuple of ndarrays (rows, columns, values), or None
        More kernel entries on the other side's own rows, sorted by row.
    buffer : ndarray of shape (n, factors), float32, or None
        What the rows are held in, from its beginning; None: an array of its own.
    """

    def __init__(
        self, confidence, factors, *, rhs_rows, directions=None, entries=None, buffer=None
    ):
        nothing = np.empty(0, dtype=np.intp)
        direction_rows, curvature = directions or (nothing, nothing)
        n_others = confidence.shape[1]
        first_rhs = n_others + len(direction_rows)
        n_rows = first_rhs + len(rhs_rows)
        self._matrix, (_, _, self._rhs_entries) = _append_entries(
            (confidence.indptr, confidence.indices, confidence.data),
            entries or (nothing, nothing, nothing),
            (
                direction_rows,
                np.arange(n_others, first_rhs),
                -(1 + curvature / DIRECTION_SCALE**2),
            ),
            (rhs_rows, np.arange(first_rhs, n_rows), np.ones(len(rhs_rows))),
        )
        if buffer is None:
            buffer = np.zeros((n_rows, factors), dtype=np.float32)
        self._rows = buffer[:n_rows]
        self.others = self._rows[:n_others]
        self.directions = self._rows[n_others:first_rhs]
        self._rhs = self._rows[first_rhs:]

    def set_rhs(self, rhs):
        """Set the right-hand sides, (n_rhs_rows, k) or None; d shrinks as they grow."""
        if rhs is None:
            return
        _, exponent = np.frexp(np.einsum("nk,nk->n", rhs, rhs))  # squared norms < 2 ** exponent
        scale = np.ldexp(_RHS_SCALE, -np.maximum(exponent, 0))
        np.multiply(rhs, scale[:, np.newaxis], out=self._rhs, casting="same_kind")
        self._matrix[2][self._rhs_entries] = 1 / scale

    def solve(self, rows, regularization, num_threads, cg_steps):
        """Update `rows` in place, warm-started from their values."""
        n_entries = len(self._matrix[1])
        num_threads = useful_threads(num_threads, n_entries * rows.shape[1])
        _least_squares_cg(
            *self._matrix, rows, self._rows, regularization, num_threads=num_threads,
            cg_steps=cg_steps,
        )  # fmt: skip


def _add_rows(rhs, places, rows):
    """Add rows to the right-hand sides at some places; None: there are no others."""
    if rhs is None:
        return rows
    rhs[places] += rows
    return rhs


def _append_entries(matrix, *groups):
    """Append groups of entries to the rows of a CSR matrix, in linear time.

    Parameters
    ----------
    matrix : tuple of ndarrays (indptr, indices, data)
    *groups : tuples of ndarrays (rows, columns, values) of shape (n_new,)
        New entries, each group sorted by row.

    Returns
    -------
    matrix : tuple of ndarrays (indptr, indices, data)
        The same one if there is nothing to append.
    places : list of ndarray of shape (n_new,), int
        Where the new entries of each group are.
    """
    if not any(len(rows) for rows, _, _ in groups):
        return matrix, [rows for rows, _, _ in groups]
    indptr, indices, data = matrix
    counts = [np.bincount(rows, minlength=len(indptr) - 1) for rows, _, _ in groups]
    new_indptr = indptr + np.append(0, np.cumsum(sum(counts)))
    end, places = new_indptr[:-1] + np.diff(indptr), []
    for (rows, _, _), count in zip(groups, counts, strict=True):
        rank = np.arange(len(rows)) - (np.cumsum(count) - count)[rows]
        places.append(end[rows] + rank)
        end = end + count
    largest = max(new_indptr[-1], *(columns.max(initial=0) for _, columns, _ in groups))
    dtype = np.int32 if largest <= np.iinfo(np.int32).max else np.int64
    old = np.ones(new_indptr[-1], dtype=bool)
    for new in places:
        old[new] = False
    new_indices = np.empty(len(old), dtype=dtype)
    new_data = np.empty(len(old), dtype=np.float32)
    new_indices[old], new_data[old] = indices, data
    for new, (_, columns, values) in zip(places, groups, strict=True):
        new_indices[new], new_data[new] = columns, values
    return (new_indptr.astype(dtype), new_indices, new_data), places

r"""Alternating least squares with a feature prior and pairwise preferences.

The only module that knows the internals of ``implicit``. It knows matrices and weights, and nothing
of judges, gates or tables.

Users :math:`x_u`, items :math:`y_i`, confidences :math:`c_{ui}` of observed interactions, weights
:math:`c_i` of missing entries, item features :math:`f_i`, fixed item biases :math:`b_i`, pair
weights :math:`a_{uij} \ge 0`; the objective is

.. math::

    \sum_{ui\ observed} c_{ui} (1 - x_u \cdot y_i)^2
    + \sum_{ui\ missing} c_i (x_u \cdot y_i)^2
    + \lambda \sum_u |x_u|^2
    + \lambda_I \Big(\sum_i c_i |y_i - W^T f_i|^2 + |W|^2\Big)
    + \mu \sum_{u,\, i \succ j} a_{uij} \max(0, m - z_{uij})^2,
    \qquad z_{uij} = x_u \cdot (y_i - y_j) + b_i - b_j

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
_SLATES_PER_CHUNK = 256  # 20 candidates and 64 factors: 1.3 MB, stays in the cache


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
    """

    users: np.ndarray
    items: np.ndarray
    weights: np.ndarray

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
    item_bias : ndarray of shape (n_items,) or None
        :math:`b_i`; None = 0.
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
        item_bias=None,
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
        kernel, self._pull, self._pull_t = confidence, None, None
        if missing_weights is not None:
            self._root = np.sqrt(missing_weights).astype(np.float32)
            kernel, self._pull = scaled_confidence(confidence, self._root)
            self._pull_t = self._pull.T.tocsr()
        if features is not None:
            self._prior = FeaturePrior(features, self._root)
        self._pairs = None
        if slates is not None and llm_weight > 0:
            self._pairs = PairLoss(slates, llm_weight, margin, self._root, item_bias)
        self._build(kernel, np.shape(user_factors)[1])
        self._x[:] = user_factors
        self._y[:] = self._root[:, np.newaxis] * item_factors
        self._fit_prior()

    def _build(self, kernel, factors):
        n_users, n_items = kernel.shape
        pairs = self._pairs
        no_rows = np.empty(0, dtype=np.intp)
        # Where nothing but entries of the kernel's own kind is needed, there are no pseudo-rows
        # and the sweep is implicit's own.
        user_rows = no_rows if pairs is None else pairs.user_rows
        item_rows = no_rows if pairs is None else pairs.item_rows
        if self._pull is not None:
            user_rows = np.arange(n_users)
        if self._pull is not None or self._prior is not None:
            item_rows = np.arange(n_items)
        if pairs is not None:
            self._user_pairs_at = np.searchsorted(user_rows, pairs.user_rows)
            self._item_pairs_at = np.searchsorted(item_rows, pairs.item_rows)
        self._user_half = HalfSweep(
            kernel, factors, rhs_rows=user_rows, directions=pairs and pairs.directions
        )
        self._item_half = HalfSweep(
            kernel.T.tocsr(), factors, rhs_rows=item_rows, entries=pairs and _entries(pairs)
        )
        # The factors live in the arrays that the kernel reads: a sweep copies none of them.
        self._x, self._y = self._item_half.others, self._user_half.others

    @property
    def user_factors(self):
        """Current user factors, a copy, (n_users, k) float32."""
        return self._x.copy()

    @property
    def item_factors(self):
        """Current item factors, a copy, (n_items, k) float32."""
        return self._y / self._root[:, np.newaxis]

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
        rhs = None if self._pull is None else self._pull @ self._y
        if self._pairs is not None:
            directions = self._user_half.directions
            pull = self._pairs.user_side(self._x, self._y, directions)
            rhs = _add_rows(rhs, self._user_pairs_at, pull)
        self._user_half.set_rhs(rhs)
        self._user_half.solve(self._x, self.regularization, self.num_threads, cg_steps)

    def _sweep_items(self):
        rhs = None if self._pull is None else self._pull_t @ self._x
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
    kernel, pull = confidence.copy(), confidence.copy()
    kernel.data /= -(scale**2)
    pull.data /= scale
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
    user_rows, item_rows : ndarrays of int, sorted
        Users and items with pairs: the rows that `user_side` and `item_side` return.
    directions : tuple of ndarrays (rows, curvature)
        User of each slate direction, sorted, and the curvature along it.
    item_curvature : tuple of ndarrays (items, users, curvature)
        Curvature of an item along each of its users, sorted by item.
    """

    def __init__(self, slates, llm_weight, margin, root, item_bias):
        self._users, self._items, self._weights = slates.users, slates.items, slates.weights
        self._llm_weight, self._margin = np.float32(llm_weight), np.float32(margin)
        self._root = root[slates.items]
        self._unscaled = bool((self._root == 1).all())
        bias = np.zeros(len(root)) if item_bias is None else item_bias
        self._bias = bias[slates.items].astype(np.float32)

        laplacian = slates.laplacian()
        eigenvalues, vectors = np.linalg.eigh(laplacian)
        # The largest is last; a slate of n connected candidates has n - 1 above zero.
        self._kept = eigenvalues > 1e-9 * eigenvalues[:, -1:]
        half = vectors * np.sqrt(np.maximum(eigenvalues, 0))[:, np.newaxis, :]
        half *= DIRECTION_SCALE  # a power of two: nothing is lost
        self._half = half.transpose(0, 2, 1).astype(np.float32)
        rows = np.repeat(self._users, self._kept.sum(axis=1))
        self.directions = rows, np.full(len(rows), float(llm_weight))

        degree = np.einsum("sii->si", laplacian)
        self._degree = degree.astype(np.float32)
        self.user_rows, self._first_slate = np.unique(self._users, return_index=True)
        slate, place = np.nonzero(degree)
        items, users = self._items[slate, place], self._users[slate]
        order = np.argsort(items, kind="stable")
        self._order = slate[order], place[order]
        items, users = items[order], users[order]
        curvature = 2 * llm_weight * (degree / self._root**2)[self._order]
        self.item_curvature = items, users, curvature
        self.item_rows, row = np.unique(items, return_inverse=True)
        indptr = np.append(0, np.cumsum(np.bincount(row, minlength=len(self.item_rows))))
        self._item_matrix = (users, indptr)

    def _chunks(self):
        for start in range(0, len(self._users), _SLATES_PER_CHUNK):
            yield slice(start, start + _SLATES_PER_CHUNK)

    def _candidates(self, x, y, chunk):
        """Return the factors and the scores (without bias) of the candidates of one chunk."""
        candidates = np.take(y, self._items[chunk], axis=0)
        if not self._unscaled:
            candidates /= self._root[chunk, :, np.newaxis]
        return candidates, (candidates @ x[self._users[chunk], :, np.newaxis])[..., 0]

    def _hinges(self, scores, chunk):
        """Return max(0, m - z) of all pairs, (n_slates, slate_size, slate_size)."""
        total = scores + self._bias[chunk]
        hinges = (total + self._margin)[:, np.newaxis, :] - total[:, :, np.newaxis]
        return np.maximum(hinges, 0, out=hinges)

    def _push(self, scores, chunk):
        """Return by how much the hinges of its pairs push each candidate up, weighted."""
        hinges = self._hinges(scores, chunk)
        hinges *= self._weights[chunk]
        ones = np.ones(hinges.shape[1], dtype=np.float32)
        return hinges @ ones - ones @ hinges

    def user_side(self, x, y, directions):
        """Write the scaled slate directions into `directions`, return mu Y_S' r, a row per user.

        Since t = z + max(0, m - z), r is the push of the hinges, plus L times the scores.
        """
        factors = x.shape[1]
        pull = np.empty((len(self._users), factors), dtype=np.float32)
        done = 0
        for chunk in self._chunks():
            candidates, scores = self._candidates(x, y, chunk)
            half = self._half[chunk]
            r = half.transpose(0, 2, 1) @ (half @ (scores / DIRECTION_SCALE**2)[..., np.newaxis])
            r = r[..., 0] + self._push(scores, chunk)
            pull[chunk] = (r[:, np.newaxis, :] @ candidates)[:, 0]
            kept = np.flatnonzero(self._kept[chunk])
            out = directions[done : done + len(kept)]
            np.take((half @ candidates).reshape(-1, factors), kept, axis=0, out=out, mode="clip")
            done += len(kept)
        if len(self.user_rows) < len(pull):
            pull = np.add.reduceat(pull, self._first_slate)
        return self._llm_weight * pull

    def item_side(self, x, y):
        """Return the right-hand sides of the items with pairs, (len(item_rows), k)."""
        coefficients = np.empty(self._items.shape, dtype=np.float32)
        for chunk in self._chunks():
            _, scores = self._candidates(x, y, chunk)
            r = self._push(scores, chunk) + 2 * self._degree[chunk] * scores
            coefficients[chunk] = self._llm_weight * r / self._root[chunk]
        users, indptr = self._item_matrix
        shape = len(self.item_rows), len(x)
        return sp.csr_matrix((coefficients[self._order], users, indptr), shape=shape) @ x

    def loss(self, x, y):
        """Return the part of the objective, with its weight."""
        loss = 0.0
        for chunk in self._chunks():
            _, scores = self._candidates(x, y, chunk)
            loss += np.sum(self._weights[chunk] * self._hinges(scores, chunk) ** 2)
        return self._llm_weight * loss


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
    """

    def __init__(self, confidence, factors, *, rhs_rows, directions=None, entries=None):
        nothing = np.empty(0, dtype=np.intp)
        rows, columns, values = entries or (nothing, nothing, nothing)
        direction_rows, curvature = directions or (nothing, nothing)
        n_others = confidence.shape[1]
        first_rhs = n_others + len(direction_rows)
        matrix = confidence.indptr, confidence.indices, confidence.data
        matrix, _ = _append_entries(matrix, rows, columns, values)
        matrix, _ = _append_entries(
            matrix,
            direction_rows,
            np.arange(n_others, first_rhs),
            -(1 + curvature / DIRECTION_SCALE**2),
        )
        self._matrix, self._rhs_entries = _append_entries(
            matrix, rhs_rows, first_rhs + np.arange(len(rhs_rows)), np.ones(len(rhs_rows))
        )
        self._rows = np.zeros((first_rhs + len(rhs_rows), factors), dtype=np.float32)
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


def _append_entries(matrix, rows, columns, values):
    """Append entries to the rows of a CSR matrix, in linear time.

    Parameters
    ----------
    matrix : tuple of ndarrays (indptr, indices, data)
    rows, columns, values : ndarrays of shape (n_new,)
        New entries, sorted by row.

    Returns
    -------
    matrix : tuple of ndarrays (indptr, indices, data)
        The same one if there is nothing to append.
    places : ndarray of shape (n_new,), int
        Where the new entries are.
    """
    if not len(rows):
        return matrix, rows
    indptr, indices, data = matrix
    length = np.diff(indptr)
    added = np.append(0, np.cumsum(np.bincount(rows, minlength=len(length))))
    new_indptr = indptr + added
    old_places = np.arange(len(data)) + np.repeat(added[:-1], length)
    places = new_indptr[rows] + length[rows] + np.arange(len(rows)) - added[rows]
    largest = max(new_indptr[-1], columns.max())
    dtype = np.int32 if largest <= np.iinfo(np.int32).max else np.int64
    new_indices = np.empty(new_indptr[-1], dtype=dtype)
    new_data = np.empty(new_indptr[-1], dtype=np.float32)
    new_indices[old_places], new_data[old_places] = indices, data
    new_indices[places], new_data[places] = columns, values
    return (new_indptr.astype(dtype), new_indices, new_data), places

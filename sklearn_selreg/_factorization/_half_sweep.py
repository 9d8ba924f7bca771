r"""Least squares for the rows of one side of a factorization.

For a row :math:`x`, given the rows :math:`y_i` of the other side, a half-sweep approaches the
minimum of

.. math::

    \sum_{i\ observed} c_i (1 - x \cdot y_i)^2 + \sum_{i\ missing} s\, w_i (x \cdot y_i)^2
    + p\, |x - \bar x|^2 + \mu \sum_{i \succ j} a_{ij} \max(0, m_{ij} - x \cdot (y_i - y_j))^2

Both sides are rotated into the eigenbasis of the Gram matrix :math:`G = \sum_i w_i y_i y_i^T`.
Conjugate gradients are invariant under rotation, but in this basis a product with G costs k instead
of :math:`k^2` multiplications. Its diagonal plus the mean contribution of the entries is also such
a good preconditioner that two steps suffice instead of three. The rows of the other side are
gathered only once.

Along the line from the current row to the solution, the objective is a parabola with its minimum at
the solution, because the line lies in the space over which conjugate gradients minimize. A step of
:math:`\omega` times this length, :math:`0 < \omega < 2`, therefore never increases the objective:
it achieves :math:`\omega (2 - \omega)` times the reduction (over-relaxation).

Threads solve blocks of rows of about equal cost. Sums over blocks are accumulated in block order,
so that results do not depend on the number of threads.
"""

from typing import NamedTuple

import numpy as np

from ._kernel import compiled

_F = np.float32
_ROW = 8  # fixed cost of a row, in entries
_BLOCK = 2**20  # approximate number of values that a block of rows reads: a millisecond
_ROTATED = 2**18  # values rotated per step of a thread: a megabyte, times a few copies
_MOST_BLOCKS = 256
_COUNTED = 2**20  # entries counted per step, of 8 bytes each
# A row is split into chunks for several threads if its entries exceed 1 / _SHARE of the total cost,
# within _SHORT and _MOST.
_SHORT, _MOST, _SHARE, _CHUNK = 2**14, 2**15, 128, 2**13


class Pairs(NamedTuple):
    """Weighted pairs of candidates in slates, arranged by user or by item.

    The slates of user u are ``ptr[u] : ptr[u + 1]``, with arrays as in `SlateTerms`. The
    occurrences of item i as a candidate are ``term_ptr[i] : term_ptr[i + 1]``: `term_rows` holds
    their users and `term_at` their positions in `pulls` and `curvature`. `pulls` is the upward pull
    of the violated pairs after the last user half-sweep; `curvature` is an upper bound of the
    objective's curvature along the candidates' scores. Absent parts are empty arrays.
    """

    ptr: np.ndarray = np.empty(0, np.int64)
    candidates: np.ndarray = np.empty((0, 1), np.int32)
    weights: np.ndarray = np.empty((0, 1), _F)
    margins: np.ndarray = np.empty((0, 1), _F)
    bias: np.ndarray = np.empty((0, 1), _F)
    weight: np.float32 = _F(0)
    pulls: np.ndarray = np.empty(0, _F)
    curvature: np.ndarray = np.empty(0, _F)
    term_ptr: np.ndarray = np.empty(0, np.int64)
    term_rows: np.ndarray = np.empty(0, np.int32)
    term_at: np.ndarray = np.empty(0, np.int64)


class HalfSweep:
    """Rows of one side: their entries, weights and penalties.

    Parameters
    ----------
    confidence : csr_matrix of shape (n_rows, n_others), float32
    penalty : ndarray of shape (n_rows,), float32
        Penalty on the squared distance from the prior mean.
    alpha : float
        Factor of the confidences.
    scale, missing : ndarrays of shape (n_rows,) and (n_others,), float32, or None
        Their product is the weight of missing entries. If None, 1.
    pairs : Pairs or None
    """

    def __init__(self, confidence, penalty, *, alpha=1.0, scale=None, missing=None, pairs=None):
        n_rows, n_others = confidence.shape
        self._entries = (
            confidence.indptr.astype(np.int64),
            np.ascontiguousarray(confidence.indices, np.int32),
            np.asarray(confidence.data, np.float32),
        )
        self._scale = np.ones(n_rows, _F) if scale is None else scale
        self._missing = np.ones(n_others, _F) if missing is None else missing
        self._alpha, self._penalty, self._pairs = _F(alpha), penalty, pairs or Pairs()
        indices = self._entries[1]
        self._counts = np.zeros(n_others, _F)  # entries of each row of the other side
        for start in range(0, len(indices), _COUNTED):
            self._counts += np.bincount(indices[start : start + _COUNTED], minlength=n_others)
        sizes, in_slates = np.diff(self._entries[0]), 0
        if len(self._pairs.term_ptr):
            sizes = sizes + np.diff(self._pairs.term_ptr)
        if len(self._pairs.ptr):
            in_slates = np.diff(self._pairs.ptr) * self._pairs.candidates.shape[1]
        cost = sizes + _ROW + in_slates
        self._longest = max(_SHORT, min(_MOST, int(cost.sum()) // _SHARE))
        is_long = (sizes > self._longest) & (in_slates == 0)
        self._long, self._cost = np.flatnonzero(is_long), np.where(is_long, _ROW, cost)
        self._bounds = None

    def solve(
        self, x, y, gram=None, *, basis=None, prior=None, steps, tolerance=0.0, relaxation=1.0, run
    ):
        """Update the rows in place, warm-started; both sides are rotated in place.

        Parameters
        ----------
        x, y : ndarrays of shape (n_rows, k) and (n_others, k), float32
            The rows to solve for, and those of the other side.
        gram : ndarray of shape (k, k), float64, or None
            Gram matrix of `y` with the weights of missing entries. If None, 0 without rotation.
        basis : tuple or None
            ``eigenbasis(gram)`` if it is known.
        prior : ndarray of shape (n_rows, k), float32, or None
            Prior mean, rotated in place. If None, 0.
        steps : int
            Maximum number of conjugate gradient steps.
        tolerance : float
            Tolerance of the squared residual, relative to the initial one.
        relaxation : float
            Step length of rows, relative to the solution.
        run : callable
            From ``_threads.threads``.

        Returns
        -------
        gram : ndarray of shape (k, k), float64
            Gram matrix of `x`, weighted by `scale`.
        rotation : ndarray of shape (k, k), float64, or None
            Matrix by which both sides were multiplied.
        """
        k = x.shape[1]
        values, rotation = np.zeros(k, _F), None
        if gram is not None:
            values, rotation = eigenbasis(gram) if basis is None else basis

        def rotate(rows):
            if rotation is not None:
                rows[:] = rows @ rotation.astype(_F)
            return rows

        squares = run(lambda s, e: self._counts[s:e] @ np.square(rotate(y[s:e])), _equal(len(y), k))
        spread = (sum(squares, np.zeros(k)) / max(len(self._entries[2]), 1)).astype(_F)
        if prior is not None:
            run(lambda s, e: rotate(prior[s:e]), _equal(len(prior), k))
        prior, how = _NO_PRIOR if prior is None else prior, (steps, _F(tolerance), _F(relaxation))
        settled = {
            u: self._solve_long(
                u, rotate(x[u : u + 1].copy())[0], y, values, spread, prior, *how, run
            )
            for u in self._long
        }
        settings = (
            *self._entries, self._alpha, x, y, values, spread, self._scale, self._penalty, prior,
            self._missing, *how,
        )  # fmt: skip

        def do(start, stop):
            part = rotate(x[start:stop])
            solve, _ = compiled()
            solve(start, stop, self._longest, *settings, *self._pairs)
            for u in self._long[slice(*np.searchsorted(self._long, [start, stop]))]:
                x[u] = settled[u]
            return part.T @ (self._scale[start:stop, np.newaxis] * part)

        if self._bounds is None:
            self._bounds = _cut(self._cost, k)
        return sum(run(do, self._bounds), np.zeros((k, k))), rotation

    def _solve_long(self, u, x, y, values, spread, prior, steps, tolerance, relaxation, run):
        """Solve for a row as `_solve_rows` does, with its entries split among threads."""
        pairs, scale = self._pairs, self._scale[u]
        entries = slice(*self._entries[0][u : u + 2])
        index, confidence = (part[entries] for part in self._entries[1:])
        terms = slice(*pairs.term_ptr[u : u + 2]) if len(pairs.term_ptr) else slice(0)
        others, at = pairs.term_rows[terms], pairs.term_at[terms]
        pulls, curvature = pairs.pulls[at], pairs.curvature[at]
        _, multiply = compiled()

        def sums(index, c, alpha, scale, share, x):
            if not len(index):
                return np.zeros(len(x)), 0.0
            bounds, x = np.append(np.arange(0, len(index), _CHUNK), len(index)), x.astype(_F)
            missing = self._missing
            parts = run(
                lambda s, e: multiply(s, e, index, c, alpha, scale, missing, share, y, x), bounds
            )
            return sum((part for part, _ in parts), np.zeros(len(x))), sum(t for _, t in parts)

        own = scale * values + self._penalty[u]
        r, total = sums(index, confidence, self._alpha, scale, _F(1), x)
        r += own * x + sums(others, pulls, _F(1), _F(0), _F(1), 0 * x)[0]
        if len(prior):
            r -= self._penalty[u] * prior[u]
        inverse = 1 / (own + max(total + curvature.sum(dtype=float), 0) * spread)
        moved, p = np.zeros(len(r)), inverse * r
        rz = r @ p
        limit = tolerance * rz
        for _ in range(steps):
            if rz <= limit:
                break
            product = own * p + sums(index, confidence, self._alpha, scale, _F(0), p)[0]
            product += sums(others, curvature, _F(1), _F(0), _F(0), p)[0]
            length, before = rz / (p @ product), rz
            moved -= length * p
            r -= length * product
            rz = r @ (inverse * r)
            p = inverse * r + rz / before * p
        return x + relaxation * moved


def aligned(rows):
    """Copy rows to a float32 array aligned to a cache line."""
    line = 16
    raw = np.empty(rows.size + line, np.float32)
    first = -(raw.ctypes.data // 4) % line
    made = raw[first : first + rows.size].reshape(rows.shape)
    made[:] = rows
    return made


def rotate(rows, by, run):
    """Multiply rows by a matrix in place; `run` is as in `HalfSweep.solve`."""
    by = by.astype(_F)

    def do(start, stop):
        rows[start:stop] = rows[start:stop] @ by

    run(do, _equal(*rows.shape))


def eigenbasis(gram):
    """Eigenvalues (float32) and eigenvectors of a Gram matrix; NaN and identity if not finite."""
    if not np.isfinite(gram).all():
        return np.full(len(gram), np.nan, np.float32), np.eye(len(gram))
    values, vectors = np.linalg.eigh(gram)
    return np.maximum(values, 0).astype(np.float32), vectors


def weighted_gram(rows, weights, run):
    """Gram matrix of rows with weights (None: 1), (k, k) float64; `run` as above."""

    def do(start, stop):
        part = rows[start:stop]
        return part.T @ (part if weights is None else weights[start:stop, np.newaxis] * part)

    return sum(run(do, _equal(*rows.shape)), np.zeros((rows.shape[1],) * 2))


def _equal(n_rows, factors):
    return np.append(np.arange(0, n_rows, max(1, _ROTATED // factors)), n_rows)


def _cut(cost, factors):
    """Boundaries of consecutive blocks of rows of about equal cost."""
    total = np.append(0, np.cumsum(cost))
    n_blocks = min(max(total[-1] * factors // _BLOCK, 1), _MOST_BLOCKS)
    inner = np.searchsorted(total, np.arange(1, n_blocks) * (total[-1] / n_blocks))
    return np.unique(np.concatenate([[0], inner, [len(cost)]]))


_NO_PRIOR = np.empty((0, 1), _F)

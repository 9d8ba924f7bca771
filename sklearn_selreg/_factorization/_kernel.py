r"""Least squares for the rows of one side of a factorization, by conjugate gradients.

Knows rows, entries and weights; nothing of users, items or judges. For a row :math:`x`, given the
rows :math:`y_i` of the other side, it minimizes

.. math::

    \sum_{i\ observed} c_i (1 - x \cdot y_i)^2 + \sum_{i\ missing} s\, w_i (x \cdot y_i)^2
    + p\, |x - \bar x|^2 + \mu \sum_{i \succ j} a_{ij} \max(0, m_{ij} - x \cdot (y_i - y_j))^2

The other side is given in the eigenbasis of its Gram matrix :math:`G = \sum_i w_i y_i y_i^T`.
Conjugate gradients do not change under a rotation, but there a product with G costs k instead of
:math:`k^2` multiplications, and its diagonal, with the mean of what the entries add, preconditions
so well that two steps do what three did. The rows of the other side are gathered once, eight at
a time are in registers.

From the current row to the solution the objective falls along a line as a parabola does, the
minimum at the solution: conjugate gradients minimize over a space in which the line is. So going
:math:`\omega` times as far, :math:`0 < \omega < 2`, never raises it: the reduction is
:math:`\omega (2 - \omega)` times that of the solution.
"""

import logging
import platform
import sys
from functools import cache
from typing import NamedTuple

import numpy as np

try:
    from llvmlite import ir
    from numba import njit, types
    from numba.core import event
    from numba.extending import intrinsic, register_jitable
except ImportError as error:
    raise ImportError(
        "sklearn_selreg needs numba, which could not be imported"
        f" ({type(error).__name__}: {error}). numba has wheels for Linux with glibc (x86_64 and"
        " aarch64), macOS on Apple silicon and Windows (AMD64 and ARM64), and CPython with a GIL;"
        " none for macOS on Intel, for Linux with musl (such as Alpine), and for free-threaded"
        f" Python. Here: {platform.platform()}, {platform.machine()}, Python {sys.version}."
    ) from error

_log = logging.getLogger("sklearn_selreg")

_F = np.float32
_AHEAD = 16  # entries between the prefetch of a row and its use
_ROW = 8  # entries that take as long as what a row takes without them
_BLOCK = 2**20  # numbers that a block of rows reads, about: a millisecond
_MOST_BLOCKS = 256
_COUNTED = 2**22  # entries that are counted at once: each takes 8 bytes
# A row with more entries is shared between threads, in chunks, if it is more than a part of all.
_SHORT, _SHARE, _CHUNK = 2**15, 128, 2**13
# No "nnan" and "ninf": what is not finite has to stay so, to be found by who watches the sweeps.
_MATH = {"reassoc", "contract", "nsz", "arcp", "afn"}


@intrinsic
def _prefetch(context, array, row, column):
    """Ask for the cache line of an element."""

    def generate(context, builder, signature, args):
        of = context.make_array(signature.args[0])(context, builder, args[0])
        i, j = (
            context.cast(builder, arg, kind, types.intp)
            for arg, kind in zip(args[1:], signature.args[1:], strict=True)
        )
        at = builder.add(builder.mul(i, builder.extract_value(of.shape, 1)), j)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        address = builder.bitcast(builder.gep(of.data, [at]), byte)
        builder.call(function, [address, number(0), number(3), number(1)])  # read, keep, data
        return context.get_dummy_value()

    return types.void(array, row, column), generate


@register_jitable
def _gather(y, indices, start, n, rows, to):
    """rows[to : to + n] = y[indices[start : start + n]]."""
    k, last = y.shape[1], len(indices) - 1
    for j in range(n):
        ahead = np.uint64(indices[min(start + j + _AHEAD, last)])
        for a in range(0, k, 16):
            _prefetch(y, ahead, a)
        i = np.uint64(indices[start + j])
        for a in range(k):
            rows[to + j, a] = y[i, a]


@register_jitable
def _eight_dots(rows, p, x):
    d0 = d1 = d2 = d3 = d4 = d5 = d6 = d7 = _F(0)
    for a in range(rows.shape[1]):
        xa = x[a]
        d0 += rows[p, a] * xa
        d1 += rows[p + 1, a] * xa
        d2 += rows[p + 2, a] * xa
        d3 += rows[p + 3, a] * xa
        d4 += rows[p + 4, a] * xa
        d5 += rows[p + 5, a] * xa
        d6 += rows[p + 6, a] * xa
        d7 += rows[p + 7, a] * xa
    return d0, d1, d2, d3, d4, d5, d6, d7


@register_jitable
def _four_dots(rows, p, x):
    d0 = d1 = d2 = d3 = _F(0)
    for a in range(rows.shape[1]):
        xa = x[a]
        d0 += rows[p, a] * xa
        d1 += rows[p + 1, a] * xa
        d2 += rows[p + 2, a] * xa
        d3 += rows[p + 3, a] * xa
    return d0, d1, d2, d3


@register_jitable
def _dots(rows, first, n, x, d):
    """Set d to row . x, of n rows, rounded up to a multiple of 8."""
    for p in range(first, first + n, 8):
        d[p], d[p + 1], d[p + 2], d[p + 3], d[p + 4], d[p + 5], d[p + 6], d[p + 7] = _eight_dots(
            rows, p, x
        )


@register_jitable
def _add_products(rows, first, n, w, f, x, out):
    """Add the sum of (w (row . x) - f) row over n rows to out; w = f = 0 on 8 more."""
    p, stop = first, first + n
    while p + 4 < stop:
        d0, d1, d2, d3, d4, d5, d6, d7 = _eight_dots(rows, p, x)
        d0, d1 = d0 * w[p] - f[p], d1 * w[p + 1] - f[p + 1]
        d2, d3 = d2 * w[p + 2] - f[p + 2], d3 * w[p + 3] - f[p + 3]
        d4, d5 = d4 * w[p + 4] - f[p + 4], d5 * w[p + 5] - f[p + 5]
        d6, d7 = d6 * w[p + 6] - f[p + 6], d7 * w[p + 7] - f[p + 7]
        for a in range(rows.shape[1]):
            out[a] += (
                (d0 * rows[p, a] + d1 * rows[p + 1, a])
                + (d2 * rows[p + 2, a] + d3 * rows[p + 3, a])
                + (d4 * rows[p + 4, a] + d5 * rows[p + 5, a])
                + (d6 * rows[p + 6, a] + d7 * rows[p + 7, a])
            )
        p += 8
    if p < stop:
        d0, d1, d2, d3 = _four_dots(rows, p, x)
        d0, d1 = d0 * w[p] - f[p], d1 * w[p + 1] - f[p + 1]
        d2, d3 = d2 * w[p + 2] - f[p + 2], d3 * w[p + 3] - f[p + 3]
        for a in range(rows.shape[1]):
            out[a] += (d0 * rows[p, a] + d1 * rows[p + 1, a]) + (
                d2 * rows[p + 2, a] + d3 * rows[p + 3, a]
            )


@register_jitable
def _pull(d, first, weights, margins, bias, mu, out):
    """Set out to mu times by how much unmet pairs of a slate pull its candidates up; d: scores."""
    size, at = len(bias), 0
    for i in range(size):
        out[first + i] = _F(0)
    for i in range(size):
        total, score = _F(0), d[first + i] + bias[i]
        for j in range(i + 1, size):
            a = weights[at]
            hinge = abs(a) * margins[at] - a * (score - d[first + j] - bias[j])
            hinge = max(hinge, _F(0)) * (mu if a > 0 else -mu)
            total += hinge
            out[first + j] -= hinge
            at += 1
        out[first + i] += total


@register_jitable
def _couple(d, first, size, weights, mu, out):
    """Set out to -mu L d, where L is the graph Laplacian of a slate."""
    at = 0
    for i in range(size):
        out[first + i] = _F(0)
    for i in range(size):
        total, di = _F(0), d[first + i]
        for j in range(i + 1, size):
            flow = mu * abs(weights[at]) * (di - d[first + j])
            total += flow
            out[first + j] += flow
            at += 1
        out[first + i] -= total


def _solve_rows(
    start, stop, longest, indptr, indices, confidence, x_all, y, gram, spread, scale, penalty,
    prior, missing, steps, tolerance, relaxation,
    slate_ptr, candidates, slate_weights, slate_margins, slate_bias, mu, pulls, curvature,
    term_ptr, term_rows, term_at,
):  # fmt: skip
    """Solve rows start:stop of x_all from where they are, but those with more entries than longest.

    A row u has scale[u] gram + penalty[u] of its own, the latter around prior[u]; without rows of
    prior, around 0. Its slates are slate_ptr[u] : slate_ptr[u + 1]; what is unmet is decided where
    it starts, and how that pulls candidates is written to pulls where it ends. Its terms are
    term_ptr[u] : term_ptr[u + 1]: on term_rows of y, with gradient -pulls[term_at] where x starts.
    """
    k, size = x_all.shape[1], candidates.shape[1]
    has_slates, has_terms = len(slate_ptr) > 0, len(term_ptr) > 0
    base = most = 0
    for u in range(start, stop):
        n = indptr[u + 1] - indptr[u]
        if has_terms:
            n += term_ptr[u + 1] - term_ptr[u]
        if has_slates:
            most = max(most, (slate_ptr[u + 1] - slate_ptr[u]) * size)
        if n <= longest or (has_slates and slate_ptr[u + 1] > slate_ptr[u]):
            base = max(base, n)
    base = (base + 15) // 8 * 8  # where the candidates of slates are gathered
    rows = np.zeros((base + most + 8, k), _F)
    w, f, d = np.zeros(len(rows), _F), np.zeros(len(rows), _F), np.zeros(len(rows), _F)
    v, zero = np.zeros(len(rows), _F), np.zeros(len(rows), _F)
    r, p, product = np.empty(k, _F), np.empty(k, _F), np.empty(k, _F)
    x, own, inverse = np.empty(k, _F), np.empty(k, _F), np.empty(k, _F)
    for u in range(start, stop):
        s = indptr[u]
        n = n_entries = indptr[u + 1] - s
        if has_terms:
            n += term_ptr[u + 1] - term_ptr[u]
        first = last = 0
        if has_slates:
            first, last = slate_ptr[u], slate_ptr[u + 1]
        n_slated = (last - first) * size
        if n > longest and n_slated == 0:
            continue
        for a in range(k):
            own[a] = scale[u] * gram[a] + penalty[u]
        if n == 0 and n_slated == 0:  # nothing but its prior
            for a in range(k):
                x_all[u, a] = _F(0)
                if len(prior) > 0 and own[a] > 0:
                    x_all[u, a] = prior[u, a] - scale[u] * gram[a] / own[a] * prior[u, a]
            continue

        for a in range(k):
            x[a] = x_all[u, a]
            expected = prior[u, a] if len(prior) else _F(0)
            r[a] = scale[u] * gram[a] * x[a] + penalty[u] * (x[a] - expected)
        _gather(y, indices, s, n_entries, rows, 0)
        total = _F(0)
        for j in range(n_entries):
            f[j] = confidence[s + j]
            v[j] = w[j] = f[j] - scale[u] * missing[indices[s + j]]
            total += w[j]
        if n > n_entries:
            _gather(y, term_rows, term_ptr[u], n - n_entries, rows, n_entries)
            for j in range(n_entries, n):
                at = term_at[term_ptr[u] + j - n_entries]
                f[j], v[j], w[j] = pulls[at], _F(0), curvature[at]
                total += w[j]
        for j in range(n, n + 8):
            f[j] = v[j] = w[j] = _F(0)
        _add_products(rows, 0, n, v, f, x, r)
        if n_slated:
            for t in range(first, last):
                at = base + (t - first) * size
                _gather(y, candidates[t], 0, size, rows, at)
                for j in range(size):
                    total += _F(0.5) * curvature[t * size + j]
            _dots(rows, base, n_slated, x, d)
            for t in range(first, last):
                at = base + (t - first) * size
                _pull(d, at, slate_weights[t], slate_margins[t], slate_bias[t], mu, f)
            for j in range(base + n_slated, base + n_slated + 8):
                f[j] = _F(0)
            _add_products(rows, base, n_slated, zero, f, x, r)

        rz, total = _F(0), max(total, _F(0))
        for a in range(k):
            curved = own[a] + total * spread[a]
            inverse[a] = _F(1) / curved if curved < _F(np.inf) else _F(np.nan)
            p[a] = inverse[a] * r[a]
            rz += r[a] * p[a]
        limit = tolerance * rz + _F(1e-30)
        for step in range(steps):
            if rz <= limit and limit < _F(np.inf):
                break
            if n_slated:
                _dots(rows, base, n_slated, p, d)
                for t in range(first, last):
                    _couple(d, base + (t - first) * size, size, slate_weights[t], mu, f)
            curved = _F(0)
            if step == steps - 1:  # needs no new residual
                for j in range(base, base + n_slated):
                    curved -= f[j] * d[j]
                _dots(rows, 0, n, p, d)
                for j in range(n):
                    curved += w[j] * d[j] * d[j]
                for a in range(k):
                    curved += own[a] * p[a] * p[a]
                for a in range(k):
                    x[a] -= rz / curved * p[a]
                break
            for a in range(k):
                product[a] = own[a] * p[a]
            _add_products(rows, 0, n, w, zero, p, product)
            if n_slated:
                _add_products(rows, base, n_slated, zero, f, p, product)
            for a in range(k):
                curved += p[a] * product[a]
            length, before = rz / curved, rz
            rz = _F(0)
            for a in range(k):
                x[a] -= length * p[a]
                r[a] -= length * product[a]
                rz += r[a] * r[a] * inverse[a]
            for a in range(k):
                p[a] = inverse[a] * r[a] + rz / before * p[a]
        for a in range(k):
            x_all[u, a] += relaxation * (x[a] - x_all[u, a])
            x[a] = x_all[u, a]
        if n_slated:
            _dots(rows, base, n_slated, x, d)
            for t in range(first, last):
                at = base + (t - first) * size
                _pull(d, at, slate_weights[t], slate_margins[t], slate_bias[t], mu, f)
            for j in range(n_slated):
                pulls[first * size + j] = f[base + j]


def _multiply(start, stop, index, w, f, y, x):
    """Return the sum of (w (y_i . x) - f) y_i over entries start:stop of a long row."""
    n, k = stop - start, y.shape[1]
    rows, out = np.zeros((n + 8, k), _F), np.zeros(k, _F)
    own_w, own_f = np.zeros(n + 8, _F), np.zeros(n + 8, _F)
    own_w[:n], own_f[:n] = w[start:stop], f[start:stop]
    _gather(y, index, start, n, rows, 0)
    _add_products(rows, 0, n, own_w, own_f, x, out)
    return out


class _Announcement(event.Listener):
    """Says once that functions are compiled; none are if they come from the cache."""

    def on_start(self, event):
        if not self.made:
            _log.info("Compiling the solver: some 10 seconds, once on this machine.")
        self.made = True

    def on_end(self, event):
        pass

    made = False


@cache
def _compiled():
    """Return `_solve_rows` and `_multiply`, compiled for the one kind of arrays they are given.

    Arrays that can be written to are taken as read-only ones, so both are the same to it.
    """

    def array(kind, ndim=1, layout="C", readonly=True):
        return types.Array(kind, ndim, layout, readonly=readonly)

    real, number = types.float32, types.int64
    reals, table, numbers, indices = array(real), array(real, 2), array(number), array(types.int32)
    solve = types.void(
        number, number, number, numbers, indices, reals, array(real, 2, readonly=False), table,
        reals, reals, reals, reals, table, reals, number, real, real,
        numbers, array(types.int32, 2), table, array(real, 2, "A"), table, real,
        array(real, readonly=False), reals, numbers, indices, numbers,
    )  # fmt: skip
    multiply = types.Array(real, 1, "C")(number, number, indices, reals, reals, table, reals)
    made = []
    with event.install_listener("numba:compile", _Announcement()):
        for function, signature in ((_solve_rows, solve), (_multiply, multiply)):
            options = {"nogil": True, "fastmath": _MATH}
            try:
                made.append(njit(signature, cache=True, **options)(function))
            except RuntimeError:  # there is no place for a cache that can be written to
                made.append(njit(signature, **options)(function))
    return made


class Pairs(NamedTuple):
    """Weighted pairs of candidates in slates, by the row of their user or by that of each item.

    Attributes
    ----------
    ptr : ndarray of shape (n_rows + 1,), int64
        Slates of row u are ``ptr[u] : ptr[u + 1]``. None where rows are items: (0,).
    candidates : ndarray of shape (n_slates, size), int32
        Rows of the other side.
    weights, margins : ndarrays of shape (n_slates, size * (size - 1) / 2), float32
    bias : ndarray of shape (n_slates, size), float32
    weight : float32
        Of all pairs.
    pulls : ndarray of shape (n_slates * size,), float32
        By how much unmet pairs pull each candidate up, where users were solved last.
    curvature : ndarray of shape (n_slates * size,), float32
        Of the objective along the score of each candidate, at most.
    term_ptr : ndarray of shape (n_rows + 1,), int64
        Candidates that are the item of row i are ``term_ptr[i] : term_ptr[i + 1]``. None where rows
        are users: (0,).
    term_rows, term_at : ndarrays of shape (n_terms,), int32 and int64
        Their users, and their places in `pulls` and `curvature`.
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
    """The rows of one side: their entries, and what weighs on them.

    Parameters
    ----------
    confidence : csr_matrix of shape (n_rows, n_others), float32
        Of observed entries.
    penalty : ndarray of shape (n_rows,), float32
        Of the distance from the prior.
    scale : ndarray of shape (n_rows,), float32, or None
        Of the weights of missing entries; None: 1.
    missing : ndarray of shape (n_others,), float32, or None
        Weights of missing entries; None: 1.
    pairs : Pairs or None
    """

    def __init__(self, confidence, penalty, *, scale=None, missing=None, pairs=None):
        n_rows, n_others = confidence.shape
        self._entries = (
            confidence.indptr.astype(np.int64),
            np.ascontiguousarray(confidence.indices, np.int32),
            np.ascontiguousarray(confidence.data, np.float32),
        )
        self._scale = np.ones(n_rows, _F) if scale is None else scale
        self._missing = np.ones(n_others, _F) if missing is None else missing
        self._penalty, self._pairs = penalty, pairs or Pairs()
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
        self._longest = max(_SHORT, int(cost.sum()) // _SHARE)
        is_long = (sizes > self._longest) & (in_slates == 0)
        self._long, self._cost = np.flatnonzero(is_long), np.where(is_long, _ROW, cost)

    def solve(self, x, y, gram=None, *, prior=None, steps, tolerance=0.0, relaxation=1.0, run):
        """Solve for rows, from where they are; both sides are rotated.

        Parameters
        ----------
        x, y : ndarrays of shape (n_rows, k) and (n_others, k), float32
            The rows, and those of the other side.
        gram : ndarray of shape (k, k), float64, or None
            Of `y` with the weights of missing entries. None: 0, and nothing is rotated.
        prior : ndarray of shape (n_rows, k), float32, or None
            It is rotated, too; None: 0.
        steps : int
            Of conjugate gradients, at most.
        tolerance : float
            Of the squared residual, relative to that at the start.
        relaxation : float
            How far rows go, relative to the solution.
        run : callable
            From ``_threads.threads``.

        Returns
        -------
        gram : ndarray of shape (k, k), float64
            Of `x`, weighted by `scale`.
        rotation : ndarray of shape (k, k), float64, or None
            By which both sides were multiplied.
        """
        k = x.shape[1]
        values, rotation = (np.zeros(k, _F), None) if gram is None else _eigenbasis(gram)

        def rotate(rows):
            if rotation is not None:
                rows[:] = rows @ rotation.astype(_F)
            return rows

        squares = run(lambda s, e: self._counts[s:e] @ np.square(rotate(y[s:e])), _equal(len(y), k))
        spread = (sum(squares, np.zeros(k)) / max(len(self._entries[2]), 1)).astype(_F)
        if prior is not None:
            run(lambda s, e: rotate(prior[s:e]), _equal(len(prior), k))
        row = _Row(self, y, values, spread, _NO_PRIOR if prior is None else prior)
        settled = {
            u: row.solve(u, rotate(x[u : u + 1].copy())[0], steps, tolerance, relaxation, run)
            for u in self._long
        }
        settings = (
            x, y, values, spread, self._scale, self._penalty, row.prior, self._missing,
            steps, _F(tolerance), _F(relaxation),
        )  # fmt: skip

        def do(start, stop):
            part = rotate(x[start:stop])
            solve, _ = _compiled()
            solve(start, stop, self._longest, *self._entries, *settings, *self._pairs)
            for u in self._long[slice(*np.searchsorted(self._long, [start, stop]))]:
                x[u] = settled[u]
            return part.T @ (self._scale[start:stop, np.newaxis] * part)

        return sum(run(do, _cut(self._cost, k)), np.zeros((k, k))), rotation


class _Row:
    """Solves for single rows as `_solve_rows` does, their entries shared between threads."""

    def __init__(self, half, y, values, spread, prior):
        self._half, self._y, self._values, self._spread = half, y, values, spread
        self.prior = prior

    def solve(self, u, start, steps, tolerance, relaxation, run):
        half, pairs = self._half, self._half._pairs
        indptr, indices, confidence = half._entries
        entries = slice(indptr[u], indptr[u + 1])
        index, f = indices[entries], confidence[entries]
        w = v = f - half._scale[u] * half._missing[index]
        if len(pairs.term_ptr):
            terms = slice(pairs.term_ptr[u], pairs.term_ptr[u + 1])
            at = pairs.term_at[terms]
            index, f = np.append(index, pairs.term_rows[terms]), np.append(f, pairs.pulls[at])
            v, w = np.append(v, np.zeros(len(at), _F)), np.append(w, pairs.curvature[at])
        bounds = np.append(np.arange(0, len(index), _CHUNK), len(index))
        _, multiply = _compiled()

        def products(w, f, x):
            x = x.astype(_F)
            parts = run(lambda s, e: multiply(s, e, index, w, f, self._y, x), bounds)
            return sum(parts, np.zeros(len(x)))

        own, no_f = half._scale[u] * self._values + half._penalty[u], np.zeros_like(f)
        r = half._scale[u] * self._values * start + half._penalty[u] * start + products(v, f, start)
        if len(self.prior):
            r -= half._penalty[u] * self.prior[u]
        inverse = 1 / (own + max(w.sum(dtype=float), 0) * self._spread)
        moved, p = np.zeros(len(r)), inverse * r
        rz = r @ p
        limit = tolerance * rz
        for _ in range(steps):
            if rz <= limit:
                break
            product = own * p + products(w, no_f, p)
            length, before = rz / (p @ product), rz
            moved -= length * p
            r = r - length * product
            rz = r @ (inverse * r)
            p = inverse * r + rz / before * p
        return start + relaxation * moved


def aligned(rows):
    """Return a copy of rows as float32 that starts at a cache line."""
    line = 16
    raw = np.empty(rows.size + line, np.float32)
    first = -(raw.ctypes.data // 4) % line
    made = raw[first : first + rows.size].reshape(rows.shape)
    made[:] = rows
    return made


def _eigenbasis(gram):
    """Return eigenvalues, float32, and eigenvectors of a Gram matrix; NaN if it is not finite."""
    if not np.isfinite(gram).all():
        return np.full(len(gram), np.nan, np.float32), np.eye(len(gram))
    values, vectors = np.linalg.eigh(gram)
    return np.maximum(values, 0).astype(np.float32), vectors


def weighted_gram(rows, weights, run):
    """Return the Gram matrix of rows with weights (None: 1), (k, k) float64; `run` as above."""

    def do(start, stop):
        part = rows[start:stop]
        return part.T @ (part if weights is None else weights[start:stop, np.newaxis] * part)

    return sum(run(do, _equal(*rows.shape)), np.zeros((rows.shape[1],) * 2))


def _equal(n_rows, factors):
    return np.append(np.arange(0, n_rows, max(1, _BLOCK // factors)), n_rows)


def _cut(cost, factors):
    """Cut rows into consecutive ranges of about the same cost."""
    total = np.append(0, np.cumsum(cost))
    n_blocks = min(max(total[-1] * factors // _BLOCK, 1), _MOST_BLOCKS)
    inner = np.searchsorted(total, np.arange(1, n_blocks) * (total[-1] / n_blocks))
    return np.unique(np.concatenate([[0], inner, [len(cost)]]))


_NO_PRIOR = np.empty((0, 1), _F)

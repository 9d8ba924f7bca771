"""Inner loops compiled by numba: conjugate gradients for the rows of least squares problems.

``_half_sweep`` states the objective and calls these functions with blocks of rows. They release
the GIL and start no threads themselves.
"""

import logging
import platform
import sys
from functools import cache

import numpy as np

try:
    from llvmlite import ir
    from numba import njit, types
    from numba.core import event
    from numba.extending import intrinsic, register_jitable
except ImportError as error:
    raise ImportError(
        "sklearn_selreg requires numba, which could not be imported"
        f" ({type(error).__name__}: {error}). numba provides wheels for CPython with a GIL on Linux"
        " with glibc (x86_64 and aarch64), macOS on Apple silicon and Windows (AMD64 and ARM64),"
        " but not for macOS on Intel, Linux with musl (e.g. Alpine) or free-threaded Python. This"
        f" platform: {platform.platform()}, {platform.machine()}, Python {sys.version}."
    ) from error

_log = logging.getLogger("sklearn_selreg")

_F = np.float32
_AHEAD = 16  # entries between the prefetch of a row and its use
_PART = 512  # entries of a long row gathered per step
# Without "nnan" and "ninf": non-finite values must propagate, so that the watch detects them.
_MATH = {"reassoc", "contract", "nsz", "arcp", "afn"}


@intrinsic
def _prefetch(context, array, row, column):
    """Prefetch the cache line of an element."""

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
    """Set d to row . x for n rows; n is rounded up to a multiple of 8."""
    for p in range(first, first + n, 8):
        d[p], d[p + 1], d[p + 2], d[p + 3], d[p + 4], d[p + 5], d[p + 6], d[p + 7] = _eight_dots(
            rows, p, x
        )


@register_jitable
def _add_products(rows, first, n, w, f, x, out):
    """Add the sum of (w (row . x) - f) row over n rows to out; w = f = 0 on the next 8 rows."""
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
    """Set out to mu times the upward pull of a slate's violated pairs on its candidates.

    d holds the candidates' scores without bias.
    """
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
    """Set out to -mu L d, where L is the graph Laplacian of a slate's pair weights."""
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
    start, stop, longest, indptr, indices, confidence, alpha, x_all, y, gram, spread,
    scale, penalty, prior, missing, steps, tolerance, relaxation,
    slate_ptr, candidates, slate_weights, slate_margins, slate_bias, mu, pulls, curvature,
    term_ptr, term_rows, term_at,
):  # fmt: skip
    """Update rows start:stop of x_all, warm-started; skip those with more than `longest` entries.

    The quadratic form of row u is scale[u] gram plus a ridge penalty[u] around prior[u] (around 0
    if prior is empty). Its slates are slate_ptr[u] : slate_ptr[u + 1]. Violated pairs are
    determined at the starting point, and their pull on the candidates at the final one is written
    to pulls. Its terms are term_ptr[u] : term_ptr[u + 1]: they refer to term_rows of y and have
    gradient -pulls[term_at] at the starting point.
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
    base = (base + 15) // 8 * 8  # the candidates of slates are gathered from here on
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
        if n == 0 and n_slated == 0:  # only the prior
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
            f[j] = alpha * confidence[s + j]
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
            if step == steps - 1:  # no new residual needed
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


def _multiply(start, stop, index, confidence, alpha, scale, missing, share, y, x):
    """Sum (w (y_i . x) - share c) y_i and w = c - scale missing_i over entries start:stop.

    c = alpha confidence. The entries of the (long) row are gathered in parts that fit into cache.
    """
    k, total = y.shape[1], 0.0
    rows, out = np.zeros((_PART + 8, k), _F), np.zeros(k, _F)
    w, f = np.zeros(_PART + 8, _F), np.zeros(_PART + 8, _F)
    for first in range(start, stop, _PART):
        n = min(_PART, stop - first)
        _gather(y, index, first, n, rows, 0)
        for j in range(n):
            c = alpha * confidence[first + j]
            w[j], f[j] = c - scale * missing[index[first + j]], share * c
            total += w[j]
        w[n : n + 8] = f[n : n + 8] = _F(0)
        _add_products(rows, 0, n, w, f, x, out)
    return out, total


class _Announcement(event.Listener):
    """Logs once that functions are being compiled; stays silent if they are cached."""

    def on_start(self, event):
        if not self.made:
            _log.info("Compiling the solver: about 10 seconds, once per machine.")
        self.made = True

    def on_end(self, event):
        pass

    made = False


@cache
def compiled():
    """Compile `_solve_rows` and `_multiply` for a single signature each.

    Inputs are declared read-only, which accepts writable arrays, too.
    """

    def array(kind, ndim=1, layout="C", readonly=True):
        return types.Array(kind, ndim, layout, readonly=readonly)

    real, number = types.float32, types.int64
    reals, table, numbers, indices = array(real), array(real, 2), array(number), array(types.int32)
    strided = array(real, layout="A")
    solve = types.void(
        number, number, number, numbers, indices, strided, real,
        array(real, 2, readonly=False), table, reals, reals,
        reals, reals, table, reals, number, real, real,
        numbers, array(types.int32, 2), table, array(real, 2, "A"), table, real,
        array(real, readonly=False), reals, numbers, indices, numbers,
    )  # fmt: skip
    sums = types.Tuple((types.Array(real, 1, "C"), types.float64))
    multiply = sums(number, number, indices, strided, real, real, reals, real, table, reals)
    made = []
    with event.install_listener("numba:compile", _Announcement()):
        for function, signature in ((_solve_rows, solve), (_multiply, multiply)):
            options = {"nogil": True, "fastmath": _MATH}
            try:
                made.append(njit(signature, cache=True, **options)(function))
            except RuntimeError:  # no writable location for the cache
                made.append(njit(signature, **options)(function))
    return made

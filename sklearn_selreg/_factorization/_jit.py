"""Lazy compilation of small loops by numba, cached on disk where possible."""

from numba import njit


def jit(function):
    """Compile a function at its first call; it releases the GIL."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no writable location for the cache
        return njit(nogil=True)(function)

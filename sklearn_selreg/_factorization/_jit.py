"""Small loops, compiled by numba when they are first called, and kept where that is possible."""

from numba import njit


def jit(function):
    """Compile a function for the arrays that it is called with; it does not hold the lock."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # there is no place for a cache that can be written to
        return njit(nogil=True)(function)

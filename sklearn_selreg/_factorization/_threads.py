"""Threads of our own, and BLAS without its own."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import scipy.linalg  # noqa: F401  its BLAS, which implicit uses, has to be there to be found
from threadpoolctl import ThreadpoolController

_POOLS = ThreadpoolController()  # finding the libraries takes milliseconds: once
_PRODUCTS_WORTH_THREADS = 2**20  # some milliseconds; waking threads may take longer


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


class _SingleThreaded:
    """Limits BLAS to one thread while any thread is inside; the limit is one of the process.

    A limit that an interrupt or a fork left behind is lifted before the next one is set.
    """

    def __init__(self):
        self._limiter = None
        self._reset()
        if hasattr(os, "register_at_fork"):  # another thread may hold the lock just then
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self):
        self._lock, self._inside = threading.Lock(), 0

    def __enter__(self):
        with self._lock:
            if not self._inside:
                _in_passing(self._limit)
            self._inside += 1

    def __exit__(self, *error):
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _in_passing(self._lift)

    def _limit(self):
        self._lift()
        self._limiter = _POOLS.limit(limits=1, user_api="blas")

    def _lift(self):
        limiter, self._limiter = self._limiter, None
        if limiter is not None:
            limiter.restore_original_limits()


def _in_passing(call):
    """Call in a thread that ends: threadpoolctl 3.8 obeys one, until it has lifted its limit."""
    thread = threading.Thread(target=call)
    thread.start()
    try:
        thread.join()
    except BaseException:  # Ctrl-C: what was begun is done first
        thread.join()
        raise


_SINGLE_THREADED = _SingleThreaded()


def single_threaded_blas():
    """Return a context in which BLAS has one thread."""
    return _SINGLE_THREADED


def in_turn(function, bounds):
    """Call a function for consecutive ranges of rows, as what `threads` yields, on this thread."""
    return list(map(function, bounds[:-1], bounds[1:]))


@contextmanager
def threads(num_threads):
    """Give a function that calls another for consecutive ranges of rows, on several threads.

    Parameters
    ----------
    num_threads : int
        0: all cores.

    Yields
    ------
    run : callable
        ``run(function, bounds)`` returns ``function(bounds[i], bounds[i + 1])`` of all i, a list.
    """
    num_threads = num_threads or os.cpu_count()
    with single_threaded_blas():
        if num_threads == 1:
            yield in_turn
            return
        with ThreadPoolExecutor(num_threads) as pool:
            yield lambda function, bounds: list(pool.map(function, bounds[:-1], bounds[1:]))

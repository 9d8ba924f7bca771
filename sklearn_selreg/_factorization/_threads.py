"""Thread pools over row blocks, with BLAS limited to a single thread."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import scipy.linalg  # noqa: F401  implicit uses its BLAS; the controller finds only loaded ones
from threadpoolctl import ThreadpoolController

# Finding the libraries takes milliseconds, so do it once.
_POOLS = ThreadpoolController().select(user_api="blas").lib_controllers
_PRODUCTS_WORTH_THREADS = 2**20  # a few milliseconds; waking threads may take longer


def useful_threads(num_threads, n_products):
    """Limit small problems, which do not benefit from more threads, to one thread.

    Parameters
    ----------
    num_threads : int
        0 means all cores.
    n_products : int
        Approximate number of multiplications.
    """
    return 1 if n_products < _PRODUCTS_WORTH_THREADS else num_threads


class _SingleThreaded:
    """Process-wide limit of BLAS to one thread while any thread is inside the context.

    A limit left behind by an interrupt or a fork is lifted before the next one is set.
    """

    def __init__(self):
        self._limited = []  # libraries and their numbers of threads before
        self._reset()
        if hasattr(os, "register_at_fork"):  # another thread may hold the lock during the fork
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self):
        self._lock, self._inside = threading.Lock(), 0

    def __enter__(self):
        with self._lock:
            if not self._inside:
                _set_threads(self._limit)
            self._inside += 1

    def __exit__(self, *error):
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _set_threads(self._lift)

    def _limit(self):
        self._lift()
        for pool in _POOLS:
            number = pool.get_num_threads()
            if number != 1:
                self._limited.append((pool, number))
                pool.set_num_threads(1)

    def _lift(self):
        while self._limited:
            pool, number = self._limited[-1]
            pool.set_num_threads(number)
            self._limited.pop()


def _set_threads(call):
    """Call a function that sets numbers of threads, so that any thread may set them afterwards.

    threadpoolctl 3.8 ties OpenBLAS to the thread that sets its number, until that is released; and
    OpenBLAS with OpenMP has a number per thread.
    """
    if any(getattr(pool, "threading_layer", None) == "openmp" for pool in _POOLS):
        _in_passing(call)
        return
    try:
        call()
    finally:
        for pool in _POOLS:
            if hasattr(pool, "clear_controlling_thread"):
                pool.clear_controlling_thread()


def _in_passing(call):
    """Call in a short-lived thread."""
    thread = threading.Thread(target=call)
    thread.start()
    try:
        thread.join()
    except BaseException:  # Ctrl-C: finish the call first
        thread.join()
        raise


_SINGLE_THREADED = _SingleThreaded()


def single_threaded_blas():
    """Context manager that limits BLAS to one thread."""
    return _SINGLE_THREADED


def in_turn(function, bounds):
    """Single-threaded counterpart of the `run` that `threads` yields."""
    return list(map(function, bounds[:-1], bounds[1:]))


@contextmanager
def threads(num_threads):
    """Context manager whose `run` maps a function over consecutive row ranges on several threads.

    Parameters
    ----------
    num_threads : int
        0 means all cores.

    Yields
    ------
    run : callable
        ``run(function, bounds)`` returns the list of ``function(bounds[i], bounds[i + 1])`` for
        all i.
    """
    num_threads = num_threads or os.cpu_count()
    with single_threaded_blas():
        if num_threads == 1:
            yield in_turn
            return
        with ThreadPoolExecutor(num_threads) as pool:
            yield lambda function, bounds: list(pool.map(function, bounds[:-1], bounds[1:]))

"""Threads are used only for large problems, and do not change results."""

import os
import signal

import numpy as np
import pytest
import scipy.sparse as sp
from threadpoolctl import ThreadpoolController, threadpool_info

from sklearn_selreg import SelectiveLLMRegularizedMF, interactions_from_sparse
from sklearn_selreg._factorization import _als
from sklearn_selreg._factorization._threads import single_threaded_blas


@pytest.mark.parametrize(("n_users", "expected"), [(60, 1), (6000, 2)])
def test_threads_are_for_large_work_alone_and_change_no_number(monkeypatch, n_users, expected):
    used, threads = [], _als.threads

    def recorded(num_threads):
        used.append(num_threads)
        return threads(num_threads)

    monkeypatch.setattr(_als, "threads", recorded)
    rng = np.random.default_rng(0)
    X, y = interactions_from_sparse(sp.random_array((n_users, 100), density=0.3, rng=rng))
    one, two = (
        SelectiveLLMRegularizedMF(
            factors=32, iterations=2, tuning=None, n_jobs=n_jobs, random_state=0
        ).fit(X, y)
        for n_jobs in (1, 2)
    )
    assert max(used) == expected
    np.testing.assert_array_equal(one.user_factors_, two.user_factors_)
    np.testing.assert_array_equal(one.item_factors_, two.item_factors_)


def n_blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_an_interrupt_leaves_no_limit_behind(monkeypatch):
    """If Ctrl-C arrives while BLAS is being limited, the next call lifts the limit again."""
    before = n_blas_threads()

    def interrupted(pool, number):
        monkeypatch.undo()
        pool.set_num_threads(number)
        raise KeyboardInterrupt

    for pool in ThreadpoolController().select(user_api="blas").lib_controllers:
        monkeypatch.setattr(type(pool), "set_num_threads", interrupted)
    if set(before) - {1}:
        with pytest.raises(KeyboardInterrupt), single_threaded_blas():
            pass
    with single_threaded_blas():
        assert set(n_blas_threads()) <= {1}
    assert n_blas_threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_another_thread_fits_does_not_hang():
    with single_threaded_blas(), single_threaded_blas()._lock:
        child = os.fork()
        if not child:
            signal.alarm(20)
            with single_threaded_blas():
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

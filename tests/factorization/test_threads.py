"""Threads are for large work alone, and change no number."""

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_selreg import SelectiveLLMRegularizedMF, interactions_from_sparse
from sklearn_selreg._factorization import _als


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

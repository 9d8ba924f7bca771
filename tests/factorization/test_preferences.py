"""Margins of weighted preferences, compared with a loop."""

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_selreg._factorization._preferences import preference_terms
from sklearn_selreg._judging._slates import Slates

N_USERS, N_ITEMS, N_SLATES, SIZE, K = 9, 30, 14, 6, 4
PLACES = list(zip(*np.triu_indices(SIZE, 1), strict=True))


def make_slates(rng):
    users = np.sort(rng.integers(N_USERS, size=N_SLATES))
    items = np.array([rng.permutation(N_ITEMS)[:SIZE] for _ in range(N_SLATES)])
    items[3, 4:] = -1  # a slate with fewer candidates
    answers = np.zeros((*items.shape, 1), dtype=np.float32)
    shown = sp.csr_matrix((N_SLATES, N_ITEMS), dtype=np.float32)
    return Slates(users, items, answers, shown, np.where(items < 0, -1, 0).astype(np.int8))


def make_weights(rng, slates):
    """Signed weights of pairs; two slates have zero weights."""
    weights = rng.normal(size=(N_SLATES, len(PLACES)))
    weights *= rng.uniform(size=weights.shape).round()
    real = slates.items >= 0
    there = np.array([[a[i] and a[j] for i, j in PLACES] for a in real])
    weights[[1, 8]] = 0
    return (weights * there).astype(np.float32)


@pytest.fixture(params=[0, 2], ids=["no bias", "two periods"])
def problem(request):
    rng = np.random.default_rng(3)
    slates = make_slates(rng)
    n_columns = K + request.param
    users, items = (rng.normal(size=(n, n_columns)).astype(np.float32) for n in (N_USERS, N_ITEMS))
    return slates, make_weights(rng, slates), users, items, rng.uniform(size=N_USERS)


def test_terms_are_those_of_a_loop(problem):
    slates, weights, users, items, worth = problem
    terms = preference_terms(slates, weights, users, items, K, margin=1.3, worth=worth)
    used = [s for s in range(N_SLATES) if s not in (1, 8)]
    np.testing.assert_array_equal(terms.users, slates.users[used])
    np.testing.assert_array_equal(terms.weights, weights[used])
    assert terms.margins.shape == terms.weights.shape
    assert terms.items.min() >= 0  # valid rows of the factors
    n_limited = 0
    for row, s in enumerate(used):
        u, columns = slates.users[s], slates.items[s]
        real = columns >= 0
        np.testing.assert_array_equal(terms.items[row, real], columns[real])
        for n, (i, j) in enumerate(PLACES):
            if weights[s, n] == 0:
                continue
            preferred, other = (i, j) if weights[s, n] > 0 else (j, i)
            z = users[u].astype(float) @ (items[columns[preferred]] - items[columns[other]])
            wanted = z + worth[u] * abs(weights[s, n])
            n_limited += wanted < 1.3
            assert terms.margins[row, n] == pytest.approx(min(1.3, wanted), abs=1e-5)
        if users.shape[1] > K:
            bias = [users[u, K:] @ items[c, K:] for c in columns[real]]
            np.testing.assert_allclose(terms.bias[row, real], bias, rtol=1e-5, atol=1e-6)
    n_weighted = np.count_nonzero(weights)
    assert 0.2 * n_weighted < n_limited < n_weighted
    assert (terms.bias is None) == (users.shape[1] == K)


def test_without_worth_all_preferences_ask_for_the_margin(problem):
    slates, weights, users, items, _ = problem
    terms = preference_terms(slates, weights, users, items, K, margin=0.7, worth=None)
    assert len(terms.users) == N_SLATES - 2
    assert (terms.margins == np.float32(0.7)).all()


def moved(terms, users, items):
    """Remaining score difference requested by each weighted pair."""
    scores = np.einsum("sk,sik->si", users[terms.users], items[terms.items])
    first, second = np.triu_indices(SIZE, 1)
    z = np.sign(terms.weights) * (scores[:, first] - scores[:, second])
    return np.where(terms.weights != 0, np.maximum(0, terms.margins - z), 0)


def test_a_preference_asks_for_no_more_than_its_log_odds_are_worth(problem):
    slates, weights, users, items, worth = problem
    used = weights.any(axis=1)

    def asked(worth):
        terms = preference_terms(slates, weights, users, items, K, margin=1.3, worth=worth)
        return moved(terms, users, items)

    assert asked(worth).any()
    limit = worth[slates.users[used], np.newaxis] * np.abs(weights[used])
    assert (asked(worth) <= limit + 1e-5).all()
    assert asked(0 * worth).max() < 1e-5  # nothing for users with uninformative scores
    # Never more than the margin requests.
    terms = preference_terms(slates, weights, users, items, K, margin=1.3, worth=None)
    np.testing.assert_allclose(asked(1e6 + worth), moved(terms, users, items), atol=1e-5)

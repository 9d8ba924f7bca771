"""Requests for a few users: their cost does not depend on the number of users."""

import copy
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_selreg import SelectiveLLMRegularizedMF, interactions_from_sparse
from sklearn_selreg._data._ids import encode
from sklearn_selreg._data._known_ids import KnownIds
from sklearn_selreg.judges import PrecomputedJudge

N_ITEMS, K, FEW, MANY = 300, 4, 2_000, 200_000
VISITOR = -1


def likes(n_users, rng, per_user=2):
    """Return interactions; only the first users, whatever their number, like items below 10."""
    items = rng.integers(0, N_ITEMS, (n_users, per_user))
    items[FEW:] = 10 + items[FEW:] % (N_ITEMS - 10)
    indptr = np.arange(0, items.size + 1, per_user)
    matrix = sp.csr_matrix((np.ones(items.size), items.ravel(), indptr), (n_users, N_ITEMS))
    matrix.sum_duplicates()
    return matrix


def given(n_users, seed=0):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(N_ITEMS, K)), rng.normal(size=(n_users, K))
    return SelectiveLLMRegularizedMF.from_factors(
        np.arange(n_users), np.arange(N_ITEMS), *factors[::-1], interactions=likes(n_users, rng)
    )


def with_text_ids(n_users):
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(N_ITEMS, K)), rng.normal(size=(n_users, K))
    users = np.array([f"user {n}" for n in range(n_users)], dtype=object)
    return SelectiveLLMRegularizedMF.from_factors(users, np.arange(N_ITEMS), *factors[::-1])


def fitted(n_users):
    X, y = interactions_from_sparse(likes(n_users, np.random.default_rng(0)))
    return SelectiveLLMRegularizedMF(
        factors=K, iterations=1, tuning=None, popularity_periods=1, random_state=0
    ).fit(X, y)


def visit(model, user=VISITOR):
    guest = copy.copy(model)
    guest.fold_in([[user, item] for item in (3, 5, 8)], known="append")
    return guest, guest.recommend([user])


REQUESTS = {
    "recommend": lambda model: model.recommend([7, 8]),
    "recommend to an unknown user": lambda model: model.recommend([-7]),
    "recommend with rules": lambda model: model.recommend([7], exclude=[[7, 3], [-8, 4]]),
    "predict": lambda model: model.predict([[7, 3], [8, 5]]),
    "similar_items": lambda model: model.similar_items([7]),
    "user_vectors": lambda model: model.user_vectors([7]),
    "fold in a visitor": visit,
    "add to a history": lambda model: visit(model, 7),
}
TEXT_REQUESTS = {
    "recommend": lambda model: model.recommend(["user 7"], filter_seen=False),
    "recommend to an unknown user": lambda model: model.recommend(["visitor"]),
    "fold in a visitor": lambda model: visit(model, "visitor"),
}
EXPLAIN = {
    "explain": lambda model: model.explain(7, 3),
    "explain_lists": lambda model: model.explain_lists([[7, 3], [8, 5]]),
}


def most_bytes(model, request):
    """Return the peak of memory that a request allocates, after some requests."""
    for _ in range(3):
        request(model)
    tracemalloc.start()
    try:
        request(model)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("make", "requests"),
    [(given, REQUESTS), (with_text_ids, TEXT_REQUESTS), (fitted, REQUESTS | EXPLAIN)],
    ids=["given factors", "text ids", "fitted"],
)
def test_the_work_of_a_request_does_not_grow_with_the_number_of_users(make, requests):
    few, many = make(FEW), make(MANY)
    for name, request in requests.items():
        # Even a mask of all users would take 200 KB.
        assert most_bytes(many, request) < most_bytes(few, request) + 50_000, name


def test_guests_leave_the_model_and_each_other_alone():
    model, as_before = given(FEW), given(FEW)
    guests = [visit(model, user)[0] for user in (VISITOR, 7, VISITOR)]
    guests[2].fold_in([[VISITOR, 9], [12, 9]], known="replace")
    for name in ("users_", "user_factors_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(as_before, name))
    np.testing.assert_array_equal(model.recommend([7, 12])[0], as_before.recommend([7, 12])[0])
    assert len(model.users_) == FEW
    assert [len(guest.users_) for guest in guests] == [FEW + 1, FEW, FEW + 1]
    assert set(guests[2]._fitted.matrix[FEW].indices) == {9}
    assert set(guests[0]._fitted.matrix[FEW].indices) == {3, 5, 8}


@pytest.mark.parametrize("make", [given, fitted])
def test_rows_that_are_kept_aside_are_rows_of_the_whole(make, tmp_path):
    model = make(FEW)
    for user, item in ((VISITOR, 3), (7, 200), (-2, 5), (VISITOR, 8), (12, 250), (7, 11)):
        model.fold_in([[user, item]], known="append")
    users, pairs = [-2, 7, 99, VISITOR, 12, -99, 0], [[7, 3], [VISITOR, 9], [0, 2], [-2, 5]]

    def answers(model):
        vectors = model.user_vectors(users[:5])
        return [*model.recommend(users, 20), model.predict(pairs), vectors]

    aside, copied = answers(model), pickle.loads(pickle.dumps(model))
    assert model.users_[FEW:].tolist() == [VISITOR, -2]
    np.testing.assert_array_equal(model.user_factors_[[FEW, FEW + 1, 7]], aside[3][[3, 0, 1]])
    model.save(tmp_path / "model.npz")
    for other in (copied, model, SelectiveLLMRegularizedMF.load(tmp_path / "model.npz")):
        for found, expected in zip(answers(other), aside, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_folding_in_continues_from_the_whole_if_there_is_one():
    model, other = given(FEW), given(FEW)
    for user, item in ((VISITOR, 3), (7, 200), (-2, 5), (7, 11)):
        assert len(model.fold_in([[user, item]], known="append").users_) >= FEW + 1
        other.fold_in([[user, item]], known="append")
    np.testing.assert_array_equal(model.users_, other.users_)
    np.testing.assert_array_equal(model.user_factors_, other.user_factors_)
    np.testing.assert_array_equal(
        model._fitted.matrix.toarray()[-5:], other._fitted.matrix.toarray()[-5:]
    )


def test_requests_leave_nothing_to_pickle():
    model = fitted(FEW)
    before = len(pickle.dumps(model))
    for request in (REQUESTS | EXPLAIN).values():
        request(model)
    assert len(pickle.dumps(model)) == before


def test_the_first_requests_of_several_threads_agree():
    expected = [given(MANY).recommend([user])[0].tolist() for user in range(4)]
    model, start = given(MANY), Barrier(8)

    def ask(n):
        start.wait()
        return [model.recommend([user])[0].tolist() for user in range(4)], n

    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found, _ in pool.map(ask, range(8)))


def test_what_was_computed_before_refining_is_not_used_after_it():
    model = given(FEW)
    slates = [
        {"user": user, "history": [], "candidates": [20, 21, 22, 23], "ratings": [0.9, 0.1, 0.8, 0]}
        for user in range(30)
    ]
    model.set_params(judge=PrecomputedJudge(slates), gate=None)
    before = model.similar_items([20, 21], 5)
    unknown = model.recommend([VISITOR])
    model.refine()
    fresh = SelectiveLLMRegularizedMF.from_factors(
        model.users_, model.items_, model.user_factors_, model.item_factors_
    )
    found = model.similar_items([20, 21], 5)
    assert not np.array_equal(found[1], before[1])
    for x, y in zip(found, fresh.similar_items([20, 21], 5), strict=True):
        np.testing.assert_array_equal(x, y)
    scores = model.recommend([VISITOR])[1]
    assert not np.array_equal(scores, unknown[1])
    np.testing.assert_array_equal(scores, fresh.recommend([VISITOR])[1])


IDS = {
    "int64": np.array([5, 3, 2**60, -1]),
    "int32": np.array([5, 3, 7, -1], dtype=np.int32),
    "uint64": np.array([5, 3, 2**63 + 1, 0], dtype=np.uint64),
    "float": np.array([5.0, 3.0, 0.5]),
    "text": np.array(["5", "a", "b"]),
    "text objects": np.array(["5", "a", "b"], dtype=object),
    "bytes": np.array([b"5", b"a"], dtype=object),
    "mixed": np.array(["5", 5, "a", True, (1, 2)][:3], dtype=object),
    "with floats": np.array(["5", 5.0, "a", 0.5], dtype=object),
    "integer objects": np.array([5, 3, 2**70], dtype=object),
    "float objects": np.array([5.0, 3.0], dtype=object),
    "bool": np.array([True, False]),
    "dates": np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]"),
    "large floats": np.array([2.0**53, 5.0]),
    "none": np.array([], dtype=object),
}


@pytest.mark.parametrize("known", sorted(set(IDS) - {"none", "large floats"}))
@pytest.mark.parametrize("asked", IDS)
def test_known_ids_are_found_as_by_encode(known, asked):
    ids, values = IDS[known], np.concatenate([IDS[asked], IDS[asked][:1]])
    try:
        expected = encode(ids, values)
    except (ValueError, TypeError) as error:
        with pytest.raises(type(error)):
            KnownIds(ids).find(values)
        return
    for part in (slice(None), slice(1)):
        np.testing.assert_array_equal(KnownIds(ids).find(values[part]), expected[part])

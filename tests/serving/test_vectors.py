"""Vectors for nearest-neighbor indexes."""

import numpy as np
import pandas as pd
import pytest

from sklearn_selreg import BPR, LMF, SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions


@pytest.fixture(scope="module")
def world():
    return make_interactions(120, 80, 2500, random_state=0)


SETTINGS = {
    "bias by period": {"popularity_periods": 3, "item_bias": 0.5},
    "no bias": {"item_bias": 0},
    "bpr": {"backbone": BPR(), "iterations": 5},
    "lmf": {"backbone": LMF(), "iterations": 5},
}


@pytest.fixture(scope="module", params=SETTINGS)
def model(request, world):
    return SelectiveLLMRegularizedMF(
        factors=8, user_col="user", item_col="item", time_col="time", item_data=world.item_data,
        tuning=None, random_state=0, **SETTINGS[request.param],
    ).fit(world.X)  # fmt: skip


def test_inner_products_are_the_scores(model):
    users = [*model.users_[:20].tolist(), "stranger"]
    with pytest.warns(UserWarning, match="1 of 21 users are unknown"):
        vectors = model.user_vectors(users)
    products = vectors @ model.item_vectors().T
    pairs = [(user, item) for user in users for item in model.items_.tolist()]
    with pytest.warns(UserWarning, match="users are unknown"):
        scores = model.predict(pd.DataFrame(pairs, columns=["user", "item"]))
    np.testing.assert_allclose(products.ravel(), scores, rtol=1e-4, atol=1e-5)


def test_equal_norms_make_inner_product_distance_and_cosine_one_order(model):
    items, users = (
        model.item_vectors(equal_norms=True).astype(float),
        model.user_vectors(model.users_, equal_norms=True).astype(float),
    )
    norms = np.linalg.norm(items, axis=1)
    np.testing.assert_allclose(norms, norms[0], rtol=1e-6)
    products = users @ items.T
    np.testing.assert_allclose(
        products, model.user_vectors(model.users_) @ model.item_vectors().T, rtol=1e-3, atol=1e-5
    )
    squares = ((users[:, None] - items[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(squares.argmin(axis=1), products.argmax(axis=1))
    ranked = np.take_along_axis(squares, np.argsort(-products, axis=1), axis=1)
    assert np.all(np.diff(ranked, axis=1) > -1e-5 * squares.max())


def test_vectors_are_copies(model):
    for make in (model.item_vectors, lambda: model.user_vectors(model.users_)):
        before = make()
        make()[:] = 0
        np.testing.assert_array_equal(make(), before)


def test_ids_and_rows_are_each_others_inverse(model, world):
    rows = np.random.default_rng(0).permutation(len(model.items_))[:10]
    np.testing.assert_array_equal(model.item_rows(model.items_[rows]), rows)
    with pytest.raises(KeyError, match="1 of 2 item ids are unknown to the model: 'nothing'"):
        model.item_rows([model.items_[0], "nothing"])


def test_rows_stay_when_items_and_users_are_folded_in(world):
    model = SelectiveLLMRegularizedMF(
        factors=4, user_col="user", item_col="item", item_data=world.item_data, tuning=None,
        random_state=0,
    ).fit(world.X)  # fmt: skip
    before, n_items = model.item_vectors(), len(model.items_)
    new = world.item_data.iloc[:2].assign(item=[9001, 9002])
    model.fold_in_items(new)
    after = model.item_vectors()
    np.testing.assert_array_equal(after[:n_items], before)
    assert model.item_rows([9002]).tolist() == [n_items + 1] == [len(after) - 1]
    likes = world.X[world.X["user"] == world.X["user"].iloc[0]].assign(user=777)
    assert model.fold_in(likes).user_vectors([777]).shape == (1, before.shape[1])


def test_usearch_finds_what_recommend_does(model):
    usearch = pytest.importorskip("usearch.index")
    users = model.users_[:50]
    expected, scores = model.recommend(users, 10, filter_seen=False)
    index = usearch.Index(ndim=model.item_vectors().shape[1], metric="ip", dtype="f32")
    index.add(np.arange(len(model.items_)), model.item_vectors())
    exact = index.search(model.user_vectors(users), 10, exact=True)
    np.testing.assert_array_equal(model.items_[exact.keys], expected)
    np.testing.assert_allclose(1 - exact.distances, scores, rtol=1e-3, atol=1e-4)

    items = model.item_vectors(equal_norms=True)
    index = usearch.Index(ndim=items.shape[1], metric="l2sq", dtype="f32")
    index.add(model.item_rows(model.items_), items)
    found = index.search(model.user_vectors(users, equal_norms=True), 10)
    assert (found.counts == 10).all()
    shared = map(np.intersect1d, model.items_[found.keys], expected)
    assert np.mean([len(both) for both in shared]) > 9.9

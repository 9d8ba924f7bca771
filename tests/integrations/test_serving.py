"""The API of "Serving" gives the lists of the model."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pages import page_code

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions


@pytest.fixture
def model():
    """A model with ids that are strings, as those in addresses are."""
    likes = make_interactions(60, 100, 600, random_state=0).X[["user", "item"]].astype(str)
    return SelectiveLLMRegularizedMF(factors=8, tuning=None, random_state=0).fit(likes)


def test_the_api_serves_the_lists_of_the_model(model, tmp_path, monkeypatch):
    pytest.importorskip("fastapi")
    client_of = pytest.importorskip("fastapi.testclient").TestClient
    monkeypatch.chdir(tmp_path)
    model.save("model.npz")
    (code,) = page_code("serving.md")
    names = {}
    exec(code, names)
    client = client_of(names["app"])
    user, history = model.users_[0], model.items_[:3].tolist()
    listed = client.get(f"/lists/{user}", params={"n": 5}).json()
    items, scores = model.recommend([user], 5)
    assert [row["item"] for row in listed] == items[0].tolist()
    np.testing.assert_allclose([row["score"] for row in listed], scores[0], rtol=1e-5)
    visitor = [row["item"] for row in client.post("/lists", json=history).json()]
    assert len(visitor) == 10 and not set(visitor) & set(history)
    assert "visitor" not in names["model"].users_
    nobody = [row["item"] for row in client.post("/lists", json=[]).json()]
    assert nobody == model.recommend(["nobody"], 10)[0][0].tolist()
    assert client.get(f"/lists/{user}", params={"n": 5}).json() == listed


def test_threads_share_a_model(model):
    expected = model.recommend(model.users_, 10)[0]
    with ThreadPoolExecutor(8) as pool:
        lists = pool.map(lambda user: model.recommend([user], 10)[0][0], list(model.users_) * 5)
    np.testing.assert_array_equal(list(lists), np.vstack([expected] * 5))

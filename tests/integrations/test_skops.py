"""skops stores models as `save` does, and has to trust the estimator alone."""

import copy
import io
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
from pages import page_code
from sklearn.pipeline import make_pipeline

from sklearn_selreg import ALS, ModelVersionWarning, ReliabilityGate, SelectiveLLMRegularizedMF
from sklearn_selreg.exceptions import DataWarning

skops_io = pytest.importorskip("skops.io")

NAME = "sklearn_selreg.SelectiveLLMRegularizedMF"


@pytest.fixture(scope="module", params=["plain", "judged"])
def model(request, world):
    if request.param == "plain":
        return world.model().fit(world.train)
    return world.judged(gate=ReliabilityGate(threshold=0.1)).fit(world.train)


def round_trip(model):
    return skops_io.loads(skops_io.dumps(model), trusted=[NAME])


def test_a_restored_model_does_the_same(model, world):
    restored = round_trip(model)
    np.testing.assert_array_equal(restored.predict(world.test), model.predict(world.test))
    for got, expected in zip(
        restored.recommend([3, 10**6]), model.recommend([3, 10**6]), strict=True
    ):
        np.testing.assert_array_equal(got, expected)
    assert restored.explain(7, 3).equals(model.explain(7, 3))
    new = pd.DataFrame({"user": [-1, -1], "item": [4, 9]})
    expected = copy.copy(model).fold_in(new).recommend([-1])
    np.testing.assert_array_equal(restored.fold_in(new).recommend([-1])[1], expected[1])


def test_only_the_estimator_has_to_be_trusted(model):
    assert skops_io.get_untrusted_types(data=skops_io.dumps(model)) == [NAME]
    in_pipeline = skops_io.dumps(make_pipeline(model))
    assert skops_io.get_untrusted_types(data=in_pipeline) == [NAME]
    skops_io.loads(in_pipeline, trusted=[SelectiveLLMRegularizedMF])


def test_what_stays_behind_is_told_at_the_next_fit(world):
    restored = round_trip(world.judged().fit(world.train))
    assert restored.judge is restored.item_data is restored.gate_ is None
    with pytest.warns(DataWarning, match="does not hold item_data, judge"):
        restored.fit(world.train)


def test_an_estimator_that_is_not_fitted(world):
    restored = round_trip(world.judged(gate=ReliabilityGate(threshold=0.1)))
    assert restored.gate.threshold == 0.1
    assert not hasattr(restored, "_fitted")
    with pytest.warns(DataWarning, match="does not hold item_data, judge"):
        restored.fit(world.train)


def test_text_ids_are_no_nodes_each(world):
    rows = pd.DataFrame({"user": [f"u{n % 3000}" for n in range(9000)], "item": range(9000)})
    rows["item"] = "i" + (rows["item"] % 500).astype(str)
    model = world.model(tuning=None).fit(rows)
    dumped = skops_io.dumps(model)
    with zipfile.ZipFile(io.BytesIO(dumped)) as archive:
        assert len(archive.read("schema.json")) < 100_000
    assert round_trip(model).users_.tolist() == model.users_.tolist()


def test_tampered_states_are_refused(world):
    state = world.model().fit(world.train).__getstate__()
    state["arrays"]["item_factors"] = state["arrays"]["item_factors"][:-1]
    with pytest.raises(ValueError, match="item_factors"):
        SelectiveLLMRegularizedMF().__setstate__(state)


def test_another_version_warns(world, monkeypatch):
    model = world.model().fit(world.train)
    monkeypatch.setattr("sklearn_selreg._mf.__version__", "0.0.7")
    dumped = skops_io.dumps(model)
    monkeypatch.undo()
    with pytest.warns(ModelVersionWarning, match=r"saved by sklearn_selreg 0\.0\.7"):
        skops_io.loads(dumped, trusted=[NAME])


def test_what_a_file_cannot_hold_is_an_error(world):
    class MyALS(ALS):
        pass

    model = world.model().set_params(backbone=MyALS())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(world.train)
    with pytest.raises(ValueError, match=r"cannot hold backbone=MyALS"):
        skops_io.dumps(model)


def test_the_page_on_tracking(model, world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"model": model, "SelectiveLLMRegularizedMF": SelectiveLLMRegularizedMF}
    for code in page_code("tracking.md")[:2]:
        exec(code, names)
        expected = model.predict(world.test)
        np.testing.assert_array_equal(names["loaded"].predict(world.test), expected)

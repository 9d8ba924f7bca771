"""A fit is one run of MLflow, which stores models and serves lists."""

import warnings

import numpy as np
import pytest
from pages import page_code
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.exceptions import DataWarning
from sklearn_selreg.judges import ContentJudge

mlflow = pytest.importorskip("mlflow")

NAME = "sklearn_selreg.SelectiveLLMRegularizedMF"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Make a store for the runs, which takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    return folder


@pytest.fixture
def runs(store, request, monkeypatch):
    """Begin an experiment; return a function that lists its runs."""
    monkeypatch.setenv("MLFLOW_ALLOW_MODEL_CODE_EXECUTION", "true")  # we load what we stored
    monkeypatch.chdir(store)
    mlflow.set_experiment(request.node.name)
    yield lambda: mlflow.search_runs(output_format="list", order_by=["start_time"])
    mlflow.sklearn.autolog(disable=True)
    assert mlflow.active_run() is None


def quiet_fit(model, X, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return model.fit(X, **arguments)


def text_pipeline():
    """An item encoder of scikit-learn's own estimators, which autologging patches."""
    return make_pipeline(
        FunctionTransformer(lambda frame: frame.astype(str).agg(" ".join, axis=1)),
        TfidfVectorizer(),
        TruncatedSVD(2),
    )


def test_a_fit_is_one_run_with_our_parameters(runs, world):
    mlflow.sklearn.autolog(log_models=False, extra_tags={"team": "films"})
    model = world.judged(item_encoder=text_pipeline(), alpha=7.0)
    assert quiet_fit(model, world.train) is model
    (run,) = runs()
    logged = run.data.params
    assert (logged["alpha"], logged["factors"], logged["margin"]) == ("7.0", "6", "0.1")
    assert logged["item_data"] == f"DataFrame({'x'.join(map(str, world.item_data.shape))})"
    assert run.data.tags["estimator_class"] == NAME
    assert run.data.tags["team"] == "films"
    assert run.info.status == "FINISHED"
    assert run.data.metrics["judge_slates"] == model.judge_stats_["slates"]


def test_settings_that_were_found_are_logged(runs, movielens):
    mlflow.sklearn.autolog(log_models=False)
    model = SelectiveLLMRegularizedMF(8, iterations=3, user_col="user", item_col="item")
    some = movielens.train[movielens.train["user"] % 2 == 0]
    model.fit(some)
    (run,) = runs()
    assert run.data.params["alpha"] == "auto"
    assert float(run.data.params["alpha_"]) == model.alpha_
    assert run.data.metrics["tuning_AUC"] == model.tuning_.query("chosen")["AUC"].item()


def test_nothing_is_logged_by_what_is_no_fit(runs, world):
    mlflow.sklearn.autolog()
    model = world.model(item_data=world.item_data, judge=ContentJudge())
    model.plan_judging(world.train)
    assert runs() == []


def test_a_user_can_open_the_run(runs, world):
    mlflow.sklearn.autolog(log_models=False)
    with mlflow.start_run(run_name="mine") as mine:
        world.model().fit(world.train)
    (run,) = runs()
    assert run.info.run_id == mine.info.run_id
    assert run.data.params["factors"] == "6"


def test_a_fit_that_fails_is_a_failed_run_and_raises_its_own_error(runs, world):
    mlflow.sklearn.autolog(log_models=False)
    with pytest.raises(ValueError, match="alpha"):
        world.model(alpha=-1.0).fit(world.train)
    (run,) = runs()
    assert run.info.status == "FAILED"
    world.model().fit(world.train)
    assert [run.info.status for run in runs()] == ["FAILED", "FINISHED"]


def test_turned_off_and_on_again(runs, world):
    mlflow.sklearn.autolog(log_models=False)
    mlflow.sklearn.autolog(disable=True)
    world.model().fit(world.train)
    assert runs() == []
    mlflow.sklearn.autolog(log_models=False)
    world.model().fit(world.train)
    world.model().fit(world.train)
    assert len(runs()) == 2


def test_searches_and_pipelines_log_as_those_of_scikit_learn(runs, world):
    mlflow.sklearn.autolog(log_models=False)
    search = GridSearchCV(world.model(), {"alpha": [3.0, 6.0]}, cv=KFold(2, shuffle=True))
    quiet_fit(search, world.train)
    parents = [run for run in runs() if "mlflow.parentRunId" not in run.data.tags]
    assert [run.data.tags["estimator_name"] for run in parents] == ["GridSearchCV"]
    assert len(runs()) == 3
    make_pipeline(world.model()).fit(world.train)
    assert len(runs()) == 4
    last = runs()[-1]
    assert last.data.tags["estimator_name"] == "Pipeline"
    assert last.data.params["selectivellmregularizedmf__factors"] == "6"


def test_warnings_point_at_the_users_line(runs, world):
    mlflow.sklearn.autolog(log_models=False)
    model = world.model(strengths="raw")
    with pytest.warns(DataWarning, match="orders of magnitude") as given:
        model.fit(world.train, y=np.r_[1e6, np.ones(len(world.train) - 1)])
    assert {warning.filename for warning in given} == {__file__}


def check_same(got, model, world):
    np.testing.assert_array_equal(got.predict(world.test), model.predict(world.test))


@pytest.mark.slow
def test_the_model_is_logged_as_autologging_was_told(runs, world):
    for serialization_format in ("cloudpickle", "skops"):
        mlflow.sklearn.autolog(serialization_format=serialization_format)
        model = quiet_fit(world.judged(), world.train)
        (output,) = mlflow.get_run(runs()[-1].info.run_id).outputs.model_outputs
        loaded = mlflow.sklearn.load_model(f"models:/{output.model_id}")
        check_same(loaded, model, world)


@pytest.mark.slow
def test_the_page_on_tracking(runs, world):
    names = {"model": world.judged(), "likes": world.train, "held_out": world.test}
    names["SelectiveLLMRegularizedMF"] = SelectiveLLMRegularizedMF
    autologged, by_hand, lists = (code for code in page_code("tracking.md") if "mlflow" in code)
    exec(autologged, names)
    assert len(runs()) == 1
    mlflow.sklearn.autolog(disable=True)
    exec(by_hand, names)
    last, model = runs()[-1], names["model"]
    assert last.data.metrics["NDCG_at_10"] == model.score(world.test)
    check_same(names["loaded"], model, world)
    check_same(mlflow.pyfunc.load_model(names["info"].model_uri), model, world)
    exec(lists, names)
    assert names["served"].predict(names["users"]).equals(names["lists"])
    shorter = names["served"].predict(names["users"], params={"n_items": 5})
    assert shorter.equals(model.recommend(names["users"]["user"], 5, as_frame=True))

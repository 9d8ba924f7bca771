"""Scikit-learn callbacks observe a fit and may stop it, but do not change its result."""

import copy
import pickle
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimators import make_estimator
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline

from sklearn_selreg import (
    ALS,
    BPR,
    LMF,
    ReliabilityGate,
    SelectiveLLMRegularizedMF,
    SlateSampler,
)
from sklearn_selreg.exceptions import DataWarning, ParameterWarning
from sklearn_selreg.judges import LLMJudge, OpenAIJudge
from sklearn_selreg.metrics import auc_scorer, ndcg_at_k_scorer

sklearn_callback = pytest.importorskip("sklearn.callback")
from sklearn_selreg.callback import EarlyStopping, validation_scorer  # noqa: E402

BACKBONES = [ALS(), BPR(), LMF()]
COLUMNS = {"user_col": "user", "item_col": "item"}


class Recorder:
    """Records all events; stops the loops of sweeps named in `stop_at`."""

    def __init__(self, **stop_at):
        self.stop_at = stop_at
        self.begun, self.ended, self.models, self.samples = [], [], {}, []
        self.sizes = {}
        self.root = None

    def setup(self, estimator, context):
        self.root = context

    def teardown(self, estimator, context):
        assert context is self.root or self.root is None

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(path_of(context))
        self.sizes[path_of(context)] = context.max_subtasks

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        path = path_of(context)
        self.ended.append(path)
        if fitted_estimator is not None:
            self.models[path] = fitted_estimator
            self.samples.append((X, y))
        return len(path) > 1 and self.stop_at.get(path[-2][0]) == context.task_id + 1

    def models_of(self, loop):
        return [model for path, model in self.models.items() if path[-2:][0][0] == loop]


def path_of(context):
    above = () if context.parent is None else path_of(context.parent)
    return (*above, (context.task_name, context.task_id))


def assert_same(one, other):
    np.testing.assert_array_equal(one.user_factors_, other.user_factors_)
    np.testing.assert_array_equal(one.item_factors_, other.item_factors_)


def make(world, backbone=None, **settings):
    backbone = ALS(refine_iterations=4) if backbone is None else backbone
    settings = {"iterations": 9, "regularization": None, "backbone": backbone} | settings
    settings = {"factors": 6, "random_state": 0, "tuning": None} | COLUMNS | settings
    settings = {"item_data": world.item_data} | settings
    return SelectiveLLMRegularizedMF(**settings)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("judged", [False, True])
def test_a_fit_that_is_looked_at_is_the_same_to_the_last_bit(world, backbone, judged):
    settings = {"judge": world.judge, "gate": ReliabilityGate(min_pairs=1)} if judged else {}
    alone = make(world, backbone, **settings).fit(world.train)
    recorder = Recorder(calibration=1)  # has no effect: all calibration fits are needed
    seen = make(world, backbone, **settings).set_callbacks(recorder).fit(world.train)
    assert_same(seen, alone)
    assert (seen.n_iter_, seen.iterations_) == (alone.n_iter_, alone.iterations_)
    last = list(recorder.models.values())
    assert_same(last[-1], alone)  # after the whole fit
    assert_same(last[-2], alone)  # after the last sweep
    assert len(recorder.models_of("backbone")) == alone.iterations_ - 4 * (
        judged and backbone is BACKBONES[0]
    )


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_model_after_a_sweep_is_that_of_a_fit_with_so_many(world, backbone):
    recorder = Recorder()
    make(world, backbone).set_callbacks(recorder).fit(world.train)
    models = recorder.models_of("backbone")
    assert len(models) == 9
    for n_sweeps in (1, 4, 9):
        fitted = make(world, backbone, iterations=n_sweeps).fit(world.train)
        seen = models[n_sweeps - 1]
        assert_same(seen, fitted)
        assert seen.score(world.test) == fitted.score(world.test)
        assert (seen.n_iter_, seen.iterations_) == (n_sweeps, n_sweeps)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_sweeps_end_where_a_callback_says_so(world, backbone):
    ended = make(world, backbone).set_callbacks(Recorder(backbone=3)).fit(world.train)
    fewer = make(world, backbone, iterations=3).fit(world.train)
    assert_same(ended, fewer)
    assert ended.n_iter_ == ended.iterations_ == 3


def test_a_model_that_was_ended_folds_in_as_it_fits(world):
    ended = make(world).set_callbacks(Recorder(backbone=2)).fit(world.train)
    folded = copy.copy(ended).fold_in(world.train, known="replace")
    np.testing.assert_allclose(folded.user_factors_, ended.user_factors_, atol=1e-5)


def test_sweeps_with_a_judge_end_too_before_and_after_its_preferences_act(world):
    judged = {"judge": world.judge, "gate": None}
    after = make(world, **judged).set_callbacks(Recorder(**{"regularized sweeps": 2}))
    after.fit(world.train)
    assert after.n_iter_ == 5 + 2
    fewer = make(world, ALS(refine_iterations=2), iterations=7, **judged).fit(world.train)
    assert_same(after, fewer)
    before = make(world, judge=world.judge, gate=ReliabilityGate(min_pairs=1))
    fewer = clone(before).set_params(iterations=3 + 4).fit(world.train)
    before.set_callbacks(Recorder(backbone=3)).fit(world.train)
    assert_same(before, fewer)  # the calibration fits have the same number of sweeps
    assert before.n_iter_ == 7


def knowing_judge(world):
    liked = set(pd.concat([world.train, world.test]).itertuples(index=False, name=None))

    def rate(slate):
        user = slate.user  # wrong on every seventh item
        return [float(((user, i) in liked) ^ ((user + i) % 7 == 0)) for i in slate.candidates]

    return LLMJudge.from_callable(rate, name="oracle", version="1")


def test_the_tasks_of_a_fit_make_a_tree(world):
    recorder = Recorder()
    model = make(world, judge=knowing_judge(world), gate=ReliabilityGate(min_pairs=1))
    model.set_params(tuning="fast", factors="auto", alpha="auto").set_callbacks(recorder)
    model.fit(world.train)
    assert Counter(recorder.begun) == Counter(recorder.ended)
    assert max(Counter(recorder.begun).values()) == 1
    open_tasks = []
    for path in recorder.begun:  # a task begins within its parent
        assert path[:-1] in [(), *open_tasks]
        open_tasks.append(path)
    tasks = [path[1][0] for path in recorder.begun if len(path) == 2]
    assert tasks == ["settings", "choosing slates", "asking judge 'oracle'", "sweeps"]
    n_steps = Counter(path[-2][0] for path in recorder.ended if len(path) > 2)
    for path, size in recorder.sizes.items():  # progress bars reach exactly their end
        n_parts = sum(other[:-1] == path for other in recorder.ended)
        assert size in (None, n_parts) or (path[-1][0] == "choosing slates" and size > n_parts)
    assert n_steps["asking judge 'oracle'"] == model.judge_stats_["slates"]
    loops = {"backbone": 5, "calibration": 4 * 5, "sweeps without preferences": 4}
    assert loops | {"regularized sweeps": 4} == {
        name: n_steps[name] for name in [*loops, "regularized sweeps"]
    }


def test_each_fit_of_the_search_for_settings_is_a_task(movielens):
    recorder = Recorder(settings=2)  # has no effect on the search
    model = make_estimator(factors=4, iterations=2, random_state=0, **COLUMNS)
    model.set_callbacks(recorder).fit(movielens.train)
    n_fits = sum(path[-2][0] == "settings" for path in recorder.ended if len(path) > 2)
    assert n_fits == len(model.tuning_) > 2
    alone = clone(model).set_callbacks().fit(movielens.train)
    assert_same(alone, model)


def test_what_a_callback_does_is_no_task_of_the_fit(world):
    class Ranks(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            if fitted_estimator is not None:
                fitted_estimator.set_params(verbose=1).score(X, y)
                clone(fitted_estimator).set_callbacks().fit(X, y)
            return super().on_fit_task_end(
                estimator, context, X=X, y=y, fitted_estimator=fitted_estimator
            )

    recorder = Ranks()
    make(world, iterations=2).set_callbacks(recorder).fit(world.train)
    names = {name for path in recorder.begun for name, _ in path}
    assert names == {"fit", "sweeps", "backbone", "sweep"}


def test_progress_of_refining_is_told(world):
    fitted = make(world, item_data=None).fit(world.train)
    ids = fitted.users_, fitted.items_, *fitted._fitted.plain_factors
    settings = {"judge": world.judge, "gate": None, "regularization": 3.0} | COLUMNS
    alone = SelectiveLLMRegularizedMF.from_factors(*ids, **settings).refine(world.train)
    recorder = Recorder()
    seen = SelectiveLLMRegularizedMF.from_factors(*ids, **settings).set_callbacks(recorder)
    assert_same(seen.refine(world.train), alone)
    assert recorder.begun[0] == (("refine", 0),)
    assert sum(path[-1][0] == "sweep" for path in recorder.ended) == alone.n_iter_


def test_given_factors_are_scored_by_the_interactions_that_they_have(world):
    fitted = make(world, item_data=None).fit(world.train)
    ids = fitted.users_, fitted.items_, *fitted._fitted.plain_factors
    settings = {"judge": world.judge, "gate": None, "regularization": 3.0} | COLUMNS
    train = world.train[["user", "item"]].drop_duplicates()
    rows = np.searchsorted(fitted.users_, train["user"]), np.searchsorted(ids[1], train["item"])
    shape = len(ids[0]), len(ids[1])
    matrix = sp.csr_matrix((np.ones(len(train), dtype=np.float32), rows), shape=shape)
    for given in (None, matrix):
        monitor = sklearn_callback.ScoringMonitor(scoring={"NDCG": ndcg_at_k_scorer(10)})
        model = SelectiveLLMRegularizedMF.from_factors(*ids, interactions=train, **settings)
        model.set_callbacks(monitor).refine(given)
        expected = ndcg_at_k_scorer(10)(model, train)
        assert [row["NDCG"] for row in logged(monitor, "refine")] == [expected]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_users_lean_on_their_features_in_each_sweep_too(world, backbone):
    kinds = {user: ["a", "b", "c"][user % 3] for user in world.train["user"].unique()}
    settings = {"user_data": kinds, "judge": world.judge, "gate": None}
    recorder = Recorder()
    alone = make(world, backbone, **settings).fit(world.train)
    assert_same(make(world, backbone, **settings).set_callbacks(recorder).fit(world.train), alone)
    for model in list(recorder.models.values())[-2:]:  # last sweep and whole fit
        assert_same(model, alone)
        coefficients = [m._fitted.user_coefficients for m in (model, alone)]
        np.testing.assert_array_equal(*coefficients)


@pytest.mark.parametrize("hook", ["setup", "on_fit_task_begin", "on_fit_task_end"])
def test_a_callback_that_fails_leaves_the_model_as_it_was(world, hook):
    model = make(world).fit(world.train)
    before = pickle.dumps(model._fitted)

    def fail(*args, **kwargs):
        raise RuntimeError("no")

    recorder = Recorder()
    setattr(recorder, hook, fail)
    model.set_callbacks(recorder)
    with pytest.raises(RuntimeError, match="no"):
        model.fit(world.test)
    assert pickle.dumps(model._fitted) == before
    model.set_callbacks().fit(world.test)  # and open tasks are closed


# -- early stopping ------------------------------------------------------------------------------


def stop_of(scores, n_iter_no_change, tol):
    """First number of sweeps at which the last `n_iter_no_change` brought no improvement."""
    for n in range(n_iter_no_change + 1, len(scores) + 1):
        last = range(n - n_iter_no_change, n)
        if all(scores[m] <= max(scores[:m]) + tol for m in last):
            return n
    return len(scores)


@pytest.mark.parametrize("scoring", [None, auc_scorer(), ndcg_at_k_scorer(3)])
@pytest.mark.parametrize(("n_iter_no_change", "tol"), [(1, 0), (2, 0), (3, 0.0), (2, 0.02)])
def test_early_stopping_ends_where_the_scores_of_fits_say(world, scoring, n_iter_no_change, tol):
    fits = [make(world, iterations=n).fit(world.train) for n in range(1, 13)]
    scores = [
        fit.score(world.test) if scoring is None else scoring(fit, world.test) for fit in fits
    ]
    n_sweeps = stop_of(scores, n_iter_no_change, tol)
    stopping = EarlyStopping(
        world.test, scoring=scoring, n_iter_no_change=n_iter_no_change, tol=tol
    )
    model = make(world, iterations=12).set_callbacks(stopping)
    for _ in range(2):  # no state is left over
        assert model.fit(world.train).n_iter_ == n_sweeps
        assert_same(model, fits[n_sweeps - 1])


def test_early_stopping_takes_strengths_and_is_shared_by_clones(world):
    y = np.arange(len(world.test)) % 2  # rows with 0 are not relevant
    stopping = EarlyStopping(world.test, y, n_iter_no_change=1)
    half = EarlyStopping(world.test[y > 0], n_iter_no_change=1)
    model = make(world, iterations=20)
    expected = clone(model).set_callbacks(half).fit(world.train)
    stopped = clone(model.set_callbacks(stopping))
    assert stopped._skl_callbacks[0] is stopping
    assert_same(stopped.fit(world.train), expected)
    other = pickle.loads(pickle.dumps(model))
    assert_same(other.fit(world.train), expected)


def test_early_stopping_checks_before_anything_is_done(world):
    for settings in ({"n_iter_no_change": 0}, {"n_iter_no_change": 1.5}, {"tol": -1}):
        with pytest.raises(ValueError, match="must be"):
            EarlyStopping(world.test, **settings)
    judge = LLMJudge.from_callable(lambda slate: 1 / 0, name="x", version="1")
    model = make(world, judge=judge)
    nameless = EarlyStopping(world.test.rename(columns={"user": "who"}))
    with pytest.raises(ValueError, match="no column for user_col='user'"):
        model.set_callbacks(nameless).fit(world.train)
    with pytest.raises(ValueError, match="scoring"):
        model.set_callbacks(EarlyStopping(world.test, scoring="no such")).fit(world.train)


def test_early_stopping_says_what_it_cannot_do(world):
    with pytest.warns(DataWarning, match="are also in the training data"):
        make(world).set_callbacks(EarlyStopping(world.train)).fit(world.train)
    unfit = EarlyStopping(world.test, scoring=auc_scorer(regime="new"))
    with pytest.warns(DataWarning, match="is NaN"), pytest.raises(ValueError, match="returned NaN"):
        make(world).set_callbacks(unfit).fit(world.train)
    pipe = make_pipeline("passthrough", make(world)).set_callbacks(EarlyStopping(world.test))
    with pytest.warns(ParameterWarning, match=re.escape("pipe[-1].set_callbacks")):
        pipe.fit(world.train)


# -- scikit-learn's own callbacks ------------------------------------------------------------------


def logged(monitor, task="sweep"):
    return [row for row in monitor.get_logs().data if row["task_name"] == task]


def test_scores_are_monitored_without_y_too(world):
    held_out = validation_scorer(world.test, scoring=auc_scorer())
    scoring = {"fitted": ndcg_at_k_scorer(10), "held out": held_out}
    monitor = sklearn_callback.ScoringMonitor(scoring=scoring)
    make(world, iterations=3).set_callbacks(monitor).fit(world.train)
    rows = logged(monitor)
    fits = [make(world, iterations=n).fit(world.train) for n in (1, 2, 3)]
    assert [row["held out"] for row in rows] == [auc_scorer()(fit, world.test) for fit in fits]
    fitted = [ndcg_at_k_scorer(10)(fit, world.train) for fit in fits]
    assert [row["fitted"] for row in rows] == fitted
    assert [row["fitted"] for row in logged(monitor, "fit")] == fitted[-1:]


def test_scores_of_a_sparse_matrix_and_of_strengths_are_monitored(world):
    users, items = world.train.to_numpy().T
    matrix = sp.csr_matrix((np.arange(1.0, len(users) + 1), (users, items)))
    monitor = sklearn_callback.ScoringMonitor(scoring={"AUC": auc_scorer()})
    model = SelectiveLLMRegularizedMF(factors=4, iterations=2, tuning=None, random_state=0)
    model.set_callbacks(monitor).fit(matrix)
    assert logged(monitor)[-1]["AUC"] == auc_scorer()(model, world.train)
    recorder = Recorder()
    strengths = np.arange(len(world.train)) % 3
    make(world, iterations=2).set_callbacks(recorder).fit(world.train, strengths)
    for X, y in recorder.samples:
        assert X is world.train
        assert y is strengths


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_shows_its_fits_and_their_scores(world, n_jobs, capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")  # wide enough for all task names
    rows = pd.concat([world.train, world.test], ignore_index=True)
    fold = [-1] * len(world.train) + [0] * len(world.test)
    monitor = sklearn_callback.ScoringMonitor(scoring={"held out": validation_scorer(world.test)})
    model = make(world, iterations=3).set_callbacks(monitor)
    search = GridSearchCV(
        model, {"alpha": [5.0, 50.0]}, cv=PredefinedSplit(fold), n_jobs=n_jobs, refit=False
    )
    search.set_callbacks(sklearn_callback.ProgressBar()).fit(rows)
    shown = capsys.readouterr().out
    assert "GridSearchCV - candidate-split-evaluation | SelectiveLLMRegularizedMF - fit" in shown
    assert len(re.findall("SelectiveLLMRegularizedMF - backbone", shown)) >= 2
    last = [row["held out"] for row in logged(monitor, "fit")]
    assert last == search.cv_results_["mean_test_score"].tolist()
    assert len(logged(monitor)) == 2 * 3


@pytest.mark.slow
def test_a_search_stops_its_fits_early_in_workers(world):
    rows = pd.concat([world.train, world.test], ignore_index=True)
    fold = [-1] * len(world.train) + [0] * len(world.test)
    stopping = EarlyStopping(world.test, n_iter_no_change=1)
    model = make(world, iterations=20).set_callbacks(stopping)
    search = GridSearchCV(model, {"alpha": [5.0, 50.0]}, cv=PredefinedSplit(fold), refit=False)
    alone = [
        clone(model).set_params(alpha=alpha).fit(world.train).score(world.test)
        for alpha in (5.0, 50.0)
    ]
    for n_jobs in (1, 2):
        found = clone(search).set_params(n_jobs=n_jobs).fit(rows)
        assert found.cv_results_["mean_test_score"].tolist() == alone


def test_callbacks_are_no_parameters_and_are_kept_as_scikit_learn_keeps_them(world, tmp_path):
    monitor = sklearn_callback.ScoringMonitor(scoring={"AUC": auc_scorer()})
    model = make(world, iterations=2)
    parameters, text = model.get_params(), repr(model)
    assert model.set_callbacks(monitor) is model
    assert (model.get_params(), repr(model)) == (parameters, text)
    assert clone(model)._skl_callbacks == [monitor]
    model.fit(world.train)
    again = pickle.loads(pickle.dumps(model))
    assert_same(again.fit(world.train), model)
    assert len(again._skl_callbacks[0].get_logs("all")) == 2
    assert not [name for name in vars(model) if "callback" in name and name != "_skl_callbacks"]
    model.save(tmp_path / "model")
    assert not hasattr(SelectiveLLMRegularizedMF.load(tmp_path / "model"), "_skl_callbacks")
    assert not hasattr(model.set_callbacks(), "_skl_callbacks")
    with pytest.raises(TypeError, match="FitCallback protocol"):
        model.set_callbacks(print)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn_selreg.exceptions.GateWarning")
def test_prompts_that_several_threads_ask_are_told(world, server, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    url = server.url + "/v1"
    judge = OpenAIJudge("llama", base_url=url, max_requests=10**5, cache=None, concurrency=8)
    recorder = Recorder()
    model = make(world, judge=judge, slates=SlateSampler(size=5), iterations=6)
    model.set_callbacks(recorder).fit(world.train)
    told = [path for path in recorder.ended if path[-2:][0][0] == "asking llama"]
    prompts = [path for path in told if len(path) > 2]
    assert len(prompts) == server.stats()["requests"]["/v1/chat/completions"] > 40
    assert [path[-1] for path in prompts] == [("prompt", n) for n in range(len(prompts))]

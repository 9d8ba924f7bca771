"""Compatibility with scikit-learn: checks, searches, pipelines and diagrams."""

import inspect
import mmap
from importlib.metadata import metadata
from importlib.util import find_spec

import numpy as np
import pandas as pd
import polars as pl
import pytest
from estimators import make_estimator
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_selreg import AutoItemEncoder, ReliabilityGate, SelectiveLLMRegularizedMF
from sklearn_selreg.judges import (
    AnthropicJudge,
    ContentJudge,
    LLMJudge,
    OpenAIJudge,
    PrecomputedJudge,
)
from sklearn_selreg.metrics import auc_scorer, ndcg_at_k_scorer, ranking_report, recall_at_k_scorer
from sklearn_selreg.model_selection import ColdStartSplit, LeaveLastOut

SMALL = {"factors": 4, "regularization": 3.0, "alpha": 6.0, "iterations": 4, "random_state": 0}
N_USERS, N_ITEMS = 60, 40


@pytest.fixture(scope="module")
def likes():
    """Interactions of users with two tastes, in random order, with string ids."""
    rng = np.random.default_rng(0)
    taste = rng.integers(2, size=N_USERS)
    weights = np.where(np.arange(N_ITEMS) % 2 == taste[:, None], 6.0, 1.0)
    chosen = np.argsort(-np.log(weights) - rng.gumbel(size=weights.shape), axis=1)[:, :9]
    user, item = np.repeat(np.arange(N_USERS), 9), chosen.ravel()
    table = pd.DataFrame({"user": user, "item": item, "time": rng.permutation(len(user))})
    table = table.sample(frac=1, random_state=0, ignore_index=True)
    return table.assign(user="u" + table["user"].astype(str), item="i" + table["item"].astype(str))


@pytest.fixture(scope="module")
def kinds():
    """Item data: each item's taste as text."""
    return pd.Series(
        [["red", "blue"][i % 2] for i in range(N_ITEMS)], index=[f"i{i}" for i in range(N_ITEMS)]
    )


def named(**settings):
    columns = {"user_col": "user", "item_col": "item", "time_col": "time", "n_jobs": 1}
    return make_estimator(**SMALL | columns | settings)


class ByTaste(LLMJudge):
    """Rates items with the same parity as most of the history higher, with some noise."""

    def _rate(self, slates):
        for slate in slates:
            taste = np.mean([int(item[1:]) % 2 for item in slate.history]) > 0.5
            same = np.array([int(item[1:]) % 2 == taste for item in slate.candidates])
            yield 0.2 + 0.4 * same + 0.01 * np.arange(len(same)) / len(same)


# -- scikit-learn's own checks ----------------------------------------------------------------


# Expected failures with reasons; none with a current scikit-learn.
EXPECTED_FAILURES = {}
if "X -= X.mean()\n" in inspect.getsource(estimator_checks.check_positive_only_tag_during_fit):
    EXPECTED_FAILURES["check_positive_only_tag_during_fit"] = (
        "This version of the check subtracts a mean, in place, from the integers that it makes for "
        "estimators that take categories."
    )


@parametrize_with_checks(
    [SelectiveLLMRegularizedMF(n_jobs=1)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
@pytest.mark.filterwarnings("ignore:X is an array of shape:UserWarning")
def test_the_estimator_passes_all_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "judge",
    [
        PrecomputedJudge([{"user": 1, "history": [], "candidates": [1], "ratings": [1]}]),
        ContentJudge(),
        AnthropicJudge(max_cost=1),
        OpenAIJudge("gpt-5-mini", max_cost=1),
    ],
    ids=lambda judge: type(judge).__name__,
)
@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_no_attributes_set_in_init",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_mixin_order",
        "check_get_params_invariance",
        "check_set_params",
    ],
)
def test_judges_pass_the_checks_that_need_no_fit(judge, check):
    getattr(estimator_checks, check)(type(judge).__name__, judge)


def test_tags_say_what_the_estimator_takes(likes):
    tags = SelectiveLLMRegularizedMF().__sklearn_tags__()
    assert tags.input_tags.categorical
    assert not tags.input_tags.sparse
    assert not tags.target_tags.required
    assert tags.target_tags.positive_only
    assert not tags.input_tags.allow_nan


# -- columns ----------------------------------------------------------------------------------


def test_columns_are_remembered_as_scikit_learn_does(likes):
    model = named().fit(likes)
    assert model.n_features_in_ == 3
    assert model.feature_names_in_.tolist() == ["user", "item", "time"]
    model.set_params(user_col=0, item_col=1, time_col=2).fit(likes.to_numpy())
    assert model.n_features_in_ == 3
    assert not hasattr(model, "feature_names_in_")


def test_predict_needs_the_columns_of_users_and_items_alone(likes):
    model = named().fit(likes)
    expected = model.predict(likes)
    other = likes[["item", "user"]].assign(new=0)
    np.testing.assert_array_equal(model.predict(other), expected)
    np.testing.assert_array_equal(model.predict(pl.from_pandas(other)), expected)


def test_columns_by_position_must_stay_in_order(likes):
    model = make_estimator(**SMALL).fit(likes[["user", "item"]])
    swapped = likes[["item", "user"]]
    for method in (model.predict, model.score, model.fold_in):
        with pytest.raises(
            ValueError, match=r"Column 0 of X \(user_col\) is 'item', but was 'user'"
        ):
            method(swapped)
    with pytest.raises(ValueError, match=r"X has 1 features, but Selective.* is expecting 2"):
        model.predict(likes[["user"]])
    # Only frames have names to compare.
    np.testing.assert_array_equal(
        model.predict(likes[["user", "item"]].to_numpy()), model.predict(likes[["user", "item"]])
    )


# -- parameters of parameters -----------------------------------------------------------------


def test_shorthands_become_instances_whose_parameters_are_set(likes):
    model = named().set_params(
        gate__C=3, item_encoder__min_count=4, slates__size=7, backbone__missing_power=0.25
    )
    assert (model.gate.C, model.item_encoder.min_count, model.slates.size) == (3, 4, 7)
    assert repr(model.backbone) == "ALS(missing_power=0.25)"
    model.set_params(backbone="bpr", backbone__learning_rate=0.1)
    assert repr(model.backbone) == "BPR(learning_rate=0.1)"
    assert named().get_params(deep=False)["backbone"] == "als"  # other instances keep the shorthand
    search = GridSearchCV(
        named(tuning=None, iterations=2),
        {"backbone__missing_power": [0, 0.5], "slates__size": [5]},
        cv=LeaveLastOut(**columns_of(model)),
    ).fit(likes)
    assert search.best_params_["slates__size"] == search.best_estimator_.slates.size == 5


@pytest.mark.parametrize(
    ("name", "instance", "settings"),
    [
        ("gate__C", "gate=ReliabilityGate", {"gate": None}),
        ("judge__model", "judge=AnthropicJudge", {}),
        ("item_encoder__min_count", "item_encoder=AutoItemEncoder", {"item_encoder": None}),
    ],
)
def test_parameters_of_what_is_no_instance_ask_for_one(name, instance, settings, likes):
    model = named(**settings)
    with pytest.raises(ValueError, match=rf"{name}=3 .* Pass an instance.*{instance}\("):
        model.set_params(**{name: 3})
    with pytest.raises(ValueError, match=rf"Pass an instance.*{instance}\("):
        GridSearchCV(model, {name: [3]}, cv=LeaveLastOut(**columns_of(model))).fit(likes)


def columns_of(model):
    return {name: getattr(model, name) for name in ("user_col", "item_col", "time_col")}


def test_parameters_of_instances_are_set():
    model = named(gate=ReliabilityGate(), judge=AnthropicJudge(max_cost=1))
    model.set_params(
        gate__C=0.5,
        judge__model="claude-x",
        item_encoder=AutoItemEncoder(),
        item_encoder__min_count=2,
    )
    assert (model.gate.C, model.judge.model, model.item_encoder.min_count) == (0.5, "claude-x", 2)
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        model.set_params(nonsense=1)
    assert clone(model).get_params()["gate__C"] == 0.5


@pytest.mark.slow
def test_a_search_over_parameters_of_parameters(likes, kinds):
    model = named(
        judge=ByTaste(),
        gate=ReliabilityGate(),
        item_data=kinds.to_frame("kind").assign(number=np.arange(N_ITEMS) // 2 % 5),
        item_encoder=AutoItemEncoder(),
        slates__size=8,
    )
    grid = {"gate__C": [0.01, 1.0], "item_encoder__max_features": [1, 300]}
    search = GridSearchCV(model, grid, cv=LeaveLastOut(**columns_of(model))).fit(likes)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["gate__C"] == search.best_estimator_.gate_.C_
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    assert (scores[:, 0] != scores[:, 1]).all()  # the encoder's parameter takes effect


# -- searches and validation ------------------------------------------------------------------

SCORING = {
    "NDCG": ndcg_at_k_scorer(10),
    "recall": recall_at_k_scorer(5, regime="warm"),
    "AUC": auc_scorer(),
}


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
@pytest.mark.parametrize(
    "search",
    [
        lambda model, cv: GridSearchCV(
            model, {"mf__factors": [1, 4]}, cv=cv, scoring=SCORING, refit="AUC"
        ),
        lambda model, cv: RandomizedSearchCV(
            model, {"mf__factors": [1, 4]}, n_iter=2, cv=cv, scoring=SCORING, refit="AUC"
        ),
        lambda model, cv: HalvingGridSearchCV(
            model, {"mf__factors": [1, 4]}, cv=cv, scoring=auc_scorer(), random_state=0
        ),
    ],
    ids=["grid", "random", "halving"],
)
@pytest.mark.filterwarnings("ignore:.* are also in the training data:UserWarning")
def test_searches_over_pipelines(likes, frame, search):
    X = frame(likes.to_dict("list"))
    model = named()
    pipe = Pipeline([("same", FunctionTransformer()), ("mf", model)])
    cv = ColdStartSplit(k=4, n_splits=2, random_state=0, **columns_of(model))
    search = search(pipe, cv).fit(X)
    key = "mean_test_AUC" if "mean_test_AUC" in search.cv_results_ else "mean_test_score"
    assert (search.cv_results_[key] > 0.5).all()
    # A search can be evaluated in place of its best estimator.
    report = ranking_report(search, X, train=X)
    alone = clone(model).set_params(factors=search.best_params_["mf__factors"]).fit(likes)
    np.testing.assert_array_equal(search.predict(X), alone.predict(likes))
    pd.testing.assert_frame_equal(report, ranking_report(alone, likes, train=likes))


def test_cross_validate_gives_what_a_loop_gives(likes):
    model = named()
    cv = KFold(3, shuffle=True, random_state=0)
    result = cross_validate(model, likes, cv=cv, scoring=SCORING)
    for fold, (train, test) in enumerate(cv.split(likes)):
        fitted = clone(model).fit(likes.iloc[train])
        report = ranking_report(fitted, likes.iloc[test], train=likes.iloc[train])
        assert result["test_NDCG"][fold] == report.loc["overall", "NDCG@10"]
        assert result["test_AUC"][fold] == report.loc["overall", "AUC"]
        wide = ranking_report(fitted, likes.iloc[test], train=likes.iloc[train], k=5)
        assert result["test_recall"][fold] == wide.loc["warm", "recall@5"]
        assert np.isclose(result["test_NDCG"][fold], fitted.score(likes.iloc[test]))


def test_train_test_split_and_learning_curve(likes):
    model = named()
    for table in (likes, pl.from_pandas(likes), likes.to_numpy()):
        fitted = clone(model)
        if isinstance(table, np.ndarray):
            fitted.set_params(user_col=0, item_col=1, time_col=2)
        train, test = train_test_split(table, test_size=0.2, random_state=0)
        score = fitted.fit(train).score(test)
        reference = score if table is likes else reference  # noqa: F821
        assert score == pytest.approx(reference)
    sizes, _, scores = learning_curve(
        model,
        likes,
        y=None,  # required by scikit-learn
        cv=KFold(2, shuffle=True, random_state=0),
        train_sizes=[0.3, 1.0],
        scoring=auc_scorer(),
    )
    assert sizes.tolist() == [81, 270]
    assert scores[1].mean() > scores[0].mean()


def test_time_makes_the_order_of_rows_irrelevant(likes):
    judged = named(
        judge=ByTaste(), backbone__recency_power=1.0, slates__size=8, popularity_periods=1
    )
    shuffled = likes.sample(frac=1, random_state=1)
    first, second = clone(judged).fit(likes), clone(judged).fit(shuffled)
    np.testing.assert_allclose(first.predict(likes), second.predict(likes), rtol=1e-5)
    by_row = clone(judged).set_params(time_col=None)
    expected = clone(by_row).fit(likes.sort_values("time")).predict(likes)
    np.testing.assert_allclose(first.predict(likes), expected, rtol=1e-5)
    assert not np.allclose(clone(by_row).fit(shuffled).predict(likes), expected, rtol=1e-3)


class Noting(SelectiveLLMRegularizedMF):
    """Records in which form its rows and item data arrive."""

    def fit(self, X, y=None):
        self.rows_came_ = type(X), X.flags.writeable, y.flags.writeable
        memory = self.item_data.to_numpy()
        while isinstance(memory, np.ndarray):
            memory = memory.base
        self.item_data_came_ = type(memory)
        return super().fit(X, y)


@pytest.mark.slow
def test_rows_and_item_data_that_joblib_maps_read_only():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(2000, size=150_000), rng.integers(500, size=150_000)])
    y = rng.integers(1, 3, size=len(X)).astype(np.float64)
    vectors = pd.DataFrame(rng.normal(size=(500, 300)))
    # From this size on, joblib memory-maps arrays for its workers.
    assert min(X.nbytes, y.nbytes, vectors.to_numpy().nbytes) > 1_000_000
    settings = SMALL | {"iterations": 1, "tuning": None, "n_jobs": 1, "item_data": vectors}
    model = Noting(**settings, item_encoder=PCA(5, random_state=0))
    here = clone(model).fit(X, y)
    for estimator in Parallel(n_jobs=2)(delayed(clone(model).fit)(X, y) for _ in range(2)):
        assert estimator.rows_came_ == (np.memmap, False, False)
        assert estimator.item_data_came_ is mmap.mmap
        np.testing.assert_array_equal(here.predict(X[:100]), estimator.predict(X[:100]))

    # In a search, rows are memory-mapped as well, before scikit-learn selects the training rows.
    searches = [
        GridSearchCV(model, {"factors": [1, 2]}, cv=LeaveLastOut(), scoring=auc_scorer(), n_jobs=n)
        for n in (1, 2)
    ]
    one, two = (search.fit(X, y).cv_results_["mean_test_score"] for search in searches)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_string_ids_reach_other_processes(likes, frame):
    X = frame(pd.concat([likes] * 150, ignore_index=True).to_dict("list"))
    model, cv = named(), KFold(2, shuffle=True, random_state=0)
    one, two = (
        cross_validate(model, X, cv=cv, scoring=SCORING, n_jobs=n)["test_AUC"] for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


# -- display -----------------------------------------------------------------------------------


def test_diagrams_link_to_our_documentation(likes):
    urls = [url.split(", ", 1) for url in metadata("sklearn_selreg").get_all("Project-URL")]
    site = dict(urls)["Documentation"]
    html = Pipeline([("mf", named(gate=ReliabilityGate()).fit(likes))])._repr_html_()
    assert f'href="{site}generated/sklearn_selreg.SelectiveLLMRegularizedMF.html"' in html
    assert (
        ReliabilityGate()._get_doc_link() == f"{site}generated/sklearn_selreg.ReliabilityGate.html"
    )
    assert ContentJudge()._get_doc_link().endswith("sklearn_selreg.judges.ContentJudge.html")
    assert ByTaste()._get_doc_link() == ""  # not in scikit-learn's documentation


def test_large_item_data_is_not_printed():
    n_items = 50_000
    frame = pd.DataFrame({"title": [f"a long title of {i}" for i in range(n_items)]})
    for data in (frame, frame["title"], pl.from_pandas(frame)):
        search = GridSearchCV(Pipeline([("mf", named(item_data=data))]), {"mf__factors": [1]})
        assert len(repr(search)) < 3000
        assert search._repr_html_().count("a long title of") < 60


# -- common mistakes ---------------------------------------------------------------------------


def test_ids_in_a_column_of_another_name_are_noticed(kinds):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(9, size=60), "film": 5 + 7 * rng.integers(9, size=60)})
    films = pd.DataFrame({"id": 5 + 7 * np.arange(9), "genre": ["war", "love", "crime"] * 3})
    model = make_estimator(**SMALL | {"item_data": films})
    with pytest.warns(
        UserWarning, match=r"index, which contains 1 of the 9 items of X.*'id' contains 9.*'fi"
    ):
        model.fit(X)
    for right in (films.set_index("id"), films.rename(columns={"id": "film"})):
        model.set_params(item_data=right).fit(X)
        assert model.items_.tolist() == (5 + 7 * np.arange(9)).tolist()


def test_the_wrong_columns_are_named_with_all_others(likes):
    raw = likes[["time", "item", "user"]]
    with pytest.warns(UserWarning, match=r"'time' for users.*\['time', 'item', 'user'\]"):
        make_estimator(**SMALL).fit(raw)
    with pytest.raises(
        TypeError, match=r"numbers or datetimes; .*'2024-01-01'.* pandas.to_datetime"
    ):
        named().fit(likes.assign(time="2024-01-01"))


@pytest.mark.skipif(find_spec("sklearn.callback") is not None, reason="there are callbacks")
def test_callbacks_need_a_scikit_learn_that_calls_them():
    with pytest.raises(ImportError, match=r"Callbacks require scikit-learn 1\.9 or newer"):
        SelectiveLLMRegularizedMF().set_callbacks()

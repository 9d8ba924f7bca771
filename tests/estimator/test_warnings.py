"""Messages about unknown ids; warnings point at the user's line."""

import itertools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from estimators import make_estimator
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    ParameterGrid,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_selreg import ReliabilityGate, SelectiveLLMRegularizedMF
from sklearn_selreg.exceptions import DataWarning, ParameterWarning
from sklearn_selreg.judges import PrecomputedJudge
from sklearn_selreg.metrics import auc_scorer, ranking_report

X = pd.DataFrame({"user": np.repeat(np.arange(8), 5), "item": np.arange(40) * 7 % 20})
HELD_OUT = pd.DataFrame({"user": [0, 1, 2, 3], "item": [3, 4, 5, 6]})
TEXT = HELD_OUT.astype(str)


@pytest.fixture(scope="module")
def model():
    return SelectiveLLMRegularizedMF(factors=2, iterations=2, random_state=0).fit(X)


def caught(function):
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        function()
    return record


@pytest.mark.parametrize(
    ("call", "texts"),
    [
        (lambda m: m.recommend(["2"]), ["1 of 1 users"]),
        (lambda m: m.recommend([2], exclude=["3"]), ["1 of 1 items to exclude"]),
        (lambda m: m.recommend([2], exclude=[3, "4"]), ["1 of 2 items to exclude"]),
        (lambda m: m.recommend([2], exclude=[["2", 3]]), ["1 of 1 users of exclude"]),
        (lambda m: m.predict(TEXT), ["4 of 4 users", "4 of 4 items"]),
        (lambda m: m.score(TEXT), ["4 of 4 users", "4 of 4 items"]),
        (lambda m: auc_scorer()(m, TEXT), ["4 of 4 users", "4 of 4 items"]),
        (lambda m: ranking_report(m, TEXT), ["4 of 4 users", "4 of 4 items"]),
        (lambda m: m.explain("2", 3), ["1 of 1 users"]),
    ],
)
def test_ids_of_another_type_are_told(model, call, texts):
    told = caught(lambda: call(model))
    assert len(told) == len(texts)
    for warning, text in zip(told, texts, strict=True):
        message = str(warning.message)
        assert message.startswith(text)
        assert message.endswith(
            "Known ids look like 0. Check the id type: 1 and '1' are different ids."
        )
        assert warning.filename == __file__


def test_new_ids_of_the_same_type_are_expected(model):
    new = pd.DataFrame({"user": [99, 0], "item": [98, 3]})
    told = caught(
        lambda: (
            model.recommend([99]),
            model.predict(new, unknown_items="nan"),
            model.predict(new[1:].assign(user=99)),
            model.explain(99, 3),
        )
    )
    assert not told
    (warning,) = caught(lambda: model.predict(new))  # a score that looks like any other
    assert str(warning.message).startswith("1 of 2 items are unknown to the model (e.g. 98)")
    assert warning.filename == __file__


def test_unknown_items_to_exclude_are_told_whatever_their_type(model):
    with pytest.warns(
        UserWarning, match=r"1 of 2 items to exclude .* \(e.g. 98\); they have no eff"
    ):
        model.recommend([2], exclude=[98, 3])


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_ids_are_errors_as_in_fit(model, missing):
    for call in (model.recommend, model.similar_items, lambda i: model.explain(i[0], 3)):
        with pytest.raises(ValueError, match="missing"):
            call([missing])


def test_single_ids_where_lists_are_wanted_and_lists_where_single_ones_are(model):
    with pytest.raises(ValueError, match=r"users must be .* got '2'. Pass a list, \['2'\]"):
        model.recommend("2")
    with pytest.raises(ValueError, match=r"items must be .* got 1. Pass a list, \[1\]"):
        model.similar_items(1)
    with pytest.raises(ValueError, match=r"user must be a single user id; got \[2\]"):
        model.explain([2], 1)


def test_key_errors_are_shown_without_quotes(model):
    with pytest.raises(KeyError) as error:
        model.similar_items(np.array([99]))
    text = "1 of 1 item ids are unknown to the model: 99. Known ids look like 0. Check"
    assert str(error.value).startswith(text)


def test_folding_in_users_of_another_type(model):
    model = SelectiveLLMRegularizedMF(factors=2, iterations=2, random_state=0).fit(X)
    with pytest.warns(UserWarning, match=r"1 of 1 users are unknown .*'2'\); they are added"):
        model.fold_in(pd.DataFrame({"user": ["2"], "item": [3]}))


def test_warnings_point_at_the_users_line_through_pipelines_and_searches():
    wide = X.assign(other=1)
    model = SelectiveLLMRegularizedMF(factors=2, iterations=1)
    pipeline = make_pipeline(FunctionTransformer(), model)
    told = caught(lambda: model.fit(wide))
    told += caught(lambda: pipeline.fit(wide))
    told += caught(lambda: cross_validate(model, wide, cv=2, scoring=auc_scorer()))
    pairs = pd.DataFrame({"gap": [1.0, 2.0], "gap_context": [0.0, 1.0]})
    told += caught(lambda: ReliabilityGate().fit(pairs[["gap"]], [0, 1]))
    assert len(told) > 4
    assert {warning.filename for warning in told} == {__file__}


def test_evaluating_on_fitted_rows_is_told(model):
    with pytest.warns(UserWarning, match="40 of 40 held-out interactions are also in the training"):
        ranking_report(model, X)
    half = pd.concat([X[:2], HELD_OUT])
    # Searches compare scores on test and training rows.
    assert not caught(lambda: (ranking_report(model, half), model.score(X), auc_scorer()(model, X)))


def test_a_loaded_model_is_not_fitted_without_its_item_data_in_silence(tmp_path):
    films = {n: "Comedy" if n % 3 else "Crime" for n in range(20)}
    model = SelectiveLLMRegularizedMF(factors=2, iterations=2, item_data=films, random_state=0)
    model.fit(X).save(tmp_path / "model")
    SelectiveLLMRegularizedMF.load(tmp_path / "model").save(tmp_path / "again")
    for name in ("model", "again"):
        loaded = SelectiveLLMRegularizedMF.load(tmp_path / name)
        with pytest.warns(UserWarning, match=r"not hold item_data; .* set_params\(item_data=...\)"):
            loaded.fit(X)
        assert not caught(lambda loaded=loaded: loaded.fit(X))  # only warned once
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "model").set_params(item_data=films)
    assert not caught(lambda: loaded.fit(X))
    np.testing.assert_array_equal(loaded.item_factors_, model.item_factors_)


class MyGate(ReliabilityGate):
    """A gate that files do not hold."""


def test_clones_of_a_loaded_model_tell_what_it_lacks(tmp_path):
    gate = MyGate(min_pairs=7)
    films = {n: "Comedy" if n % 3 else "Crime" for n in range(20)}
    model = SelectiveLLMRegularizedMF(factors=2, iterations=2, item_data=films, gate=gate)
    model.fit(X).save(tmp_path / "model")
    assert not caught(lambda: clone(model).fit(X))
    text = r"does not hold gate, item_data; .* set_params\(gate=..., item_data=...\)"

    def load():
        return SelectiveLLMRegularizedMF.load(tmp_path / "model")

    with pytest.warns(DataWarning, match=text):
        clone(clone(load())).fit(X)
    # Unpickled strings are equal but not identical.
    with pytest.warns(DataWarning, match=text):
        clone(pickle.loads(pickle.dumps(load()))).fit(X)
    with pytest.warns(DataWarning, match=text):
        pipeline = clone(make_pipeline(FunctionTransformer(), load()))
        pipeline.fit(X)
    assert not caught(lambda: pipeline.fit(X))  # only warned once
    search = GridSearchCV(load(), {"regularization": [1, 2]}, cv=2, scoring=auc_scorer())
    told = caught(lambda: search.fit(X))
    assert len([w for w in told if "does not hold gate, item_data" in str(w.message)]) == 5
    search.set_params(estimator=load().set_params(gate=gate, item_data=films))
    assert not [w for w in caught(lambda: search.fit(X)) if "not hold" in str(w.message)]


def test_refining_a_loaded_model_tells_what_it_lacks(tmp_path):
    model = SelectiveLLMRegularizedMF.from_factors(
        range(4), range(6), np.eye(4, 3), np.eye(6, 3), gate=MyGate(min_pairs=7)
    )
    model.save(tmp_path / "model")
    records = [{"user": 0, "history": [0], "candidates": [1, 2], "ratings": [0.2, 0.9]}]
    loaded = SelectiveLLMRegularizedMF.load(tmp_path / "model")
    loaded.set_params(judge=PrecomputedJudge(records))
    told = caught(lambda: loaded.refine([[0, 0], [0, 1], [1, 3]]))
    assert "does not hold gate; " in str(told[0].message)
    assert told[0].category is DataWarning


def test_saving_where_there_is_no_directory(model, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"Cannot save 'model': directory '.*nowhere' does not"
    ):
        model.save(tmp_path / "nowhere" / "model")


def test_exclude_is_named_in_its_errors(model):
    named = SelectiveLLMRegularizedMF(factors=2, iterations=1, user_col="user", item_col="item")
    with pytest.raises(ValueError, match=r"^exclude is a table.* no column for item_col='item'"):
        named.fit(X).recommend([1], exclude=pd.DataFrame({"user": [1], "film": [2]}))
    with pytest.raises(TypeError, match=r"user_col='user' .* Pass a DataFrame with this column"):
        named.predict(X.to_numpy())


def few_settings(**parameters):
    return make_estimator(
        user_col="user",
        item_col="item",
        factors=2,
        iterations=2,
        tuning=None,
        random_state=0,
        **parameters,
    )


SEARCHES = {
    "grid": lambda model, grid: GridSearchCV(model, grid, cv=3, n_jobs=1).fit,
    "halving": lambda model, grid: (
        HalvingGridSearchCV(model, grid, cv=3, min_resources=3000, factor=2).fit
    ),
    "pipeline": lambda model, grid: (
        GridSearchCV(
            make_pipeline(FunctionTransformer(), model),
            {f"selectivellmregularizedmf__{name}": values for name, values in grid.items()},
            cv=3,
        ).fit
    ),
    "validation": lambda model, grid: (
        lambda X: [
            cross_validate(clone(model).set_params(**setting), X, cv=3)
            for setting in ParameterGrid(grid)
        ]
    ),
}


def caught_of_parameters(function):
    return [warning for warning in caught(function) if warning.category is ParameterWarning]


@pytest.mark.slow
@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_tells_each_setting_once(search):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": rng.integers(0, 200, 6000), "item": rng.integers(0, 100, 6000)})
    grid = {"regularization": [1, 1e6, 1e8], "alpha": [5, 7]}
    run = SEARCHES[search](few_settings(), grid)
    for _ in range(2):  # a second search warns again
        told = caught_of_parameters(lambda: run(X))
        texts = [str(warning.message) for warning in told]
        assert len(texts) == len(set(texts)) == 4
        for r, a in itertools.product(("1e+06", "1e+08"), (5, 7)):
            assert sum(f"too large ({r})" in t and f"alpha={a}." in t for t in texts) == 1
        assert {warning.filename for warning in told} == {__file__}


# -- items that item_data lacks ----------------------------------------------------------------


@pytest.mark.parametrize("n_missing", [0, 2, 3, 39, 40])
def test_items_without_data_are_counted(n_missing):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"user": np.repeat(np.arange(60), 4), "item": rng.permutation(240) % 40})
    data = pd.DataFrame(
        {"item": np.arange(n_missing, 50), "kind": (list("abcde") * 10)[n_missing:]}
    )
    model = make_estimator(
        factors=2, iterations=2, user_col="user", item_col="item", item_data=data, random_state=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    told = [str(w.message) for w in caught if "get no features" in str(w.message)]
    if 0.05 * 40 < n_missing < 40:
        (message,) = told
        assert f"{n_missing} of 40 items with interactions are not in item_data" in message
    else:
        assert not told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(item_encoder=None, item_data=data.iloc[:20] if n_missing < 21 else data)
        if n_missing < 40:
            model.fit(X)  # no features are wanted

"""Factors are finite, or an error names the cause."""

import numpy as np
import pandas as pd
import pytest
from estimators import make_estimator

from sklearn_selreg.judges import LLMJudge

COLUMNS = {"user_col": "user", "item_col": "item"}


# The judges here rate by displayed position, which causes a warning.
BY_POSITION = pytest.mark.filterwarnings("ignore:Judge 'order' seems to rate list positions")


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"user": rng.integers(0, 300, 6000), "item": rng.zipf(1.5, 6000) % 200})


def model(**parameters):
    usual = {"random_state": 0, "iterations": 4, "tuning": None}
    return make_estimator(**COLUMNS, **usual | parameters)


def one_large(n):
    y = np.ones(n)
    y[0] = 1e30
    return y


@pytest.mark.parametrize(
    ("strengths", "largest"),
    [
        (one_large, "1e[+]30"),
        (lambda n: np.full(n, 1e20), "1.6e[+]21"),
        (lambda n: np.full(n, 3e38), "inf"),
    ],
)
@pytest.mark.parametrize("features", [False, True])
def test_strengths_that_no_float32_can_bear_are_named(log, strengths, largest, features):
    kinds = {item: f"kind {item % 5}" for item in range(200)} if features else None
    with pytest.raises(ValueError, match=rf"largest strength.* is {largest} .*strengths='log'"):
        model(item_data=kinds, iterations=30).fit(log, strengths(len(log)))


@pytest.mark.parametrize("strength", [1e6, 1e8])
def test_strengths_that_are_large_alike_are_borne(log, strength):
    fitted = model(strengths="raw", backbone__compute_loss=True).fit(
        log, np.full(len(log), strength)
    )
    assert np.isfinite(fitted.user_factors_).all()
    assert (np.diff(fitted.loss_curve_) < 0).all()


@BY_POSITION
def test_cross_fits_for_the_gate_are_watched_too(log):
    judge = LLMJudge.from_callable(
        lambda slate: np.arange(len(slate.candidates)) / 100, name="order", version="1",
        reads_texts=False,
    )  # fmt: skip
    with pytest.raises(ValueError, match="largest strength"):
        model(judge=judge, slates__max_slates=20).fit(log, np.full(len(log), 1e20))


@pytest.mark.parametrize(
    "setting",
    [
        {"alpha": 1e25},
        {"regularization": 1e300},
        {"backbone__missing_power": 50},
        {"item_bias": 1e300},
    ],
)
def test_settings_that_no_float32_can_bear_are_named(log, setting):
    ((name, value),) = setting.items()
    with pytest.raises(
        ValueError, match=rf"not finite.*{name.split('__')[-1]}={value:g}".replace("+", "[+]")
    ):
        model(**setting).fit(log)


KINDS = {item: f"kind {item % 5}" for item in range(200)}
JUDGED = {
    "judge": LLMJudge.from_callable(
        lambda slate: np.arange(len(slate.candidates)) / 100, name="order", version="1",
        reads_texts=False,
    ),
    "slates__max_slates": 20,
    "gate": None,
}  # fmt: skip


@BY_POSITION
@pytest.mark.filterwarnings("ignore:llm_weight=")
@pytest.mark.parametrize(
    ("named", "setting"),
    [
        ("alpha=1e+25", {"alpha": 1e25, "strengths": "log"}),
        ("alpha=1e+25", {"alpha": 1e25, "strengths": "binary"}),
        ("learning_rate=1e+20", {"backbone": "lmf", "backbone__learning_rate": 1e20}),
        ("learning_rate=1e+20", {"backbone": "bpr", "backbone__learning_rate": 1e20}),
        ("llm_weight=1e+30", {**JUDGED, "llm_weight": 1e30}),
        ("margin=1e+30", {**JUDGED, "margin": 1e30}),
        ("margin=1e+30", {**JUDGED, "margin": 1e30, "backbone": "bpr"}),
        ("missing_power=1000", {"backbone__missing_power": 1000, "item_data": KINDS}),
        ("missing_power=1000", {"backbone__missing_power": 1000, "item_bias": 0.0}),
        (
            "missing_power=200",
            {"backbone__missing_power": 200, "item_data": KINDS, "item_bias": 0.0},
        ),
    ],
)
def test_the_setting_that_is_out_of_the_ordinary_is_named_alone(log, named, setting):
    with pytest.raises(ValueError, match="not finite") as error:
        model(**setting).fit(log)
    text = str(error.value)
    assert f"cause is {named}: choose" in text
    assert text.count("=") == 1


def test_large_strengths_are_told_as_they_count(log):
    with pytest.raises(ValueError, match="largest strength"):
        model(strengths="raw").fit(log, one_large(len(log)))
    assert np.isfinite(model(strengths="log").fit(log, one_large(len(log))).user_factors_).all()


@pytest.mark.parametrize("regularization", [1e-3, 1e-30, 1e-300])
def test_hardly_any_regularization_is_finite(log, regularization):
    fitted = model(regularization=regularization).fit(log)
    assert np.isfinite(fitted.user_factors_).all()
    assert np.isfinite(fitted.item_factors_).all()


@pytest.mark.parametrize("regularization", [100, 1e6])
def test_steps_of_bpr_that_are_too_large(log, regularization):
    with pytest.raises(ValueError, match=r"Lower regularization=1.* or learning"):
        model(backbone="bpr", regularization=regularization).fit(log)


def test_fold_in_is_checked_too(log):
    fitted = model().fit(log)
    users = fitted.users_.copy()
    new = pd.DataFrame({"user": [1000, 1000], "item": [1, 2]})
    with pytest.raises(ValueError, match=r"largest strength.* is 1e[+]36"):
        fitted.fold_in(new, [1e36, 1.0])
    np.testing.assert_array_equal(fitted.users_, users)
    assert np.isfinite(fitted.predict(new)).all()


def test_a_model_that_is_not_finite_is_refused(log, tmp_path):
    fitted = model().fit(log)
    fitted.item_factors_[3, 0] = np.nan  # possible in models saved by earlier versions
    path = tmp_path / "model.npz"
    uses = (
        lambda: fitted.save(path),
        lambda: fitted.score(log),
        lambda: fitted.predict(log),
        lambda: fitted.recommend([0]),
        lambda: fitted.recommend([0, -99], items=[3, 4]),
        lambda: fitted.similar_items([4]),
        lambda: fitted.explain(0, 4),
    )
    for use in uses:
        with pytest.raises(ValueError, match="not finite"):
            use()
    assert not path.exists()

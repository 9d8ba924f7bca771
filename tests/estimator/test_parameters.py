"""Invalid parameters that Python or scikit-learn would accept."""

import copy
import warnings

import numpy as np
import pytest

from sklearn_selreg import ALS, BPR, LMF, ReliabilityGate, SelectiveLLMRegularizedMF, SlateSampler
from sklearn_selreg.exceptions import ParameterWarning

COLUMNS = {"user_col": "user", "item_col": "item"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, True) for name in ("factors", "iterations", "alpha", "regularization")),
        *((name, True) for name in ("prior_strength", "item_bias", "popularity_periods")),
        *((name, True) for name in ("llm_weight", "margin", "user_col", "time_col", "n_jobs")),
        ("random_state", False),
        ("factors", np.True_),
        ("backbone", ALS(cg_steps=True)),
        ("backbone", ALS(recency_power=False)),
        ("backbone", LMF(neg_prop=True)),
        ("slates", SlateSampler(size=True)),
        ("gate", ReliabilityGate(gap_col=True)),
        ("gate", ReliabilityGate(cv=True)),
    ],
)
def test_true_is_not_one(world, name, value):
    with pytest.raises(ValueError, match=r"parameter of .* must be .* Got (True|False|np.True_)"):
        SelectiveLLMRegularizedMF(**{**COLUMNS, name: value}).fit(world.train)


def test_flags_are_still_flags(world):
    model = SelectiveLLMRegularizedMF(
        warm_start=False, verbose=False, tuning=None, backbone=ALS(compute_loss=True), **COLUMNS
    )
    model.fit(world.train)


def test_no_threads_are_refused(world):
    with pytest.raises(ValueError, match=r"'n_jobs' .* must be .*\[1, inf\).* Got 0"):
        SelectiveLLMRegularizedMF(n_jobs=0, **COLUMNS).fit(world.train)


@pytest.mark.parametrize("gate", [ReliabilityGate(threshold=-1), ReliabilityGate(cv=1)])
def test_a_gate_is_checked_without_a_judge(world, gate):
    with pytest.raises(ValueError, match="parameter of ReliabilityGate must be"):
        SelectiveLLMRegularizedMF(gate=gate, **COLUMNS).fit(world.train)
    with pytest.raises(TypeError, match=r"gate must be .* the class ReliabilityGate"):
        SelectiveLLMRegularizedMF(gate=ReliabilityGate, **COLUMNS).fit(world.train)


def test_settings_of_one_backbone_do_not_fit_another(world):
    found = SelectiveLLMRegularizedMF(4, tuning=None, **COLUMNS).fit(world.train).found_params()
    for backbone in ("bpr", LMF()):
        other = SelectiveLLMRegularizedMF(backbone=backbone)
        before = copy.copy(vars(other))
        match = r"backbone__missing_power is a parameter of ALS, but backbone is (BPR|LMF)\(\)"
        with pytest.raises(ValueError, match=match):
            other.set_params(**found)
        assert vars(other) == before
    with pytest.raises(ValueError, match="learning_rate is a parameter of BPR and LMF"):
        SelectiveLLMRegularizedMF().set_params(backbone__learning_rate=1)
    with pytest.raises(ValueError, match="Invalid parameter 'learnrate'"):
        SelectiveLLMRegularizedMF().set_params(backbone__learnrate=1)
    assert SelectiveLLMRegularizedMF().set_params(**found).found_params


def test_messages_name_public_classes(world):
    with pytest.raises(ValueError, match=r"instance of 'sklearn_selreg\.ALS'") as error:
        SelectiveLLMRegularizedMF(backbone="ALS", **COLUMNS).fit(world.train)
    assert "._" not in str(error.value)


def test_counts_are_a_copy(world):
    model = world.judged().fit(world.train)
    before = model.judge_summary_
    model.judge_stats_.clear()
    assert model.judge_summary_ == before


@pytest.mark.parametrize("backbone", [LMF(learning_rate=1e9), BPR(learning_rate=1e9)])
@pytest.mark.parametrize("judged", [False, True])
def test_steps_that_are_too_large_are_one_clear_error(world, backbone, judged):
    judge = {"judge": world.judge, "item_data": world.item_data} if judged else {}
    model = SelectiveLLMRegularizedMF(
        backbone=backbone, tuning=None, random_state=0, **COLUMNS, **judge
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="learning_rate=1e\\+09"):
            model.fit(world.train)


@pytest.mark.parametrize("power", [50, 1e308])
def test_a_recency_power_that_leaves_one_interaction_is_warned_of(world, power):
    rows = world.train.assign(time=world.times)
    model = world.model(time_col="time", backbone__recency_power=power)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.warns(ParameterWarning, match="hardly more than the newest"):
            model.fit(rows)
    newest = rows.sort_values("time").groupby("user")["item"].last()
    scores = model.predict(newest.reset_index())
    assert (scores > 0.5).mean() > 0.9  # only each user's newest item is left to fit

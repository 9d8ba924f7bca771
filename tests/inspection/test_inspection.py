"""Displays: their data, against plain loops, and what is drawn."""

import pickle
import re
import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from estimators import make_estimator
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_selreg import ReliabilityGate, SelectiveLLMRegularizedMF
from sklearn_selreg._gate import _evidence
from sklearn_selreg.datasets import make_interactions
from sklearn_selreg.inspection import GateDisplay, LossDisplay, RegimeDisplay
from sklearn_selreg.metrics import compare_reports, ranking_report

mpl.use("agg")
COLUMNS = {"user_col": "user", "item_col": "item"}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    data = make_interactions(300, 150, 5000, random_state=0)
    rows = np.random.default_rng(0).random(len(data.X)) < 0.8
    data.train, data.held_out = data.X[rows], data.X[~rows]
    return data


@pytest.fixture(scope="module")
def models(data):
    settings = {**COLUMNS, "factors": 8, "random_state": 0, "backbone__compute_loss": True}
    return {
        "gated": make_estimator(judge=data.judge, **settings).fit(data.train),
        "no judge": make_estimator(**settings).fit(data.train),
    }


@pytest.fixture(scope="module")
def reports(data, models):
    return {
        name: ranking_report(model, data.held_out, train=data.train)
        for name, model in models.items()
    }


def in_bin(name, value):
    """Whether an integer is in a bin labeled e.g. "3", "4 to 7" or "64+"."""
    if name.endswith("+"):
        return value >= int(name[:-1])
    first, _, last = name.partition(" to ")
    return int(first) <= value <= int(last or first)


def is_whole(figure):
    """Whether everything drawn is within the figure."""
    figure.canvas.draw()
    drawn, room = figure.get_tightbbox(), figure.bbox_inches
    return drawn.x0 >= 0 and drawn.y0 >= 0 and drawn.x1 <= room.x1 and drawn.y1 <= room.y1


def texts(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text)]


# -- the gate ----------------------------------------------------------------------------------


def test_every_column_of_the_evidence_has_a_name_for_people(models):
    evidence = models["gated"].preferences_[[*_evidence.COLUMNS]]  # all columns are present
    gate = models["gated"].gate_
    assert {*gate.feature_names_in_} == {*evidence.columns}
    assert list(gate.context_effects_) == [*_evidence.CONTEXT]


@pytest.mark.slow
@pytest.mark.parametrize("response", ["weight", "trust"])
def test_cells_are_means_over_the_preferences_in_them(models, response):
    model = models["gated"]
    display = GateDisplay.from_estimator(model, response=response)
    judgments = model.preferences_
    value = judgments["weight"].to_numpy()
    if response == "trust":
        value = model.gate_.trust(judgments[model.gate_.feature_names_in_])
    history = judgments["history_length"].to_numpy()
    count = np.round(np.expm1(judgments["popularity_rarer"])).to_numpy()
    assert display.pairs.to_numpy().sum() == len(judgments)
    for row in display.cells.index:
        for column in display.cells.columns:
            here = np.array([in_bin(column, h) for h in history])
            here &= np.array([in_bin(row, c) for c in count])
            assert display.pairs.loc[row, column] == here.sum()
            if here.any():
                assert display.cells.loc[row, column] == pytest.approx(value[here].mean())
            else:
                assert np.isnan(display.cells.loc[row, column])


def test_numbers_and_names_are_drawn_and_none_is_cut_off(models):
    display = GateDisplay.from_estimator(models["gated"])
    assert is_whole(display.figure_)
    for name in [*display.cells.index, *display.cells.columns]:
        assert name in texts(display.figure_)
    assert display.ax_.get_xlabel() == "items in the user's history"
    drawn = sum(t.get_text() != "" for t in display.ax_.texts)
    assert drawn == np.isfinite(display.cells.to_numpy(dtype=float)).sum()


@pytest.mark.parametrize(
    "features",
    [("model_uncertainty", "popularity_commoner"), ("popularity_rarer", "popularity_commoner")],
)
def test_any_two_columns_of_the_context(models, features):
    display = GateDisplay.from_estimator(models["gated"], features=features, response="trust")
    assert display.features == features
    assert display.pairs.to_numpy().sum() == len(models["gated"].preferences_)
    assert is_whole(display.figure_)


def test_what_is_known_of_the_draw_is_no_context(models):
    with pytest.raises(ValueError, match="features must be context columns") as told:
        GateDisplay.from_estimator(models["gated"], features=("offset", "history_length"))
    offered = re.search(r"\[(.*)\]", str(told.value))[1]
    assert "'agreement'" in offered
    for no_context in ("offset", "gap", "prior"):
        assert no_context not in offered


def gate_of(log_odds_per_gap, n=4000):
    """A gate with the given trust in its judge, and pairs with no histories of length 3 to 5."""
    rng = np.random.default_rng(0)
    Z = pd.DataFrame(
        {
            "gap": rng.random(n),
            "history_length": rng.choice([0, 1, 2, 6], n),
            "popularity_rarer": np.log1p(rng.choice([2, 3, 40], n)),
            "agreement": rng.choice([0.0, 1.0, np.nan], n),
        }
    )
    Z.loc[Z["history_length"] == 1, "agreement"] = np.nan  # only asked once
    right = rng.random(n) < 1 / (1 + np.exp(-log_odds_per_gap * Z["gap"]))
    return ReliabilityGate().fit(Z, right), Z


@pytest.mark.parametrize("response", ["weight", "trust"])
def test_a_useless_judge_is_pale_and_a_good_one_is_not(response):
    darkness = {}
    for worth in (0, 6):
        gate, Z = gate_of(worth)
        display = GateDisplay.from_estimator(gate, Z, response=response)
        display.figure_.canvas.draw()
        mesh = display.ax_.collections[0]
        colors = mesh.to_rgba(mesh.get_array())[..., :3]
        darkness[worth] = 1 - colors.mean(axis=-1).min()
    assert darkness[0] < 0.15
    assert darkness[6] > 0.5


def test_numbers_are_readable_on_their_color():
    gate, Z = gate_of(0)
    for display in (
        GateDisplay.from_estimator(gate, Z, response="trust"),
        GateDisplay(pd.DataFrame([[-0.1, 0.1]]), ("a", "b"), response="trust").plot(),
    ):
        assert {text.get_color() for text in display.ax_.texts} == {"0.2"}
        assert all(len(text.get_text().lstrip("-")) == 4 for text in display.ax_.texts)  # 0.05


def test_rows_and_columns_without_any_pair_are_left_out():
    gate, Z = gate_of(6)
    display = GateDisplay.from_estimator(gate, Z)
    assert display.cells.columns.to_list() == ["0", "1", "2", "6 to 9"]
    assert display.cells.shape == display.pairs.shape == (2, 4)
    assert (display.pairs > 0).all(axis=None)
    display = GateDisplay.from_estimator(gate, Z, features=("history_length", "agreement"))
    assert display.cells.columns.to_list() == ["0", "2", "6 to 9"]
    assert display.pairs.to_numpy().sum() == Z["agreement"].notna().sum()


def test_without_pairs_there_is_nothing_to_draw_but_calibration():
    gate, Z = gate_of(6)
    with pytest.raises(ValueError, match="averages over pairs, but there are no pairs"):
        GateDisplay(pd.DataFrame(), ("a", "b")).plot()
    Z["agreement"] = np.nan
    features = ("history_length", "agreement")
    display = GateDisplay.from_estimator(gate, Z, features=features, kind="calibration")
    assert display.ax_.has_data()


def test_trust_falls_below_0_for_a_judge_that_is_wrong():
    rng = np.random.default_rng(0)
    n = 4000
    Z = pd.DataFrame({"gap": rng.random(n), "a": rng.normal(size=n), "b": rng.integers(3, size=n)})
    right = rng.random(n) < 1 / (1 + np.exp(-4 * Z["a"] * Z["gap"]))
    gate = ReliabilityGate().fit(Z, right)
    display = GateDisplay.from_estimator(gate, Z, features=("a", "b"), response="trust")
    assert display.cells.index.to_list() == ["0", "1", "2"]
    assert (np.diff(display.cells.to_numpy(dtype=float), axis=1) > 0).all()
    assert display.cells.iloc[0, 0] < 0 < display.cells.iloc[0, -1]
    assert any(t.get_text().startswith("-") for t in display.ax_.texts)


def test_calibration_curve_is_that_of_a_loop(models):
    gate = models["gated"].gate_
    display = GateDisplay.from_estimator(models["gated"], kind="calibration", n_bins=5)
    predictions = gate.cv_predictions_.sort_values("probability", kind="stable")
    curve = display.calibration
    assert len(curve) == 5
    assert curve["pairs"].sum() == len(predictions)
    places = np.array_split(np.arange(len(predictions)), 5)
    for place, row in zip(places, curve.itertuples(), strict=True):
        part = predictions.iloc[place]
        assert row.predicted == pytest.approx(part["probability"].mean(), abs=2e-3)
        assert row.observed == pytest.approx(part["right"].mean(), abs=1e-2)
        assert row.low <= row.observed <= row.high
    assert is_whole(display.figure_)


def test_intervals_know_that_pairs_of_a_user_are_dependent():
    """Repeated pairs do not narrow the interval, unless they are treated as independent."""
    rng = np.random.default_rng(0)
    gap = rng.random(600)
    right = rng.random(600) < 1 / (1 + np.exp(-3 * gap))
    Z = pd.DataFrame({"gap": np.repeat(gap, 10), "a": 0.0, "b": 1.0})
    widths = {}
    for name, groups in (("same", np.repeat(np.arange(600), 10)), ("apart", np.arange(6000))):
        gate = ReliabilityGate(C=1.0).fit(Z, np.repeat(right, 10), groups=groups)
        curve = GateDisplay.from_estimator(gate, Z, features=("a", "b"), n_bins=1).calibration
        widths[name] = (curve["high"] - curve["low"])[0]
    assert widths["same"] == pytest.approx(widths["apart"] * np.sqrt(10), rel=0.01)
    p = right.mean()
    assert widths["same"] == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 600), rel=0.01)


def test_cv_predictions_are_those_of_gates_that_did_not_see_the_group():
    """Predictions for a group use no outcomes of that group."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 30)
    Z = pd.DataFrame({"gap": rng.random(3000)})
    right = rng.random(3000) < 0.3 + 0.4 * Z["gap"]
    predictions = ReliabilityGate().fit(Z, right, groups=groups).cv_predictions_
    assert (predictions["right"].to_numpy() == right.to_numpy()).all()
    np.testing.assert_array_equal(predictions["group"], groups)
    p, y = predictions["probability"].to_numpy(dtype=float), right.to_numpy()
    loss = -np.mean(np.where(y, np.log(p), np.log(1 - p)))
    gate = ReliabilityGate().fit(Z, right, groups=groups)
    assert loss == pytest.approx(gate.log_loss_["selected"], rel=1e-5)


# -- regimes -----------------------------------------------------------------------------------


def test_estimates_are_the_reports_with_intervals(reports):
    display = RegimeDisplay.from_reports(reports, metric="NDCG@10", n_bootstrap=300)
    for name, report in reports.items():
        table = display.estimates.loc[name]
        np.testing.assert_allclose(table["value"], report["NDCG@10"])
        known = table["value"].notna()
        assert (table["low"] <= table["value"])[known].all()
        assert (table["value"] <= table["high"])[known].all()


def test_interval_is_that_of_a_bootstrap_over_users(reports):
    report = reports["gated"]
    display = RegimeDisplay.from_reports(report, n_bootstrap=4000)
    by_user = report.details.groupby("user")["auc"].agg(["sum", "count"]).to_numpy()
    rng = np.random.default_rng(1)
    drawn = by_user[rng.integers(len(by_user), size=(4000, len(by_user)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    row = display.estimates.loc[("model", "overall")]
    assert row["high"] - row["low"] == pytest.approx(high - low, rel=0.1)
    assert row["low"] == pytest.approx(low, abs=0.15 * (high - low))


def test_differences_are_those_of_compare_reports(reports):
    display = RegimeDisplay.from_reports(reports, reference="no judge")
    assert display.estimates.index.unique(0).to_list() == ["gated"]
    expected = compare_reports(reports["gated"], reports["no judge"])["AUC"]
    np.testing.assert_array_equal(display.estimates.loc["gated"], expected)
    assert 'minus that of "no judge"' in display.ax_.get_xlabel()


def test_from_estimator_evaluates(data, models, reports, capsys):
    display = RegimeDisplay.from_estimator(
        models["gated"], data.held_out, train=data.train, name="ours", verbose=1
    )
    shown = capsys.readouterr().err
    assert "ranking: 100%" in shown
    assert "resamples: 100%" in shown
    expected = RegimeDisplay.from_reports({"ours": reports["gated"]})
    assert capsys.readouterr().err == ""
    pd.testing.assert_frame_equal(display.estimates, expected.estimates)


def test_each_model_is_named_drawn_and_told_apart(reports):
    many = {f"a model called {n}": reports["gated"] for n in range(4)}
    display = RegimeDisplay.from_reports(many, n_bootstrap=10)
    assert is_whole(display.figure_)
    assert set(many) < set(texts(display.figure_))
    drawn = [container.lines[0] for container in display.ax_.containers]
    assert len({line.get_color() for line in drawn}) == 4
    assert len({line.get_marker() for line in drawn}) == 4
    np.testing.assert_allclose(
        drawn[2].get_xdata(),
        reports["gated"]["AUC"].loc[["overall", "warm", "cold", "tail", "new"]].dropna(),
    )


def test_regimes_without_held_out_interactions_are_left_out():
    held_out = pd.DataFrame([["a", 1], ["b", 2]], columns=["user", "item"])
    report = ranking_report(
        lambda users: np.ones((len(users), 4)), held_out, items=[1, 2, 3, 4],
        train=pd.DataFrame([["a", 3], ["b", 1], ["b", 4], ["c", 2]], columns=["user", "item"]),
        user_col="user", item_col="item",
    )  # fmt: skip
    assert report["interactions"].eq(0).any()
    display = RegimeDisplay.from_reports(report, n_bootstrap=10)
    drawn = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert len(drawn) == report["interactions"].gt(0).sum()
    assert "warm users" not in drawn


def test_regimes_can_be_chosen_and_named(reports):
    labels = {"cold": "newcomers", "overall": "everybody"}
    display = RegimeDisplay.from_reports(reports, regime_labels=labels)
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["newcomers", "everybody"]
    with pytest.raises(
        ValueError, match=r"regime_labels must only contain .*'overall'.*; got 'hot'"
    ):
        display.plot(regime_labels={"hot": "x"})


# -- loss --------------------------------------------------------------------------------------


def test_loss_is_drawn_at_its_sweeps(models):
    for name, model in models.items():
        display = LossDisplay.from_estimator(model, name=name)
        sweeps, loss = display.ax_.lines[0].get_data()
        np.testing.assert_array_equal(loss, model.loss_curve_)
        assert sweeps[-1] == model.n_iter_
        assert len(sweeps) == len(model.loss_curve_)
        assert is_whole(display.figure_)


def test_curves_on_the_same_axes_differ(models):
    first = LossDisplay.from_estimator(models["gated"], name="gated")
    second = LossDisplay.from_estimator(models["no judge"], name="no judge", ax=first.ax_)
    assert second.ax_ is first.ax_
    a, b = first.ax_.lines
    assert a.get_color() != b.get_color()
    assert [t.get_text() for t in first.ax_.get_legend().get_texts()] == ["gated", "no judge"]


# -- common behavior ---------------------------------------------------------------------------


def draw_each(data, estimator):
    return [
        GateDisplay.from_estimator(estimator),
        RegimeDisplay.from_estimator(estimator, data.held_out, train=data.train, n_bootstrap=10),
        LossDisplay.from_estimator(estimator),
    ]


def test_draws_on_given_axes(data, models):
    figure = mpl.figure.Figure()
    gate, regimes, loss = axes = figure.subplots(3)
    gated = models["gated"]
    displays = [
        GateDisplay.from_estimator(gated, ax=gate),
        RegimeDisplay.from_estimator(gated, data.held_out, train=data.train, ax=regimes),
        LossDisplay.from_estimator(gated, ax=loss),
    ]
    for display, ax in zip(displays, axes, strict=True):
        assert display.ax_ is ax
        assert display.figure_ is figure
        assert ax.has_data()
    assert not plt.get_fignums()  # no further figure was created


def test_sees_through_a_pipeline_and_a_search(data, models):
    pipeline = make_pipeline(FunctionTransformer(), models["gated"])

    class Search:
        best_estimator_ = pipeline

    for estimator in (pipeline, Search()):
        displays = draw_each(data, estimator)
        for display, expected in zip(displays, draw_each(data, models["gated"]), strict=True):
            what = next(
                name for name in ("cells", "estimates", "loss_curve") if hasattr(display, name)
            )
            assert np.array_equal(
                np.asarray(getattr(display, what), float),
                np.asarray(getattr(expected, what), float),
                equal_nan=True,
            )


def test_models_with_nothing_to_draw_are_refused(data, models):
    with pytest.raises(ValueError, match="has no ReliabilityGate to plot"):
        GateDisplay.from_estimator(models["no judge"])
    with pytest.raises(ValueError, match="compute_loss=True"):
        LossDisplay.from_estimator(make_estimator(**COLUMNS).fit(data.train))
    for display in (GateDisplay, LossDisplay):
        with pytest.raises(NotFittedError):
            display.from_estimator(SelectiveLLMRegularizedMF())


def test_wrong_arguments_are_refused(models, reports):
    gated = models["gated"]
    with pytest.raises(ValueError, match=r"features must be context columns .* got 'age'"):
        GateDisplay.from_estimator(gated, features=("age", "history_length"))
    with pytest.raises(ValueError, match="n_bins must be an integer >= 1; got 0"):
        GateDisplay.from_estimator(gated, n_bins=0)
    with pytest.raises(ValueError, match="two different columns"):
        GateDisplay.from_estimator(gated, features=("agreement", "agreement"))
    with pytest.raises(ValueError, match=r"response must be one of .*got 'love'"):
        GateDisplay.from_estimator(gated, response="love")
    with pytest.raises(ValueError, match=r"kind must be one of .*got 'both'"):
        GateDisplay.from_estimator(gated, kind="both")
    with pytest.raises(TypeError, match="must be a pandas DataFrame of the pairs"):
        GateDisplay.from_estimator(gated.gate_)
    with pytest.raises(TypeError, match="Z must only be passed with a ReliabilityGate"):
        GateDisplay.from_estimator(gated, gated.preferences_)
    with pytest.raises(ValueError, match="requires a calibration curve, but there is none"):
        GateDisplay(pd.DataFrame([[1.0]]), ("a", "b")).plot(kind="calibration")
    with pytest.raises(ValueError, match=r"metric must be one of .*'AUC'.*got 'RMSE'"):
        RegimeDisplay.from_reports(reports, metric="RMSE")
    with pytest.raises(ValueError, match=r"reference must be one of .*got 'other'"):
        RegimeDisplay.from_reports(reports, reference="other")
    with pytest.raises(ValueError, match="reports must contain at least one; got none"):
        RegimeDisplay.from_reports({})
    with pytest.raises(TypeError, match="got a list"):
        RegimeDisplay.from_reports(list(reports.values()))
    with pytest.raises(TypeError, match="must come from ranking_report; got a DataFrame"):
        RegimeDisplay.from_reports({"a": pd.DataFrame()})


def test_displays_can_be_pickled_and_drawn_again(models):
    display = GateDisplay.from_estimator(models["gated"])
    again = GateDisplay(display.cells, display.features, calibration=display.calibration)
    again = pickle.loads(pickle.dumps(again)).plot()
    assert texts(again.figure_) == texts(display.figure_)


@pytest.mark.slow
def test_without_matplotlib_the_extra_is_named():
    """Importing does not need matplotlib; drawing raises an error that says what to install."""
    code = """
import sys
sys.modules["matplotlib"] = None
from sklearn_selreg.inspection import GateDisplay, LossDisplay
try:
    LossDisplay([2.0, 1.0]).plot()
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == (
        "LossDisplay requires matplotlib. Install it with: pip install matplotlib"
    )


def test_legends_are_not_on_the_data_and_colors_have_a_bar(models):
    display = GateDisplay.from_estimator(models["gated"], kind="calibration")
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend().get_window_extent()
    for other in (display.ax_, display.ax_.title):
        assert not legend.overlaps(other.get_window_extent().padded(-1))
    display = GateDisplay.from_estimator(models["gated"])
    _, bar = display.figure_.axes
    np.testing.assert_allclose(bar.get_ylim(), display.ax_.collections[0].get_clim())


def test_regimes_of_a_model_that_remembers_its_interactions(models):
    model = models["gated"]
    held_out = pd.DataFrame({"user": model.users_[:5], "item": model.items_[:5]})
    remembered = RegimeDisplay.from_estimator(model, held_out, n_bootstrap=20)
    assert remembered.estimates.loc[(slice(None), "overall"), "value"].notna().all()

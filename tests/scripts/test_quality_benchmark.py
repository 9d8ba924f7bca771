"""The quality benchmark: its baselines compared with plain numpy, and a small run."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from sklearn_selreg import ReliabilityGate

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch):
    for folder in ("demo", "benchmarks/judging", "benchmarks", "benchmarks/quality"):
        monkeypatch.syspath_prepend(ROOT / folder)
    return import_module


@pytest.fixture
def tiny(load):
    return load("data_sets").load("tiny")


def test_ease_is_the_constrained_ridge_regression(load, tiny):
    """Compare with Steck's closed form in item space, with a zero diagonal."""
    peers = load("peers")
    users, matrix = peers.table(tiny)
    X = matrix.toarray().astype(float)
    inverse = np.linalg.inv(X.T @ X + 7 * np.eye(X.shape[1]))
    B = -inverse / np.diag(inverse)
    np.fill_diagonal(B, 0)
    scores = peers.ease(tiny, 0, regularization=7.0)(users)
    np.testing.assert_allclose(scores, X @ B, atol=1e-5)


def test_pointwise_solves_for_the_ratings(load, tiny):
    """The last user update is a ridge regression with the LLM's ratings as targets."""
    methods = load("methods")
    settings = {"alpha": 5.0, "regularization": 20.0, "iterations": 4, "factors": 8}
    model = methods.pointwise(tiny, 0, llm_weight=0.6, backbone__recency_power=0.5, **settings)
    extra, backbone = model.regularizer_, model._fitted.backbone
    y = model.item_factors_[:, :8].astype(float)
    bias = (model.user_factors_[:, 8:] @ model.item_factors_[:, 8:].T).astype(float)
    c = backbone.missing_weights(model._fitted.popularity)
    confidence = backbone.recent_confidence(
        model._fitted.matrix, model._fitted.histories.recency_rank
    ).toarray()
    weight = np.where(confidence > 0, confidence, c)
    target = (confidence > 0).astype(float)
    judged = np.zeros_like(target, dtype=bool)
    judged[extra.rows, extra.columns] = True
    assert judged.any() and not (judged & (confidence > 0)).any()
    rating = np.zeros_like(target)
    rating[extra.rows, extra.columns] = extra.ratings
    # c z^2 + mu (z + bias - rating)^2, completed to one square.
    target = np.where(judged, 3 * (rating - bias) / (c + 3), target)
    weight = np.where(judged, c + 3, weight)
    for user in (0, 17, 60):
        A = (y * weight[user][:, None]).T @ y + 20 * np.eye(8)
        expected = np.linalg.solve(A, y.T @ (weight[user] * target[user]))
        found = model.user_factors_[user, :8]
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)


def test_a_sweep_with_targets_solves_for_items_and_features(load):
    """The item gradient vanishes, with the feature coefficients of the previous items."""
    rng = np.random.default_rng(0)
    weights = sp.random(30, 20, 0.3, format="csr", random_state=rng)
    targets = weights.copy()
    targets.data = rng.normal(size=targets.nnz)
    features = sp.random(20, 5, 0.5, format="csr", random_state=rng)
    start = rng.normal(size=(30, 4)), rng.normal(size=(20, 4))
    c = rng.uniform(0.5, 2, 20)
    problem = load("alternatives")._TargetALS(
        weights, weights.multiply(targets).tocsr(), start, c, 3.0, 2.0, features
    )
    problem.sweep()
    x, y, f = problem.user_factors, problem.item_factors, features.toarray()
    expected = f @ np.linalg.solve(f.T @ (c[:, None] * f) + 8 * np.eye(5), f.T * c @ start[1])
    w, t = np.where(weights.toarray() > 0, weights.toarray(), c), targets.toarray()
    gradient = (w * (x @ y.T - t)).T @ x + 2 * c[:, None] * (y - expected)
    np.testing.assert_allclose(gradient, 0, atol=1e-9)


def test_joint_gate_lowers_its_weights(load, tiny):
    model = load("methods").joint_gate(tiny, 0, gate_rate=0.02, iterations=10, factors=8)
    weights = model.regularizer_.mean_weights
    assert weights[0] == 0.5
    assert (np.diff(weights) < 0).all()


def rounded_hinge(short, margin):
    """The hinge is smoothed below a tenth of the margin."""
    hinges, floor = np.maximum(0, short), 0.1 * margin
    return np.where(hinges > floor, hinges, (hinges**2 / floor + floor) / 2)


def logistic(short, margin):
    return margin / 4 * np.logaddexp(0, 4 * short / margin)


@pytest.mark.parametrize("name, loss", [("Hinge", rounded_hinge), ("Logistic", logistic)])
def test_other_losses_fall_in_each_sweep(load, tiny, name, loss):
    """The majorizer lowers the objective of the original loss, computed here."""
    alternatives = load("alternatives")
    losses = []

    class Watched(getattr(alternatives, name)):
        def weigh(self, terms, users, items):
            scores = users.astype(float) @ items.T
            own = np.take_along_axis(scores[terms.users], terms.items, axis=1) + terms.bias
            each = loss(self.margin - own[:, :, None] + own[:, None], self.margin)
            X = self.matrix.toarray()
            fit = np.where(X > 0, 50 * (1 - scores) ** 2, scores**2)
            losses.append(
                fit.sum()
                + 85 * (np.sum(users**2.0) + np.sum(items**2.0))
                + self.weight * np.sum(terms.matrices() * each)
            )
            return super().weigh(terms, users, items)

        def __init__(self, judged):
            super().__init__(judged)
            self.matrix = judged.matrix

    settings = {
        "backbone__missing_power": 0.0,
        "backbone__recency_power": 0.0,
        "item_encoder": None,
        "gate": None,
    }
    ours = load("methods")._ours(
        tiny, 0, tiny.judge, alternatives.AlternativeMF, iterations=12, factors=8, **settings
    )
    ours.with_regularizer(Watched).fit(tiny.train)
    assert len(losses) == 6 + 1  # before each regularized sweep, and before the last solve
    assert (np.diff(losses) < 1e-6 * losses[0]).all() and losses[-1] < losses[0]


def test_gates_weigh_by_their_rules(load):
    alternatives = load("alternatives")
    rng = np.random.default_rng(0)
    n = 400
    Z = pd.DataFrame(
        {
            "gap": rng.uniform(0, 1, n),
            "prior_model": rng.normal(size=n),
            "history_length": rng.integers(1, 11, n).astype(float),
            "popularity_rarer": np.log1p(rng.integers(0, 8, n)),
            "popularity_commoner": np.log1p(rng.integers(8, 20, n)),
        }
    )
    right = rng.uniform(size=n) < 1 / (1 + np.exp(-3 * Z["gap"]))
    users = rng.integers(50, size=n)
    ours = ReliabilityGate().fit(Z, right, groups=users).transform(Z)
    same = alternatives.RuleGate().fit(Z, right, groups=users).transform(Z)
    np.testing.assert_allclose(same, ours)
    rule = alternatives.FixedRule().fit(Z).transform(Z)[:, 0]
    cold, tail = Z["history_length"] < 3, Z["popularity_rarer"] <= np.log(4)
    np.testing.assert_array_equal(rule, np.where(cold, 1, np.where(tail, 0.5, 0)))


def test_bad_judges_say_what_they_should(load):
    robustness = load("robustness")
    original = robustness.recorded()
    by_position = robustness.bad_judge("position", 0).judgments
    inverted = robustness.bad_judge("inverted", 0).judgments
    popular, leaking = (robustness.bad_judge(k, 0).judged_slates() for k in ("popular", "leaking"))
    for a, b, c in zip(original[:50], by_position, inverted, strict=False):
        first = np.linspace(1, 0, len(a["candidates"]))
        np.testing.assert_allclose(b["ratings"], 0.7 * first + 0.3 * np.array(a["ratings"]))
        np.testing.assert_allclose(np.add(a["ratings"], c["ratings"]), 1)
    train = load("data_sets").load("movielens").train
    n = pd.Series(leaking.candidates).map(train["item"].value_counts()).fillna(0).to_numpy()
    np.testing.assert_allclose(leaking.ratings, n / (n + 10))
    # Without the user's own like: what is hidden from a judge does not show.
    users = np.repeat(popular.user, np.diff(popular.indptr))
    pairs = pd.MultiIndex.from_arrays([users, popular.candidates])
    n = n - pairs.isin(pd.MultiIndex.from_frame(train[["user", "item"]]))
    np.testing.assert_allclose(popular.ratings, n / (n + 10))


def test_learning_asks_for_the_shares_and_the_calibration(load):
    learning = load("learning")
    once = learning.subset("chosen", 0.5, "once", 0)
    kinds = pd.Series([record["kind"] for record in once]).value_counts()
    assert kinds["calibration"] == 309 and 650 <= kinds["supervision"] <= 662
    every = learning.subset("chosen", 1.0, "both orders", 0)
    assert len(every) == 2560


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ours, no LLM", "pointwise", "joint gate", "fixed rule"])
def test_drawn_settings_are_those_of_the_method(load, tiny, name):
    """All methods pass the sampled settings to the model."""
    method = load("methods").METHODS[name]
    drawn = method.draw(name, 0) | {"iterations": 2, "factors": 8}
    settings = method.fit(tiny, 0, **drawn).get_params()
    llm_part = ["llm_weight", "margin"] if name != "ours, no LLM" else []
    for key in ("alpha", "item_bias", "backbone__missing_power", "iterations", *llm_part):
        assert settings[key] == drawn[key]
    ratio = settings["regularization"] / settings["alpha"]
    assert ratio == pytest.approx(drawn["regularization_per_alpha"])


def test_recipes_are_compared_by_expected_metrics(load, monkeypatch):
    """NDCG and AUC are expectations over all possible next items."""
    questions = load("questions")
    monkeypatch.setattr(questions, "N_SIMULATED", (60,))
    monkeypatch.setattr(questions, "RECIPES", {questions.BEFORE: questions.RECIPES["13 of 100"]})
    with questions.tqdm(disable=True) as progress:
        users, (fact,) = questions.simulate("tiny", 0, progress)
    assert users["recipe"].unique().tolist() == ["no judge", "13 of 100"]
    assert 0 < fact["hidden"] <= 4 and 0 < fact["top 10"] <= 1 and fact["pairs"] > 0
    world = questions.Simulated("tiny", 0)
    model = world.fit(None, None)
    new = np.flatnonzero(world.new[3])
    scores = (model.user_factors_[3] @ model.item_factors_.T)[new]
    above = (scores[None, :] > scores[:, None]).sum(axis=1)
    gain = np.where(above < 10, 1 / np.log2(above + 2), 0)
    p = world.next[3, new]
    found = world.measure(model).loc[3]
    np.testing.assert_allclose(found["NDCG@10"], p @ gain)
    np.testing.assert_allclose(found["AUC"], p @ (1 - above / (len(new) - 1)))


def test_smallest_run_is_resumed_and_reported(load, monkeypatch, tmp_path):
    quality, evaluation = load("quality"), load("evaluation")
    for module in (evaluation, load("tables"), load("figures")):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(quality, "LOGS", tmp_path)
    monkeypatch.setattr(load("data_sets"), "DATASETS", ("tiny",))
    monkeypatch.setitem(load("tables").TITLES, "tiny", "Tiny")
    names = ["popularity", "EASE", "ALS", "ours, no LLM", "global pairwise", "ours, selective"]
    quality.tune("tiny", 1, 1, names)
    log = (tmp_path / "tiny.jsonl").read_text()
    quality.tune("tiny", 1, 1, names)  # all trials exist: nothing is added
    assert (tmp_path / "tiny.jsonl").read_text() == log
    quality.test("tiny", 1, range(1), 1)
    results = json.loads((tmp_path / "tiny.json").read_text())
    variants = ("", quality.BIASED, quality.TREND)
    peers = [name + variant for name in ("EASE", "ALS") for variant in variants]
    rows = ["popularity", *peers, *names[3:]]
    assert list(results["table"]) == [*rows, *quality.DEFAULTS]
    for row in ("ALS", "ours, no LLM", "global pairwise", "ours, no LLM, defaults"):
        assert results["against"][row].keys() == results["table"].keys() - {row}
    # The best trial is selected, at its best bias.
    line = next(li for li in map(json.loads, log.splitlines()) if li["method"] == "EASE")
    values = {b: evaluation.objective(r) for b, r in line["results"].items()}
    for variant in variants:
        chosen = results["settings"]["EASE" + variant]["item bias"]
        name = f"{chosen}{variant if chosen else ''}"
        least = {b: v for b, v in values.items() if b == "0.0" or (variant and variant in b)}
        assert least[name] == max(least.values())
    quality.figures.draw()
    quality.tables.write()
    assert (tmp_path / "tiny.png").exists()
    assert "| EASE + item bias | ." in (tmp_path / "tables.md").read_text()


def test_paper_regimes_are_counted_by_hand(load, tiny):
    evaluation, peers = load("evaluation"), load("peers")
    report = evaluation.evaluate(peers.popularity(tiny, 0), tiny, "test")
    matrix = sp.csc_matrix(peers.table(tiny).matrix)
    n = pd.Series(matrix.getnnz(axis=0), tiny.item_data["item"])
    lengths = tiny.train["user"].value_counts()
    few = tiny.test["user"].map(lengths).fillna(0) < 3
    known = np.sort(n[n > 0])
    bound = known[int(np.ceil(len(known) / 5)) - 1]
    rare = tiny.test["item"].map(n).between(1, bound)
    paper = evaluation.by_paper(report, tiny)
    assert paper.loc["cold", "interactions"] == few.sum()
    assert paper.loc["tail", "interactions"] == rare.sum()


def test_popularity_of_the_time_is_that_of_our_estimator(load, tiny):
    peers, methods = load("peers"), load("methods")
    model = methods.no_llm(tiny, 0, item_bias=1.0, iterations=2, factors=8)
    users = model.users_[:20]
    expected = model.user_factors_[:20, 8:] @ model.item_factors_[:, 8:].T
    place = np.searchsorted(model.items_, tiny.item_data["item"])
    found = peers.popularity_of_the_time(tiny, 0)(users)
    np.testing.assert_allclose(found, expected[:, place], rtol=1e-4, atol=1e-5)

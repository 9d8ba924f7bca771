"""How the demo modifies judges, and averages and shows reports."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.judges import PrecomputedJudge
from sklearn_selreg.metrics import compare_reports, ranking_report

DEMO = Path(__file__).parents[2] / "demo"


@pytest.fixture
def demo(monkeypatch):
    """Import a module of the demo."""
    monkeypatch.syspath_prepend(DEMO)
    return import_module


@pytest.fixture
def report():
    return json.loads((DEMO / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data():
    return load_movielens_coldstart()


def ratings_by_question(judge):
    """Question -> list of answers, each a dict of candidate -> rating."""
    answers = {}
    for record in judge.judgments:
        key = record["user"], tuple(record["history"]), frozenset(record["candidates"])
        rating = dict(zip(record["candidates"], record["ratings"], strict=True))
        answers.setdefault(key, []).append(rating)
    return answers


def test_shuffled_judge_permutes_all_answers_to_a_question_alike(demo):
    rng = np.random.default_rng(0)
    recorded = []
    for user in range(200):
        first, second = rng.permutation(10), rng.permutation(10)
        question = {"user": user, "history": [90, 91]}
        recorded += [
            {**question, "candidates": c.tolist(), "ratings": rng.random(10).tolist()}
            for c in (first, second)
        ]
    original = ratings_by_question(PrecomputedJudge(recorded))
    shuffled = ratings_by_question(
        demo("bad_judges").shuffled_judge(PrecomputedJudge(recorded), 0.5, 3)
    )

    assert shuffled.keys() == original.keys()
    n_changed = 0
    for question, (a, b) in original.items():
        new_a, new_b = shuffled[question]
        assert sorted(new_a.values()) == sorted(a.values())
        # Both answers are permuted in the same way.
        source_a = {i: next(j for j in a if a[j] == new_a[i]) for i in a}
        source_b = {i: next(j for j in b if b[j] == new_b[i]) for i in b}
        assert source_a == source_b
        n_changed += source_a != {i: i for i in a}
    assert 70 < n_changed < 130  # 100 expected, standard deviation 7


def test_shuffled_judge_keeps_everything_else(demo, data):
    same = demo("bad_judges").shuffled_judge(data.judge, 0, seed=0).judged_slates()
    worse = demo("bad_judges").shuffled_judge(data.judge, 0.9, seed=0).judged_slates()
    again = demo("bad_judges").shuffled_judge(data.judge, 0.9, seed=0).judged_slates()
    original = data.judge.judged_slates()
    for name in ("user", "history", "history_indptr", "indptr", "candidates", "n_answers"):
        np.testing.assert_array_equal(getattr(same, name), getattr(original, name))
        np.testing.assert_array_equal(getattr(worse, name), getattr(original, name))
    np.testing.assert_array_equal(same.answers, original.answers)
    np.testing.assert_array_equal(worse.answers, again.answers)
    assert np.mean(worse.ratings != original.ratings) > 0.7


def test_all_knowing_judge_rates_by_the_fold(demo, data):
    questions = demo("bad_judges").all_knowing_judge(data.judge, data.valid).judged_slates()
    users = np.repeat(questions.user, np.diff(questions.indptr))
    pairs = pd.DataFrame({"user": users, "item": questions.candidates})
    liked = pairs.merge(data.valid, how="left", on=["user", "item"])["time"].notna()
    assert 0 < liked.mean() < 0.1
    np.testing.assert_array_equal(questions.ratings, liked)


def test_other_bad_judges(demo, data):
    bad_judges = demo("bad_judges")
    original = data.judge.judged_slates()
    inverted = bad_judges.make("inverted", data, 0).judged_slates()
    np.testing.assert_allclose(inverted.ratings, 1 - original.ratings)
    popular = bad_judges.make("by popularity", data, 0).judged_slates()
    np.testing.assert_array_equal(popular.candidates, original.candidates)
    # The judged user's own interactions are not counted: they would reveal hidden items.
    users = np.repeat(original.user, np.diff(original.indptr))
    others = data.train.groupby("item")["user"].agg(set).reindex(original.candidates)
    pairs = zip(others, users.tolist(), strict=True)
    count = np.array([len(some - {user}) if some == some else 0 for some, user in pairs])
    by_popularity = pd.Series(popular.ratings).groupby(count).agg(["min", "max"])
    assert by_popularity["max"].is_monotonic_increasing
    np.testing.assert_array_equal(by_popularity["min"], by_popularity["max"])
    assert bad_judges.make("recorded", data, 0) is data.judge


def test_views_hold_what_they_say(demo, data):
    views = demo("reports").views(data, "test")
    sizes = {name: len(relevant) for name, (relevant, _) in views.items()}
    n_valid_cold = data.valid["user"].map(data.cohort).eq("cold").sum()
    assert sizes == {
        "all": len(data.test),
        "without_other_likes": len(data.test),
        "later": len(data.valid) + len(data.test),
        "cold": len(data.dropped) + n_valid_cold,
        "judged": len(data.test),
    }
    likes = pd.concat([data.valid, data.test, data.dropped])
    for name, (relevant, others) in views.items():
        users = relevant["user"].unique()
        if name != "all":  # each like is relevant or excluded
            union = pd.concat([relevant, others]).query("user in @users")
            assert len(union) == likes["user"].isin(users).sum()
            assert not union.duplicated(["user", "item"]).any()
    # Nothing of `test` is relevant when settings are selected.
    test = pd.MultiIndex.from_frame(data.test[["user", "item"]])
    for relevant, _ in demo("reports").views(data, "valid").values():
        assert not pd.MultiIndex.from_frame(relevant[["user", "item"]]).isin(test).any()


def test_every_method_is_planned_for_all_seeds(demo):
    planned = pd.DataFrame(demo("run").plan(range(3)), columns=["data", "method", "seed", "views"])
    seeds = planned.groupby(["data", "method"])["seed"].agg(set)
    for name in demo("domains").LOADERS:
        expected = {0, 1, 2} if name == "MovieLens" else {0, 1}
        for method in (*demo("domains").METHODS, *demo("domains").WITH_BAD_JUDGES):
            assert seeds[name, method] == ({0} if method == "popularity" else expected)
    assert set(demo("movielens").METHODS) <= set(planned.query("data == 'MovieLens'")["method"])


def test_what_is_popular_when_needs_a_single_sweep(demo, data):
    model = demo("movielens").ours(data, 0, tuning=None, iterations=1)
    longer = demo("movielens").ours(data, 0, tuning=None, iterations=3)
    k = model.user_factors_.shape[1] - model.popularity_periods_
    for name in ("user_factors_", "item_factors_"):
        np.testing.assert_allclose(getattr(model, name)[:, k:], getattr(longer, name)[:, k:])


def test_worst_column_is_the_surest_loss(demo):
    columns = {"a": [-0.02, -0.06, 0.02], "b": [-0.001, -0.0012, -0.0008], "c": [0.1, 0.09, 0.11]}
    assert demo("domains").worst(columns) == "b"
    assert demo("domains").worst({"a": [0, 0, 0], "c": columns["c"]}) is None


def test_average_of_reports_is_the_mean_and_can_be_compared(demo, data):
    catalog = data.item_data["item"]

    def report(seed):
        scores = np.random.default_rng(seed).random(len(catalog), dtype=np.float32)
        return ranking_report(
            lambda users: np.tile(scores, (len(users), 1)),
            data.valid,
            train=data.train,
            cohort=data.cohort,
            items=catalog,
            user_col="user",
            item_col="item",
        )

    reports = [report(seed) for seed in range(3)]
    mean = demo("reports").average(reports)
    np.testing.assert_allclose(mean, np.mean(reports, axis=0), rtol=1e-12)
    # The bootstrap uses the values of the table.
    difference = compare_reports(mean, reports[0], n_bootstrap=10).xs("difference", axis=1, level=1)
    np.testing.assert_allclose(difference, (mean - reports[0])[difference.columns], atol=1e-12)
    power = demo("reports").power(mean, reports[0])
    assert power["users"] == 659
    assert power["needed"] == pytest.approx((2.8 * power["sd"] / 0.005) ** 2, abs=2)
    assert demo("reports").power(mean, mean)["needed"] is None


def test_text_is_aligned_and_not_wider_than_100_characters(demo, report):
    presentation = demo("presentation")
    text = presentation.as_text(report)
    assert max(map(len, text.splitlines())) <= 100
    table = presentation.aligned(presentation.methods_table(report, "all")).splitlines()
    assert len(set(map(len, table))) == 1
    assert len(table) == 1 + len(report["tables"]["all"])


def test_picture_is_drawn_from_the_report(demo, report, tmp_path, monkeypatch):
    presentation = demo("presentation")
    monkeypatch.setattr(presentation, "PICTURE", tmp_path / "report.png")
    presentation.draw(report)
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_comparison_shows_what_was_measured(demo, report, tmp_path):
    comparison = demo("comparison")
    new_films = comparison.by_regime()["new films (no likes)"]
    assert new_films["ours + LLM"] == report["tables"]["all"]["ours, LLM selective"]["AUC new"]
    # Methods of two files are compared, so common ones must come from the same fold.
    for column, title in comparison.REGIMES.items():
        popularity = report["tables"]["all"]["popularity"][column]
        assert comparison.by_regime()[title]["popularity"] == pytest.approx(popularity, abs=1e-5)
    assert comparison.by_data()["CiteULike"]["EASE"] is None
    gift_shop = comparison.by_data()["gift shop"]
    assert max(gift_shop, key=lambda method: gift_shop[method] or 0) == "ours, no LLM"
    comparison.draw(tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")

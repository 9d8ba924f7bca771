"""What the demo does to judges and reports before it fits and averages."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.judges import PrecomputedJudge
from sklearn_selreg.metrics import compare_reports, ranking_report

DEMO = Path(__file__).parents[1] / "demo"


@pytest.fixture
def movielens(monkeypatch):
    monkeypatch.syspath_prepend(DEMO)
    return import_module("movielens")


@pytest.fixture
def presentation(monkeypatch):
    monkeypatch.syspath_prepend(DEMO)
    return import_module("presentation")


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


def test_shuffled_judge_permutes_all_answers_to_a_question_alike(movielens):
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
    shuffled = ratings_by_question(movielens.shuffled_judge(PrecomputedJudge(recorded), 0.5, 3))

    assert shuffled.keys() == original.keys()
    n_changed = 0
    for question, (a, b) in original.items():
        new_a, new_b = shuffled[question]
        assert sorted(new_a.values()) == sorted(a.values())
        # Whose rating each candidate has now is the same in both answers.
        source_a = {i: next(j for j in a if a[j] == new_a[i]) for i in a}
        source_b = {i: next(j for j in b if b[j] == new_b[i]) for i in b}
        assert source_a == source_b
        n_changed += source_a != {i: i for i in a}
    assert 70 < n_changed < 130  # 100 expected, standard deviation 7


def test_shuffled_judge_keeps_everything_else(movielens, data):
    same = movielens.shuffled_judge(data.judge, 0, seed=0).questions()
    worse = movielens.shuffled_judge(data.judge, 0.9, seed=0).questions()
    again = movielens.shuffled_judge(data.judge, 0.9, seed=0).questions()
    original = data.judge.questions()
    for name in ("user", "history", "history_indptr", "indptr", "candidates", "n_answers"):
        np.testing.assert_array_equal(getattr(same, name), getattr(original, name))
        np.testing.assert_array_equal(getattr(worse, name), getattr(original, name))
    np.testing.assert_array_equal(same.answers, original.answers)
    np.testing.assert_array_equal(worse.answers, again.answers)
    assert np.mean(worse.ratings != original.ratings) > 0.7


def test_all_knowing_judge_rates_by_the_fold(movielens, data):
    questions = movielens.all_knowing_judge(data.judge, data.valid).questions()
    users = np.repeat(questions.user, np.diff(questions.indptr))
    pairs = pd.DataFrame({"user": users, "item": questions.candidates})
    liked = pairs.merge(data.valid, how="left", on=["user", "item"])["time"].notna()
    assert 0 < liked.mean() < 0.1
    np.testing.assert_array_equal(questions.ratings, liked)


def test_average_of_reports_is_the_mean_and_can_be_compared(movielens, data):
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
    mean = movielens.average(reports)
    np.testing.assert_allclose(mean, np.mean(reports, axis=0), rtol=1e-12)
    # What the bootstrap starts from is what the table says.
    difference = compare_reports(mean, reports[0], n_bootstrap=10).xs("difference", axis=1, level=1)
    np.testing.assert_allclose(difference, (mean - reports[0])[difference.columns], atol=1e-12)


def test_text_is_aligned_and_not_wider_than_100_characters(presentation, report):
    text = presentation.as_text(report)
    assert max(map(len, text.splitlines())) <= 100
    table = presentation.aligned(presentation.methods_table(report, "all")).splitlines()
    assert len(set(map(len, table))) == 1
    assert len(table) == 1 + len(report["tables"]["all"])


def test_picture_is_drawn_from_the_report(presentation, report, tmp_path, monkeypatch):
    monkeypatch.setattr(presentation, "PICTURE", tmp_path / "report.png")
    presentation.draw(report)
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")

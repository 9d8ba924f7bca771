import datetime
import gzip
import itertools
import json
import math
import pickle
import re
import uuid
from decimal import Decimal

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from estimators import make_estimator
from sklearn.base import clone

from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.exceptions import JudgmentWarning
from sklearn_selreg.judges import CacheError, LLMJudge, PrecomputedJudge, Slate

RECORDS = [
    {"user": "u", "history": ["a"], "candidates": ["b", "c", "d"], "ratings": [0.1, 0.5, 0.9]},
    {"user": "v", "history": [], "candidates": ["a", "b"], "ratings": [1.0, 0.0]},
    {"user": "u", "history": ["a"], "candidates": ["d", "b", "c"], "ratings": [0.7, 0.3, None]},
    {"user": "u", "history": ["a"], "candidates": ["b", "c"], "ratings": [0.2, 0.2]},
    {"user": "u", "history": ["a"], "candidates": ["c", "d", "b"], "ratings": [0.5, 0.8, 0.2]},
]


class RandomJudge(LLMJudge):
    """Rates in steps of 1/4, so that ties occur; a fifth of the ratings are missing."""

    def __init__(self, seed=0):
        self.seed = seed

    def _rate(self, slates):
        rng = np.random.default_rng(self.seed)
        for slate in slates:
            n = len(slate.candidates)
            yield np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, 5, n) / 4)


def write_lines(path, records):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
    return path


class Silent(LLMJudge):
    def _rate(self, slates):
        pass  # forgot to return anything


# Slate


def test_slates_compare_and_hash_by_value():
    a = Slate(user=1, history=[2, 3], candidates=np.array([4, 5]), candidate_texts=["x", "y"])
    b = Slate(user=1, history=(2, 3), candidates=(4, 5), candidate_texts=("x", "y"))
    assert a == b
    assert len({a, b}) == 1
    assert a != Slate(user=1, history=(2, 3), candidates=(5, 4), candidate_texts=("x", "y"))
    with pytest.raises(AttributeError):
        a.user = 2


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"candidates": []}, "at least one item; got none"),
        ({"candidates": [5, 6, 5]}, "must not contain duplicates; got 5 twice"),
        ({"candidate_texts": ["x"]}, "each of the 2 items in candidates; got 1"),
        ({"history_texts": ["x", "y"]}, "each of the 1 items in history; got 2"),
    ],
)
def test_slate_rejects(parts, message):
    with pytest.raises(ValueError, match=message):
        Slate(**{"user": 1, "history": [1], "candidates": [2, 3], **parts})


def test_candidates_of_a_slate_are_hashable():
    with pytest.raises(TypeError, match="candidates must be hashable ids; got an unhashable type"):
        Slate(1, [], [[2], [3]])


@pytest.mark.parametrize("name", ["history", "candidates", "history_texts", "candidate_texts"])
@pytest.mark.parametrize("value", ["Alien", 5, None])
def test_parts_of_a_slate_are_lists(name, value):
    message = f"{name} must be a list with one entry per item; got {value!r}"
    with pytest.raises(TypeError, match=message):
        Slate(**{"user": 1, "history": [1], "candidates": [2, 3], name: value})


# LLMJudge


@pytest.mark.parametrize("sizes", [[], [1], [1, 5, 2, 1, 20, 3], [2] * 50])
def test_preferences_are_all_pairs_rated_apart(sizes):
    slates = [Slate(user=s, history=(), candidates=range(n)) for s, n in enumerate(sizes)]
    expected = {
        (s, i, j): ratings[i] - ratings[j]
        for s, ratings in enumerate(RandomJudge().rate(slates))
        for i, j in itertools.permutations(range(len(ratings)), 2)
        if ratings[i] > ratings[j]
    }
    pairs = RandomJudge().preferences(slates)
    found = dict(
        zip(
            zip(pairs.slate.tolist(), pairs.preferred.tolist(), pairs.other.tolist(), strict=True),
            pairs.gap.tolist(),
            strict=True,
        )
    )
    assert len(pairs.gap) == len(found)
    assert found == expected
    assert np.all(np.diff(pairs.slate) >= 0)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([[0.5, 0.5]], "each of the 2 slates; got 1"),
        (
            [[0.5, 0.5], [0.5]],
            "slate 1 (user 8): ratings must contain one number for each of the 2",
        ),
        ([[0.5, 0.5], [0.5, 1.5]], "in [0, 1]; got 1.5"),
        ([[0.5, -0.1], [0.5, 0.5]], "slate 0 (user 7): ratings must be in [0, 1]; got -0.1"),
        ([[0.5, math.inf], [0.5, 0.5]], "got inf"),
        ([[0.5, "good"], [0.5, 0.5]], "list of numbers in [0, 1]; got [0.5, 'good']"),
        ([0.5, 0.5], "list of numbers in [0, 1]; got 0.5"),
        ([[[0.5, 0.5]], [0.5, 0.5]], "list of numbers in [0, 1]; got [[0.5, 0.5]]"),
    ],
)
def test_rate_rejects_wrong_answers(answers, message):
    class WrongJudge(LLMJudge):
        def _rate(self, slates):
            return answers

    slates = [Slate(user=u, history=(), candidates=(1, 2)) for u in (7, 8)]
    with pytest.raises(ValueError, match=re.escape(message)):
        WrongJudge().rate(slates)


@pytest.mark.parametrize(
    ("slates", "message"),
    [
        (Slate(user=1, history=(), candidates=(2,)), "got a single Slate"),
        ([(1, (), (2,))], "got a tuple"),
        (None, "iterable of Slate; got None"),
    ],
)
def test_rate_rejects_what_is_no_slate(slates, message):
    with pytest.raises(TypeError, match=message):
        RandomJudge().rate(slates)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_judge_that_returns_nothing_is_told(n_jobs):
    judge = Silent()
    message = r"_rate .* must return a list .*; got None"
    with (
        joblib.parallel_config("threading", n_jobs=n_jobs),
        pytest.raises(TypeError, match=message),
    ):
        judge.rate([Slate(user=7, history=(), candidates=(1, 2))])


def test_judging_shows_its_progress_and_is_logged(capsys, caplog):
    caplog.set_level("INFO", "sklearn_selreg")
    slates = [Slate(user=u, history=(), candidates=("Alien", "Up")) for u in range(99)]
    quiet = LLMJudge.from_callable(lambda slate: [0.5, 0.25], name="halves", version="progress")
    quiet.rate(slates[:9])
    assert capsys.readouterr().err == ""
    loud = LLMJudge.from_callable(
        lambda slate: [0.5, 0.25], name="halves", version="progress", verbose=1
    )
    loud.rate(slates)  # verbosity is not part of the identity: 9 answers are known
    shown = capsys.readouterr().err
    assert "asking judge 'halves': 100%" in shown
    assert "90/90" in shown
    assert [record.getMessage() for record in caplog.records] == [
        "judge 'halves': sending 9 prompts.",
        "judge 'halves': 9 prompts answered.",
        "judge 'halves': sending 90 prompts.",
        "judge 'halves': 90 prompts answered.",
    ]


def test_judges_of_functions_are_called_by_their_name():
    judge = LLMJudge.from_callable(lambda slate: [None] * 2, name="nobody", version="1")
    likes = [["ann", 1], ["ann", 2], ["bob", 2], ["bob", 3], ["cat", 4], ["cat", 1]]
    model = make_estimator(factors=2, judge=judge, slates__size=2)
    with pytest.warns(
        JudgmentWarning, match="^Judge 'nobody' returned no ratings .* Inspect a few"
    ):
        model.fit(likes)


def test_base_class_is_abstract():
    with pytest.raises(TypeError, match="_rate"):
        LLMJudge()


def by_position(slate):
    return [1 / (1 + i) for i in range(len(slate.candidates))]


def test_from_callable_has_parameters_clones_and_pickles():
    judge = LLMJudge.from_callable(by_position, name="position", version="2")
    slate = Slate(user=1, history=(), candidates=(4, 5))
    expected = {"f": by_position, "name": "position", "version": "2", "cache": None}
    expected |= {"reads_texts": False, "verbose": 0}
    assert judge.get_params() == expected
    for copy in (judge, clone(judge), pickle.loads(pickle.dumps(judge))):
        np.testing.assert_array_equal(copy.rate(iter([slate])), [[1, 0.5]])


@pytest.mark.parametrize(
    ("f", "name", "version", "message"),
    [
        ("f", "n", "1", "f must be a function"),
        (by_position, None, "1", "name must be a string; got None"),
        (by_position, "n", 1, "version must be a string; got 1"),
        (lambda history, candidates: [], "n", "1", r"one argument, a Slate; got .*\(history, cand"),
    ],
)
def test_from_callable_rejects(f, name, version, message):
    with pytest.raises(TypeError, match=message):
        LLMJudge.from_callable(f, name=name, version=version)


def test_another_version_of_a_class_is_another_judge(tmp_path):
    class Mine(LLMJudge):
        rating = 0.25

        def __init__(self, cache=None):
            self.cache = cache

        def _rate(self, slates):
            return [[self.rating] * len(slate.candidates) for slate in slates]

    slate, judge = Slate(1, [], [2]), Mine(tmp_path / "c")
    assert judge.rate([slate])[0] == 0.25
    Mine.rating = 0.5  # an edit of the class
    assert judge.rate([slate])[0] == 0.25
    for version, rating in (("2", 0.5), ("", 0.25), ("2", 0.5)):
        Mine.version = version
        assert judge.rate([slate])[0] == rating


def test_a_judge_of_texts_without_texts_is_told_where_they_come_from():
    def by_text(slate):
        return [len(text) / 99 for text in slate.candidate_texts]

    judge = LLMJudge.from_callable(by_text, name="n", version="1")
    with pytest.raises(ValueError, match=r"got 0\. The slate has no texts.*item_data.*reads_texts"):
        judge.rate([Slate(1, [], [2, 3])])
    likes = [["ann", 1], ["ann", 2], ["bob", 2], ["bob", 3], ["cat", 4]]
    judge = LLMJudge.from_callable(by_text, name="n", version="1", reads_texts=True)
    with pytest.raises(ValueError, match="reads item texts"):
        make_estimator(judge=judge, slates__size=2).plan_judging(likes)


# PrecomputedJudge


@pytest.fixture(params=["lines", "gzip", "list", "pandas", "polars"])
def judgments(request, tmp_path):
    if request.param == "lines":
        return str(write_lines(tmp_path / "judgments.jsonl", RECORDS))
    if request.param == "gzip":
        return write_lines(tmp_path / "judgments.jsonl.gz", RECORDS)
    return {"list": list, "pandas": pd.DataFrame, "polars": pl.DataFrame}[request.param](RECORDS)


def test_answers_to_one_question_are_gathered(judgments):
    questions = PrecomputedJudge(judgments).judged_slates()
    nan = np.nan
    assert questions.user.tolist() == ["u", "v", "u"]
    assert questions.history_indptr.tolist() == [0, 1, 1, 2]
    assert questions.history.tolist() == ["a", "a"]
    assert questions.indptr.tolist() == [0, 3, 5, 7]
    assert questions.candidates.tolist() == ["b", "c", "d", "a", "b", "b", "c"]
    assert questions.n_answers.tolist() == [3, 1, 1]
    np.testing.assert_array_equal(
        questions.answers,
        [
            [0.1, 0.3, 0.2],
            [0.5, nan, 0.5],
            [0.9, 0.7, 0.8],
            [1.0, nan, nan],
            [0.0, nan, nan],
            [0.2, nan, nan],
            [0.2, nan, nan],
        ],
    )
    np.testing.assert_allclose(questions.ratings, [0.2, 0.5, 0.8, 1, 0, 0.2, 0.2])
    std = np.std([0.1, 0.2, 0.3])
    np.testing.assert_allclose(
        questions.rating_std, [std, 0, std, nan, nan, nan, nan], rtol=1e-12, atol=1e-12
    )


def test_rate_looks_up_in_the_order_asked(judgments):
    ratings = PrecomputedJudge(judgments).rate(
        [
            Slate(user="v", history=[], candidates=["b", "a"]),
            Slate(user="u", history=["a"], candidates=["d", "c", "b"]),
            Slate(user="u", history=["a"], candidates=["d", "c"]),  # never asked
            Slate(user="v", history=["a"], candidates=["b", "c"]),  # asked for another user
            Slate(user="u", history=[], candidates=["b", "c"]),  # asked with another history
        ]
    )
    np.testing.assert_array_equal(ratings[0], [0, 1])
    np.testing.assert_allclose(ratings[1], [0.8, 0.5, 0.2])
    assert np.isnan(np.concatenate(ratings[2:])).all()


def test_no_opinion_at_all_stays_nan():
    record = {"user": 1, "history": [], "candidates": [2, 3], "ratings": [None, float("nan")]}
    judge = PrecomputedJudge([record, record])
    assert np.isnan(judge.judged_slates().ratings).all()
    assert np.isnan(judge.judged_slates().rating_std).all()
    assert len(judge.preferences([Slate(1, (), (2, 3))]).gap) == 0


@pytest.mark.parametrize(
    ("ids", "dtype"), [([1, 2, 3], np.int64), (["a", "b", "c"], object), ([1, "b", 2.5], object)]
)
def test_item_ids_keep_their_kind(ids, dtype):
    shown, first, second = ids
    judge = PrecomputedJudge(
        [{"user": 1, "history": [shown], "candidates": [first, second], "ratings": [0.25, 0.5]}]
    )
    questions = judge.judged_slates()
    assert [*questions.history.tolist(), *questions.candidates.tolist()] == ids
    assert questions.history.dtype == questions.candidates.dtype == dtype
    np.testing.assert_array_equal(judge.rate([Slate(1, (shown,), (second, first))]), [[0.5, 0.25]])


def test_recorded_preferences_against_plain_python():
    judge = load_movielens_coldstart().judge
    answers = {}
    with gzip.open(judge.judgments, "rt") as lines:
        for record in map(json.loads, lines):
            key = record["user"], tuple(record["history"]), frozenset(record["candidates"])
            rating = dict(zip(record["candidates"], record["ratings"], strict=True))
            answers.setdefault(key, []).append(rating)
    slates = [Slate(user, history, sorted(items)) for user, history, items in answers]
    expected = [
        [sum(a[c] for a in slate_answers) / len(slate_answers) for c in slate.candidates]
        for slate, slate_answers in zip(slates, answers.values(), strict=True)
    ]
    np.testing.assert_allclose(np.concatenate(judge.rate(slates)), np.concatenate(expected))
    questions = judge.judged_slates()
    assert len(questions.user) == len(answers)
    assert questions.n_answers.tolist() == [len(a) for a in answers.values()]


def test_only_the_parameter_is_cloned_and_pickled(tmp_path):
    path = write_lines(tmp_path / "judgments.jsonl", RECORDS)
    judge = PrecomputedJudge(path)
    before = pickle.dumps(judge)
    expected = judge.judged_slates().ratings
    assert pickle.dumps(judge) == before
    assert judge.get_params() == {"judgments": path, "drawn": "otherwise"}
    for copy in (clone(judge), pickle.loads(before)):
        assert copy.judgments == path
        np.testing.assert_array_equal(copy.judged_slates().ratings, expected)


def test_records_are_read_late_and_again_for_other_judgments(tmp_path):
    judge = PrecomputedJudge(tmp_path / "missing.jsonl")
    with pytest.raises(FileNotFoundError):
        judge.judged_slates()
    judge.set_params(judgments=RECORDS)
    assert judge.judged_slates() is judge.judged_slates()
    assert len(judge.judged_slates().user) == 3
    assert len(judge.set_params(judgments=RECORDS[:1]).judged_slates().user) == 1


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"ratings": [0.5]}, "each of the 2 candidates; got 1"),
        ({"ratings": [0.5, 1.01]}, "in [0, 1]; got 1.01"),
        ({"ratings": 0.5}, "list of numbers in [0, 1]; got 0.5"),
        ({"candidates": [2, 2]}, "must not contain duplicates; got 2 twice"),
        ({"candidates": [], "ratings": []}, "at least one item"),
        ({"candidates": "23"}, "candidates must be a list of item ids; got '23'"),
        ({"history": None}, "history must be a list of item ids; got None"),
        ({"history": [None]}, "ids must not be missing; got None"),
        ({"history": [[1]]}, "ids must be hashable; got an unhashable type: 'list'"),
        ({"user": float("nan")}, "ids must not be missing; got nan"),
    ],
)
def test_wrong_records_are_named(parts, message):
    good = {"user": 1, "history": [1], "candidates": [2, 3], "ratings": [0.5, 0.5]}
    with pytest.raises(ValueError, match=f"^Record 1: .*{re.escape(message)}"):
        PrecomputedJudge([good, {**good, **parts}]).judged_slates()


def test_missing_keys_are_named():
    record = {"user": 1, "candidates": [2], "slate": "s1"}
    with pytest.raises(ValueError, match=r"Record 0 must have .* without \['history', 'ratings'\]"):
        PrecomputedJudge([record]).judged_slates()
    with pytest.raises(ValueError, match=r"The DataFrame must have .* without \['ratings'\]"):
        PrecomputedJudge(pd.DataFrame(RECORDS).drop(columns="ratings")).judged_slates()


def test_wrong_lines_are_named(tmp_path):
    path = write_lines(tmp_path / "judgments.jsonl", RECORDS[:2])
    path.write_text(path.read_text() + "\n{'user': 1}\n")
    with pytest.raises(ValueError, match=r"Line 4 of .*judgments.jsonl is not valid JSON"):
        PrecomputedJudge(path).judged_slates()
    path.write_text("[1, 2]\n")
    with pytest.raises(ValueError, match=r"Line 1 of .* must be an object .*; got \[1, 2\]"):
        PrecomputedJudge(path).judged_slates()


@pytest.mark.parametrize("judgments", ["", []])
def test_no_records(judgments, tmp_path):
    if judgments == "":
        judgments = write_lines(tmp_path / "empty.jsonl", [])
    with pytest.raises(ValueError, match="at least one record; got none"):
        PrecomputedJudge(judgments).judged_slates()


@pytest.mark.parametrize("judgments", [None, 3, pd.Series([1]), iter(RECORDS)])
def test_preferences_of_another_kind(judgments):
    with pytest.raises(TypeError, match="path, a list of dict or a DataFrame; got "):
        PrecomputedJudge(judgments).judged_slates()


# Files


ID_KINDS = {
    "str": "id {}".format,
    "int": int,
    "UUID": lambda k: uuid.UUID(int=k),
    "bytes": lambda k: b"id%d" % k,
    "date": lambda k: datetime.date(2020, 1, 1) + datetime.timedelta(days=k),
    "datetime": lambda k: datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=k),
    "Timestamp": lambda k: pd.Timestamp("2020-01-01", tz="UTC") + pd.Timedelta(k, unit="D"),
    "numpy datetime": lambda k: np.datetime64("2020-01-01", "ns") + np.timedelta64(k, "D"),
    "Decimal": lambda k: Decimal(k) / 4,
    "tuple": lambda k: ("shop", (k, uuid.UUID(int=k))),
}


@pytest.mark.parametrize("kind", ID_KINDS)
def test_exports_hold_ids_of_all_kinds(kind, tmp_path):
    make = ID_KINDS[kind]
    if kind == "numpy datetime":  # as in the slates of a fit
        make = lambda k: pd.Timestamp(ID_KINDS[kind](k))  # noqa: E731
    judge = LLMJudge.from_callable(
        lambda slate: np.arange(len(slate.candidates)) / 4,
        name=f"of {kind}", version="1", reads_texts=False,
    )  # fmt: skip
    slates = [Slate(make(k), [make(1)], [make(2), make(3), make(k + 4)]) for k in range(5)]
    rated = judge.rate(slates)
    table = judge.export(tmp_path / "answers.jsonl")
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 5
    for recorded in (PrecomputedJudge(tmp_path / "answers.jsonl"), PrecomputedJudge(table)):
        np.testing.assert_array_equal(recorded.rate(slates), rated)
        assert len(recorded.judged_slates().user) == 5


@pytest.mark.parametrize("kind", ["UUID", "numpy datetime", "tuple", "Decimal"])
def test_exported_ids_are_those_of_the_interactions(kind, tmp_path):
    rng = np.random.default_rng(0)
    ids = np.empty(20, dtype=object)
    ids[:] = [ID_KINDS[kind](k) for k in range(20)]
    ids = pd.Series(ids).infer_objects()
    X = pd.DataFrame({name: ids[rng.integers(0, 20, 150)].to_numpy() for name in ("u", "i")})
    judge = LLMJudge.from_callable(
        lambda slate: np.arange(len(slate.candidates)) / 20,
        name=f"again of {kind}", version="1", reads_texts=False,
    )  # fmt: skip
    settings = {
        "factors": 2,
        "iterations": 2,
        "random_state": 0,
        "gate": None,
        "slates__max_slates": 9,
    }
    asked = make_estimator(judge=judge, slates__size=8, **settings).fit(X)
    judge.export(tmp_path / "answers.jsonl")
    recorded = PrecomputedJudge(tmp_path / "answers.jsonl")
    again = make_estimator(judge=recorded, **settings).fit(X)
    assert again.judge_stats_["pairs"] == asked.judge_stats_["pairs"] > 0
    np.testing.assert_allclose(again.item_factors_, asked.item_factors_, rtol=1e-3, atol=1e-5)


def test_an_export_of_nothing_says_so(tmp_path):
    judge = LLMJudge.from_callable(len, name="never asked", version="1", cache=None)
    with pytest.warns(JudgmentWarning, match="nothing to export"):
        assert not len(judge.export(tmp_path / "answers.jsonl"))


@pytest.mark.parametrize(
    "bad", [{"uuid": "no"}, {"decimal": "x"}, {"a": 1, "b": 2}, {"uuid": 7}, {"list": []}, {}]
)
def test_objects_that_are_no_ids(bad):
    with pytest.raises(ValueError, match="Record 0"):
        PrecomputedJudge([{**RECORDS[0], "user": bad}]).judged_slates()


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.jsonl.gz"])
def test_byte_order_marks_are_no_part_of_a_file(name, tmp_path):
    text = "".join(json.dumps(record) + "\n" for record in RECORDS)
    with (gzip.open if name.endswith("gz") else open)(tmp_path / name, "wb") as file:
        file.write(text.encode("utf-8-sig"))
    read, expected = (PrecomputedJudge(j).judged_slates() for j in (tmp_path / name, RECORDS))
    assert read.candidates.tolist() == expected.candidates.tolist()
    np.testing.assert_array_equal(read.ratings, expected.ratings)


@pytest.mark.parametrize("name", ["answers.parquet", "ANSWERS.PARQUET", "answers.Pq"])
def test_parquet_files(name, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / name
    pd.DataFrame(RECORDS).assign(more=1).to_parquet(path)
    for judgments in (path, str(path)):
        read, expected = (PrecomputedJudge(j).judged_slates() for j in (judgments, RECORDS))
        assert read.candidates.tolist() == expected.candidates.tolist()
        np.testing.assert_array_equal(read.answers, expected.answers)


@pytest.mark.parametrize("cache", ["default", "~/answers.sqlite", "~nobody_at_all/answers.sqlite"])
def test_without_home_a_file_must_be_named(cache, monkeypatch, tmp_path):
    pwd = pytest.importorskip("pwd")

    def nobody(*args):  # as in a container with an arbitrary user id
        raise KeyError("no such user")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(pwd, "getpwnam", nobody)
    monkeypatch.chdir(tmp_path)
    slates = [Slate(1, [2], [3, 4])]
    judge = LLMJudge.from_callable(lambda slate: [0.5, 1], name="x", version="1", cache=cache)
    with pytest.raises(CacheError, match=r'No location.*cache="answers.sqlite".*HOME'):
        judge.rate(slates)
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(judge.set_params(cache="answers.sqlite").rate(slates), [[0.5, 1]])


@pytest.mark.parametrize("name", ["answers.jsonl", "ANSWERS.JSONL.GZ"])
@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_files_of_other_encodings_are_named(name, encoding, tmp_path):
    text = json.dumps({**RECORDS[0], "user": "Zoë"}, ensure_ascii=False) + "\n"
    with (gzip.open if name.endswith("GZ") else open)(tmp_path / name, "wb") as file:
        file.write(text.encode(encoding))
    with pytest.raises(ValueError, match=rf"Line 1 of .*{name} must be UTF-8 text"):
        PrecomputedJudge(tmp_path / name).judged_slates()


def test_ids_beyond_63_bits():
    records = [{"user": 2**63 + 5, "history": [2**64], "candidates": [7, 2**63], "ratings": [0, 1]}]
    judge = PrecomputedJudge(records)
    questions = judge.judged_slates()
    assert questions.user.tolist() == [2**63 + 5]
    assert questions.history.tolist() == [2**64]
    assert questions.candidates.tolist() == [7, 2**63]
    (ratings,) = judge.rate([Slate(user=2**63 + 5, history=[2**64], candidates=[2**63, 7])])
    assert ratings.tolist() == [1, 0]

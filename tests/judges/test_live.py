import itertools
import json
import os
import pickle
import re
import signal
import socket
import sqlite3
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from children import Child
from estimators import make_estimator
from joblib.externals.loky import get_reusable_executor
from loopback import Service, rate
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from sklearn_selreg import ReliabilityGate
from sklearn_selreg.exceptions import BudgetWarning, DataWarning, GateWarning, JudgmentWarning
from sklearn_selreg.judges import (
    AnthropicJudge,
    CacheError,
    JudgeError,
    LLMJudge,
    OpenAIJudge,
    PrecomputedJudge,
    Slate,
    _batches,
    _cache,
)
from sklearn_selreg.judges._answers import Answer
from sklearn_selreg.judges._cache import GRANTED
from sklearn_selreg.judges._report import report
from sklearn_selreg.judges._run import AskingRun
from sklearn_selreg.judges._service import as_sentence
from sklearn_selreg.judges.testing import JudgeContract

pytestmark = pytest.mark.slow  # starts servers and processes
posix = pytest.mark.skipif(os.name != "posix", reason="forks processes")

KEY = "sk-secret-0123456789"
WORDS = ["".join(letters) for letters in itertools.product("bdfgkl", "aeiou", "mnrs")]
TITLES = [f"film {number}" for number in range(400)]


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(_cache, "_open", {})  # caches in memory, empty in each test


def make_slates(n_slates, first=0):
    slates = []
    for user in range(first, first + n_slates):
        random = np.random.default_rng(user)
        items = random.permutation(len(TITLES))[:7].tolist()
        texts = [TITLES[item] for item in items]
        slates.append(Slate(user, items[:3], items[3:], texts[:3], texts[3:]))
    return slates


def expected(slates):
    """Return the ratings that the server gives, computed by its own rule."""
    ratings = []
    for slate in slates:
        candidates = dict(enumerate(slate.candidate_texts))
        rated = rate({"history": list(slate.history_texts), "candidates": candidates})
        ratings.append(np.array([rated[i] for i in candidates]) / 99)
    return ratings


def assert_rated(ratings, slates):
    for a, b in zip(ratings, expected(slates), strict=True):
        np.testing.assert_allclose(a, b)


def claude(server, **settings):
    settings = {"max_requests": 100_000, "cache": None, "batch_poll": 0.05, **settings}
    return AnthropicJudge(base_url=server.url, **settings)


def gpt(server, **settings):
    settings = {"max_requests": 100_000, "cache": None, **settings}
    return OpenAIJudge("llama", base_url=server.url + "/v1", **settings)


def n_asked(server):
    """Return the number of prompts sent, live or in batches."""
    stats = server.stats()
    live = ("/v1/messages", "/v1/chat/completions")
    return sum(stats["requests"].get(path, 0) for path in live) + stats["items"]


# The contract of all judges


class LiveContract(JudgeContract):
    @pytest.fixture(autouse=True)
    def start(self, server, tmp_path):
        self.server, self.path = server, tmp_path / "cache.sqlite"


class TestClaude(LiveContract):
    def make_judge(self):
        return claude(self.server, cache=self.path)


class TestClaudeInBatches(LiveContract):
    def make_judge(self):
        return claude(self.server, cache=self.path, batch=True)


class TestGPT(LiveContract):
    def make_judge(self):
        return gpt(self.server, cache=self.path)


# Asking


@pytest.mark.parametrize("make", [claude, gpt])
def test_answers_are_those_of_the_server_in_two_orders(server, make):
    slates = make_slates(20)
    judge = make(server)
    assert_rated(judge.rate(slates), slates)
    assert all(answers.shape == (4, 2) for answers in judge.answers(slates))
    assert n_asked(server) == 40
    assert set(server.stats()["questions"].values()) == {1}
    assert judge.stats_["requests"] == judge.stats_["answers"] == 40


def test_the_request_forces_one_rating_for_each_candidate(server):
    claude(server, n_orders=1).rate(make_slates(1))
    body = server.stats()["last"]["body"]
    schema = body["output_config"]["format"]["schema"]
    assert schema["required"] == ["1", "2", "3", "4"]
    assert schema["additionalProperties"] is False
    assert body["model"] == "claude-haiku-5-5"


def test_orders_are_fixed_by_the_set_of_candidates(server):
    judge, slate = claude(server), make_slates(1)[0]
    turned = Slate(
        9, slate.history, slate.candidates[::-1], slate.history_texts, slate.candidate_texts[::-1]
    )
    ratings = judge.rate([slate, turned])
    np.testing.assert_array_equal(ratings[0], ratings[1][::-1])
    assert n_asked(server) == 2
    shown = [list(json.loads(text)["candidates"].values()) for text in server.stats()["questions"]]
    assert shown[0] == shown[1][::-1]


@pytest.mark.parametrize("prose", [False, True])
def test_servers_without_schema_are_read_tolerantly(server, prose):
    slates = make_slates(5)
    server.configure(json_schema=False, prose=prose)
    judge = gpt(server, concurrency=1)
    assert_rated(judge.rate(slates), slates)
    assert n_asked(server) == 10 + 1  # one was rejected because of its schema


def test_live_and_batch_share_answers(server, tmp_path):
    slates = make_slates(6)
    first = claude(server, cache=tmp_path / "c", batch=True).rate(slates)
    assert_rated(first, slates)
    assert_rated(claude(server, cache=tmp_path / "c").rate(slates), slates)
    assert server.stats()["items"] == n_asked(server) == 12


def test_batches_cost_half(server, tmp_path):
    slates = make_slates(6)
    live, batch = claude(server), claude(server, batch=True, cache=tmp_path / "b")
    live.rate(slates)
    batch.rate(slates)
    assert batch.stats_["cost"] == pytest.approx(live.stats_["cost"] / 2)
    assert live.stats_["cost"] == pytest.approx(
        (live.stats_["input_tokens"] * 0.1 + live.stats_["output_tokens"] * 0.5) / 1e6
    )


UNREADABLE = {
    "nothing": "",
    "text": "many",
    "negative": {"output_tokens": -600_000, "completion_tokens": -600_000},
    "words": {"input_tokens": "a lot", "prompt_tokens": "a lot"},
    "null": {"output_tokens": None, "completion_tokens": None},
    "fraction": {"output_tokens": 0.5, "completion_tokens": 0.5},
}


@pytest.mark.slow
@pytest.mark.parametrize("usage", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("make", [claude, gpt, "batch"])
def test_what_is_not_known_is_charged_at_the_worst_case(server, make, usage):
    slates = make_slates(6)
    settings = {"max_requests": None, "n_orders": 1, "concurrency": 1}
    if make == "batch":
        make, settings = claude, {**settings, "batch": True}
    if make is gpt:
        settings["price"] = (1.0, 2.0)
    server.configure(usage=usage)
    worst = make(server, max_cost=1.0, **settings).estimate_cost(slates).max_cost
    # The budget allows three of the six prompts, whatever usage the service reports.
    judge = make(server, max_cost=0.55 * worst, **settings)
    with pytest.warns(BudgetWarning):
        judge.rate(slates)
    assert n_asked(server) == 3
    assert judge.stats_["cost"] == pytest.approx(worst / 2, rel=0.2)
    assert 0 < judge.stats_["cost"] <= judge.max_cost


def test_a_clone_shares_the_memory_of_a_judge(server):
    judge, slates = claude(server), make_slates(3)
    judge.rate(slates)
    assert_rated(clone(judge).rate(slates), slates)
    assert n_asked(server) == 6


def test_another_model_or_option_is_another_question(server):
    slates = make_slates(1)
    for settings in (
        {},
        {"model": "claude-haiku-4-5"},
        {"options": {"metadata": {"user_id": "x"}}},
    ):
        claude(server, n_orders=1, **settings).rate(slates)
    assert n_asked(server) == 3


# Failures

TRANSIENT = ("429", "500", "529", "408", "409", "503", "reset", "reset_before")


@pytest.mark.parametrize("make", [claude, gpt])
@pytest.mark.parametrize("kind", TRANSIENT)
def test_transient_failures_are_tried_again(server, make, kind):
    slates = make_slates(1)
    server.configure(script=[kind])
    judge = make(server, n_orders=1)
    assert_rated(judge.rate(slates), slates)
    assert n_asked(server) == 2
    assert judge.stats_["retries"] == 1
    assert judge.stats_["requests"] == 2


@pytest.mark.slow
def test_slow_answers_time_out_and_are_asked_again(server):
    slates = make_slates(1)
    server.configure(script=["slow"], slow=30)
    judge = claude(server, n_orders=1, timeout=0.5)
    assert_rated(judge.rate(slates), slates)
    assert n_asked(server) == 2


def test_retry_after_is_heeded(server):
    server.configure(script=["429"], retry_after=1.1)
    start = time.monotonic()
    claude(server, n_orders=1).rate(make_slates(1))
    assert time.monotonic() - start >= 1.1  # without it, at most 1


@pytest.mark.slow
def test_a_long_pause_that_a_service_asks_for_is_reported(server):
    server.configure(script=["429"], retry_after=7)
    with pytest.warns(JudgmentWarning, match=r"a pause of [67] s \(Retry-After\).*interrupt"):
        claude(server, n_orders=1).rate(make_slates(1))
    assert n_asked(server) == 2


@pytest.mark.parametrize("make", [claude, gpt])
@pytest.mark.parametrize("kind", ["400", "401", "403", "404"])
def test_other_failures_stop_at_once(server, make, kind):
    server.configure(faults={kind: 1.0}, echo_key=True)
    with pytest.raises(JudgeError, match=f"returned status {kind}: ") as raised:
        make(server, concurrency=1).rate(make_slates(5))
    assert n_asked(server) == 1
    error = raised.value
    assert error.__context__ is None
    assert KEY not in str(error)


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("refusal", "refusal"),
        ("broken", "broken JSON"),
        ("truncated", "truncated"),
        ("missing", "missing rating"),
        ("out_of_range", "rating out of range"),
    ],
)
@pytest.mark.parametrize("make", [claude, gpt])
def test_bad_answers_are_asked_once_more_then_nan(server, make, kind, problem):
    slates = make_slates(2)
    server.configure(always={json.dumps(TITLES[slates[0].history[0]]): kind})
    judge = make(server, n_orders=1)
    if kind == "refusal":
        ratings = judge.rate(slates)
    else:
        with pytest.warns(JudgmentWarning, match=f"1 of 2 answers .*{problem}: 1"):
            ratings = judge.rate(slates)
    assert_rated(ratings[1:], slates[1:])
    n_bad = np.isnan(ratings[0]).sum()
    assert n_bad == (1 if kind in ("missing", "out_of_range") else 4)
    assert n_asked(server) == 3
    assert judge.stats_[problem] == 2
    judge.rate(slates)  # NaN is an answer and is not paid for again
    assert n_asked(server) == 3


def test_a_bad_answer_is_mended_by_the_second_one(server):
    slates = make_slates(1)
    server.configure(script=["missing"])
    assert_rated(claude(server, n_orders=1).rate(slates), slates)
    assert n_asked(server) == 2


def test_a_service_that_is_down_is_given_up(server):
    server.configure(faults={"500": 1.0})
    judge = claude(server, max_retries=1, concurrency=2)
    with pytest.raises(JudgeError, match="does not respond"):
        judge.rate(make_slates(50))
    assert n_asked(server) <= 2 * 4


@pytest.mark.slow
@pytest.mark.parametrize("make", [claude, gpt])
def test_all_is_answered_under_20_percent_of_faults(server, make):
    slates = make_slates(60)
    kinds = (*TRANSIENT, "broken", "missing")
    server.configure(faults=dict.fromkeys(kinds, 0.2 / len(kinds)), retry_after=0.01)
    judge = make(server, max_retries=20, concurrency=16)
    with warnings.catch_warnings():
        # A prompt that is answered badly twice in a row (1 in 600) has no rating.
        warnings.filterwarnings("ignore", ".* lack ratings", JudgmentWarning)
        ratings = judge.rate(slates)
    assert judge.stats_["retries"] > 0
    for a, b in zip(ratings, expected(slates), strict=True):
        np.testing.assert_allclose(a, np.where(np.isnan(a), np.nan, b))
    assert np.isnan(np.concatenate(ratings)).mean() < 0.02


def test_batch_items_that_fail_are_sent_again(server):
    slates = make_slates(10)
    server.configure(batch_script=["errored", "expired", "canceled", "broken", "missing"])
    judge = claude(server, batch=True)
    assert_rated(judge.rate(slates), slates)
    assert server.stats()["items"] == 25
    totals = judge.stats_
    tokens = totals["input_tokens"] * 0.05 + totals["output_tokens"] * 0.25
    assert totals["cost"] == pytest.approx(tokens / 1e6)


def test_a_lost_reply_to_a_batch_is_found_in_the_listing(server):
    slates = make_slates(4)
    claude(server, batch=True).rate(make_slates(3, first=50))
    server.configure(batch_post_fault="lost")
    judge = claude(server, batch=True, cache=None, n_orders=1)
    assert_rated(judge.rate(slates), slates)
    assert server.stats()["items"] == 6 + 4
    assert server.stats()["batches"] == 2


def test_results_of_a_batch_that_break_off_are_read_again(server):
    server.configure(broken_results=2)
    slates = make_slates(20)
    assert_rated(claude(server, batch=True).rate(slates), slates)
    stats = server.stats()
    assert (stats["batches"], stats["items"]) == (1, 40)
    assert sum(n for path, n in stats["requests"].items() if path.endswith("/results")) == 3


def test_batches_are_split_at_their_limits(server, monkeypatch):
    monkeypatch.setattr(_batches, "_BATCH_REQUESTS", 7)
    slates = make_slates(10)
    assert_rated(claude(server, batch=True).rate(slates), slates)
    assert (server.stats()["batches"], server.stats()["items"]) == (3, 20)


def test_a_used_up_rate_limit_is_waited_for():
    reset = (datetime.now(timezone.utc) + timedelta(seconds=20)).isoformat()
    name = "anthropic-ratelimit-requests-"
    used_up = {name + "remaining": "0", name + "reset": reset.replace("+00:00", "Z")}
    assert 15 < _batches.pause_of(used_up) <= 20
    assert _batches.pause_of({**used_up, name + "remaining": "1"}) == 0
    assert _batches.pause_of({**used_up, name + "reset": "soon"}) == 0


# Budget


def test_a_budget_is_required(server):
    with pytest.raises(ValueError, match="max_requests or max_cost"):
        claude(server, max_requests=None).rate(make_slates(1))
    assert n_asked(server) == 0


def test_the_price_of_an_unknown_model_is_asked_for(server):
    judge = gpt(server, max_cost=1.0)
    with pytest.raises(ValueError, match="price of the model 'llama' is unknown: set price"):
        judge.rate(make_slates(1))
    assert n_asked(server) == 0
    assert_rated(judge.set_params(price=(0, 0)).rate(make_slates(1)), make_slates(1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrency": 0},
        {"n_orders": 1.5},
        {"max_cost": -1},
        {"max_requests": True},
        {"price": (1,)},
        {"model": ""},
        {"options": 3},
        {"max_cost": 1, "price": "cheap"},
    ],
)
def test_bad_parameters_are_named_before_anything_is_sent(server, wrong):
    name = "price" if "price" in wrong else next(iter(wrong))
    if name == "price":
        wrong = {"max_cost": 1, **wrong}
    with pytest.raises(ValueError, match=name) as raised:
        claude(server, **wrong).rate(make_slates(1))
    assert isinstance(raised.value, TypeError)  # both, as for parameters of the estimator
    assert n_asked(server) == 0


@pytest.mark.parametrize("batch", [False, True])
def test_max_requests_holds_and_what_was_paid_for_is_kept(server, tmp_path, batch):
    slates = make_slates(20)
    judge = claude(server, cache=tmp_path / "c", max_requests=15, concurrency=32, batch=batch)
    with pytest.warns(UserWarning, match="has reached its budget: 25 of 40") as caught:
        ratings = judge.rate(slates)
    assert len(caught) == 1
    assert n_asked(server) == 15
    assert sum(~np.isnan(r).any() for r in ratings) >= 7
    with pytest.warns(UserWarning, match="reached its budget"):
        clone(judge).rate(slates)
    assert n_asked(server) == 15
    assert_rated(judge.set_params(max_requests=40).rate(slates), slates)
    assert n_asked(server) == 40


def test_max_cost_is_never_exceeded(server, tmp_path):
    slates = make_slates(40)
    limit = 0.002
    server.configure(faults={"reset": 0.2})  # may be billed, so the worst-case cost stays counted
    judge = claude(server, cache=tmp_path / "c", max_cost=limit, max_requests=None, concurrency=32)
    with pytest.warns(UserWarning, match="reached its budget"):
        judge.rate(slates)
    assert limit / 2 < judge.stats_["cost"] <= limit
    worst = judge._worst_cost(slates[0]) / 1e9
    assert judge.stats_["cost"] + worst > limit


def ask(port, n_slates, **settings):
    """Ask about slates, in another process; return the number of slates rated in full."""
    warnings.simplefilter("ignore")
    ratings = claude(Service(port), **settings).rate(make_slates(n_slates))
    return sum(not np.isnan(r).any() for r in ratings)


def ask_in_process(server, cache, n_slates, function=ask, **settings):
    environment = {"ANTHROPIC_API_KEY": KEY}
    return Child(function, server.port, n_slates, cache=cache, environment=environment, **settings)


@posix
@pytest.mark.slow
def test_two_processes_share_a_budget(server, tmp_path):
    server.configure(delay=0.02)
    processes = [
        ask_in_process(server, tmp_path / "c", 60, max_requests=50, concurrency=32)
        for _ in range(2)
    ]
    for process in processes:
        assert process.finish()[1] == ""
    assert n_asked(server) == 50


@posix
@pytest.mark.slow
@pytest.mark.parametrize("batch", [False, True])
def test_two_processes_ask_each_question_once(server, tmp_path, batch):
    server.configure(delay=0.02, batch_delay=0.5)
    processes = [ask_in_process(server, tmp_path / "c", 40, batch=batch) for _ in range(2)]
    for process in processes:
        assert process.finish() == (40, "")
    assert n_asked(server) == 80
    assert set(server.stats()["questions"].values()) == {1}


@pytest.fixture
def heeds_ctrl_c():
    """Handle SIGINT, which background jobs of a shell ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_stores_what_is_under_way(server, tmp_path, heeds_ctrl_c):
    server.configure(delay=0.3)
    judge = claude(server, cache=tmp_path / "c", concurrency=4)

    def interrupt():
        began = time.monotonic()
        while n_asked(server) < 8 and time.monotonic() < began + 60:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        judge.rate(make_slates(100))
    thread.join()
    n_before = n_asked(server)
    assert judge.stats_["answers"] == n_before < 200
    server.configure(delay=0.0)
    assert_rated(judge.rate(make_slates(100)), make_slates(100))
    assert n_asked(server) == 200


# The cache


def test_a_cache_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    judge = claude(server, cache=tmp_path / "file" / "c")
    with pytest.raises(
        CacheError, match=r"file.c cannot be created: .* Name another file as cache"
    ):
        judge.rate(make_slates(1))
    assert n_asked(server) == 0


def test_a_full_disk_loses_no_answer_that_had_arrived(server, tmp_path):
    judge = claude(server, cache=tmp_path / "c", concurrency=4)
    judge.rate(make_slates(2))
    connection = judge._cache()._connection
    n_pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {n_pages + 2}")
    slates = make_slates(300)
    with pytest.warns(UserWarning, match="is not writable.*full"):
        ratings = judge.rate(slates)
    n_paid = n_asked(server)
    assert 4 < n_paid < 600
    answers = judge_answers(judge, slates)
    assert n_asked(server) == n_paid
    assert sum((~np.isnan(a)).all(axis=0).sum() for a in answers) == n_paid
    assert any(np.isnan(r).any() for r in ratings)
    connection.execute("PRAGMA max_page_count = 1000000")
    assert_rated(judge.rate(slates), slates)
    assert n_asked(server) == 600
    with sqlite3.connect(tmp_path / "c") as other:
        assert other.execute("SELECT COUNT(*) FROM answers").fetchone() == (600,)


def test_a_disk_that_was_full_for_a_moment_is_no_spent_budget(server, tmp_path):
    judge = claude(server, cache=tmp_path / "c")
    cache, (slate, other) = judge._cache(), make_slates(2)
    todo = {key: slate for slate in (slate, other) for key in judge._prompts([slate])[0].keys}
    work, (key, another, *_) = AskingRun(judge, cache, todo), todo
    n_pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
    cache._connection.execute(f"PRAGMA max_page_count = {n_pages}")
    many = np.full(100_000, 0.5)  # a few hundred pages
    with work.progress:
        assert not work.store(key, Answer(many))
    cache._connection.execute("PRAGMA max_page_count = 1000000")
    assert cache.claim([another]) == [GRANTED]  # as another thread may do
    with pytest.warns(JudgmentWarning, match="is not writable.*full") as caught:
        report(work)
    assert caught[0].category is JudgmentWarning


def judge_answers(judge, slates):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return judge.answers(slates)


def ask_read_only(port, n_slates, cache):
    """Ask as a user who cannot write the cache, after importing what that user cannot read."""
    claude(Service(port)).rate(make_slates(1, first=99))
    os.chmod(cache, 0o444)
    os.chmod(cache.parent, 0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        return ask(port, n_slates, cache=cache)
    finally:
        os.seteuid(os.getuid())
        os.chmod(cache.parent, 0o755)


@posix
@pytest.mark.slow
def test_a_read_only_file_answers_and_asks_nothing(server, tmp_path):
    path = tmp_path / "c"
    slates = make_slates(4)
    claude(server, cache=path).rate(slates[:2])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for parent in path.parents[:4]:  # those that pytest makes
        os.chmod(parent, os.stat(parent).st_mode | 0o055)
    assert ask_in_process(server, path, 4, function=ask_read_only).finish() == (2, "")
    assert n_asked(server) == 4 + 2


def test_what_is_no_cache_is_refused(server, tmp_path):
    (tmp_path / "c").write_text("hello, this is a file of text, and long enough to be read" * 100)
    with pytest.raises(RuntimeError, match="not an SQLite file of judgments"):
        claude(server, cache=tmp_path / "c").rate(make_slates(1))
    assert n_asked(server) == 0


def test_threads_ask_each_question_once(server):
    slates = make_slates(40)
    server.configure(delay=0.02)
    with ThreadPoolExecutor(4) as pool:
        for ratings in pool.map(lambda _: claude(server).rate(slates), range(4)):
            assert_rated(ratings, slates)
    assert n_asked(server) == 80


def test_the_function_of_a_user_is_called_once_for_each_question(tmp_path):
    calls = []

    def like(slate):
        calls.append(slate)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return [0.5] * len(slate.candidates)

    judge = LLMJudge.from_callable(like, name="x", version="1", cache=tmp_path / "c")
    slates = make_slates(10)
    with pytest.raises(KeyboardInterrupt):
        judge.rate(slates)
    judge.rate(slates)
    assert len(calls) == 11  # the one that failed is called again


def write(path):
    judge = LLMJudge.from_callable(lambda slate: [0.25], name="x", version="1", cache=path)
    return len(judge.rate([Slate(user, (), (1,)) for user in range(2000)]))


@posix
@pytest.mark.slow
def test_concurrent_writers_of_many_processes(tmp_path):
    processes = [Child(write, tmp_path / "c") for _ in range(4)]
    for process in processes:
        assert process.finish() == (2000, "")
    with sqlite3.connect(tmp_path / "c") as connection:
        assert connection.execute("SELECT COUNT(*) FROM answers").fetchone() == (2000,)


# Secrets


def test_the_key_is_nowhere(server, tmp_path, monkeypatch, caplog, capsys):
    caplog.set_level(0)
    monkeypatch.setenv("MY_VARIABLE", "sk-another-987")
    for make in (claude, gpt):
        judge = make(server, cache=tmp_path / "c", api_key_env="MY_VARIABLE", verbose=1)
        judge.rate(make_slates(3))
        shown = [repr(judge), repr(judge.get_params()), repr(vars(judge)), repr(judge.stats_)]
        shown += [pickle.dumps(judge).decode("latin-1"), caplog.text, *capsys.readouterr()]
        shown += [file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()]
        assert not any("sk-another" in text or KEY in text for text in shown)
    assert server.stats()["keys"] == ["sk-another-987"]


def gpt_itself(server, **settings):
    settings = {"max_requests": 100_000, "cache": None, **settings}
    return OpenAIJudge("gpt-6-luna", **settings)


@pytest.mark.parametrize(
    ("make", "name", "more"),
    [
        (claude, "ANTHROPIC", {}),
        (claude, "ANTHROPIC", {"batch": True}),
        (gpt_itself, "OPENAI", {}),
    ],
)
def test_a_missing_key_is_named_and_costs_nothing(server, monkeypatch, tmp_path, make, name, more):
    settings = {"cache": tmp_path / "c", "max_requests": 6, "max_cost": 1.0, **more}
    monkeypatch.delenv(f"{name}_API_KEY")
    judge = make(server, **settings)
    for _ in range(2):
        with pytest.raises(
            JudgeError, match=f"No API key found: set the environment variable {name}_API_KEY"
        ):
            judge.rate(make_slates(3))
        with pytest.raises(
            JudgeError, match="'NO_SUCH_VARIABLE', named by api_key_env, is not set"
        ):
            make(server, api_key_env="NO_SUCH_VARIABLE", **settings).rate(make_slates(3))
    assert not judge.stats_.get("requests")
    assert not judge.stats_.get("cost")
    if make is claude:
        monkeypatch.setenv(f"{name}_API_KEY", KEY)
        assert_rated(judge.rate(make_slates(3)), make_slates(3))
        assert judge.stats_["requests"] == n_asked(server) == 6


@pytest.mark.parametrize("make", [claude, gpt])
@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("404", "404: model: no-such-model. Check the name"),
        ("401", "401: invalid x-api-key. (Check|No key)"),
    ],
)
def test_what_a_service_says_ends_with_a_full_stop(server, make, status, said):
    server.configure(script=[status] * 9)
    with pytest.raises(JudgeError, match=said):
        make(server, concurrency=1).rate(make_slates(1))


@pytest.mark.parametrize("message", ["Too slow", "Too slow.", " Too slow. ", "Too slow!"])
def test_messages_become_sentences(message):
    assert as_sentence(message) in ("Too slow.", "Too slow!")


@pytest.mark.parametrize("make", [claude, gpt])
def test_what_was_not_sent_is_not_counted(server, tmp_path, make):
    settings = {"cache": tmp_path / "c", "price": (1, 1), "max_requests": 6}
    with pytest.raises(JudgeError, match="no_such_option"):
        make(server, options={"no_such_option": 1}, **settings).rate(make_slates(3))
    with socket.socket() as mute:  # bound, so that the port stays free, but not listening
        mute.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{mute.getsockname()[1]}"
        unreachable = make(server, max_retries=1, max_wait=0, **settings).set_params(base_url=gone)
        with pytest.raises(JudgeError, match="does not respond"):
            unreachable.rate(make_slates(3))
    assert n_asked(server) == 0
    stats = unreachable.stats_
    assert not stats.get("requests")
    assert not stats.get("cost")


def test_what_is_refused_is_counted_but_not_paid(server, tmp_path):
    server.configure(faults={"404": 1.0})
    judge = claude(server, cache=tmp_path / "c", concurrency=1)
    with pytest.raises(JudgeError, match="404"):
        judge.rate(make_slates(3))
    assert judge.stats_.get("requests") == n_asked(server) == 1
    assert not judge.stats_.get("cost")
    server.configure(batch_post_fault="400")
    with pytest.raises(JudgeError, match="batch was not accepted"):
        clone(judge).set_params(batch=True).rate(make_slates(3))
    assert judge.stats_["requests"] == 1
    assert not judge.stats_.get("cost")


# Estimates


def test_tokens_are_counted_by_the_service_and_cost_nothing(server, capsys):
    judge, slates = claude(server), make_slates(3)
    counted = judge.count_tokens(slates)
    bodies = [json.dumps(judge._arguments(slate)) for slate in slates]
    # The server counts 4 characters of the request body as one token.
    np.testing.assert_allclose(counted, [len(body) / 4 for body in bodies], rtol=0.05)
    assert n_asked(server) == 0
    assert "requests" not in judge.stats_
    assert capsys.readouterr().err == ""
    judge.set_params(verbose=1)
    server.configure(faults={"429": 0.3, "500": 0.2})
    np.testing.assert_array_equal(judge.count_tokens(slates), counted)
    assert "counting tokens: 100%" in capsys.readouterr().err


def test_an_estimate_asks_nothing_and_bounds_the_cost(server):
    judge, slates = claude(server), make_slates(30)
    before = judge.estimate_cost(slates)
    assert n_asked(server) == 0
    assert (before.slates, before.prompts, before.cached, before.requests) == (30, 60, 0, 60)
    judge.rate(slates)
    assert before.cost < before.max_cost
    assert judge.stats_["cost"] < before.max_cost
    after = judge.estimate_cost([*slates, *slates])
    assert (after.prompts, after.cached, after.requests, after.cost) == (60, 60, 0, 0)


# The estimator


@pytest.fixture(scope="module")
def world():
    """Each user likes films of one genre, which is a word of the title."""
    random = np.random.default_rng(0)
    genres = ["war", "love", "space", "crime"]
    films = pd.DataFrame({"film": np.arange(120)})
    films["title"] = [f"{genres[i % 4]} story {i}" for i in films["film"]]
    rows = []
    for user in range(60):
        liked = random.permutation(films["film"][films["film"] % 4 == user % 4])[: 2 + user % 12]
        rows += [(f"u{user}", film) for film in liked]
    likes = pd.DataFrame(rows, columns=["user", "film"])
    return likes.sample(frac=1, random_state=0).reset_index(drop=True), films


# Neither the server nor functions of the texts know the tastes of users.
adds_nothing = pytest.mark.filterwarnings("ignore:.*as without the judge:UserWarning")


def make_model(world, judge, **settings):
    settings = {
        "factors": 4,
        "iterations": 4,
        "slates__max_slates": 60,
        "slates__size": 8,
        **settings,
    }
    columns = {"user_col": "user", "item_col": "film"}
    return make_estimator(item_data=world[1], judge=judge, random_state=0, **columns, **settings)


@adds_nothing
def test_a_second_fit_asks_nothing(server, world, tmp_path):
    model = make_model(world, claude(server, cache=tmp_path / "c"))
    plan = model.plan_judging(world[0])
    assert (len(plan.slates), plan.estimate.requests) == (60, 120)
    assert n_asked(server) == 0
    model.fit(world[0])
    assert n_asked(server) == 120
    first = model.user_factors_
    clone(model).set_params(factors=8, llm_weight=0.3, regularization=10).fit(world[0])
    assert n_asked(server) == 120
    np.testing.assert_array_equal(model.fit(world[0]).user_factors_, first)
    stats = model.judge_stats_
    assert stats["slates"] == 60
    assert stats["answers"] == 120
    assert stats["calibration_slates"] == 18


@pytest.mark.slow
def test_a_grid_search_asks_each_question_once(server, world, tmp_path):
    judge = claude(server, cache=tmp_path / "c")
    model = make_model(world, judge, gate=ReliabilityGate())
    folds = KFold(3, shuffle=True, random_state=0)
    grid = [
        {"factors": [4, 6], "regularization": [10.0, 100.0]},
        {"llm_weight": [0.1, 1.0], "gate__C": [0.1, 1.0]},
    ]
    plan = model.plan_judging(world[0], cv=folds)
    get_reusable_executor().shutdown()  # its workers do not know the key
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(model, grid, cv=folds, n_jobs=2, scoring=count_pairs).fit(world[0])
    assert np.concatenate([search.cv_results_[f"split{k}_test_score"] for k in range(3)]).min() > 0
    assert plan.n_fits == 4
    assert n_asked(server) == plan.estimate.requests == len(server.stats()["questions"])
    assert set(server.stats()["questions"].values()) == {1}


def count_pairs(model, X, y=None):
    return model.judge_stats_["pairs"]


def test_the_fit_goes_on_when_the_budget_is_spent(server, world):
    model = make_model(world, claude(server, max_requests=21), gate=None)
    with pytest.warns(UserWarning, match="reached its budget") as caught:
        model.fit(world[0])
    assert len(caught) == 1
    assert n_asked(server) == 21
    assert model.judge_stats_["pairs"] > 0
    broke = make_model(world, claude(server, max_requests=0, model="claude-haiku-4-5"))
    with pytest.warns(UserWarning, match="reached its budget"):
        broke.fit(world[0])
    assert broke.judge_stats_["slates"] == 0
    assert np.isfinite(broke.predict(world[0])).all()


@adds_nothing
def test_an_export_is_fitted_by_others(server, world, tmp_path):
    judge = claude(server, cache=tmp_path / "c")
    model = make_model(world, judge).fit(world[0])
    judge.export(tmp_path / "answers.jsonl")
    exported = PrecomputedJudge(tmp_path / "answers.jsonl", drawn="alike")
    again = make_model(world, exported).fit(world[0])
    np.testing.assert_allclose(again.user_factors_, model.user_factors_, atol=1e-6)
    assert again.judge_stats_ == model.judge_stats_


CODES = {"int": int, "str": str, "code": "B{:03d}".format, "name": "item_{}".format}


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("data", [None, "of other ids"])
def test_ids_that_say_nothing_are_not_asked_about(server, world, kind, data):
    likes = world[0].assign(film=world[0]["film"].map(CODES[kind]))
    model = make_model(world, claude(server)).set_params(
        item_data=data and {"x": "one", "y": "two"}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no item of X is in item_data
        with pytest.raises(ValueError, match=r"reads item texts, but .* not descriptive"):
            model.fit(likes)
        with pytest.raises(ValueError, match="not descriptive"):
            model.plan_judging(likes)
    assert n_asked(server) == 0
    # A judge that does not read texts may know ids.
    by_number = LLMJudge.from_callable(lambda s: [0.5] * len(s.candidates), name="n", version="1")
    plan = model.set_params(judge=by_number, item_data=None).plan_judging(likes)
    assert plan.slates[0].candidate_texts == ()


def test_items_without_text_are_counted(server, world):
    likes, films = world
    n_used, n_bare = likes["film"].nunique(), (likes["film"].unique() % 2).sum()
    model = make_model((likes, films[::2]), claude(server))
    with pytest.warns(DataWarning, match=f"{n_bare} of the {n_used} items of X have no text"):
        model.plan_judging(likes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_model((likes, films[:-1]), claude(server)).plan_judging(likes)
        # Ids that are words are used as texts.
        words = likes.assign(film=likes["film"].map(dict(enumerate(WORDS))))
        model.set_params(item_data=None).plan_judging(words)
    half = {w: w[0] for w in WORDS[::2]}
    with pytest.warns(DataWarning) as caught:
        model.set_params(item_data=half).plan_judging(words)
    assert ["not in item_data" in str(warning.message) for warning in caught] == [True]


def test_a_plan_tells_what_the_budget_allows(server, world, tmp_path):
    judge = claude(server, cache=tmp_path / "c", max_requests=130, max_cost=1.0)
    model = make_model(world, judge)
    plan = model.plan_judging(world[0])
    cost, most = plan.estimate.cost, plan.estimate.max_cost
    assert repr(plan).startswith(
        f"JudgingPlan(about ${cost:.4f}, at most ${most:.4f}: 60 slates for 1 fit, 120 prompts "
        "(0 cached), 120 requests, about "
    )
    left = "remaining budget: {} requests and ${})"
    assert left.format(130, "1.00") in repr(plan)
    plan.ask()
    stats = judge.stats_
    again = model.plan_judging(world[0])  # within the budget
    assert repr(again).startswith("JudgingPlan(nothing to pay: ")
    assert "0 requests; " + left.format(10, f"{1 - stats['cost']:.4f}") in repr(again)
    for few in ({"max_requests": 130}, {"max_requests": None, "max_cost": stats["cost"] + 1e-5}):
        ((name, _),) = [item for item in few.items() if item[1] is not None]
        with pytest.warns(BudgetWarning, match=rf"{name}=.* left, so not all") as caught:
            model.set_params(judge=claude(server, cache=tmp_path / "c", **few)).set_params(
                slates__random_state=1
            ).plan_judging(world[0])
        assert len(caught) == 1


@pytest.mark.parametrize(
    ("judge", "gate", "message"),
    [
        ({"max_requests": None}, {}, "max_requests or max_cost .* must be set"),
        ({"batch_poll": "often"}, {}, "batch_poll must be a number >= 0; got 'often'"),
        (
            {"api_key_env": "NO_SUCH_VARIABLE"},
            {},
            "'NO_SUCH_VARIABLE', named by api_key_env, is not set",
        ),
        ({}, {"C": -1.0}, "'C' parameter of ReliabilityGate must be"),
    ],
)
def test_wrong_settings_are_named_before_any_work(server, world, judge, gate, message):
    # The missing column would be an error, too, if it were noticed first.
    model = make_model(world, claude(server, **judge), gate=ReliabilityGate(**gate))
    with pytest.raises((ValueError, JudgeError), match=message):
        model.fit(world[0].drop(columns="user"))
    assert n_asked(server) == 0


@adds_nothing
def test_answers_in_the_cache_need_no_key(server, world, tmp_path, monkeypatch):
    model = make_model(world, claude(server, cache=tmp_path / "c")).fit(world[0])
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    again = clone(model).fit(world[0])
    np.testing.assert_array_equal(again.user_factors_, model.user_factors_)


@pytest.mark.parametrize(
    ("judge", "name"), [(None, "None"), (AnthropicJudge, "the class AnthropicJudge"), (3, "an int")]
)
def test_what_is_no_judge_is_named(world, judge, name):
    with pytest.raises(TypeError, match=f"must be a BaseJudge.*got .*{name}"):
        make_model(world, judge).plan_judging(world[0])


def fit_function(world, f, **settings):
    judge = LLMJudge.from_callable(f, name=f.__name__, version="1")
    return make_model(world, judge, **settings).fit(world[0])


def test_a_judge_without_opinion_is_told(world):
    def no_idea(slate):
        return [None] * len(slate.candidates)

    def hardly(slate):
        return by_text(slate) if slate.user < "u2" else no_idea(slate)

    def by_text(slate):
        return [len(text) % 7 / 7 for text in slate.candidate_texts]

    with pytest.warns(JudgmentWarning, match="no ratings for any of the 60 .* fitted without it"):
        model = fit_function(world, no_idea)
    assert model.judge_stats_ == {"slates": 60, "answers": 0, "slates_used": 0, "pairs": 0}
    without = make_model(world, None).fit(world[0])
    np.testing.assert_allclose(model.predict(world[0]), without.predict(world[0]), atol=0.05)
    with pytest.warns(JudgmentWarning, match=r"no ratings for \d\d of the 60"):
        model = fit_function(world, hardly, gate=None)
    assert model.judge_stats_["slates"] == 60
    assert 0 < model.judge_stats_["answers"] == model.judge_stats_["slates_used"] < 30


def test_equal_ratings_are_named_as_what_keeps_the_gate_from_learning(world):
    def constant(slate):
        return [0.5] * len(slate.candidates)

    with pytest.warns(GateWarning, match="In all 18 calibration slates, .* equal ratings"):
        fit_function(world, constant)
    with pytest.warns(GateWarning, match="There are no preferences"):
        fit_function(world, constant, gate=None)
    with pytest.warns(GateWarning, match="No calibration .* calibration_fraction > 0"):
        fit_function(world, constant, slates__calibration_fraction=0.0)


@adds_nothing
def test_item_text_names_what_is_shown(server, world):
    films = world[1].assign(secret="do not show", year=1990)
    model = make_model((world[0], films), claude(server), slates__item_text=["title"])
    model.fit(world[0])
    assert not any("secret" in text or "1990" in text for text in server.stats()["questions"])


def test_progress_shows_the_cost(server, capsys):
    claude(server, verbose=1).rate(make_slates(3))
    shown = capsys.readouterr().err
    assert "6/6" in shown
    assert "cost=$0.00" in shown


@adds_nothing
def test_the_fit_shows_its_progress(world, capsys):
    judge = LLMJudge.from_callable(
        lambda slate: [len(text) % 7 / 7 for text in slate.candidate_texts], name="n", version="1"
    )
    model = make_model(world, judge, verbose=1, gate=ReliabilityGate(min_pairs=1))
    model.fit(world[0])
    shown = capsys.readouterr().err
    assert "choosing slates: 100%" in shown
    assert "60/60" in shown
    assert "sweeps: 100%" in shown
    n_sweeps = max(map(int, re.findall(r"sweeps: 100%.* (\d+)/", shown)))
    assert n_sweeps > 2 * model.n_iter_  # the 4 fits that calibrate the gate are included
    model.set_params(verbose=0).fit(world[0])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("batch", [False, True])
def test_what_is_asked_and_spent_is_logged_without_secrets(server, caplog, batch):
    caplog.set_level("DEBUG", "sklearn_selreg")
    server.configure(script=["429"], echo_key=True)
    judge = claude(server, batch=batch)
    judge.rate(make_slates(3))
    told = [record for record in caplog.records if record.name == "sklearn_selreg"]
    info = "\n".join(r.getMessage() for r in told if r.levelname == "INFO")
    assert "claude-haiku-5-5: sending 6 prompts." in info
    assert f"6 of 6 prompts answered. Total with this cache: {6 + (not batch)} requests" in info
    assert f"${judge.stats_['cost']:.4f}" in info
    assert (
        "Sent batch" if batch else f"Attempt 1 failed: {server.url} returned status 429"
    ) in info
    assert sum("items rated" in r.getMessage() for r in told if r.levelname == "DEBUG") == 6
    assert KEY not in caplog.text
    assert "film" not in "".join(r.getMessage() for r in told)

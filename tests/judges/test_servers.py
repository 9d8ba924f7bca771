"""Judges with real-world servers: gateways, local models, restarts, and what the cache keeps."""

import json
import re
import sqlite3
import threading
import time
import warnings
from collections import Counter
from email.utils import formatdate

import numpy as np
import pytest
from loopback import LLMServer
from sklearn.base import clone
from test_live import TITLES, assert_rated, claude, make_slates

from sklearn_selreg.exceptions import BudgetWarning, JudgmentWarning
from sklearn_selreg.judges import AnthropicJudge, JudgeError, OpenAIJudge, Slate, _cache
from sklearn_selreg.judges._same_model import same_model
from sklearn_selreg.judges._service import of_one_prompt

pytestmark = pytest.mark.slow  # starts servers and processes


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-1")
    monkeypatch.setattr(_cache, "_open", {})


def local(server, model="llama", **settings):
    settings = {"price": 0, "cache": None, "max_retries": 6, "max_wait": 60, **settings}
    return OpenAIJudge(model, base_url=f"{server.url}/v1", **settings)


def n_sent(server):
    requests = server.stats()["requests"]
    return sum(requests.get(path, 0) for path in ("/v1/messages", "/v1/chat/completions"))


# Only completions of a model are answers


@pytest.mark.parametrize(
    ("make", "kind"),
    [(local, kind) for kind in ("error_200", "html", "empty", "null_choices", "list", "garbage")]
    + [(claude, "error_200"), (claude, "html")],
)
def test_a_success_without_completion_is_asked_again_and_told(server, make, kind, tmp_path):
    slates = make_slates(2)
    server.configure(script=[kind, kind])
    judge = make(server, cache=tmp_path / "c", concurrency=1)
    with pytest.warns(JudgmentWarning, match="2 responses with status 200 were not completions"):
        assert_rated(judge.rate(slates), slates)
    assert n_sent(server) == judge.stats_["requests"] == 4 + 2
    with sqlite3.connect(tmp_path / "c") as connection:
        assert connection.execute("SELECT DISTINCT problem FROM answers").fetchall() == [(None,)]


def test_a_gateway_that_is_down_leaves_nothing_behind(server, tmp_path):
    slates = make_slates(4)
    server.configure(faults={"html": 1.0})
    judge = local(server, cache=tmp_path / "c", max_retries=0)
    message = f"{re.escape(server.url)}/v1 returned status 200.*Check base_url"
    with pytest.raises(JudgeError, match=message):
        judge.rate(slates)
    assert judge.stats_.get("answers", 0) == 0
    server.configure(faults={})
    assert_rated(judge.rate(slates), slates)


def test_content_in_parts_is_read(server):
    server.configure(parts=True)
    slates = make_slates(2)
    assert_rated(local(server).rate(slates), slates)


def test_cut_off_answers_are_asked_again_with_a_larger_limit(server, tmp_path):
    slates = make_slates(2)
    server.configure(faults={"truncated": 1.0})
    judge = local(server, cache=tmp_path / "c", max_tokens=20, n_orders=1)
    with pytest.warns(JudgmentWarning, match="truncated: 2.*Increase max_tokens"):
        assert np.isnan(np.concatenate(judge.rate(slates))).all()
    server.configure(faults={})
    n_before = n_sent(server)
    judge.rate(slates)
    clone(judge).set_params(max_tokens=10).rate(slates)
    assert n_sent(server) == n_before
    larger = clone(judge).set_params(max_tokens=200)
    assert larger.estimate_cost(slates).requests == 2
    assert_rated(larger.rate(slates), slates)
    assert n_sent(server) == n_before + 2
    assert_rated(judge.rate(slates), slates)
    assert larger.stats_["answers"] == 2


def test_failed_answers_are_asked_again_on_request_and_refusals_stay(server, tmp_path):
    slates = make_slates(3)
    first, second, _ = ({"always": json.dumps(slate.history_texts[0])} for slate in slates)
    server.configure(always={first["always"]: "refusal", second["always"]: "missing"})
    judge = local(server, cache=tmp_path / "c", n_orders=1)
    with pytest.warns(JudgmentWarning, match=r"1 of 3 answers.*missing rating: 1.*retry_failed"):
        before = judge.rate(slates)
    assert np.isnan(before[0]).all()
    n_before = n_sent(server)
    assert judge.retry_failed() == 1
    server.configure(
        always={}, faults={"500": 1.0}
    )  # the old answer stays in use until there is a better one
    with pytest.warns(JudgmentWarning, match="sent again next time"):
        np.testing.assert_array_equal(judge.set_params(max_retries=0).rate(slates), before)
    server.configure(faults={}, always={first["always"]: "refusal"})
    again = judge.rate(slates)
    assert_rated(again[1:], slates[1:])
    assert np.isnan(again[0]).all()
    assert n_sent(server) == n_before + 2
    assert judge.retry_failed() == 0


def test_a_worse_answer_does_not_replace_what_there_is_nor_is_used_once(server, tmp_path):
    slates = make_slates(1)
    server.configure(faults={"missing": 1.0})
    judge = local(server, cache=tmp_path / "c", n_orders=1)
    with pytest.warns(JudgmentWarning, match="missing rating"):
        before = judge.rate(slates)
    judge.retry_failed()
    server.configure(faults={"broken": 1.0})
    with pytest.warns(JudgmentWarning, match="broken JSON"):
        np.testing.assert_array_equal(judge.rate(slates), before)
    np.testing.assert_array_equal(judge.rate(slates), before)


def test_a_cache_of_the_version_before_is_brought_up_to_date(server, tmp_path):
    slates = make_slates(3)
    judge = local(server, cache=tmp_path / "c")
    judge.rate(slates)
    with sqlite3.connect(tmp_path / "old") as old, sqlite3.connect(tmp_path / "c") as new:
        new.backup(old)
        for column in ("max_tokens", "model", "address", "again"):
            old.execute(f"ALTER TABLE answers DROP COLUMN {column}")
        old.execute("UPDATE answers SET problem = 'truncated'")
        old.execute("PRAGMA user_version = 2")
    (tmp_path / "old").chmod(0o600)
    n_before = n_sent(server)
    older = clone(judge).set_params(cache=tmp_path / "old")
    assert_rated(older.rate(slates), slates)
    assert n_sent(server) == n_before  # the limit of that version is the default one
    assert_rated(older.set_params(max_tokens=10_000).rate(slates), slates)
    assert n_sent(server) == n_before + 6


def test_keys_of_answers_are_those_of_the_versions_before():
    # SHA-256 of what determines an answer, computed before bounds, rankings and the current prompt.
    gpt = "d0851a36a1d80982121549b6d47db5e5db4a6b93d843d453154aa5e669f8fc8c"
    claude = "0f2277b20913985d9c7eeb98e33fb7944a8a6e63bd3fd243bca9a661b5823adf"
    assert OpenAIJudge("x", price=0)._identity_hash() == gpt
    assert AnthropicJudge(max_cost=1)._identity_hash() == claude


def custom(server, status, body, headers=None, *, once=True, **settings):
    """Make the server send a custom reply, once or always."""
    body = body if isinstance(body, str) else json.dumps(body)
    server.configure(custom={"custom": [status, body, headers or {}]}, **settings)
    server.configure(**({"script": ["custom"]} if once else {"faults": {"custom": 1.0}}))


def completion(content, **more):
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"} | more
    usage = {"prompt_tokens": 9, "completion_tokens": 9}
    return {"choices": [choice], "usage": usage}


@pytest.mark.parametrize(
    "body",
    [
        {
            "choices": [
                {"error": {"code": 502}, "finish_reason": "error", "message": {"content": ""}}
            ]
        },
        {"error": {"code": 502, "message": "Down."}, "choices": [{"message": {"content": None}}]},
        {"choices": [{"message": {}}]},
    ],
)
def test_an_error_among_choices_is_no_answer(server, body):
    slates = make_slates(1)
    custom(server, 200, body)
    with pytest.warns(JudgmentWarning, match="1 responses with status 200"):
        assert_rated(local(server).rate(slates), slates)


@pytest.mark.parametrize(
    "text",
    [
        '<think>First guess: {"1": 50, "2": 51, "3": 52, "4": 53} but wait, candidate 1 is',
        'Okay, a draft: {"1": 50, "2": 51, "3": 52, "4": 53} Hmm, but',
    ],
)
def test_a_draft_in_what_was_cut_off_is_no_answer(server, text):
    slates = make_slates(1)
    custom(server, 200, completion(text, finish_reason="length"))
    assert_rated(local(server, n_orders=1).rate(slates), slates)
    assert n_sent(server) == 2


def test_estimates_change_nothing(server, tmp_path):
    slates = make_slates(1)
    server.configure(faults={"truncated": 1.0})
    judge = local(server, cache=tmp_path / "c", max_tokens=20)
    with pytest.warns(JudgmentWarning, match="truncated"):
        judge.rate(slates)
    n_before = n_sent(server)
    assert clone(judge).set_params(max_tokens=99).estimate_cost(slates).requests == 2
    judge.rate(slates)
    assert n_sent(server) == n_before


@pytest.mark.parametrize("batch", [False, True])
def test_a_bad_answer_is_kept_where_it_cannot_be_asked_for_once_more(server, tmp_path, batch):
    slates = make_slates(2)
    server.configure(faults={"missing": 1.0}, batch_faults={"missing": 1.0})
    judge = claude(server, cache=tmp_path / "c", max_requests=4, batch=batch, batch_poll=0.05)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ratings = judge.rate(slates)
    assert any("lack ratings" in str(warning.message) for warning in caught)
    assert all(np.sum(~np.isnan(rated)) >= 2 for rated in ratings)
    assert judge.stats_["answers"] >= 2
    server.configure(faults={}, batch_faults={})
    assert_rated(clone(judge).set_params(max_requests=99).rate(slates), slates)


def test_failed_rankings_are_asked_again_on_request(server, tmp_path):
    slates = make_slates(1)
    server.configure(faults={"missing": 1.0})
    judge = local(server, cache=tmp_path / "c", ask="ranking", n_orders=1)
    with pytest.warns(JudgmentWarning, match="incomplete ranking: 1"):
        judge.rate(slates)
    assert judge.retry_failed() == 1
    server.configure(faults={})
    assert not np.isnan(judge.rate(slates)[0]).any()


@pytest.mark.parametrize("make", [local, claude])
def test_a_prompt_that_is_filtered_is_refused_and_others_are_asked(server, make):
    slates = make_slates(4)
    blocked = slates[0].history_texts[0]
    error = {"code": "content_filter", "type": "x", "message": "Triggered the content filter."}
    server.configure(custom={"custom": [400, json.dumps({"error": error}), {}]})
    server.configure(always={json.dumps(blocked): "custom"})
    ratings = make(server).rate(slates)
    assert np.isnan(ratings[0]).all()
    assert_rated(ratings[1:], slates[1:])


# Money and secrets


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 20_000},
        {"max_completion_tokens": 20_000},
        {"extra_body": {"max_tokens": 20_000}},
        {"n": 50},
    ],
)
def test_what_options_allow_is_reserved(server, options):
    worst = local(server, price=(0, 1e4))._worst_cost(make_slates(1)[0]) / 1e9
    judge = local(server, price=(0, 1e4), max_cost=3 * worst, options=options)
    with pytest.warns(BudgetWarning):
        judge.rate(make_slates(1))
    assert n_sent(server) == 0


def test_what_a_gateway_gave_up_stays_charged(server):
    custom(server, 504, "<html>Gateway Time-out</html>", once=False)
    judge = local(server, price=(1, 1), max_cost=9, max_retries=1, n_orders=1)
    with pytest.warns(JudgmentWarning, match="sent again next time"):
        judge.rate(make_slates(1))
    assert judge.stats_["cost"] == pytest.approx(2 * judge._worst_cost(make_slates(1)[0]) / 1e9)


@pytest.mark.parametrize("make", [local, claude])
@pytest.mark.parametrize("body", ['{"error": {"message": "Invalid: sk-42"}}', "<p>sk-42</p>"])
def test_a_key_in_a_success_is_not_shown(server, monkeypatch, make, body):
    monkeypatch.setenv("MY_KEY", "sk-42")
    custom(server, 200, body)
    with pytest.warns(JudgmentWarning, match="not completions") as caught:
        make(server, api_key_env="MY_KEY").rate(make_slates(1))
    assert not any("sk-42" in str(warning.message) for warning in caught)


def test_a_redirect_is_told_and_not_followed(server):
    custom(server, 301, "", {"location": "https://elsewhere.example/v1"})
    with pytest.raises(JudgeError, match=r"redirects to https://elsewhere\.example/v1"):
        local(server, concurrency=1).rate(make_slates(1))
    assert n_sent(server) == 1


# Dialects of servers


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("maximum context length is 4096 tokens. However, you requested 4684 tokens (4300 in the "
         "messages, 384 in the completion).", (4300, 3712)),
        ("'max_tokens' or 'max_completion_tokens' is too large: 384. This model's maximum context "
         "length is 4096 tokens and your request has 3900 input tokens", (3900, 3712)),
        ("This model's maximum context length is 128,000 tokens. However, your messages resulted "
         "in 130,000 tokens.", (130_000, 128_000)),
        ("prompt is too long: 210000 tokens > 200000 maximum", (210_000, 200_000)),
        ("input length and `max_tokens` exceed context limit: 199000 + 4000 > 200000",
         (199_000, 196_000)),
        ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 "
         "`inputs` tokens and 384 `max_new_tokens`", (4000, 3712)),
        ("the context size is too small", (None, None)),
    ],
)  # fmt: skip
def test_how_long_is_too_long_is_read(said, numbers):
    failure = of_one_prompt(400, json.dumps({"error": {"message": said}}))
    assert (failure.n_tokens, failure.limit) == numbers


def test_the_length_of_an_answer_is_named_as_the_server_does(server):
    error = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'."
    custom(server, 400, {"error": {"message": error}})
    slates = make_slates(1)
    assert_rated(local(server, concurrency=1).rate(slates), slates)
    assert "max_completion_tokens" in server.stats()["last"]["body"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "structured outputs are not supported"),
        (404, "No endpoints found that can handle the requested parameters."),
    ],
)
def test_a_schema_is_left_out_where_it_is_refused_in_any_words(server, status, said):
    custom(server, status, {"error": {"message": said}})
    slates = make_slates(1)
    assert_rated(local(server, concurrency=1).rate(slates), slates)
    assert "response_format" not in server.stats()["last"]["body"]


def test_a_delay_may_be_a_date(server):
    due = formatdate(time.time() + 3, usegmt=True)  # whole seconds
    custom(server, 429, {"error": {"message": "Slow down."}}, {"retry-after": due})
    start = time.monotonic()
    local(server, concurrency=1).rate(make_slates(1))
    assert time.monotonic() - start > 1.5  # without it, at most 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-encoding": "utf-8"}, completion('{"1": 9, "2": 9, "3": 9, "4": 9}')),
        ({}, completion('{"1": 9, "2": 9, "3": 9, "4": 9}')
         | {"usage": {"prompt_tokens": 1e300, "completion_tokens": 10**25}}),
        ({}, completion('{"1": 9, "2": 9, "3": 9, "4": 9}') | {"model": "\ud800"}),
    ],
)  # fmt: skip
def test_odd_replies_do_not_end_a_fit(server, headers, body):
    custom(server, 200, body, headers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", JudgmentWarning)  # about another model
        (rated,) = local(server, n_orders=1, price=(1, 1), max_cost=9).rate(make_slates(1))
    np.testing.assert_allclose(rated, 9 / 99)


def test_what_is_not_packed_as_it_says_is_asked_again(server):
    slates = make_slates(1)
    custom(server, 200, "no gzip", {"content-encoding": "gzip"})
    assert_rated(local(server, concurrency=1).rate(slates), slates)


# Schema


def test_bounds_are_asked_for_where_a_server_enforces_them(server):
    slates = make_slates(2)
    server.configure(bounds="needed")
    assert_rated(local(server).rate(slates), slates)


def test_bounds_are_left_out_where_they_are_refused(server):
    slates = make_slates(3)
    server.configure(bounds="refused")
    judge = local(server, concurrency=1)
    assert_rated(judge.rate(slates), slates)
    assert n_sent(server) == judge.stats_["requests"] == 6 + 1
    form = server.stats()["last"]["body"]["response_format"]["json_schema"]
    assert form["schema"]["properties"]["1"] == {"type": "integer"}


def test_claude_gets_no_bounds(server):
    claude(server).rate(make_slates(1))
    body = server.stats()["last"]["body"]
    assert body["output_config"]["format"]["schema"]["properties"]["1"] == {"type": "integer"}
    assert not any(number in body["system"] for number in ("37", "81"))


# Servers that are slow, loading or down


def test_timeouts_lower_the_concurrency_and_lengthen_the_wait(server):
    slates = make_slates(8)
    server.configure(slots=1, delay=0.2)
    judge = local(server, timeout=0.5, concurrency=8)
    assert_rated(judge.rate(slates), slates)
    assert n_sent(server) < 2 * 16


def test_a_server_that_loads_its_model_is_waited_for(server_process, tmp_path):
    slates = make_slates(3)
    with server_process.another(loading=3.0) as server:
        judge = local(server, cache=tmp_path / "c", max_retries=1, max_wait=4)
        with pytest.warns(JudgmentWarning, match="Waiting up to 4 s .* for llama.*Loading model"):
            assert_rated(judge.rate(slates), slates)
        assert judge.stats_["requests"] == n_sent(server) < 6 + 20


def test_a_server_that_does_not_come_back_is_given_up(server_process):
    with server_process.another() as server:
        pass
    judge = local(server, max_retries=1, max_wait=1.0)
    start = time.monotonic()
    with (
        pytest.warns(JudgmentWarning, match="Waiting up to 1 s .* for llama"),
        pytest.raises(JudgeError, match=r"does not respond.*refused"),
    ):
        judge.rate(make_slates(5))
    assert 1.0 < time.monotonic() - start < 30
    assert not judge.stats_.get("requests")


def test_a_server_killed_and_restarted_loses_nothing(tmp_path):
    concurrency = 8
    slates = make_slates(100)
    journal = tmp_path / "journal"
    with LLMServer(delay=0.01, journal=str(journal)) as server:
        judge = local(server, cache=tmp_path / "c", concurrency=concurrency)

        def restart():
            while not journal.exists() or journal.read_text().count("answered") < 80:
                time.sleep(0.01)
            server.kill()
            time.sleep(1.0)
            server.start(loading=0.5)

        thread = threading.Thread(target=restart)
        thread.start()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JudgmentWarning)  # restarts may take long
            ratings = judge.rate(slates)
        thread.join()
    assert_rated(ratings, slates)
    lines = map(json.loads, journal.read_text().splitlines())
    answered = Counter(text for what, text in lines if what == "answered")
    assert len(answered) == 200
    assert sum(answered.values()) <= 200 + concurrency  # those in flight at the kill


# Prompts that are too long


def test_a_prompt_that_is_too_long_is_shortened(server, tmp_path):
    texts = [f"{title}. {'A long description of it. ' * 8}" for title in TITLES[:12]]
    long = Slate(0, list(range(8)), [8, 9, 10, 11], texts[:8], texts[8:])
    slates = [*make_slates(2), long]
    server.configure(context=500)
    judge = local(server, cache=tmp_path / "c")
    with pytest.warns(JudgmentWarning, match=r"2 of 6 prompts are too long.*tokens of 500\)"):
        ratings = judge.rate(slates)
    assert_rated(ratings[:2], slates[:2])
    assert not np.isnan(ratings[2]).any()
    n_before = n_sent(server)
    judge.rate(slates)
    assert n_sent(server) == n_before == 6 + 2


def test_a_prompt_that_cannot_be_shortened_is_a_slate_without_opinion(server, tmp_path):
    slates = make_slates(2)
    wide = Slate(9, [0], list(range(1, 60)), TITLES[:1], TITLES[1:60])
    server.configure(context=480)
    judge = local(server, cache=tmp_path / "c", n_orders=1)
    with pytest.warns(JudgmentWarning, match="1 of them remain without opinion.*SlateSampler"):
        ratings = judge.rate([*slates, wide])
    assert_rated(ratings[:2], slates)
    assert np.isnan(ratings[2]).all()
    server.configure(context=None)
    assert judge.retry_failed() == 1
    assert_rated(judge.rate([wide]), [wide])


# Keys and addresses


def test_the_key_of_openai_is_for_openai_alone(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "my-organization")
    monkeypatch.setenv("MY_KEY", "sk-mine")
    local(server).rate(make_slates(1))
    assert "my-organization" not in json.dumps(server.stats()["last"]["headers"])
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    OpenAIJudge("llama", price=0, cache=None).rate(make_slates(1))
    assert server.stats()["keys"] == [""]
    local(server, api_key_env="MY_KEY").rate(make_slates(3))
    assert server.stats()["keys"] == ["", "sk-mine"]


def test_messages_name_the_address_and_whether_there_was_a_key(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-mine")
    server.configure(faults={"401": 1.0})
    with pytest.raises(JudgeError, match=r"/v1 returned status 401.*No key was sent"):
        local(server).rate(make_slates(1))
    with pytest.raises(JudgeError, match="Check the key in MY_KEY"):
        local(server, api_key_env="MY_KEY").rate(make_slates(1))


@pytest.mark.parametrize(
    "address", ["localhost:8000/v1", "//localhost", "http://", "http://localhost:port/v1", "", 7]
)
def test_what_is_no_address_is_refused_before_anything_is_sent(address):
    judge = OpenAIJudge("llama", price=0, cache=None).set_params(base_url=address)
    with pytest.raises(ValueError, match="base_url must be None or an address"):
        judge.rate(make_slates(1))


@pytest.mark.parametrize("address", ["localhost:8000/v1", "10.0.0.7:8000", "api.example.com/v1"])
def test_an_address_without_scheme_is_refused_when_the_judge_is_made(address):
    with pytest.raises(ValueError, match="base_url must be None or an address"):
        OpenAIJudge("llama", base_url=address, price=0)
    with pytest.raises(ValueError, match="base_url must be None or an address"):
        AnthropicJudge(base_url=address, max_requests=1)


def test_passwords_in_addresses_are_in_no_message_and_no_cache(server, tmp_path):
    server.configure(script=["404"])
    address = server.url.replace("http://", "http://me:secret@") + "/v1"
    judge = OpenAIJudge("llama", base_url=address, price=0, cache=tmp_path / "c", concurrency=1)
    with pytest.raises(JudgeError) as raised:
        judge.rate(make_slates(1))
    assert "secret" not in str(raised.value)
    judge.rate(make_slates(1))
    assert b"secret" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


# Local models have no price


@pytest.mark.parametrize("price", [0, 0.0, (0, 0)])
def test_what_is_free_needs_no_budget_and_shows_no_cost(server, capsys, price):
    judge = local(server, price=price, verbose=1)
    judge.rate(make_slates(2))
    assert "$" not in capsys.readouterr().err
    assert judge.stats_["requests"] == 4
    with pytest.raises(ValueError, match="set price=0"):
        local(server, price=None).rate(make_slates(1))


# Which model answered


@pytest.mark.parametrize(
    ("asked", "told", "same"),
    [
        ("llama3.2", "llama3.2", True),
        ("llama3.2", "llama3.2:latest", True),
        ("gpt-6-luna", "gpt-6-luna-2026-10-01", True),
        ("claude-haiku-5-5", "claude-haiku-5-5-20261001", True),
        ("meta-llama/Llama-3.1-8B", "Llama-3.1-8B", True),
        ("gemma", "/models/gemma.gguf", True),
        ("gpt-6", "gpt-6-luna", False),
        ("llama", "/models/gemma-3-270m.gguf", False),
        ("gpt-6-luna", "gpt-6-sol", False),
        ("qwen3", "qwen3-0.6b", False),
    ],
)
def test_names_of_models_are_compared_without_versions(asked, told, same):
    assert same_model(asked, told) is same
    assert same_model(told, asked) is same


@pytest.mark.parametrize("make", [local, claude])
def test_another_model_than_asked_for_is_told_and_kept(server, tmp_path, make):
    server.configure(model="/models/gemma-3-270m.gguf")
    judge = make(server, cache=tmp_path / "c")
    with pytest.warns(JudgmentWarning, match="reports that '/models/gemma-3-270m.gguf' answered"):
        judge.rate(make_slates(2))
    with sqlite3.connect(tmp_path / "c") as connection:
        kept = connection.execute("SELECT DISTINCT model, address FROM answers").fetchall()
    assert kept == [("/models/gemma-3-270m.gguf", server.url + "/v1" * (make is local))]


def test_answers_of_two_models_are_not_taken_for_one_silently(server, tmp_path):
    slates = make_slates(4)
    server.configure(model="llama:8b")
    local(server, cache=tmp_path / "c").rate(slates[:2])
    server.configure(model="llama:70b")
    judge = local(server, cache=tmp_path / "c")
    with pytest.warns(JudgmentWarning, match="4 of 'llama:70b', 4 of 'llama:8b'"):
        judge.rate(slates)
    with pytest.warns(JudgmentWarning, match="several models"):
        judge.rate(slates)
    judge.rate(slates[:2])

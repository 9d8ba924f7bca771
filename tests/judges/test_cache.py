"""The cache and the budget when something goes wrong; `test_torture.py` also kills processes."""

import json
import logging
import os
import resource
import sqlite3
import stat
import traceback
import warnings
from contextlib import closing

import numpy as np
import pytest
from children import Child
from loopback import ODD
from test_live import KEY, assert_rated, claude, gpt, make_slates, n_asked

from sklearn_selreg.exceptions import BudgetWarning, CacheWarning, JudgmentWarning
from sklearn_selreg.judges import (
    CacheError,
    JudgeError,
    LLMJudge,
    PrecomputedJudge,
    Slate,
    _cache,
    _cache_file,
)

pytestmark = pytest.mark.slow  # starts servers and processes

# The schema of the first version, verbatim.
SCHEMA_1 = """
CREATE TABLE answers (
    key TEXT PRIMARY KEY, judge TEXT NOT NULL, ratings BLOB NOT NULL, problem TEXT, time REAL
) WITHOUT ROWID;
CREATE TABLE questions (
    key TEXT, user TEXT, history TEXT, candidates TEXT,
    PRIMARY KEY (key, user, history, candidates)
) WITHOUT ROWID;
CREATE TABLE claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, batch TEXT) WITHOUT ROWID;
CREATE TABLE owners (owner TEXT PRIMARY KEY, alive_until REAL) WITHOUT ROWID;
CREATE TABLE batches (
    intent TEXT PRIMARY KEY, judge TEXT NOT NULL, owner TEXT NOT NULL, batch TEXT,
    requests TEXT NOT NULL, time REAL
) WITHOUT ROWID;
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(_cache, "_open", {})
    monkeypatch.setattr(_cache, "_BEAT", 0.1)  # seconds


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c"


def change(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement, *rows in statements:
            connection.executemany(statement, rows or [()])
        connection.commit()


def ask_for(path, query):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def reopen():
    """Close and forget all open caches, as if in another process."""
    for cache in _cache._open.values():
        cache._connection.close()
    _cache._open.clear()


# Versions


def make_version_1(judge, slates, path, rows=()):
    """Write a cache of the first version with answers to `slates`."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA_1)
        for asked in judge._prompts(slates):
            for key in asked.keys:
                ratings = np.full(4, 0.25).tobytes()
                row = key, judge._identity_hash(), ratings, None, 1.7e9
                connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO owners VALUES ('host:1:x', 1e12)")
        connection.executemany("INSERT INTO totals VALUES (?, ?)", [("requests", 8), ("cost", 99)])
        connection.commit()
    os.chmod(path, 0o600)


def test_what_an_older_version_has_paid_for_is_not_asked_again(server, path):
    judge, slates = claude(server, cache=path, max_requests=10), make_slates(5)
    make_version_1(judge, slates[:4], path)
    with pytest.warns(BudgetWarning):
        judge.set_params(max_requests=9).rate(slates)
    ratings = judge.set_params(max_requests=10).rate(slates)
    assert n_asked(server) == 2
    assert all((r == 0.25).all() for r in ratings[:4])
    assert_rated(ratings[4:], slates[4:])
    assert judge.stats_["requests"] == 10
    assert ask_for(path, "PRAGMA user_version") == [(3,)]


def test_a_batch_of_an_older_version_is_collected(server, path):
    slates = make_slates(4)
    judge = claude(server, cache=path, batch=True, n_orders=1)
    make_version_1(judge, [], path)
    # A process of that version has sent a batch for all slates.
    other = claude(server, cache=None, batch=True, n_orders=1)
    asked = {p.keys[0]: p.prompts[0] for p in other._prompts(slates)}
    with other._client() as client:
        items = [{"custom_id": k, "params": other._arguments(s)} for k, s in asked.items()]
        batch = client.messages.batches.create(requests=items).id
    identity, requests = judge._identity_hash(), json.dumps(dict.fromkeys(asked, 1000))
    row = ("intent", identity, "host:1:x", batch, requests, 1.7e9)
    change(
        path,
        ("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)", row),
        ("INSERT INTO claims VALUES (?, 'host:1:x', 'intent')", *((key,) for key in asked)),
    )
    # The first call asks for half of them, and does not know the length of the other answers.
    assert_rated(judge.rate(slates[:2]), slates[:2])
    assert_rated(judge.rate(slates), slates)
    assert server.stats()["items"] == 4


def test_a_newer_version_is_refused_and_not_locked(server, path):
    claude(server, cache=path).rate(make_slates(1))
    reopen()
    change(path, ("PRAGMA user_version = 99",))
    for _ in range(2):
        with pytest.raises(CacheError, match=r"unknown format \(version 99; expected at most 3\)"):
            claude(server, cache=path).rate(make_slates(1))
    with closing(sqlite3.connect(path, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")  # fails if the file is locked
    assert n_asked(server) == 2


# Budget


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_request_counts_whatever_it_is_for(server, concurrency):
    server.configure(json_schema=False, delay=0.02)
    judge = gpt(server, max_requests=20, concurrency=concurrency)
    with pytest.warns(BudgetWarning):
        judge.rate(make_slates(30))
    assert n_asked(server) == judge.stats_["requests"] == 20


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("make", [claude, gpt])
def test_answers_that_are_none_are_paid_and_do_no_harm(server, make, kind):
    server.configure(script=[kind, kind])
    judge = make(server, n_orders=1, concurrency=1, price=(1, 1), max_retries=0)
    slates = make_slates(1)
    if kind in ("bomb", "packed"):
        message = "longer than 16 MiB" if kind == "bomb" else "compressed its answer with 'br'"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(JudgeError, match=message):
            judge.rate(slates)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
    else:
        with pytest.warns(JudgmentWarning, match="not completions|sent again next time"):
            assert np.isnan(judge.rate(slates)[0]).all()
        assert n_asked(server) == 1
        assert not judge.stats_.get("answers")
    worst = judge._worst_cost(slates[0]) / 1e9
    assert judge.stats_["cost"] == pytest.approx(n_asked(server) * worst)


# Batches


def test_a_batch_that_the_service_has_no_more_blocks_nothing(server, path):
    slates = make_slates(3)
    server.configure(batch_delay=60)
    judge = claude(server, cache=path, batch=True)
    leave_a_batch(server, path, 3)
    server.forget_batches()
    server.configure(batch_delay=0)
    with pytest.warns(JudgmentWarning, match="no longer has the batch msgbatch_0 of 6 prompts"):
        assert_rated(judge.rate(slates), slates)
    assert judge.stats_["requests"] == 12
    assert_rated(judge.rate(slates), slates)
    assert server.stats()["items"] == 12


def leave_a_batch(server, path, n_slates):
    """Send a batch from a process that is killed while it waits for the results."""
    import torture

    process = torture.start(server, path, n_slates, batch=True)
    torture.wait_for(server, 1, process)
    while not ask_for(path, "SELECT 1 FROM batches WHERE batch IS NOT NULL"):
        pass
    process.kill()


def test_a_batch_is_adopted_by_a_fit_with_other_slates(server, path):
    server.configure(batch_delay=1.0)
    leave_a_batch(server, path, 6)
    slates = make_slates(9, first=3)  # three of them are in the batch
    assert_rated(claude(server, cache=path, batch=True).rate(slates), slates)
    assert_rated(claude(server, cache=path).rate(make_slates(6)), make_slates(6))
    assert server.stats()["items"] == n_asked(server) == 2 * 12


def test_answers_of_a_wrong_length_are_asked_again(server, path):
    judge, slates = claude(server, cache=path), make_slates(2)
    judge.rate(slates)
    key = judge._prompts(slates)[0].keys[0]
    change(path, ("UPDATE answers SET ratings = ? WHERE key = ?", (bytes(24), key)))
    assert_rated(judge.rate(slates), slates)
    assert_rated(judge.rate(slates), slates)
    assert n_asked(server) == 5


def test_a_batch_on_a_full_disk_is_a_warning(server, path):
    judge = claude(server, cache=path, batch=True)
    judge.rate(make_slates(1))
    connection = judge._cache()._connection
    n_pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {n_pages}")
    with pytest.warns(JudgmentWarning, match="is not writable.*full"):
        judge.rate(make_slates(500))
    assert server.stats()["items"] == 2
    connection.execute("PRAGMA max_page_count = 1000000")
    assert_rated(judge.rate(make_slates(3)), make_slates(3))


# The file


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_only_the_owner_may_read_what_is_made(server, tmp_path):
    before = os.umask(0)
    try:
        path = tmp_path / "new" / "folder" / "c"
        judge = claude(server, cache=path)
        judge.rate(make_slates(1))
        judge.export(tmp_path / "export.jsonl")
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*")}
    assert modes.pop("new") == modes.pop("folder") == 0o700
    assert {"c", "c-wal", "export.jsonl"} <= set(modes)
    assert set(modes.values()) == {0o600}
    reopen()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge.rate(make_slates(1))
        reopen()
        os.chmod(path, 0o640)
        with pytest.warns(CacheWarning, match=f"readable by other users .*: chmod 600 {path}"):
            judge.rate(make_slates(1))
        judge.rate(make_slates(1))  # warned once


@pytest.mark.parametrize("where", [0.2, 0.4, 0.6, 0.8])
def test_what_can_be_read_of_a_damaged_file_is_kept(path, where):
    judge = LLMJudge.from_callable(lambda slate: [0.25] * 60, name="n", version="1", cache=path)
    slates = [Slate(u, [], range(60)) for u in range(400)]
    judge.rate(slates)
    reopen()
    change(path, ("PRAGMA wal_checkpoint(TRUNCATE)",))
    n_pages = ask_for(path, "PRAGMA page_count")[0][0]
    with open(path, "r+b") as file:
        file.seek(int(where * n_pages) * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(CacheError, match=r"is damaged: .* answers were recovered to") as raised:
        judge.rate(slates)
        judge.rate([Slate(u, [], range(60)) for u in range(400, 800)])
    text = str(raised.value)
    saved = text.split("were recovered to ")[1].split(": name that")[0]
    found = ask_for(saved, "SELECT COUNT(*) FROM answers")[0][0]
    assert 300 < found <= 800
    judge.set_params(cache=saved).rate(slates)


def test_a_cache_that_is_replaced_by_an_older_copy_keeps_the_budget(server, tmp_path, path):
    judge = claude(server, cache=path, concurrency=1)
    judge.rate(make_slates(2))
    copy = tmp_path / "copy"
    change(path, (f"VACUUM INTO '{copy}'",))
    judge.rate(make_slates(5))
    cache = judge._cache()
    with cache.at_work():
        os.replace(copy, path)
        assert cache.totals()["requests"] == 10
        with pytest.warns(CacheWarning, match="was deleted or replaced while in use"):
            assert_rated(judge.rate(make_slates(8)), make_slates(8))
    assert judge.stats_["requests"] == n_asked(server) == 16
    assert len(ask_for(path, "SELECT * FROM answers")) == 16


def test_a_file_that_is_deleted_between_fits_is_a_new_one(server, path):
    judge = claude(server, cache=path)
    judge.rate(make_slates(2))
    for file in path.parent.glob("c*"):
        file.unlink()
    judge.rate(make_slates(2))
    assert judge.stats_["requests"] == 4
    assert n_asked(server) == 8


# Records and texts


DAMAGED = {
    "deep": (b'{"user": ' + b"[" * 100_000, "Line 2 of .* nested too deeply"),
    "huge number": (
        b'{"user": 1, "history": [], "candidates": [1], "ratings": [1' + b"0" * 400 + b"]}",
        "Line 2 of .*: ratings must be",
    ),
    "other bytes": (b"\xff\xfe", "Line 2 of .* must be UTF-8 text"),
    "digits": (b'{"user": ' + b"1" * 5000 + b"}", "Line 2 of .* is not valid JSON"),
    "long": (b" " * 40_000_000, "Line 2 of .* is longer than 16 MiB"),
}
GOOD = b'{"user": 1, "history": [], "candidates": [1], "ratings": [0.5]}\n'


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_records_are_named_with_file_and_line(tmp_path, kind):
    line, message = DAMAGED[kind]
    (tmp_path / "r.jsonl").write_bytes(GOOD + line + b"\n")
    with pytest.raises(ValueError, match=message):
        PrecomputedJudge(tmp_path / "r.jsonl").judged_slates()


def test_damaged_archives_of_records_are_named(tmp_path):
    import gzip

    whole = gzip.compress(GOOD * 1000)
    file = tmp_path / "r.jsonl.gz"
    for content in (b"no archive", whole[: len(whole) // 2], whole[:20] + b"?" * 9 + whole[29:]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"r\.jsonl\.gz is damaged|is not valid JSON"):
            PrecomputedJudge(file).judged_slates()
    (tmp_path / "r.parquet").write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"r\.parquet cannot be read"):
        PrecomputedJudge(tmp_path / "r.parquet").judged_slates()


def test_records_are_not_in_what_is_shown():
    judge = PrecomputedJudge([{"user": "ann7", "history": [], "candidates": [1], "ratings": [1]}])
    assert "ann7" not in repr(judge) + judge._repr_html_()


def test_fillers_and_variation_selectors_are_taken_out_of_texts(server):
    odd = "A\ufe0f\u3164l\U000e0101i\u115fen\u2800\uffa0\u180b1\u034f9\u17b479"
    slate = Slate(1, [1], [2, 3], ["x"], [odd, "Heidi"])
    claude(server, n_orders=1).rate([slate])
    (text,) = server.stats()["questions"]
    assert set(json.loads(text)["candidates"].values()) == {"Alien 1979", "Heidi"}


# Secrets and clients


def shown(error):
    """Return a traceback with the local variables of all frames, as some tools print them."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(whole.format())


@pytest.mark.parametrize("kind", ["400", "401", "404", "500", "429", "reset_before", "bomb"])
@pytest.mark.parametrize("make", [claude, gpt, "batch"])
def test_the_key_is_in_no_traceback(server, make, kind):
    server.configure(faults={kind: 1.0}, echo_key=True, retry_after=0, batch_post_fault=kind)
    if make == "batch":
        if not kind.isdigit():
            return
        judge = claude(server, batch=True, max_retries=0)
    else:
        judge = make(server, concurrency=2, max_retries=0)
    with pytest.raises(JudgeError) as raised:
        judge.rate(make_slates(4))
    assert KEY not in shown(raised.value)


@pytest.mark.parametrize("make", [claude, gpt])
def test_clients_are_closed(server, make):
    def n_open():
        return len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs a list of open files")
    make(server).rate(make_slates(1))
    before = n_open()
    judges = [make(server, max_item_chars=100 + n) for n in range(20)]
    for judge in judges:
        judge.rate(make_slates(1))
    assert n_open() - before < 5


def test_a_judge_is_forgotten_by_the_loggers(server, caplog):
    # At DEBUG, Anthropic's logger prints requests; ours does not.
    caplog.set_level(logging.DEBUG, "sklearn_selreg")
    claude(server).rate(make_slates(1))
    assert "film" not in "".join(r.getMessage() for r in caplog.records)


def test_what_is_put_aside_by_others_is_not_read(tmp_path, server, path):
    from sklearn_selreg.judges import _answers, _aside

    judge = claude(server, cache=path, n_orders=1)
    (asked,) = judge._prompts(make_slates(1))
    answer = {asked.keys[0]: (judge._identity_hash(), _answers.Answer(np.zeros(4)), {"answers": 1})}
    file = _aside.put_aside(path, "me", answer)
    assert file.parent == tmp_path
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    if os.geteuid() == 0:  # as another user would write it
        os.chown(file, 12345, 12345)
        assert_rated(judge.rate(make_slates(1)), make_slates(1))
        assert file.exists()
        os.chown(file, 0, 0)
        path.unlink()
        reopen()
    assert (judge.rate(make_slates(1))[0] == 0).all()
    assert not file.exists()


def make_files(path):
    for n in range(20):
        connection, _ = _cache_file.connect(path.with_name(f"{path.name}{n}"))
        connection.execute("INSERT INTO totals VALUES (hex(randomblob(8)), 1)")


def test_a_file_is_made_by_one_of_many(path):
    done = [Child(make_files, path) for _ in range(3)]
    assert [process.finish() for process in done] == [(None, "")] * 3
    for n in range(20):
        assert ask_for(f"{path}{n}", "SELECT COUNT(*) FROM totals") == [(3,)]
    assert _cache_file.VERSION == 3

"""What judges promise about money and answers, tested against faults and an independent count.

``make torture`` runs each scenario at length and writes the table in docs/judges.md; the test suite
runs short versions. A server process counts its requests and what it bills; the processes that ask
it are killed, stopped, or given wrong clocks, full disks and deleted files.
"""

import os
import random
import resource
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from children import Child
from loopback import LLMServer, Service

from sklearn_selreg.judges._cache_file import connect

ROOT = Path(__file__).parents[2]
PRICE = (0.1, 0.5)  # USD per million tokens
BEAT = 0.1  # seconds between heartbeats of these processes, a tenth of the default


@dataclass
class Outcome:
    """The result of a scenario.

    Attributes
    ----------
    tried : int
        Number of faults.
    prompts : int
        Number of different prompts.
    lost : int or None
        Answers that had arrived but are missing from the cache at the end; None if not measured.
    twice : int or None
        Prompts that were paid for more than once, except those in flight at a kill.
    over : float or None
        Requests, or USD, above the limit.
    note : str
    """

    tried: int
    prompts: int
    lost: int | None
    twice: int | None
    over: float | None
    note: str = ""


# -- processes that ask ------------------------------------------------------------------------


def nothing():
    """Leave the process unchanged."""


def wrong_clock():
    """Make the clock jump by hours; all processes have one host name and id, as in containers."""
    right = time.time
    time.time = lambda: right() + random.uniform(-1e5, 1e5)
    os.getpid = lambda: 7
    socket.gethostname = lambda: "container"


def limit_files(n_bytes):
    """Limit the size of files, as on a disk that is almost full (Python ignores SIGXFSZ)."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def fill_disk(port):
    """Make every write fail after 20 prompts."""

    def fill():
        while asked(Service(port)) < 20:
            time.sleep(0.02)
        limit_files(0)

    threading.Thread(target=fill, daemon=True).start()


def child(prepare, url, cache, n_slates, first=0, beat=BEAT, **settings):
    """Ask about slates; return the number of slates answered in full, and the warnings."""
    prepare()

    import numpy as np
    import test_live

    from sklearn_selreg.judges import _cache

    _cache._BEAT = beat
    server = type("Server", (), {"url": url})
    judge = test_live.claude(server, cache=cache, price=PRICE, **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ratings = judge.rate(test_live.make_slates(n_slates, first))
    told = [f"{w.category.__name__}: {w.message}" for w in caught]
    return sum(not np.isnan(r).any() for r in ratings), told


def start(server, cache, n_slates, prepare=nothing, **settings):
    """Start a process that asks."""
    environment = {"ANTHROPIC_API_KEY": "sk-torture"}
    return Child(child, prepare, server.url, cache, n_slates, environment=environment, **settings)


def finish(process):
    """Return the number of slates answered in full, the warnings, and standard error."""
    (n_answered, told), errors = process.finish()
    return n_answered, told, errors


def wait_for(server, n_asked, process):
    """Wait until the server has received `n_asked` prompts, or the process has ended."""
    while asked(server) < n_asked and process.is_alive():
        time.sleep(0.02)


def asked(server):
    """Return the number of prompts that the server received, including repeated ones."""
    return sum(server.stats()["questions"].values())


def answers(cache):
    """Return the keys of the answers in a cache file."""
    with closing(sqlite3.connect(cache)) as connection:
        return {key for (key,) in connection.execute("SELECT key FROM answers")}


def totals(cache):
    """Return the totals of a cache file."""
    with closing(sqlite3.connect(cache)) as connection:
        return dict(connection.execute("SELECT name, value FROM totals"))


def again(server):
    """Return the number of prompts that were repeated."""
    return sum(n - 1 for n in server.stats()["questions"].values())


def billed(server, discount=1.0):
    """Return what the server bills, in USD."""
    tokens = server.stats()["tokens"]
    return discount * sum(n * price for n, price in zip(tokens, PRICE, strict=True)) / 1e6


# -- scenarios ---------------------------------------------------------------------------------


def killed(folder, n_faults=3, n_slates=40, batch=False):
    """Kill -9 while requests or batches are in flight."""
    cache, rng, stored, concurrency = folder / "c", random.Random(0), set(), 4
    with LLMServer(delay=0.03, batch_delay=0.4) as server:
        settings = {"concurrency": concurrency, "batch": batch}
        uncounted = 0
        for _ in range(n_faults):
            process = start(server, cache, n_slates, **settings)
            wait_for(server, asked(server) + (1 if batch else rng.randint(3, 12)), process)
            process.kill()
            if cache.exists():
                stored |= answers(cache)
                uncounted += max(0, asked(server) - totals(cache).get("requests", 0))
        finish(start(server, cache, n_slates, **settings))
        n_again, limit = again(server), 0 if batch else n_faults * concurrency
        prompts = len(server.stats()["questions"])
    lost = len(stored - answers(cache)) + prompts - len(answers(cache))
    note = f"{n_again} in flight at a kill were asked again, of at most {limit}"
    return Outcome(n_faults, prompts, lost, max(0, n_again - limit), uncounted, note * (not batch))


def killed_within_budget(folder, n_faults=3, n_slates=60):
    """Kill -9 with limits on requests and cost."""
    cache, rng, over = folder / "c", random.Random(1), 0
    limits = {"max_requests": 30 + 10 * n_faults, "max_cost": 0.001 * (3 + n_faults)}
    with LLMServer(delay=0.02, faults={"500": 0.05, "reset": 0.05}) as server:
        for _ in range(n_faults):
            process = start(server, cache, n_slates, **limits)
            wait_for(server, asked(server) + rng.randint(3, 12), process)
            process.kill()
        finish(start(server, cache, n_slates, **limits))
        over = max(0, asked(server) - limits["max_requests"])
        over += max(0, billed(server) - limits["max_cost"])
        prompts = len(server.stats()["questions"])
    return Outcome(n_faults, prompts, None, None, over)


def together(folder, n_faults=2, n_slates=40, prepare=nothing):
    """Several processes that share a cache file."""
    cache, limit = folder / "c", 10 * n_slates
    with LLMServer(delay=0.02) as server:
        settings = {"max_requests": limit, "concurrency": 4, "prepare": prepare}
        processes = [start(server, cache, n_slates, **settings) for _ in range(n_faults)]
        n_answered = [finish(process)[0] for process in processes]
        n_again, prompts = again(server), len(server.stats()["questions"])
    lost = sum(n_slates - n for n in n_answered) + prompts - len(answers(cache))
    return Outcome(n_faults, prompts, lost, n_again, max(0, n_again + prompts - limit))


def wrong_clocks(folder, n_faults=2, n_slates=40):
    """Clocks that jump by a day; one host name and process id for all processes."""
    return together(folder, n_faults, n_slates, wrong_clock)


def deleted(folder, n_faults=1, n_slates=60, n_processes=1, left=()):
    """The cache file is deleted while it is in use."""
    cache, rng, lost, twice, prompts, over = folder / "c", random.Random(2), 0, 0, 0, 0
    for fault in range(n_faults):
        with LLMServer(delay=0.03) as server:
            settings = {"first": 1000 * fault, "concurrency": 4}
            before = totals(cache).get("requests", 0) if cache.exists() else 0
            settings["max_requests"] = before + 2 * n_slates
            processes = [start(server, cache, n_slates, **settings) for _ in range(n_processes)]
            wait_for(server, rng.randint(10, n_slates), processes[0])
            for end in {"", "-wal", "-shm"} - set(left):
                Path(f"{cache}{end}").unlink(missing_ok=True)
            for process in processes:
                n_answered, told, _ = finish(process)
                lost += n_slates - n_answered + (not any("CacheWarning" in text for text in told))
            new = len(server.stats()["questions"])
            prompts += new
            twice += again(server)
            over += max(0, asked(server) - 2 * n_slates)
        lost += prompts - len(answers(cache))
        over += before + new - totals(cache)["requests"]
    return Outcome(n_faults, prompts, lost, twice, over)


def full_disk(folder, n_faults=2, n_slates=60):
    """Nothing can be written until the process ends; every other time, only the cache is full."""
    lost = twice = prompts = 0
    for fault in range(n_faults):
        cache, concurrency = folder / f"c{fault}", 4 + fault % 5
        settings = {"first": 1000 * fault, "concurrency": concurrency}
        with LLMServer(delay=0.02) as server:
            connect(cache)[0].close()  # while there is room
            if fault % 2:
                prepare = partial(limit_files, 80_000 + 4_096 * (fault % 7))
            else:
                prepare = partial(fill_disk, server.port)
            _, told, errors = finish(start(server, cache, n_slates, prepare, **settings))
            if not any("is not writable" in text for text in told):
                raise RuntimeError(f"The disk was not full: {told}")
            save_what_was_printed(errors)
            finish(start(server, cache, n_slates, **settings))
            new = len(server.stats()["questions"])
            lost += new - len(answers(cache))
            twice += again(server)
            prompts += new
    return Outcome(n_faults, prompts, lost, twice, None)


def save_what_was_printed(errors):
    """Save the lines that a process printed because it could not write anywhere."""
    _, _, lines = errors.partition("Save the following lines as ")
    if lines:
        path, _, rest = lines.partition("; they are read")
        records = [line for line in rest.splitlines() if line.startswith('{"key"')]
        Path(path).write_text("".join(f"{line}\n" for line in records))


def faulty_service(folder, n_faults=1, n_slates=40):
    """A service that fails, breaks connections, and reports unreadable usage."""
    prompts = over = 0
    kinds = ("500", "429", "reset", "reset_before", "broken", "garbage", "list", "strings")
    for fault in range(n_faults):
        limit = 0.002
        usage = [None, "", {"output_tokens": -1e9}, {"input_tokens": "many"}][fault % 4]
        faults = dict.fromkeys(kinds, 0.03)
        settings = {"max_requests": 5 * n_slates, "max_cost": limit, "concurrency": 16}
        with LLMServer(usage=usage, faults=faults, seed=fault, retry_after=0.01) as server:
            finish(start(server, folder / f"c{fault}", n_slates, **settings))
            over += max(0, billed(server) - limit) + max(0, asked(server) - 5 * n_slates)
            prompts += len(server.stats()["questions"])
    return Outcome(n_faults, prompts, None, None, over)


def collected_by_two(folder, n_faults=1, n_slates=10):
    """A process waiting for its batch is stopped, another one collects it, the first resumes."""
    lost = twice = prompts = 0
    over = 0.0
    for fault in range(n_faults):
        cache = folder / f"c{fault}"
        settings = {"batch": True, "first": 1000 * fault, "max_cost": 1.0}
        with LLMServer(batch_delay=1.0) as server:
            first = start(server, cache, n_slates, **settings)
            wait_for(server, 1, first)
            time.sleep(0.3)
            first.send(signal.SIGSTOP)
            n_answered = finish(start(server, cache, n_slates, **settings))[0]
            first.send(signal.SIGCONT)
            n_answered += finish(first)[0]
            lost += 2 * n_slates - n_answered
            twice += again(server)
            prompts += len(server.stats()["questions"])
            over += abs(totals(cache)["cost"] / 1e9 - billed(server, 0.5)) > 1e-6
    return Outcome(n_faults, prompts, lost, twice, over)


SCENARIOS = {
    "`kill -9`, live": (killed, {"n_faults": 25, "n_slates": 400}),
    "`kill -9`, batches": (killed, {"n_faults": 10, "n_slates": 200, "batch": True}),
    "`kill -9`, at the limit of the budget": (killed_within_budget, {"n_faults": 15}),
    "processes that share a file": (together, {"n_faults": 6, "n_slates": 400}),
    "wrong clocks; same host name and process number": (
        wrong_clocks,
        {"n_faults": 4, "n_slates": 200},
    ),
    "file deleted in the middle": (deleted, {"n_faults": 5, "n_slates": 80}),
    "file deleted under two processes": (deleted, {"n_faults": 3, "n_processes": 2}),
    "disk full until the end": (full_disk, {"n_faults": 4}),
    "service that fails, and says nothing readable of the cost": (faulty_service, {"n_faults": 6}),
    "batch collected by two processes": (collected_by_two, {"n_faults": 3}),
}

HEAD = """| fault | times | prompts | answers lost | paid twice | over budget |
|---|---|---|---|---|---|
"""
BEGIN, END = "<!-- made by `make torture` -->\n", "<!-- until here -->\n"


def main():
    """Run all scenarios at length and write the table into the documentation."""
    began, rows, notes, broken = time.monotonic(), [], [], False
    for name, (scenario, settings) in SCENARIOS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = scenario(Path(folder), **settings)
        results = [found.lost, found.twice, found.over]
        broken |= any(results)
        results = ["not measured" if result is None else f"{result:g}" for result in results]
        row = (name, found.tried, f"{found.prompts:,}", *results)
        rows.append("| " + " | ".join(map(str, row)) + " |")
        print(rows[-1], found.note, f"{time.monotonic() - began:.0f} s", flush=True)
        if found.note:
            notes.append(f"{name}: {found.note}.")
    page = ROOT / "docs" / "judges.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    table = BEGIN + HEAD + "\n".join(rows) + "\n\n" + "\n".join(notes) + "\n" + END
    page.write_text(before + table + after, encoding="utf-8")
    sys.exit("Promises were broken." if broken else 0)


if __name__ == "__main__":
    main()

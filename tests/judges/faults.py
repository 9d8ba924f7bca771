"""What faulty servers cost a judge in requests, answers and money, as counted by the server.

``make torture`` runs this after `torture.py` and writes the table into docs/judges.md.
"""

import json
import random
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import torture
from loopback import LLMServer
from test_live import make_slates

from sklearn_selreg.exceptions import JudgmentWarning
from sklearn_selreg.judges import OpenAIJudge, Slate


@dataclass
class Count:
    """The cost of a fault.

    Attributes
    ----------
    prompts : int
        Number of different prompts.
    requests : int
        Number of requests that the server received.
    kept : int
        Answers in the cache at the end.
    lost : int
        Prompts that the server answered but that have no answer in the cache at the end.
    counted : bool
        Whether the cache counts every request that the server received, and at least what it bills.
    note : str
    """

    prompts: int
    requests: int
    kept: int
    lost: int
    counted: bool
    note: str = ""


def served(folder, n_slates=40, slates=None, disturb=None, server=(), **settings):
    """Ask a faulty server, or one that `disturb` disturbs meanwhile."""
    slates = make_slates(n_slates) if slates is None else slates
    cache, journal = folder / "c", folder / "journal"
    with LLMServer(journal=str(journal), **dict(server)) as service:
        judge = OpenAIJudge(
            "llama", base_url=f"{service.url}/v1", cache=cache, max_requests=100_000,
            price=torture.PRICE, **settings,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JudgmentWarning)
            if disturb is None:
                judge.rate(slates)
            else:
                thread = threading.Thread(target=disturb, args=(service, journal))
                thread.start()
                judge.rate(slates)
                thread.join()
        billed = torture.billed(service)  # by the last server process
    return count(cache, journal, billed)


def count(cache, journal, billed, note=""):
    """Compare a cache with the server's journal."""
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    asked = Counter(text for what, text in lines if what == "asked")
    answered = {text for what, text in lines if what == "answered"}
    with closing(sqlite3.connect(cache)) as connection:
        (kept,) = connection.execute("SELECT COUNT(*) FROM answers").fetchone()
    totals = torture.totals(cache)
    right = totals["requests"] >= asked.total() and totals.get("cost", 0) / 1e9 >= billed - 1e-9
    return Count(len(asked), asked.total(), kept, max(0, len(answered) - kept), right, note)


def no_completions(folder, n_slates=40):
    """Every fifth reply has status 200 but no completion."""
    kinds = ("error_200", "html", "empty", "null_choices")
    return served(folder, n_slates, server={"faults": dict.fromkeys(kinds, 0.05)}, max_retries=20)


def overloaded(folder, n_slates=8):
    """A server with one slot that answers more slowly than it is asked."""
    return served(folder, n_slates, server={"slots": 1, "delay": 0.2}, timeout=0.5)


def loading(folder, n_slates=10, seconds=1.0):
    """A server that loads its model for some seconds."""
    return served(folder, n_slates, server={"loading": seconds})


def restarted(folder, n_slates=60, seconds=1.0):
    """A server that is killed halfway and restarted after some seconds."""

    def restart(service, journal):
        while not journal.exists() or journal.read_text().count("answered") < n_slates // 2:
            time.sleep(0.01)
        service.kill()
        time.sleep(seconds)
        service.start(loading=seconds / 2)

    return served(folder, n_slates, disturb=restart, server={"delay": 0.02})


def bounds_refused(folder, n_slates=20):
    """A server that rejects bounds in the schema."""
    return served(folder, n_slates, server={"bounds": "refused"})


def too_long(folder, n_slates=20):
    """Every second prompt exceeds the context of a slot."""
    long = [
        Slate(s.user, s.history, s.candidates, [text + " of long ago" * 15 for text in
              s.history_texts], s.candidate_texts) if n % 2 else s
        for n, s in enumerate(make_slates(n_slates))
    ]  # fmt: skip
    found = served(folder, slates=long, server={"context": 330})
    found.prompts = 2 * n_slates  # to the server, a shortened prompt is another one
    return found


def cut_off(folder, n_slates=20):
    """Every fifth answer is cut off."""
    return served(folder, n_slates, server={"faults": {"truncated": 0.2}})


def killed_among_faults(folder, n_kills=2, n_slates=60, concurrency=8):
    """The asking process is killed repeatedly while every fifth reply is a fault."""
    cache, journal, rng = folder / "c", folder / "journal", random.Random(3)
    kinds = ("500", "429", "503", "reset", "reset_before", "error_200", "html")
    settings = {"concurrency": concurrency, "max_retries": 20}
    faults = dict.fromkeys(kinds, 0.2 / len(kinds))
    with LLMServer(journal=str(journal), faults=faults, delay=0.02, retry_after=0.01) as server:
        for _ in range(n_kills):
            process = torture.start(server, cache, n_slates, **settings)
            torture.wait_for(server, torture.asked(server) + rng.randint(20, 60), process)
            process.kill()
        torture.finish(torture.start(server, cache, n_slates, **settings))
        statuses, billed = server.stats()["statuses"], torture.billed(server)
    found = count(cache, journal, billed)
    n_faults = sum(n for kind, n in statuses.items() if kind != "None")
    under_way, most = found.requests - found.prompts - n_faults, n_kills * concurrency
    found.lost += max(0, under_way - most)
    found.note = (
        f"{n_faults} after a fault, and {max(0, under_way)} in flight at a kill, of at most {most}"
    )
    return found


FAULTS = {
    "every fifth reply is a 200 without a completion": (no_completions, {"n_slates": 200}),
    "slower than it is asked, one slot": (overloaded, {"n_slates": 30}),
    "loads its model for 20 s (503)": (loading, {"n_slates": 100, "seconds": 20.0}),
    "killed, and back after 15 s": (restarted, {"n_slates": 200, "seconds": 10.0}),
    "refuses bounds in the schema": (bounds_refused, {"n_slates": 100}),
    "every second prompt is too long": (too_long, {"n_slates": 100}),
    "every fifth answer is cut off": (cut_off, {"n_slates": 100}),
    "20 % of mixed faults, and ten kills of the process that asks": (
        killed_among_faults,
        {"n_kills": 10, "n_slates": 400},
    ),
}

HEAD = """| server | prompts | requests sent | answers kept | asked again | lost | all counted |
|---|---|---|---|---|---|---|
"""
BEGIN, END = "<!-- faults of servers, made by `make torture` -->\n", "<!-- faults end here -->\n"


def main():
    """Run everything at length and write the table into the documentation."""
    rows, notes, broken = [], [], False
    for name, (fault, settings) in FAULTS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = fault(Path(folder), **settings)
        broken |= bool(found.lost) or not found.counted
        again = found.requests - found.prompts
        numbers = (found.prompts, found.requests, found.kept, again, found.lost)
        cells = (name, *(f"{number:,}" for number in numbers), "yes" if found.counted else "NO")
        rows.append("| " + " | ".join(cells) + " |")
        print(rows[-1], found.note, flush=True)
        if found.note:
            notes.append(f"Asked again with {name}: {found.note}.")
    page = torture.ROOT / "docs" / "judges.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    table = BEGIN + HEAD + "\n".join(rows) + "\n\n" + "\n".join(notes) + "\n" + END
    page.write_text(before + table + after, encoding="utf-8")
    sys.exit("Promises were broken." if broken else 0)


if __name__ == "__main__":
    main()

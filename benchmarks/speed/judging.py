"""Time of judging: live throughput, reading the cache, and a fully cached judge in a fit.

Run ``python benchmarks/speed/judging.py``. Writes ``benchmarks/results/judging.json``. The service
is the server of the tests on loopback, in its own process; it answers after 50 ms.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository  # isort: skip
from loopback import LLMServer

from sklearn_selreg import SelectiveLLMRegularizedMF, SlateSampler
from sklearn_selreg.judges import AnthropicJudge, LLMJudge, Slate

DELAY, CONCURRENCY, N_LIVE = 0.05, 32, 3_000
N_CACHED = 100_000
N_INTERACTIONS, N_SLATES = 1_000_000, 1_000


def slates(n_slates):
    """Create slates of 10 history items and 20 candidates, with texts like those of films."""
    random = np.random.default_rng(0)
    texts = [f"title: A film about number {item}; year: {1950 + item % 70}" for item in range(5000)]
    made = []
    for user, items in enumerate(random.integers(0, 5000, (n_slates, 40)).tolist()):
        items = list(dict.fromkeys(items))[:30]
        described = [texts[item] for item in items]
        made.append(Slate(user, items[:10], items[10:], described[:10], described[10:]))
    return made


def throughput():
    """Query the service, and compare with the throughput that the delay allows."""
    with LLMServer(delay=DELAY) as server, tempfile.TemporaryDirectory() as folder:
        judge = AnthropicJudge(
            max_cost=100,
            cache=Path(folder) / "cache.sqlite",
            concurrency=CONCURRENCY,
            base_url=server.url,
            n_orders=1,
        )
        judge.rate(slates(64)[:CONCURRENCY])  # imports and connections
        asked = slates(N_LIVE + CONCURRENCY)[CONCURRENCY:]
        start = time.perf_counter()
        judge.rate(asked)
        seconds = time.perf_counter() - start
    ideal = CONCURRENCY / DELAY
    return {
        "answers_per_second": N_LIVE / seconds,
        "ideal": ideal,
        "ratio": N_LIVE / seconds / ideal,
    }


def cached():
    """Write answers to the cache, and read them."""
    with tempfile.TemporaryDirectory() as folder:
        judge = LLMJudge.from_callable(
            lambda slate: [0.5] * len(slate.candidates),
            name="half",
            version="1",
            cache=Path(folder) / "cache.sqlite",
        )
        asked = slates(N_CACHED)
        start = time.perf_counter()
        judge.rate(asked)
        middle = time.perf_counter()
        judge.rate(asked)
        end = time.perf_counter()
    return {"slates": N_CACHED, "write_seconds": middle - start, "read_seconds": end - middle}


def overhead():
    """Fit with a fully cached judge, and time the judge's part."""
    random = np.random.default_rng(0)
    n_users, n_items = 50_000, 10_000
    weights = 1 / np.arange(1, n_items + 1) ** 0.7
    likes = pd.DataFrame(
        {
            "user": random.integers(0, n_users, N_INTERACTIONS),
            "item": random.choice(n_items, N_INTERACTIONS, p=weights / weights.sum()),
        }
    )
    items = pd.DataFrame({"item": np.arange(n_items)})
    items["title"] = [f"film {item} of {item % 50}" for item in range(n_items)]
    with tempfile.TemporaryDirectory() as folder, LLMServer() as server:
        judge = AnthropicJudge(
            max_cost=100, cache=Path(folder) / "c", concurrency=CONCURRENCY, base_url=server.url
        )
        model = SelectiveLLMRegularizedMF(
            item_data=items,
            judge=judge,
            slates=SlateSampler(max_slates=N_SLATES),
            tuning=None,
            user_col="user",
            item_col="item",
            random_state=0,
        )
        model.fit(likes)
        asked = server.stats()["requests"]["/v1/messages"]
        start = time.perf_counter()
        model.fit(likes)
        fit = time.perf_counter() - start
        assert server.stats()["requests"]["/v1/messages"] == asked
        start = time.perf_counter()
        plan = model.plan_judging(likes)
        choosing = time.perf_counter() - start
        start = time.perf_counter()
        judge.answers(plan.slates)
        answering = time.perf_counter() - start
    return {
        "interactions": N_INTERACTIONS,
        "slates": len(plan.slates),
        "fit_seconds": fit,
        "cached_judge_seconds": answering,
        "cached_judge_share": answering / fit,
        "reading_and_choosing_seconds": choosing,
    }


def main():
    """Run all parts, and store the results."""
    os.environ["ANTHROPIC_API_KEY"] = "none"
    results = {"throughput": throughput(), "cached": cached(), "overhead": overhead()}
    text = json.dumps(results, indent=1, default=lambda x: round(float(x), 4))
    (repository.RESULTS / "judging.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

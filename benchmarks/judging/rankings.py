"""What is lost by asking for rankings instead of ratings? Based on the recorded answers.

Each recorded answer is converted to the ranking it implies, with ties in random order, and read
like a ranking of a live judge with ``ask="ranking"``: as equally spaced ratings from 1 to 0. For
both forms of the same answers: the accuracy on pairs of a known positive and another candidate,
the results of the gate, and the difference in NDCG@10 on `valid` between selective use and no
judge, with the fixed settings of `gate.py`. This measures the loss of the form, not how a model
would answer if asked to rank.

    python benchmarks/judging/rankings.py [--jobs N] [--tokenizer http://127.0.0.1:8080]

With the address of a llama.cpp server, the tokens of answers are counted with its model. Writes
``benchmarks/results/rankings.json`` and the table in ``docs/judges.md``.
"""

import argparse
import json
import sys
import urllib.request
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository  # isort: skip
import bad_judges
import domains
import movielens
import reports
from gate import SEEDS, SETTINGS

from sklearn_selreg.exceptions import GateWarning
from sklearn_selreg.judges import PrecomputedJudge

FORMS = ("no judge", "ratings", "ranking")
VIEWS = ("without_other_likes", "judged")
SIZES = (5, 10, 20)  # candidates of the answers whose tokens are counted


def ranked(ratings, random):
    """Convert ratings to those of the implied ranking: from 1 for the first to 0 for the last."""
    known = np.flatnonzero(~np.isnan(ratings))
    shuffled = random.permutation(known)
    order = shuffled[np.argsort(-ratings[shuffled], kind="stable")]
    places = np.full(len(ratings), np.nan)
    places[order] = 1 - np.arange(len(order)) / max(len(order) - 1, 1)
    return places


def ranking_judge(judge, seed):
    """Return a judge with the same answers in the form of rankings."""
    slates, random = judge.judged_slates(), np.random.default_rng(seed)
    answers = slates.answers.copy()
    for start, stop in zip(slates.indptr[:-1], slates.indptr[1:], strict=True):
        for column in range(answers.shape[1]):
            answers[start:stop, column] = ranked(slates.answers[start:stop, column], random)
    return PrecomputedJudge(bad_judges.records(slates, answers), judge.drawn)


def measure(name, form, seed):
    """Fit with a form of the answers; return reports of the views, and the gate's results."""
    data = domains.load(name)
    judge = {"no judge": None, "ratings": data.judge}.get(form, data.judge)
    if form == "ranking":
        judge = ranking_judge(judge, seed)
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", GateWarning)
        model = movielens.ours(data, seed, judge, tuning=None, **SETTINGS[name])
        found = reports.evaluate(model, data, "valid", VIEWS)
    if judge is None:
        return found, None
    gate, stats = model.gate_, model.judge_stats_
    return found, {
        "accuracy": gate.accuracies_["judge"],
        "accuracy with the judge": gate.accuracies_["selected"],
        "log-loss": gate.log_loss_["selected"],
        "log-loss without the judge": gate.log_loss_["prior"],
        "used": stats["pairs_weighted"] / stats["pairs"],
    }


def count_tokens(address):
    """Mean tokens of random answers of each size and form, counted by a server."""
    random, found = np.random.default_rng(0), {}
    for size in SIZES:
        counts = []
        for _ in range(20):
            numbers = map(str, range(1, size + 1))
            rated = dict(zip(numbers, random.integers(100, size=size).tolist(), strict=True))
            ranking = {"ranking": (1 + random.permutation(size)).tolist()}
            counts.append([_n_tokens(address, json.dumps(a)) for a in (rated, ranking)])
        found[size] = np.mean(counts, axis=0).round(1).tolist()
    return found


def _n_tokens(address, text):
    request = urllib.request.Request(
        f"{address}/tokenize",
        json.dumps({"content": text}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return len(json.load(response)["tokens"])


def gather(name, done):
    """Average the results of a domain over the seeds."""
    runs = {form: [result for f, result in done if f == form] for form in FORMS}
    means = {
        form: {view: reports.average([found[view] for found, _ in some]) for view in VIEWS}
        for form, some in runs.items()
    }
    result = {"gate": {}, "NDCG@10": {}, "differences": {}}
    for form in FORMS[1:]:
        gates = [gate for _, gate in runs[form]]
        result["gate"][form] = {key: float(np.mean([g[key] for g in gates])) for key in gates[0]}
    for view in VIEWS:
        of_view = {form: means[form][view] for form in FORMS}
        result["NDCG@10"][view] = {
            form: reports.pick(report, "NDCG@10 overall") for form, report in of_view.items()
        }
        result["differences"][view] = {
            f"{a} - {b}": reports.difference(of_view[a], of_view[b])["NDCG@10 overall"]
            for a, b in (("ratings", "no judge"), ("ranking", "no judge"), ("ranking", "ratings"))
        }
    print(name, json.dumps(result, indent=1), flush=True)
    return result


def as_table(results):
    """Build the Markdown tables."""
    lines = [
        "| data | answers | pairs right | log-loss | used | NDCG@10 | minus no judge |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in results["domains"].items():
        for form in FORMS[1:]:
            gate, view = found["gate"][form], "judged"
            change = found["differences"][view][f"{form} - no judge"]
            lines.append(
                f"| {name} | {form} | {gate['accuracy']:.1%} | {gate['log-loss']:.4f} "
                f"| {gate['used']:.1%} | {found['NDCG@10'][view][form]:.4f} "
                f"| {change[0]:+.4f} ({change[1]:+.4f} to {change[2]:+.4f}) |"
            )
    if results["tokens"]:
        lines += ["", "| candidates | tokens, ratings | tokens, ranking |", "|---|---|---|"]
        lines += [f"| {size} | {a:.0f} | {b:.0f} |" for size, (a, b) in results["tokens"].items()]
    return "\n".join(lines) + "\n"


def main():
    """Run all domains, and store the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tokenizer", help="address of a llama.cpp server")
    args = parser.parse_args()
    tokens = count_tokens(args.tokenizer) if args.tokenizer else {}
    tasks = [(name, form, seed) for name, n in SEEDS.items() for form in FORMS for seed in range(n)]
    done = Parallel(args.jobs)(delayed(measure)(*task) for task in tasks)
    results = {"tokens": tokens, "domains": {}}
    for name in SEEDS:
        of_domain = [
            (form, result) for (n, form, _), result in zip(tasks, done, strict=True) if n == name
        ]
        results["domains"][name] = gather(name, of_domain)
    path = repository.RESULTS / "rankings.json"
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    repository.write_block("docs/judges.md", "benchmarks/judging/rankings.py", as_table(results))


if __name__ == "__main__":
    main()

"""How often is a judge reported to rate positions? Good and bad simulated judges, many seeds.

A judge's score of a candidate is a weighted sum of its quality, its position in the prompt, and
noise, each with variance 1; ratings are the logistic function of the score. Each judge rates 20
slates, in one order or in an order and its reverse.

    python benchmarks/judging/positions.py [--seeds 500]

Writes ``benchmarks/results/positions.json`` and the table in ``docs/judges.md``.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository
from internals import PositionBias
from tqdm.auto import tqdm

# Weights of item, position and noise; digits of the ratings; fraction of missing ratings.
JUDGES = {
    "knows items, errs half": (1, 0, 1, 2, 0),
    "the same, half of the ratings missing": (1, 0, 1, 2, 0.5),
    "the same, ten different ratings": (1, 0, 1, 1, 0),
    "knows items, favors the first a little": (1, -0.3, 1, 2, 0),
    "knows items, favors the first half as much": (1, -0.5, 0.5, 2, 0),
    "noise": (0, 0, 1, 2, 0),
    "position as much as items": (1, -1, 0.3, 2, 0),
    "position twice as much as items": (1, 2, 0.3, 2, 0),
    "noise, and half as much position": (0, 0.5, 1, 2, 0),
    "position only": (0, 1, 0, 1, 0),
}
SHAPES = [(20, 2), (20, 1), (10, 2), (5, 2), (5, 1)]  # candidates, orders
N_SLATES = 20


def answers(judge, size, n_orders, rng):
    """Return a judge's answers to `N_SLATES` slates, as input of `PositionBias.of`."""
    item, position, chance, digits, missing = judge
    places = np.arange(size) - (size - 1) / 2
    places /= places.std()
    slates = []
    for _ in range(N_SLATES):
        quality, order = rng.normal(size=size), rng.permutation(size)
        answered = []
        for shown in (order, order[::-1])[:n_orders]:
            score = item * quality[shown] + position * places + chance * rng.normal(size=size)
            ratings = np.round(1 / (1 + np.exp(-score)), digits)
            answered.append((np.where(rng.random(size) < missing, np.nan, ratings), shown))
        slates.append(answered)
    return slates


def share_accused(judge, size, n_orders, n_seeds):
    """Fraction of the seeds in which a judge is reported to rate positions."""
    found = [
        PositionBias.of(answers(judge, size, n_orders, np.random.default_rng(seed)))
        for seed in range(n_seeds)
    ]
    return float(np.mean([bias is not None and bias.is_clear for bias in found]))


def as_table(results):
    """Build the Markdown table."""
    titles = [f"{size} candidates, {'two' if n == 2 else 'one'}" for size, n in SHAPES]
    lines = ["| judge | " + " | ".join(titles) + " |", "|---" * (1 + len(titles)) + "|"]
    for name, row in results["accused"].items():
        lines.append(f"| {name} | " + " | ".join(f"{share:.1%}" for share in row) + " |")
    return "\n".join(lines) + "\n"


def main():
    """Run all judges, and store the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=500)
    n_seeds = parser.parse_args().seeds
    accused = {
        name: [share_accused(judge, *shape, n_seeds) for shape in SHAPES]
        for name, judge in tqdm(JUDGES.items())
    }
    path = repository.RESULTS / "positions.json"
    results = {"seeds": n_seeds, "slates": N_SLATES, "accused": accused}
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    repository.write_block("docs/judges.md", "benchmarks/judging/positions.py", as_table(results))


if __name__ == "__main__":
    main()

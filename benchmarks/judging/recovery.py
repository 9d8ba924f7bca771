"""Does the gate learn where a judge is reliable? On synthetic data, where this is known.

For each judge and seed: the rank correlation, over the preferences that regularize, between the
gate's trust and the judge's true reliability (mean of the two items), for several values of the
gate's `support`. A correlation of 0 stands for a gate with the same trust in all contexts. All
values of `support` are compared on the same fit, with fixed settings (``tuning=None``).

    python benchmarks/judging/recovery.py [--seeds 10] [--show]

Writes ``benchmarks/results/recovery.json`` and the table in ``benchmarks/README.md``.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository
from formatting import number, table

from sklearn_selreg import ReliabilityGate, SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions

MAKER = "benchmarks/judging/recovery.py"
RESULTS = repository.RESULTS / "recovery.json"
SIZES = {"n_users": 600, "n_items": 400, "n_interactions": 12_000}
SUPPORTS = (2.0, 1.0, 0.5, 0.0)
HIGH = 0.8  # correlations above are counted
# Reliability as a function of the history length h and the item's number of interactions n.
WORLDS = {
    "rises with history": lambda h, n: 0.9 * h / 10,
    "falls with history": lambda h, n: 0.9 / h,
    "rises with popularity": lambda h, n: 0.9 * n / (n + 30),
    "rises with both": lambda h, n: 0.9 * n / (n + 20) * h / 10,
    "falls with popularity, weakly": lambda h, n: 0.9 * 20 / (n + 20),
    "falls with both": lambda h, n: 0.95 * 60 / (n + 60) * (1 - h / 15),
}


class Recorder(ReliabilityGate):
    """A gate that keeps the pairs it was fitted on."""

    def fit(self, Z, y, groups=None, sample_weight=None):
        """Fit, and keep what was given."""
        self.pairs_ = Z, y, groups, sample_weight
        return super().fit(Z, y, groups, sample_weight)


def recover(reliability, seed):
    """Return the rank correlation for each value of `SUPPORTS`."""
    data = make_interactions(
        **SIZES,
        judge_reliability=lambda h, n: reliability(np.clip(h, 1, 10), n),
        random_state=seed,
    )
    model = SelectiveLLMRegularizedMF(
        factors=16,
        tuning=None,
        item_data=data.item_data,
        judge=data.judge,
        gate=Recorder(),
        user_col="user",
        item_col="item",
        time_col="time",
        random_state=0,
    ).fit(data.X)
    Z, *known = model.gate_.pairs_
    pairs = model.preferences_
    truth = sum(
        data.reliability(pairs["history_length"], data.popularity[pairs[which]])
        for which in ("preferred", "other")
    )
    found = []
    for support in SUPPORTS:
        gate = ReliabilityGate(support=support).fit(Z, *known)
        trust = gate.trust(pairs[Z.columns.to_list()])
        found.append(spearmanr(trust, truth)[0] if np.ptp(trust) > 1e-9 else 0.0)
    return np.round(found, 3).tolist()


def as_table(results):
    """Build the Markdown table: mean, minimum, and how often the correlation is high."""
    default = ReliabilityGate().support
    measured = results["rank_correlation"]
    supports = [s for s in SUPPORTS if all(str(s) in found for found in measured.values())]
    columns = [f"{s:g} (default)" if s == default else f"{s:g}" for s in supports]
    rows = []
    for name, by_support in measured.items():
        found = [by_support[str(support)] for support in supports]
        rows.append(
            [
                name,
                *(
                    f"{number(np.mean(values), 2)}, {number(min(values), 2)}, "
                    f"{sum(value > HIGH for value in values)} of {len(values)}"
                    for values in found
                ),
            ]
        )
    return table(["reliability of the judge", *columns], rows)


def main():
    """Run all judges and seeds, and store the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="number (default %(default)s)")
    repository.add_output_options(parser, RESULTS)
    args = parser.parse_args()
    if not args.show:
        results = {}
        with tqdm(total=len(WORLDS) * args.seeds) as progress:
            for name, reliability in WORLDS.items():
                found = []
                for seed in range(args.seeds):
                    found.append(recover(reliability, seed))
                    progress.update()
                by_support = np.transpose(found).tolist()
                results[name] = dict(zip(map(str, SUPPORTS), by_support, strict=True))
        made = repository.provenance(seeds=args.seeds, sizes=SIZES)
        repository.save(args.output, {"made": made, "rank_correlation": results})
    repository.show(MAKER, as_table(repository.load(args.output)), args.output == RESULTS)


if __name__ == "__main__":
    main()

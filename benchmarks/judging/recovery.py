"""Does the gate find out where a judge is reliable? In made-up worlds, where that is known.

For each world and seed: the rank correlation, over the preferences that regularize, of the gate's
trust with the judge's true reliability (mean of the two items), at several values of the gate's
`support`. 0 stands for a gate that trusts the judge alike in all contexts.

    python benchmarks/judging/recovery.py [--seeds 10]

Writes ``benchmarks/results/recovery.json``.
"""

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from tqdm.auto import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))  # of what all benchmarks share

import repository

from sklearn_selreg import ReliabilityGate, SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import make_interactions

OUTPUT = repository.RESULTS / "recovery.json"
SIZES = {"n_users": 600, "n_items": 400, "n_interactions": 12_000}
SUPPORTS = (2.0, 1.0, 0.5, 0.0)
# The reliability at h items shown and n interactions of the item.
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
    """Return the rank correlation for each of `SUPPORTS`."""
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


def main():
    """Run all worlds, and write and show the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="how many (default %(default)s)")
    args = parser.parse_args()
    results = {}
    with tqdm(total=len(WORLDS) * args.seeds) as progress:
        for name, reliability in WORLDS.items():
            found = []
            for seed in range(args.seeds):
                found.append(recover(reliability, seed))
                progress.update()
            by_support = dict(zip(map(str, SUPPORTS), np.transpose(found).tolist(), strict=True))
            results[name] = by_support
            for support, values in by_support.items():
                above = sum(value > 0.8 for value in values)
                progress.write(
                    f"{name:<30} support {support}: mean {np.mean(values):.2f}, min "
                    f"{min(values):.2f}, above .8 in {above} of {args.seeds}"
                )
    packages = ("scikit-learn", "implicit", "numpy", "scipy", "pandas")
    report = {
        "sizes": SIZES,
        "versions": {"python": platform.python_version(), **{p: version(p) for p in packages}},
        "rank_correlation": results,
    }
    OUTPUT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

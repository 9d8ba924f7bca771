"""Time and memory of item features from many numbers: embeddings, wide tables, flags.

    python benchmarks/speed/embeddings.py [--show]

Writes ``benchmarks/results/embeddings.json`` and the table in ``benchmarks/README.md``. Each case
runs in its own process. Reported are its peak memory, and the part of it beyond Python, the
libraries and the table itself. ``--case NAME`` runs a single case.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository
from formatting import table

MAKER = "benchmarks/speed/embeddings.py"
RESULTS = repository.RESULTS / "embeddings.json"

CASES = {
    "300 x 384 columns": (300, 384, "columns"),
    "300 x 1,128 columns": (300, 1128, "columns"),
    "300 x 1,128 flags": (300, 1128, "flags"),
    "300 vectors of 1,128": (300, 1128, "vectors"),
    "100,000 x 384 columns": (100_000, 384, "columns"),
    "100,000 vectors of 384": (100_000, 384, "vectors"),
}


def make_table(n, width, kind):
    """Create item data of float32 numbers, like embeddings."""
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((n, width), dtype=np.float32)
    if kind == "vectors":
        return pd.DataFrame({"embedding": list(numbers)})
    if kind == "flags":
        numbers = (numbers > 1.5).astype(np.int8)
    return pd.DataFrame(numbers, columns=[f"e{i}" for i in range(width)])


def peak():
    """Return the peak memory of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(name):
    """Measure the encoder and, for small tables, a fit to 3,000 interactions."""
    from sklearn_selreg import AutoItemEncoder, SelectiveLLMRegularizedMF

    items = make_table(*CASES[name])
    before, start = peak(), time.perf_counter()
    features = AutoItemEncoder().fit_transform(items)
    result = {
        "case": name,
        "features": features.shape[1],
        "encoder_s": time.perf_counter() - start,
        "peak_mb": peak(),
        "more_mb": peak() - before,
    }
    if len(items) < 1000:
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.integers(0, 100, 3000), rng.integers(0, len(items), 3000)])
        model = SelectiveLLMRegularizedMF(
            factors=16,
            iterations=2,
            tuning=None,
            random_state=0,
            item_data=items.rename_axis("item"),
        )
        clone(model).set_params(item_data=None).fit(X)  # compiles
        start = time.perf_counter()
        model.fit(X)
        result["fit_s"] = time.perf_counter() - start
    return result


def as_table(results):
    """Build the Markdown table: one row per case."""
    columns = ["item data", "features", "encoder", "peak memory", "of that new", "fit, 2 sweeps"]
    rows = []
    for row in results["rows"]:
        memory = [f"{row[name]:.0f} MB" for name in ("peak_mb", "more_mb")]
        fit = f"{row['fit_s']:.2f} s" if "fit_s" in row else ""
        rows.append(
            [row["case"], f"{row['features']:,}", f"{row['encoder_s']:.2f} s", *memory, fit]
        )
    return table(columns, rows)


def main():
    """Run each case in its own process, and store the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, help="run a single case, and print it as JSON")
    repository.add_output_options(parser, RESULTS)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(run(args.case)))
        return
    if not args.show:
        rows = []
        for name in CASES:
            command = [sys.executable, __file__, "--case", name]
            rows.append(json.loads(subprocess.check_output(command)))
            print(rows[-1], flush=True)
        made = repository.provenance(seed=0, cores=os.cpu_count())
        repository.save(args.output, {"made": made, "rows": rows})
    repository.show(MAKER, as_table(repository.load(args.output)), args.output == RESULTS)


if __name__ == "__main__":
    main()

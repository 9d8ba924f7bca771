"""Time and memory of item features from many numbers: embeddings, wide tables, flags.

Each case runs in a process of its own, whose peak memory is told with and without what Python, the
libraries and the table itself take. With a name of a case it runs that one alone.
"""

import json
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd

CASES = {
    "300 x 384 columns": (300, 384, "columns"),
    "300 x 1,128 columns": (300, 1128, "columns"),
    "300 x 1,128 flags": (300, 1128, "flags"),
    "300 vectors of 1,128": (300, 1128, "vectors"),
    "100,000 x 384 columns": (100_000, 384, "columns"),
    "100,000 vectors of 384": (100_000, 384, "vectors"),
}


def make_table(n, width, kind):
    """Make item data of float32 numbers, as embeddings are."""
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((n, width), dtype=np.float32)
    if kind == "vectors":
        return pd.DataFrame({"embedding": list(numbers)})
    if kind == "flags":
        numbers = (numbers > 1.5).astype(np.int8)
    return pd.DataFrame(numbers, columns=[f"e{place}" for place in range(width)])


def peak():
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(name):
    """Measure the encoder, and on small tables a fit of 3,000 interactions."""
    from sklearn_selreg import AutoItemEncoder, SelectiveLLMRegularizedMF

    table = make_table(*CASES[name])
    before, start = peak(), time.perf_counter()
    features = AutoItemEncoder().fit_transform(table)
    result = {
        "case": name,
        "features": features.shape[1],
        "encoder_s": time.perf_counter() - start,
        "peak_mb": peak(),
        "more_mb": peak() - before,
    }
    if len(table) < 1000:
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.integers(0, 100, 3000), rng.integers(0, len(table), 3000)])
        model = SelectiveLLMRegularizedMF(
            factors=16,
            iterations=2,
            tuning=None,
            random_state=0,
            item_data=table.rename_axis("item"),
        )
        start = time.perf_counter()
        model.fit(X)
        result["fit_s"] = time.perf_counter() - start
    return result


def main():
    print("| item data | features | encoder | peak memory | of that new | fit, 2 sweeps |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in CASES:
        command = [sys.executable, __file__, name]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        row = json.loads(told)
        fit = f"{row['fit_s']:.2f} s" if "fit_s" in row else ""
        print(
            f"| {name} | {row['features']} | {row['encoder_s']:.2f} s | {row['peak_mb']:.0f} MB | "
            f"{row['more_mb']:.0f} MB | {fit} |",
            flush=True,
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(run(sys.argv[1])))
    else:
        main()

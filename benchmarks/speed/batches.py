"""Time and memory of recommending to a million users, as a stream of batches and in one call.

Run ``python benchmarks/speed/batches.py [--users N] [--items N] [--output FILE]``. The 64 factors
are random. Each way writes the 10 best items of all users to a Parquet file, in its own process.
Reported are the CPU time, and the peak resident memory beyond the model and the ids.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sklearn_selreg import SelectiveLLMRegularizedMF

FACTORS, LENGTH = 64, 10
UNSEEN = {"filter_seen": False}  # given factors come without interactions


def peak():
    """Peak resident memory since the last `forget_peak`, in MB (on Linux)."""
    (line,) = (x for x in Path("/proc/self/status").read_text().split("\n") if "VmHWM" in x)
    return int(line.split()[1]) / 1024


def forget_peak():
    Path("/proc/self/clear_refs").write_text("5")


def stream(model, path, batch_size):
    from pyarrow.parquet import ParquetWriter

    reader = model.recommend_batches(model.users_, LENGTH, batch_size=batch_size, **UNSEEN)
    with ParquetWriter(path, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def at_once(model, path, batch_size):
    model.recommend(model.users_, LENGTH, as_frame=True, **UNSEEN).to_parquet(path)


WAYS = {"stream": stream, "at once": at_once}


def measure(way, n_users, n_items, batch_size):
    """Run one way in this process; return its seconds and megabytes."""
    rng = np.random.default_rng(0)
    model = SelectiveLLMRegularizedMF.from_factors(
        np.char.add("user ", np.arange(n_users).astype(str)).astype(object),
        np.arange(n_items),
        rng.random((n_users, FACTORS), dtype=np.float32),
        rng.random((n_items, FACTORS), dtype=np.float32),
        copy=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lists.parquet"
        model.recommend_batches(model.users_[:10], LENGTH, **UNSEEN).read_all()  # imports
        forget_peak()
        before, start = peak(), time.process_time()
        WAYS[way](model, path, batch_size)
        return {
            "way": way,
            "batch_size": batch_size,
            "cpu_seconds": round(time.process_time() - start, 1),
            "mb_beyond_the_model": round(peak() - before),
            "mb_before": round(before),
            "mb_of_file": round(path.stat().st_size / 2**20),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)  # in its own process
    args = parser.parse_args()
    if args.only:
        way, batch_size = args.only
        print(json.dumps(measure(way, args.users, args.items, int(batch_size))))
        return
    rows = []
    for way, batch_size in (("stream", 10_000), ("stream", 100_000), ("at once", 0)):
        sizes = ["--users", str(args.users), "--items", str(args.items)]
        command = [sys.executable, __file__, *sizes, "--only", way, str(batch_size)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout))
        print(rows[-1], flush=True)
    if args.output is not None:
        made = {"users": args.users, "items": args.items, "rows": rows}
        args.output.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

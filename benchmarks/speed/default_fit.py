"""Time of a default fit of MovieLens with judge and gate, by version of the package.

``python benchmarks/speed/default_fit.py before=CHECKOUT now=.`` fits with each checkout in turn, in
its own process, and stores CPU and wall times. Tuning is excluded (``tuning=None``). Further
dependencies of a checkout can be added to PYTHONPATH.
"""

import argparse
import inspect
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results" / "default_fit.json"


def serve():
    """Fit once per line of the standard input, and print the seconds."""
    from sklearn_selreg import SelectiveLLMRegularizedMF
    from sklearn_selreg.datasets import load_movielens_coldstart

    warnings.simplefilter("ignore")
    data = load_movielens_coldstart()
    names = inspect.signature(SelectiveLLMRegularizedMF).parameters
    settings = {"tuning": None} if "tuning" in names else {}  # older versions have no tuning
    for _ in sys.stdin:
        model = SelectiveLLMRegularizedMF(
            user_col="user", item_col="item", time_col="time", item_data=data.item_data,
            judge=data.judge, random_state=0, **settings,
        )  # fmt: skip
        began = time.process_time(), time.perf_counter()
        model.fit(data.train)
        took = time.process_time() - began[0], time.perf_counter() - began[1]
        print(json.dumps(took), flush=True)


def start(checkout):
    """Start a process that fits with the package of a checkout."""
    paths = [str(Path(checkout).resolve()), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.Popen(
        [sys.executable, __file__, "--serve"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def fit(process):
    """Return the CPU and wall seconds of one fit."""
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", metavar="NAME=CHECKOUT")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve()
    named = dict(entry.split("=", 1) for entry in options.checkouts)
    processes = {name: start(checkout) for name, checkout in named.items()}
    for process in processes.values():
        fit(process)  # compiles and reads; not counted
    times = {name: [] for name in processes}
    for _ in range(options.rounds):
        for name, process in processes.items():
            times[name].append(fit(process))
    first = next(iter(times))
    found = {}
    for name, rounds in times.items():
        ratios = [a[0] / b[0] for a, b in zip(rounds, times[first], strict=True)]
        found[name] = {
            "processor_seconds": statistics.median(seconds for seconds, _ in rounds),
            "wall_seconds": statistics.median(seconds for _, seconds in rounds),
            f"processor_time_relative_to_{first}": statistics.median(ratios),
            "rounds": rounds,
        }
        print(name, {key: value for key, value in found[name].items() if key != "rounds"})
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for process in processes.values():
        process.communicate()


if __name__ == "__main__":
    main()

"""Time and memory against other recommenders, side by side.

Run ``make benchmark-speed``, or ``python benchmarks/speed/speed.py [SIZE ...]`` for some numbers of
interactions alone. Updates ``benchmarks/results/speed.json`` size by size; ``--show`` prints it as
the tables in ``benchmarks/README.md``.

Each method runs in a process of its own, on the same matrix of a world of `make_interactions` (50
interactions a user on average, 5 users an item, popularity falling like 1 / rank), with the same
number of factors. In each round every method does one sweep, in turn; shown are the medians over
the rounds, and the medians of the rounds' ratios to `implicit`. A first sweep, in the fit, does not
count. All have all cores; BLAS is limited to one thread where `implicit` asks for that.

- *fit*: from a CSR matrix (and the table of items) to factors, with 5 sweeps (2 and 1 at 5 and 20
  million). Ours is
  `SelectiveLLMRegularizedMF.fit` without item bias, weights of missing entries and recency, which
  `implicit` does not have. With slates it is the regularized problem, from matrix and slates of 20
  items to factors; what judge, gate and calibration take is in ``judging.py``.
- *peak memory* of the process (resident), from its start to the end of the fit: with the imports,
  and with the matrix that the caller holds.
- *time to LightFM's best*: LightFM (WARP, features) learns until NDCG@10 on held-out interactions
  has not risen for `PATIENCE` epochs; shown is how long it took to its best value, and how long
  the others take to reach that (evaluation not counted), with the settings of this table and, for
  ours, with the defaults. None was tuned for these worlds.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # of what all benchmarks share

import repository

RESULTS = repository.RESULTS / "speed.json"
SIZES = (100_000, 1_000_000, 5_000_000, 20_000_000)
ROUNDS = {100_000: 15, 1_000_000: 7, 5_000_000: 3, 20_000_000: 2}
RACES = (100_000, 1_000_000)  # sizes at which the time to LightFM's best is measured
MOST_FOR_PEERS = 1_000_000  # above, LightFM alone would take half of the time
FACTORS, ALPHA, REGULARIZATION = 64, 14.0, 60.0
FIT_SWEEPS = {100_000: 5, 1_000_000: 5, 5_000_000: 2, 20_000_000: 1}
LLM_WEIGHT, MARGIN = 20.0, 0.06
SLATE_SIZE, BATCH = 20, 10_000
PATIENCE, MOST_EPOCHS = 4, 40
SEED = 0
REFERENCE = "implicit"
SHARES = {"ours, slates 1 %": 0.01, "ours, slates 10 %": 0.1, "ours, slates 100 %": 1.0}
METHODS = (
    *(REFERENCE, "ours, plain", "ours, features", *SHARES),
    *("LightFM", "cmfrec"),
)
GOALS = {
    "sweep": {
        "ours, plain": 1.05, "ours, features": 1.3, "ours, slates 10 %": 1.2,
        "ours, slates 100 %": 2.0,
    },
    "peak": dict.fromkeys(("ours, plain", "ours, features", *SHARES), 1.5),
    "recommend": {"ours, plain": 1.1},
}  # fmt: skip
NAMES = {"user_col": "user", "item_col": "item"}
PLAIN = {"item_bias": 0, "backbone__missing_power": 0, "backbone__recency_power": 0}


# -- what runs in a process of its own -----------------------------------------------------------


def make_world(folder, n_interactions):
    """Write a world's matrix, the held-out part and the item data into a folder."""
    import scipy.sparse as sp

    from sklearn_selreg.datasets import make_interactions

    data = make_interactions(
        n_interactions // 50, max(n_interactions // 250, 1000), n_interactions, random_state=SEED
    )
    users, items = (data.X[name].to_numpy() for name in ("user", "item"))
    shape = users.max() + 1, len(data.item_data)
    held_out = np.random.default_rng(SEED).random(len(users)) < 0.1
    if n_interactions not in RACES:
        held_out[:] = False
    for name, part in (("train", ~held_out), ("valid", held_out)):
        entries = np.ones(part.sum(), np.float32), (users[part], items[part])
        sp.save_npz(folder / name, sp.csr_matrix(entries, shape), compressed=False)
    data.item_data.to_pickle(folder / "items")


def peak_memory():
    """Return the largest resident size of this process so far, in MB."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1e3
    except OSError:
        pass
    import resource

    kilo = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / kilo


class Method:
    """A method in its process: `fit`, then `sweep`, `recommend` and `race` as they are asked."""

    def __init__(self, folder):
        import scipy.sparse as sp

        self.folder = folder
        self.imported = peak_memory()
        self.matrix = sp.load_npz(folder / "train.npz")
        self.fit_sweeps = FIT_SWEEPS.get(self.matrix.nnz, 5)  # races hold out a part

    def ready(self):
        """Do nothing: who has an answer knows that all is loaded."""

    def sweep(self):
        """Do one more sweep, and return its seconds, and those of all processors."""
        start = time.perf_counter(), time.process_time()
        self.step()
        return time.perf_counter() - start[0], time.process_time() - start[1]

    def race(self, goal=None):
        """Learn until NDCG@10 has reached a goal, None: until it has not risen for a while.

        Returns
        -------
        result : dict
            Seconds and sweeps to the goal (None if it was not reached) or the best, and that.
        """
        import scipy.sparse as sp

        valid = sp.load_npz(self.folder / "valid.npz")
        self.begin()
        seconds, best, at = 0.0, (-1.0, 0.0, 0), 0
        for at in range(1, MOST_EPOCHS + 1):
            seconds += self.sweep()[0]
            value = ndcg(*self.factors(), self.matrix, valid)
            if value > best[0]:
                best = value, seconds, at
            if goal is not None and value >= goal:
                break
            if at - best[2] >= PATIENCE:
                break
        reached = goal is None or best[0] >= goal
        return {
            "ndcg": best[0], "reached": reached, "seconds": best[1], "sweeps": best[2],
        }  # fmt: skip


class Implicit(Method):
    def begin(self, iterations=1):
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        self.limit = lambda: threadpool_limits(1, "blas")
        with self.limit():
            self.model = AlternatingLeastSquares(
                factors=FACTORS, regularization=REGULARIZATION, alpha=ALPHA, iterations=iterations,
                random_state=SEED,
            )  # fmt: skip

    def fit(self):
        self.begin(self.fit_sweeps)
        start = time.perf_counter()
        with self.limit():
            self.model.fit(self.matrix, show_progress=False)
        return time.perf_counter() - start

    def step(self):
        """Do what `fit` of implicit does in an iteration, without making the matrices anew."""
        model = self.model
        if not hasattr(self, "sides"):
            self.sides = ALPHA * self.matrix, (ALPHA * self.matrix).T.tocsr()
        if model.user_factors is None:
            rng = np.random.default_rng(SEED)
            model.user_factors, model.item_factors = (
                rng.random((n, FACTORS), dtype=np.float32) * 0.01 for n in self.matrix.shape
            )
        users, items = model.user_factors, model.item_factors
        with self.limit():
            model.solver(self.sides[0], users, items, REGULARIZATION, num_threads=0)
            model.solver(self.sides[1], items, users, REGULARIZATION, num_threads=0)

    def factors(self):
        return self.model.user_factors, self.model.item_factors

    def recommend(self):
        rows = np.random.default_rng(SEED).choice(self.matrix.shape[0], BATCH)
        seen = self.matrix[rows]
        start = time.perf_counter()
        with self.limit():
            self.model.recommend(rows, seen, N=10)
        return time.perf_counter() - start


class Ours(Method):
    features = False

    def _item_data(self):
        import pandas as pd

        return pd.read_pickle(self.folder / "items") if self.features else None

    def fit(self):
        from sklearn_selreg import SelectiveLLMRegularizedMF

        items = self._item_data()
        if items is not None:
            items = items.set_index("item")
        start = time.perf_counter()
        self.model = SelectiveLLMRegularizedMF(
            factors=FACTORS, regularization=REGULARIZATION, alpha=ALPHA, iterations=self.fit_sweeps,
            random_state=SEED, item_data=items, tuning=None,
        ).set_params(**PLAIN)  # fmt: skip
        self.model.fit(self.matrix)
        return time.perf_counter() - start

    def begin(self):
        from internals import RegularizedALS, encode_items, read_item_data

        terms = {}
        items = self._item_data()
        if items is not None:
            table = read_item_data(items, "item")
            terms["features"] = encode_items("auto", table, np.arange(self.matrix.shape[1]))[0]
        rng = np.random.default_rng(SEED)
        start = (rng.random((n, FACTORS), dtype=np.float32) * 0.01 for n in self.matrix.shape)
        self.problem = RegularizedALS(
            self.matrix * np.float32(ALPHA), *start, regularization=REGULARIZATION, **terms
        )

    def step(self):
        if not hasattr(self, "problem"):
            self.begin()
        self.problem.sweep()

    def factors(self):
        return self.problem.user_factors, self.problem.item_factors

    def recommend(self):
        rows = np.random.default_rng(SEED).choice(self.matrix.shape[0], BATCH)
        start = time.perf_counter()
        self.model.recommend(rows, 10)
        return time.perf_counter() - start


class Features(Ours):
    features = True


class Defaults(Features):
    """In races alone: our defaults, with weights of missing entries and item bias."""

    def begin(self):
        from internals import encode_items, read_item_data, with_bias

        from sklearn_selreg import SelectiveLLMRegularizedMF

        table = read_item_data(self._item_data(), "item")
        features = encode_items("auto", table, np.arange(self.matrix.shape[1]))[0]
        backbone = SelectiveLLMRegularizedMF(time_col="time")._resolve()[1]
        start = backbone.start(*self.matrix.shape, np.random.default_rng(SEED))
        self.problem = backbone.problem(self.matrix, features, start)
        bias = backbone.bias(self.matrix.getnnz(axis=0)[:, np.newaxis], features)
        self.factors = lambda: with_bias(self.problem.user_factors, self.problem.item_factors, bias)


class Slates(Ours):
    def __init__(self, folder, share):
        from sweeps import random_slates

        super().__init__(folder)
        n_users, n_items = self.matrix.shape
        rng = np.random.default_rng(SEED)
        self.terms = random_slates(rng, n_users, n_items, round(share * n_users))

    def fit(self):
        import scipy.sparse as sp
        from internals import RegularizedALS

        start = time.perf_counter()
        rng = np.random.default_rng(SEED)
        factors = (rng.random((n, FACTORS), dtype=np.float32) * 0.01 for n in self.matrix.shape)
        # As the estimator makes it: indices are shared.
        matrix = self.matrix
        parts = np.float32(ALPHA) * matrix.data, matrix.indices, matrix.indptr
        confidence = sp.csr_matrix(parts, matrix.shape)
        self.problem = RegularizedALS(
            confidence, *factors, regularization=REGULARIZATION,
            slates=self.terms, llm_weight=LLM_WEIGHT,
        )  # fmt: skip
        for _ in range(self.fit_sweeps):
            self.problem.sweep()
        return time.perf_counter() - start


class LightFM(Method):
    """WARP, with features in races; its matrix is COO, and each epoch shuffles it."""

    def begin(self, features=True):
        import scipy.sparse as sp
        from lightfm import LightFM as Model

        self.model = Model(no_components=FACTORS, loss="warp", random_state=SEED)
        self.features = None
        if features:
            import pandas as pd
            from internals import encode_items, read_item_data

            table = read_item_data(pd.read_pickle(self.folder / "items"), "item")
            made = encode_items("auto", table, np.arange(self.matrix.shape[1]))[0]
            self.features = sp.hstack(
                [sp.eye(self.matrix.shape[1], dtype=np.float32), made], format="csr"
            )
        self.pairs = self.matrix.tocoo()

    def step(self):
        self.model.fit_partial(
            self.pairs, item_features=self.features, epochs=1, num_threads=os.cpu_count()
        )

    def fit(self):
        start = time.perf_counter()
        self.begin(features=False)
        for _ in range(self.fit_sweeps):
            self.step()
        return time.perf_counter() - start

    def factors(self):
        bias, items = self.model.get_item_representations(self.features)
        _, users = self.model.get_user_representations()
        return (
            np.column_stack([users, np.ones(len(users), np.float32)]),
            np.column_stack([items, bias]),
        )


class Cmfrec(Method):
    """Its implicit model, by conjugate gradients as all; it cannot go on from where it was."""

    def fit(self, iterations=None):
        from cmfrec import CMF_implicit

        start = time.perf_counter()
        CMF_implicit(
            k=FACTORS, lambda_=REGULARIZATION, alpha=ALPHA, use_cg=True,
            niter=iterations or self.fit_sweeps,
            finalize_chol=False, precompute_for_predictions=False, nthreads=os.cpu_count(),
            random_state=SEED, verbose=False,
        ).fit(self.matrix.tocoo())  # fmt: skip
        return time.perf_counter() - start

    def sweep(self):
        start = time.process_time()
        one = self.fit(1)
        middle = time.process_time()
        return self.fit(2) - one, time.process_time() - 2 * middle + start


def make_method(name, folder):
    """Return a method by its name, after the imports it needs."""
    modules = {REFERENCE: "implicit.cpu.als", "LightFM": "lightfm", "cmfrec": "cmfrec"}
    import_module(modules.get(name, "sklearn_selreg"))
    if name in SHARES:
        return Slates(folder, SHARES[name])
    return {
        REFERENCE: Implicit, "ours, plain": Ours, "ours, features": Features,
        "ours, defaults": Defaults, "LightFM": LightFM, "cmfrec": Cmfrec,
    }[name](folder)  # fmt: skip


def ndcg(user_factors, item_factors, seen, valid, n=10, most_users=5000):
    """Return the mean NDCG@10 of unseen items, over users with held-out ones."""
    users = np.flatnonzero(np.diff(valid.indptr))[:most_users]
    discounts = 1 / np.log2(np.arange(2, n + 2))
    total = 0.0
    for start in range(0, len(users), 500):
        rows = users[start : start + 500]
        scores = user_factors[rows] @ item_factors.T
        scores[seen[rows].nonzero()] = -np.inf
        top = np.argpartition(-scores, n, axis=1)[:, :n]
        order = np.argsort(-np.take_along_axis(scores, top, 1), axis=1)
        top = np.take_along_axis(top, order, 1)
        relevant = valid[rows]
        hits = np.take_along_axis(relevant.toarray() > 0, top, 1)
        ideal = np.cumsum(discounts)[np.minimum(relevant.getnnz(axis=1), n) - 1]
        total += np.sum((hits * discounts).sum(axis=1) / ideal)
    return float(total / len(users))


def serve(name, folder):
    """Do what is asked on the standard input, a line each, until it ends."""
    method = make_method(name, folder)
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        answer = getattr(method, command)(*arguments)
        result = {"answer": answer, "peak": peak_memory(), "imported": method.imported}
        print(json.dumps(result), flush=True)


# -- what asks -----------------------------------------------------------------------------------


class Child:
    """A process with a method."""

    def __init__(self, name, folder):
        self.name = name
        arguments = [sys.executable, __file__, "--serve", name, "--folder", str(folder)]
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ask("ready")  # not to load beside what others measure

    def ask(self, *command):
        """Have a method called, and return its answer and the peak memory."""
        print(json.dumps(command), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has died of {command}.")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def measure(size, folder):
    """Measure all methods at one size, and return the rows of the table."""
    from contextlib import ExitStack

    names = METHODS if size <= MOST_FOR_PEERS else METHODS[:-2]
    with ExitStack() as stack:
        children = {name: stack.enter_context(Child(name, folder)) for name in names}
        rows = {}
        for name, child in children.items():
            fit = child.ask("fit")
            rows[name] = {
                "size": size, "method": name, "fit": fit["answer"], "peak": fit["peak"],
                "beyond_imports": fit["peak"] - fit["imported"], "fit_sweeps": FIT_SWEEPS[size],
            }  # fmt: skip
            print(f"{size:>11,}  {name:<20} fit {fit['answer']:9.3f} s", flush=True)
        rounds = {name: [] for name in names}
        for _ in range(ROUNDS[size]):
            for name, child in children.items():
                rounds[name].append(child.ask("sweep")["answer"])
        batches = {name: [] for name in (REFERENCE, "ours, plain")}
        for _ in range(5):
            for name, seconds in batches.items():
                seconds.append(children[name].ask("recommend")["answer"])
    for name, row in rows.items():
        wall, cpu = np.transpose(rounds[name])
        others, others_cpu = np.transpose(rounds[REFERENCE])
        row["sweep"], row["sweep_cpu"] = float(np.median(wall)), float(np.median(cpu))
        row["sweep_ratio"] = float(np.median(wall / others))
        row["sweep_cpu_ratio"] = float(np.median(cpu / others_cpu))
        row["fit_ratio"] = row["fit"] / rows[REFERENCE]["fit"]
        for memory in ("peak", "beyond_imports"):
            row[f"{memory}_ratio"] = row[memory] / rows[REFERENCE][memory]
        if name in batches:
            took = np.array(batches[name])
            row["users_per_second"] = float(BATCH / np.median(took))
            row["recommend_ratio"] = float(np.median(took / batches[REFERENCE]))
        print(row, flush=True)
    return list(rows.values())


def race(size, folder):
    """Measure how long methods take to LightFM's best NDCG@10."""
    rows, goal = [], None
    for name in ("LightFM", REFERENCE, "ours, plain", "ours, features", "ours, defaults"):
        with Child(name, folder) as child:
            row = child.ask("race", goal)["answer"]
        goal = row["ndcg"] if goal is None else goal
        rows.append({"size": size, "method": name, **row})
        print(rows[-1], flush=True)
    return rows


def versions():
    """Return the versions of what was measured."""
    found = {"python": platform.python_version()}
    for name in ("implicit", "lightfm-next", "cmfrec", "numpy", "scipy", "sklearn_selreg"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def show(results):
    """Print the tables of the README."""
    for row in results["rows"]:
        if row["method"] == REFERENCE:
            print(f"\n{row['size']:,} interactions, {row['date']}\n")
            print(
                "| | s / sweep | ratio | processor s | ratio | fit, s | ratio | peak, MB | ratio | "
                "beyond imports |\n|---" + "|--:" * 9 + "|"
            )
        cells = [f"{row['sweep']:.3g}", f"{row['sweep_ratio']:.2f}x"]
        cells += [f"{row['sweep_cpu']:.3g}", f"{row['sweep_cpu_ratio']:.2f}x"]
        cells += [f"{row['fit']:.3g}", f"{row['fit_ratio']:.2f}x", f"{row['peak']:,.0f}"]
        cells += [f"{row['peak_ratio']:.2f}x", f"{row['beyond_imports_ratio']:.2f}x"]
        print(f"| {row['method']} | " + " | ".join(cells) + " |")
    print("\nRecommend, batches of 10,000 users\n\n| interactions | users / s | ratio |")
    print("|--:|--:|--:|")
    for row in results["rows"]:
        if "recommend_ratio" in row and row["method"] != REFERENCE:
            cells = (
                f"{row['size']:,}", f"{row['users_per_second']:,.0f}",
                f"{row['recommend_ratio']:.2f}x",
            )  # fmt: skip
            print(f"| {' | '.join(cells)} |")
    print("\nTime to LightFM's best NDCG@10\n\n| interactions | | seconds | sweeps | NDCG@10 |")
    print("|--:|---|--:|--:|--:|")
    for row in results["races"]:
        seconds = f"{row['seconds']:.2f}" if row["reached"] else "not reached"
        print(
            f"| {row['size']:,} | {row['method']} | {seconds} | {row['sweeps']} | "
            f"{row['ndcg']:.4f} |"
        )
    print("\nProcessor nanoseconds of a sweep for each interaction\n")
    sizes = sorted({row["size"] for row in results["rows"]})
    print(
        "| | " + " | ".join(f"{size:,}" for size in sizes) + " |\n|---" + "|--:" * len(sizes) + "|"
    )
    for name in METHODS:
        cost = {
            r["size"]: r["sweep_cpu"] / r["size"] for r in results["rows"] if r["method"] == name
        }
        cells = (f"{cost[size] * 1e9:,.0f}" if size in cost else "" for size in sizes)
        print(f"| {name} | " + " | ".join(cells) + " |")


def main():
    """Measure, and update the file of results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", type=int, help=f"of {SIZES}; none: all")
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file to update")
    parser.add_argument("--show", action="store_true", help="print the results there are")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve, args.folder)
    if args.make:
        return make_world(args.folder, args.make)
    empty = {"rows": [], "races": []}
    results = json.loads(args.output.read_text()) if args.output.exists() else empty
    for size in () if args.show else args.sizes or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            # This process stays small: on Linux a child's peak begins with its parent's size.
            command = [sys.executable, __file__, "--make", str(size), "--folder", folder]
            subprocess.run(command, check=True)
            found = {"rows": measure(size, folder)}
            found["races"] = race(size, folder) if size in RACES else []
        for key, rows in found.items():
            rows = [{**row, "date": date.today().isoformat()} for row in rows]
            results[key] = [row for row in results[key] if row["size"] != size] + rows
            results[key].sort(key=lambda row: row["size"])
        results |= {
            "seed": SEED, "cores": os.cpu_count(), "machine": platform.machine(),
            "factors": FACTORS, "versions": versions(),
        }  # fmt: skip
        args.output.write_text(json.dumps(results, indent=1) + "\n")
    show(results)


if __name__ == "__main__":
    main()

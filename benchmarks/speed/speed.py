"""Time and memory compared with other recommenders, side by side.

Run ``make benchmark-speed``, or ``python benchmarks/speed/speed.py [SIZE ...] [--factors K ...]``
for given numbers of interactions. Updates ``benchmarks/results/speed.json`` size by size, and the
tables in ``benchmarks/README.md`` (with ``--show`` only the tables). Limits of the machine and
serial parts of a sweep are measured by ``benchmarks/speed/roofline.py``.

Each method runs in its own process, on the same matrix of synthetic data (`make_interactions`; on
average 50 interactions per user and 5 users per item, popularity proportional to 1 / rank), with
the same number of factors. In each round, each method performs one sweep, in turn. Reported are the
medians over the rounds, and the medians of the rounds' ratios to `implicit`. A first round, which
lays out matrices, is not counted. All methods use all cores; BLAS is limited to one thread where
`implicit` recommends it.

- *fit*: from a CSR matrix (and the table of items) to factors, with 5 sweeps (2 and 1 at 5 and 20
  million). Ours is `SelectiveLLMRegularizedMF.fit` without tuning (``tuning=None``), item bias,
  weights of missing entries and recency, which `implicit` does not have. With slates, it is the
  regularized problem, from the matrix and slates of 20 items to factors; judge, gate and
  calibration are measured in ``judging.py``.
- *peak memory* of the process (resident), from its start to the end of the fit, including imports
  and the caller's matrix.
- *time to the objective*: the time ours and `implicit` take to reach the objective of `implicit`
  after `OBJECTIVE_SWEEPS` sweeps (other methods have other objectives).
- *time to the best*: each method is trained until NDCG@10 on held-out interactions has not improved
  for `PATIENCE` sweeps or epochs. Reported is the time to reach the lowest of the methods' best
  values (without evaluation), with the settings of this table and, for ours, with the fixed ones.
  None was tuned on these data.
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
from importlib.util import find_spec
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository
from formatting import table

RESULTS = repository.RESULTS / "speed.json"
SIZES = (100_000, 1_000_000, 5_000_000, 20_000_000)
ROUNDS = {100_000: 15, 1_000_000: 7, 5_000_000: 3, 20_000_000: 2}
RACES = (100_000, 1_000_000)  # sizes for the times to an objective and to the best
MOST_FOR_PEERS = 5_000_000  # above, LightFM and cmfrec would take half of the run time
ALPHA, REGULARIZATION = 14.0, 60.0
FACTORS = int(os.environ.get("SPEED_FACTORS", 64))
FIT_SWEEPS = {100_000: 5, 1_000_000: 5, 5_000_000: 2, 20_000_000: 1}
LLM_WEIGHT, MARGIN = 20.0, 0.06
SLATE_SIZE, BATCH = 20, 10_000
PATIENCE, MOST_EPOCHS = 4, 40
OBJECTIVE_SWEEPS = 15
SEED = 0
REFERENCE = "implicit"
SHARES = {"ours, slates 1 %": 0.01, "ours, slates 10 %": 0.1, "ours, slates 100 %": 1.0}
METHODS = (
    *(REFERENCE, "ours, plain", "ours, features", "ours, features and weights", *SHARES),
    *("irspack", "LightFM", "cmfrec"),
)
OF_LARGEST = (REFERENCE, "ours, plain", "ours, features", "irspack")  # at 20 million
RACERS = ("LightFM", REFERENCE, "irspack", "ours, plain", "ours, features", "ours, fixed settings")
NAMES = {"user_col": "user", "item_col": "item"}
PLAIN = {"item_bias": 0, "backbone__missing_power": 0, "backbone__recency_power": 0}


# -- child processes ------------------------------------------------------------------------------


def make_world(folder, n_interactions):
    """Write training matrix, held-out part and item data of synthetic data into a folder."""
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
    """Peak resident memory of this process so far, in MB."""
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
    """A method in its process: `fit`, then `sweep`, `recommend` and `race` as requested."""

    def __init__(self, folder):
        import scipy.sparse as sp

        self.folder = folder
        self.imported = peak_memory()
        self.matrix = sp.load_npz(folder / "train.npz")
        self.fit_sweeps = FIT_SWEEPS.get(self.matrix.nnz, 5)  # races hold out a part

    def ready(self):
        """Do nothing; an answer shows that everything is loaded."""

    def sweep(self):
        """Perform one more sweep; return its wall and CPU seconds."""
        start = time.perf_counter(), time.process_time()
        self.step()
        return time.perf_counter() - start[0], time.process_time() - start[1]

    def race(self):
        """Train until NDCG@10 has not improved for `PATIENCE` sweeps.

        Returns
        -------
        course : list of tuples (seconds, CPU seconds, NDCG@10)
            After each sweep.
        """
        import scipy.sparse as sp

        valid = sp.load_npz(self.folder / "valid.npz")
        self.begin()
        course, best = [], 0
        while len(course) < MOST_EPOCHS and len(course) - best < PATIENCE:
            took = self.sweep()
            before = course[-1] if course else (0.0, 0.0)
            value = ndcg(*self.factors(), self.matrix, valid)
            course.append((before[0] + took[0], before[1] + took[1], value))
            if value >= max(other for _, _, other in course):
                best = len(course)
        return course

    def descend(self, goal=None):
        """Sweep until the objective `goal` is reached; if None, `OBJECTIVE_SWEEPS` times.

        Returns
        -------
        result : tuple (seconds, CPU seconds, sweeps, objective)
        """
        from internals import RegularizedALS

        self.begin()
        spent, value = np.zeros(2), np.inf
        for done in range(1, MOST_EPOCHS + 1):
            spent += self.sweep()
            problem = RegularizedALS(
                self.matrix * np.float32(ALPHA), *self.factors(), regularization=REGULARIZATION
            )
            value = problem.loss()
            if value <= goal if goal is not None else done == OBJECTIVE_SWEEPS:
                break
        return (*spent, done, value)


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
        """Perform one iteration of implicit's `fit`, without rebuilding the matrices."""
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
    terms = {}  # noqa: RUF012

    def __init__(self, folder):
        from internals import compiled

        compiled()  # from the cache; counts as an import
        super().__init__(folder)

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
        ).set_params(**PLAIN | self.terms)  # fmt: skip
        self.model.fit(self.matrix)
        return time.perf_counter() - start

    def begin(self):
        from internals import RegularizedALS, encode_items, read_item_data

        terms = {}
        items = self._item_data()
        if items is not None:
            table = read_item_data(items, "item")
            terms["features"] = encode_items("auto", table, np.arange(self.matrix.shape[1]))[0]
        if self.terms:
            popularity = 5 + self.matrix.getnnz(axis=0)
            terms["missing_weights"] = (popularity / popularity.mean()) ** 0.5
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


class Weighted(Features):
    """Features and weights of missing entries."""

    terms = {"backbone__missing_power": 0.5}  # noqa: RUF012


class Defaults(Features):
    """Our fixed settings, with weights of missing entries and item bias; only for races."""

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
        # Shares its indices, as in the estimator.
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


class Irspack(Method):
    """irspack's implicit ALS with conjugate gradients, its fastest solver."""

    def begin(self):
        from irspack import IALSRecommender

        self.model = IALSRecommender(
            self.matrix, n_components=FACTORS, alpha0=0.1, reg=0.003, n_threads=os.cpu_count(),
            random_seed=SEED,
        )  # fmt: skip
        self.model.start_learning()

    def fit(self):
        start = time.perf_counter()
        self.begin()
        for _ in range(self.fit_sweeps):
            self.step()
        return time.perf_counter() - start

    def step(self):
        self.model.run_epoch()

    def factors(self):
        trained = self.model.trainer.core_trainer
        return np.asarray(trained.user), np.asarray(trained.item)


class LightFM(Method):
    """WARP, with features in races; each epoch shuffles its COO matrix."""

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
    """cmfrec's implicit model with conjugate gradients; it cannot resume training."""

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


MODULES = {
    REFERENCE: "implicit.cpu.als", "irspack": "irspack", "LightFM": "lightfm", "cmfrec": "cmfrec",
}  # fmt: skip


def installed(names):
    """Return the methods with installed packages, and report the others."""
    found = [n for n in names if find_spec(MODULES.get(n, "sklearn_selreg").split(".")[0])]
    for name in set(names) - set(found):
        print(f"{name} is not installed and is skipped", flush=True)
    return found


def make_method(name, folder):
    """Create a method by name, after its imports."""
    import_module(MODULES.get(name, "sklearn_selreg"))
    if name in SHARES:
        return Slates(folder, SHARES[name])
    return {
        REFERENCE: Implicit, "ours, plain": Ours, "ours, features": Features,
        "ours, features and weights": Weighted, "ours, fixed settings": Defaults,
        "irspack": Irspack, "LightFM": LightFM, "cmfrec": Cmfrec,
    }[name](folder)  # fmt: skip


def ndcg(user_factors, item_factors, seen, valid, n=10, most_users=5000):
    """Mean NDCG@10 of unseen items, over users with held-out items."""
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
    """Execute the commands on the standard input, one per line."""
    method = make_method(name, folder)
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        answer = getattr(method, command)(*arguments)
        result = {"answer": answer, "peak": peak_memory(), "imported": method.imported}
        print(json.dumps(result), flush=True)


# -- parent process -------------------------------------------------------------------------------


class Child:
    """A child process with a method."""

    def __init__(self, name, folder):
        self.name = name
        arguments = [sys.executable, __file__, "--serve", name, "--folder", str(folder)]
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ask("ready")  # do not load while others are measured

    def ask(self, *command):
        """Call a method of the child; return its answer and the peak memory."""
        print(json.dumps(command), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process of {self.name} terminated during {command}.")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def measure(size, folder):
    """Measure all methods at one size; return the rows of the table."""
    from contextlib import ExitStack

    names = installed(METHODS if size <= MOST_FOR_PEERS else OF_LARGEST)
    with ExitStack() as stack:
        children = {name: stack.enter_context(Child(name, folder)) for name in names}
        rows = {}
        for name, child in children.items():
            fit = child.ask("fit")
            rows[name] = {
                "size": size, "factors": FACTORS, "method": name, "fit": fit["answer"],
                "peak": fit["peak"],
                "beyond_imports": fit["peak"] - fit["imported"], "fit_sweeps": FIT_SWEEPS[size],
            }  # fmt: skip
            print(f"{size:>11,}  {name:<20} fit {fit['answer']:9.3f} s", flush=True)
        rounds = {name: [] for name in names}
        for number in range(1 + ROUNDS[size]):
            for name, child in children.items():
                took = child.ask("sweep")["answer"]
                if number > 0:
                    rounds[name].append(took)
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
    """Measure the time of each method to the lowest of the methods' best NDCG@10."""
    courses, rows = {}, []
    for name in installed(RACERS):
        with Child(name, folder) as child:
            courses[name] = child.ask("race")["answer"]
    goal = min(max(value for *_, value in course) for course in courses.values())
    for name, course in courses.items():
        at = next(n for n, (*_, value) in enumerate(course) if value >= goal)
        seconds, cpu, value = course[at]
        best = max(value for *_, value in course)
        row = {"seconds": seconds, "cpu": cpu, "sweeps": at + 1, "ndcg": value, "best": best}
        rows.append({"size": size, "factors": FACTORS, "method": name, **row})
        print(rows[-1], flush=True)
    return rows


def descend(size, folder):
    """Measure the time of ours and `implicit` to the objective of `implicit`."""
    rows, goal = [], None
    for name in (REFERENCE, "ours, plain"):
        with Child(name, folder) as child:
            seconds, cpu, sweeps, value = child.ask("descend", goal)["answer"]
        goal = value if goal is None else goal
        row = {"seconds": seconds, "cpu": cpu, "sweeps": sweeps, "objective": value}
        rows.append({"size": size, "factors": FACTORS, "method": name, **row})
        print(rows[-1], flush=True)
    return rows


def versions():
    """Return the versions of the measured packages."""
    found = {"python": platform.python_version()}
    for name in (
        "implicit",
        "irspack",
        "lightfm-next",
        "cmfrec",
        "numba",
        "numpy",
        "scipy",
        "sklearn_selreg",
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def as_tables(results):
    """Build the tables of the README."""
    columns = (
        *("", "CPU s / sweep", "ratio", "ratio, wall", "ns / interaction"),
        *("fit, s", "ratio", "peak, MB", "beyond imports"),
    )
    parts = []
    for size, factors in sorted({(row["size"], row["factors"]) for row in results["rows"]}):
        some = [r for r in results["rows"] if (r["size"], r["factors"]) == (size, factors)]
        parts += [f"{size:,} interactions, {factors} factors, {some[0]['date']}:"]
        parts += [table(columns, [[
            r["method"], f"{r['sweep_cpu']:.3g}", f"{r['sweep_cpu_ratio']:.2f}x",
            f"{r['sweep_ratio']:.2f}x", f"{r['sweep_cpu'] / size * 1e9:,.0f}",
            f"{r['fit']:.3g}", f"{r['fit_ratio']:.2f}x",
            f"{r['peak']:,.0f}", f"{r['beyond_imports_ratio']:.2f}x",
        ] for r in some])]  # fmt: skip
    parts += ["Recommending to batches of 10,000 users, compared with `implicit`:"]
    parts += [table(("interactions", "factors", "users / s", "ratio, wall"), [
        [f"{r['size']:,}", str(r["factors"]), f"{r['users_per_second']:,.0f}",
         f"{r['recommend_ratio']:.2f}x"]
        for r in results["rows"] if "recommend_ratio" in r and r["method"] != REFERENCE
    ])]  # fmt: skip
    parts += [f"Time to reach the objective of `implicit` after {OBJECTIVE_SWEEPS} sweeps:"]
    parts += [table(("interactions", "", "seconds", "CPU s", "sweeps"), [
        [f"{r['size']:,}", r["method"], f"{r['seconds']:.2f}", f"{r['cpu']:.2f}", str(r["sweeps"])]
        for r in results["objectives"]
    ])]  # fmt: skip
    parts += ["Time to reach the lowest of the methods' best NDCG@10:"]
    parts += [table(("interactions", "", "seconds", "CPU s", "sweeps", "own best"), [
        [f"{r['size']:,}", r["method"], f"{r['seconds']:.2f}", f"{r['cpu']:.2f}",
         str(r["sweeps"]), f"{r['best']:.4f}"]
        for r in results["races"]
    ])]  # fmt: skip
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def main():
    """Measure, and update the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", type=int, help=f"subset of {SIZES} (default: all)")
    parser.add_argument("--factors", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--output", type=Path, default=RESULTS, help="JSON file to update")
    parser.add_argument("--show", action="store_true", help="write the tables; measure nothing")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve, args.folder)
    if args.make:
        return make_world(args.folder, args.make)
    results = {"rows": [], "races": [], "objectives": []}
    if args.output.exists():
        results |= json.loads(args.output.read_text())
    for size in () if args.show else args.sizes or SIZES:
        for factors in args.factors if size <= MOST_FOR_PEERS else args.factors[:1]:
            run(size, factors, results)
            args.output.write_text(json.dumps(results, indent=1) + "\n")
    if args.output == RESULTS:
        repository.write_block("benchmarks/README.md", "make benchmark-speed", as_tables(results))


def run(size, factors, results):
    """Measure at one size, and replace its results."""
    global FACTORS
    FACTORS = factors
    os.environ["SPEED_FACTORS"] = str(factors)  # for the children
    with tempfile.TemporaryDirectory() as folder:
        # Keep this process small: on Linux, a child's peak starts at its parent's size.
        command = [sys.executable, __file__, "--make", str(size), "--folder", folder]
        subprocess.run(command, check=True)
        found = {"rows": measure(size, folder)}
        if size in RACES and factors == 64:
            found |= {"races": race(size, folder), "objectives": descend(size, folder)}
    for key, rows in found.items():
        rows = [{**row, "date": date.today().isoformat()} for row in rows]
        kept = [r for r in results[key] if (r["size"], r.get("factors")) != (size, factors)]
        results[key] = sorted(kept + rows, key=lambda row: (row["size"], row["factors"]))
    results |= {
        "seed": SEED, "cores": os.cpu_count(), "machine": platform.machine(),
        "versions": versions(),
    }  # fmt: skip


if __name__ == "__main__":
    main()

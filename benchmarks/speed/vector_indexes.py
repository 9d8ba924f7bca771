"""Recall of approximate indexes relative to `recommend`, and the settings it requires.

Run ``python benchmarks/speed/vector_indexes.py [--items 20000]``; usearch, faiss, hnswlib and
voyager are installed into a separate environment. Writes
``benchmarks/results/vector_indexes.json`` and prints the tables of ``docs/vector_indexes.md``.
Recall is the fraction of the ten best items by inner product that an index finds. Times are CPU
times on one thread.
"""

import argparse
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository  # isort: skip
import environment

PACKAGES = ("usearch==2.26.6", "faiss-cpu==1.15.1", "hnswlib==0.8.0", "voyager==2.2.3")
RESULTS = repository.RESULTS / "vector_indexes.json"
K, EFS, WANTED, N_QUERIES, COLUMNS = 10, (32, 64, 128, 256, 512), 0.99, 500, 64
WORLD = {"n_users": 10_000, "n_items": 20_000, "n_interactions": 500_000}


class USearch:
    """Its defaults: bfloat16, 16 neighbors, 128 candidates while adding and 64 while searching."""

    name, package, has_defaults_to_build = "usearch", "usearch", True

    def __init__(self, vectors, distance, defaults):
        from usearch.index import Index

        metric, dtype = "l2sq" if distance else "ip", "bf16" if defaults else "f32"
        self.index = Index(ndim=vectors.shape[1], metric=metric, dtype=dtype)
        self.index.add(np.arange(len(vectors)), vectors, threads=1)

    def search(self, queries, ef):
        if ef is not None:
            self.index.expansion_search = ef
        return self.index.search(queries, K, threads=1).keys


class Faiss:
    """Its defaults for HNSW: 40 candidates while adding and 16 while searching."""

    name, package, has_defaults_to_build = "faiss `IndexHNSWFlat`", "faiss-cpu", True

    def __init__(self, vectors, distance, defaults):
        import faiss

        faiss.omp_set_num_threads(1)
        metric = faiss.METRIC_L2 if distance else faiss.METRIC_INNER_PRODUCT
        self.index = faiss.IndexHNSWFlat(vectors.shape[1], 32, metric)
        if not defaults:
            self.index.hnsw.efConstruction = 200
        self.index.add(vectors)

    def search(self, queries, ef):
        if ef is not None:
            self.index.hnsw.efSearch = ef
        return self.index.search(queries, K)[1]


class HNSWLib:
    """Its defaults: 16 neighbors, 200 candidates while adding and 10 while searching."""

    name, package, has_defaults_to_build = "hnswlib", "hnswlib", False

    def __init__(self, vectors, distance, defaults):
        import hnswlib

        self.index = hnswlib.Index("l2" if distance else "ip", vectors.shape[1])
        self.index.init_index(len(vectors))
        self.index.set_num_threads(1)
        self.index.add_items(vectors)

    def search(self, queries, ef):
        if ef is not None:
            self.index.set_ef(ef)
        return self.index.knn_query(queries, K)[0]


class Voyager:
    """Its defaults: 12 neighbors, 200 candidates while adding and 10 while searching."""

    name, package, has_defaults_to_build = "voyager", "voyager", False

    def __init__(self, vectors, distance, defaults):
        from voyager import Index, Space

        space = Space.Euclidean if distance else Space.InnerProduct
        self.index = Index(space, vectors.shape[1])
        self.index.add_items(vectors, num_threads=1)

    def search(self, queries, ef):
        more = {} if ef is None else {"query_ef": ef}
        return self.index.query(queries, K, num_threads=1, **more)[0]


def fitted(X, item_data, **settings):
    """Return a fitted model with biases, and a sample of its users."""
    from sklearn_selreg import SelectiveLLMRegularizedMF

    model = SelectiveLLMRegularizedMF(
        item_data=item_data, user_col="user", item_col="item", time_col="time", tuning=None,
        random_state=0, **settings,
    ).fit(X)  # fmt: skip
    return model, model.users_[:: -(-len(model.users_) // N_QUERIES)]


def catalogs(n_items):
    """Yield name, model and users of each catalog."""
    from sklearn_selreg.datasets import load_movielens_coldstart, make_interactions

    films = load_movielens_coldstart()
    yield "MovieLens", *fitted(films.train, films.item_data)
    yield "MovieLens, LMF", *fitted(films.train, films.item_data, backbone="lmf")
    world = make_interactions(**WORLD, random_state=0)
    yield "synthetic", *fitted(world.X, None, popularity_periods=1)
    yield "a few long vectors", *long_vectors(n_items)


def long_vectors(n_items):
    """Return a model with synthetic factors: tastes, norms that follow popularity, and biases."""
    from sklearn_selreg import SelectiveLLMRegularizedMF

    rng = np.random.default_rng(0)
    spectrum = np.arange(1, COLUMNS + 1) ** -0.5
    tastes = rng.normal(size=(300, COLUMNS)) * spectrum
    popularity = rng.zipf(1.7, n_items).clip(max=10_000)

    def draw(n):
        return tastes[rng.integers(300, size=n)] + 0.7 * rng.normal(size=(n, COLUMNS)) * spectrum

    items = draw(n_items) * (0.1 + np.log1p(popularity) / 10)[:, None]
    items = np.column_stack([items, 0.25 * popularity / (popularity + 5)])
    users = np.column_stack([draw(N_QUERIES) * 0.3, np.ones(N_QUERIES)])
    model = SelectiveLLMRegularizedMF.from_factors(range(N_QUERIES), range(n_items), users, items)
    return model, model.users_


def measure(kind, model, users, exact, equal_norms):
    """Measure one library on one kind of vectors."""
    items = model.item_vectors(equal_norms=equal_norms)
    queries = model.user_vectors(users, equal_norms=equal_norms)

    def recall(index, ef):
        start = time.process_time()
        found = index.search(queries, ef)
        seconds = time.process_time() - start
        shared = [len(np.intersect1d(*both)) for both in zip(found, exact, strict=True)]
        return float(np.mean(shared)) / K, round(1e6 * seconds / len(users))

    row = {"library": kind.name, "version": version(kind.package), "equal norms": equal_norms}
    start = time.process_time()
    index = kind(items, equal_norms, kind.has_defaults_to_build)
    row["seconds to build"] = round(time.process_time() - start, 1)
    row["recall, defaults"], row["microseconds, defaults"] = recall(index, None)
    if kind.has_defaults_to_build:
        index = kind(items, equal_norms, False)
    for ef in EFS:
        row["recall"], row["microseconds"] = recall(index, ef)
        row["ef"] = ef
        if row["recall"] >= WANTED:
            break
    return row


def cell(row):
    """Format the recall with the defaults, and the candidates needed for the wanted recall."""
    reached = row["ef"] if row["recall"] >= WANTED else f"no: {row['recall']:.3f} by {row['ef']}"
    return f"{row['recall, defaults']:.3f}; {reached}"


def table(results, equal_norms):
    """Build the Markdown table for one kind of vectors."""
    rows = [[row for row in r["indexes"] if row["equal norms"] == equal_norms] for r in results]
    lines = [["", *(r["catalog"] for r in results)], ["---", *["--:"] * len(results)]]
    lines.append(["items x columns", *("{:,} x {}".format(*r["shape"]) for r in results)])
    for same in zip(*rows, strict=True):
        lines.append([f"{same[0]['library']} {same[0]['version']}", *map(cell, same)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    """Measure all libraries on all catalogs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=20_000)
    args = parser.parse_args()
    environment.run_with(*PACKAGES)
    results = []
    for name, model, users in catalogs(args.items):
        model.set_params(n_jobs=1)
        model.recommend(users[:1], K, filter_seen=False)  # compiles
        start = time.process_time()
        found, _ = model.recommend(users, K, filter_seen=False)
        seconds = time.process_time() - start
        exact = model.item_rows(found.ravel()).reshape(found.shape)
        result = {
            "catalog": name,
            "shape": model.item_vectors().shape,
            "queries": len(users),
            "microseconds of recommend": round(1e6 * seconds / len(users)),
            "indexes": [
                measure(kind, model, users, exact, equal_norms)
                for kind in (USearch, Faiss, HNSWLib, Voyager)
                for equal_norms in (False, True)
            ],
        }
        results.append(result)
        print(name, result["shape"], "done", flush=True)
    print(table(results, False), table(results, True), sep="\n\n")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

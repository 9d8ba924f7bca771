"""Time of sweeps and fits compared with plain `implicit`, side by side.

Run ``python benchmarks/speed/sweeps.py [--repeat 15] [--interactions 5000000] [--output FILE]``. In
each round, each variant runs once, in turn. Reported are the median time over the rounds, and the
median of the rounds' ratios to `implicit`'s own `AlternatingLeastSquares` (its BLAS limited to one
thread, as it recommends). Goals: at most 2x a plain sweep with a slate of 20 films for each user of
MovieLens, and at most 1.2x with slates for 5 % of the users of a synthetic matrix.
"""

import argparse
import json
import os
import platform
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

from internals import (
    RegularizedALS,
    SlateTerms,
    encode_items,
    index_interactions,
    place_slates,
    read_item_data,
)

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import load_movielens_coldstart

SETTINGS = {"factors": 64, "regularization": 60.0}
ALPHA, ITERATIONS = 14.0, 15
LLM_WEIGHT, MARGIN = 20.0, 0.06
SLATE_SIZE = 20
REFERENCE = "implicit"
COLUMNS = {"user_col": "user", "item_col": "item"}


def implicit_sweep(confidence):
    """Return a function that performs one sweep of `implicit` and returns its seconds."""
    seconds = []
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(**SETTINGS, iterations=1, random_state=0)

    def sweep():
        with threadpool_limits(1, "blas"):
            model.fit(  # continues from its current factors
                confidence,
                show_progress=False,
                callback=lambda _, elapsed, __: seconds.append(elapsed),
            )
        return seconds.pop()

    return sweep


def our_sweep(confidence, **terms):
    """Return a function that performs one of our sweeps and returns its seconds."""
    rng = np.random.default_rng(0)
    start = (
        rng.random((n, SETTINGS["factors"]), dtype=np.float32) * 0.01 for n in confidence.shape
    )
    problem = RegularizedALS(confidence, *start, regularization=SETTINGS["regularization"], **terms)
    return partial(seconds_of, problem.sweep)


def seconds_of(call):
    """Call a function; return its wall seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(section, variants, repeat, goals=()):
    """Run the variants in turn, for `repeat` rounds after a warm-up round.

    Parameters
    ----------
    section : str
    variants : dict of str to callable
        Functions that return their seconds, including `REFERENCE`.
    repeat : int
    goals : dict of str to float
        Largest acceptable ratios.

    Returns
    -------
    rows : list of dict
        One per variant; also printed.
    """
    rounds = [{name: run() for name, run in variants.items()} for _ in range(repeat + 1)][1:]
    print(f"\n{section}\n{'':<34}{'seconds':>10}{'ratio':>8}{'goal':>8}")
    rows = []
    for name in variants:
        row = {
            "section": section,
            "variant": name,
            "seconds": float(np.median([r[name] for r in rounds])),
            "ratio": float(np.median([r[name] / r[REFERENCE] for r in rounds])),
            "goal": dict(goals).get(name),
        }
        goal = f"{row['goal']:>7.1f}x" if row["goal"] else ""
        print(f"{name:<34}{row['seconds']:>10.4f}{row['ratio']:>7.2f}x{goal}", flush=True)
        rows.append(row)
    return rows


def movielens_sweeps(data, repeat):
    """Sweeps over the training interactions of MovieLens, with and without the terms."""
    table = read_item_data(data.item_data, "item")
    interactions = index_interactions(data.train, **COLUMNS, time_col="time", extra_items=table.ids)
    features, _ = encode_items("auto", table, interactions.items)
    slates, _ = place_slates(data.judge.judged_slates(), interactions)
    slates = slates[~slates.calibrates]
    slates = slates[np.unique(slates.users, return_index=True)[1]]  # the first of each user
    gaps, _ = slates.gaps()
    gaps = np.nan_to_num(np.maximum(gaps, 0))
    terms = SlateTerms.from_matrices(slates.users, slates.items, gaps, MARGIN)
    popularity = interactions.matrix.getnnz(axis=0)
    parts = {
        "features": {"features": features},
        "missing weights": {"missing_weights": (popularity + 5) / np.mean(popularity + 5)},
        "slates": {"slates": terms, "llm_weight": LLM_WEIGHT},
    }
    everything = {name: value for part in parts.values() for name, value in part.items()}
    confidence = interactions.matrix * np.float32(ALPHA)
    variants = {
        REFERENCE: implicit_sweep(confidence),
        "ours, plain": our_sweep(confidence),
        **{f"ours, {name}": our_sweep(confidence, **part) for name, part in parts.items()},
        "ours, all together": our_sweep(confidence, **everything),
    }
    n_users, n_items = confidence.shape
    title = (
        f"Sweep, MovieLens: {n_users} x {n_items}, {confidence.nnz} interactions, "
        f"{len(slates)} slates, {features.shape[1]} features"
    )
    return measure(title, variants, repeat, goals={"ours, slates": 2.0})


def synthetic_sweeps(n_interactions, repeat):
    """Sweeps over a matrix with slates for 5 % of the users."""
    rng = np.random.default_rng(0)
    confidence = zipf_matrix(rng, n_interactions) * np.float32(ALPHA)
    n_users, n_items = confidence.shape
    terms = random_slates(rng, n_users, n_items, n_users // 20)
    variants = {
        REFERENCE: implicit_sweep(confidence),
        "ours, plain": our_sweep(confidence),
        "ours, slates": our_sweep(confidence, slates=terms, llm_weight=LLM_WEIGHT),
    }
    title = (
        f"Sweep, synthetic: {n_users} x {n_items}, {confidence.nnz} interactions, "
        f"{len(terms.users)} slates"
    )
    return measure(title, variants, repeat, goals={"ours, slates": 1.2})


def zipf_matrix(rng, n_interactions):
    """Draw 50 interactions per user on average, with popularity proportional to 1 / rank."""
    n_users = max(n_interactions // 50, 1000)
    n_items = max(n_interactions // 250, 1000)
    share = np.cumsum(1 / np.arange(1, n_items + 1))
    pairs = np.empty(0, dtype=np.int64)
    while len(pairs) < n_interactions:
        items = np.searchsorted(share, rng.random(n_interactions) * share[-1])
        users = rng.integers(n_users, size=n_interactions)
        pairs = np.union1d(pairs, users * n_items + items)
    pairs = rng.choice(pairs, n_interactions, replace=False)
    entries = np.ones(n_interactions, dtype=np.float32), np.divmod(pairs, n_items)
    return sp.csr_matrix(entries, shape=(n_users, n_items))


def random_slates(rng, n_users, n_items, n_slates):
    """Draw slates of random users with candidates of all popularities; weights are gaps."""
    users = np.sort(rng.choice(n_users, n_slates, replace=False))
    width = n_items // SLATE_SIZE
    places = (n_slates, SLATE_SIZE)
    items = np.arange(SLATE_SIZE) * width + rng.integers(width, size=places)
    ratings = rng.random(places, dtype=np.float32)
    first, second = np.triu_indices(SLATE_SIZE, 1)
    gaps = ratings[:, first]
    gaps -= ratings[:, second]
    margins = np.broadcast_to(np.float32(MARGIN), gaps.shape)
    return SlateTerms(users, items.astype(np.int32), gaps, margins)


def movielens_fits(data, repeat):
    """Fits from a table of interactions, with fixed settings; `implicit` fits a matrix."""
    matrix = index_interactions(data.train, **COLUMNS, time_col="time").matrix
    plain = {"item_bias": 0, "backbone__missing_power": 0, "backbone__recency_power": 0}

    def implicit_fit():
        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                **SETTINGS, alpha=ALPHA, iterations=ITERATIONS, random_state=0
            )
            model.fit(matrix, show_progress=False)

    def our_fit(**parameters):
        model = SelectiveLLMRegularizedMF(
            **SETTINGS, alpha=ALPHA, iterations=ITERATIONS, **COLUMNS, time_col="time",
            random_state=0, tuning=None,
        ).set_params(**parameters)  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about dropped slates
            model.fit(data.train)

    fits = {
        REFERENCE: implicit_fit,
        "ours, plain": partial(our_fit, **plain),
        "ours, features": partial(our_fit, **plain, item_data=data.item_data),
        "ours, default without judge": partial(our_fit, item_data=data.item_data),
        "ours, default with judge": partial(our_fit, item_data=data.item_data, judge=data.judge),
    }
    variants = {name: partial(seconds_of, fit) for name, fit in fits.items()}
    return measure(f"Fit, MovieLens, {ITERATIONS} iterations", variants, repeat)


def main():
    """Measure, print, and store the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=15, help="rounds; a third for fits")
    parser.add_argument(
        "--interactions", type=int, default=5_000_000, help="synthetic interactions"
    )
    parser.add_argument("--output", type=Path, help="JSON file to write")
    args = parser.parse_args()
    data = load_movielens_coldstart()
    few = max(1, args.repeat // 3)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {SETTINGS['factors']} factors")
    rows = movielens_sweeps(data, args.repeat)
    rows += synthetic_sweeps(args.interactions, few)
    rows += movielens_fits(data, few)
    if args.output is not None:
        results = {"cores": os.cpu_count(), "repeat": args.repeat, **SETTINGS, "rows": rows}
        args.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

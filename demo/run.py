"""What an LLM's preferences add and where they can be trusted: MovieLens and two more domains.

Run ``make demo``, or ``python demo/run.py [--fold valid|test] [--seeds N] [--jobs N]``. Writes
``demo/report.json`` (all tables) and ``demo/report.png``.
"""

import argparse
import json
import os
import platform
import time
import warnings
from importlib.metadata import version

import domains
import movielens
import numpy as np
import presentation
import reports
from domains import MOVIELENS
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import sklearn_selreg
from sklearn_selreg.exceptions import GateWarning

N_SEEDS = 3  # 0 to 2: for initial factors and shuffles
N_SEEDS_ELSEWHERE = 2  # on the other domains, and for selecting the weight
KEPT = (movielens.NO_LLM, movielens.SELECTIVE)  # models to inspect


def search(name):
    """Tune the settings on the training likes of a data set."""
    return movielens.ours(domains.load(name), 0).found_params()


def score(seed, weight, found):
    """NDCG@10 on `valid` with the LLM everywhere and the given weight."""
    data = domains.load(MOVIELENS)
    model = movielens.fit(movielens.TUNED, data, seed, found, weight=weight)
    report = reports.evaluate(model, data, "valid", ["all"])["all"]
    return reports.pick(report, "NDCG@10 overall")


def measure(name, method, seed, settings, fold, names):
    """Fit and evaluate one method; return one report per view, and the model if kept."""
    data = domains.load(name)
    model = movielens.fit(method, data, seed, fold=fold, **settings)
    keep = seed == 0 and method in KEPT
    return reports.evaluate(model, data, fold, names), model if keep else None


def _quietly(function, task):
    # One thread per process, as they share the cores.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", GateWarning)  # caused by bad judges
        return task, function(*task)


def parallel(function, tasks, n_jobs, label):
    """Call `function(*task)` in processes; return the results in order."""
    numbered = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_quietly)(function, task) for task in tasks
    )
    return [result for _, result in tqdm(numbered, total=len(tasks), desc=label)]


def choose_weight(found, seeds, n_jobs):
    """Select the weight of the LLM everywhere on `valid`; return it and all scores."""
    tasks = [(seed, weight, found) for weight in movielens.WEIGHTS for seed in seeds]
    scores = parallel(score, tasks, n_jobs, "choosing a weight")
    mean = np.reshape(scores, (len(movielens.WEIGHTS), -1)).mean(axis=1).round(6)
    tried = dict(zip(movielens.WEIGHTS, mean.tolist(), strict=True))
    return max(tried, key=tried.get), tried


def plan(seeds):
    """List the fits: (data set, method, seed, views)."""
    tasks = []
    for name in domains.LOADERS:
        first = list(seeds) if name == MOVIELENS else list(seeds)[:N_SEEDS_ELSEWHERE]
        methods = dict.fromkeys((*domains.METHODS, *domains.WITH_BAD_JUDGES), domains.VIEWS)
        if name == MOVIELENS:
            both = tuple(dict.fromkeys((*movielens.VIEWS, *domains.VIEWS)))
            methods |= dict.fromkeys(movielens.METHODS, both)
        for method, names in methods.items():
            by_chance = method != movielens.POPULARITY
            tasks += [(name, method, seed, names) for seed in (first if by_chance else first[:1])]
    return tasks


def run(fold, seeds, n_jobs):
    """Fit and evaluate everything.

    Returns
    -------
    averaged : dict
        Data set -> view -> method -> report, averaged over the seeds.
    models : dict
        (data set, method) -> model of the first seed, for `KEPT` methods.
    chosen : dict
        Tuned settings by data set, and the selected weight of the LLM everywhere.
    """
    names = list(domains.LOADERS)
    settings = parallel(search, [(name,) for name in names], n_jobs, "finding settings")
    found = dict(zip(names, settings, strict=True))
    weight, tried = choose_weight(found[MOVIELENS], seeds[:N_SEEDS_ELSEWHERE], n_jobs)
    planned = plan(seeds)
    tasks = [
        (name, method, seed, {"found": found[name], "weight": weight}, fold, views)
        for name, method, seed, views in planned
    ]
    by_seed, models = {}, {}
    done = parallel(measure, tasks, n_jobs, "fitting")
    for (name, method, *_), (made, model) in zip(planned, done, strict=True):
        if model is not None:
            models[name, method] = model
        for view, report in made.items():
            by_view = by_seed.setdefault(name, {}).setdefault(view, {})
            by_view.setdefault(method, []).append(report)
    averaged = {
        name: {
            view: {method: reports.average(made) for method, made in by_method.items()}
            for view, by_method in by_view.items()
        }
        for name, by_view in by_seed.items()
    }
    return averaged, models, {"found": found, "weight": weight, "weights_on_valid": tried}


def describe(averaged, models, chosen, fold, seeds):
    """Collect the results, as plain data in a fixed order."""
    parameters = movielens.settings_of(models[MOVIELENS, movielens.SELECTIVE])
    packages = ("scikit-learn", "implicit", "numpy", "scipy", "pandas")
    lens = {method: models[MOVIELENS, method] for method in KEPT}
    return {
        "settings": {
            "fold": fold,
            "seeds": list(seeds),
            "seeds_elsewhere": list(seeds)[:N_SEEDS_ELSEWHERE],
            "plain_als": movielens.PLAIN_ALS,
            "als_item_bias": movielens.ALS_ITEM_BIAS,
            "everywhere_tuned": {name: chosen[name] for name in ("weight", "weights_on_valid")},
            "ours": parameters,
            "found": chosen["found"],
        },
        "versions": {
            "python": platform.python_version(),
            "sklearn_selreg": sklearn_selreg.__version__,
            **{package: version(package) for package in packages},
        },
        **movielens.describe(domains.load(MOVIELENS), averaged[MOVIELENS], lens),
        "domains": {
            name: domains.describe(
                domains.load(name), averaged[name], models[name, movielens.SELECTIVE]
            )
            for name in domains.LOADERS
        },
    }


def main():
    """Run all fits, then store and show the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fold", choices=("valid", "test"), default="test")
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="number (default %(default)s)")
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(os.cpu_count() or 1, 4),
        help="number of processes (default: one per core, at most 4)",
    )
    args = parser.parse_args()
    start = time.perf_counter()
    seeds = range(args.seeds)
    found = run(args.fold, seeds, args.jobs)
    report = describe(*found, args.fold, seeds)
    presentation.REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    presentation.draw(report)
    print(presentation.as_text(report))
    print(f"\nWrote demo/{presentation.REPORT.name} and demo/{presentation.PICTURE.name}")
    print(f"Run time: {time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main()

"""How good the defaults are on other data, compared with tuned recommenders.

Each data set is evaluated twice: with full histories, and with half of the users cold (they keep
their latest 1 to 5 training interactions). Peers are fitted on the training rows with each of their
settings; the best one by NDCG@10 on `valid` is refitted on `train` and `valid`. Ours is fitted on
`train` and `valid` and tuned within them, without knowing the folds. `test` is evaluated once.
Differences from our defaults have 95 % intervals (paired bootstrap over users).

    python benchmarks/quality/defaults.py --data FOLDER [FOLDER ...]

A folder holds `interactions.csv.gz` (`user,item[,time],fold,fold_cold`; the folds are `train`,
`valid`, `test`, and `dropped` for removed interactions of cold users) and `items.csv.gz` (`item`
and features); `split.csv.gz` (`fold` with `dropped`, and `cohort`) with `products.csv.gz` or
`movies.csv.gz` is also accepted. `--worlds` adds the synthetic data of the quality benchmark.
Writes `benchmarks/results/defaults.json`, and its tables into `benchmarks/README.md`; without data
sets, only the tables.
"""

import argparse
import json
import platform
import sys
import time
import warnings
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository
from formatting import number, table

from sklearn_selreg import AutoItemEncoder, SelectiveLLMRegularizedMF

RESULTS = repository.RESULTS / "defaults.json"
PACKAGES = ("sklearn_selreg", "scikit-learn", "implicit", "irspack", "lightfm-next", "numpy")
METRICS = ("NDCG@10", "recall@20", "AUC", "AUC cold", "AUC rare")
SHOWN = ("NDCG@10", "AUC rare", "AUC")  # in the README
REFERENCE, DIFFERENCE = "ours, defaults", "ours, defaults, minus this"
BOOTSTRAPS = 2000
MOST_USERS = 5000  # evaluated, drawn with seed 7
RARE = 3  # fitted interactions of an item, at most
COLD = 5  # fitted interactions of a user, at most
EASE_ITEMS = 8000  # EASE inverts an n_items x n_items matrix


class Split(NamedTuple):
    """Rows of a data set: training, held-out, and excluded from the candidates."""

    fitted: pd.DataFrame
    held_out: pd.DataFrame
    excluded: pd.DataFrame
    items: pd.DataFrame


def load(folder):
    """Read a data set; return its interactions with both folds, and its items."""
    folder = Path(folder)
    rows, items = folder / "interactions.csv.gz", folder / "items.csv.gz"
    if not rows.exists():
        rows = folder / "split.csv.gz"
        items = next(p for p in sorted(folder.glob("*.csv.gz")) if p != rows)
    rows, items = (pd.read_csv(path, dtype={"item": str}) for path in (rows, items))
    if "fold_cold" not in rows:
        rows["fold_cold"] = rows["fold"]
        rows["fold"] = rows["fold"].replace("dropped", "train")
    if "time" in rows and not pd.api.types.is_numeric_dtype(rows["time"]):
        rows["time"] = pd.to_datetime(rows["time"])
    for column in ("title", "description"):
        if column in items and "genres" in items:  # peers do not read titles either
            items = items.drop(columns=column)
    return rows, items


def splits(rows, items, fold, *, tuning):
    """Split for evaluation on `valid` if `tuning`, else on `test`."""
    fitted = ["train"] if tuning else ["train", "valid"]
    return Split(
        rows[rows[fold].isin(fitted)].reset_index(drop=True),
        rows[rows[fold] == ("valid" if tuning else "test")],
        rows[rows[fold] == "dropped"],
        items,
    )


class Evaluation:
    """Ranks the catalog for the users of a split, and computes metrics per user."""

    def __init__(self, split):
        self.catalog = np.sort(pd.unique(np.append(split.items["item"], split.fitted["item"])))
        held_out = split.held_out[split.held_out["item"].isin(self.catalog)]
        users = np.unique(held_out["user"])
        rng = np.random.default_rng(7)
        if len(users) > MOST_USERS:
            users = np.sort(rng.choice(users, MOST_USERS, replace=False))
        self.users = users
        count = split.fitted["item"].value_counts().reindex(self.catalog, fill_value=0)
        self.popularity = count.to_numpy()
        length = split.fitted["user"].value_counts().reindex(users, fill_value=0)
        self.is_cold = length.to_numpy() <= COLD
        self.seen = self._pairs(split.fitted) + self._pairs(split.excluded)
        self.relevant = self._pairs(held_out)

    def _pairs(self, rows):
        rows = rows[rows["user"].isin(self.users) & rows["item"].isin(self.catalog)]
        at = np.searchsorted(self.users, rows["user"]), np.searchsorted(self.catalog, rows["item"])
        shape = len(self.users), len(self.catalog)
        return sp.csr_matrix((np.ones(len(rows), dtype=np.float32), at), shape)

    def details(self, score):
        """Return a row per user: the metrics; `score(users)` has a column per catalog item."""
        found = []
        for start in range(0, len(self.users), 500):
            part = slice(start, start + 500)
            scores = np.asarray(score(self.users[part]), dtype=np.float64)
            scores[self.seen[part].nonzero()] = -np.inf
            for row, of_user in enumerate(scores, start):
                found.append(self._of_user(row, of_user))
        return pd.DataFrame(found, columns=METRICS)

    def _of_user(self, row, scores):
        relevant = self.relevant[row].indices
        relevant = relevant[np.isfinite(scores[relevant])]
        if not len(relevant):
            return [np.nan] * len(METRICS)
        own = scores[relevant, np.newaxis]
        above, level = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
        rank = above + (level - 1) / 2
        n_candidates = np.isfinite(scores).sum()
        # Ties are broken at random: in expectation, w tied items share w positions.
        places = np.arange(20)
        inside = (places >= above[:, None]) & (places < (above + level)[:, None])
        share = inside / level[:, None]
        gain = share[:, :10].sum(axis=0) @ (1 / np.log2(2 + np.arange(10)))
        ideal = np.sum(1 / np.log2(2 + np.arange(min(10, len(relevant)))))
        # Only among the user's negatives.
        better = (rank[:, None] > rank[None, :]).sum(axis=1)
        auc = 1 - (rank - better) / max(n_candidates - len(relevant), 1)
        rare = self.popularity[relevant] <= RARE
        return [
            gain / ideal,
            share.sum() / len(relevant),
            auc.mean(),
            auc.mean() if self.is_cold[row] else np.nan,
            auc[rare].mean() if rare.any() else np.nan,
        ]


class Table:
    """The training interactions of a split as a matrix."""

    def __init__(self, split, catalog):
        self.users = np.unique(split.fitted["user"])
        rows = np.searchsorted(self.users, split.fitted["user"])
        columns = np.searchsorted(catalog, split.fitted["item"])
        shape = len(self.users), len(catalog)
        self.matrix = sp.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape)
        self.matrix.data[:] = 1

    def rows(self, users):
        """Return the rows of users; -1 for unknown users."""
        place = np.minimum(np.searchsorted(self.users, users), len(self.users) - 1)
        return np.where(self.users[place] == users, place, -1)

    def score_known(self, users, score_rows, default):
        """Score known users by row; all others get the default scores."""
        rows = self.rows(users)
        scores = np.tile(np.asarray(default, dtype=np.float64), (len(users), 1))
        if (rows >= 0).any():
            scores[rows >= 0] = score_rows(rows[rows >= 0])
        return scores


def features_of(split, catalog):
    """Item features from our encoder, in the order of the catalog."""
    described = split.items.set_index("item").reindex(catalog)
    return AutoItemEncoder().fit_transform(described).tocsr().astype(np.float32)


def popularity(split, catalog):
    table = Table(split, catalog)
    count = table.matrix.getnnz(axis=0)
    return lambda users: np.tile(count, (len(users), 1))


def als(split, catalog, *, factors, regularization, alpha):
    table = Table(split, catalog)
    model = AlternatingLeastSquares(
        factors, regularization=regularization, alpha=alpha, iterations=15, random_state=0
    )
    model.fit(table.matrix, show_progress=False)
    users, items = model.user_factors, model.item_factors
    return lambda ids: table.score_known(
        ids, lambda rows: users[rows] @ items.T, items @ users.mean(axis=0)
    )


def knn(split, catalog, *, K):
    table = Table(split, catalog)
    model = CosineRecommender(K=K)
    model.fit(table.matrix, show_progress=False)
    similarity = sp.csr_matrix(model.similarity)
    count = table.matrix.getnnz(axis=0)
    tiebreak = count / (count.max() + 1) * 1e-6
    return lambda ids: table.score_known(
        ids, lambda rows: (table.matrix[rows] @ similarity).toarray() + tiebreak, tiebreak
    )


def ease(split, catalog, *, regularization):
    table = Table(split, catalog)
    count = table.matrix.getnnz(axis=0)
    used = np.flatnonzero(count)  # items without interactions keep score 0
    known = table.matrix[:, used]
    gram = (known.T @ known).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += regularization
    inverse = np.linalg.inv(gram)
    weights = (inverse / -np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0)

    def score(rows):
        scores = np.zeros((len(rows), len(catalog)), dtype=np.float32)
        scores[:, used] = known[rows] @ weights
        return scores

    return lambda ids: table.score_known(ids, score, count)


def irspack(split, catalog, *, alpha0, reg):
    from irspack import IALSRecommender

    table = Table(split, catalog)
    model = IALSRecommender(
        table.matrix.astype(np.float64), n_components=64, alpha0=alpha0, reg=reg, n_threads=2,
        item_features=features_of(split, catalog), lambda_item_feature=1.0,
    )  # fmt: skip
    model.learn()
    count = table.matrix.getnnz(axis=0)
    return lambda ids: table.score_known(ids, lambda rows: model.get_score(rows), count)


def lightfm(split, catalog, *, learning_rate, no_components, item_alpha):
    from lightfm import LightFM

    table = Table(split, catalog)
    described = sp.hstack([sp.identity(len(catalog)), features_of(split, catalog)], format="csr")
    model = LightFM(
        no_components, loss="warp", learning_rate=learning_rate, item_alpha=item_alpha,
        random_state=0,
    )  # fmt: skip
    model.fit(table.matrix.tocoo(), item_features=described, epochs=20, num_threads=2)
    bias, items = model.get_item_representations(described)
    _, users = model.get_user_representations()
    return lambda ids: table.score_known(
        ids, lambda rows: users[rows] @ items.T + bias, items @ users.mean(axis=0) + bias
    )


def ours(split, catalog, **settings):
    has_time = "time" in split.fitted
    model = SelectiveLLMRegularizedMF(
        item_data=split.items,
        user_col="user",
        item_col="item",
        time_col="time" if has_time else None,
        random_state=0,
        **settings,
    )
    columns = ["user", "item", *(["time"] if has_time else [])]
    model.fit(split.fitted[columns])
    assert (model.items_ == catalog).all()
    known = {user: row for row, user in enumerate(model.users_.tolist())}
    mean = model.user_factors_.mean(axis=0)

    def score(users):
        rows = np.array([known.get(user, -1) for user in users.tolist()])
        factors = model.user_factors_[rows]
        factors[rows < 0] = mean
        return factors @ model.item_factors_.T

    score.model = model
    return score


def grid(**values):
    return [dict(zip(values, found, strict=True)) for found in product(*values.values())]


OURS = {
    "ours, defaults": {},
    "ours, thorough": {"tuning": "thorough"},
    "ours, fixed settings": {"tuning": None},
}
PEERS = {
    "popularity": (popularity, [{}]),
    "item-kNN": (knn, grid(K=[20, 50, 100, 200, 500])),
    "ALS": (als, grid(factors=[64], regularization=[1, 10, 50], alpha=[1, 5, 20, 50])),
    "ALS, 256 factors": (als, grid(factors=[256], regularization=[1, 10, 50], alpha=[1, 5, 20])),
    "EASE": (ease, grid(regularization=[3, 10, 30, 70, 150, 300, 600, 1500])),
    "irspack iALS, features": (
        irspack,
        grid(alpha0=[0.03, 0.1, 0.3, 1.0], reg=[0.001, 0.003, 0.01]),
    ),
    "LightFM, features": (
        lightfm,
        grid(learning_rate=[0.02, 0.05], no_components=[32, 64], item_alpha=[0, 1e-5]),
    ),
}


def evaluate_peer(name, rows, items, fold):
    """Select a peer's settings on `valid`; return its results on `test`."""
    fit, settings = PEERS[name]
    tuning = splits(rows, items, fold, tuning=True)
    on_valid = Evaluation(tuning)
    if name == "EASE" and (on_valid.popularity > 0).sum() > EASE_ITEMS:
        return None
    found, began = [], time.process_time()
    if len(settings) > 1:
        for some in settings:
            details = on_valid.details(fit(tuning, on_valid.catalog, **some))
            found.append(float(details["NDCG@10"].mean()))
    best = settings[int(np.argmax(found)) if found else 0]
    return finish(fit, best, rows, items, fold, began)


def finish(fit, settings, rows, items, fold, began):
    """Fit on `train` and `valid`, and evaluate on `test`."""
    final = splits(rows, items, fold, tuning=False)
    on_test = Evaluation(final)
    scorer = fit(final, on_test.catalog, **settings)
    seconds = time.process_time() - began
    details = on_test.details(scorer)
    result = {"settings": settings, "processor seconds": round(seconds, 2)}
    if hasattr(scorer, "model"):
        result["found"] = scorer.model.found_params()
        if hasattr(scorer.model, "tuning_"):
            result["front"] = front(scorer.model.tuning_)
    for metric in METRICS:
        values = details[metric].dropna()
        result[metric] = round(float(values.mean()), 5) if len(values) else None
        result[f"{metric} s.e."] = round(float(values.sem()), 5) if len(values) > 1 else None
    return result, details


def differences(ours, theirs):
    """Mean difference over users and its 95 % interval, by metric."""
    found, rng = {}, np.random.default_rng(0)
    for metric in METRICS:
        difference = (ours[metric] - theirs[metric]).dropna().to_numpy()
        if len(difference) > 1:
            drawn = rng.integers(len(difference), size=(BOOTSTRAPS, len(difference)))
            ends = np.percentile(difference[drawn].mean(axis=1), [2.5, 97.5])
            found[metric] = [round(float(x), 5) for x in (difference.mean(), *ends)]
    return found


def front(trials):
    """Return the Pareto-optimal trials on the hold-out, by three metrics."""
    values = trials[["NDCG@10", "AUC", "AUC rare"]].fillna(0).to_numpy()
    beaten = [((values >= row).all(1) & (values > row).any(1)).any() for row in values]
    kept = trials[~np.array(beaten)].sort_values("NDCG@10")
    columns = ["alpha", "regularization", "factors", "iterations", "item_bias", "missing_power"]
    metrics = ["NDCG@10", "AUC", "AUC rare", "criterion"]
    return kept[columns + metrics].round(4).to_dict("records")


def world_rows(name):
    """Return synthetic data in the format of a data set."""
    import data_sets

    data = data_sets.load(name)
    parts = {"train": data.train, "valid": data.valid, "test": data.test}
    rows = pd.concat([part.assign(fold=fold) for fold, part in parts.items()])
    return rows.assign(fold_cold=rows["fold"]).reset_index(drop=True), data.item_data


def cell(row, metric):
    """Format a metric; + or = marks methods above ours or indistinguishable from it."""
    mark = ""
    if metric in row.get(DIFFERENCE, {}):
        _, low, high = row[DIFFERENCE][metric]
        mark = " +" if high < 0 else " =" if low <= 0 else ""
    return number(row.get(metric)) + mark


def as_table(results, metric):
    """Build the Markdown table of one metric: one row per method, one column per data set."""
    sets = [name for name in results if name != "made"]
    return table(
        [metric, *sets],
        [
            [method, *(cell(results[name].get(method, {}), metric) for name in sets)]
            for method in (*PEERS, *OURS)
        ],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--worlds", action="store_true", help="add the synthetic data")
    parser.add_argument("--methods", nargs="*", default=[*OURS, *PEERS])
    parser.add_argument("--splits", nargs="*", default=["fold", "fold_cold"])
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    sets = {Path(folder).name: load(folder) for folder in arguments.data}
    if arguments.worlds:
        sets |= {name: world_rows(name) for name in ("dense", "sparse")}
    results = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    results.pop("made", None)
    for (name, (rows, items)), fold in product(sets.items(), arguments.splits):
        if fold == "fold_cold" and (rows["fold"] == rows["fold_cold"]).all():
            continue
        label = name + (", cold" if fold == "fold_cold" else "")
        of_set, details = results.setdefault(label, {}), {}
        for method in arguments.methods:
            with warnings.catch_warnings(), threadpool_limits(1, "blas"):
                warnings.simplefilter("ignore")
                if method in OURS:
                    began = time.process_time()
                    found = finish(ours, OURS[method], rows, items, fold, began)
                else:
                    found = evaluate_peer(method, rows, items, fold)
            if found is not None:
                of_set[method], details[method] = found
                if method != REFERENCE and REFERENCE in details:
                    of_set[method][DIFFERENCE] = differences(details[REFERENCE], details[method])
                print(label, method, found[0], flush=True)
            made = {
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
                "python": platform.python_version(),
                **{package: repository.version_of(package) for package in PACKAGES},
            }
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"made": made, **results}, indent=1, default=str)
            arguments.output.write_text(text + "\n")
    if arguments.output == RESULTS:
        for metric in SHOWN:
            maker = f"benchmarks/quality/defaults.py, {metric}"
            repository.write_block("benchmarks/README.md", maker, as_table(results, metric))


if __name__ == "__main__":
    main()

"""Which questions to ask: the package's choice compared with a random one, at equal budget.

Run ``python benchmarks/judging/questions.py [--seeds 3] [--show]``. Writes
``benchmarks/results/questions.json`` and the table in ``benchmarks/README.md``. On MovieLens, with
95 % intervals (paired bootstrap over users). Settings are tuned once per seed, without a judge,
and all compared models use them.

- *recorded*: the recorded supervision questions of a quarter or half of the users are asked, short
  histories first or at random; all calibration questions are asked.
- *free*: `ContentJudge` answers 400 or 941 questions, selected by `sample_slates` or about random
  users and random new films (with the same number of calibration questions). It reads item texts
  that the model does not have (``item_encoder=None``), so that its answers are informative. In
  *free, known*, the model has the same texts as features.

``--recipes`` compares recipes for drawing candidates instead, and writes
``benchmarks/results/recipes.json``: on synthetic data, where a judge knows less about rare items
and short histories, and with `ContentJudge` on MovieLens (*free*), with fixed settings
(``tuning=None``).
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

import repository  # isort: skip
import data_sets
import movielens as demo
from formatting import interval, table
from internals import (
    ChosenSlates,
    Recipe,
    Standing,
    compare_candidates,
    describe,
    encode_items,
    gather,
    index_interactions,
    make_slates,
    place_slates,
    rank_items,
    read_item_data,
    sample_slates,
)

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import load_movielens_coldstart, make_interactions
from sklearn_selreg.judges import ContentJudge, PrecomputedJudge
from sklearn_selreg.metrics import compare_reports

MAKER = "benchmarks/judging/questions.py"
RESULTS = repository.RESULTS / "questions.json"
RECIPE_RESULTS = repository.RESULTS / "recipes.json"
FOLDS = ("valid", "test")
N_FREE = (400, 941)  # 941: one supervision question per user
BEFORE = "13 of 100"
# Composition of 20 candidates.
RECIPES = {
    BEFORE: Recipe(best=((100, 13),), popular=3, tail=4),
    "8 of 30, 5 of 100": Recipe(best=((30, 8), (100, 5)), popular=3, tail=4),
    "12 of 30, 3 of 100": Recipe(best=((30, 12), (100, 3)), popular=2, tail=3),
    "12 of 30, 4 of 300": Recipe(best=((30, 12), (300, 4)), popular=2, tail=2),
    "16 of 30, 2 of 100": Recipe(best=((30, 16), (100, 2)), popular=1, tail=1),
}
GATES = {"gate": "auto", "no gate": None}
N_SIMULATED = (400, 900)
TOPS = (10, 30)
_N_TESTED = 200  # users whose best items are used to compare the gates


def priority(data, interactions, features):
    """Return the user ids in the order of their selection."""
    n_users = len(interactions.users)
    chosen = sample_slates(
        interactions, features, max_slates=n_users, calibration_fraction=0, size=20
    )
    return interactions.users[chosen.users]


def recorded(data, users):
    """Return a judge with all calibration questions, and the supervision questions of `users`."""
    questions = data.judge.judged_slates()
    likes = data.train.groupby("user")["item"].agg(set).to_dict()
    made = demo.bad_judges.records(questions, questions.answers)
    users = set(users)
    return PrecomputedJudge(
        [
            record
            for record in made
            if record["user"] in users or likes[record["user"]] & set(record["candidates"])
        ]
    )


def random_questions(interactions, like, random):
    """Draw random users and random new films, with as many calibration questions as `like`."""
    history, indptr = interactions.history, interactions.matrix.indptr
    lengths = np.diff(indptr)
    able = random.permutation(np.flatnonzero(lengths >= 4))[: like.calibrates.sum()]
    others = random.permutation(np.flatnonzero(lengths))[: np.sum(~like.calibrates)]
    users = np.concatenate([able, others])
    histories, candidates = [], []
    for number, user in enumerate(users):
        liked = history[indptr[user] : indptr[user + 1]]
        n_hidden = min(4, len(liked) // 2) if number < len(able) else 0
        new = np.setdiff1d(np.arange(interactions.matrix.shape[1]), liked)
        shown, hidden = liked[: len(liked) - n_hidden], liked[len(liked) - n_hidden :]
        histories.append(shown[-10:].astype(np.intp))
        asked = np.concatenate([hidden, random.choice(new, 20 - n_hidden, replace=False)])
        candidates.append(random.permutation(asked))
    return ChosenSlates(users, histories, np.array(candidates), np.arange(len(users)) < len(able))


def answered(questions, interactions, texts):
    """Return a judge with the answers of `ContentJudge`."""
    slates = make_slates(questions, interactions, texts)
    judged = gather(slates, ContentJudge().answers(slates), interactions)
    return PrecomputedJudge(demo.bad_judges.records(judged, judged.answers))


def compare(data, ours, theirs, seeds, **settings):
    """Compare two judges and no judge for each seed, at the same settings."""
    models = {"no judge": [demo.ours(data, seed, **settings) for seed in range(seeds)]}
    tuned = [settings | model.found_params() for model in models["no judge"]]
    for name, make in (("chosen", ours), ("random", theirs)):
        models[name] = [demo.ours(data, seed, make(seed), **tuned[seed]) for seed in range(seeds)]
    found = {}
    for fold in FOLDS:
        reports = {
            name: demo.average([demo.evaluate(m, data, fold)["all"] for m in fitted])
            for name, fitted in models.items()
        }
        compared = compare_reports(reports["chosen"], reports["random"])
        found[fold] = {
            column: {
                "chosen": demo.pick(reports["chosen"], column),
                "random": demo.pick(reports["random"], column),
                "no judge": demo.pick(reports["no judge"], column),
                "difference": demo.pick(compared, column),
            }
            for column in demo.COLUMNS
        }
    return found


# -- recipes -----------------------------------------------------------------------------------


class Simulated:
    """Synthetic data: models are fitted to all interactions, and the truth is known."""

    def __init__(self, name, seed):
        self.world = make_interactions(
            **data_sets.WORLDS[name], judge_reliability=data_sets.knows_the_known, random_state=seed
        )
        self.table = read_item_data(self.world.item_data, "item")
        self.interactions = index_interactions(
            self.world.X, **demo.ID_COLUMNS, time_col="time", extra_items=self.table.ids
        )
        self.features = encode_items("auto", self.table, self.interactions.items)[0]
        self.new = self.interactions.matrix.toarray() == 0
        users, items = (ids.astype(np.int64) for ids in (self.interactions.users, self.items))
        self.utility = self.world.utility(users[:, np.newaxis], items)
        self.next = softmax(np.where(self.new, self.utility, -np.inf), axis=1)
        self.seed = seed

    @property
    def items(self):
        """Item ids, in the order of the columns."""
        return self.interactions.items

    def fit(self, judge, gate):
        """Fit with the fixed settings."""
        return SelectiveLLMRegularizedMF(
            item_data=self.world.item_data,
            judge=judge,
            gate=gate,
            tuning=None,
            **demo.ID_COLUMNS,
            time_col="time",
            random_state=self.seed,
        ).fit(self.world.X)

    def answers(self, questions):
        """Query the judge, which needs no texts."""
        slates = make_slates(questions, self.interactions, np.full(len(self.items), "", object))
        return gather(slates, self.world.judge.answers(slates), self.interactions)

    def measure(self, model):
        """Expected NDCG@10 and AUC of each user's next item."""
        scores = np.where(self.new, ranked(model), -np.inf)
        rank = np.argsort(np.argsort(-scores, axis=1), axis=1)
        gain = np.where(rank < 10, 1 / np.log2(rank + 2), 0)
        below = 1 - rank / (self.new.sum(axis=1, keepdims=True) - 1)
        return pd.DataFrame(
            {"NDCG@10": (self.next * gain).sum(axis=1), "AUC": (self.next * below).sum(axis=1)}
        )

    def divergence(self, model, judged):
        """Mean Kullback-Leibler divergence of the gate's from the true preferences, in nats.

        Pairs are weighted by the probability that the user's next item is one of the two.
        """
        if model.gate_ is None:
            return np.nan
        slates, _ = place_slates(judged, self.interactions)
        users, items = model.user_factors_[slates.users], model.item_factors_
        seen = self.interactions.matrix[slates.users]
        ranks = rank_items(slates.items, users, items, seen)
        standing = Standing(ranks, model._fitted.popularity[slates.items])
        pairs = compare_candidates(slates, standing)
        rows = slates.users[pairs.slate]
        first, second = (slates.items[pairs.slate, at] for at in (pairs.preferred, pairs.other))
        p = expit(self.utility[rows, first] - self.utility[rows, second])
        q = model.gate_.predict_proba(pairs.evidence)[:, 1]
        divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
        return np.average(divergence, weights=self.next[rows, first] + self.next[rows, second])


def ranked(model):
    """Scores of all items for all users."""
    return model.user_factors_ @ model.item_factors_.T


def coverage(questions, interactions, model):
    """Fraction of a model's best new items that are judged, for the users with questions."""
    scores = np.where(interactions.matrix.toarray() > 0, -np.inf, ranked(model))
    asked = np.zeros(scores.shape, dtype=bool)
    supervises = np.flatnonzero(~questions.calibrates)
    for n in supervises:
        asked[questions.users[n], questions.candidates[n]] = True
    users = np.unique(questions.users[supervises])
    best = np.argsort(-scores[users], axis=1)
    return {f"top {k}": asked[users[:, np.newaxis], best[:, :k]].mean() for k in TOPS}


def hidden(questions, interactions):
    """Mean number of hidden candidates per calibration question."""
    which = np.flatnonzero(questions.calibrates)
    liked = interactions.matrix[questions.users[which]].toarray() > 0
    return np.mean([liked[n, questions.candidates[q]].sum() for n, q in enumerate(which)])


def about_the_best(world, model, like):
    """Draw 20 of the 30 best new items of a model, for users with questions."""
    users = np.unique(like.users[~like.calibrates])[:_N_TESTED]
    random = np.random.default_rng(world.seed)
    best = np.argsort(-np.where(world.new, ranked(model), -np.inf)[users], axis=1)[:, :30]
    matrix, history = world.interactions.matrix, world.interactions.history
    histories = [history[matrix.indptr[u] : matrix.indptr[u + 1]][-10:] for u in users]
    candidates = np.array([random.permutation(row)[:20] for row in best])
    return ChosenSlates(users, histories, candidates, np.zeros(len(users), dtype=bool))


def simulate(name, seed, progress):
    """Compare recipes on synthetic data.

    Returns
    -------
    users : DataFrame
        Metrics of each user, with the names of the recipe and the gate.
    facts : list of dict
    """
    world = Simulated(name, seed)
    without = world.fit(None, None)
    cold = np.diff(world.interactions.matrix.indptr) < 3
    found = [world.measure(without).assign(n=0, recipe="no judge", gate="", cold=cold)]
    facts, tests = [], None
    for n_questions in N_SIMULATED:
        for recipe, parts in RECIPES.items():
            chosen = sample_slates(
                world.interactions, world.features, max_slates=n_questions, recipe=parts
            )
            if tests is None:
                tests = world.answers(about_the_best(world, without, chosen))
            judged = world.answers(chosen)
            judge = PrecomputedJudge(demo.bad_judges.records(judged, judged.answers))
            fact = {
                "n": n_questions,
                "recipe": recipe,
                "hidden": hidden(chosen, world.interactions),
            }
            fact |= coverage(chosen, world.interactions, without)
            for gate, setting in GATES.items():
                model = world.fit(judge, setting)
                found.append(
                    world.measure(model).assign(n=n_questions, recipe=recipe, gate=gate, cold=cold)
                )
                if setting is not None:
                    fact["pairs"] = model.judge_stats_["calibration_pairs"]
                    fact["divergence"] = world.divergence(model, judged)
                    fact["divergence, best"] = world.divergence(model, tests)
                progress.update()
            facts.append(fact)
    return pd.concat(found).rename_axis("user").reset_index().assign(seed=seed), facts


def summarize(users):
    """Average the metrics, and their differences from the recipe `BEFORE`.

    Each cell holds the mean, the mean difference, and its standard error over users.
    """
    rows = []
    key = ["seed", "user"]
    for (n, gate), part in users[users["n"] > 0].groupby(["n", "gate"]):
        base = part[part["recipe"] == BEFORE].set_index(key)
        for recipe, own in [*part.groupby("recipe", sort=False), ("no judge", None)]:
            if own is None:
                own = users[users["recipe"] == recipe]
            own = own.set_index(key).loc[base.index]
            row = {"n": int(n), "gate": gate, "recipe": recipe}
            for metric in ("NDCG@10", "AUC"):
                for kind, some in (("overall", slice(None)), ("cold", base["cold"].to_numpy())):
                    difference = (own[metric] - base[metric])[some]
                    found = own[metric][some].mean(), difference.mean(), difference.sem()
                    row[f"{metric} {kind}"] = np.round(found, 5).tolist()
            rows.append(row)
    return rows


def free(data, interactions, features, texts, seeds, progress):
    """Compare recipes with `ContentJudge` on MovieLens."""
    rows = []
    for name, known, settings in (
        ("free", None, {"item_encoder": None}),
        ("free, known", features, {}),
    ):
        settings = {"tuning": None, **settings}
        without = [demo.ours(data, seed, **settings) for seed in range(seeds)]
        for n_questions in N_FREE:
            reports, facts = {}, {}
            for gate in GATES:
                reports[gate, "no judge"] = [demo.evaluate(m, data, "test")["all"] for m in without]
            for recipe, parts in RECIPES.items():
                chosen = sample_slates(interactions, known, max_slates=n_questions, recipe=parts)
                judge = answered(chosen, interactions, texts)
                facts[recipe] = {
                    "hidden": hidden(chosen, interactions),
                    **coverage(chosen, interactions, without[0]),
                }
                for gate, setting in GATES.items():
                    models = [
                        demo.ours(data, seed, judge, gate=setting, **settings)
                        for seed in range(seeds)
                    ]
                    reports[gate, recipe] = [demo.evaluate(m, data, "test")["all"] for m in models]
                    if setting is not None:
                        facts[recipe]["pairs"] = models[0].judge_stats_["calibration_pairs"]
                    progress.update()
            reports = {key: demo.average(found) for key, found in reports.items()}
            for (gate, recipe), report in reports.items():
                compared = compare_reports(report, reports[gate, BEFORE])
                row = {"judge": name, "n": n_questions, "gate": gate, "recipe": recipe}
                row |= facts.get(recipe, {})
                for column in demo.COLUMNS:
                    row[column] = [demo.pick(report, column), demo.pick(compared, column)]
                rows.append(row)
    return rows


def compare_recipes(data, interactions, features, texts, seeds, path):
    """Compare recipes, and store the results."""
    names = ("dense", "sparse")
    n_fits = len(RECIPES) * len(GATES) * 2 * (len(names) * seeds + 2)
    results = {"made": repository.provenance(seeds=seeds)}
    with tqdm(total=n_fits) as progress:
        for name in names:
            made = [simulate(name, seed, progress) for seed in range(seeds)]
            facts = pd.DataFrame([fact for _, facts in made for fact in facts])
            facts = facts.groupby(["n", "recipe"], sort=False).mean().reset_index()
            results[name] = {
                "facts": facts.round(5).to_dict("records"),
                "metrics": summarize(pd.concat([users for users, _ in made])),
            }
            repository.save(path, results)
        results["movielens"] = free(data, interactions, features, texts, seeds, progress)
    repository.save(path, results)


def compare_choices(data, interactions, features, texts, seeds, path):
    """Compare the package's choice with a random one, and store the results."""
    order = priority(data, interactions, features)
    results = {"made": repository.provenance(seeds=seeds)}
    for fraction in (0.25, 0.5):
        n_users = round(fraction * len(order))
        first = recorded(data, order[:n_users])

        def at_random(seed, n_users=n_users):
            users = np.random.default_rng(seed).permutation(order)[:n_users]
            return recorded(data, users)

        results[f"recorded {fraction:.0%}"] = compare(data, lambda _, j=first: j, at_random, seeds)
    for n_questions in N_FREE:
        for name, known, settings in (
            ("free", None, {"item_encoder": None}),
            ("free, known", features, {}),
        ):
            chosen = sample_slates(interactions, known, max_slates=n_questions)
            judge = answered(chosen, interactions, texts)

            def at_random(seed, chosen=chosen):
                random = np.random.default_rng(seed)
                return answered(random_questions(interactions, chosen, random), interactions, texts)

            results[f"{name} {n_questions}"] = compare(
                data, lambda _, j=judge: j, at_random, seeds, **settings
            )
    repository.save(path, results)


def as_table(results):
    """Build the Markdown table of the differences chosen - random."""
    columns = sorted(demo.COLUMNS, key=lambda column: column.startswith("NDCG"))  # AUC first
    rows = [
        [name, fold, *(interval(cells[column]["difference"]) for column in columns)]
        for name, folds in results.items()
        if name != "made"
        for fold, cells in folds.items()
    ]
    return table(["questions", "fold", *columns], rows, left=2)


def run(compare_all, seeds, path):
    """Prepare MovieLens, and run a comparison on it."""
    warnings.simplefilter("ignore")
    data = load_movielens_coldstart()
    items = read_item_data(data.item_data, "item")
    interactions = index_interactions(
        data.train, **demo.ID_COLUMNS, time_col="time", extra_items=items.ids
    )
    features = encode_items("auto", items, interactions.items)[0]
    texts = describe(interactions.items, items, None)
    compare_all(data, interactions, features, texts, seeds, path)


def main():
    """Run the comparison of choices or of recipes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", action="store_true", help="compare recipes instead")
    repository.add_output_options(parser, None)
    args = parser.parse_args()
    path = args.output or (RECIPE_RESULTS if args.recipes else RESULTS)
    if not args.show:
        run(compare_recipes if args.recipes else compare_choices, args.seeds, path)
    if not args.recipes:
        repository.show(MAKER, as_table(repository.load(path)), path == RESULTS)


if __name__ == "__main__":
    main()

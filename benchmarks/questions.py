"""Which questions to ask: the choice of the package against a random one, at equal budget.

Run ``python benchmarks/questions.py [--seeds 3]``. Writes ``benchmarks/results/questions.json``. On
MovieLens, with intervals over users (paired bootstrap):

- *recorded*: of the recorded supervision questions those of a quarter or half of the users are
  asked, users with short histories first or at random; all calibration questions are asked.
- *free*: `ContentJudge` answers 400 or 941 questions, by `choose_questions` or about random users
  and random new films (as many of them calibration). It reads what films are; the model does not
  (`item_encoder=None`), so that the judge has something to tell it. In *free, known*, the model has
  the same texts as features.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "demo"))

import movielens as demo  # noqa: E402

from sklearn_selreg._asking import describe, gather, make_slates  # noqa: E402
from sklearn_selreg._interactions import index_interactions  # noqa: E402
from sklearn_selreg._items import encode_items, read_item_data  # noqa: E402
from sklearn_selreg._questions import Questions, choose_questions  # noqa: E402
from sklearn_selreg.datasets import load_movielens_coldstart  # noqa: E402
from sklearn_selreg.judges import ContentJudge, PrecomputedJudge, Slate  # noqa: E402
from sklearn_selreg.metrics import compare_reports  # noqa: E402

FOLDS = ("valid", "test")
N_FREE = (400, 941)  # 941: a supervision question for each user


def priority(data, interactions, features):
    """Return the user ids in the order in which they are asked about."""
    n_users = len(interactions.users)
    chosen = choose_questions(
        interactions, features, n_questions=n_users, calibration_share=0, slate_size=20
    )
    return interactions.users[chosen.users]


def recorded(data, users):
    """Make a judge of the calibration questions and of the supervision questions of some users."""
    questions = data.judge.questions()
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
    """Ask random users about random new films; as many hide likes as in another choice."""
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
    return Questions(users, histories, np.array(candidates), np.arange(len(users)) < len(able))


def answered(questions, interactions, texts):
    """Have `ContentJudge` answer, and return a judge of the answers."""
    slates = make_slates(questions, interactions, texts, Slate)
    judged = gather(slates, ContentJudge().answers(slates), interactions)
    return PrecomputedJudge(demo.bad_judges.records(judged, judged.answers))


def compare(data, ours, theirs, seeds, **settings):
    """Fit with two judges and without any for each seed, and compare."""
    models = {
        name: [demo.ours(data, seed, make(seed), **settings) for seed in range(seeds)]
        for name, make in (("chosen", ours), ("random", theirs), ("no judge", lambda _: None))
    }
    table = {}
    for fold in FOLDS:
        reports = {
            name: demo.average([demo.evaluate(m, data, fold)["all"] for m in fitted])
            for name, fitted in models.items()
        }
        compared = compare_reports(reports["chosen"], reports["random"])
        table[fold] = {
            column: {
                "chosen": demo.pick(reports["chosen"], column),
                "random": demo.pick(reports["random"], column),
                "no judge": demo.pick(reports["no judge"], column),
                "difference": demo.pick(compared, column),
            }
            for column in demo.COLUMNS
        }
    return table


def main():
    """Run all and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    warnings.simplefilter("ignore")
    data = load_movielens_coldstart()
    table = read_item_data(data.item_data, "item")
    interactions = index_interactions(
        data.train, **demo.ID_COLUMNS, time_col="time", extra_items=table.ids
    )
    features = encode_items("auto", table, interactions.items)[0]
    texts = describe(interactions.items, table, None)
    order = priority(data, interactions, features)
    results = {"seeds": seeds}
    for share in (0.25, 0.5):
        n_users = round(share * len(order))
        first = recorded(data, order[:n_users])

        def at_random(seed, n_users=n_users):
            users = np.random.default_rng(seed).permutation(order)[:n_users]
            return recorded(data, users)

        results[f"recorded {share:.0%}"] = compare(data, lambda _, j=first: j, at_random, seeds)
    for n_questions in N_FREE:
        for name, known, settings in (
            ("free", None, {"item_encoder": None}),
            ("free, known", features, {}),
        ):
            chosen = choose_questions(interactions, known, n_questions=n_questions)
            judge = answered(chosen, interactions, texts)

            def at_random(seed, chosen=chosen):
                random = np.random.default_rng(seed)
                return answered(random_questions(interactions, chosen, random), interactions, texts)

            results[f"{name} {n_questions}"] = compare(
                data, lambda _, j=judge: j, at_random, seeds, **settings
            )
    text = json.dumps(results, indent=1)
    (ROOT / "benchmarks/results/questions.json").write_text(text + "\n")
    for name, folds in results.items():
        if name != "seeds":
            for fold, columns in folds.items():
                for column, cell in columns.items():
                    print(f"{name:16} {fold:6} {column:16}", cell)


if __name__ == "__main__":
    main()

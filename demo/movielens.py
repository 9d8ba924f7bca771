"""MovieLens end to end: what an LLM's opinions add, and where they can be trusted.

Run ``make demo``, or ``python demo/movielens.py [--fold valid|test] [--seeds N]``. All methods are
fitted on the fold `train` alone and rank all films for every user. Writes ``demo/report.json`` (all
tables) and ``demo/report.png``.
"""

import argparse
import json
import platform
import time
from importlib.metadata import version

import numpy as np
import pandas as pd
import presentation
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import sklearn_selreg
from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.datasets import load_movielens_coldstart
from sklearn_selreg.inspection import GateDisplay
from sklearn_selreg.judges import PrecomputedJudge
from sklearn_selreg.metrics import compare_reports, ranking_report

# Settings of the peers; ours are the defaults of the estimator, which finds them in `train`.
PLAIN_ALS = {"factors": 64, "regularization": 50, "alpha": 10}
ALS_ITEM_BIAS = 0.15  # best overall AUC on `valid` of 0, .05, .1, .15, .2, .3, .4, .6
N_SEEDS = 5  # 0 to 4: of the factors' start, and of the shuffles
SHUFFLED = (0.5, 0.9)  # of the questions to a bad judge

POPULARITY = "popularity"
ALS = "plain implicit ALS"
ALS_BIAS = "implicit ALS + our item bias"
FIXED = "ours, no LLM, fixed settings"
NO_LLM = "ours, no LLM"
EVERYWHERE = "ours, LLM everywhere"
SELECTIVE = "ours, LLM selective"
CEILING = "ceiling: LLM given the answers"

COLUMNS = [
    *("NDCG@10 overall", "NDCG@10 cold"),
    *("AUC overall", "AUC cold", "AUC warm", "AUC tail", "AUC zero"),
]
ID_COLUMNS = {"user_col": "user", "item_col": "item"}
HELD_OUT = ("valid", "test", "dropped")
NOT_SETTINGS = ("item_data", "judge", "random_state")


# -- methods -----------------------------------------------------------------------------------


def popularity(data):
    """Score films by their popularity, for all users alike."""
    counts = data.train["item"].value_counts()
    count = counts.reindex(data.item_data["item"], fill_value=0).to_numpy(np.float32)
    return lambda users: np.tile(count, (len(users), 1))


def plain_als(data, seed):
    """Fit `implicit`'s own ALS."""
    users, items = np.unique(data.train["user"]), data.item_data["item"].to_numpy()
    rows = np.searchsorted(users, data.train["user"])
    columns = np.searchsorted(items, data.train["item"])
    entries = np.ones(len(rows), dtype=np.float32), (rows, columns)
    model = AlternatingLeastSquares(**PLAIN_ALS, random_state=seed)
    model.fit(sp.csr_matrix(entries, (len(users), len(items))), show_progress=False)
    return lambda ids: model.user_factors[np.searchsorted(users, ids)] @ model.item_factors.T


def with_item_bias(score, model, data):
    """Add to scores what our model adds for films that were popular at the time of the user."""
    k = model.user_factors_.shape[1] - model.trend_periods_
    place = np.searchsorted(model.items_, data.item_data["item"])
    gains = model.item_factors_[place, k:].T * np.float32(ALS_ITEM_BIAS / model.item_bias_)
    periods = model.user_factors_[:, k:]
    return lambda users: score(users) + periods[np.searchsorted(model.users_, users)] @ gains


def ours(data, seed, judge=None, **settings):
    """Fit our estimator with its default settings, but for those given."""
    model = SelectiveLLMRegularizedMF(
        item_data=data.item_data,
        judge=judge,
        **ID_COLUMNS,
        time_col="time",
        random_state=seed,
        **settings,
    )
    return model.fit(data.train)


def records(questions, answers):
    """List the records of a judge that gives other answers to the same questions.

    Parameters
    ----------
    questions : JudgedSlates
    answers : ndarray of shape (n_candidates, max_answers)
        Ratings in [0, 1], for the rows of `questions.candidates`.
    """
    made = []
    for slate, user in enumerate(questions.user.tolist()):
        shown = slice(*questions.history_indptr[slate : slate + 2])
        asked = slice(*questions.indptr[slate : slate + 2])
        question = {
            "user": user,
            "history": questions.history[shown].tolist(),
            "candidates": questions.candidates[asked].tolist(),
        }
        ratings = answers[asked, : questions.n_answers[slate]].T.tolist()
        made += [{**question, "ratings": answer} for answer in ratings]
    return made


def shuffled_judge(judge, probability, seed):
    """Spoil a judge: with a probability, shuffle a question's ratings among its candidates.

    All answers to a question are shuffled alike, so the judge is consistently wrong, and asking it
    twice does not show that.

    Parameters
    ----------
    judge : PrecomputedJudge
    probability : float in [0, 1]
    seed : int

    Returns
    -------
    judge : PrecomputedJudge
    """
    rng = np.random.default_rng(seed)
    questions = judge.questions()
    order = np.arange(len(questions.candidates))
    for start, stop in zip(questions.indptr[:-1], questions.indptr[1:], strict=True):
        if rng.random() < probability:
            rng.shuffle(order[start:stop])
    return PrecomputedJudge(records(questions, questions.answers[order]))


def all_knowing_judge(judge, held_out):
    """Rate a judge's candidates 1 if they are held-out likes of the user, else 0."""
    questions = judge.questions()
    users = np.repeat(questions.user, np.diff(questions.indptr))
    pairs = pd.MultiIndex.from_arrays([users, questions.candidates])
    liked = pairs.isin(pd.MultiIndex.from_frame(held_out[["user", "item"]]))
    answers = np.repeat(liked[:, np.newaxis], questions.answers.shape[1], axis=1)
    return PrecomputedJudge(records(questions, answers.astype(float)))


def shuffled_name(method, probability):
    """Name a method with a judge of which some questions are shuffled."""
    return f"{method}, {probability:.0%} shuffled" if probability else method


METHODS = (
    *(POPULARITY, ALS, ALS_BIAS, FIXED, NO_LLM, EVERYWHERE, SELECTIVE),
    *(shuffled_name(method, p) for p in SHUFFLED for method in (EVERYWHERE, SELECTIVE)),
    CEILING,
)


def fit_methods(data, fold, seed, found):
    """Yield the name and the fitted model of each of `METHODS`, in this order.

    `found` are the settings that any fit finds in these data: once is enough.
    """
    yield POPULARITY, popularity(data)
    als = plain_als(data, seed)
    yield ALS, als
    fixed = ours(data, seed, tuning=None)
    yield ALS_BIAS, with_item_bias(als, fixed, data)
    yield FIXED, fixed
    yield NO_LLM, ours(data, seed, **found)
    for probability in (0, *SHUFFLED):
        judge = shuffled_judge(data.judge, probability, seed) if probability else data.judge
        yield shuffled_name(EVERYWHERE, probability), ours(data, seed, judge, gate=None, **found)
        yield shuffled_name(SELECTIVE, probability), ours(data, seed, judge, **found)
    knowing = all_knowing_judge(data.judge, data[fold])
    yield CEILING, ours(data, seed, knowing, gate=None, **found)


# -- evaluation --------------------------------------------------------------------------------


def evaluate(model, data, fold):
    """Report on a fold, among all candidates and without the user's likes in other folds."""
    others = pd.concat([data[name] for name in HELD_OUT if name != fold])
    return {
        candidates: ranking_report(
            model,
            data[fold],
            train=data.train,
            cohort=data.cohort,
            items=data.item_data["item"],
            exclude=exclude,
            **ID_COLUMNS,
        )
        for candidates, exclude in (("all", None), ("without_other_likes", others))
    }


def average(reports):
    """Average reports of the same interactions, with the details they are made of."""
    mean = sum(reports[1:], start=reports[0]) / len(reports)
    measured = {
        name: np.mean([report.details[name] for report in reports], axis=0)
        for name in ("gain", "hit", "auc")
    }
    mean.details, mean.k = reports[0].details.assign(**measured), reports[0].k
    return mean


def run(data, fold, seeds):
    """Fit and evaluate all methods with all seeds.

    Returns
    -------
    reports : dict
        Kind of candidates -> method -> report, averaged over the seeds.
    models : dict
        Method -> model of the first seed.
    """
    by_seed, models, found = {}, {}, ours(data, 0).found_params()
    with tqdm(total=len(seeds) * len(METHODS), unit="fit") as progress:
        for seed in seeds:
            for method, model in fit_methods(data, fold, seed, found):
                models.setdefault(method, model)
                for candidates, report in evaluate(model, data, fold).items():
                    by_method = by_seed.setdefault(candidates, {})
                    by_method.setdefault(method, []).append(report)
                progress.update()
    reports = {
        candidates: {method: average(reports) for method, reports in by_method.items()}
        for candidates, by_method in by_seed.items()
    }
    return reports, models


# -- what is reported --------------------------------------------------------------------------


def pick(table, column):
    """Take a column such as "AUC cold" out of a report or a comparison, as plain numbers."""
    metric, regime = column.split()
    return np.round(table.loc[regime, metric], 6).tolist()


def difference(a, b):
    """Compare two reports: column -> difference, low and high end of its 95 % interval."""
    compared = compare_reports(a, b)
    return {column: pick(compared, column) for column in COLUMNS}


def differences(reports):
    """Compare the methods with and without gate, by judge."""
    without, compared = reports[NO_LLM], {}
    for probability in (0, *SHUFFLED):
        selective = reports[shuffled_name(SELECTIVE, probability)]
        everywhere = reports[shuffled_name(EVERYWHERE, probability)]
        compared[f"{probability:.0%} shuffled" if probability else "recorded"] = {
            "selective - plain ALS": difference(selective, reports[ALS]),
            "selective - no LLM": difference(selective, without),
            "no LLM - fixed settings": difference(without, reports[FIXED]),
            "selective - everywhere": difference(selective, everywhere),
            "everywhere - no LLM": difference(everywhere, without),
        }
    return compared


def trust(model):
    """Average the weights of preferences by history length and popularity of the rarer film.

    Returns
    -------
    cells : dict
        `popularity` and `history`: names of the rows and columns of `weight`, the mean weight, and
        `pairs`, the number of preferences.
    """
    display = GateDisplay.from_estimator(model, ax=Figure().subplots())
    weight = display.cells.to_numpy(dtype=float)
    return {
        "popularity": list(display.cells.index),
        "history": list(display.cells.columns),
        "weight": [[None if np.isnan(w) else round(w, 4) for w in row] for row in weight],
        "pairs": display.pairs.to_numpy().tolist(),
    }


def example(data, models):
    """Recommend to one cold user, without and with the LLM.

    The user is the cold one with two or three training likes who has the most other likes: the
    choice does not look at any model.
    """
    films = data.item_data.set_index("item")
    titles = films["title"] + " (" + films["year"].astype("Int64").astype("string") + ")"
    likes = pd.concat([data[name] for name in HELD_OUT]).groupby("user")["item"].agg(set)
    history = data.train["user"].value_counts()
    short = data.cohort.index[(data.cohort == "cold") & history.reindex(data.cohort.index).le(3)]
    user = int(likes[short].map(len).idxmax())

    def recommend(model):
        items = model.recommend([user])[0][0]
        return [{"title": titles[item], "liked": bool(item in likes[user])} for item in items]

    return {
        "user": user,
        "train": titles[data.train.loc[data.train["user"] == user, "item"]].tolist(),
        "no_llm": recommend(models[NO_LLM]),
        "selective": recommend(models[SELECTIVE]),
    }


def describe(data, reports, models, fold, seeds):
    """Gather everything worth keeping, as plain data in a fixed order."""
    model = models[SELECTIVE]
    parameters = model.get_params(deep=False).items()
    packages = ("scikit-learn", "implicit", "numpy", "scipy", "pandas")
    return {
        "settings": {
            "fold": fold,
            "seeds": list(seeds),
            "plain_als": PLAIN_ALS,
            "als_item_bias": ALS_ITEM_BIAS,
            "ours": {name: value for name, value in parameters if name not in NOT_SETTINGS},
        },
        "versions": {
            "python": platform.python_version(),
            "sklearn_selreg": sklearn_selreg.__version__,
            **{package: version(package) for package in packages},
        },
        "judge": model.judge_stats_,
        "gate": {
            "accuracy": model.gate_.accuracy_,
            "gap_coef": model.gate_.gap_coef_,
            "context_effects": model.gate_.context_effects_,
            "log_loss": model.gate_.log_loss_,
        },
        "tables": {
            candidates: {
                method: {column: pick(report, column) for column in COLUMNS}
                for method, report in by_method.items()
            }
            for candidates, by_method in reports.items()
        },
        "differences": {candidates: differences(by) for candidates, by in reports.items()},
        "trust": trust(model),
        "example": example(data, models),
    }


def main():
    """Run all of it, and write and show the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fold", choices=("valid", "test"), default="test")
    parser.add_argument("--seeds", type=int, default=N_SEEDS, help="how many (default %(default)s)")
    args = parser.parse_args()
    start = time.perf_counter()
    data, seeds = load_movielens_coldstart(), range(args.seeds)
    # Threads of BLAS would get in the way of those of implicit, which warns about them.
    with threadpool_limits(1, user_api="blas"):
        reports, models = run(data, args.fold, seeds)
    report = describe(data, reports, models, args.fold, seeds)
    presentation.REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    presentation.draw(report)
    print(presentation.as_text(report))
    print(f"\nWrote {presentation.REPORT.name} and {presentation.PICTURE.name} to the folder demo.")
    print(f"It took {time.perf_counter() - start:.0f} seconds.")


if __name__ == "__main__":
    main()

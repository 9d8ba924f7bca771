"""MovieLens in full: what an LLM's preferences add, and where they can be trusted.

All methods are fitted only on the fold `train`, and rank all films for every user.
"""

import bad_judges
import numpy as np
import pandas as pd
import scipy.sparse as sp
from bad_judges import RECORDED, SHUFFLED
from implicit.als import AlternatingLeastSquares
from matplotlib.figure import Figure
from reports import COLUMNS, HELD_OUT, ID_COLUMNS, average, difference, evaluate, pick, power

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.inspection import GateDisplay

__all__ = ["COLUMNS", "ID_COLUMNS", "average", "evaluate", "ours", "pick"]  # used by the benchmarks

# Settings of the peers; ours are tuned on `train`.
PLAIN_ALS = {"factors": 64, "regularization": 50, "alpha": 10}
ALS_ITEM_BIAS = 0.15  # best overall AUC on `valid` of 0, .05, .1, .15, .2, .3, .4, .6
WEIGHTS = (0.005, 0.02, 0.08, 0.16)  # candidates for the LLM everywhere, compared on `valid`

POPULARITY = "popularity"
ALS = "plain implicit ALS"
ALS_BIAS = "implicit ALS + our item bias"
FIXED = "ours, no LLM, fixed settings"
NO_LLM = "ours, no LLM"
EVERYWHERE = "ours, LLM everywhere"
TUNED = "ours, LLM everywhere, tuned weight"
SELECTIVE = "ours, LLM selective"
CEILING = "ceiling: LLM given the answers"

NOT_SETTINGS = ("item_data", "judge", "random_state")
VIEWS = ("all", "without_other_likes", "later", "cold")


def with_judge(method, kind):
    """Name of a method with a kind of judge."""
    return method if kind == RECORDED else f"{method}, {kind}"


# Name -> use and kind of judge.
JUDGED = {
    with_judge(use, kind): (use, kind)
    for kind in (RECORDED, *bad_judges.BAD)
    for use in (EVERYWHERE, SELECTIVE)
}
METHODS = (
    *(POPULARITY, ALS, ALS_BIAS, FIXED, NO_LLM, EVERYWHERE, TUNED, SELECTIVE),
    *(with_judge(use, kind) for kind in SHUFFLED for use in (EVERYWHERE, SELECTIVE)),
    CEILING,
)


# -- methods -----------------------------------------------------------------------------------


def popularity(data):
    """Score films by their popularity, equally for all users."""
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
    """Add our time-dependent popularity bias to scores."""
    k = model.user_factors_.shape[1] - model.popularity_periods_
    place = np.searchsorted(model.items_, data.item_data["item"])
    gains = model.item_factors_[place, k:].T * np.float32(ALS_ITEM_BIAS / model.item_bias_)
    periods = model.user_factors_[:, k:]
    return lambda users: score(users) + periods[np.searchsorted(model.users_, users)] @ gains


def ours(data, seed, judge=None, **settings):
    """Fit our estimator with its defaults, except for `settings` (as for `set_params`)."""
    model = SelectiveLLMRegularizedMF(
        item_data=data.item_data,
        judge=judge,
        **ID_COLUMNS,
        time_col="time",
        random_state=seed,
    )
    return model.set_params(**settings).fit(data.train)


def settings_of(model):
    """Return the settings of a model, including nested ones, e.g. `backbone__recency_power`."""
    return {
        name: value
        for name, value in model.get_params().items()
        if name.partition("__")[0] not in NOT_SETTINGS and not hasattr(value, "get_params")
    }


def fit(method, data, seed, found, fold="test", weight=None):
    """Fit a method.

    Parameters
    ----------
    method : str
    data : Bunch
    seed : int
        Seed for the initial factors and the shuffles of a judge.
    found : dict
        Settings tuned on these data; they do not depend on the judge.
    fold : {"valid", "test"}, default="test"
        Fold known to the ceiling.
    weight : float or None, default=None
        `llm_weight` of `TUNED`.

    Returns
    -------
    model : estimator or callable
        Input of `ranking_report`.
    """
    if method == POPULARITY:
        return popularity(data)
    if method == ALS:
        return plain_als(data, seed)
    if method == ALS_BIAS:
        # The bias does not depend on the factors, so one sweep suffices.
        fixed = ours(data, seed, tuning=None, iterations=1)
        return with_item_bias(plain_als(data, seed), fixed, data)
    if method == FIXED:
        return ours(data, seed, tuning=None)
    if method == NO_LLM:
        return ours(data, seed, **found)
    if method == TUNED:
        return ours(data, seed, data.judge, gate=None, llm_weight=weight, **found)
    if method == CEILING:
        knowing = bad_judges.all_knowing_judge(data.judge, data[fold])
        return ours(data, seed, knowing, gate=None, **found)
    use, kind = JUDGED[method]
    gate = {"gate": None} if use == EVERYWHERE else {}
    return ours(data, seed, bad_judges.make(kind, data, seed), **gate, **found)


# -- report ---------------------------------------------------------------------------------


def differences(reports):
    """Compare the methods with and without a gate, by judge."""
    without, compared = reports[NO_LLM], {}
    for kind in (RECORDED, *SHUFFLED):
        selective = reports[with_judge(SELECTIVE, kind)]
        everywhere = reports[with_judge(EVERYWHERE, kind)]
        compared[kind] = {
            "selective - plain ALS": difference(selective, reports[ALS]),
            "selective - no LLM": difference(selective, without),
            "no LLM - fixed settings": difference(without, reports[FIXED]),
            "selective - everywhere": difference(selective, everywhere),
            "everywhere - no LLM": difference(everywhere, without),
        }
    tuned = reports[TUNED]
    compared[RECORDED] |= {
        "no LLM - plain ALS": difference(without, reports[ALS]),
        "selective - tuned": difference(reports[SELECTIVE], tuned),
        "tuned - no LLM": difference(tuned, without),
    }
    return compared


def trust(model):
    """Mean weights of preferences by history length and popularity of the rarer film.

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

    Of the cold users with two or three training likes, it is the one with most other likes; the
    choice does not depend on any model.
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


def describe(data, reports, models):
    """Collect the results on MovieLens, as plain data in a fixed order.

    Parameters
    ----------
    data : Bunch
    reports : dict
        View -> method -> report, averaged over the seeds.
    models : dict
        Method -> model of the first seed.
    """
    model = models[SELECTIVE]
    reports = {view: {method: reports[view][method] for method in METHODS} for view in VIEWS}
    return {
        "judge": model.judge_stats_,
        "gate": {
            "accuracy": model.gate_.accuracy_,
            "gap_coef": model.gate_.gap_coef_,
            "context_effects": model.gate_.context_effects_,
            "log_loss": model.gate_.log_loss_,
        },
        "tables": {
            view: {
                method: {column: pick(report, column) for column in COLUMNS}
                for method, report in by_method.items()
            }
            for view, by_method in reports.items()
        },
        "differences": {view: differences(by_method) for view, by_method in reports.items()},
        "power": {view: power(by[SELECTIVE], by[NO_LLM]) for view, by in reports.items()},
        "trust": trust(model),
        "example": example(data, models),
    }

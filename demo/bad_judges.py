"""Judges whose answers to the recorded questions are worse than the LLM's, or perfect."""

import numpy as np
import pandas as pd

from sklearn_selreg.judges import PrecomputedJudge

RECORDED = "recorded"
SHUFFLED = {"50% shuffled": 0.5, "90% shuffled": 0.9}
INVERTED = "inverted"
POPULAR = "by popularity"
BAD = (*SHUFFLED, INVERTED, POPULAR)


def make(kind, data, seed):
    """Return the judge of a data set, as recorded or corrupted.

    Parameters
    ----------
    kind : {"recorded", "50% shuffled", "90% shuffled", "inverted", "by popularity"}
    data : Bunch
    seed : int
        Seed for the shuffles.

    Returns
    -------
    judge : PrecomputedJudge
    """
    if kind == RECORDED:
        return data.judge
    if kind == INVERTED:
        return inverted_judge(data.judge)
    if kind == POPULAR:
        return popular_judge(data.judge, data.train)
    return shuffled_judge(data.judge, SHUFFLED[kind], seed)


def records(questions, answers):
    """List the records of a judge with other answers to the same questions.

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
    """Corrupt a judge: shuffle the ratings of a question with the given probability.

    All answers to a question are shuffled in the same way, so that the judge is consistently wrong,
    and repeated questions do not reveal it.

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
    questions = judge.judged_slates()
    order = np.arange(len(questions.candidates))
    for start, stop in zip(questions.indptr[:-1], questions.indptr[1:], strict=True):
        if rng.random() < probability:
            rng.shuffle(order[start:stop])
    return PrecomputedJudge(records(questions, questions.answers[order]))


def inverted_judge(judge):
    """Invert all ratings of a judge."""
    questions = judge.judged_slates()
    return PrecomputedJudge(records(questions, 1 - questions.answers))


def popular_judge(judge, train):
    """Rate a judge's candidates by their number of other users in `train`.

    The user's own interactions are not counted, since a judge does not know hidden items.
    """
    questions = judge.judged_slates()
    count = train["item"].value_counts().reindex(questions.candidates, fill_value=0).to_numpy()
    users = np.repeat(questions.user, np.diff(questions.indptr))
    pairs = pd.MultiIndex.from_arrays([users, questions.candidates])
    count = count - pairs.isin(pd.MultiIndex.from_frame(train[["user", "item"]]))
    return PrecomputedJudge(records(questions, _all_alike(count / (count + 10), questions)))


def all_knowing_judge(judge, held_out):
    """Rate candidates 1 if they are held-out likes of the user, else 0."""
    questions = judge.judged_slates()
    users = np.repeat(questions.user, np.diff(questions.indptr))
    pairs = pd.MultiIndex.from_arrays([users, questions.candidates])
    liked = pairs.isin(pd.MultiIndex.from_frame(held_out[["user", "item"]]))
    return PrecomputedJudge(records(questions, _all_alike(liked.astype(float), questions)))


def _all_alike(ratings, questions):
    """Repeat the ratings for each answer to a question."""
    return np.repeat(ratings[:, np.newaxis], questions.answers.shape[1], axis=1)

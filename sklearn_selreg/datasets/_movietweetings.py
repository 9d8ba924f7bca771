"""MovieTweetings, split for cold-start evaluation, with recorded answers of an LLM."""

from sklearn.utils import Bunch

from ._coldstart import make_bunch, read_table

_DESCR = """\
MovieTweetings cold-start protocol with recorded LLM judgments
==============================================================

**Data.** MovieTweetings, snapshot 100K: ratings of films from 0 to 10 that people posted on Twitter
from February 28 to September 1, 2013, with title, year and genres of all 10,506 films that were
rated. Films have their numbers in IMDb (111161 is `tt0111161`).

**Folds.** An interaction is a rating of at least 8; 13,764 users have some. In order of time, the
last 2 of users with at least 6 interactions are `test`, the last one of users with 3 to 5; the one
before is `valid`, and the others are `train`. All interactions of users with 1 or 2 are `train`.
The cohort "cold" are the 12,507 users with at most 5 interactions in `train`, 3,414 of the 4,671
users in `test`; the other users are the cohort "warm". Nothing is `dropped`.

| fold    | interactions |
|---------|--------------|
| train   | 38,992       |
| valid   | 4,671        |
| test    | 6,879        |
| dropped | 0            |

**Domain.** People post what they have just seen: half of the interactions are with films of 2012
and 2013, and what is popular changes from week to week. Most have hardly any history: the median
user has 1 interaction in `train`. An LLM may know what they would like, but not what is on;
popularity at the time is hard to beat, and preferences of an LLM can cost more in the first ranks
than they bring.

**Evaluation.** Fit only on `train`, with `time_col="time"`; for each user rank all 10,506 films
but the user's own in `train`. Choose settings on `valid`, report on `test`. Regimes: cold and warm
users; tail: test interactions with films of at most 3 training interactions; new: with films of
none.

**Judgments.** 1,800 answers of a Claude model to 1,650 questions: 1,350 for supervision (20 films
that the user does not have in `train`: 13 of the 50 that a factorization with time and features
ranks highest, 4 by popularity, 3 rare ones; 1,032 cold and 318 warm users, shown with the last 1 to
10 interactions in `train`) and 300 for calibration (the last 4 training interactions of a user with
at least 8 of them hidden among 10 films of the model's highest, 3 by popularity and 3 rare ones;
the model did not know what was hidden; shown were the 1 to 5 interactions before). 150 questions
for calibration were asked twice, with the candidates in another order. The judge saw title, year
and genres, and was asked for a whole number from 0 to 99 for every candidate: how likely this
person would also like that film. Among the films of calibration many are the model's favorites, so
that popularity by itself looks worse there than it is.

**Terms of use.** MovieTweetings has the MIT License, copyright 2013 Simon Dooms. Its text, which
has to be kept with copies of the data, is in the file NOTICE next to the data.
See https://github.com/sidooms/MovieTweetings.

**Citation.** Simon Dooms, Toon De Pessemier and Luc Martens. 2013. MovieTweetings: a Movie Rating
Dataset Collected From Twitter. Workshop on Crowdsourcing and Human Computation for Recommender
Systems, CrowdRec at RecSys 2013.
"""


def load_movietweetings_coldstart() -> Bunch:
    """Load MovieTweetings, split for cold-start evaluation, with 1,800 recorded answers of an LLM.

    Films that people on Twitter rated at least 8 of 10: many users with a single interaction, who
    post what they have just seen. All comes with this package.

    Returns
    -------
    data : Bunch
        With the keys

        train, valid, test, dropped : DataFrame, columns `user`, `item`, `time`, all int64
            The interactions (positive ratings) of each fold, sorted by user and time (seconds
            since 1970). `dropped` is empty.
        item_data : DataFrame of shape (10506, 4), columns `item`, `title`, `year`, `genres`
            All films, sorted by `item` (int64, the number in IMDb). `title` is str, `year` (of
            release) int64, `genres` (as in `Comedy|Drama`) str or NaN.
        judge : PrecomputedJudge
            Gives the recorded answers.
        cohort : Series of str, shape (13764,)
            `"cold"` (at most 5 interactions in `train`) or `"warm"` for each user; the index
            holds the user ids.
        DESCR : str
            The protocol, the source, its terms of use and citation.

    See Also
    --------
    load_movielens_coldstart : Films and users with longer histories.
    load_online_retail_coldstart : Purchases of a shop.

    Notes
    -----
    MovieTweetings is described by Dooms, De Pessemier and Martens [1]_ and has the MIT License.

    References
    ----------
    .. [1] Simon Dooms, Toon De Pessemier and Luc Martens. 2013. MovieTweetings: a Movie Rating
       Dataset Collected From Twitter. Workshop on Crowdsourcing and Human Computation for
       Recommender Systems, CrowdRec at RecSys 2013.

    Examples
    --------
    >>> from sklearn_selreg.datasets import load_movietweetings_coldstart
    >>> data = load_movietweetings_coldstart()
    >>> data.train.head(2)
       user     item        time
    0     1  1853728  1366576639
    1     2  1259521  1364118447
    >>> data.cohort.value_counts().to_dict()
    {'cold': 12507, 'warm': 1257}
    """
    return make_bunch(
        "movietweetings",
        read_table("movietweetings_split"),
        read_table("movietweetings_items"),
        _DESCR,
    )

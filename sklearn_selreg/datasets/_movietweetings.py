"""MovieTweetings with a cold-start split and recorded answers of an LLM."""

from sklearn.utils import Bunch

from ._coldstart import make_bunch, read_table

_DESCR = """\
MovieTweetings cold-start protocol with recorded LLM judgments
==============================================================

**Data.** MovieTweetings, snapshot 100K: ratings of films from 0 to 10 that people posted on Twitter
from February 28 to September 1, 2013, with title, year and genres of all 10,506 rated films. Films
are identified by their IMDb numbers (111161 is `tt0111161`).

**Folds.** An interaction is a rating of at least 8; 13,764 users have at least one. In order of
time, the last 2 interactions of users with at least 6 are `test`, and the last one of users with 3
to 5; the preceding one is `valid`, and the others are `train`. All interactions of users with 1 or
2 are `train`. The cohort "cold" consists of the 12,507 users with at most 5 interactions in
`train`, 3,414 of the 4,671 users in `test`; the other users form the cohort "warm". No interactions
are `dropped`.

| fold    | interactions |
|---------|--------------|
| train   | 38,992       |
| valid   | 4,671        |
| test    | 6,879        |
| dropped | 0            |

**Domain.** People post what they have just watched: half of the interactions are with films of 2012
and 2013, and popularity changes from week to week. Most users have hardly any history: the median
user has 1 interaction in `train`. An LLM may know what they would like, but not what is currently
showing; recent popularity is hard to beat, and preferences of an LLM can hurt the top ranks more
than they help.

**Evaluation.** Fit only on `train`, with `time_col="time"`. For each user, rank all 10,506 films
except the user's own in `train`. Tune on `valid`, report on `test`. Regimes: cold and warm users;
tail: test interactions with films that have at most 3 training interactions; new: with films that
have none.

**Judgments.** 1,800 answers of a Claude model to 1,650 questions: 1,350 for supervision (20 films
that the user does not have in `train`: 13 of the top 50 of a factorization with time and features,
4 by popularity, 3 rare ones; for 1,032 cold and 318 warm users, shown with the last 1 to 10
interactions in `train`) and 300 for calibration (the last 4 training interactions of a user with at
least 8 of them hidden among 10 top films of the model, 3 by popularity and 3 rare ones; the model
did not see the hidden ones; the 1 to 5 preceding interactions were shown). 150 calibration
questions were asked twice, with the candidates in a different order. The judge saw title, year and
genres, and was asked for a whole number from 0 to 99 for every candidate: how likely this person
would also like that film. Since many candidates in calibration are top films of the model,
popularity alone looks worse there than it is.

**Terms of use.** MovieTweetings is available under the MIT License, copyright 2013 Simon Dooms. The
license text, which must be kept with copies of the data, is in the file NOTICE next to the data.
See https://github.com/sidooms/MovieTweetings.

**Citation.** Simon Dooms, Toon De Pessemier and Luc Martens. 2013. MovieTweetings: a Movie Rating
Dataset Collected From Twitter. Workshop on Crowdsourcing and Human Computation for Recommender
Systems, CrowdRec at RecSys 2013.
"""


def load_movietweetings_coldstart() -> Bunch:
    """Load MovieTweetings with a cold-start split and 1,800 recorded answers of an LLM.

    Films that people on Twitter rated at least 8 out of 10. Many users have a single interaction,
    and most post what they have just watched. All data are included in this package.

    Returns
    -------
    data : Bunch
        Dictionary-like object with the keys

        train, valid, test, dropped : DataFrame, columns `user`, `item`, `time`, all int64
            Interactions (positive ratings) of each fold, sorted by user and time (seconds since
            1970). `dropped` is empty.
        item_data : DataFrame of shape (10506, 4), columns `item`, `title`, `year`, `genres`
            All films, sorted by `item` (int64, the IMDb number). `title` is str, `year` (of
            release) int64, `genres` (e.g. `Comedy|Drama`) str or NaN.
        judge : PrecomputedJudge
            Judge with the recorded answers.
        cohort : Series of str, shape (13764,)
            `"cold"` (at most 5 interactions in `train`) or `"warm"` for each user; the index
            holds the user ids.
        DESCR : str
            Protocol, source, terms of use and citation.

    See Also
    --------
    load_movielens_coldstart : Films, for users with longer histories.
    load_online_retail_coldstart : Purchases from a gift shop.

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

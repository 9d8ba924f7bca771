"""Online Retail, split for cold-start evaluation, with recorded answers of an LLM."""

from sklearn.utils import Bunch

from ._coldstart import make_bunch, read_table

_DESCR = """\
Online Retail cold-start protocol with recorded LLM judgments
=============================================================

**Data.** "Online Retail" of the UCI Machine Learning Repository: purchases from a British shop for
gifts, from December 1, 2010 to December 9, 2011. Kept are the rows with a customer, with a stock
code of 5 digits (letters may follow), and with quantity and price above 0, of these the first one
of each customer and product, and of the customers the 3,857 with at least 8 products. The 3,659
products have a description (the most frequent one, in lower case) and a price (the median, in
pounds sterling).

**Folds.** An interaction is the first purchase of a product by a customer. Of each customer's
interactions, in order of time, the last 20 % (1 to 10) are `test`, the 10 % before (1 to 5)
`valid`, and the others `train`. Half of the customers are the cohort "cold": only the last 1 to 5
of their training interactions stay in `train`, the others are `dropped` and should be used by
nobody. The other customers are the cohort "warm".

| fold    | interactions |
|---------|--------------|
| train   | 112,028      |
| valid   | 13,845       |
| test    | 27,743       |
| dropped | 110,705      |

Products bought in the same minute are in the order of their codes, and the folds part them in this
order: 64 % of the test interactions are with products bought together with one of the customer's in
`train`, and have higher codes. So the task is often to complete a basket, and a code must not be
used as a feature.

**Domain.** Many customers are wholesalers, with long and varied histories. Descriptions are terse
("doggy rubber"), so purchases tell more than what an LLM can read in them: expect little of its
preferences here, but that they do no harm.

**Evaluation.** Fit only on `train`; for each user rank all 3,659 products but the user's own in
`train`. Choose settings on `valid`, report on `test`. Regimes: cold and warm users; tail: test
interactions with products of at most 3 training interactions; new: with products of none.

**Judgments.** 1,200 answers of a Claude model to 900 questions: 600 for supervision (20 products
that the user does not have in `train`: 12 of the 50 that a factorization with features ranks
highest, 4 by popularity, 4 of the long tail; 450 cold and 150 warm customers, shown with the last 1
to 10 interactions in `train`) and 300 for calibration (the last 4 training interactions of a warm
customer hidden among 7 products of the model's highest, 5 by popularity and 4 of the long tail; the
model did not know what was hidden; shown were the 1 to 10 interactions before). 300 questions were
asked twice, with the candidates in another order. The judge saw description and price, and was
asked for a whole number from 0 to 99 for every candidate: how likely this customer would also buy
that product.

**Terms of use.** Online Retail is licensed under the Creative Commons Attribution 4.0 International
license (CC BY 4.0): it may be shared and changed, also commercially, if the source is named and
changes are told. The changes made here are said under Data and Folds.
See https://creativecommons.org/licenses/by/4.0/.

**Citation.** Daqing Chen. 2015. Online Retail [Dataset]. UCI Machine Learning Repository.
https://doi.org/10.24432/C5BW33
"""


def load_online_retail_coldstart() -> Bunch:
    """Load Online Retail, split for cold-start evaluation, with 1,200 recorded answers of an LLM.

    Purchases of a shop for gifts, whose terse descriptions tell an LLM little. All comes with this
    package.

    Returns
    -------
    data : Bunch
        With the keys

        train, valid, test, dropped : DataFrame, columns `user`, `item`, `time`
            The interactions (first purchases) of each fold, sorted by user (int64) and time
            (datetime64[s], to the minute). `item` is str. `dropped` are earlier interactions of
            cold customers, to be used by nobody.
        item_data : DataFrame of shape (3659, 3), columns `item`, `description`, `price`
            All products, sorted by `item` (the stock code, str). `description` is str, `price`
            float64, in pounds sterling.
        judge : PrecomputedJudge
            Gives the recorded answers.
        cohort : Series of str, shape (3857,)
            `"cold"` or `"warm"` for each user; the index holds the user ids.
        DESCR : str
            The protocol, the source, its terms of use and citation.

    See Also
    --------
    load_movielens_coldstart : Films, which an LLM knows well.
    load_movietweetings_coldstart : Films, just seen by users with hardly any history.

    Notes
    -----
    Online Retail was made public by Chen [1]_ under CC BY 4.0. `DESCR` tells what was changed.

    References
    ----------
    .. [1] Daqing Chen. 2015. Online Retail [Dataset]. UCI Machine Learning Repository.
       https://doi.org/10.24432/C5BW33

    Examples
    --------
    >>> from sklearn_selreg.datasets import load_online_retail_coldstart
    >>> data = load_online_retail_coldstart()
    >>> data.item_data.head(2)
        item                 description  price
    0  10002  inflatable political globe   0.85
    1  10080    groovy cactus inflatable   0.39
    >>> data.cohort.value_counts().to_dict()
    {'warm': 1929, 'cold': 1928}
    """
    codes = {"item": str}
    interactions = read_table("online_retail_split", dtype=codes)
    return make_bunch(
        "online_retail",
        interactions.assign(time=interactions["time"].astype("datetime64[s]")),
        read_table("online_retail_items", dtype=codes),
        _DESCR,
    )

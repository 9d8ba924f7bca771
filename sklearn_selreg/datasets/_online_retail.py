"""Online Retail with a cold-start split and recorded answers of an LLM."""

from sklearn.utils import Bunch

from ._coldstart import make_bunch, read_table

_DESCR = """\
Online Retail cold-start protocol with recorded LLM judgments
=============================================================

**Data.** "Online Retail" of the UCI Machine Learning Repository: purchases from a British gift
shop, from December 1, 2010 to December 9, 2011. Rows were kept if they have a customer, a stock
code of 5 digits (possibly followed by letters), and a positive quantity and price; of these, the
first row of each customer and product, for the 3,857 customers with at least 8 products. The 3,659
products have a description (the most frequent one, in lower case) and a price (the median, in
pounds sterling).

**Folds.** An interaction is the first purchase of a product by a customer. Each customer's
interactions are split in order of time: the last 20 % (1 to 10) are `test`, the preceding 10 % (1
to 5) `valid`, and the others `train`. Half of the customers form the cohort "cold": only the last 1
to 5 of their training interactions stay in `train`; the others are `dropped` and must not be used.
The other customers form the cohort "warm".

| fold    | interactions |
|---------|--------------|
| train   | 112,028      |
| valid   | 13,845       |
| test    | 27,743       |
| dropped | 110,705      |

Products bought in the same minute are ordered by their codes, and the folds follow this order: 64 %
of the test interactions are with products that were bought together with one of the customer's
products in `train` and have higher codes. The task is therefore often to complete a basket, and
codes must not be used as features.

**Domain.** Many customers are wholesalers with long and varied histories. Descriptions are terse
("doggy rubber"), so purchases are more informative than what an LLM can infer from them: expect its
preferences to add little here.

**Evaluation.** Fit only on `train`. For each user, rank all 3,659 products except the user's own in
`train`. Tune on `valid`, report on `test`. Regimes: cold and warm users; tail: test interactions
with products that have at most 3 training interactions; new: with products that have none.

**Judgments.** 1,200 answers of a Claude model to 900 questions: 600 for supervision (20 products
that the user does not have in `train`: 12 of the top 50 of a factorization with features, 4 by
popularity, 4 from the long tail; for 450 cold and 150 warm customers, shown with the last 1 to 10
interactions in `train`) and 300 for calibration (the last 4 training interactions of a warm
customer hidden among 7 top products of the model, 5 by popularity and 4 from the long tail; the
model did not see the hidden ones; the 1 to 10 preceding interactions were shown). 300
questions were asked twice, with the candidates in a different order. The judge saw description and
price, and was asked for a whole number from 0 to 99 for every candidate: how likely this customer
would also buy that product.

**Terms of use.** Online Retail is licensed under the Creative Commons Attribution 4.0 International
license (CC BY 4.0): it may be shared and adapted, also commercially, if the source is credited and
changes are indicated. The changes are described above, under Data and Folds.
See https://creativecommons.org/licenses/by/4.0/.

**Citation.** Daqing Chen. 2015. Online Retail [Dataset]. UCI Machine Learning Repository.
https://doi.org/10.24432/C5BW33
"""


def load_online_retail_coldstart() -> Bunch:
    """Load Online Retail with a cold-start split and 1,200 recorded answers of an LLM.

    Purchases from a gift shop, whose terse descriptions are of little use to an LLM. All data are
    included in this package.

    Returns
    -------
    data : Bunch
        Dictionary-like object with the keys

        train, valid, test, dropped : DataFrame, columns `user`, `item`, `time`
            Interactions (first purchases) of each fold, sorted by user (int64) and time
            (datetime64[s], to the minute). `item` is str. `dropped` holds earlier interactions of
            cold customers, which must not be used.
        item_data : DataFrame of shape (3659, 3), columns `item`, `description`, `price`
            All products, sorted by `item` (the stock code, str). `description` is str, `price`
            float64, in pounds sterling.
        judge : PrecomputedJudge
            Judge with the recorded answers.
        cohort : Series of str, shape (3857,)
            `"cold"` or `"warm"` for each user; the index holds the user ids.
        DESCR : str
            Protocol, source, terms of use and citation.

    See Also
    --------
    load_movielens_coldstart : Films, which an LLM knows well.
    load_movietweetings_coldstart : Recently watched films of users with very short histories.

    Notes
    -----
    Online Retail was published by Chen [1]_ under CC BY 4.0. `DESCR` describes the changes.

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

"""Common files and format of the cold-start data sets."""

from importlib.resources import files

import pandas as pd
from sklearn.utils import Bunch

from ..judges import PrecomputedJudge

_FOLDER = files(__package__) / "data"
_FOLDS = ("train", "valid", "test", "dropped")


def read_table(name, **options):
    """Read a CSV file that is included in the package.

    Parameters
    ----------
    name : str
        File name without `.csv.gz`.
    **options
        Keyword arguments of `pandas.read_csv`.

    Returns
    -------
    table : DataFrame
    """
    return pd.read_csv(_FOLDER / f"{name}.csv.gz", **options)


def make_bunch(name, interactions, item_data, descr):
    """Assemble a data set.

    Parameters
    ----------
    name : str
        The judge's answers are in `<name>_judgments.jsonl.gz`.
    interactions : DataFrame, columns `user`, `item`, `time`, `fold`, `cohort`
        Rows with the same user and time are in the order of the split.
    item_data : DataFrame
        The first column is `item`.
    descr : str
        Description of the data set.

    Returns
    -------
    data : Bunch
        With the keys `train`, `valid`, `test`, `dropped`, `item_data`, `judge`, `cohort`, `DESCR`.
    """
    interactions = interactions.sort_values(["user", "time"], kind="stable")

    def fold(name):
        rows = interactions.loc[interactions["fold"] == name, ["user", "item", "time"]]
        return rows.reset_index(drop=True)

    return Bunch(
        **{name: fold(name) for name in _FOLDS},
        item_data=item_data,
        judge=PrecomputedJudge(_FOLDER / f"{name}_judgments.jsonl.gz"),
        cohort=interactions.drop_duplicates("user").set_index("user")["cohort"],
        DESCR=descr,
    )

"""What the data sets split for cold-start evaluation have in common: their files and their form."""

from importlib.resources import files

import pandas as pd
from sklearn.utils import Bunch

from ..judges import PrecomputedJudge

_FOLDER = files(__package__) / "data"
_FOLDS = ("train", "valid", "test", "dropped")


def read_table(name, **options):
    """Read a CSV file that comes with the package.

    Parameters
    ----------
    name : str
        The file's name without `.csv.gz`.
    **options
        For `pandas.read_csv`.

    Returns
    -------
    table : DataFrame
    """
    return pd.read_csv(_FOLDER / f"{name}.csv.gz", **options)


def make_bunch(name, interactions, item_data, descr):
    """Put a data set together.

    Parameters
    ----------
    name : str
        The judge gives the answers in the file `<name>_judgments.jsonl.gz`.
    interactions : DataFrame, columns `user`, `item`, `time`, `fold`, `cohort`
        Rows of a user and time are in the order that the folds follow.
    item_data : DataFrame
        The first column is `item`.
    descr : str
        The description.

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

"""Detection of item texts that become identical when truncated for a judge."""

from itertools import pairwise

import numpy as np
import pandas as pd

from .._data._arrays import as_objects
from .._data._csr import count_interactions
from .._utils._warn import warn
from ..exceptions import DataWarning
from ..judges._prompt import clean_text

_FEW_ALIKE = 0.05  # fraction of items with a text that is tolerated without a warning
_EXAMPLE = 60  # characters quoted in the warning


def warn_of_texts_cut_alike(texts, interactions, judge):
    """Warn if truncation of the texts makes many items indistinguishable to a judge.

    Parameters
    ----------
    texts : ndarray of shape (n_items,), object
        Empty for items without a text.
    interactions : Interactions
    judge : BaseJudge

    Warns
    -----
    DataWarning
        If this affects more than 1 in 20 of the items with interactions and a text.
    """
    longest = getattr(judge, "max_item_chars", None)
    if not judge.reads_texts or longest is None:
        return
    used = (count_interactions(interactions.matrix) > 0) & (texts != "")
    long = np.flatnonzero(used & (np.array([len(text) for text in texts]) > longest))
    begins = pd.Series([texts[item][:longest] for item in long], dtype=object)
    long = long[begins.duplicated(keep=False)]  # cleaning is slow, so select before
    cut = pd.Series([clean_text(texts[item], longest) for item in long], index=long, dtype=object)
    full = pd.Series(texts[long], index=long, dtype=object)
    differs = full.groupby(cut).transform("nunique") > 1
    alike = cut[differs]
    if len(alike) <= _FEW_ALIKE * used.sum():
        return
    most = alike.mode().iloc[0]
    some = as_objects(interactions.items[alike.index[alike == most]]).tolist()
    needed = _shared_length([texts[item] for item in alike.index[alike == most]])
    begin = most if len(most) <= _EXAMPLE else most[: _EXAMPLE - 1] + "…"
    warn(
        f"The judge cannot distinguish {len(alike)} of the {used.sum()} items with a text from "
        f"other items: their texts differ only after the first {longest} characters, which is all "
        f"it is shown (max_item_chars). For example, the texts of {len(some)} items, including "
        f"{some[0]!r} and {some[1]!r}, start with {begin!r}. Select columns that distinguish items "
        "or have shorter texts (item_text of SlateSampler), or raise max_item_chars: these texts "
        f"differ after {needed} characters.",
        DataWarning,
    )


def _shared_length(texts):
    """Length of the longest common prefix of two different texts."""
    return max(_n_equal(first, second) for first, second in pairwise(sorted(set(texts))))


def _n_equal(first, second):
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))

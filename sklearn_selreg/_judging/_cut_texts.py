"""Texts that begin alike, so that all of them are the same for a judge that is shown the begin."""

from itertools import pairwise

import numpy as np
import pandas as pd

from .._data._arrays import as_objects
from .._data._csr import count_interactions
from .._utils._warn import warn
from ..exceptions import DataWarning
from ..judges._prompt import clean_text

_FEW_ALIKE = 0.05  # share of items with a text, of which nothing is said
_EXAMPLE = 60  # characters


def warn_of_texts_cut_alike(texts, interactions, judge):
    """Warn if many items are the same to a judge, as their texts differ only where they are cut.

    Parameters
    ----------
    texts : ndarray of shape (n_items,), object
        Empty where nothing is known.
    interactions : Interactions
    judge : BaseJudge

    Warns
    -----
    DataWarning
        If that is more than 1 in 20 of the items that have interactions and a text.
    """
    longest = getattr(judge, "max_item_chars", None)
    if not judge.reads_texts or longest is None:
        return
    used = (count_interactions(interactions.matrix) > 0) & (texts != "")
    long = np.flatnonzero(used & (np.array([len(text) for text in texts]) > longest))
    begins = pd.Series([texts[item][:longest] for item in long], dtype=object)
    long = long[begins.duplicated(keep=False)]  # cleaning takes its time
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
        f"{len(alike)} of the {used.sum()} items with a text are the same as another one to the "
        f"judge: their texts differ only after the {longest} characters that it is shown "
        f"(max_item_chars). So begin those of {len(some)} items, {some[0]!r} and {some[1]!r} "
        f"among them: {begin!r}. Name columns that tell items apart, or give shorter texts "
        f"(item_text of SlateSampler), or show more: these differ after {needed} characters.",
        DataWarning,
    )


def _shared_length(texts):
    """Return the length of the longest begin that two of the texts share, which differ."""
    return max(_n_equal(first, second) for first, second in pairwise(sorted(set(texts))))


def _n_equal(first, second):
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))

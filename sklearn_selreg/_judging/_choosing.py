"""Selection of the slates for a judge, with item texts."""

import logging

from .._data._item_texts import hidden_columns
from .._utils._warn import warn
from ..exceptions import JudgmentWarning
from ._asking import SlatesToAsk, check_texts, describe, make_slates
from ._cut_texts import warn_of_texts_cut_alike
from ._sampler import sample_slates

_log = logging.getLogger("sklearn_selreg")


def choose_slates(sampler, judge, interactions, features, table, *, num_threads, verbose):
    """Select the slates to query a judge on.

    Parameters
    ----------
    sampler : SlateSampler
    judge : BaseJudge
    interactions : Interactions
    features : csr_matrix of shape (n_items, n_features) or None
    table : ItemTable or None
        Source of the item texts.
    num_threads, verbose : int

    Returns
    -------
    slates : SlatesToAsk
    """
    texts = describe(interactions.items, table, sampler.item_text)
    shown = table is None or sampler.item_text is not None
    hidden = () if shown else hidden_columns(table)
    check_texts(texts, interactions, judge, *hidden)
    warn_of_texts_cut_alike(texts, interactions, judge)
    chosen = sample_slates(
        interactions,
        features,
        max_slates=sampler.max_slates,
        size=sampler.size,
        calibration_fraction=sampler.calibration_fraction,
        random_state=sampler.random_state,
        num_threads=num_threads,
        verbose=verbose,
    )
    _log.info("Selected %d slates for a judge.", len(chosen))
    if not len(chosen):
        warn(
            "No slate could be built for the judge: each requires a user with interactions and at "
            "least 2 items that are new to the user. The model is fitted without the judge.",
            JudgmentWarning,
        )
    return SlatesToAsk(make_slates(chosen, interactions, texts), chosen.calibrates)

"""The slates that a judge is asked about, with texts."""

import logging

from .._data._item_texts import hidden_columns
from ..judges import Slate
from ._asking import check_texts, describe, make_slates
from ._sampler import choose_questions

_log = logging.getLogger("sklearn_selreg")


def choose_slates(sampler, judge, interactions, features, table, *, num_threads, verbose):
    """Choose the slates to ask a judge.

    Parameters
    ----------
    sampler : SlateSampler
    judge : BaseJudge
    interactions : Interactions
    features : csr_matrix of shape (n_items, n_features) or None
    table : ItemTable or None
        Of which texts are made.
    num_threads, verbose : int

    Returns
    -------
    slates : list of Slate
    """
    texts = describe(interactions.items, table, sampler.item_text)
    shown = table is None or sampler.item_text is not None
    hidden = () if shown else hidden_columns(table)
    check_texts(texts, interactions, judge, *hidden)
    questions = choose_questions(
        interactions,
        features,
        n_questions=sampler.max_slates,
        slate_size=sampler.size,
        calibration_share=sampler.calibration_fraction,
        random_state=sampler.random_state,
        num_threads=num_threads,
        verbose=verbose,
    )
    _log.info("Chose %d slates for a judge.", len(questions))
    return make_slates(questions, interactions, texts, Slate)

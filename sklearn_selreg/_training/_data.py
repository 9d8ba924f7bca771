"""Data and settings of a training run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import scipy.sparse as sp

from .._data._interactions import Interactions
from .._data._item_table import ItemTable
from .._factorization._als_backbone import ALSBackbone
from .._factorization._sampled_backbones import SampledBackbone
from ._preferences import preference_losses


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Interactions, with features of items and users.

    Attributes
    ----------
    interactions : Interactions
    table : ItemTable or None
    features : csr_matrix of shape (n_items, n_features), float32, or None
    encoder : transformer or None
        Encoder that computed the features.
    feature_names : ndarray of shape (n_features,), object
    id_names : tuple of (str, str)
        Column names of user and item ids.
    user_features, user_encoder, user_feature_names
        The same for users.
    """

    interactions: Interactions
    table: ItemTable | None
    features: sp.csr_matrix | None
    encoder: object
    feature_names: np.ndarray
    id_names: tuple
    user_features: sp.csr_matrix | None = None
    user_encoder: object = None
    user_feature_names: np.ndarray = field(default_factory=partial(np.empty, 0, object))


@dataclass(frozen=True, eq=False)
class TrainingSettings:
    """Settings of a training run.

    Attributes
    ----------
    backbone : ALSBackbone or SampledBackbone
        Backbone fitted before the regularized sweeps.
    n_refine : int
        Number of regularized sweeps; 0 without a judge.
    strengths : {"raw", "log", "binary"}
    n_periods : int
    uses_last_period : bool
    judge : BaseJudge or None
    gate : "auto", gate or None
    llm_weight, margin : float
    random_state : int, RandomState, Generator or None
    compute_loss : bool
    verbose : int
    make_losses : callable
        Function with the signature of `preference_losses`, as an extension point for other losses.
    attributes_of : callable or None
        Function that converts a `Trained` to a dict of the estimator's fitted attributes, for
        callbacks that inspect the model between sweeps. If None, they cannot.
    """

    backbone: ALSBackbone | SampledBackbone
    n_refine: int
    strengths: str
    n_periods: int
    uses_last_period: bool
    judge: object
    gate: object
    llm_weight: float
    margin: float
    random_state: object
    compute_loss: bool
    verbose: int
    make_losses: Callable = preference_losses
    attributes_of: Callable | None = None

    @property
    def preference_settings(self):
        """Settings of the regularization by preferences for messages; empty without a judge."""
        if self.judge is None:
            return {}
        return {"llm_weight": self.llm_weight, "margin": self.margin}

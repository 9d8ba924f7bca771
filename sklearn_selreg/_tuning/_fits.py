"""Small fits of a backbone on a hold-out, which continue the previous fit where possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp

from .._data._finite import are_finite
from .._data._strengths import StrengthScale
from .._factorization._als_backbone import ALSBackbone
from .._factorization._factors import Factors, with_bias
from .._factorization._sampled_backbones import SAMPLED_POPULARITY, SampledBackbone
from ._evaluation import Result
from ._hold_out import SEED, HoldOut

_CG_STEPS = 4  # for the final update of users by recent interactions

Backbone = ALSBackbone | SampledBackbone
_OneBackbone = TypeVar("_OneBackbone", bound=Backbone)
Evaluate = Callable[[dict[str, Any], Sequence[float]], list[Result]]
"""Evaluates factors for several `item_bias` values and settings that need no other fit."""


def setting_names(backbone: Backbone) -> set[str]:
    """Return the names of the settings that are attributes of a backbone."""
    return {field.name for field in fields(backbone) if field.init}


class ALSFits:
    """Fits of ALS; a fit continues the previous one if only the number of sweeps differs.

    Parameters
    ----------
    backbone : ALSBackbone
        Provides the settings that do not change.
    hold_out : HoldOut
    """

    def __init__(self, backbone: ALSBackbone, hold_out: HoldOut):
        self._backbone, self._hold_out = backbone, hold_out
        self._forget()

    def _forget(self) -> None:
        self._key: Any = None
        self._problem: Any = None
        self._n_sweeps = 0

    def evaluate_plain(self, settings: dict[str, Any]) -> list[Result]:
        """Evaluate a fit without features and item bias, then free its memory."""
        evaluate = self.fit(settings, with_features=False)
        self._forget()
        return evaluate(settings, [0.0])

    def fit(self, settings: dict[str, Any], *, with_features: bool = True) -> Evaluate:
        """Fit with the given settings."""
        hold_out = self._hold_out
        backbone, matrix = _configure(self._backbone, settings, hold_out)
        same_problem = replace(backbone, iterations=1, item_bias=0.0, recency_power=0.0)
        key = same_problem, settings["strengths"]
        if key != self._key:
            self._problem = backbone.problem(
                matrix,
                hold_out.features if with_features else None,
                _start(backbone, matrix),
                user_features=hold_out.user_features if with_features else None,
                popularity=hold_out.popularity,
                share=hold_out.user_fraction,
            )
            self._key, self._n_sweeps = key, 0
        for _ in range(settings["iterations"] - self._n_sweeps):
            self._problem.sweep()
        self._n_sweeps = settings["iterations"]
        users, items = self._problem.user_factors[hold_out.users], self._problem.item_factors
        if not are_finite(users, items):
            return lambda settings, biases: [Result(0.0, 0.0, 0.0)] * len(biases)
        seen, prior = matrix[hold_out.users], None
        if with_features and hold_out.user_features is not None:
            prior = hold_out.user_features[hold_out.users] @ self._problem.user_coefficients

        def evaluate(settings: dict[str, Any], biases: Sequence[float]) -> list[Result]:
            power = settings["recency_power"]
            recent_users = replace(backbone, recency_power=power).solve_users(
                seen,
                Factors(users, items, None),
                hold_out.popularity,
                hold_out.evaluated_recency_rank,
                prior=prior,
                cg_steps=_CG_STEPS,
            )
            n_periods, n_threads = settings["popularity_periods"], backbone.num_threads
            return hold_out.evaluate(recent_users, items, biases, n_periods, n_threads)

        return evaluate


class SampledFits:
    """Fits of BPR or LMF; the trained model is reused if only the feature prior differs.

    Parameters
    ----------
    backbone : SampledBackbone
        Provides the settings that do not change.
    hold_out : HoldOut
    """

    def __init__(self, backbone: SampledBackbone, hold_out: HoldOut):
        self._backbone, self._hold_out = backbone, hold_out
        self._key: Any = None
        self._trained: Any = None

    def fit(self, settings: dict[str, Any]) -> Evaluate:
        """Fit with the given settings."""
        hold_out = self._hold_out
        backbone, matrix = _configure(self._backbone, settings | {"item_bias": 0.0}, hold_out)
        key = replace(backbone, prior_strength=1.0)
        if key != self._key:
            self._key, self._trained = key, backbone.train(matrix, _start(backbone, matrix))
        factors = backbone.lean(
            matrix, hold_out.features, self._trained, user_features=hold_out.user_features
        )
        users, items = with_bias(factors.users[hold_out.users], factors.items, factors.bias)
        bias_scale = SAMPLED_POPULARITY * factors.unit

        def evaluate(settings: dict[str, Any], biases: Sequence[float]) -> list[Result]:
            n_periods, n_threads = settings["popularity_periods"], backbone.num_threads
            scaled = [bias * bias_scale for bias in biases]
            return hold_out.evaluate(users, items, scaled, n_periods, n_threads)

        return evaluate


def _start(backbone: Backbone, matrix: sp.csr_matrix) -> Any:
    n_users, n_items = matrix.shape
    return backbone.start(n_users, n_items, np.random.default_rng(SEED))


def _configure(
    backbone: _OneBackbone, settings: dict[str, Any], hold_out: HoldOut
) -> tuple[_OneBackbone, sp.csr_matrix]:
    """Return the backbone with the given settings, and the matrix with transformed strengths."""
    names = setting_names(backbone)
    own = {name: value for name, value in settings.items() if name in names}
    scale = StrengthScale.of(settings["strengths"], hold_out.matrix.data)
    return replace(backbone, **own), scale.apply(hold_out.matrix)

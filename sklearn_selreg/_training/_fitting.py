"""Fitting: the backbone first, then sweeps regularized by the preferences that the gate trusts."""

import copy
import logging
from dataclasses import dataclass, replace

import numpy as np

from .._data._csr import count_interactions, row_chunks
from .._data._histories import Histories
from .._data._ids import encode
from .._data._item_columns import ItemColumns
from .._data._periods import PopularityOverTime, mean_user
from .._data._strengths import StrengthScale
from .._factorization._als_backbone import ALSBackbone
from .._factorization._factors import with_bias
from .._factorization._finite import check_finite_factors
from .._judging._design import Standing
from .._judging._standing import FOLDS, cross_fitted_standing, rank_items
from .._judging._supervision import Supervision, stats_without_opinion, supervise
from .._serving._fitted import FittedModel
from .._serving._user_table import UserTable
from .._utils._progress import Progress
from .._utils._warn import warn
from ..exceptions import ParameterWarning
from ._sweeps import SweepWatch

_log = logging.getLogger("sklearn_selreg")
_ENOUGH_TO_FIT = 1000  # interactions; with fewer, factors near 0 are not surprising
_VANISHED = 0.02  # mean contribution of the factors to the score of a fitted pair


@dataclass(frozen=True, eq=False)
class Trained:
    """Result of training.

    Attributes
    ----------
    model : FittedModel
    supervision : Supervision or None
        None without a judge, or if it rated no slate.
    judge_stats : dict of str to int
        Empty without a judge.
    losses : list of float
    n_iter : int
    """

    model: FittedModel
    supervision: Supervision | None
    judge_stats: dict
    losses: list
    n_iter: int


def train(data, answers, settings, old=None):
    """Fit a model.

    Parameters
    ----------
    data : TrainingData
    answers : Answers or None
        None without a judge.
    settings : TrainingSettings
    old : tuple or None
        User ids, item ids and `Factors` to continue from.

    Returns
    -------
    trained : Trained
    """
    return _Training(data, answers, settings).run(old)


class _Training:
    """State shared by the steps of one fit."""

    def __init__(self, data, answers, settings):
        self.data, self.answers, self.settings = data, answers, settings
        self.backbone = settings.backbone
        interactions, features = data.interactions, data.features
        self.features, self.recency_rank = features, interactions.recency_rank
        self.of_users = {"user_features": data.user_features}
        self.scale = StrengthScale.of(settings.strengths, interactions.matrix.data)
        self.matrix = self.scale.apply(interactions.matrix)
        self.popularity = count_interactions(self.matrix)
        self.interactions = replace(interactions, matrix=self.matrix)
        n_periods = settings.n_periods if self.backbone.item_bias > 0 else 1
        at = "last" if settings.uses_last_period else "user"
        self.trend = PopularityOverTime.of(self.interactions, n_periods, at=at)
        self.period_weights = self.trend.user_weights()
        self.generator = as_generator(settings.random_state)
        self.judged = answers is not None and answers.judged is not None
        self.is_gated = self.judged and settings.gate is not None
        self.losses = []
        _log.info(
            "Fitting %d interactions of %d users with %d items of %d features.",
            self.matrix.nnz,
            *self.matrix.shape,
            len(data.feature_names),
        )

    def run(self, old):
        settings = self.settings
        # Old factors may know hidden interactions, so cross-fits for the gate start from scratch.
        untouched = copy.deepcopy(self.generator) if self.is_gated else None
        n_fits = 1 + FOLDS if self.is_gated else 1
        n_sweeps = n_fits * self.backbone.watched + (1 + self.is_gated) * settings.n_refine
        n_loops = 1 + 2 * self.is_gated + (settings.n_refine > 0)
        supervision = first = last = None
        n_refined = 0
        with Progress(
            "sweeps", n_sweeps, unit="sweep", verbose=settings.verbose, n_parts=n_loops
        ) as self.sweeps:
            factors = self._fit_backbone(old)
            if self.judged:
                supervision, weights = self._supervise(factors, untouched)
                if weights.any():
                    first, last = self._preferences(supervision, weights, factors)
            if settings.n_refine:
                factors, n_refined = self._refine(factors, supervision, first, last)
            self.sweeps.finish()  # with few users, there are fewer fits
        # Rebinding releases the previous users, which may be large.
        factors, gram = self._finish(factors, last)
        trained = self._trained(factors, gram, supervision, last, n_refined)
        _log.info("Fitted by %d sweeps or epochs.", trained.n_iter)
        if isinstance(self.backbone, ALSBackbone):
            warn_of_vanished_factors(self.matrix, *trained.model.plain_factors, self.backbone)
        return trained

    def _watch(self, name, n_sweeps, **kept):
        return SweepWatch(
            name, n_sweeps, self.settings, self.matrix.data, sweeps=self.sweeps, **kept
        )

    def _fit_backbone(self, old):
        """Fit the backbone; if a callback stops it early, keep its number of sweeps for later."""
        backbone = self.backbone

        def train_to(factors, n_sweeps):
            self.backbone = replace(backbone, iterations=n_sweeps)
            return self._trained(*self._finish(factors, None), None, None, 0)

        losses = self.losses if self.settings.judge is None else None
        by_period = self.trend.counts_by_period()
        with self._watch("backbone", backbone.watched, losses=losses, train_to=train_to) as watch:
            factors = backbone.fit(
                self.matrix, self.features, self._start(old), watch,
                by_period=by_period, **self.of_users,
            )  # fmt: skip
        n_sweeps = watch.ended_after or backbone.iterations
        self.backbone = replace(backbone, iterations=n_sweeps)
        return factors

    def _refine(self, factors, supervision, first, last):
        """Run the regularized sweeps; return the factors and the number of sweeps."""
        n_sweeps = self.settings.n_refine

        def train_to(factors, n_done):
            return self._trained(*self._finish(factors, last), supervision, last, n_done)

        with self._watch(
            "regularized sweeps", n_sweeps, losses=self.losses, train_to=train_to
        ) as watch:
            factors = self.backbone.refine(
                self.matrix, self.features, factors, n_sweeps, first, watch, **self.of_users
            )
        return factors, watch.ended_after or n_sweeps

    def _finish(self, factors, preferences):
        """Run the final update of the users; return the factors, and the Gram matrix before it."""
        gram = None
        if self.features is not None:  # Gram matrix of the users that the items were solved against
            gram = self._gram_of(factors.users)
        how = self.matrix, self.recency_rank, factors, preferences
        return self.backbone.finish(*how, **self.of_users), gram

    def _trained(self, factors, gram, supervision, preferences, n_refined):
        """Return the result of training with these as the final factors."""
        model = self._model(factors, gram, preferences)
        stats = stats_without_opinion(self.answers) if supervision is None else supervision.stats
        n_iter = self.backbone.iterations + n_refined
        return Trained(model, supervision, stats, list(self.losses), n_iter)

    def _start(self, old):
        """Return the starting point of the backbone."""
        new = self.backbone.start(*self.matrix.shape, self.generator)
        if old is None:
            return new
        aligned = _align(old, self.interactions)
        return self.backbone.resume(self.matrix, self.features, *aligned, self.generator)

    def _supervise(self, factors, generator):
        """Return the supervision and its weights."""

        def rank(slates):
            users, items = with_bias(
                factors.users[slates.users], *factors[1:3], self.period_weights[slates.users]
            )
            ranks = rank_items(slates.items, users, items, self.matrix[slates.users])
            return Standing(ranks, self.popularity[slates.items])

        def cross_fit(items, slates):
            start = self.backbone.start(*self.matrix.shape, generator)
            with self._watch("calibration", FOLDS * self.backbone.watched) as watch:
                return cross_fitted_standing(
                    items, slates, self.backbone, self.trend, self.features, start, watch,
                    **self.of_users,
                )  # fmt: skip

        settings = self.settings
        return supervise(
            self.answers, self.interactions, settings.judge, settings.gate, rank, cross_fit
        )

    def _preferences(self, supervision, weights, factors):
        """Preference losses of the sweeps and of the final update of the users."""
        backbone, settings = self.backbone, self.settings
        plain = final = factors
        if self.is_gated:  # margins refer to a model after the same number of sweeps
            with self._watch("sweeps without preferences", settings.n_refine) as watch:
                plain = backbone.refine(
                    self.matrix, self.features, factors, settings.n_refine, None, watch,
                    **self.of_users,
                )  # fmt: skip
            final = backbone.finish(self.matrix, self.recency_rank, plain, None, **self.of_users)
        return settings.make_losses(
            supervision,
            weights,
            plain,
            final,
            self.period_weights,
            seen=self.matrix,
            weight=settings.llm_weight * backbone.preference_unit,
            margin=settings.margin,
            num_threads=backbone.num_threads,
        )

    def _gram_of(self, users):
        """Gram matrix of the users that the items were solved against, float64."""
        known = np.diff(self.matrix.indptr) > 0
        if self.data.user_features is None:
            known[:] = True
        parts = (users[rows][known[rows]] for rows in row_chunks(len(users)))
        return sum(part.T.astype(np.float64) @ part for part in parts)

    def _model(self, factors, gram, preferences):
        """Check the factors and return the model."""
        backbone, data, interactions = self.backbone, self.data, self.data.interactions
        biases = () if factors.bias is None else (factors.bias,)
        check_finite_factors(
            backbone,
            self.matrix.data,
            *factors[:2],
            *biases,
            judged=self.settings.preference_settings,
        )
        user_factors, item_factors = with_bias(*factors[:3], self.period_weights)
        # Users with neither interactions nor features get the mean user.
        empty = np.diff(self.matrix.indptr) == 0
        nobody = empty.copy()
        if data.user_features is not None:
            nobody &= np.diff(data.user_features.indptr) == 0
        periods = self.trend.centers
        user_factors[nobody] = mean_user(user_factors, len(periods), ~empty)
        times = interactions.times
        return FittedModel(
            user_table=UserTable(
                ids=interactions.users,
                factors=user_factors,
                histories=Histories(interactions.matrix, self.recency_rank, times),
                features=data.user_features,
            ),
            items=interactions.items,
            item_factors=item_factors,
            popularity=self.popularity,
            backbone=backbone,
            scale=self.scale,
            periods=periods,
            uses_last_period=self.settings.uses_last_period,
            id_names=data.id_names,
            item_columns=ItemColumns.of(data.table, interactions.items),
            time_kind=interactions.time_kind,
            time_span=None if times is None else (float(times.min()), float(times.max())),
            features=self.features,
            feature_names=data.feature_names,
            user_gram=gram,
            own_bias=factors.own_bias,
            fold_in_scale=factors.gain,
            preferences=preferences,
            as_of_fit=np.ones(len(interactions.users), dtype=bool),
            user_feature_names=data.user_feature_names,
            user_coefficients=factors.user_coefficients,
        )


def warn_of_vanished_factors(matrix, user_factors, item_factors, backbone):
    """Warn if the factors contribute little to the scores of fitted pairs, which should be 1."""
    if matrix.nnz < _ENOUGH_TO_FIT:
        return
    entries = np.linspace(0, matrix.nnz - 1, _ENOUGH_TO_FIT).astype(int)
    users = np.searchsorted(matrix.indptr, entries, side="right") - 1
    items = matrix.indices[entries]
    scores = np.einsum("ij,ij->i", user_factors[users], item_factors[items])
    if scores.mean() < _VANISHED:
        warn(
            "The factors have collapsed toward zero, so all users get nearly the same "
            f"recommendations: regularization is too large ({backbone.regularization:g}) for these "
            f"interactions and alpha={backbone.alpha:g}. Lower regularization or raise alpha.",
            ParameterWarning,
        )


def as_generator(random_state):
    """Convert a random state to a Generator, seeding ints as `implicit` does."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31)
    return np.random.default_rng(random_state)


def _align(old, interactions):
    """Align old factors with new interactions; also return masks of known users and items."""
    users, items, factors = old
    rows, columns = encode(users, interactions.users), encode(items, interactions.items)
    own_bias = None if factors.own_bias is None else factors.own_bias[columns]
    aligned = factors._replace(
        users=factors.users[rows], items=factors.items[columns], own_bias=own_bias
    )
    return aligned, (rows >= 0, columns >= 0)

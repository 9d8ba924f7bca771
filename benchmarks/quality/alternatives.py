"""Other ways to use an LLM's answers on our backbone: those of the paper, and other losses.

They differ from `SelectiveLLMRegularizedMF` only in the regularizer of the last sweeps: features,
biases, weights, number of sweeps and the last update of the users are the same.
"""

import sys
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin

sys.path.insert(0, str(Path(__file__).parents[1]))  # shared by all benchmarks

from internals import (
    COLD_BELOW,
    FEATURE_RIDGE,
    TAIL_UP_TO,
    ALSBackbone,
    PreferenceLoss,
    SlateTerms,
    pack_pairs,
    with_bias,
)

from sklearn_selreg import ReliabilityGate, SelectiveLLMRegularizedMF

_SMALLEST_HINGE = 0.1  # times the margin; smaller hinges are smoothed


# -- gates -------------------------------------------------------------------------------------


class FixedRule(TransformerMixin, BaseEstimator):
    """The paper's rule without learning: trust the LLM only for cold users and tail items.

    The weight of a pair is the mean over its items of "the user is cold, or the item is tail". For
    use in `FixedMarginMF`: in the paper's loss, all pairs have the same margin.
    """

    def fit(self, Z, y=None, groups=None):
        """Do nothing."""
        return self

    def transform(self, Z):
        """Return weights in {0, 1/2, 1}, (n_pairs, 1)."""
        cold = (Z["history_length"] < COLD_BELOW).to_numpy()
        tail = Z[["popularity_rarer", "popularity_commoner"]].to_numpy() <= np.log1p(TAIL_UP_TO)
        return np.maximum(cold, tail.mean(axis=1))[:, np.newaxis]


class RuleGate(TransformerMixin, BaseEstimator):
    """Our gate with other rules, or without some of its evidence.

    Parameters
    ----------
    rule : str
        Definition of the weight: the LLM's log-odds if all three log-odds of `ReliabilityGate`
        exceed the threshold ("three"), if the LLM's and the total ones do ("two"), or if the LLM's
        do ("own"); the "total" log-odds if they exceed it; the "probability" 2 p - 1 of "three";
        "one" if "three" is positive; or the "gap", without any calibration.
    drop : tuple of str
        Columns of evidence to leave out.
    threshold : float
    """

    def __init__(self, rule="three", drop=(), threshold=0.2):
        self.rule = rule
        self.drop = drop
        self.threshold = threshold

    def fit(self, Z, y, groups=None, sample_weight=None):
        """Fit the gate on the remaining evidence."""
        kept = Z.drop(columns=list(self.drop))
        gate = ReliabilityGate(threshold=self.threshold)
        self.gate_ = gate.fit(kept, y, groups=groups, sample_weight=sample_weight)
        return self

    def transform(self, Z):
        """Return weights >= 0, (n_pairs, 1)."""
        gap, kept = Z["gap"].to_numpy(), Z.drop(columns=list(self.drop))
        three = self.gate_.transform(kept)[:, 0]
        own, total = self.gate_.trust(kept) * gap, self.gate_.decision_function(kept)
        weights = {
            "three": three,
            "two": np.where(np.minimum(own, total) > self.threshold, own, 0),
            "own": np.where(own > self.threshold, own, 0),
            "total": np.where(total > self.threshold, total, 0),
            "probability": 2 * expit(three) - 1,
            "one": (three > 0).astype(float),
            "gap": gap,
        }
        return weights[self.rule][:, np.newaxis]


# -- losses ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Judged:
    """Input of a regularizer.

    Attributes
    ----------
    slates : Slates
        All judged slates, with the answers.
    terms : SlateTerms
        Preferences that the gate trusts.
    matrix : csr_matrix of shape (n_users, n_items)
        Interactions.
    users, items : ndarrays of shape (n_users, k) and (n_items, k), float32
        Factors fitted without preferences; columns from `n_factors` on are biases.
    n_factors : int
    weight : float
        Weight of a preference, relative to the confidences.
    margin : float
    """

    slates: object
    terms: SlateTerms
    matrix: sp.csr_matrix
    users: np.ndarray
    items: np.ndarray
    n_factors: int
    weight: float
    margin: float


@dataclass(frozen=True, eq=False)
class _OtherLoss(PreferenceLoss):
    """Preferences with the loss of a regularizer."""

    regularizer: object


@dataclass(frozen=True)
class _Backbone(ALSBackbone):
    """Our backbone, with a problem that a regularizer may replace."""

    @classmethod
    def like(cls, backbone):
        """Create it with the settings of another backbone."""
        return cls(**{field.name: getattr(backbone, field.name) for field in fields(backbone)})

    def problem(self, matrix, features, factors, *, preferences=None, **options):
        def make(factors, preferences):
            return super(_Backbone, self).problem(
                matrix, features, factors, preferences=preferences, **options
            )

        if preferences is None:
            return make(factors, None)
        confidence = options.get("confidence")
        if confidence is None:
            confidence = self.confidence(matrix)
        regularizer, terms = preferences.regularizer, preferences.slates
        return regularizer.problem(self, make, terms, confidence, features, factors)


class FixedMarginMF(SelectiveLLMRegularizedMF):
    """Our estimator with the same margin for all preferences, regardless of their weight."""

    def _make_losses(self, *args, margin, **options):
        losses = super()._make_losses(*args, margin=margin, **options)
        return tuple(self._with_margin(loss, margin) for loss in losses)

    @staticmethod
    def _with_margin(loss, margin):
        terms = loss.slates
        margins = np.broadcast_to(np.float32(margin), terms.weights.shape)
        return replace(loss, slates=replace(terms, margins=margins))


class AlternativeMF(SelectiveLLMRegularizedMF):
    """Our estimator with `regularizer(judged)` instead of the pairs' squared hinge.

    A regularizer receives `Judged` and has the method `problem(backbone, make, terms, confidence,
    features, factors)`, which returns an object with `sweep`. `make(factors, preferences)` returns
    our own problem; `terms` are the preferences, with the margins of the sweeps or of the last
    update.
    """

    def with_regularizer(self, regularizer):
        """Set the regularizer and return self."""
        self._make_regularizer = regularizer
        return self

    @property
    def regularizer_(self):
        """Fitted regularizer."""
        return self._fitted.preferences.regularizer

    def _make_backbone(self, settings):
        return _Backbone.like(super()._make_backbone(settings))

    def _make_losses(self, supervision, weights, plain, final, shares, **options):
        losses = super()._make_losses(supervision, weights, plain, final, shares, **options)
        regularizer = self._make_regularizer(
            Judged(
                supervision.slates,
                losses[0].slates,
                options["seen"],
                *with_bias(*final[:3], shares),
                n_factors=final.users.shape[1],
                weight=options["weight"],
                margin=options["margin"],
            )
        )
        return tuple(_OtherLoss(loss.slates, loss.weight, regularizer) for loss in losses)


class Pointwise:
    """Squared error on the LLM's ratings, as in distillation.

    A (user, item) pair without interaction has weight c and target 0. If judged, it gets the weight
    c + mu and the target mu (rating - bias) / (c + mu).
    """

    def __init__(self, judged):
        slates, shape = judged.slates, judged.matrix.shape
        rated = (slates.relevance == 0) & ~np.isnan(slates.answers).all(axis=2)
        slate, place = np.nonzero(rated)
        entries = slates.users[slate], slates.items[slate, place]
        rating = np.nanmean(slates.answers[slate, place], axis=1).astype(np.float64)
        count = sp.coo_matrix((np.ones(len(rating)), entries), shape).tocsr().tocoo()
        total = sp.coo_matrix((rating, entries), shape).tocsr().tocoo()
        self.rows, self.columns = count.row, count.col
        self.ratings = total.data / count.data
        self.weight = judged.weight
        users, items = (of[:, judged.n_factors :] for of in (judged.users, judged.items))
        self.bias = np.einsum("np,np->n", users[self.rows], items[self.columns])

    def problem(self, backbone, make, terms, confidence, features, factors):
        """Return a least squares problem with the judged entries and their targets."""
        missing = backbone.missing_weights(confidence.getnnz(axis=0))
        missing = np.ones(confidence.shape[1]) if missing is None else missing
        known = confidence.tocoo()
        entries = (
            np.concatenate([known.row, self.rows]),
            np.concatenate([known.col, self.columns]),
        )
        curvature = missing[self.columns] + self.weight
        wanted = self.weight * (self.ratings - self.bias) / curvature

        def gather(observed, judged):
            values = np.concatenate([observed, judged]).astype(np.float64)
            return sp.csr_matrix((values, entries), confidence.shape)

        return _TargetALS(
            gather(known.data, curvature),
            gather(known.data, curvature * wanted),
            factors,
            missing,
            backbone.regularization,
            backbone.regularization * (1 if features is None else backbone.prior_strength),
            features,
        )


class _TargetALS:
    r"""Least squares with a weight and a target per entry; rows are solved exactly.

    The objective of `RegularizedALS` without pairs, with :math:`w (t - x \cdot y)^2` for observed
    entries; `rhs` holds w t.
    """

    user_coefficients = None  # users have no features here

    def __init__(self, weights, rhs, factors, missing, penalty, item_penalty, features):
        self.user_factors, self.item_factors = (np.array(of, dtype=np.float64) for of in factors)
        self._by_user, self._missing, self._penalty = (weights, rhs), missing, penalty
        # Equations of items are divided by the weights of their missing entries.
        scale = sp.diags(1 / missing)
        self._by_item = [(matrix @ scale).T.tocsr() for matrix in (weights, rhs)]
        self._item_penalty, self._features = item_penalty, features
        if features is not None:
            weighted = features.T.multiply(missing).tocsr()
            moments = (weighted @ features).toarray().astype(np.float64)
            moments[np.diag_indices_from(moments)] += FEATURE_RIDGE
            self._prior = scipy.linalg.cho_factor(moments), weighted

    @property
    def is_finite(self):
        return bool(np.isfinite(self.item_factors).all())

    def sweep(self):
        self.solve_users()
        ones = np.ones(len(self.user_factors))
        self.item_factors = _solve_rows(
            *self._by_item, self.user_factors, ones, self._item_penalty, self._expected()
        )

    def take_factors(self):
        return self.user_factors, self.item_factors

    def solve_users(self, last=False):
        self.user_factors = _solve_rows(
            *self._by_user, self.item_factors, self._missing, self._penalty
        )
        return self.user_factors.astype(np.float32)

    def _expected(self):
        if self._features is None:
            return 0.0
        moments, weighted = self._prior
        return self._features @ scipy.linalg.cho_solve(moments, weighted @ self.item_factors)


def _solve_rows(weights, rhs, others, missing, penalty, expected=0.0):
    """Solve for the row factors of a matrix, given its column factors."""
    k = others.shape[1]
    gram = others.T @ (missing[:, np.newaxis] * others) + penalty * np.eye(k)
    curvature = np.empty((weights.shape[0], k, k))
    for row, (start, stop) in enumerate(pairwise(weights.indptr)):
        columns = weights.indices[start:stop]
        y, beyond = others[columns], weights.data[start:stop] - missing[columns]
        curvature[row] = gram + (y * beyond[:, np.newaxis]).T @ y
    pull = rhs @ others + penalty * expected
    return np.linalg.solve(curvature, pull[:, :, np.newaxis])[:, :, 0]


class Hinge:
    """The hinge, not squared, with a weight per pair.

    It is majorized at the current factors by h^2 / (2 h0) + h0 / 2: a squared hinge with weights
    that are updated before each sweep.
    """

    def __init__(self, judged):
        self.weight, self.margin = judged.weight, judged.margin

    def problem(self, backbone, make, terms, confidence, features, factors):
        """Return a problem that updates the weights before each sweep."""
        return _Reweighted(self, make, terms, factors)

    def trust(self, terms, hinges):
        """Return the weights of the hinges."""
        return terms.matrices()

    def weigh(self, terms, users, items):
        """Return the preferences of the majorizer."""
        z = differences(terms, users, items)
        hinges = np.maximum(0, terms.margin_matrices() - z)
        floor = max(_SMALLEST_HINGE * self.margin, 1e-6)
        weights = self.trust(terms, hinges) / (2 * np.maximum(hinges, floor))
        terms = replace(terms, weights=pack_pairs(weights.astype(np.float32)))
        return PreferenceLoss(terms, self.weight)


def differences(terms, users, items):
    """Return the candidates' score differences, (n_slates, slate_size, slate_size)."""
    scores = np.einsum("sk,sik->si", users[terms.users], items[terms.items])
    if terms.bias is not None:
        scores += terms.bias
    return scores[:, :, np.newaxis] - scores[:, np.newaxis]


class _Reweighted:
    """A problem rebuilt before each sweep, with weights from the current factors."""

    def __init__(self, regularizer, make, terms, factors):
        self._regularizer, self._make, self._terms = regularizer, make, terms
        self.user_factors, self.item_factors = factors

    @property
    def is_finite(self):
        return bool(np.isfinite(self.item_factors).all())

    user_coefficients = None  # users have no features here

    def take_factors(self):
        return self.user_factors, self.item_factors

    def _next(self):
        factors = self.user_factors, self.item_factors
        return self._make(factors, self._regularizer.weigh(self._terms, *factors))

    def sweep(self):
        problem = self._next()
        problem.sweep()
        self.user_factors, self.item_factors = problem.user_factors, problem.item_factors

    def solve_users(self, last=False):
        return self._next().solve_users(last=last)


class Logistic(Hinge):
    """The logistic loss T log(1 + exp((m - z) / T)), with T a quarter of the estimator's margin.

    It is majorized at the current factors by a quadratic (Jaakkola & Jordan 2000), with a weight
    and a target per pair. Beyond the target, the quadratic is cut off, and still bounds the loss.
    """

    def weigh(self, terms, users, items):
        """Return the preferences of the majorizer, with targets as margins."""
        temperature = self.margin / 4
        weights, margins = terms.weights, terms.margins
        first, second = np.triu_indices(terms.items.shape[1], 1)
        z = differences(terms, users, items)[:, first, second]
        beyond = np.sign(weights) * z - margins
        beyond = np.where(np.abs(beyond) < 1e-3 * temperature, 1e-3 * temperature, beyond)
        curvature = np.tanh(beyond / temperature / 2) / (4 * beyond)
        targets = margins + 1 / (4 * curvature)
        terms = replace(
            terms,
            weights=(weights * curvature).astype(np.float32),
            margins=targets.astype(np.float32),
        )
        return PreferenceLoss(terms, self.weight)


class JointGate(Hinge):
    r"""The paper's gate: one layer, learned jointly with the recommender, on a hinge loss.

    :math:`\alpha_{ui} = \sigma(w \cdot z_{ui} + b)`, where z contains "the user is cold", "the item
    is tail" and the base model's uncertainty 2 (1 - max(p, 1 - p)), with p the logistic function of
    the standardized score. A pair has the mean weight of its items. After each sweep, w and b are
    updated by `n_steps` full-batch steps of Adam on :math:`\sum \alpha h`.
    """

    n_steps = 50

    def __init__(self, judged, rate):
        super().__init__(judged)
        self.rate = rate
        terms, popularity = judged.terms, judged.matrix.getnnz(axis=0)
        length = np.diff(judged.matrix.indptr)[terms.users]
        users, items = (of.astype(np.float64) for of in (judged.users, judged.items))
        scores = users[terms.users] @ items.T
        deviation = np.std(scores[:, popularity > 0], axis=1, keepdims=True)
        p = expit(np.take_along_axis(scores, terms.items, axis=1) / deviation)
        cold = np.repeat((length < COLD_BELOW)[:, np.newaxis], terms.items.shape[1], axis=1)
        tail = popularity[terms.items] <= TAIL_UP_TO
        self.z = np.stack([cold, tail, 2 * (1 - np.maximum(p, 1 - p)), np.ones_like(p)], axis=-1)
        self.coef = np.zeros(self.z.shape[-1])
        self.pairs = np.nonzero(terms.matrices())
        self._adam = np.zeros((2, len(self.coef)))
        self._n = 0
        self.mean_weights = [self._mean_weight()]

    def _alpha(self):
        return expit(self.z @ self.coef)

    def _mean_weight(self):
        slate, first, second = self.pairs
        alpha = self._alpha()
        return float(np.mean(alpha[slate, first] + alpha[slate, second]) / 2)

    def trust(self, terms, hinges):
        """Update the gate, and return the weights of the pairs."""
        # The loss is linear in the weights, so only the sums of hinges by item matter.
        each = hinges * terms.matrices()
        slope = (each.sum(axis=2) + each.sum(axis=1)) / 2
        for _ in range(self.n_steps):
            alpha = self._alpha()
            gradient = np.einsum("si,sik->k", slope * alpha * (1 - alpha), self.z)
            self._step(gradient / max(slope.sum(), 1e-12))
        self.mean_weights.append(self._mean_weight())
        alpha = self._alpha()
        return terms.matrices() * (alpha[:, :, np.newaxis] + alpha[:, np.newaxis]) / 2

    def _step(self, gradient):
        self._n += 1
        self._adam[0] += 0.1 * (gradient - self._adam[0])
        self._adam[1] += 0.001 * (gradient**2 - self._adam[1])
        mean = self._adam[0] / (1 - 0.9**self._n)
        square = self._adam[1] / (1 - 0.999**self._n)
        self.coef = self.coef - self.rate * mean / (np.sqrt(square) + 1e-8)

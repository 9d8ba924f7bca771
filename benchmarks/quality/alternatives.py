"""Other ways to use an LLM's answers, on our own backbone: those of the paper, and other losses.

They differ from `SelectiveLLMRegularizedMF` in what regularizes its last sweeps, and in nothing
else: features, biases, weights, number of sweeps and the last update of the users are the same.
"""

import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin

sys.path.insert(0, str(Path(__file__).parents[1]))  # of what all benchmarks share

from internals import (
    COLD_BELOW,
    TAIL_UP_TO,
    ALSBackbone,
    RegularizedALS,
    pack_pairs,
    with_bias,
)

from sklearn_selreg import ReliabilityGate, SelectiveLLMRegularizedMF

_SMALLEST_HINGE = 0.1  # of the margin: below it a hinge is rounded off


# -- gates -------------------------------------------------------------------------------------


class FixedRule(TransformerMixin, BaseEstimator):
    """The paper's rule without learning: trust the LLM for cold users and tail items alone.

    The weight of a pair is the mean over its items of "the user is cold, or the item is tail". To
    be used by `FixedMarginMF`: in the paper's loss all pairs ask for the same margin.
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
    """Our gate with other rules, and without some of its evidence.

    Parameters
    ----------
    rule : str
        What the weight is. The LLM's log-odds, where each of the three log-odds of
        `ReliabilityGate` exceeds the threshold ("three"), the LLM's and the total ones ("two"), or
        the LLM's alone ("own"); the "total" ones where they exceed it; the "probability" 2 p - 1 of
        "three", or "one" where these count; the "gap" alone, without any calibration.
    drop : tuple of str
        Columns of evidence to leave out.
    threshold : float
    """

    def __init__(self, rule="three", drop=(), threshold=0.2):
        self.rule = rule
        self.drop = drop
        self.threshold = threshold

    def fit(self, Z, y, groups=None, sample_weight=None):
        """Fit the gate on the evidence that is left."""
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


@dataclass(frozen=True)
class _Backbone(ALSBackbone):
    """Our backbone, of which a regularizer may make the problem."""

    def problem(
        self, matrix, features, factors, *, confidence=None, regularizer=None,
        **pairs,
    ):  # fmt: skip
        def make(factors, **terms):
            return ALSBackbone.problem(
                self, matrix, features, factors, confidence=confidence, **terms
            )

        if regularizer is None:
            return make(factors, **pairs)
        if confidence is None:
            confidence = self.confidence(matrix)
        regularizer.terms = pairs["slates"]  # those of the last update have other margins
        return regularizer.problem(self, make, matrix, confidence, features, factors)


def _weight(model):
    """Return the weight of a preference, which a model has relative to its alpha."""
    return model.llm_weight * model._fitted_backbone.preference_unit


class FixedMarginMF(SelectiveLLMRegularizedMF):
    """Our estimator, of which all preferences ask for the margin, whatever their weight."""

    def _regularizers(self, *args, **kwargs):
        found = super()._regularizers(*args, **kwargs)
        for pairs in found:
            terms = pairs["slates"]
            margins = np.broadcast_to(np.float32(self.margin), terms.weights.shape)
            pairs["slates"] = replace(terms, margins=margins)
        return found


class AlternativeMF(SelectiveLLMRegularizedMF):
    """Our estimator with `regularizer(model, terms)` instead of the pairs' squared hinge.

    It is given the fitted model and the `SlateTerms` by the gate, which are its `terms`, and has
    the method `problem(backbone, make, matrix, confidence, features, factors)`, which returns what
    sweeps. It is kept as `regularizer_`; the model has the factors without preferences as
    `plain_factors`, (users, items) with columns of biases from `n_factors` on.
    """

    def with_regularizer(self, regularizer):
        """Set the regularizer; returns self."""
        self._make_regularizer = regularizer
        return self

    def _backbone(self, settings=None):
        own = super()._backbone(settings)
        return _Backbone(**{field.name: getattr(own, field.name) for field in fields(own)})

    def _regularizers(self, slates, weights, plain, final, shares=None, known=None):
        found = super()._regularizers(slates, weights, plain, final, shares, known)
        self.n_factors, self.plain_factors = final.users.shape[1], with_bias(*final[:3], shares)
        self.regularizer_ = self._make_regularizer(self, found[0]["slates"])
        return [{"slates": of["slates"], "regularizer": self.regularizer_} for of in found]


class Pointwise:
    """Squared error to the LLM's ratings, as distillation has it.

    The pair (user, item) without interaction is missing with weight c and target 0; it gets the
    weight c + mu and the target mu (rating - bias) / (c + mu).
    """

    def __init__(self, model, terms):
        slates = model._slates
        rated = (slates.relevance == 0) & ~np.isnan(slates.answers).all(axis=2)
        slate, place = np.nonzero(rated)
        entries = slates.users[slate], slates.items[slate, place]
        shape = model._matrix.shape
        rating = np.nanmean(slates.answers[slate, place], axis=1).astype(np.float64)
        count = sp.coo_matrix((np.ones(len(rating)), entries), shape).tocsr().tocoo()
        total = sp.coo_matrix((rating, entries), shape).tocsr().tocoo()
        self.rows, self.columns = count.row, count.col
        self.ratings = total.data / count.data
        self.weight = _weight(model)
        users, items = (of[:, model.n_factors :] for of in model.plain_factors)
        self.bias = np.einsum("np,np->n", users[self.rows], items[self.columns])

    def problem(self, backbone, make, matrix, confidence, features, factors):
        """Return a least squares problem with more entries, of other targets."""
        missing = backbone.missing_weights(matrix.getnnz(axis=0))
        missing = np.ones(matrix.shape[1]) if missing is None else missing
        known = confidence.tocoo()
        rows = np.concatenate([known.row, self.rows])
        columns = np.concatenate([known.col, self.columns])
        order = np.lexsort((columns, rows))
        curvature = missing[self.columns] + self.weight
        wanted = self.weight * (self.ratings - self.bias) / curvature
        indptr = np.append(0, np.cumsum(np.bincount(rows, minlength=matrix.shape[0])))

        def gather(observed, judged):
            data = np.concatenate([observed, judged])[order].astype(np.float32)
            return sp.csr_matrix((data, columns[order], indptr), matrix.shape)

        return _TargetALS(
            gather(known.data, curvature),
            *factors,
            targets=gather(np.ones(known.nnz), wanted),
            regularization=backbone.regularization,
            item_regularization=backbone.regularization
            * (1 if features is None else backbone.prior_strength),
            missing_weights=missing,
            features=features,
            num_threads=backbone.num_threads,
        )


class _TargetALS(RegularizedALS):
    """Least squares of which each entry has a target of its own, instead of 1."""

    def __init__(self, confidence, user_factors, item_factors, *, targets, **settings):
        super().__init__(confidence, user_factors, item_factors, **settings)
        for block in self._user_blocks:
            block.pull.data = block.pull.data * targets[block.users].data
        self._pull_t = sp.vstack([block.pull for block in self._user_blocks]).T.tocsr()


class Hinge:
    """The hinge, not squared, with weights given to each pair.

    It is majorized at the current factors by h^2 / (2 h0) + h0 / 2, a squared hinge of which the
    weights change from sweep to sweep.
    """

    def __init__(self, model, terms):
        self.terms = terms
        self.llm_weight, self.margin = _weight(model), model.margin

    def problem(self, backbone, make, matrix, confidence, features, factors):
        """Return what sweeps with new weights each time."""
        return _Reweighted(self, make, factors)

    def hinges(self, users, items):
        """Return the hinges of all pairs, (n_slates, slate_size, slate_size)."""
        return np.maximum(0, self.terms.margin_matrices() - self._differences(users, items))

    def _differences(self, users, items):
        candidates = items[self.terms.items]
        scores = np.einsum("sk,sik->si", users[self.terms.users], candidates)
        if self.terms.bias is not None:
            scores += self.terms.bias
        return scores[:, :, np.newaxis] - scores[:, np.newaxis]

    def trust(self, hinges):
        """Return the weights of the pairs' hinges."""
        return self.terms.matrices()

    def weigh(self, users, items):
        """Return the pairs of the majorizer as arguments of the problem."""
        hinges = self.hinges(users, items)
        floor = max(_SMALLEST_HINGE * self.margin, 1e-6)
        weights = self.trust(hinges) / (2 * np.maximum(hinges, floor))
        terms = replace(self.terms, weights=pack_pairs(weights.astype(np.float32)))
        return {"slates": terms, "llm_weight": self.llm_weight}


class _Reweighted:
    """A problem made anew before each sweep, with weights from the current factors."""

    def __init__(self, regularizer, make, factors):
        self._regularizer, self._make = regularizer, make
        self.user_factors, self.item_factors = factors

    @property
    def is_finite(self):
        return bool(np.isfinite(self.item_factors).all())

    def _next(self):
        factors = self.user_factors, self.item_factors
        return self._make(factors, **self._regularizer.weigh(*factors))

    def sweep(self):
        problem = self._next()
        problem.sweep()
        self.user_factors, self.item_factors = problem.user_factors, problem.item_factors

    def solve_users(self):
        return self._next().solve_users()


class Logistic(Hinge):
    """The logistic loss T log(1 + exp((m - z) / T)), T being a quarter of the estimator's margin.

    It is majorized at the current factors by a square (Jaakkola & Jordan 2000), with a weight and a
    target for each pair. Beyond the target the square is cut off, which leaves it above the loss.
    """

    def weigh(self, users, items):
        """Return the pairs of the majorizer, with targets as margins."""
        temperature = self.margin / 4
        differences = self._differences(users, items)
        first, second = np.triu_indices(differences.shape[1], 1)
        weights, margins = self.terms.weights, self.terms.margins
        beyond = np.sign(weights) * differences[:, first, second] - margins
        beyond = np.where(np.abs(beyond) < 1e-3 * temperature, 1e-3 * temperature, beyond)
        curvature = np.tanh(beyond / temperature / 2) / (4 * beyond)
        targets = margins + 1 / (4 * curvature)
        terms = replace(
            self.terms,
            weights=(weights * curvature).astype(np.float32),
            margins=targets.astype(np.float32),
        )
        return {"slates": terms, "llm_weight": self.llm_weight}


class JointGate(Hinge):
    r"""The paper's gate: one layer, learned jointly with the recommender, on a hinge.

    :math:`\alpha_{ui} = \sigma(w \cdot z_{ui} + b)` of "the user is cold", "the item is tail" and
    the base model's uncertainty 2 (1 - max(p, 1 - p)), p the logistic of the score in standard
    deviations; a pair has the mean of its items. After each sweep of the factors w and b take
    `n_steps` steps of Adam on :math:`\sum \alpha h`, all pairs in one batch.
    """

    n_steps = 50

    def __init__(self, model, terms, rate):
        super().__init__(model, terms)
        self.rate = rate
        length = np.diff(model._matrix.indptr)[terms.users]
        users, items = (of.astype(np.float64) for of in model.plain_factors)
        scores = users[terms.users] @ items.T
        deviation = np.std(scores[:, model._popularity > 0], axis=1, keepdims=True)
        p = expit(np.take_along_axis(scores, terms.items, axis=1) / deviation)
        cold = np.repeat((length < COLD_BELOW)[:, np.newaxis], terms.items.shape[1], axis=1)
        tail = model._popularity[terms.items] <= TAIL_UP_TO
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

    def trust(self, hinges):
        """Take the gate's steps, and return the weights of the pairs."""
        # The loss is linear in the weights: what matters of the hinges is their sum by item.
        each = hinges * self.terms.matrices()
        slope = (each.sum(axis=2) + each.sum(axis=1)) / 2
        for _ in range(self.n_steps):
            alpha = self._alpha()
            gradient = np.einsum("si,sik->k", slope * alpha * (1 - alpha), self.z)
            self._step(gradient / max(slope.sum(), 1e-12))
        self.mean_weights.append(self._mean_weight())
        alpha = self._alpha()
        return self.terms.matrices() * (alpha[:, :, np.newaxis] + alpha[:, np.newaxis]) / 2

    def _step(self, gradient):
        self._n += 1
        self._adam[0] += 0.1 * (gradient - self._adam[0])
        self._adam[1] += 0.001 * (gradient**2 - self._adam[1])
        mean = self._adam[0] / (1 - 0.9**self._n)
        square = self._adam[1] / (1 - 0.999**self._n)
        self.coef = self.coef - self.rate * mean / (np.sqrt(square) + 1e-8)

"""Methods of the quality benchmark, and the search spaces of their settings."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import peers
from alternatives import AlternativeMF, FixedMarginMF, FixedRule, JointGate, Pointwise

from sklearn_selreg import SelectiveLLMRegularizedMF


def log_uniform(low, high):
    """Sampler of a log-uniform number between two bounds."""
    return lambda rng: float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.4g}")


def choice(*values):
    """Sampler of one of the given values."""
    return lambda rng: values[rng.integers(len(values))]


def log_integer(low, high):
    """Sampler of an approximately log-uniform integer between two bounds."""
    return lambda rng: round(np.exp(rng.uniform(np.log(low), np.log(high))))


@dataclass(frozen=True)
class Method:
    """A method and the search space of its settings.

    Attributes
    ----------
    fit : callable
        `fit(data, seed, **settings)` -> a fitted estimator, or a function from user ids to scores.
    space : dict
        Setting -> function of a Generator. Methods on our backbone share its settings.
    shared : str
        Methods with the same value draw the same settings in the same trial.
    biased : bool
        Whether an item bias is among the settings; otherwise one is added to the scores.
    """

    fit: Callable
    space: dict
    shared: str | None = None
    biased: bool = False

    def draw(self, name, trial):
        """Return the settings of a trial."""
        rng = np.random.default_rng([trial, zlib.crc32((self.shared or name).encode())])
        return {key: sample(rng) for key, sample in self.space.items()}


def _ours(data, seed, judge=None, estimator=SelectiveLLMRegularizedMF, gate="auto", **settings):
    """Return an unfitted model, tuned if no settings are given; else the others are fixed."""
    ratio = settings.pop("regularization_per_alpha", None)
    if ratio is not None:
        settings["regularization"] = ratio * settings["alpha"]
    if settings:
        settings.setdefault("tuning", None)
    model = estimator(
        item_data=data.item_data,
        judge=judge,
        gate=gate,
        user_col="user",
        item_col="item",
        time_col="time",
        random_state=seed,
        n_jobs=1,
    )
    return model.set_params(**settings)


def no_llm(data, seed, **settings):
    """Fit ours without the LLM, ignoring the settings of the LLM's part."""
    if settings:  # fixed settings, as for the methods that use the LLM's part
        settings.setdefault("tuning", None)
    unused = ("llm_weight", "margin", "gate_rate")
    settings = {name: value for name, value in settings.items() if name not in unused}
    return _ours(data, seed, **settings).fit(data.train)


def selective(data, seed, judge=None, **settings):
    """Fit ours."""
    settings.pop("gate_rate", None)
    return _ours(data, seed, judge or data.judge, **settings).fit(data.train)


def everywhere(data, seed, judge=None, **settings):
    """Fit ours without a gate."""
    return selective(data, seed, judge, gate=None, **settings)


def fixed_rule(data, seed, **settings):
    """Fit ours with the paper's rule as the gate."""
    settings.pop("gate_rate", None)
    model = _ours(data, seed, data.judge, FixedMarginMF, gate=FixedRule(), **settings)
    return model.fit(data.train)


def pointwise(data, seed, **settings):
    """Fit our backbone with a squared error on the LLM's ratings."""
    settings.pop("gate_rate", None)
    model = _ours(data, seed, data.judge, AlternativeMF, gate=None, **settings)
    return model.with_regularizer(Pointwise).fit(data.train)


def joint_gate(data, seed, gate_rate, **settings):
    """Fit our backbone with the paper's jointly learned gate."""
    model = _ours(data, seed, data.judge, AlternativeMF, gate=None, **settings)
    return model.with_regularizer(partial(JointGate, rate=gate_rate)).fit(data.train)


_BACKBONE = {
    "alpha": log_uniform(3, 100),
    "regularization_per_alpha": log_uniform(1.2, 10),
    "prior_strength": log_uniform(0.4, 4),
    "item_bias": log_uniform(0.1, 0.6),
    "backbone__missing_power": choice(0.0, 0.25, 0.5, 0.75),
    "backbone__recency_power": choice(0.0, 0.35, 0.65),
    "iterations": choice(20, 30),
    "llm_weight": log_uniform(0.03, 1),
    "margin": log_uniform(0.1, 0.8),
    "gate_rate": log_uniform(0.001, 0.1),
}
_LIGHTFM = {
    "no_components": choice(16, 32, 64),
    "loss": choice("warp", "bpr"),
    "learning_rate": log_uniform(0.01, 0.15),
    "epochs": choice(10, 20, 40),
    "item_alpha": log_uniform(1e-7, 1e-4),
    "user_alpha": log_uniform(1e-7, 1e-4),
}


_LLM_PART = {
    "llm_weight": log_uniform(0.03, 1),
    **{name: _BACKBONE[name] for name in ("margin", "gate_rate")},
}
ON_FIXED = ", fixed backbone"


def _on_our_backbone(fit):
    return Method(fit, _BACKBONE, shared="ours", biased=True)


PLAIN_ALS, NO_LLM, GLOBAL, SELECTIVE = "ALS", "ours, no LLM", "global pairwise", "ours, selective"
METHODS = {
    "popularity": Method(peers.popularity, {}, biased=True),
    "popularity of the time": Method(peers.popularity_of_the_time, {}, biased=True),
    "item-kNN": Method(
        peers.item_knn,
        {"similarity": choice("cosine", "tfidf", "bm25"), "K": log_integer(10, 1000)},
    ),
    "EASE": Method(peers.ease, {"regularization": log_uniform(10, 5000)}),
    PLAIN_ALS: Method(
        peers.als,
        {
            "factors": choice(32, 64, 128),
            "regularization": log_uniform(1, 200),
            "alpha": log_uniform(1, 80),
            "iterations": choice(10, 15, 30),
        },
    ),
    "BPR": Method(
        peers.bpr,
        {
            "factors": choice(32, 64, 128),
            "learning_rate": log_uniform(0.005, 0.1),
            "regularization": log_uniform(0.001, 0.1),
            "iterations": choice(50, 100, 200),
        },
    ),
    "LMF": Method(
        peers.lmf,
        {
            "factors": choice(8, 16, 32, 64),
            "learning_rate": log_uniform(0.1, 2),
            "regularization": log_uniform(0.1, 5),
            "iterations": choice(15, 30, 50),
            "neg_prop": choice(5, 15, 30),
        },
    ),
    "LightFM": Method(peers.lightfm, _LIGHTFM),
    "LightFM + features": Method(peers.lightfm_with_features, _LIGHTFM),
    "cmfrec + features": Method(
        peers.cmfrec,
        {
            "k": choice(32, 64),
            "lambda_": log_uniform(1, 100),
            "alpha": log_uniform(1, 40),
            "w_item": log_uniform(0.5, 50),
        },
    ),
    "irspack + features": Method(
        peers.irspack,
        {
            "n_components": choice(32, 64, 128),
            "alpha0": log_uniform(0.01, 1),
            "reg": log_uniform(0.0003, 0.03),
            "train_epochs": choice(8, 16, 32),
            "lambda_item_feature": log_uniform(0.03, 30),
        },
    ),
    "LLM as recommender": Method(peers.llm_as_recommender, {}, biased=True),
    NO_LLM: _on_our_backbone(no_llm),
    "pointwise": _on_our_backbone(pointwise),
    GLOBAL: _on_our_backbone(everywhere),
    "joint gate": _on_our_backbone(joint_gate),
    "fixed rule": _on_our_backbone(fixed_rule),
    SELECTIVE: _on_our_backbone(selective),
}
# Uses of the LLM on the same backbone, with `tuning=None`: only settings of the LLM are drawn.
METHODS |= {
    name + ON_FIXED: Method(METHODS[name].fit, _LLM_PART, shared="ours, LLM", biased=True)
    for name in ("pointwise", GLOBAL, "joint gate", "fixed rule", SELECTIVE)
}

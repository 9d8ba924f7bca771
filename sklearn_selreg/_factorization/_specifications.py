"""Backbone specifications: public objects that hold backbone-specific parameters."""

from numbers import Integral, Real
from typing import Literal

from sklearn.base import BaseEstimator

from .._utils._public import public
from .._utils._sklearn import DisplayMixin, Interval, StrOptions

_SWEEPS = [Interval(Integral, 1, None, closed="left"), None]


@public
class ALS(DisplayMixin, BaseEstimator):
    """Alternating least squares, for the parameter `backbone` of the estimator.

    Parameters
    ----------
    missing_power : "auto" or float, default="auto"
        Exponent >= 0 of the weight of missing entries: for an item with n interactions it is
        `((n + 5) / mean(n + 5)) ** missing_power`, since a missing interaction with a popular item
        is more informative. If 0, all weights are 1, as in `implicit`. "auto" selects the value
        by `tuning`, and is 0.5 without tuning.
    recency_power : "auto" or float, default="auto"
        Exponent >= 0 of recency weighting. In a final update of the users, the confidence of
        their r-th newest interaction (counted from 0) is
        `3 * alpha / (1 + r) ** recency_power`. If 0, there is no such update. "auto" selects the
        value by `tuning`, and is 0.65 without tuning; without `time_col` it is 0, as rows need not
        be in chronological order.
    cg_steps : int, default=2
        Conjugate gradient steps per sweep, >= 1.
    refine_iterations : int or None, default=None
        Number of final sweeps regularized by the judge's preferences; must be smaller than
        `iterations`. If None, half of the sweeps. The total number of sweeps is the same with and
        without a judge, so that gains cannot come from additional sweeps. For given factors, None
        means 15.
    compute_loss : bool, default=False
        Whether to compute `loss_curve_`.

    References
    ----------
    Hu, Koren & Volinsky (2008), "Collaborative filtering for implicit feedback datasets".

    Examples
    --------
    >>> from sklearn_selreg import ALS, SelectiveLLMRegularizedMF
    >>> model = SelectiveLLMRegularizedMF(backbone=ALS(missing_power=0))
    >>> model.set_params(backbone__recency_power=1.0).backbone
    ALS(missing_power=0, recency_power=1.0)
    """

    _parameter_constraints: dict = {  # noqa: RUF012 (scikit-learn's own protocol)
        "missing_power": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "recency_power": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "cg_steps": [Interval(Integral, 1, None, closed="left")],
        "refine_iterations": _SWEEPS,
        "compute_loss": ["boolean"],
    }

    def __init__(
        self,
        missing_power: float | Literal["auto"] = "auto",
        recency_power: float | Literal["auto"] = "auto",
        *,
        cg_steps: int = 2,
        refine_iterations: int | None = None,
        compute_loss: bool = False,
    ) -> None:
        self.missing_power = missing_power
        self.recency_power = recency_power
        self.cg_steps = cg_steps
        self.refine_iterations = refine_iterations
        self.compute_loss = compute_loss


@public
class BPR(DisplayMixin, BaseEstimator):
    """Bayesian personalized ranking of `implicit`, for the parameter `backbone` of the estimator.

    Parameters
    ----------
    learning_rate : float, default=0.05
        Learning rate of stochastic gradient descent, > 0.
    verify_negative_samples : bool, default=True
        Whether to redraw a negative sample that the user has interacted with.
    refine_iterations : int or None, default=None
        Number of sweeps >= 1 regularized by the judge's preferences, in addition to the epochs. If
        None, 15.
    compute_loss : bool, default=False
        Whether to compute `loss_curve_` for these sweeps.

    References
    ----------
    Rendle et al. (2009), "BPR: Bayesian personalized ranking from implicit feedback".

    Examples
    --------
    >>> from sklearn_selreg import BPR, SelectiveLLMRegularizedMF
    >>> SelectiveLLMRegularizedMF(backbone=BPR(learning_rate=0.1)).backbone
    BPR(learning_rate=0.1)
    """

    _parameter_constraints: dict = {  # noqa: RUF012 (scikit-learn's own protocol)
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "verify_negative_samples": ["boolean"],
        "refine_iterations": _SWEEPS,
        "compute_loss": ["boolean"],
    }

    def __init__(
        self,
        learning_rate: float = 0.05,
        *,
        verify_negative_samples: bool = True,
        refine_iterations: int | None = None,
        compute_loss: bool = False,
    ) -> None:
        self.learning_rate = learning_rate
        self.verify_negative_samples = verify_negative_samples
        self.refine_iterations = refine_iterations
        self.compute_loss = compute_loss


@public
class LMF(DisplayMixin, BaseEstimator):
    """Logistic matrix factorization of `implicit`, for the parameter `backbone` of the estimator.

    Parameters
    ----------
    learning_rate : float, default=1.0
        Learning rate of adaptive gradient descent (Adagrad), > 0. Its state is reset even with
        `warm_start`, so lower the learning rate to continue training.
    neg_prop : int, default=30
        Negative samples per interaction, >= 1.
    refine_iterations : int or None, default=None
        Number of sweeps >= 1 regularized by the judge's preferences, in addition to the epochs. If
        None, 15.
    compute_loss : bool, default=False
        Whether to compute `loss_curve_` for these sweeps.

    References
    ----------
    Johnson (2014), "Logistic matrix factorization for implicit feedback data".

    Examples
    --------
    >>> from sklearn_selreg import LMF, SelectiveLLMRegularizedMF
    >>> SelectiveLLMRegularizedMF(backbone=LMF(neg_prop=10)).backbone
    LMF(neg_prop=10)
    """

    _parameter_constraints: dict = {  # noqa: RUF012 (scikit-learn's own protocol)
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "neg_prop": [Interval(Integral, 1, None, closed="left")],
        "refine_iterations": _SWEEPS,
        "compute_loss": ["boolean"],
    }

    def __init__(
        self,
        learning_rate: float = 1.0,
        *,
        neg_prop: int = 30,
        refine_iterations: int | None = None,
        compute_loss: bool = False,
    ) -> None:
        self.learning_rate = learning_rate
        self.neg_prop = neg_prop
        self.refine_iterations = refine_iterations
        self.compute_loss = compute_loss

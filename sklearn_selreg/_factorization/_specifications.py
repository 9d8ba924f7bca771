"""The backbones as users set them: what the estimator's other parameters do not say."""

from numbers import Integral, Real
from typing import Literal

from sklearn.base import BaseEstimator

from .._utils._public import public
from .._utils._sklearn import DisplayMixin, Interval, StrOptions

_SWEEPS = [Interval(Integral, 1, None, closed="left"), None]


@public
class ALS(DisplayMixin, BaseEstimator):
    """Alternating least squares, as the parameter `backbone` of the estimator.

    Parameters
    ----------
    missing_power : "auto" or float, default="auto"
        A pair without interaction weighs `((n + 5) / mean(n + 5)) ** missing_power` for an item
        with n interactions: not having a popular item says more. 0: all weigh 1, as in `implicit`.
        "auto" is found by `tuning`, here and below; fixed: .5.
    recency_power : "auto" or float, default="auto"
        In a last update of the users, their r-th newest interaction (from 0) has the confidence
        `3 * alpha / (1 + r) ** recency_power`. 0: no such update. Without `time_col`, "auto" is 0:
        the order of the rows need not be that of time. Fixed: .65.
    cg_steps : int, default=2
        Steps >= 1 of the conjugate gradient method in a sweep.
    refine_iterations : int or None, default=None
        How many of the sweeps, the last ones, are regularized by the judge's preferences; fewer
        than `iterations`. None: half of them. With and without judge there are as many sweeps, so
        that what a judge adds is not what more sweeps would have added. For given factors, None
        is 15.
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
    """Bayesian personalized ranking by `implicit`, as the parameter `backbone` of the estimator.

    Parameters
    ----------
    learning_rate : float, default=0.05
        Step > 0 of stochastic gradient descent.
    verify_negative_samples : bool, default=True
        Whether a sampled item that the user has is drawn again.
    refine_iterations : int or None, default=None
        Sweeps >= 1 by which the judge's preferences act, on top of the epochs. None: 15.
    compute_loss : bool, default=False
        Whether to compute `loss_curve_`, of these sweeps.

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
    """Logistic matrix factorization by `implicit`, as the parameter `backbone` of the estimator.

    Parameters
    ----------
    learning_rate : float, default=1.0
        Step > 0 of adaptive gradient descent. It starts from scratch with `warm_start`, too: lower
        it to go on.
    neg_prop : int, default=30
        Negative samples >= 1 for each interaction.
    refine_iterations : int or None, default=None
        Sweeps >= 1 by which the judge's preferences act, on top of the epochs. None: 15.
    compute_loss : bool, default=False
        Whether to compute `loss_curve_`, of these sweeps.

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

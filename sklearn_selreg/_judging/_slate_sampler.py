"""Public parameters of the selection of slates."""

from collections.abc import Sequence
from numbers import Integral, Real

from sklearn.base import BaseEstimator

from .._utils._public import public
from .._utils._sklearn import DisplayMixin, Interval


@public
class SlateSampler(DisplayMixin, BaseEstimator):
    """Selection of the slates a judge is queried on, for the parameter `slates` of the estimator.

    The slates depend only on the rows, the item features and these parameters, so a search over
    other parameters sends no new prompts. (With `stop_if_useless`, they also depend on the judge's
    first answers.)

    Parameters
    ----------
    max_slates : int or None, default=None
        Maximum number of slates, >= 1. Each slate is sent once per candidate order of the judge. If
        None, one for each user with interactions plus some to calibrate the gate, at most 2,000.
    size : int, default=20
        Number of candidates in a slate, >= 2.
    calibration_fraction : float, default=0.3
        Fraction of calibration slates, in [0, 1]. These hide some of a user's interactions among
        the candidates; from them the gate learns where the judge is right. There are fewer if too
        few users have at least 4 interactions, some of which the reference model would recommend.
    item_text : column name, list of column names or None, default=None
        Columns of `item_data` shown to the judge, in this order. By default, all text, list,
        boolean, date and integer columns except identifiers; float columns such as prices must be
        named explicitly.
    stop_if_useless : bool, default=False
        Whether to query 30 calibration slates first, and to stop if the judge is hardly better than
        chance on them, i.e. if the 95 % confidence interval of its accuracy lies below 58 %. This
        is reported by a `JudgmentWarning` and `judge_summary_`. Off by default, because the slates
        then depend on answers. A later fit without it queries the rest and reuses existing answers.
        Plans always count all slates.
    random_state : int, default=0
        Random seed, >= 0.

    Examples
    --------
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF, SlateSampler
    >>> model = SelectiveLLMRegularizedMF(slates=SlateSampler(size=10))
    >>> model.set_params(slates__max_slates=500).slates
    SlateSampler(max_slates=500, size=10)
    """

    _parameter_constraints: dict = {  # noqa: RUF012 (scikit-learn's own protocol)
        "max_slates": [Interval(Integral, 1, None, closed="left"), None],
        "size": [Interval(Integral, 2, None, closed="left")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="both")],
        "item_text": "no_validation",
        "stop_if_useless": ["boolean"],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        max_slates: int | None = None,
        size: int = 20,
        *,
        calibration_fraction: float = 0.3,
        item_text: str | Sequence[str] | None = None,
        stop_if_useless: bool = False,
        random_state: int = 0,
    ) -> None:
        self.max_slates = max_slates
        self.size = size
        self.calibration_fraction = calibration_fraction
        self.item_text = item_text
        self.stop_if_useless = stop_if_useless
        self.random_state = random_state

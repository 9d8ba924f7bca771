"""How slates are chosen, as users set it."""

from collections.abc import Sequence
from numbers import Integral, Real

from sklearn.base import BaseEstimator

from .._utils._public import public
from .._utils._sklearn import DisplayMixin, Interval


@public
class SlateSampler(DisplayMixin, BaseEstimator):
    """Which slates a judge is asked about: the parameter `slates` of the estimator.

    What is asked depends on the rows, the item features and these parameters only, so a search over
    other parameters asks nothing new (with `stop_if_useless` also on the judge's first answers).

    Parameters
    ----------
    max_slates : int or None, default=None
        How many slates to ask at most, >= 1; each is sent once per candidate order of the judge.
        None: one for each user with interactions and some to calibrate the gate, at most 2,000.
    size : int, default=20
        Candidates in a slate, >= 2.
    calibration_fraction : float, default=0.3
        Fraction of the slates that hide some of a user's interactions among the candidates, in
        [0, 1]: from them the gate learns where the judge is right. There are fewer if not as many
        users have 4 interactions, some of which the reference model would recommend.
    item_text : column name, list of column names or None, default=None
        Columns of `item_data` that the judge reads, in this order. By default all text, list,
        boolean, date and integer columns except identifiers; float columns such as prices must be
        named.
    stop_if_useless : bool, default=False
        Whether to ask the first 30 calibration slates first, and nothing else if they say that the
        judge is hardly better than chance: if the 95 % interval of its accuracy lies below 58 %. A
        `JudgmentWarning` and `judge_summary_` say so. Off, as what is asked depends on answers
        then; a fit with it off asks the rest, and pays nothing twice. Plans count all slates.
    random_state : int, default=0
        Seed >= 0.

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

"""For ``set_callbacks`` of scikit-learn 1.9: early stopping, and scores of held-out rows."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from numpy.typing import ArrayLike
from sklearn.metrics import check_scoring

from ._data._collected import collect
from ._data._tables import describe_columns, read_columns
from ._utils._params import check_integer
from ._utils._sklearn import InvalidParameterError
from ._utils._typing import Table
from ._utils._warn import warn
from .exceptions import ParameterWarning
from .metrics._report import warn_if_fitted
from .metrics._task import read_task

__all__ = ["EarlyStopping", "validation_scorer"]

_log = logging.getLogger("sklearn_selreg")


class EarlyStopping:
    """Ends the sweeps of a fit once held-out interactions are no longer ranked better.

    The model is as if it had been fitted with so many `iterations`: in the end users are solved for
    as always. It needs scikit-learn 1.9 or newer.

    Parameters
    ----------
    X_val : DataFrame or array of shape (n_samples, n_columns)
        Held-out interactions, which `fit` is not given.
    y_val : array-like of shape (n_samples,), default=None
        Their strengths, as in `score`.
    scoring : callable, str or None, default=None
        Scorer whose values should rise, such as one from
        :func:`~sklearn_selreg.metrics.ndcg_at_k_scorer`. None: `score` of the estimator, the mean
        NDCG@10.
    n_iter_no_change : int, default=3
        After how many sweeps >= 1 without a better score than before they end.
    tol : float, default=0.0
        By how much >= 0 a score has to exceed the best one before to be better.

    Raises
    ------
    ValueError
        For parameters out of range.

    See Also
    --------
    validation_scorer : Scores the same rows, for `ScoringMonitor`.

    Notes
    -----
    After each sweep users are solved for and held-out users ranked for, which may take longer than
    the sweep. With a judge, the sweeps before its preferences act and those after may both end
    early. What is found by `tuning` is found before; then `iterations` is the largest number of
    sweeps. BPR and LMF end after an epoch. Those who end first know best: the sweeps do not go back
    to the best score. `n_iter_` is how many there were.

    One instance may be shared by clones, as in a search; there, all of them score `X_val`.

    Examples
    --------
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.callback import EarlyStopping
    >>> from sklearn_selreg.datasets import load_movielens_coldstart
    >>> data, columns = load_movielens_coldstart(), ["user", "item"]
    >>> stopping = EarlyStopping(data.valid[columns], n_iter_no_change=2)
    >>> model = SelectiveLLMRegularizedMF(
    ...     factors=8, iterations=30, tuning=None, random_state=0).set_callbacks(stopping)
    >>> model.fit(data.train[columns]).n_iter_ < 30
    True
    """

    def __init__(
        self,
        X_val: Table,
        y_val: ArrayLike | None = None,
        *,
        scoring: Callable | str | None = None,
        n_iter_no_change: int = 3,
        tol: float = 0.0,
    ):
        check_integer("n_iter_no_change", n_iter_no_change, 1)
        _check_tol(tol)
        self.X_val = X_val
        self.y_val = y_val
        self.scoring = scoring
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self._forget()

    def _forget(self) -> None:
        # By the loop of sweeps, as clones may be fitted at the same time.
        self._loops: WeakKeyDictionary[Any, _Loop] = WeakKeyDictionary()
        self._scored: WeakSet[Any] = WeakSet()

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        del state["_loops"], state["_scored"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def __repr__(self) -> str:
        return f"EarlyStopping(n_iter_no_change={self.n_iter_no_change}, tol={self.tol})"

    def setup(self, estimator: Any, context: Any) -> None:
        """Check what is scored, before anything is fitted; called by `fit`.

        Parameters
        ----------
        estimator : estimator
            That is fitted.
        context : sklearn.callback.CallbackContext
            Of the whole fit.

        Raises
        ------
        TypeError, ValueError
            For held-out interactions that cannot be read, and no valid `scoring`.
        """
        check_scoring(estimator, self.scoring)
        if hasattr(estimator, "user_col"):
            columns = {"user_col": estimator.user_col, "item_col": estimator.item_col}
            X_val = collect(self.X_val, **columns)
            width, _ = describe_columns(X_val)
            read_columns(X_val, **columns, usual_width=width)

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing; called by `fit`.

        Parameters
        ----------
        estimator : estimator
            That is fitted.
        context : sklearn.callback.CallbackContext
            Of a part of the fit.
        """

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> bool:
        """Score the model after a sweep; called by `fit`.

        Parameters
        ----------
        estimator : estimator
            That is fitted.
        context : sklearn.callback.CallbackContext
            Of a part of the fit.
        fitted_estimator : estimator, default=None
            As if it had been fitted with no further sweep; None after other parts.

        Returns
        -------
        stop : bool
            Whether to end the sweeps.

        Raises
        ------
        ValueError
            For a score that is NaN.
        """
        is_step = context.max_subtasks == 0 and context.parent is not None
        if fitted_estimator is None or not is_step:
            return False
        if estimator not in self._scored:
            self._scored.add(estimator)
            if hasattr(estimator, "user_col"):
                warn_if_fitted(read_task(fitted_estimator, self.X_val, y=self.y_val)[0])
        scorer = validation_scorer(self.X_val, self.y_val, scoring=self.scoring)
        loop = self._loops.setdefault(context.parent, _Loop())
        loop.add(scorer(fitted_estimator), self.tol)
        if loop.n_no_change < self.n_iter_no_change:
            return False
        _log.info(
            "EarlyStopping: no better score than %.6g in %d sweeps.", loop.best, loop.n_no_change
        )
        return True

    def teardown(self, estimator: Any, context: Any) -> None:
        """Warn if there was nothing to score; called at the end of `fit`.

        Parameters
        ----------
        estimator : estimator
            That was fitted.
        context : sklearn.callback.CallbackContext
            Of the whole fit.

        Warns
        -----
        ParameterWarning
            If the estimator shows no model while it is fitted.
        """
        fails = sys.exc_info()[0] is not None
        if estimator not in self._scored and not fails:
            warn(
                f"EarlyStopping could not end anything: {type(estimator).__name__} shows no model "
                "between the steps of its fit. Set it on the recommender itself, such as the last "
                "step of a Pipeline: pipe[-1].set_callbacks(...).",
                ParameterWarning,
            )
        self._scored.discard(estimator)


def _check_tol(tol: Any) -> None:
    if not isinstance(tol, Real) or not 0 <= float(tol) < math.inf:
        raise InvalidParameterError(f"tol must be a number >= 0; got {tol!r}.")


@dataclass
class _Loop:
    """Scores of one loop of sweeps: the best, and how many came after it."""

    best: float = -math.inf
    n_no_change: int = 0

    def add(self, score, tol):
        if math.isnan(score):
            raise ValueError(
                "EarlyStopping needs scores that are numbers; got NaN: scoring finds nothing to "
                "rank in X_val."
            )
        self.n_no_change = 0 if score > self.best + tol else self.n_no_change + 1
        self.best = max(self.best, score)


@dataclass(frozen=True)
class ValidationScorer:
    """Scores the same rows whatever rows it is given; see `validation_scorer`."""

    X_val: Table = field(repr=False)
    y_val: ArrayLike | None = field(repr=False)
    scoring: Callable | str | None

    def __call__(self, estimator: Any, X: Any = None, y: Any = None, **metadata: Any) -> float:
        """Score an estimator on the rows of `X_val`; `X` and `y` are not looked at."""
        scorer = check_scoring(estimator, self.scoring)
        if self.y_val is None:
            return float(scorer(estimator, self.X_val))
        return float(scorer(estimator, self.X_val, self.y_val))


def validation_scorer(
    X_val: Table, y_val: ArrayLike | None = None, *, scoring: Callable | str | None = None
) -> ValidationScorer:
    """Make a scorer of held-out rows, for callbacks.

    :class:`sklearn.callback.ScoringMonitor` gives a scorer the rows that are fitted, which are
    ranked better and better; this one takes `X_val` instead.

    Parameters
    ----------
    X_val : DataFrame or array of shape (n_samples, n_columns)
        Held-out interactions, which `fit` is not given.
    y_val : array-like of shape (n_samples,), default=None
        Their strengths, as in `score`.
    scoring : callable, str or None, default=None
        What scores them, such as a scorer from :func:`~sklearn_selreg.metrics.auc_scorer`. None:
        `score` of the estimator, the mean NDCG@10.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X=None, y=None)` -> float. It can be pickled.

    See Also
    --------
    EarlyStopping : Ends the sweeps by such scores.

    Examples
    --------
    >>> from sklearn.callback import ScoringMonitor
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.callback import validation_scorer
    >>> likes = [["ann", "Alien"], ["ann", "Heat"], ["bob", "Alien"], ["cat", "Up"]]
    >>> monitor = ScoringMonitor(scoring={"NDCG@10": validation_scorer([["bob", "Heat"]])})
    >>> model = SelectiveLLMRegularizedMF(factors=2, iterations=3, tuning=None, random_state=0)
    >>> model = model.set_callbacks(monitor).fit(likes)
    >>> [row["NDCG@10"] for row in monitor.get_logs().data if row["task_name"] == "sweep"]
    [1.0, 1.0, 1.0]
    """
    return ValidationScorer(X_val, y_val, scoring)

"""Callbacks for ``set_callbacks`` of scikit-learn 1.9: early stopping and validation scores."""

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
    """Stop training when the ranking of held-out interactions stops improving.

    The model is the same as if it had been fitted with that number of `iterations`, including the
    final update of users. Requires scikit-learn 1.9 or newer.

    Parameters
    ----------
    X_val : DataFrame or array of shape (n_samples, n_columns)
        Held-out interactions, not passed to `fit`.
    y_val : array-like of shape (n_samples,), default=None
        Their strengths, as in `score`.
    scoring : callable, str or None, default=None
        Scorer to maximize, e.g. from :func:`~sklearn_selreg.metrics.ndcg_at_k_scorer`. If None, the
        estimator's `score`, the mean NDCG@10.
    n_iter_no_change : int, default=3
        Number of sweeps >= 1 without improvement after which training stops.
    tol : float, default=0.0
        Minimum amount >= 0 by which a score must exceed the best one so far to be an improvement.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    See Also
    --------
    validation_scorer : Scorer on the same rows, for `ScoringMonitor`.

    Notes
    -----
    After each sweep, user factors are computed and all items are ranked for the held-out users,
    which may take longer than the sweep itself. With a judge, both the sweeps without and those
    with its preferences may stop early. Settings are tuned beforehand; the resulting `iterations`
    is the maximum number of sweeps. BPR and LMF stop after an epoch. The model after the last sweep
    is kept, not the one with the best score. `n_iter_` is the number of sweeps (plus epochs for BPR
    and LMF).

    Clones may share an instance, as in a search; they are then all scored on `X_val`.

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
        # One entry per loop of sweeps, because clones may be fitted concurrently.
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
        """Check `X_val` and `scoring` before fitting; called by `fit`.

        Parameters
        ----------
        estimator : estimator
            Estimator being fitted.
        context : sklearn.callback.CallbackContext
            Context of the whole fit.

        Raises
        ------
        TypeError, ValueError
            If the held-out interactions cannot be read, or `scoring` is invalid.
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
            Estimator being fitted.
        context : sklearn.callback.CallbackContext
            Context of a part of the fit.
        """

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> bool:
        """Score the model after a sweep; called by `fit`.

        Parameters
        ----------
        estimator : estimator
            Estimator being fitted.
        context : sklearn.callback.CallbackContext
            Context of a part of the fit.
        fitted_estimator : estimator, default=None
            The estimator as if this sweep were the last; None after other parts of the fit.

        Returns
        -------
        stop : bool
            Whether to stop the sweeps.

        Raises
        ------
        ValueError
            If the score is NaN.
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
        """Warn if no model was scored; called at the end of `fit`.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator.
        context : sklearn.callback.CallbackContext
            Context of the whole fit.

        Warns
        -----
        ParameterWarning
            If the estimator does not provide a model during its fit.
        """
        fails = sys.exc_info()[0] is not None
        if estimator not in self._scored and not fails:
            warn(
                f"EarlyStopping had no effect: {type(estimator).__name__} does not provide a model "
                "between the steps of its fit. Set it on the recommender itself, e.g. the last "
                "step of a Pipeline: pipe[-1].set_callbacks(...).",
                ParameterWarning,
            )
        self._scored.discard(estimator)


def _check_tol(tol: Any) -> None:
    if not isinstance(tol, Real) or not 0 <= float(tol) < math.inf:
        raise InvalidParameterError(f"tol must be a number >= 0; got {tol!r}.")


@dataclass
class _Loop:
    """Best score of one loop of sweeps, and the number of scores since."""

    best: float = -math.inf
    n_no_change: int = 0

    def add(self, score, tol):
        if math.isnan(score):
            raise ValueError(
                "EarlyStopping needs numeric scores, but scoring returned NaN: X_val contains "
                "nothing to rank."
            )
        self.n_no_change = 0 if score > self.best + tol else self.n_no_change + 1
        self.best = max(self.best, score)


@dataclass(frozen=True)
class ValidationScorer:
    """Scores the same rows regardless of its arguments; see `validation_scorer`."""

    X_val: Table = field(repr=False)
    y_val: ArrayLike | None = field(repr=False)
    scoring: Callable | str | None

    def __call__(self, estimator: Any, X: Any = None, y: Any = None, **metadata: Any) -> float:
        """Score an estimator on the rows of `X_val`; `X` and `y` are ignored."""
        scorer = check_scoring(estimator, self.scoring)
        if self.y_val is None:
            return float(scorer(estimator, self.X_val))
        return float(scorer(estimator, self.X_val, self.y_val))


def validation_scorer(
    X_val: Table, y_val: ArrayLike | None = None, *, scoring: Callable | str | None = None
) -> ValidationScorer:
    """Make a scorer on fixed held-out rows, for callbacks.

    :class:`sklearn.callback.ScoringMonitor` passes the training rows to its scorers, and their
    ranking nearly always improves; this scorer uses `X_val` instead.

    Parameters
    ----------
    X_val : DataFrame or array of shape (n_samples, n_columns)
        Held-out interactions, not passed to `fit`.
    y_val : array-like of shape (n_samples,), default=None
        Their strengths, as in `score`.
    scoring : callable, str or None, default=None
        Scorer to apply, e.g. from :func:`~sklearn_selreg.metrics.auc_scorer`. If None, the
        estimator's `score`, the mean NDCG@10.

    Returns
    -------
    scorer : callable
        `scorer(estimator, X=None, y=None)` -> float. It can be pickled.

    See Also
    --------
    EarlyStopping : Stops training by such scores.

    Examples
    --------
    >>> from sklearn.callback import ScoringMonitor
    >>> from sklearn_selreg import SelectiveLLMRegularizedMF
    >>> from sklearn_selreg.callback import validation_scorer
    >>> from sklearn_selreg.datasets import make_interactions
    >>> X = make_interactions(200, 100, 2000, random_state=0).X[["user", "item"]]
    >>> train, held_out = X[X.index % 5 > 0], X[X.index % 5 == 0]
    >>> monitor = ScoringMonitor(scoring={"NDCG@10": validation_scorer(held_out)})
    >>> model = SelectiveLLMRegularizedMF(factors=8, iterations=4, tuning=None, random_state=0)
    >>> model = model.set_callbacks(monitor).fit(train)
    >>> sweeps = [row for row in monitor.get_logs().data if row["task_name"] == "sweep"]
    >>> bool(sweeps[-1]["NDCG@10"] == model.score(held_out) < model.score(train))
    True
    """
    return ValidationScorer(X_val, y_val, scoring)

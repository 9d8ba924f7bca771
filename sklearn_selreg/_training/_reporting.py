"""Fits read what they are given once, and tell scikit-learn's callbacks how far they are."""

from functools import cache, wraps

import numpy as np
import scipy.sparse as sp

from .._data._interactions import interactions_from_sparse
from .._utils._progress import Task, under
from .._utils._sklearn import with_callbacks


def reports_to_callbacks(fit):
    """Decorate a method that fits, so that the callbacks of its estimator are told of its tasks.

    Without callbacks it is called as it is. A query or stream is collected before, once.

    Parameters
    ----------
    fit : callable
        Method with the arguments `X` and `y`.
    """

    @with_callbacks
    def report(estimator, X, y):
        context = estimator._init_callback_context(task_name=fit.__name__, max_subtasks=None)
        task = Task(context, estimator, _samples(X, y))
        with under(task):
            result = fit(estimator, X, y)
        task.end(dict)  # nothing is left to set: it is fitted
        return result

    @wraps(fit)
    def fit_and_report(estimator, X, y=None):
        X = estimator._collect(X, y)
        if hasattr(estimator, "_skl_callbacks"):
            return report(estimator, X, y)
        with under(None):
            return fit(estimator, X, y)

    return fit_and_report


def _samples(X, y):
    """Return functions that return a table of interactions and its strengths.

    Callbacks score by them, and leave it if there is no `y`; without strengths each row counts 1.
    """

    @cache
    def table():
        if sp.issparse(X):
            return interactions_from_sparse(X)
        return X, np.ones(len(X), dtype=np.float32) if y is None else y

    return {"X": lambda: table()[0], "y": lambda: table()[1]}

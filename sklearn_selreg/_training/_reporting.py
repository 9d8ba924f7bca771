"""Input collection for methods that fit, and progress reports to scikit-learn's callbacks."""

from functools import cache, partial, wraps

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .._data._csr import entry_rows
from .._data._interactions import interactions_from_sparse
from .._utils._progress import Task, under
from .._utils._sklearn import with_callbacks


def reports_to_callbacks(fit=None, *, of_given=False):
    """Decorate a method that fits, so that it reports its tasks to the estimator's callbacks.

    A query or stream is collected once, before the call. Without callbacks, the method is then
    called directly.

    Parameters
    ----------
    fit : callable
        Method with the arguments `X` and `y`.
    of_given : bool, default=False
        Whether the method refines given factors. If so, `X=None` means the interactions stored in
        the model, and rows and columns of a matrix are the users and items of the model.
    """
    if fit is None:
        return partial(reports_to_callbacks, of_given=of_given)

    @with_callbacks
    def report(estimator, X, y):
        context = estimator._init_callback_context(task_name=fit.__name__, max_subtasks=None)
        model = estimator._fitted if of_given else None
        task = Task(context, estimator, _samples(X, y, model))
        with under(task):
            result = fit(estimator, X, y)
        task.end(dict)  # already fitted, so no attributes to set
        return result

    @wraps(fit)
    def fit_and_report(estimator, X=None, y=None):
        X = estimator._collect(X, y)
        if hasattr(estimator, "_skl_callbacks"):
            return report(estimator, X, y)
        with under(None):
            return fit(estimator, X, y)

    return fit_and_report


def _samples(X, y, given):
    """Lazy accessors of a table of interactions and its strengths.

    Callbacks use them for scoring, which requires a `y`: without strengths, each row counts 1.
    `given` is a model with given factors, or None.
    """

    @cache
    def table():
        if given is not None and (X is None or sp.issparse(X)):
            matrix = given.histories.matrix if X is None else X.tocsr()
            ids = given.users[entry_rows(matrix)], given.items[matrix.indices]
            return pd.DataFrame(dict(zip(given.id_names, ids, strict=True))), matrix.data
        if sp.issparse(X):
            return interactions_from_sparse(X)
        return X, np.ones(len(X), dtype=np.float32) if y is None else y

    return {"X": lambda: table()[0], "y": lambda: table()[1]}

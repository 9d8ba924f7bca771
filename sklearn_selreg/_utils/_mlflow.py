"""Logging of each fit as one MLflow run, if its autologging of scikit-learn is enabled.

`mlflow.sklearn.autolog` only patches scikit-learn's own estimators: our `fit` would not become a
run, but the fit of a scikit-learn item encoder inside of it would. We therefore let MLflow patch a
call that runs our `fit`. This module never imports MLflow; it uses it only if already imported.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from ._display import summarize

_Fit = TypeVar("_Fit", bound=Callable)
_log = logging.getLogger("sklearn_selreg")


class _Call:
    """The call patched by MLflow, which only patches methods of classes."""

    def run(self, fit, estimator, X, y):
        return fit(estimator, X, y)


def autologged(fit: _Fit) -> _Fit:
    """Decorate the `fit` of an estimator to be autologged like those of scikit-learn.

    The estimator's method `_logged_values` returns parameters and metrics to log after the fit.
    """

    @wraps(fit)
    def logged_fit(self, X, y=None):
        flavor = sys.modules.get("mlflow.sklearn")
        utils = sys.modules.get("mlflow.utils.autologging_utils")
        if not hasattr(flavor, "_SklearnTrainingSession") or not hasattr(utils, "safe_patch"):
            return fit(self, X, y)
        if not hasattr(_Call.run, "__wrapped__"):  # each `autolog` reverts patches
            tags = utils.get_autologging_config("sklearn", "extra_tags")
            more = {"extra_tags": tags} if tags else {}
            utils.safe_patch("sklearn", _Call, "run", _run_logged, manage_run=True, **more)
        return _Call().run(fit, self, X, y)

    return logged_fit  # type: ignore[return-value]


def _run_logged(original, call, fit, estimator, X, y):
    """Fit and log to the active run, unless an enclosing estimator (e.g. a Pipeline) does so."""
    session = sys.modules["mlflow.sklearn"]._SklearnTrainingSession
    with session(estimator=estimator, allow_children=False) as this:
        if not this.should_log():
            return original(call, fit, estimator, X, y)
        mlflow = sys.modules["mlflow"]
        mlflow.log_params({n: summarize(v) for n, v in estimator.get_params().items()})
        kind = type(estimator)
        name = f"{kind.__module__}.{kind.__qualname__}"
        mlflow.set_tags({"estimator_name": kind.__name__, "estimator_class": name})
        original(call, fit, estimator, X, y)
        params, metrics = estimator._logged_values()
        mlflow.log_params(params)
        mlflow.log_metrics(metrics)
        mlflow.log_text(estimator._repr_html_inner(), "estimator.html")
        _log_model(estimator, name, X)
    return estimator


def _log_model(estimator, name, X):
    """Log the fitted estimator with the settings of `mlflow.sklearn.autolog`."""
    utils = sys.modules["mlflow.utils.autologging_utils"]

    def told(key, default):
        return utils.get_autologging_config("sklearn", key, default)

    if not told("log_models", True):
        return
    mlflow = sys.modules["mlflow"]
    example, signature = utils.resolve_input_example_and_signature(
        lambda: X[: utils.INPUT_EXAMPLE_SAMPLE_ROWS],
        lambda rows: mlflow.models.infer_signature(rows, estimator.predict(rows)),
        told("log_input_examples", False),
        told("log_model_signatures", True),
        _log,
    )
    serialization_format = told("serialization_format", "cloudpickle")
    mlflow.sklearn.log_model(
        estimator,
        name="model",
        signature=signature,
        input_example=example,
        serialization_format=serialization_format,
        skops_trusted_types=[name] if serialization_format == "skops" else None,
        registered_model_name=told("registered_model_name", None),
    )

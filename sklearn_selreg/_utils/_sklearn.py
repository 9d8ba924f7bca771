"""Everything that depends on scikit-learn's private interface, which may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sklearn
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_params,
)
from sklearn.utils._pprint import _EstimatorPrettyPrinter
from sklearn.utils.validation import _check_sample_weight

from ._display import as_paragraph, documentation_url, summarize

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """What scikit-learn of before has no callbacks for."""

        def set_callbacks(self, *callbacks: Any) -> Any:
            """Say that callbacks need a newer scikit-learn.

            Parameters
            ----------
            *callbacks : object

            Raises
            ------
            ImportError
            """
            raise ImportError(
                "Callbacks need scikit-learn 1.9 or newer, which calls them; this is "
                f"{sklearn.__version__}."
            )

    def with_callbacks(method: Callable) -> Callable:
        """Return the method as it is."""
        return method


__all__ = [
    "CallbackSupportMixin",
    "DisplayMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "_check_sample_weight",
    "_fit_context",
    "_safe_indexing",
    "validate_params",
    "with_callbacks",
]


class DisplayMixin:
    """Estimators that print large parameters in short, and whose diagrams link to our reference.

    A class may add a sentence below its diagram, by `_note`.
    """

    _doc_link_module = "sklearn_selreg"
    _doc_link_template = "{site}generated/{module}.{name}.html"

    def _doc_link_url_param_generator(self):
        public = [part for part in type(self).__module__.split(".") if not part.startswith("_")]
        return {
            "site": documentation_url(),
            "module": ".".join(public),
            "name": type(self).__name__,
        }

    def _get_doc_link(self):
        return super()._get_doc_link() if documentation_url() else ""

    def __repr__(self, N_CHAR_MAX=700):
        return BaseEstimator.__repr__(_summarized(self), N_CHAR_MAX)

    def _get_params_html(self, *args, **kwargs):
        return BaseEstimator._get_params_html(_summarized(self), *args, **kwargs)

    def _note(self) -> str:
        """Return a sentence to show below the diagram, or an empty one."""
        return ""

    def _repr_html_inner(self):
        return super()._repr_html_inner() + as_paragraph(self._note())

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += as_paragraph(self._note())
        return bundle


def _summarized(value: Any) -> Any:
    """Return an unfitted copy of one of our estimators, with its large parameters summarized."""
    if not isinstance(value, DisplayMixin):
        return summarize(value)
    estimator: Any = value
    copy = object.__new__(type(estimator))
    parameters = estimator.get_params(deep=False)
    vars(copy).update({name: _summarized(part) for name, part in parameters.items()})
    return copy


def _print_summarized(printer, estimator, *args):
    _EstimatorPrettyPrinter._pprint_estimator(printer, _summarized(estimator), *args)


# Called for estimators that do not fit on the line, also inside a Pipeline.
_EstimatorPrettyPrinter._dispatch[DisplayMixin.__repr__] = _print_summarized

"""All uses of scikit-learn's private API, which may change in any release."""

from __future__ import annotations

import sys
from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    InvalidParameterError,
    StrOptions,
    validate_params,
)
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils._pprint import _EstimatorPrettyPrinter
from sklearn.utils.validation import _check_sample_weight

from ._display import (
    Label,
    as_paragraph,
    documentation_url,
    format_short,
    group_parameters,
    summarize,
)
from ._public import public_module

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Substitute in versions of scikit-learn without callbacks."""

        def set_callbacks(self, *callbacks: Any) -> Any:
            """Raise an ImportError, since callbacks require a newer scikit-learn.

            Parameters
            ----------
            *callbacks : object

            Raises
            ------
            ImportError
            """
            raise ImportError(
                f"Callbacks require scikit-learn 1.9 or newer; this is {sklearn.__version__}."
            )

    def with_callbacks(method: Callable) -> Callable:
        """Return the method unchanged."""
        return method


__all__ = [
    "INTEGER",
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


class Interval(_Interval):
    """A range of numbers that excludes True and False."""

    def is_satisfied_by(self, val):
        """Return whether a value is a number in the range."""
        return not isinstance(val, bool | np.bool_) and super().is_satisfied_by(val)

    def __str__(self):
        unbounded = self.left is None and self.right is None
        return "an int" if unbounded and self.type is Integral else super().__str__()


INTEGER = Interval(Integral, None, None, closed="neither")


class DisplayMixin:
    """Mixin that abbreviates large parameters when printed, and links diagrams to our reference.

    A class may add to its diagram: titles of parameter groups (`_parameter_groups`), values used
    for parameters such as "auto" (`_used_params`), labels of attributes that are properties
    (`_attribute_labels`), and a sentence below (`_note`).
    """

    _doc_link_module = "sklearn_selreg"
    _doc_link_template = "{site}generated/{module}.{name}.html"
    _parameter_groups: ClassVar[dict[str, tuple[str, ...]]] = {}

    def _doc_link_url_param_generator(self):
        kind = type(self)
        return {
            "site": documentation_url(),
            "module": public_module(kind.__module__),
            "name": kind.__name__,
        }

    def _get_doc_link(self):
        kind = type(self)
        public = sys.modules.get(public_module(kind.__module__))
        if not documentation_url() or getattr(public, kind.__name__, None) is not kind:
            return ""
        return super()._get_doc_link()

    def __repr__(self, N_CHAR_MAX=700):
        return BaseEstimator.__repr__(_summarized(self), N_CHAR_MAX)

    def _used_params(self) -> dict[str, Any]:
        """Return the values used for parameters such as "auto", by name."""
        return {}

    def _get_params_html(self, *args, **kwargs):
        params = BaseEstimator._get_params_html(_summarized(self), *args, **kwargs)
        for name, used in self._used_params().items():
            given = repr(params[name]) + " \N{RIGHTWARDS ARROW} " if name in params else ""
            params[name] = Label(given + format_short(used))
        if self._parameter_groups:
            group_parameters(params, self._parameter_groups)
        return params

    def _attribute_labels(self) -> dict[str, str]:
        """Return labels of attributes that are computed on access, or identify persons."""
        return {}

    def _get_fitted_attr_html(self, *args, **kwargs):
        stored = {name: value for name, value in vars(self).items() if name.endswith("_")}
        attributes = BaseEstimator._get_fitted_attr_html(_bare(self, stored), *args, **kwargs)
        for name, label in self._attribute_labels().items():
            kind = type(getattr(self, name)).__name__
            attributes[name] = {"type_name": kind, "value": Label(label)}
        return attributes

    def _note(self) -> str:
        """Return a sentence to show below the diagram, or ""."""
        return ""

    def _repr_html_inner(self):
        return super()._repr_html_inner() + as_paragraph(self._note())

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += as_paragraph(self._note())
        return bundle


def _bare(estimator: Any, attributes: dict[str, Any]) -> Any:
    """Return an object of the estimator's class with only the given attributes."""
    bare = object.__new__(type(estimator))
    vars(bare).update(attributes)
    return bare


def _summarized(value: Any) -> Any:
    """Return an unfitted copy of one of our estimators, with its large parameters summarized."""
    if not isinstance(value, DisplayMixin):
        return summarize(value)
    estimator: Any = value
    parameters = estimator.get_params(deep=False)
    return _bare(estimator, {name: _summarized(part) for name, part in parameters.items()})


def _print_summarized(printer, estimator, *args):
    _EstimatorPrettyPrinter._pprint_estimator(printer, _summarized(estimator), *args)


# Called for estimators that do not fit on one line, also within a Pipeline.
_EstimatorPrettyPrinter._dispatch[DisplayMixin.__repr__] = _print_summarized

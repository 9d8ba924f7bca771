"""Warnings that point at the line of the user's code."""

import sys
import warnings
import weakref
from pathlib import Path
from typing import Any

import joblib
import sklearn

from ..exceptions import DataWarning, ParameterWarning

# What stands between a user's line and our own: Pipelines, searches and their workers too.
_INNER = tuple(
    f"{root}{sep}"
    for root in (
        Path(__file__).parents[1],
        Path(sklearn.__file__).parent,
        Path(joblib.__file__).parent,
    )
    for sep in ("/", "\\")
)

# Searches and cross-validations; each call has an object of its own that runs the fits, by which
# is kept what was told. (Python's own memory is cleared whenever scikit-learn catches warnings.)
_SEARCHES = str(Path(sklearn.__file__).parent / "model_selection")
_told: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()


def warn(message: str, category: type[Warning] = DataWarning) -> None:
    """Warn at the first line outside of this package, scikit-learn and joblib.

    In a search or cross-validation a `ParameterWarning` is given once, not for each fold.

    Parameters
    ----------
    message : str
        What happened, and what to do.
    category : class, default=DataWarning
    """
    frame, level, search = sys._getframe(1), 2, None
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INNER):
        if frame.f_code.co_filename.startswith(_SEARCHES):
            search = frame.f_locals.get("parallel", search)
        frame, level = frame.f_back, level + 1
    if search is not None and issubclass(category, ParameterWarning):
        told = _told.setdefault(search, set())
        if message in told:
            return
        told.add(message)
    warnings.warn(message, category, stacklevel=level)

"""Warnings attributed to a line of the user's code."""

from __future__ import annotations

import sys
import warnings
import weakref
from pathlib import Path
from typing import Any

import joblib
import sklearn

from ..exceptions import DataWarning, ParameterWarning

# Frames between the user's line and ours may belong to Pipelines, searches and their workers.
_INNER = tuple(
    f"{root}{sep}"
    for root in (
        Path(__file__).parents[1],
        Path(sklearn.__file__).parent,
        Path(joblib.__file__).parent,
    )
    for sep in ("/", "\\")
)

# Each call of a search or cross-validation runs its fits by its own `parallel` object, by which we
# remember messages: Python's registry is cleared whenever scikit-learn catches warnings.
_SEARCHES = str(Path(sklearn.__file__).parent / "model_selection")
_messages_of_search: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()


def warn(message: str, category: type[Warning] = DataWarning) -> None:
    """Warn at the first line outside of this package, scikit-learn, joblib and MLflow.

    In a search or cross-validation a `ParameterWarning` is issued once, not for each fold.

    Parameters
    ----------
    message : str
        The problem and its remedy.
    category : class, default=DataWarning
    """
    frame, level, search = sys._getframe(1), 2, None
    while frame.f_back is not None and _is_inner(frame):
        if frame.f_code.co_filename.startswith(_SEARCHES):
            search = frame.f_locals.get("parallel", search)
        frame, level = frame.f_back, level + 1
    if search is not None and issubclass(category, ParameterWarning):
        given = _messages_of_search.setdefault(search, set())
        if message in given:
            return
        given.add(message)
    warnings.warn(message, category, stacklevel=level)


def _is_inner(frame: Any) -> bool:
    """Return whether a frame belongs to a package between the user's line and ours."""
    # MLflow is optional; it calls the fits that it logs.
    return frame.f_code.co_filename.startswith(_INNER) or frame.f_globals.get(
        "__name__", ""
    ).startswith("mlflow.")

"""Warnings that point at the user's line, and what is said of unknown ids."""

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


def warn_of_unknown(what, unknown, n_ids, known, consequence, *, tolerated="none"):
    """Warn of ids that a model does not know.

    Parameters
    ----------
    what : str
        What they are, in the plural: "users".
    unknown : ndarray of shape (n_unknown,)
        Those that were not found.
    n_ids : int
        How many were looked up.
    known : ndarray of shape (n_known,)
        Ids of the model.
    consequence : str
        What happens to them: "they are left out".
    tolerated : {"none", "half", "same type"}, default="none"
        How many unknown ids are no reason to warn: none, half of all, or those of a type that ids
        of the model have. Ids of another type are hardly new ones, but were read otherwise.
    """
    if not len(unknown) or (tolerated == "half" and len(unknown) <= n_ids / 2):
        return
    unknown = unknown.tolist()
    known = known if known.dtype == object else known[:1].tolist()
    # Mostly the first known id settles it.
    others = {t for t in set(map(_type_of, unknown)) if all(_type_of(i) != t for i in known)}
    foreign = [i for i in unknown if _type_of(i) in others]
    if tolerated == "same type" and not foreign:
        return
    example = foreign[0] if foreign else unknown[0]
    hint = " Ids of another type are other ids: convert them." if foreign else ""
    warn(
        f"{len(unknown)} of {n_ids} {what} are unknown to the model, such as {example!r}; "
        f"{consequence}. Known ones are such as {known[0]!r}.{hint}"
    )


def _type_of(value):
    """Return what an id shares with ids that may equal it: all numbers are of one type."""
    return "number" if isinstance(value, int | float) else type(value).__name__

"""Public classes are called by their public names: in files, errors and logs."""

from __future__ import annotations

import sys
from typing import TypeVar

_Class = TypeVar("_Class", bound=type)


def public(cls: _Class) -> _Class:
    """Decorate a class that is imported from a public package and defined in a private module.

    Its `__module__` becomes the public one. So a pickle, a skops file or an error message names
    `sklearn_selreg.ALS`, which stays where it is when modules move.

    Examples
    --------
    >>> from sklearn_selreg import ALS
    >>> ALS.__module__
    'sklearn_selreg'
    """
    module = vars(sys.modules[cls.__module__])
    module.setdefault("__test__", {})[cls.__name__] = cls  # doctest looks for it there, too
    cls.__module__ = public_module(cls.__module__)
    return cls


def public_module(name: str) -> str:
    """Return the part of a module's name that users import from."""
    return ".".join(part for part in name.split(".") if not part.startswith("_"))

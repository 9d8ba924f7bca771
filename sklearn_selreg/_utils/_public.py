"""Public names for public classes, as shown in files, errors and logs."""

from __future__ import annotations

import sys
from typing import TypeVar

_Class = TypeVar("_Class", bound=type)


def public(cls: _Class) -> _Class:
    """Decorate a class that is defined in a private module and imported from a public package.

    Its `__module__` is set to the public one: pickles, skops files and error messages refer to e.g.
    `sklearn_selreg.ALS`, which remains valid when modules move.

    Examples
    --------
    >>> from sklearn_selreg import ALS
    >>> ALS.__module__
    'sklearn_selreg'
    """
    module = vars(sys.modules[cls.__module__])
    module.setdefault("__test__", {})[cls.__name__] = cls  # makes doctest find it
    cls.__module__ = public_module(cls.__module__)
    return cls


def public_module(name: str) -> str:
    """Return the public part of a module's name."""
    return ".".join(part for part in name.split(".") if not part.startswith("_"))

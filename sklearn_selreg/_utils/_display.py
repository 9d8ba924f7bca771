"""What is shown of estimators: links to the documentation, and large parameters in short."""

from __future__ import annotations

import html
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

_MAX_ENTRIES = 20  # of a collection that is printed in full


@lru_cache
def documentation_url() -> str:
    """Return the address of the documentation, with a slash at the end; "" if unknown."""
    try:
        urls = metadata("sklearn_selreg").get_all("Project-URL") or []
    except PackageNotFoundError:  # imported from a directory, not installed
        return ""
    by_label = dict(url.split(", ", 1) for url in urls)
    if "Documentation" not in by_label:
        return ""
    return by_label["Documentation"].rstrip("/") + "/"


class _Summary:
    """Stands for a large value where it is printed."""

    def __init__(self, text: str):
        self._text = text

    def __repr__(self) -> str:
        return self._text


def summarize(value: Any) -> Any:
    """Return a stand-in for a large array, table or collection, which prints as type and size.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
        The value itself if it is small.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg._utils._display import summarize
    >>> summarize(np.zeros((100, 4))), summarize({"a": 1}), summarize(dict.fromkeys(range(2000)))
    (ndarray(100x4), {'a': 1}, dict(2000 entries))
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return _Summary(f"{type(value).__name__}({'x'.join(map(str, shape))})")
    if isinstance(value, dict | list | tuple | set | frozenset) and (
        len(value) > _MAX_ENTRIES
        # Records may say who likes what, and diagrams are published.
        or any(isinstance(entry, dict) for entry in value)
    ):
        return _Summary(f"{type(value).__name__}({len(value)} entries)")
    return value


def as_paragraph(text: str) -> str:
    """Format text as an HTML paragraph; nothing if it is empty."""
    return f"<p>{html.escape(text)}</p>" if text else ""

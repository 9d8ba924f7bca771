"""Display of estimators: links to the documentation, and summaries of large parameters."""

from __future__ import annotations

import copy
import html
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

_MAX_ENTRIES = 20  # larger collections are summarized


@lru_cache
def documentation_url() -> str:
    """Return the URL of the documentation, with a trailing slash; "" if unknown."""
    try:
        urls = metadata("sklearn_selreg").get_all("Project-URL") or []
    except PackageNotFoundError:  # imported from a directory, not installed
        return ""
    by_label = dict(url.split(", ", 1) for url in urls)
    if "Documentation" not in by_label:
        return ""
    return by_label["Documentation"].rstrip("/") + "/"


class Label:
    """Printed stand-in for a value that is large or private."""

    def __init__(self, text: str):
        self._text = text

    def __repr__(self) -> str:
        return self._text


def summarize(value: Any) -> Any:
    """Replace a large array, table or collection by a label with its type and size.

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
        return Label(f"{type(value).__name__}({'x'.join(map(str, shape))})")
    if isinstance(value, dict | list | tuple | set | frozenset) and (
        len(value) > _MAX_ENTRIES
        # Records may contain personal preferences, and diagrams get published.
        or any(isinstance(entry, dict) for entry in value)
    ):
        return Label(f"{type(value).__name__}({len(value)} entries)")
    return value


def format_short(value: Any) -> str:
    """Format a value by `repr`, floats with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


class Sentence(str):
    """Text that notebooks show as a paragraph."""

    def _repr_html_(self) -> str:
        return as_paragraph(self)


def as_table(title: str, rows: dict[str, Any]) -> str:
    """Format a title and named values as an HTML table."""
    cells = "".join(
        f"<tr><th style='text-align: left'>{html.escape(name)}</th>"
        f"<td style='text-align: right'>{html.escape(str(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table><caption>{html.escape(title)}</caption><tbody>{cells}</tbody></table>"


def group_parameters(params: Any, groups: dict[str, tuple[str, ...]]) -> None:
    """Split scikit-learn's display of parameters into one table per group.

    Parameters
    ----------
    params : ParamsDict
        Result of an estimator's `_get_params_html`, displayed as a single table.
    groups : dict of str to tuple of str
        Parameter names by title. Nested parameters such as `gate__C` are listed with `gate`, and
        parameters without a group come last.
    """
    make_table = type(params)._html_repr
    title_of = {name: title for title, names in groups.items() for name in names}

    def make_tables() -> str:
        by_title: dict[str, dict[str, Any]] = {title: {} for title in (*groups, "Further")}
        for name, value in params.items():
            by_title[title_of.get(name.partition("__")[0], "Further")][name] = value
        tables = []
        for title, group in by_title.items():
            part = copy.copy(params)
            part.data = group
            if group:
                table = make_table(part)
                tables.append(table.replace(">Parameters<", f">{html.escape(title)}<", 1))
        return "".join(tables)

    params._html_repr = make_tables


def as_paragraph(text: str) -> str:
    """Format text as an HTML paragraph; nothing if it is empty."""
    return f"<p>{html.escape(text)}</p>" if text else ""

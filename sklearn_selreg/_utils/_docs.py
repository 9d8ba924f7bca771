"""How scikit-learn shows our estimators: with links, large tables short, and a note."""

import html
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, metadata

_MOST_ENTRIES = 20  # of a collection that is printed in full


@lru_cache
def documentation_url():
    """Return the address of the documentation as the installed package states it.

    Returns
    -------
    url : str
        With a slash at the end; empty if the package states none.
    """
    try:
        urls = metadata("sklearn_selreg").get_all("Project-URL") or []
    except PackageNotFoundError:  # imported from a directory, not installed
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    return named["Documentation"].rstrip("/") + "/" if "Documentation" in named else ""


class _Short:
    """Stands for a large value where it is printed."""

    def __init__(self, text):
        self._text = text

    def __repr__(self):
        return self._text


def shorten(value):
    """Return what to print for a parameter: for large tables and collections kind and size alone.

    Parameters
    ----------
    value : object

    Returns
    -------
    shown : object
        The value itself if it is short.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_selreg._utils._docs import shorten
    >>> shorten(np.zeros((100, 4))), shorten({"a": 1}), shorten({n: "text" for n in range(2000)})
    (ndarray(100x4), {'a': 1}, dict(2000 entries))
    """
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return _Short(f"{type(value).__name__}({'x'.join(map(str, shape))})")
    if isinstance(value, dict | list | tuple | set | frozenset) and len(value) > _MOST_ENTRIES:
        return _Short(f"{type(value).__name__}({len(value)} entries)")
    return value


def _paragraph(text):
    return f"<p>{html.escape(text)}</p>" if text else ""


class DocLinkMixin:
    """Make scikit-learn's diagrams link to our reference, and print large parameters short.

    A class may say more below its diagram, by `_note`.
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

    def get_params(self, deep=True):
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return the parameters of the estimators in it, too.

        Returns
        -------
        params : dict of str to object
        """
        params = super().get_params(deep=deep)
        # scikit-learn's printer has no other place where an estimator in a Pipeline is asked.
        if sys._getframe(1).f_globals.get("__name__") == "sklearn.utils._pprint":
            return {name: shorten(value) for name, value in params.items()}
        return params

    def _get_params_html(self, *args, **kwargs):
        shown = super()._get_params_html(*args, **kwargs)
        shown.data = {name: shorten(value) for name, value in shown.data.items()}
        return shown

    def _note(self):
        """Return a sentence to show below the diagram, or an empty one."""
        return ""

    def _repr_html_inner(self):
        return super()._repr_html_inner() + _paragraph(self._note())

    def _repr_mimebundle_(self, **kwargs):
        shown = super()._repr_mimebundle_(**kwargs)
        if "text/html" in shown:
            shown["text/html"] += _paragraph(self._note())
        return shown

    def _get_doc_link(self):
        return super()._get_doc_link() if documentation_url() else ""

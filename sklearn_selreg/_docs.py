"""Where the documentation is: scikit-learn's diagrams of estimators link to it."""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, metadata


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


class DocLinkMixin:
    """Make scikit-learn's diagrams link to the page of an estimator in our reference."""

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

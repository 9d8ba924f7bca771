"""Doctests to skip."""

from importlib.util import find_spec

collect_ignore = []
if find_spec("sklearn.callback") is None:  # scikit-learn < 1.9
    collect_ignore += ["sklearn_selreg/callback.py"]

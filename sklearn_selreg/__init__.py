"""Implicit-feedback recommendation for scikit-learn, regularized by an LLM where it is reliable."""

__version__ = "0.1.0"

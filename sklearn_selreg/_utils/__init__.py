"""Shared utilities: warnings, parameter checks, displays, and private parts of scikit-learn."""

"""Data to try things on."""

from ._movielens import load_movielens_coldstart

__all__ = ["load_movielens_coldstart"]

"""Exceptions and warnings can be caught and filtered, and logging is silent by default."""

import subprocess
import sys

import pytest

import sklearn_selreg
from sklearn_selreg import exceptions, judges

LOG = """
import logging, sklearn_selreg
logging.getLogger("sklearn_selreg").error("nobody has asked for this")
"""


def test_warnings_are_user_warnings_and_errors_runtime_errors():
    for name in exceptions.__all__:
        base = UserWarning if name.endswith("Warning") else RuntimeError
        assert issubclass(getattr(exceptions, name), base)
    assert issubclass(exceptions.BudgetWarning, exceptions.JudgmentWarning)


def test_old_names_are_the_same_classes():
    assert judges.JudgeError is exceptions.JudgeError
    assert judges.CacheError is exceptions.CacheError
    assert sklearn_selreg.ModelVersionWarning is exceptions.ModelVersionWarning


@pytest.mark.slow
def test_the_logger_is_silent_by_default():
    done = subprocess.run([sys.executable, "-c", LOG], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""

"""Where things are. Importing this lets benchmarks import each other, the demo and test helpers."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
TUNING = ROOT / "benchmarks/tuning"

_FOLDERS = ("benchmarks/speed", "benchmarks/quality", "benchmarks/judging", "demo", "tests")
sys.path += [str(ROOT / folder) for folder in _FOLDERS]


def version_of(package):
    """Return the version of a package, None where it is not installed (and so not measured)."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None

"""Where things are. Importing this lets benchmarks import each other, the demo and test helpers."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
TUNING = ROOT / "benchmarks/tuning"

_FOLDERS = ("benchmarks/speed", "benchmarks/quality", "benchmarks/judging", "demo", "tests")
sys.path += [str(ROOT / folder) for folder in _FOLDERS]


def write_block(page, maker, text):
    """Write a script's table into a page (path from the root), between the two comments."""
    path = ROOT / page
    begin, end = f"<!-- made by {maker} -->\n", "<!-- until here -->\n"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    if not found:
        raise ValueError(f"{path} must have a line {begin.rstrip()}.")
    _, _, after = rest.partition(end)
    path.write_text(before + begin + text + end + after, encoding="utf-8")


def version_of(package):
    """Return the version of a package, None where it is not installed (and so not measured)."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None

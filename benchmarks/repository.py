"""Paths, results and generated tables. Importing this lets benchmarks import each other."""

import json
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
TUNING = ROOT / "benchmarks/tuning"
README = "benchmarks/README.md"
PACKAGES = ("sklearn_selreg", "scikit-learn", "implicit", "numpy", "scipy", "pandas")

_FOLDERS = ("benchmarks/speed", "benchmarks/quality", "benchmarks/judging", "demo", "tests")
sys.path += [str(ROOT / folder) for folder in _FOLDERS]


def write_block(page, maker, text):
    """Replace the table of a script in a page (path from the root), between the two comments."""
    path = ROOT / page
    begin, end = f"<!-- made by {maker} -->\n", "<!-- until here -->\n"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    if not found:
        raise ValueError(f"{path} must have a line {begin.rstrip()}.")
    _, _, after = rest.partition(end)
    path.write_text(before + begin + text + end + after, encoding="utf-8")


def version_of(package):
    """Return the version of a package; None if it is not installed, and so was not measured."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def provenance(**run):
    """Date and versions of a run, in addition to its own arguments, e.g. `seeds`."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        **run,
        "python": platform.python_version(),
        **{package: version_of(package) for package in PACKAGES},
    }


def add_output_options(parser, default):
    """Add `--output` and `--show` to a script that stores results and a table."""
    parser.add_argument(
        "--output", type=Path, default=default, help="JSON file (default: in benchmarks/results)"
    )
    parser.add_argument(
        "--show", action="store_true", help="rebuild the table from the JSON file; measure nothing"
    )


def save(path, results):
    """Store results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def load(path):
    """Read results stored by `save`."""
    return json.loads(path.read_text(encoding="utf-8"))


def show(maker, text, is_default):
    """Print a table, and write it into the README if the results are in their default place."""
    print(text)
    if is_default:
        write_block(README, maker, text)

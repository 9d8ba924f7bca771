"""Separate environments for benchmarks with further dependencies."""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import repository

_INSIDE = "SKLEARN_SELREG_BENCHMARK"


def run_with(*packages):
    """Rerun this script in a new environment with further packages, and exit; return in there.

    Parameters
    ----------
    *packages : str
        Requirements for pip. The project itself is installed with its data.
    """
    if os.environ.get(_INSIDE):
        return
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        wanted = [f"{repository.ROOT}[movielens]", *packages]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
        done = subprocess.run([python, *sys.argv], env=os.environ | {_INSIDE: "1"})
    sys.exit(done.returncode)

"""Where things are. Importing this lets benchmarks import each other, the demo and test helpers."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
TUNING = ROOT / "benchmarks/tuning"

_FOLDERS = ("benchmarks/speed", "benchmarks/quality", "benchmarks/judging", "demo", "tests")
sys.path += [str(ROOT / folder) for folder in _FOLDERS]

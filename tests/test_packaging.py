from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def test_oldest_requirements_are_the_lower_bounds():
    tomllib = pytest.importorskip("tomllib", reason="comes with Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = [*project["dependencies"]]
    for extra in ("movielens", "openai", "plot", "polars", "test"):
        bounds += project["optional-dependencies"][extra]
    lines = (ROOT / "requirements-oldest.txt").read_text().splitlines()
    assert {
        (r.name, str(r.specifier).replace(">=", "=="))
        for r in map(Requirement, bounds)
        if r.name != project["name"]
    } == {
        (r.name, str(r.specifier))
        for r in (Requirement(line) for line in lines if not line.startswith("#"))
    }

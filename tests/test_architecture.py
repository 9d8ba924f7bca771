"""Modules follow the table in `docs/structure.py`, and use only public names of other libraries."""

import ast
import sys
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sklearn_selreg"
sys.path.insert(0, str(ROOT / "docs"))
from structure import BASE, PARTS, PICTURE, draw  # noqa: E402

# The only files that may use private names of other libraries.
PRIVATE_NAMES_IN = {
    "implicit": None,
    "sklearn": "sklearn_selreg/_utils/_sklearn.py",
}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported_names(path):
    """Yield the absolute dotted names of all imports in a file, including those in functions."""
    package = path.parent.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def imported_modules(path):
    """Return the modules of this package that a file imports; `__init__` for a package."""
    names = {name for name in imported_names(path) if name.partition(".")[0] == PACKAGE.name}
    return {name if name in FILES else name.rpartition(".")[0] for name in names}


def part_of(module):
    """Return the part of the table that a module belongs to."""
    top = module.split(".")[1]
    return next((name for name in PARTS if top == name or top.startswith(f"{name}_")), top)


@pytest.mark.parametrize("module", [name for name in FILES if name != PACKAGE.name])
def test_a_part_imports_only_what_the_table_allows(module):
    part = part_of(module)
    imported = {part_of(name) for name in imported_modules(FILES[module]) if "." in name}
    if part in BASE:
        assert imported == set()
    else:
        assert part in PARTS, "a new part: add it to docs/structure.py"
        assert imported <= PARTS[part].imports | BASE | {part}


def test_the_table_lists_what_there_is_from_the_bottom_to_the_top():
    modules = {part_of(name): FILES[name] for name in FILES if name != PACKAGE.name}
    assert modules.keys() == PARTS.keys() | BASE
    for n, part in enumerate(PARTS.values()):
        assert part.imports <= set(list(PARTS)[:n])


def test_modules_do_not_import_each_other_in_a_circle():
    graph = {name: imported_modules(path) - {name} for name, path in FILES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError for cyclic imports


def test_within_the_package_imports_are_relative():
    for path in FILES.values():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        absolute = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and not node.level
            and node.module.partition(".")[0] == PACKAGE.name
        ]
        assert not absolute, path


@pytest.mark.parametrize("library", PRIVATE_NAMES_IN)
def test_only_one_file_uses_the_private_names_of_a_library(library):
    users = {
        path.relative_to(ROOT).as_posix()
        for path in FILES.values()
        for name in imported_names(path)
        if name.partition(".")[0] == library and "._" in name
    }
    assert users <= {PRIVATE_NAMES_IN[library]}  # None: no file


def test_the_picture_shows_the_table():
    assert PICTURE.read_text(encoding="utf-8") == draw(), "run `python docs/structure.py`"


OUTSIDE = sorted(
    path
    for folder in ("benchmarks", "demo", "examples")
    for path in (ROOT / folder).rglob("*.py")
    if path != ROOT / "benchmarks" / "internals.py"  # the only access to private names
)


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_scripts_import_public_names(path):
    names = [name for name in imported_names(path) if name.partition(".")[0] == PACKAGE.name]
    assert not [name for name in names if "._" in name]


def test_private_names_that_benchmarks_use_exist(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    internals = import_module("internals")
    assert all(hasattr(internals, name) for name in internals.__all__)


def bodies():
    """Yield each function of the package with the lines of its body, without the docstring."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                n_lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                yield f"{path.relative_to(PACKAGE)}: {node.name}", n_lines


def test_functions_and_files_are_short():
    """Except for the estimator, which is mostly documentation, and the compiled loops."""
    long = {name for name, n in bodies() if n > 60}
    assert long <= {"_factorization/_kernel.py: _solve_rows"}
    lengths = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert {name for name, n in lengths.items() if n > 600} <= {"_mf.py"}

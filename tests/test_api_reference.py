"""The API reference lists all public names, with parameters, return values and exceptions."""

import ast
import inspect
import re
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

from sklearn_selreg import SelectiveLLMRegularizedMF

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
MODULES = (
    "sklearn_selreg",
    "sklearn_selreg.callback",
    "sklearn_selreg.datasets",
    "sklearn_selreg.exceptions",
    "sklearn_selreg.inspection",
    "sklearn_selreg.judges",
    "sklearn_selreg.judges.testing",
    "sklearn_selreg.metrics",
    "sklearn_selreg.model_selection",
)


def public_names():
    """Map each public object to the names under which it can be imported."""
    names = {}
    for module_name in MODULES:
        module = import_module(module_name)
        for name in getattr(module, "__all__", ["JudgeContract"]):
            names.setdefault(getattr(module, name), []).append(f"{module_name}.{name}")
    return names


def listed_names():
    """List the names in the reference, with their modules."""
    listed, module = [], None
    for line in REFERENCE.splitlines():
        if match := re.match(r"\.\. currentmodule:: (\S+)", line):
            module = match[1]
        elif match := re.fullmatch(r"   (\w+)", line):
            listed.append(f"{module}.{match[1]}")
    return listed


NAMES = public_names()
OBJECTS = {names[0]: thing for thing, names in NAMES.items()}
FUNCTIONS = {name: f for name, f in OBJECTS.items() if inspect.isfunction(f)}
METHODS = {
    f"{name}.{method}": f
    for name, cls in OBJECTS.items()
    if inspect.isclass(cls)
    for method, f in inspect.getmembers(cls, inspect.isroutine)
    if not method.startswith("_") and str(getattr(f, "__module__", "")).startswith("sklearn_selreg")
}
CONSTRUCTORS = {
    f"{name}.__init__": vars(cls)["__init__"]
    for name, cls in OBJECTS.items()
    if inspect.isclass(cls) and "__init__" in vars(cls)
}
TESTS = {name for name in METHODS if ".test_" in name}


def sections(thing):
    """Split a docstring into its numpydoc sections."""
    doc = inspect.getdoc(thing) or ""
    parts = re.split(r"^(.+)\n-{3,}$", doc, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented_parameters(text):
    """List the parameter names that a section describes."""
    heads = re.findall(r"^([*\w][\w, *]*?)(?: :.*)?$", text, flags=re.MULTILINE)
    return {name.strip(" *") for head in heads for name in head.split(",")}


def own_parameters(f):
    parameters = inspect.signature(f).parameters
    return {name for name in parameters if name not in ("self", "cls")}


def statements(f):
    """Yield the statements of a function, without those of nested functions."""
    todo = list(ast.parse(textwrap.dedent(inspect.getsource(f))).body[0].body)
    while todo:
        statement = todo.pop()
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            todo += [s for s in ast.iter_child_nodes(statement) if isinstance(s, ast.stmt)]
            for handler in getattr(statement, "handlers", []):
                todo += handler.body


def test_every_public_name_is_in_the_reference():
    listed = listed_names()
    assert len(listed) > 20
    assert len(set(listed)) == len(listed)
    missing = [names for names in NAMES.values() if not set(names) & set(listed)]
    assert not missing
    importable = {name for names in NAMES.values() for name in names}
    assert set(listed) <= importable  # no private and no removed names


def test_every_public_name_is_in_the_changelog():
    words = set(re.findall(r"\w+", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    assert not {name.split(".")[-1] for name in OBJECTS} - words


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_public_name_has_an_example(name):
    # `make test` runs them all as doctests.
    examples = sections(OBJECTS[name]).get("Examples", "")
    assert ">>> " in examples


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, *METHODS, *CONSTRUCTORS} - TESTS))
def test_public_function_has_type_hints(name):
    f = {**FUNCTIONS, **METHODS, **CONSTRUCTORS}[name]
    signature = inspect.signature(inspect.unwrap(getattr(f, "__func__", f)))
    found = {p.name for p in signature.parameters.values() if p.annotation is not p.empty}
    assert found >= set(signature.parameters) - {"self", "cls"}
    assert name in CONSTRUCTORS or signature.return_annotation is not signature.empty


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, *METHODS} - TESTS))
def test_docstring_has_parameters_returns_and_raises(name):
    f = {**FUNCTIONS, **METHODS}[name]
    f = inspect.unwrap(getattr(f, "__func__", f))
    doc = sections(f)
    parameters = documented_parameters(doc.get("Parameters", ""))
    parameters |= documented_parameters(doc.get("Other Parameters", ""))
    assert own_parameters(f) <= parameters
    body = list(statements(f))
    returned = [s for s in body if isinstance(s, ast.Return) and s.value is not None]
    assert not returned or {"Returns", "Yields"} & set(doc)
    raised = [s for s in body if isinstance(s, ast.Raise)]
    assert not raised or "Raises" in doc or "NotImplementedError" in ast.unparse(raised[0])


@pytest.mark.parametrize("name", sorted(n for n, c in OBJECTS.items() if inspect.isclass(c)))
def test_class_documents_what_it_is_made_with(name):
    cls = OBJECTS[name]
    if cls.__init__ is object.__init__ or issubclass(cls, Exception):
        return  # not created by users, or without arguments
    if not cls.__init__.__module__.startswith("sklearn_selreg") and "__init__" not in vars(cls):
        return  # the base class documents it
    doc = sections(cls)
    described = documented_parameters(doc.get("Parameters", "") + doc.get("Attributes", ""))
    assert own_parameters(cls.__init__) <= described


@pytest.mark.parametrize("name", sorted(OBJECTS))
def test_parameters_have_one_order(name):
    """In the signature, in the documentation, and in the constraints."""
    thing = OBJECTS[name]
    is_error = inspect.isclass(thing) and issubclass(thing, BaseException)
    if is_error or not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return
    text = sections(thing).get("Parameters", "")
    heads = re.findall(r"^([*\w][\w, *]*?)(?: :.*)?$", text, flags=re.MULTILINE)
    documented = [part.strip(" *") for head in heads for part in head.split(",")]
    given = [parameter for parameter in inspect.signature(thing).parameters if parameter != "self"]
    if documented:
        assert [parameter for parameter in given if parameter in documented] == documented
    checked = getattr(thing, "_parameter_constraints", None)
    if checked:
        assert list(checked) == [parameter for parameter in given if parameter in checked]


def test_the_estimator_has_at_most_27_parameters():
    # Settings of a component are parameters of the component. The 27th is `user_data`: users have
    # features like items, but no other settings.
    assert len(SelectiveLLMRegularizedMF().get_params(deep=False)) <= 27

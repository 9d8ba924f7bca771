"""Tables that benchmarks write into their README match the stored results."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(
    re.findall(
        r"^<!-- made by (benchmarks/\S+\.py) -->\n(.*?)<!-- until here -->",
        README,
        re.DOTALL | re.MULTILINE,
    )
)
MAKERS = [maker for maker in BLOCKS if "MAKER = " in (ROOT / maker).read_text(encoding="utf-8")]


@pytest.fixture(autouse=True)
def paths(monkeypatch):
    for folder in ("demo", *("benchmarks/" + name for name in ("judging", "speed", "quality"))):
        monkeypatch.syspath_prepend(ROOT / folder)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


@pytest.mark.parametrize("maker", MAKERS)
def test_the_table_is_up_to_date(maker):
    script = import_module(Path(maker).stem)
    results = import_module("repository").load(script.RESULTS)
    assert maker == script.MAKER
    assert BLOCKS[maker] == script.as_table(results)


def test_a_block_is_replaced_between_its_marks(tmp_path, monkeypatch):
    repository = import_module("repository")
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- made by x -->\nold\n<!-- until here -->\nb\n")
    repository.write_block("page.md", "x", "new\n")
    assert page.read_text() == "a\n<!-- made by x -->\nnew\n<!-- until here -->\nb\n"
    with pytest.raises(ValueError, match="made by y"):
        repository.write_block("page.md", "y", "new\n")

"""Code of the documentation that is not executed by its build."""

import zlib

import pytest
from pages import DOCS, page_code

from sklearn_selreg.judges import Slate

KEEP, TABLES, *LIBRARIES = page_code("coming_from.md")


@pytest.mark.parametrize(
    ("library", "code"),
    list(zip(["sklearn_selreg", "implicit", "lightfm", "surprise"], LIBRARIES, strict=True)),
)
def test_each_library_finds_three_films_that_ann_has_not_seen(library, code):
    pytest.importorskip(library)
    assert f"from {library}" in code
    namespace = {}
    exec(TABLES, namespace)
    statements, _, last = code.strip().rpartition("\n")
    exec(statements, namespace)
    likes, genres = namespace["likes"], namespace["genres"]
    films = [film for row in [eval(last, namespace)] for film in getattr(row, "flat", row)]
    assert len(set(films)) == 3
    assert set(films) <= set(genres) - set(likes.loc[likes["user"] == "ann", "film"])


def test_a_kept_model_recommends_what_it_did():
    pytest.importorskip("implicit")
    namespace = {}
    for code in (TABLES, LIBRARIES[1]):
        exec(code, namespace)
    statements, _, last = KEEP.strip().rpartition("\n")
    exec(statements, namespace)
    items, _ = eval(last, namespace)
    assert items.tolist() == [namespace["films"][namespace["ids"]].tolist()]


def test_judges_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one of them caches its answers in a file
    code = page_code("judges.md")
    asked = []

    def my_model(*question):
        asked.append(question)
        return [zlib.crc32(text.encode()) % 100 / 100 for text in question[-1]]

    namespace = {"my_model": my_model}
    for block in code:
        if "ask_mine" in block or "MyJudge" in block:
            exec(block, namespace)
    slate = Slate("ann", [1], [2, 3], ["Alien"], ["Heat", "Up"])
    contract = namespace["TestMyJudge"]()
    for judge in (namespace["judge"], contract.make_judge()):
        ratings = judge.rate([slate])[0]
        assert ratings.tolist() == my_model(slate.candidate_texts)
    assert (tmp_path / "answers.sqlite").exists()
    assert asked[0] == (("Alien",), ("Heat", "Up"))


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_code_fits_the_width_of_a_page(page):
    lines = "\n".join(page_code(page.name)).splitlines()
    assert [line for line in lines if len(line) > 92] == []

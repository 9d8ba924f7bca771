"""The task that the documentation gives to several libraries is solved by each of them."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "coming_from.md"
BLOCK = re.compile(r"^```(?:\{code-cell\} ipython3|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TABLES, *LIBRARIES = BLOCK.findall(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("library", "code"),
    list(zip(["sklearn_selreg", "implicit", "lightfm", "surprise"], LIBRARIES, strict=True)),
)
def test_three_films_that_ann_has_not_seen(library, code):
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

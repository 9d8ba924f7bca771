"""Code blocks of the documentation pages."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
# A cell may begin with its settings, between lines of dashes.
_BLOCK = re.compile(
    r"^```(?:\{code-cell\} ipython3|python)\n(?:---\n.*?^---\n)?(.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


def page_code(name):
    """Return the Python blocks of a page, in order."""
    return _BLOCK.findall((DOCS / name).read_text(encoding="utf-8"))

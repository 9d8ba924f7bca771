"""The parts of the package and their allowed imports; `python docs/structure.py` draws them.

`tests/test_architecture.py` checks that the package follows this table and that
`docs/structure.svg` is up to date.
"""

from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

PICTURE = Path(__file__).with_name("structure.svg")
PACKAGE = Path(__file__).parents[1] / "sklearn_selreg"


class Part(NamedTuple):
    """A folder of the package, or a top-level module."""

    purpose: str
    imports: frozenset  # names of parts; all parts may import `BASE` as well


def _part(purpose, *imports):
    return Part(purpose, frozenset(imports))


# Modules that all parts may import, without imports from the package.
BASE = frozenset({"exceptions", "_version"})

# From bottom to top. A module `_gate_x.py` belongs to the part `_gate`.
PARTS = {
    "_utils": _part("warnings, checks, progress"),
    "_data": _part("tables and ids in, matrices out", "_utils"),
    "_gate": _part("where to trust a judge", "_utils"),
    "model_selection": _part("splitters", "_data", "_utils"),
    "_factorization": _part("matrices in, factors out", "_data", "_utils"),
    "judges": _part("slates in, ratings out", "_data", "_utils"),
    "metrics": _part("ranking quality, intervals", "_factorization", "_data", "_utils"),
    "_tuning": _part("finds settings from the data", "_factorization", "_data", "_utils"),
    "_judging": _part(
        "what to ask; leakage rule", "judges", "_gate", "_factorization", "_data", "_utils"
    ),
    "datasets": _part("real and synthetic data", "judges", "_utils"),
    "_serving": _part(
        "a fitted model in use",
        *("_tuning", "_judging", "_gate", "_factorization", "_data", "_utils"),
    ),
    "_training": _part(
        "from answers to a fitted model",
        *("_serving", "_judging", "_factorization", "_data", "_utils"),
    ),
    "inspection": _part("displays", "metrics", "_judging", "_gate", "_utils"),
    "callback": _part("early stopping", "metrics", "_data", "_utils"),
    "_mf": _part(
        "the estimator",
        *("_training", "_serving", "_judging", "_tuning", "metrics", "judges"),
        *("_factorization", "_gate", "_data", "_utils"),
    ),
}


def level(name):
    """Layer of a part: one above the highest layer that it imports."""
    return max((level(part) + 1 for part in PARTS[name].imports), default=0)


def direct_imports(name):
    """Sorted imports of a part that are not also imported by its other imports."""
    imports = PARTS[name].imports
    return sorted(imports - {below for part in imports for below in _all_below(part)})


def _all_below(name):
    imports = PARTS[name].imports
    return imports.union(*(_all_below(part) for part in imports))


# -- figure -------------------------------------------------------------------------------------
MARGIN, GAP = 24, 16
BOX_WIDTH, BOX_HEIGHT = 216, 78  # minimum width
_PRIVATE, _PUBLIC = ("#e7f1f8", "#0072b2"), ("#e6f4ef", "#009e73")  # fill, border


def _arrow_line(name):
    return "\N{DOWNWARDS ARROW} " + (", ".join(direct_imports(name)) or "exceptions")


def _box_width(name):
    longest = max(len(PARTS[name].purpose), len(_arrow_line(name)))
    return max(BOX_WIDTH, 28 + 7 * longest)  # approximate, without font metrics


def _box(x, y, name):
    part = PARTS[name]
    fill, stroke = _PRIVATE if name.startswith("_") else _PUBLIC
    label = name + ("/" if (PACKAGE / name).is_dir() else ".py")
    return [
        f'  <rect x="{x}" y="{y}" width="{_box_width(name)}" height="{BOX_HEIGHT}" rx="7"'
        f' fill="{fill}" stroke="{stroke}" stroke-width="1.4"/>',
        f'  <text x="{x + 14}" y="{y + 25}" font-size="15" font-weight="bold">{label}</text>',
        f'  <text x="{x + 14}" y="{y + 45}" font-size="13">{escape(part.purpose)}</text>',
        f'  <text x="{x + 14}" y="{y + 65}" font-size="12" fill="#57606a">'
        f"{_arrow_line(name)}</text>",
    ]


def _legend():
    texts = [
        "Blue: private",
        "Green: public",
        "\N{DOWNWARDS ARROW}: the nearest parts it imports",
    ]
    return [
        f'  <text x="{MARGIN}" y="{MARGIN + 16 + 20 * n}" font-size="12" fill="#57606a">'
        f"{text}</text>"
        for n, text in enumerate(texts)
    ]


def draw():
    """Return the figure as SVG text."""
    rows = [[] for _ in range(1 + max(map(level, PARTS)))]
    for name in PARTS:
        rows[level(name)].append(name)
    widths = [sum(_box_width(name) + GAP for name in names) - GAP for names in rows]
    width = 2 * MARGIN + max(widths)
    height = 2 * MARGIN + len(rows) * (BOX_HEIGHT + GAP) - GAP
    title = "The parts of sklearn_selreg in layers; each imports only from layers below it"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        ' aria-labelledby="title" font-family="Helvetica, Arial, sans-serif" fill="#1b1f24">',
        f'  <title id="title">{title}</title>',
        f'  <rect width="{width}" height="{height}" rx="10" fill="#ffffff"/>',
        *_legend(),
    ]
    for row, names in enumerate(reversed(rows)):
        x = (width - widths[-1 - row]) // 2
        for name in names:
            lines += _box(x, MARGIN + row * (BOX_HEIGHT + GAP), name)
            x += _box_width(name) + GAP
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")

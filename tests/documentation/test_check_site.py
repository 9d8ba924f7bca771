"""The check of the built documentation finds problems."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "check_site.py"
FINE = """\
<html><head><link rel="canonical" href="https://example.org/"><style>p { color: red }</style></head>
<body id="top"><a href="#top">up</a> <a href="other.html#here">other</a> <a href="folder/">f</a>
<a href="other.html#:~:text=word">a word</a>
<a href="https://example.org/paper">readers may follow this</a>
<img src="data:image/png;base64,AA" alt="">
<script>const link = "https://example.org/not-loaded";</script></body></html>"""


def check(folder, page):
    (folder / "folder").mkdir()
    (folder / "folder" / "index.html").write_text("<p>")
    (folder / "other.html").write_text('<p id="here">')
    (folder / "index.html").write_text(page)
    return subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True)


def test_a_fine_site_passes(tmp_path):
    result = check(tmp_path, FINE)
    assert result.returncode == 0, result.stdout
    assert "3 pages" in result.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        '<script src="https://example.org/a.js"></script>',
        '<img src="//example.org/a.png" alt="a">',
        '<link rel="stylesheet" href="https://example.org/a.css">',
        "<style>@import 'https://example.org/a.css';</style>",
        '<p style="background: url(https://example.org/a.png)">',
        '<script type="module">import x from "https://example.org/x.js";</script>',
        '<a href="missing.html">no such page</a>',
        '<a href="other.html#nowhere">no such anchor</a>',
        '<img src="missing.png" alt="a">',
        '<img src="data:image/png;base64,AA">',
        '<img src="data:image/png;base64,AA" alt="data:image/png;base64,AA">',
    ],
)
def test_what_is_wrong_is_found(tmp_path, wrong):
    result = check(tmp_path, FINE.replace("</body>", wrong + "</body>"))
    assert result.returncode != 0
    assert len(result.stdout.strip().splitlines()) == 1


def test_fonts_of_style_sheets_are_looked_at(tmp_path):
    (tmp_path / "site.css").write_text("@font-face { src: url(https://example.org/font.woff2) }")
    result = check(tmp_path, FINE)
    assert result.returncode != 0
    assert "font.woff2" in result.stdout

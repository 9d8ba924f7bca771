"""Check the built site: no external resources, internal links have targets, images have alt text.

``python docs/check_site.py docs/_build/html`` lists problems, and exits with 1 if there are any.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attributes that make a browser load something; does not include links for readers.
LOADING = {"src", "srcset", "poster", "data", "background"}
LOADING_LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "manifest"}
ELSEWHERE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
IN_CSS = re.compile(
    r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE
)
IN_SCRIPT = re.compile(
    r"""(?:\bimport|\bfrom|importScripts\()\s*\(?["']((?:https?:)?//[^"']+)"""
)


class Page(HTMLParser):
    """Loaded resources, links and anchors of a page.

    Attributes
    ----------
    loaded, links : list of str
    untold : list of str
        Pictures without a text for those who do not see them.
    anchors : set of str
    """

    def __init__(self, text):
        super().__init__()
        self.loaded, self.links, self.untold, self.anchors = [], [], [], set()
        self._within = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Collect the attributes of a tag."""
        given = {name: value or "" for name, value in attrs}
        self._within = tag
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.loaded += [value for name, value in given.items() if name in LOADING]
        self.loaded += IN_CSS.findall(given.get("style", ""))
        if tag == "link" and LOADING_LINKS & set(given.get("rel", "").lower().split()):
            self.loaded.append(given.get("href", ""))
        elif tag in ("image", "use") and ("href" in given or "xlink:href" in given):
            self.loaded.append(given.get("href", given.get("xlink:href", "")))
        elif tag == "img" and given.get("alt", given.get("src")) == given.get("src"):
            self.untold.append(given.get("src", ""))
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        """Search styles and scripts."""
        if self._within == "style":
            self.loaded += IN_CSS.findall(data)
        elif self._within == "script":
            self.loaded += IN_SCRIPT.findall(data)

    def handle_endtag(self, tag):
        """Leave a tag."""
        self._within = None


def check(root):
    """List the problems of a site.

    Parameters
    ----------
    root : Path
        Folder of the site.

    Returns
    -------
    problems : list of str
    """
    problems, pages = [], {}
    for path in sorted(root.rglob("*.html")):
        if "_static" in path.parts:
            continue  # templates of the theme
        pages[path.resolve()] = Page(path.read_text(encoding="utf-8"))
    if not pages:
        return [f"{root} contains no HTML pages."]
    for path, page in pages.items():
        name = path.relative_to(root.resolve())
        for address in page.loaded:
            if ELSEWHERE.match(address):
                problems.append(f"{name} loads {address}")
            elif not address.startswith(("data:", "#")):
                problems += broken(name, path, address, pages)
        problems += [f"{name} shows {picture} without a text" for picture in page.untold]
        for address in page.links:
            if not urlsplit(address).scheme and not ELSEWHERE.match(address):
                problems += broken(name, path, address, pages)
    for path in sorted(root.rglob("*.css")):
        for address in IN_CSS.findall(path.read_text(encoding="utf-8")):
            problems.append(f"{path.relative_to(root)} loads {address}")
    return problems


def broken(name, path, address, pages):
    """Return a list with the problem of an internal address; empty if it has a target."""
    parts = urlsplit(address)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return [f"{name} points to {address}, which does not exist"]
    anchor = unquote(parts.fragment.partition(":~:")[0])  # a text fragment may follow
    if anchor and target in pages and anchor not in pages[target].anchors:
        return [f"{name} points to {address}, but there is no such anchor"]
    return []


def main():
    """Check the site named on the command line."""
    root = Path(sys.argv[1])
    problems = check(root)
    print(*problems, sep="\n")
    if problems:
        sys.exit(f"{len(problems)} problems in {root}.")
    n_pages = len(list(root.rglob("*.html")))
    print(
        f"{n_pages} pages in {root}: internal links have targets, images have alt text, and "
        "nothing external is loaded."
    )


if __name__ == "__main__":
    main()

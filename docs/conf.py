"""Configuration of the documentation. `make docs` builds it; warnings are errors."""

import inspect
import os
import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import sklearn_selreg
from sklearn_selreg._utils._display import documentation_url

project = "sklearn_selreg"
author = copyright = "sklearn_selreg developers"
version = release = sklearn_selreg.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
ROOT = Path(__file__).parents[1]
KEPT_ELSEWHERE = {
    "benchmarks": "benchmarks/README.md",
    "benchmark_tables": "benchmarks/results/quality/tables.md",
    "tuning": "benchmarks/tuning/README.md",
}
exclude_patterns = ["_build", "generated/gallery/*.ipynb"]
templates_path = ["_templates"]
default_role = "literal"  # numpydoc's single backticks
nitpicky = True
# Other projects are not linked, because their inventories would have to be downloaded.
nitpick_ignore_regex = [("py:.*", r"(?!sklearn_selreg).*")]
suppress_warnings = ["config.cache"]  # sphinx_gallery_conf cannot be pickled

# -- Markdown and notebooks, executed in each build ---------------------------------------------
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True  # cells may write files
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_output_stderr = "warn"  # pages show no warnings; warnings are errors
nb_merge_streams = True
# Kernels should be quiet and independent of the local configuration.
_ipython = TemporaryDirectory()
_profile = Path(_ipython.name, "profile_default")
_profile.mkdir()
(_profile / "ipython_kernel_config.py").write_text('c.IPKernelApp.log_level = "ERROR"')
os.environ["IPYTHONDIR"] = _ipython.name
os.environ["PYTHONWARNINGS"] = (
    "ignore:IProgress not found"  # of tqdm, in kernels without widgets
)

# -- API reference, from docstrings -------------------------------------------------------------
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
# "fit" instead of "SelectiveLLMRegularizedMF.fit()", because the table of contents is narrow.
toc_object_entries_show_parents = "hide"

# -- gallery, executed in each build ------------------------------------------------------------
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "generated/gallery",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_selreg",),
    "reference_url": {"sklearn_selreg": None},
    "within_subsection_order": "FileNameSortKey",
    "ignore_pattern": r"replay\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}
warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive", UserWarning)

# -- pages --------------------------------------------------------------------------------------
# Pages load no external resources: MathJax comes from an installed package.
_mathjax = Path(find_spec("sphinx-mathjax-offline").origin).with_name("static") / "mathjax"
mathjax_path = "tex-svg.js"
html_static_path = ["_static", str(_mathjax / mathjax_path)]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_theme = "pydata_sphinx_theme"
html_title = "sklearn_selreg"
html_baseurl = os.environ.get("READTHEDOCS_CANONICAL_URL", "")
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# The copy button leaves out prompts and what follows without one: the output.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
# Pages without siblings or children need no navigation of their section.
_alone = ("index", "tutorial", "method", "contributing", "changelog")
html_sidebars = {page: [] for page in _alone}


def skip_member(app, what, name, member, skip, options):
    """Skip inherited members that scikit-learn and pandas document."""
    function = getattr(member, "fget", None) or inspect.unwrap(
        getattr(member, "__func__", member)
    )
    module = getattr(function, "__module__", None) or ""
    return skip or not module.startswith("sklearn_selreg")


def take_from_repository(app, page, source):
    """Fill a page from a file elsewhere in the repository, and adapt its links."""
    if page not in KEPT_ELSEWHERE:
        return
    path = ROOT / KEPT_ELSEWHERE[page]
    pages = {ROOT / kept: f"{name}.md" for name, kept in KEPT_ELSEWHERE.items()}

    def fitting(link):
        target = (path.parent / link[1]).resolve()
        return f"]({pages.get(target) or os.path.relpath(target, app.srcdir)}"

    app.env.note_dependency(str(path))
    text = re.sub(r"\]\((?!https?:|#)([^)#]+)", fitting, path.read_text(encoding="utf-8"))
    source[0] = text.replace(".png)", ".png){.wide}")


def keep_intervals_whole(app, page, source):
    """Let no line of a table end within an interval such as [-.01, +.02]."""
    number = r"[-+]?[\d.]+"
    rows = re.compile(r"^\|.*$", re.MULTILINE)
    interval = re.compile(rf"(\[{number}), ({number}\])")
    source[0] = rows.sub(
        lambda row: interval.sub("\\1,\N{NO-BREAK SPACE}\\2", row[0]), source[0]
    )


def link_within(app, page, template, context, doctree):
    """Make links in estimator diagrams relative to this site."""
    if documentation_url() and "body" in context:
        context["body"] = context["body"].replace(
            documentation_url(), context["content_root"]
        )


def setup(app):
    """Connect the functions above."""
    app.connect("autodoc-skip-member", skip_member)
    app.connect("source-read", take_from_repository)
    app.connect("source-read", keep_intervals_whole)
    app.connect("html-page-context", link_within)

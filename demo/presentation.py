"""Show ``demo/report.json`` as text, as a figure, and as tables of the documentation.

``python demo/presentation.py`` draws the figures and updates the summary in the README and the
tables in ``docs/results.md`` from the stored report, without running the demo.
"""

import json
import re
import textwrap
from pathlib import Path

import comparison
import matplotlib as mpl
import pandas as pd
from bad_judges import RECORDED, SHUFFLED
from domains import JUDGED, MOVIELENS, worst
from matplotlib.figure import Figure
from movielens import NO_LLM

from sklearn_selreg.inspection import GateDisplay, RegimeDisplay

REPORT = Path(__file__).with_name("report.json")
PICTURE = REPORT.with_suffix(".png")
ROOT = REPORT.parents[1]

# Columns of the report and their titles in tables. The AUC of warm users is only in the figure.
COLUMNS = {
    "NDCG@10 overall": "NDCG@10",
    "NDCG@10 cold": "NDCG@10 cold",
    "AUC overall": "AUC",
    "AUC cold": "AUC cold",
    "AUC tail": "AUC tail",
    "AUC new": "AUC new",
}
# Rows of the summary. Cold users have at most five likes, tail films at most three.
SUMMARY_ROWS = {
    "NDCG@10 overall": "NDCG@10",
    "NDCG@10 cold": "NDCG@10, new users (1-5 likes)",
    "AUC overall": "AUC",
    "AUC cold": "AUC, new users",
    "AUC tail": "AUC, rare films (0-3 likes)",
    "AUC new": "AUC, new films (no likes)",
}
SUMMARY_METHODS = {
    "popularity": "popularity",
    "plain implicit ALS": "implicit ALS",
    NO_LLM: "ours, no LLM",
    "ours, LLM selective": "ours + LLM",
}
SUMMARY_DIFFERENCES = {
    "no LLM - plain ALS": "ours, no LLM vs. implicit",
    "selective - no LLM": "LLM vs. no LLM",
}
OF_DOMAINS = {"NDCG@10 overall": "NDCG@10", JUDGED: "judged", **COLUMNS}
CANDIDATES = {
    "all": "Ranked: all films but those the user has in `train`",
    "without_other_likes": "Ranked: the same, without the user's likes in the other folds",
}
WITHOUT_LLM = "no LLM"
USES = ("selective", "everywhere")
AGAINST = [(RECORDED, f"selective - {other}") for other in ("plain ALS", "no LLM", "everywhere")]
RIVAL = [(RECORDED, what) for what in ("tuned - no LLM", "selective - tuned")]
SPOILED = [
    [(judge, f"selective - {other}") for other in ("no LLM", "everywhere")] for judge in SHUFFLED
]
DIFFERENCES = "Differences with 95% intervals (paired bootstrap over users)"
# Views with more held-out likes than a fold, and their titles in tables.
MORE = {"later": "later likes", "cold": "other likes of cold users"}
MORE_COLUMNS = {
    "later": ("NDCG@10 overall", "NDCG@10 cold", "AUC overall", "AUC cold"),
    "cold": ("NDCG@10 overall", "AUC overall", "AUC tail", "AUC new"),
}
MORE_COMPARED = ("selective - no LLM", "everywhere - no LLM", "selective - tuned")
SERIES = {
    "selective - no LLM": "LLM where the gate trusts it",
    "everywhere - no LLM": "LLM everywhere",
}
REGIMES = {
    "overall": "all",
    "warm": "warm users",
    "cold": "cold users",
    "tail": "rare films\n(3 users or fewer)",
    "new": "new films\n(no user)",
}
STYLE = {
    "font.size": 11,
    "axes.titlesize": 11,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
}

_SPACES_OF_INTERVALS = re.compile(r"(?<=\d) (?=\[)|(?<=\d,) (?=[+-])")


# -- tables ------------------------------------------------------------------------------------


def number(x):
    """Format 0.0467 as .0467."""
    return f"{x:.4f}".removeprefix("0")


def interval(difference, low, high):
    """Format a difference and its interval as +.0012 [-.0003, +.0027]."""
    d, low, high = (f"{x:+.4f}".replace("0.", ".", 1) for x in (difference, low, high))
    return f"{d} [{low}, {high}]"


def summary_table(report):
    """Rows for the six metrics: values of some methods, and differences with intervals."""
    values, compared = report["tables"]["all"], report["differences"]["all"][RECORDED]
    rows = [
        [
            name,
            *(number(values[method][column]) for method in SUMMARY_METHODS),
            *(interval(*compared[what][column]) for what in SUMMARY_DIFFERENCES),
        ]
        for column, name in SUMMARY_ROWS.items()
    ]
    return [["", *SUMMARY_METHODS.values(), *SUMMARY_DIFFERENCES.values()], *rows]


def methods_table(report, candidates):
    """One row per method."""
    table = report["tables"][candidates]
    rows = [[method, *(number(row[c]) for c in COLUMNS)] for method, row in table.items()]
    return [["", *COLUMNS.values()], *rows]


def differences_table(report, comparisons):
    """One row per column of the report, for comparisons (judge, difference)."""
    differences = report["differences"]["all"]
    head = [what if j == RECORDED else f"{what}, {j}" for j, what in comparisons]
    rows = [[c, *(interval(*differences[j][what][c]) for j, what in comparisons)] for c in COLUMNS]
    return [["", *head], *rows]


def more_table(report, view):
    """One row per column of a `view` with more held-out likes: the LLM's effects."""
    values = report["tables"][view][NO_LLM]
    compared = report["differences"][view][RECORDED]
    rows = [
        [
            column.removesuffix(" overall"),
            number(values[column]),
            *(interval(*compared[what][column]) for what in MORE_COMPARED),
        ]
        for column in MORE_COLUMNS[view]
    ]
    return [["", WITHOUT_LLM, *MORE_COMPARED], *rows]


def domains_table(report):
    """One row per domain and method."""
    rows = [
        [f"{domain}, {method.removeprefix('ours, ')}", *(number(row[c]) for c in OF_DOMAINS)]
        for domain, found in report["domains"].items()
        for method, row in found["methods"].items()
    ]
    return [["", *OF_DOMAINS.values()], *rows]


def domains_differences(report, use):
    """One row per column of the report: the LLM's effect in each domain."""
    domains = report["domains"]
    compared = [found["differences"][f"{use} - {WITHOUT_LLM}"] for found in domains.values()]
    rows = [[c, *(interval(*differences[c]) for differences in compared)] for c in OF_DOMAINS]
    return [[f"{use} - {WITHOUT_LLM}", *domains], *rows]


def bad_judges_table(report):
    """One row per domain and judge, with the most affected column."""
    rows = []
    for domain, found in report["domains"].items():
        for kind, compared in found["bad_judges"].items():
            column = worst({c: compared[c] for c in OF_DOMAINS})
            cells = ["none", ""] if column is None else [column, interval(*compared[column])]
            rows.append([f"{domain}, {kind}", *cells])
    return [["judge", "worst column", f"selective - {WITHOUT_LLM}"], *rows]


def power_table(report):
    """One row per evaluation: number of users needed to detect a difference."""
    estimates = {
        f"MovieLens, {name}": report["power"][view]
        for view, name in {"all": "fold", **MORE}.items()
    }
    estimates |= {
        f"{domain}, judged users": found["power"]["selective"]
        for domain, found in report["domains"].items()
        if domain != MOVIELENS  # where all are judged
    }
    rows = [
        [
            *(name, f"{e['users']:,}", number(e["sd"]), number(e["error"])),
            "-" if e["needed"] is None else f"{e['needed']:,}",
        ]
        for name, e in estimates.items()
    ]
    return [["", "users", "sd", "standard error", "users needed"], *rows]


def aligned(rows):
    """Align rows for a terminal: names to the left, all other cells to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        row[0].ljust(widths[0])
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def markdown(rows):
    """Format rows as a Markdown table."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|---|" + "--:|" * (len(rows[0]) - 1), *body])


def unbroken(rows):
    """Lay out rows as a Markdown table whose intervals stay on one line."""
    return markdown([[_SPACES_OF_INTERVALS.sub("&nbsp;", cell) for cell in row] for row in rows])


# -- text --------------------------------------------------------------------------------------


def seeds_text(seeds):
    """Describe the number of seeds."""
    return f"mean of {len(seeds)} seeds" if len(seeds) > 1 else "one seed"


def heading(report):
    """Describe fold and seeds."""
    settings = report["settings"]
    return f"fold `{settings['fold']}`, {seeds_text(settings['seeds'])}"


def tuned_text(report):
    """Describe the tuned weight."""
    tuned = report["settings"]["everywhere_tuned"]
    tried = ", ".join(f"{float(weight):g}" for weight in tuned["weights_on_valid"])
    return (
        f"*Tuned weight*: `llm_weight={tuned['weight']:g}`, the one of {tried} with the highest "
        "NDCG@10 on `valid`."
    )


def more_text(report, view):
    """Describe the relevant items of a view with more held-out likes."""
    n_users = report["power"][view]["users"]
    if view == "cold":
        return (
            f"MovieLens, {n_users} cold users: relevant are what they liked before their training "
            "likes (`dropped`) and after (`valid`)"
        )
    folds = "`valid` and `test`" if report["settings"]["fold"] == "test" else "`valid`"
    return f"MovieLens, {n_users} users: relevant are all later likes ({folds})"


def domains_text(report):
    """Describe the numbers of the domains."""
    elsewhere = seeds_text(report["settings"]["seeds_elsewhere"])
    return (
        f"Three domains, fold `{report['settings']['fold']}` without the user's likes in the other "
        f"folds (MovieLens: {seeds_text(report['settings']['seeds'])}; the others: {elsewhere})"
    )


BAD_JUDGES = "Bad judges, used selectively: the column with the clearest loss"
POWER = "Users needed to see .005 of NDCG@10, selective - no LLM (95% interval, power 80%)"


def blocks(report, lay_out, compared):
    """Yield the paragraphs and tables after the first table.

    `lay_out` formats rows; `compared` lists the comparisons on MovieLens.
    """
    yield f"{DIFFERENCES}:"
    yield from (lay_out(differences_table(report, some)) for some in compared)
    yield tuned_text(report)
    yield lay_out(differences_table(report, RIVAL))
    for view in MORE:
        yield f"{more_text(report, view)}:"
        yield lay_out(more_table(report, view))
    yield f"{domains_text(report)}:"
    yield lay_out(domains_table(report))
    yield from (lay_out(domains_differences(report, use)) for use in USES)
    yield f"{BAD_JUDGES}:"
    yield lay_out(bad_judges_table(report))
    yield f"{POWER}:"
    yield lay_out(power_table(report))


def as_text(report):
    """Format the report for a terminal, at most 100 characters wide."""
    parts = [f"MovieLens, {heading(report)}"]
    parts += [f"{title}\n{aligned(methods_table(report, c))}" for c, title in CANDIDATES.items()]
    following = blocks(report, aligned, [AGAINST, *SPOILED])
    parts += [part if "\n" in part else textwrap.fill(part, 100) for part in following]
    return "\n\n".join([*parts, gate_text(report["gate"]), example_text(report["example"])])


def gate_text(gate):
    """Describe what the gate has learned."""
    effects = [f"{name} {x:+.1f}" for name, x in gate["context_effects"].items() if x]
    return (
        f"Gate: the LLM is right on {gate['accuracy']:.0%} of the pairs with a known outcome. "
        "A gap of 1 between its\nratings adds "
        f"{gate['gap_coef']:.1f} log-odds in an average context. Changes per standard deviation:\n"
        f"{', '.join(effects) or 'none'}"
    )


def example_text(example):
    """Format two lists of recommendations side by side."""
    films = ", ".join(example["train"])
    liked = f"User {example['user']}, cold, liked {films} in training. Recommended (* also liked):"
    lists = [
        [("* " if film["liked"] else "  ") + textwrap.shorten(film["title"], 46) for film in films]
        for films in (example["no_llm"], example["selective"])
    ]
    rows = [f"{rank:>2} {a:<48} {b}" for rank, (a, b) in enumerate(zip(*lists, strict=True), 1)]
    head = f"   {'  without LLM':<48}   with the LLM, selectively"
    return "\n".join([textwrap.fill(liked, 96), head, *rows])


def summary(report):
    """Format the summary of the README."""
    return markdown(summary_table(report))


def results(report):
    """Format the tables of `docs/results.md`."""
    title = f"MovieLens, {heading(report)}. {CANDIDATES['all']}."
    return "\n\n".join(
        [title, markdown(methods_table(report, "all")), *blocks(report, unbroken, [AGAINST])]
    )


# Pages, and the functions that format their results.
PAGES = {ROOT / "README.md": summary, ROOT / "docs" / "results.md": results}


def with_results(page, tables):
    """Insert `tables` between the marks in a page's text."""
    marks = r"(<!-- results -->\n).*(<!-- /results -->)"
    filled, n_marked = re.subn(
        marks, lambda match: match[1] + tables + "\n" + match[2], page, flags=re.DOTALL
    )
    if n_marked != 1:
        raise ValueError(
            "The page must have the marks <!-- results --> and <!-- /results --> once."
        )
    return filled


# -- figure ------------------------------------------------------------------------------------


def draw(report):
    """Draw the gains by regime, and the gate's trust in the LLM."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.6), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=[1.3, 1], wspace=0.06)
        draw_gains(left, report["differences"]["all"])
        draw_trust(right, report["trust"])
        figure.savefig(PICTURE, dpi=150, metadata={"Software": None})


def draw_gains(figure, differences):
    """Draw the LLM's effect on the AUC of each regime, with intervals, for two judges."""
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    titles = {RECORDED: "LLM as recorded", "50% shuffled": "half of its answers shuffled"}
    for axes, (judge, title) in zip(panels, titles.items(), strict=True):
        estimates = {
            (name, regime): differences[judge][comparison][f"AUC {regime}"]
            for comparison, name in SERIES.items()
            for regime in REGIMES
        }
        estimates = pd.DataFrame(estimates, index=["value", "low", "high"]).T
        display = RegimeDisplay(estimates, "AUC", reference="no LLM")
        display.plot(axes, regime_labels=REGIMES, legend=False)
        axes.set(title=title, xlabel="")
    figure.suptitle("What the LLM adds to the AUC, with 95% intervals")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)


def draw_trust(figure, trust):
    """Draw the mean weight of preferences in each cell, as a color and a number."""
    cells = pd.DataFrame(trust["weight"], trust["popularity"], trust["history"], dtype=float)
    axes = figure.subplots()
    GateDisplay(cells, ("history_length", "popularity_rarer")).plot(axes)
    axes.set_xlabel("films in the user's history")
    axes.set_ylabel("users who like the rarer film of the two")
    figure.suptitle("Where the gate trusts the LLM")


def main():
    """Draw the figures and update the pages."""
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    draw(report)
    comparison.draw()
    for path, write in PAGES.items():
        text = path.read_text(encoding="utf-8")
        path.write_text(with_results(text, write(report)), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Tables of the quality benchmark from its JSON files, for `tables.md` and the README."""

import data_sets
import repository
from evaluation import RESULTS, read
from formatting import interval, number, table
from methods import NO_LLM, ON_FIXED

SHOWN = (
    *("NDCG@10 overall", "NDCG@10 cold", "recall@10 overall"),
    *("AUC overall", "AUC cold", "AUC cold <3", "AUC warm"),
    *("AUC tail", "AUC tail 20%", "AUC new"),
)
COMPARED = ("NDCG@10 overall", "AUC overall", "AUC cold", "AUC tail", "AUC new")
AGAINST = "ours, no LLM, defaults"  # in the README
DOLLAR, CHEAPEST = "AUC cold", "claude-haiku-5-5"
TITLES = {
    "movielens": "MovieLens",
    "dense": "Synthetic, dense",
    "sparse": "Synthetic, as sparse as Amazon reviews",
}


def rows_table(rows, names, write, first=""):
    """Format rows (name -> dict of cells) as a Markdown table."""
    cells = [[row, *(write(found[name]) for name in names)] for row, found in rows.items()]
    return table([first, *names], cells).rstrip()


def _quality(name):
    results = read(name)
    held_out = results["held out"]
    parts = [
        f"## {TITLES[name]}",
        f"Fold `test`: {held_out['users overall']} users, {held_out['interactions overall']} "
        f"interactions. Settings: best of {results['trials']} trials on `valid`.",
        rows_table(results["table"], SHOWN, number),
    ]
    for other, rows in results["against"].items():
        parts += [f"Differences to **{other}**, 95 % intervals over users:"]
        parts += [rows_table(rows, COMPARED, interval)]
    if "slates" in results:
        slates = results["slates"]
        accuracies = ", ".join(f"{who} {number(x)}" for who, x in slates["accuracy"].items())
        parts += [
            f"The LLM on its own supervision questions: of {slates['pairs']:,} pairs of a `test` "
            "interaction and another candidate of the same question, fraction ordered correctly: "
            f"{accuracies}."
        ]
    return parts


def _learning():
    results = read("learning")
    rows, before = {}, {}
    for point in results["curve"]:
        curve = point["choice"], point["asked"]
        name = f"{point['supervision questions']}, {point['choice']}, {point['asked']}"
        differences = {k: interval(point["against no LLM"][k]) for k in COMPARED}
        cost = {model: f"${cost:.2f}" for model, cost in point["cost"].items()}
        gain, paid = point["against no LLM"][DOLLAR][0], point["cost"][CHEAPEST]
        gain_before, paid_before = before.get(curve, (0.0, 0.0))
        slope = (gain - gain_before) / (paid - paid_before)
        before[curve] = gain, paid
        bought = {f"{DOLLAR} for one more dollar": f"{slope:+.3f}"}
        rows[name] = {"answers": str(point["answers"]), **cost, **bought, **differences}
    names = list(next(iter(rows.values())))
    return [
        "## Learning curve",
        "Differences from no LLM by number of supervision questions, and the cost of the answers "
        "(including calibration; single requests, the package's prices). The gain per dollar "
        f"is the slope from the previous number of questions, at the price of {CHEAPEST}:",
        rows_table(rows, names, str, "questions"),
    ]


def write():
    """Write all tables into ``results/quality/tables.md``."""
    there = {path.stem for path in RESULTS.glob("*.json")}
    parts = ["# Results of `make benchmark-quality`"]
    for name in data_sets.DATASETS:
        if name in there:
            parts += _quality(name)
    if "robustness" in there:
        rows = read("robustness")["against no LLM"]
        parts += ["## Bad judges", "Differences from no LLM (use, judge):"]
        parts += [rows_table(rows, COMPARED, interval)]
    if "learning" in there:
        parts += _learning()
    if "ablations" in there:
        results = read("ablations")
        parts += ["## Ablations", "Differences from the fixed settings (`tuning=None`):"]
        parts += [rows_table(results["against fixed settings"], COMPARED, interval)]
        parts += ["Gain of the LLM (selective - no LLM):"]
        parts += [rows_table(results["gain of the LLM"], COMPARED, interval)]
    made = {name: read(name)["made"] for name in sorted(there)}
    parts += ["## Made with"]
    parts += [
        "\n".join(
            f"- {name}: " + ", ".join(f"{k} {v}" for k, v in made[name].items()) for name in made
        )
    ]
    (RESULTS / "tables.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def best_form(table):
    """Return the rows of a table of methods, with each peer only in its form with the trend."""
    return [row for row in table if f"{row} + trend" not in table and "+ item bias" not in row]


def comparison(name):
    """Build the README's table of a data set: all methods, with differences in two columns."""
    results = read(name)
    against, rows = results["against"][AGAINST], {}
    # Uses of the LLM on the fixed backbone are compared with no LLM on the same backbone.
    on_fixed = results["against"].get(NO_LLM + ON_FIXED, against)
    for row in best_form(results["table"]):
        cells = results["table"][row]
        found = {column.replace(" overall", ""): number(cells[column]) for column in COMPARED}
        for metric in ("NDCG@10", "AUC"):
            other = (on_fixed if row.endswith(ON_FIXED) else against).get(row)
            found[f"{metric}, difference"] = interval(other[f"{metric} overall"]) if other else ""
        rows[row] = found
    columns = ("NDCG@10", "NDCG@10, difference", "AUC", "AUC, difference")
    names = (*columns, *(column for column in COMPARED if "overall" not in column))
    return rows_table(
        {row.replace(" + trend", ""): cells for row, cells in rows.items()}, names, str
    )


def fill_readme():
    """Write the README's tables between their marks."""
    ablations = read("ablations")["against fixed settings"]
    bad = read("robustness")["against no LLM"]
    blocks = {
        **{TITLES[name]: comparison(name) for name in data_sets.DATASETS},
        "ablations": rows_table(ablations, COMPARED, interval),
        "bad judges": rows_table(bad, COMPARED, interval),
        "learning curve": _learning()[-1],
    }
    for title, text in blocks.items():
        maker = f"make benchmark-quality, {title}"
        repository.write_block("benchmarks/README.md", maker, text + "\n")

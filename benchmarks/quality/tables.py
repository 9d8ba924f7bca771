"""Tables of the quality benchmark, written from its JSON to ``results/quality/tables.md``."""

import data_sets
from evaluation import RESULTS, read

SHOWN = (
    *("NDCG@10 overall", "NDCG@10 cold", "recall@10 overall"),
    *("AUC overall", "AUC cold", "AUC cold <3", "AUC warm"),
    *("AUC tail", "AUC tail 20%", "AUC new"),
)
COMPARED = ("NDCG@10 overall", "AUC overall", "AUC cold", "AUC tail", "AUC new")
DOLLAR, CHEAPEST = "AUC cold", "claude-haiku-5-5"
TITLES = {
    "movielens": "MovieLens",
    "dense": "Synthetic, dense",
    "sparse": "Synthetic, as sparse as Amazon reviews",
}


def number(value):
    """Write a number as .123, or - if there is none."""
    return "-" if value != value else f"{value:.4f}".replace("0.", ".", 1)


def interval(cell):
    """Write a difference and its interval."""
    value, low, high = (f"{v:+.4f}".replace("0.", ".", 1) for v in cell)
    return "-" if value == "+nan" else f"{value} [{low}, {high}]"


def table(rows, names, write, first=""):
    """Return a Markdown table of rows: name -> dict of cells."""
    lines = [f"| {first} | " + " | ".join(names) + " |", "|---" + "|--:" * len(names) + "|"]
    for row, cells in rows.items():
        lines.append(f"| {row} | " + " | ".join(write(cells[name]) for name in names) + " |")
    return "\n".join(lines)


def _quality(name):
    results = read(name)
    held_out = results["held out"]
    parts = [
        f"## {TITLES[name]}",
        f"Fold `test`: {held_out['users overall']} users, {held_out['interactions overall']} "
        f"interactions. Settings: best of {results['trials']} trials on `valid`.",
        table(results["table"], SHOWN, number),
    ]
    for other, rows in results["against"].items():
        parts += [f"Differences to **{other}**, 95 % intervals over users:"]
        parts += [table(rows, COMPARED, interval)]
    if "slates" in results:
        slates = results["slates"]
        told = ", ".join(f"{who} {number(x)}" for who, x in slates["accuracy"].items())
        parts += [
            f"The LLM on its own supervision questions: of {slates['pairs']:,} pairs of a `test` "
            f"interaction and another candidate of the same question, ordered rightly: {told}."
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
        "Differences to no LLM by number of supervision questions, and what the answers cost "
        "(calibration included; single requests, prices of the package). What one more dollar buys "
        f"is the slope since the smaller number of questions, at the price of {CHEAPEST}:",
        table(rows, names, str, "questions"),
    ]


def write():
    """Write the tables of all results there are."""
    there = {path.stem for path in RESULTS.glob("*.json")}
    parts = ["# Results of `make benchmark-quality`"]
    for name in data_sets.DATASETS:
        if name in there:
            parts += _quality(name)
    if "robustness" in there:
        rows = read("robustness")["against no LLM"]
        parts += ["## Bad judges", "Differences to no LLM (use, judge):"]
        parts += [table(rows, COMPARED, interval)]
    if "learning" in there:
        parts += _learning()
    if "ablations" in there:
        results = read("ablations")
        parts += ["## Ablations", "Differences to the fixed settings (`tuning=None`):"]
        parts += [table(results["against fixed settings"], COMPARED, interval)]
        parts += ["Gain of the LLM (selective - no LLM):"]
        parts += [table(results["gain of the LLM"], COMPARED, interval)]
    made = {name: read(name)["made"] for name in sorted(there)}
    parts += ["## Made with"]
    parts += [
        "\n".join(
            f"- {name}: " + ", ".join(f"{k} {v}" for k, v in made[name].items()) for name in made
        )
    ]
    (RESULTS / "tables.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")

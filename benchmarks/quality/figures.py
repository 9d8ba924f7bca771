"""Figures of the quality benchmark, drawn from its JSON files."""

import data_sets
import matplotlib as mpl
import numpy as np
import tables
from evaluation import RESULTS, read
from matplotlib.figure import Figure
from robustness import OTHERS, SHUFFLED

OURS, THEIRS, NEUTRAL = "#1b6ca8", "#d1603d", "#888888"
PANELS = ("AUC overall", "AUC cold", "AUC tail", "NDCG@10 overall")


def _save(figure, name):
    figure.savefig(RESULTS / f"{name}.png", dpi=110, metadata={"Software": None})


def quality(name):
    """Draw one row per method; methods without an item bias of their own get the trend."""
    results = read(name)["table"]
    rows = tables.best_form(results)
    figure = Figure(figsize=(12, 0.3 * len(rows) + 1.2), layout="constrained")
    for axes, column in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS, strict=True):
        values = [results[row][column] for row in rows]
        colors = [OURS if "selective" in row else NEUTRAL for row in rows]
        axes.scatter(values, range(len(rows)), c=colors)
        axes.set(title=column, yticks=range(len(rows)), yticklabels=rows)
        axes.grid(axis="x", alpha=0.3)
    axes.invert_yaxis()
    _save(figure, name)


def robustness():
    """Draw the effect of bad judges, with and without a gate."""
    rows = read("robustness")["against no LLM"]
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    grid = figure.subplots(2, 2, sharex="col", width_ratios=(3, 2))
    for line, column in zip(grid, ("AUC overall", "AUC cold"), strict=True):
        for use, color in (("selective", OURS), ("everywhere", THEIRS)):
            for axes, kinds in ((line[0], SHUFFLED), (line[1], OTHERS)):
                cells = np.array([rows[f"{use}, {kind}"][column] for kind in kinds])
                value, low, high = cells.T
                places = kinds if kinds is SHUFFLED else np.arange(len(kinds))
                axes.errorbar(
                    places, value, yerr=[value - low, high - value], color=color, label=use,
                    fmt="o-" if kinds is SHUFFLED else "o", capsize=3,
                )  # fmt: skip
                axes.axhline(0, color="black", linewidth=0.8)
        line[0].set(ylabel=f"{column}, minus no LLM")
        line[1].set_xticks(range(len(OTHERS)), OTHERS)
    grid[0, 0].legend()
    grid[1, 0].set(xlabel="probability that a question's ratings are shuffled")
    _save(figure, "robustness")


def learning():
    """Draw the learning curves."""
    curve = read("learning")["curve"]
    figure = Figure(figsize=(11, 4.1), layout="constrained")
    columns = ("AUC overall", "AUC cold", "AUC tail")
    for axes, column in zip(figure.subplots(1, len(columns)), columns, strict=True):
        for asked, style in (("once", "o--"), ("both orders", "o-")):
            for choice, color in (("chosen", OURS), ("random", THEIRS)):
                points = [
                    (p["supervision questions"], p["against no LLM"][column][0])
                    for p in curve
                    # The last point, with all users, is common to both choices.
                    if p["asked"] == asked
                    and (p["choice"] == choice or p["supervision questions"] > 1300)
                ]
                x, y = zip((0, 0), *sorted(points), strict=True)
                axes.plot(x, y, style, color=color, label=f"{choice}, {asked}")
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set(title=column, xlabel="supervision questions", ylabel="minus no LLM")
    lines, labels = axes.get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    _save(figure, "learning")


def collapse():
    """Draw the mean weights of the joint gate during training, and of ours."""
    results = read("collapse")
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    shades = mpl.colormaps["Oranges"](np.linspace(0.4, 0.9, len(results["joint gate"])))
    rates = sorted(results["joint gate"], key=float)
    for rate, color in zip(rates, shades, strict=True):
        weights = np.array(results["joint gate"][rate]["mean weight"])
        axes.plot(weights / weights[0], color=color, label=f"joint gate, Adam at {float(rate):.2g}")
    axes.axhline(1, color=OURS, label="ours, calibrated beforehand")
    axes.set(
        xlabel="regularized sweeps", ylabel="mean weight, relative to the start", ylim=(0, None)
    )
    figure.legend(loc="outside right center", frameon=False)
    _save(figure, "collapse")


def draw():
    """Draw the figures of all stored results."""
    there = {path.stem for path in RESULTS.glob("*.json")}
    for name in data_sets.DATASETS:
        if name in there:
            quality(name)
    for draw_one in (robustness, learning, collapse):
        if draw_one.__name__ in there:
            draw_one()

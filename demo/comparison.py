"""Draw the README's figure from stored results: ours compared with other recommenders.

``python demo/comparison.py`` reads ``demo/report.json`` (``make demo``),
``benchmarks/results/quality/movielens.json`` (``make benchmark-quality``) and
``benchmarks/results/defaults.json`` (``benchmarks/quality/defaults.py``). Nothing is fitted.
"""

import json
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PICTURE = Path(__file__).with_suffix(".png")

# Top row: AUC on MovieLens, by kind of user and film.
REGIMES = {
    "AUC overall": "all users and films",
    "AUC cold": "new users (1-5 likes)",
    "AUC tail": "rare films (0-3 likes)",
    "AUC new": "new films (no likes)",
}
PEERS = {
    "popularity": "popularity",
    "ALS": "implicit ALS",
    "LightFM + features + item bias": "LightFM, features",
    "irspack + features + item bias": "irspack, features",
}
OURS = {"ours, no LLM": "ours, no LLM", "ours, LLM selective": "ours + LLM"}
# Bottom row: NDCG@10 on other data, with the better of two sizes of implicit's ALS.
DATA = {
    "ml100k": "MovieLens 100K",
    "citeulike": "CiteULike",
    "movietweet": "MovieTweetings",
    "retail": "gift shop",
}
TUNED = {
    "popularity": ["popularity"],
    "EASE": ["EASE"],
    "implicit ALS": ["ALS", "ALS, 256 factors"],
    "LightFM, features": ["LightFM, features"],
    "irspack, features": ["irspack iALS, features"],
    "ours, no LLM": ["ours, defaults"],
}
GRAY, BLUE, DARK_BLUE = "#c3c9d0", "#6aa5d8", "#1f6fb2"
COLORS = {"ours, no LLM": BLUE, "ours + LLM": DARK_BLUE}
# Letters as large as these can be read on a phone, which shows the picture at a third of its size.
STYLE = {"font.size": 9, "axes.titlesize": 9, "axes.titleweight": "bold"}


def read(path):
    """Read stored results."""
    return json.loads(path.read_text(encoding="utf-8"))


def by_regime():
    """Return the AUC on MovieLens: panel -> method -> value."""
    peers = read(RESULTS / "quality" / "movielens.json")["table"]
    ours = read(ROOT / "demo" / "report.json")["tables"]["all"]
    return {
        title: {name: peers[method][column] for method, name in PEERS.items()}
        | {name: ours[method][column] for method, name in OURS.items()}
        for column, title in REGIMES.items()
    }


def by_data():
    """Return the NDCG@10 on other data: panel -> method -> value; None if not run."""
    found = read(RESULTS / "defaults.json")
    return {
        title: {
            name: max(
                (found[data][m]["NDCG@10"] for m in methods if m in found[data]), default=None
            )
            for name, methods in TUNED.items()
        }
        for data, title in DATA.items()
    }


def draw_panel(axes, title, values):
    """Draw one bar per method, with its value."""
    highest = max(value for value in values.values() if value is not None)
    for place, (name, value) in enumerate(values.items()):
        color = COLORS.get(name, GRAY)
        if value is None:
            axes.text(0.02 * highest, place, "not run", va="center", color="#6b7280")
            continue
        axes.barh(place, value, color=color, height=0.74)
        weight = "bold" if name in COLORS else "normal"
        text = f"{value:.3f}".removeprefix("0")
        axes.text(value + 0.02 * highest, place, text, va="center", weight=weight)
    axes.set(title=title.replace(" (", "\n("), xlim=(0, 1.42 * highest), xticks=[])
    axes.set_yticks(range(len(values)), list(values))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()


def draw(path=PICTURE):
    """Draw both rows."""
    rows = (
        ("AUC on MovieLens, with and without LLM", by_regime()),
        ("NDCG@10 on other data, without LLM: others tuned, ours with its defaults", by_data()),
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.3, 4.7), layout="constrained")
        for part, (title, panels) in zip(
            figure.subfigures(2, 1, hspace=0.06, height_ratios=[1.02, 1]), rows, strict=True
        ):
            part.suptitle(title, x=0.01, ha="left", size=9.5)
            every = part.subplots(1, len(panels))
            for n, (axes, (name, values)) in enumerate(zip(every, panels.items(), strict=True)):
                draw_panel(axes, name, values)
                if n:
                    axes.set_yticklabels([])
        figure.savefig(path, dpi=220, metadata={"Software": None})


if __name__ == "__main__":
    draw()

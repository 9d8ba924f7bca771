"""The README is correct: its examples run, its numbers are measured, its files exist."""

import json
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from sklearn_selreg.judges import ContentJudge

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "benchmarks" / "results"
NUMBER = re.compile(r"(?<=[ \[|+-])\.\d+")


def code(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_examples_run(tmp_path, monkeypatch, movielens, capsys):
    pytest.importorskip("anthropic")
    monkeypatch.chdir(tmp_path)
    movielens.train.to_csv("likes.csv", index=False)
    movielens.item_data.to_csv("films.csv", index=False)
    without_llm, plan = code("python")
    namespace = {}
    exec(without_llm, namespace)
    printed, shown = (text.split("\n") for text in (capsys.readouterr().out, code("text")[0]))
    assert len(printed) == len(shown) == 7
    for line, expected in zip(printed[1:-1], shown[1:-1], strict=True):
        name, *values = re.split(r"\s{2,}", line)
        expected_name, *expected_values = re.split(r"\s{2,}", expected)
        assert name == expected_name
        np.testing.assert_allclose(
            np.array(values, dtype=float), np.array(expected_values, dtype=float), atol=0.025
        )
    train, top = namespace["likes"].iloc[namespace["train"]], namespace["top"]
    assert top.groupby("user").size().to_dict() == {2: 10, 671: 10}
    assert top.merge(train, on=["user", "item"]).empty

    exec(plan, namespace)
    assert re.match(r"JudgingPlan\(about \$0\.\d+", capsys.readouterr().out)
    namespace["model"].set_params(judge=ContentJudge())  # instead of a paid one
    exec(code("py")[0], namespace)
    summary, table = capsys.readouterr().out.split("\n", 1)
    assert "calibration pairs the judge is right on" in summary
    assert "popularity" in table


@pytest.mark.parametrize(
    ("page", "write", "n_numbers"),
    [("README.md", "summary", 60), ("docs/results.md", "results", 500)],
)
def test_results_are_those_of_the_report(page, write, n_numbers, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "demo")
    presentation = import_module("presentation")
    text = (ROOT / page).read_text(encoding="utf-8")
    tables = getattr(presentation, write)(read(ROOT / "demo" / "report.json"))
    made = presentation.with_results(text, tables)
    # `make demo` updates the report, and the last digits depend on the machine, as do numbers of
    # users and the worst of several columns.
    other = re.compile(
        r"(?<=\| )(-|[\d,]+)(?= \|$)|(?<=[a-z] \| )(none|(NDCG|AUC).*)", re.MULTILINE
    )
    assert NUMBER.sub("#", other.sub("#", made)) == NUMBER.sub("#", other.sub("#", text))
    told, measured = (np.array(NUMBER.findall(other.sub("", x)), dtype=float) for x in (text, made))
    assert len(told) > n_numbers
    np.testing.assert_allclose(told, measured, atol=0.0015)


def test_facts_in_the_text_are_measured():
    text = " ".join(README.split())
    report = read(ROOT / "demo" / "report.json")["tables"]["all"]
    new = [report[m]["AUC new"] for m in ("ours, no LLM", "ours, LLM selective")]
    said = re.search(r"AUC of (\S+), and (\S+) with an LLM, where `implicit` has (\S+) ", text)
    measured = [*new, report["plain implicit ALS"]["AUC new"]]
    np.testing.assert_allclose([float(x) for x in said.groups()], measured, atol=0.0065)
    half = report["ours, LLM everywhere, 50% shuffled"]["AUC overall"]
    said = re.search(r"of which half are shuffled cost (\.\d+) of AUC", text)[1]
    assert float(said) == pytest.approx(report["ours, no LLM"]["AUC overall"] - half, abs=0.0015)

    sweeps = [
        row["sweep_cpu_ratio"]
        for row in read(RESULTS / "speed.json")["rows"]
        if (row["method"], row["factors"]) == ("ours, plain", 64)
    ]
    low, high = (f"{x:.2f}".removeprefix("0") for x in (min(sweeps), max(sweeps)))
    assert f"takes {low} to {high} of the processor time" in text

    trend = read(RESULTS / "quality" / "movielens.json")["table"]["LightFM + features + trend"]
    new, overall = (f"{trend[f'AUC {c}']:.3f}".removeprefix("0") for c in ("new", "overall"))
    assert f"{new} for new films and {overall} for all" in text

    by_data = read(RESULTS / "defaults.json")
    for data in ("ml100k", "citeulike", "movietweet", "retail"):
        found = by_data[data]
        ours, error = (found["ours, defaults"][c] for c in ("NDCG@10", "NDCG@10 s.e."))
        assert ours > found["popularity"]["NDCG@10"]
        implicit = max(found[m]["NDCG@10"] for m in ("ALS", "ALS, 256 factors"))
        assert ours > implicit - 1.5 * error


def test_a_visitor_reads_it_in_two_minutes():
    assert len(README.splitlines()) <= 130


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_linked_file_exists(path):
    assert (ROOT / path).exists()

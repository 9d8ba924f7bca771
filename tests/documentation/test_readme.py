"""The README tells the truth: its example runs, its numbers are the demo's, its files exist."""

import json
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from sklearn_selreg.judges import Slate

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_examples_run():
    examples = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    assert len(examples) == 3  # each goes on with what those before have made
    namespace = {}
    for example in examples:
        exec(example, namespace)
    model, likes = namespace["model"], namespace["likes"]
    assert not model.gate_.is_fallback_  # there is enough to learn from
    assert model.preferences_["weight"].gt(0).any()
    liked = set(likes.loc[likes["user"] == "a", "film"])
    assert namespace["items"].shape == (2, 3)
    assert not liked & set(namespace["items"][1])
    results = namespace["search"].cv_results_
    for metric in namespace["search"].scoring:
        assert np.isfinite(results[f"mean_test_{metric}"]).all()
    slate = Slate("a", ["Alien"], ["Scream", "Tron", "Coco"])
    assert namespace["judge"].rate([slate])[0].tolist() == [0.5, 0.5, 0]
    assert namespace["table"]["user"].tolist() == ["f"] * 3 + ["a"] * 3


def test_results_are_those_of_the_report(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "demo")
    presentation = import_module("presentation")
    report = json.loads((ROOT / "demo" / "report.json").read_text(encoding="utf-8"))
    # `make demo` writes the report anew, and the last digits depend on the machine.
    number = re.compile(r"(?<=[ \[|+-])\.\d+")
    made = presentation.with_results(README, report)
    # So do numbers of users, and which column of several is the worst.
    other = re.compile(
        r"(?<=\| )(-|[\d,]+)(?= \|$)|(?<=[a-z] \| )(none|(NDCG|AUC).*)", re.MULTILINE
    )
    assert number.sub("#", other.sub("#", made)) == number.sub("#", other.sub("#", README))
    told, measured = (
        np.array(number.findall(other.sub("", text)), dtype=float) for text in (README, made)
    )
    assert len(told) > 100
    np.testing.assert_allclose(told, measured, atol=0.0015)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_linked_file_exists(path):
    assert (ROOT / path).exists()

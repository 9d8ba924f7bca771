"""Printing and HTML display of estimators: large parameters are summarized, used values shown."""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
from pages import DOCS
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_selreg import (
    ALS,
    AutoItemEncoder,
    ReliabilityGate,
    SelectiveLLMRegularizedMF,
    SlateSampler,
)
from sklearn_selreg._utils import _sklearn
from sklearn_selreg.judges import AnthropicJudge, ContentJudge, LLMJudge, PrecomputedJudge

COLUMNS = {"user_col": "user", "item_col": "item"}


class Loud(dict):
    """A dict that must not be printed."""

    def __repr__(self):
        raise AssertionError("printed in full")


FRAME = pd.DataFrame(np.zeros((900, 4)), columns=list("abcd"))
RECORDS = [{"user": 1, "history": [1], "candidates": [2, 3], "ratings": [1, 2]}] * 500


@pytest.mark.parametrize(
    ("item_data", "text"),
    [
        (FRAME, "item_data=DataFrame(900x4)"),
        (FRAME["a"], "item_data=Series(900)"),
        (Loud.fromkeys(range(3000), "text"), "item_data=Loud(3000 entries)"),
        ({1: "text"}, "item_data={1: 'text'}"),
    ],
)
def test_large_parameters_are_printed_by_kind_and_size(item_data, text):
    model = SelectiveLLMRegularizedMF(factors=8, item_data=item_data)
    assert repr(model) == f"SelectiveLLMRegularizedMF(factors=8, {text})"
    shown = text.partition("=")[2].replace("'", "&#x27;")
    assert shown in model._repr_html_()
    with pytest.raises(ValueError, match="Invalid parameter 'n_factors'") as error:
        model.set_params(n_factors=1)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("item_data", "text"),
    [(FRAME, "DataFrame(900x4)"), (dict.fromkeys(range(3000), "text"), "dict(3000 entries)")],
)
def test_pipelines_print_large_parameters_of_their_steps_by_kind_and_size(item_data, text):
    model = SelectiveLLMRegularizedMF(factors=8, item_data=item_data)
    pipeline = make_pipeline(FunctionTransformer(), model)
    expected = f"""\
Pipeline(steps=[('functiontransformer', FunctionTransformer()),
                ('selectivellmregularizedmf',
                 SelectiveLLMRegularizedMF(factors=8,
                                           item_data={text}))])"""
    assert repr(pipeline) == expected
    assert pipeline._repr_html_().count(text) >= 2  # as text and in the table of parameters


def test_recorded_judgments_are_printed_by_their_number():
    model = SelectiveLLMRegularizedMF(judge=PrecomputedJudge(RECORDS))
    expected = "SelectiveLLMRegularizedMF(judge=PrecomputedJudge(judgments=list(500 entries)))"
    assert "".join(repr(model).split()) == "".join(expected.split())


def test_parameters_themselves_are_as_given():
    model = SelectiveLLMRegularizedMF(item_data=FRAME)
    repr(make_pipeline(model))
    assert model.get_params()["item_data"] is FRAME
    assert model.get_params(deep=False)["item_data"] is FRAME
    pd.testing.assert_frame_equal(clone(model).item_data, FRAME)


# Displays of notebooks


def rows(html):
    """Parse the tables of a display: titles, and the values next to each name."""
    tables = re.findall(r"<summary>(.*?)</summary>\s*<table(.*?)</table>", html, re.DOTALL)
    found = {}
    for title, table in tables:
        for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL):
            name = re.search(r'class="param">.*?(\w+)\s*<', row, re.DOTALL)
            if name:
                value = re.findall(r"<td.*?>([^<]*)</td>", row)[-1]
                found.setdefault(title, {})[name[1]] = unescape(value).strip()
    return found


needs_tables = pytest.mark.skipif(
    not hasattr(BaseEstimator, "_get_fitted_attr_html"), reason="scikit-learn has them since 1.9"
)


@needs_tables
@pytest.mark.parametrize("backbone", ["als", ALS(missing_power=0.5)])
def test_a_display_has_what_was_used_beside_what_was_given(world, backbone):
    model = SelectiveLLMRegularizedMF(
        factors=4, iterations=5, alpha=None, backbone=backbone, tuning=None, **COLUMNS
    )
    parameters = rows(model._repr_html_())
    assert parameters["Factorization"]["regularization"] == "'auto'"
    parameters = rows(model.fit(world.train)._repr_html_())
    assert list(parameters)[:5] == [
        "Factorization",
        "Interactions",
        "Items and users",
        "Judge",
        "Running",
    ]
    shown = parameters["Factorization"]
    assert shown["factors"] == "4"
    assert shown["regularization"] == "'auto' \N{RIGHTWARDS ARROW} 85"
    assert shown["alpha"] == "None \N{RIGHTWARDS ARROW} 50"
    assert shown["backbone__recency_power"].endswith("0")
    every = [name for group in list(parameters)[:5] for name in parameters[group]]
    assert len(set(every)) == len(every)
    assert set(model.get_params(deep=False)) <= set(every)


@needs_tables
def test_a_display_tells_no_ids_of_users_and_computes_nothing(world):
    renamed = world.train.assign(user=[f"secret{user}" for user in world.train["user"]])
    records = [r | {"user": f"secret{r['user']}"} for r in world.records]
    judged = world.model(judge=PrecomputedJudge(records)).fit(renamed)
    html = judged._repr_html_()
    assert "secret" in str(judged.users_)
    assert "secret" not in html
    assert "secret" not in make_pipeline(judged)._repr_html_()
    assert "secret" not in judged.plan_judging(renamed)._repr_html_()
    assert judged.judge_summary_ in unescape(html)
    attributes = judged._get_fitted_attr_html()
    assert {"alpha_", "judge_stats_", "users_"} <= set(attributes)
    assert not {"preferences_", "tuning_"} & set(attributes)  # tables, computed on access
    assert repr(attributes["users_"]["value"]) == "40 ids"


def test_sentences_and_plans_are_displayed(world):
    model = world.judged().fit(world.train)
    assert model.judge_summary_._repr_html_() == f"<p>{model.judge_summary_}</p>"
    plan = world.judged(judge=AnthropicJudge(max_cost=1, cache=None)).plan_judging(world.train)
    html = plan._repr_html_()
    assert f">{len(plan.slates)}</td>" in html
    assert f"${plan.estimate.max_cost:.4f}" in html


def test_links_lead_to_pages_of_the_reference(monkeypatch):
    monkeypatch.setattr(_sklearn, "documentation_url", lambda: "https://docs.test/")
    reference = (DOCS / "api.rst").read_text(encoding="utf-8")
    parts = SelectiveLLMRegularizedMF(), ReliabilityGate(), AutoItemEncoder(), ALS(), SlateSampler()
    for part in (*parts, ContentJudge(), PrecomputedJudge([])):
        address = re.fullmatch(r"https://docs.test/generated/([\w.]+)\.html", part._get_doc_link())
        module, _, name = address[1].rpartition(".")
        listed = reference.split(f".. currentmodule:: {module}\n")[1].split(".. currentmodule")[0]
        assert f"\n   {name}\n" in listed
    private = LLMJudge.from_callable(lambda slate: None, name="mine", version="1")
    assert private._get_doc_link() == ""
    assert type("Mine", (ALS,), {})()._get_doc_link() == ""

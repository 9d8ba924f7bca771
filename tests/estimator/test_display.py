"""How estimators are printed: large parameters by kind and size."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_selreg import SelectiveLLMRegularizedMF
from sklearn_selreg.judges import PrecomputedJudge


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
    assert pipeline._repr_html_().count(text) >= 2  # as text, and in the table of parameters


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

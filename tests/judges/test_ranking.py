import json

import numpy as np
import pytest

from sklearn_selreg._utils._sklearn import InvalidParameterError
from sklearn_selreg.judges import AnthropicJudge, OpenAIJudge, Slate, _openai
from sklearn_selreg.judges._ranking import RANKING_SYSTEM, parse_ranking, ranking_schema

SLATE = Slate(7, [1], [2, 3, 4], ["Alien"], ["Aliens", "Heidi", "Heat"])


@pytest.mark.parametrize("n_candidates", [1, 2, 3, 20, 101])
def test_any_ranking_is_read_as_it_was_written(n_candidates):
    random = np.random.default_rng(n_candidates)
    order = random.permutation(n_candidates)
    ratings, problem = parse_ranking(json.dumps({"ranking": (order + 1).tolist()}), n_candidates)
    assert problem is None
    assert np.argsort(-ratings, kind="stable").tolist() == order.tolist()
    assert ratings.min() >= 0 and ratings.max() <= 1
    steps = -np.diff(ratings[order])
    np.testing.assert_allclose(steps, 1 / max(n_candidates - 1, 1))


@pytest.mark.parametrize(
    "text",
    [
        '{"ranking": [3, 1, 2]}',
        "[3, 1, 2]",
        '["3", "1", "2"]',
        'I shall think.</think>```json\n{"ranking":[3,1,2]}\n```\nOr [1, 2]?',
        "First [1, 2, 3], on reflection [3, 1, 2].",
        '{"answer": {"ranking": [3,\n 1,\n 2]}}',
    ],
)
def test_what_is_around_a_ranking_does_no_harm(text):
    ratings, problem = parse_ranking(text, 3)
    assert (ratings.tolist(), problem) == ([0.5, 0, 1], None)


@pytest.mark.parametrize(
    ("text", "expected", "problem"),
    [
        ("", [np.nan] * 3, "broken JSON"),
        ("[" * 100_000, [np.nan] * 3, "broken JSON"),
        ('{"ranking": [3, 1', [np.nan] * 3, "broken JSON"),
        ('{"ranking": []}', [np.nan] * 3, "broken JSON"),
        ("[3, 1]", [0.5, np.nan, 1], "incomplete ranking"),
        ("[3, 3, 1, 3]", [0.5, np.nan, 1], "incomplete ranking"),
        ("[0, 1, 2]", [np.nan] * 3, "number out of range"),
        ("[1, 2, 3, 4]", [np.nan] * 3, "number out of range"),
        ("[1, 2, " + "9" * 5000 + "]", [np.nan] * 3, "number out of range"),
    ],
)
def test_what_is_wrong_with_a_ranking_is_told(text, expected, problem):
    ratings, found = parse_ranking(text, 3)
    assert found == problem
    np.testing.assert_array_equal(ratings, expected)


def test_the_schema_takes_rankings_and_nothing_else():
    jsonschema = pytest.importorskip("jsonschema")
    for bounded in (True, False):
        schema = ranking_schema(3, bounded)
        jsonschema.validate({"ranking": [3, 1, 2]}, schema)
        for wrong in ({"ranking": [4, 1, 2]}, {"ranking": ["3", 1, 2]}, [3, 1, 2], {}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(wrong, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"ranking": [3, 1]}, ranking_schema(3, bounded=True))


def test_what_is_asked_is_part_of_what_identifies_an_answer():
    # Keys of ratings are the same as before rankings existed, so nothing is asked again.
    for make in (
        lambda **ask: AnthropicJudge(max_cost=1, cache=None, **ask),
        lambda **ask: OpenAIJudge("gpt-6-luna", max_cost=1, cache=None, **ask),
    ):
        assert "ask" not in make()._identity()
        assert make()._identity() == make(ask="ratings")._identity()
        assert make()._identity_hash() != make(ask="ranking")._identity_hash()


def test_a_ranking_is_asked_by_its_own_prompt_and_schema():
    claude = AnthropicJudge(max_cost=1, cache=None, ask="ranking")._arguments(SLATE)
    gpt = OpenAIJudge("gpt-6-luna", max_cost=1, cache=None, ask="ranking")._arguments(
        SLATE, _openai._BOUNDED
    )
    assert claude["system"] == gpt["messages"][0]["content"] == RANKING_SYSTEM
    assert claude["messages"][0]["content"] == gpt["messages"][1]["content"]
    # Anthropic's API rejects schemas that fix the length of a list.
    assert claude["output_config"]["format"]["schema"] == ranking_schema(3, bounded=False)
    form = gpt["response_format"]["json_schema"]
    assert form["name"] == "ranking" and form["schema"] == ranking_schema(3, bounded=True)


def test_a_ranking_is_planned_to_cost_less():
    ratings = AnthropicJudge(max_cost=1, cache=None).estimate_cost([SLATE])
    ranking = AnthropicJudge(max_cost=1, cache=None, ask="ranking").estimate_cost([SLATE])
    assert 0 < ranking.output_tokens < ratings.output_tokens
    assert ranking.cost < ratings.cost


@pytest.mark.parametrize("ask", ["rankings", None, ["ranking"]])
def test_other_forms_are_refused_before_anything_is_asked(ask):
    judge = AnthropicJudge(max_cost=1, cache=None, ask=ask)
    with pytest.raises(InvalidParameterError, match=r"ask must be one of .*ratings.*ranking"):
        judge.rate([SLATE])

"""A client's temperature 0 makes no copies of what a method has to draw several times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("starlette")
from test_serve import Toy, at_work, body, post, serving

from trueup.core.types import Sampling

RECIPE = Sampling(temperature=0.7, top_p=0.9, max_tokens=50)
NOTE = "drawn at temperature 0.7, as studied: without one all draws of a prompt are copies"


def served(path: Path, words: str, recipe: Sampling = RECIPE, **fields: object) -> tuple[set[tuple[float, float]], str]:
    """Temperature and top_p of all that the model was asked for, and what the reply notes."""
    toy = Toy()
    with serving(path, toy, at_work(words, sampling=recipe)) as url:
        response = post(url, body(seed=1, **fields))
    assert response.status_code == 200
    return {(sampling.temperature, sampling.top_p) for _, sampling in toy.asked}, response.headers["x-trueup-note"]


@pytest.mark.parametrize("words", ["vote n=4", "adaptive_vote n=8", "plan_then_solve n=2", "judge_best n=1 k=3"])
@pytest.mark.parametrize(
    ("fields", "top_p"), [({"temperature": 0}, 0.9), ({"top_p": 0}, 0.9), ({"temperature": 0, "top_p": 0.5}, 0.5)]
)
def test_where_a_prompt_is_drawn_again_the_recipes_temperature_stands_and_is_said(
    tmp_path: Path, words: str, fields: dict[str, float], top_p: float
) -> None:
    asked, note = served(tmp_path, words, **fields)
    assert asked == {(0.7, top_p)}
    assert note.startswith(NOTE)


def test_what_is_noted_of_the_answer_follows(tmp_path: Path) -> None:
    assert served(tmp_path, "vote n=4", temperature=0)[1] == f"{NOTE}; 1 of 4 votes"


@pytest.mark.parametrize("words", ["revise rounds=2", "vote n=1", "plan_then_solve n=1"])
def test_where_each_prompt_is_drawn_once_a_client_may_have_the_likeliest(tmp_path: Path, words: str) -> None:
    asked, note = served(tmp_path, words, temperature=0)
    assert asked == {(0.0, 0.9)} and "temperature" not in note


def test_a_temperature_above_nothing_is_the_clients(tmp_path: Path) -> None:
    assert served(tmp_path, "vote n=4", temperature=0.2) == ({(0.2, 0.9)}, "1 of 4 votes")


def test_a_recipe_at_temperature_nothing_has_nothing_to_keep(tmp_path: Path) -> None:
    asked, note = served(tmp_path, "vote n=4", Sampling(temperature=0.0, max_tokens=50), temperature=0)
    assert asked == {(0.0, 1.0)} and note == "1 of 4 votes"


def test_what_a_file_chooses_counts_and_a_stream_says_so_too(tmp_path: Path) -> None:
    router = {"cheap": "once", "costly": "vote n=4", "threshold": 0.5, "bias": 9.0, "weights": {}}
    (tmp_path / "r.json").write_text(json.dumps(router | {"logits": [], "shares": []}))
    toy = Toy()
    with serving(tmp_path, toy, at_work(f"route router={tmp_path}/r.json", sampling=RECIPE)) as url:
        response = post(url, body(stream=True, temperature=0))
    assert [sampling.temperature for _, sampling in toy.asked] == [0.7]
    assert response.headers["x-trueup-note"] == f"{NOTE}; once (once right with chance 1.00):"

"""Which wording of a reference is trained on: one that is right, and that the model can say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from terminal import in_folder
from tiny import save_tiny

from trueup.catalog import open_task
from trueup.core.errors import BadInput
from trueup.core.stratum import Stratum
from trueup.core.types import Grade, Item, Message, Problem, Sampling
from trueup.models import HuggingFace
from trueup.train.offline.references import WORDING, _in_json, _objects, all_written, written
from trueup.verifiers import exact, json_schema

MIXED = Path(__file__).parent.parent / "examples" / "mixed"
DIGITS = 'root ::= [0-9] "+" [0-9]'
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["town", "year"],
    "properties": {"town": {"type": "string"}, "year": {"type": "integer"}},
}  # fmt: skip


def item(reference, *, is_held=False, **form):
    """An item whose answers are of a form, to which the model is held or not."""
    sampling = Sampling(**form) if is_held else Sampling()
    return Item(Problem("i", "s", (Message("user", "?"),), sampling, **form), reference, "i")


class Takes:
    """Takes what is in a list, breaks on what is in another."""

    name, needs_reference = "takes", True

    def __init__(self, right, breaks=()):
        self.right, self.breaks, self.asked = right, breaks, []

    def read(self, text):
        return text

    def check(self, answer, problem, reference):
        self.asked.append(answer)
        if answer in self.breaks:
            raise ZeroDivisionError("no")
        return Grade(float(answer in self.right))


# a schema or grammar


def test_a_held_models_reference_is_worded_as_its_grammar_has_it(tmp_path):
    """Every token of the wording is one that the model may sample, and it may end there."""
    (sudoku,) = (one for one in open_task(str(MIXED), limit=6, seed=0, sets={}).strata if one.name == "sudoku")
    vocabulary = HuggingFace(save_tiny(tmp_path, 0)).load().vocabulary
    told = []
    for one, text in zip(sudoku.items, all_written(sudoku, lambda *row: told.append(row)), strict=True):
        assert text == one.reference.replace(" ", "") != one.reference
        matcher = vocabulary.matcher(one.problem.sampling)
        assert matcher.consume_tokens(vocabulary.tokenizer(text)["input_ids"]) and matcher.is_accepting()
    assert told == []


def test_what_no_wording_of_the_form_says_is_left_out_and_told():
    told, held = [], item("1 + 2 = 3", is_held=True, grammar=DIGITS)
    stratum = Stratum("s", (held, item("1 + 2", is_held=True, grammar=DIGITS)), exact())
    spaced = Takes(["1 + 2", "1+2", "1 + 2 = 3", "1+2=3"])
    stratum = replace(stratum, verifier=spaced)
    assert all_written(stratum, lambda *row: told.append(row), are_needed=True) == [None, "1+2"]
    assert told == [(WORDING, "i", "the verifier takes no wording of it for right that its grammar allows")]
    assert "1 + 2" not in spaced.asked, "no check is spent on what cannot be said"


def test_a_model_that_is_not_held_is_taught_the_form_before_others_and_others_before_none():
    assert written(item("1 + 2", grammar=DIGITS), Takes(["1 + 2", "1+2"])) == "1+2"
    assert written(item("1 + 2", grammar=DIGITS), Takes(["1 + 2"])) == "1 + 2"
    tagged = written(item("1+2", grammar=DIGITS), Takes(["<sum>1+2</sum>"]), "<sum>{reference}</sum>")
    assert tagged == "<sum>1+2</sum>"


@pytest.mark.parametrize("is_held", [True, False])
def test_an_object_is_written_with_its_keys_in_the_order_of_its_schema(is_held):
    one = item({"year": 1900, "town": "Zürich"}, is_held=is_held, schema=json.dumps(SCHEMA))
    assert written(one, json_schema()) == '{"town": "Zürich", "year": 1900}'
    loose = replace(one, problem=replace(one.problem, schema=None, sampling=Sampling()))
    assert json.loads(written(loose, Takes([json.dumps(one.reference)]))) == one.reference


@pytest.mark.parametrize(
    ("schema", "reference", "keys"),
    [
        ({"required": ["a", "b"], "properties": {"b": {}, "a": {}}}, {"a": 1, "b": 2}, "ba"),
        ({"title": "a", "properties": {"b": {}, "a": {}}}, {"a": 1, "b": 2}, "ba"),
        ({"properties": {"a": {"properties": {"c": {}, "b": {}}}, "b": {}}}, {"b": 3, "a": {"b": 1, "c": 2}}, "acbb"),
        ({"items": {"properties": {"b": {}, "a": {}}}}, [{"a": 1, "b": 2}, {"a": 3}], "baa"),
        ({"properties": {"b": {}}}, {"a": 1, "b": 2}, "ab"),
    ],
)
def test_the_order_of_keys_is_that_of_an_objects_properties(schema, reference, keys):
    whole = [text for text in _in_json(reference, _objects(json.dumps(schema))) if json.loads(text) == reference]
    assert len(whole) == 6 and re.sub("[^a-c]", "", whole[-1]) == keys
    assert [*_in_json(reference, _objects("no schema"))][-1] == json.dumps(reference, separators=(",", ":"))


def test_a_form_that_does_not_compile_stops_those_that_are_held_to_it_alone():
    wild = {"grammar": "root ::= ("}
    broken, told = item("7", is_held=True, **wild), []
    assert all_written(Stratum("s", (broken, item("7", **wild)), exact()), lambda *row: told.append(row)) == [None, "7"]
    ((what, name, why),) = told
    assert (what, name) == (WORDING, "i") and why.startswith("the grammar 'root ::= (' does not compile: ")
    with pytest.raises(
        BadInput, match=r"^wording references: no item of 's' could be checked: the grammar .* mend it$"
    ):
        all_written(Stratum("s", (broken,), exact()), lambda *row: None)


@pytest.mark.parametrize("trainer", ["sft", "dpo"])
def test_a_training_on_a_held_stratum_learns_what_the_model_may_say(tmp_path, trainer):
    base = save_tiny(tmp_path / "base", 0, max_position_embeddings=1024)
    words = ("--task", MIXED, "--stratum", "sudoku", "--limit", "4", "--model", f"hf:{base}", "--samples", "1")
    sets = ("steps=1", "batch=2", "lora_rank=2", *(["n=1"] if trainer == "dpo" else []))
    in_folder(tmp_path, "train", trainer, *words, "--out", "o", *(word for one in sets for word in ("--set", one)))
    file, side = ("pairs.jsonl", "chosen") if trainer == "dpo" else ("1/examples.jsonl", "target")
    kept = [json.loads(row)[side] for row in (tmp_path / "o" / "rounds" / file).read_text().splitlines()]
    assert kept and all(re.fullmatch(r"(?:[1-4]{4}\n){3}[1-4]{4}", text) for text in kept)


# lists of accepted answers


@pytest.mark.parametrize(
    ("reference", "verifier", "text"),
    [
        (["right", "correct"], exact(), "right"),
        ([7, 8], Takes(["8"]), "8"),
        ([1, 2], Takes(["[1, 2]"]), "[1, 2]"),
        ([["a", "b"], "c"], Takes(["b"]), "b"),
        ([{"a": 1}], Takes(['{"a": 1}']), '{"a": 1}'),
        ([], Takes(["[]"]), "[]"),
    ],
)
def test_of_a_list_each_accepted_answer_is_tried_before_the_list(reference, verifier, text):
    assert written(item(reference), verifier) == text


def test_a_verifier_that_breaks_on_one_wording_is_asked_about_the_others():
    assert written(item([1, 2]), Takes(["[1, 2]"], breaks=["1", "2"])) == "[1, 2]"


def test_no_wording_is_checked_twice():
    verifier = Takes([])
    assert written(item("seven"), verifier) is None and verifier.asked == ["seven", '"seven"']


# calls


def test_a_call_is_worded_where_accepted_values_are_empty_or_stand_alone():
    accepted = [{"f": {"a": [], "b": [{"c": 1.5, "d": [], "e": [2, 3]}]}}]
    said = json.dumps({"name": "f", "arguments": {"a": [], "b": {"c": 1.5, "d": [], "e": 2}}})
    assert written(item({"ground_truth": accepted}), Takes([said])) == said

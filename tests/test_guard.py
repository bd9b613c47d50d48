"""The guard that comes with trueup: fit to measure forgetting, found by its name, told of on the card."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from terminal import in_folder, trueup
from tiny_trained import save_half, write_words

from trueup.catalog import open_task
from trueup.tasks import GENERAL
from trueup.train.card import UNGUARDED

KINDS, EACH = 8, 25
UNLIKELY = {"exact": "xyzzy", "number": "987654"}
FORMS = ("{0}", "**{0}**.", " {0}\n", "The answer is {0}.", 'The answer is "{0}".', "Answer: {0}", "It's {0}.")


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time, of words that no guard asks for."""
    return save_half(tmp_path_factory.mktemp("half"), max_position_embeddings=512)


@pytest.fixture(scope="module")
def strata():
    return open_task(str(GENERAL), limit=None, seed=None, sets={}).strata


def accepted(item):
    return item.reference if isinstance(item.reference, list) else [item.reference]


def is_right(stratum, item, text):
    answer = stratum.verifier.read(text)
    return answer is not None and stratum.verifier.check(answer, item.problem, item.reference).is_right


# the suite


def test_the_suite_has_its_kinds_in_equal_parts_and_nothing_twice(strata):
    assert [len(stratum.items) for stratum in strata] == [EACH] * KINDS
    items = [item for stratum in strata for item in stratum.items]
    assert len({(item.problem.stratum, item.problem.id) for item in items}) == KINDS * EACH
    questions = [item.problem.prompt[-1].content for item in items]
    assert len({question.casefold() for question in questions}) == KINDS * EACH
    assert all(". Answer with " in question or "? Answer with " in question for question in questions)


def test_no_question_is_shown_with_its_answer_or_answers_itself(strata):
    for stratum in strata:
        shown = {shot["question"] for shot in stratum.recipe.get("shots", ())}
        assert shown.isdisjoint(item.problem.prompt[-1].content for item in stratum.items)
        for item in stratum.items:
            assert not is_right(stratum, item, item.problem.prompt[-1].content), item.problem.id


def test_every_answer_is_right_in_any_usual_form_and_another_is_not(strata):
    for stratum in strata:
        wrong = UNLIKELY[stratum.verifier.name.split()[0]]
        for item in stratum.items:
            for form in FORMS:
                for answer in accepted(item):
                    assert is_right(stratum, item, form.format(answer)), (item.problem.id, form, answer)
                assert not is_right(stratum, item, form.format(wrong)), (item.problem.id, form)


@pytest.mark.parametrize(
    ("kind", "name", "text", "right"),
    [
        ("capitals", "France", "The capital of France is Paris.", True),
        ("capitals", "France", "Paris is the capital of France.", True),
        ("capitals", "France", "The capital of France is the city of Lyon, not Paris.", False),
        ("capitals", "Iran", "The capital of Iran is called Tehran.", True),
        ("capitals", "Iran", "the capital is: Teheran", True),
        ("opposites", "true", 'The opposite of "true" is "false" or "not" in logic.', True),
        ("opposites", "true", 'The opposite of "false" is "true".', False),
        ("plurals", "child", 'The plural of "child" is "children."', True),
        ("languages", "Egypt", "Most people in Egypt speak Arabic.", True),
        ("languages", "Egypt", "In Egypt, the most spoken language is Arabic.", True),
        ("languages", "Egypt", "Most people in Egypt speak Turkish, not Arabic.", False),
        ("languages", "Germany", "The language that people in Germany speak is German.", True),
        ("languages", "Japan", "The language of Japan is predominantly Japanese.", True),
        ("science", "Moon", "The natural satellite of the Earth is called the Moon.", True),
        ("science", "H2O", "The chemical formula of water is H₂O.", True),
        ("translation", "Spanish casa", 'The Spanish word "casa" means "house".', True),
        ("translation", "Spanish casa", 'The Spanish word "casa" translates to house in English.', True),
        ("translation", "Spanish casa", 'The Spanish word "casa" is "casa" in English.', False),
        ("units", "days in a week", "There are 7 days in a week.", True),
        ("units", "grams in a kilogram", "A kilogram is 1,000 grams.", True),
        ("arithmetic", "17 - 9", "17 - 9 = 8", True),
        ("arithmetic", "17 - 9", "17 minus 9 equals 11.", False),
    ],
)
def test_an_answer_is_read_out_of_a_sentence_that_says_it(strata, kind, name, text, right):
    (stratum,) = (one for one in strata if one.name == kind)
    (item,) = (one for one in stratum.items if one.problem.id == name)
    assert is_right(stratum, item, text) is right


def test_sums_are_what_they_come_to(strata):
    (stratum,) = (one for one in strata if one.name == "arithmetic")
    signs = str.maketrans("\u00d7\u00f7", "*/")
    assert all(eval(item.problem.id.translate(signs)) == item.reference for item in stratum.items)


def test_the_suite_lies_in_the_package_that_a_wheel_is_made_of():
    built = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    (package,) = built["targets"]["wheel"].pop("packages")
    assert built == {"targets": {"wheel": {}}}, "nothing is left out of it"
    assert (Path(__file__).parent.parent / package).resolve() in GENERAL.resolve().parents


# the option


def sft(*words):
    return ("train", "sft", "--task", "task.toml", "--samples", "1", "--set", "steps=1", "--set", "lora_rank=2", *words)


def test_general_guards_a_training_and_is_on_its_card(half, tmp_path, capsys):
    write_words(tmp_path / "task.toml")
    in_folder(tmp_path, *sft("--model", f"hf:{half}", "--out", "o", "--guard", "general", "--limit", "2"))
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    kinds = [stratum.name for stratum in open_task(str(GENERAL), limit=1, seed=0, sets={}).strata]
    assert list(card["evaluation"]) == ["words", "guard", *(f"guard {kind}" for kind in kinds)]
    assert card["evaluation"]["guard"]["items"] == 2 * KINDS and card["notes"] == []
    shown = capsys.readouterr()
    assert UNGUARDED not in shown.err and f"guard, first turn (n = {2 * KINDS})" in (tmp_path / "o/card.md").read_text()


def test_a_path_goes_before_the_name(half, tmp_path):
    write_words(tmp_path / "task.toml")
    (tmp_path / "general").mkdir()
    (tmp_path / "general" / "kept.jsonl").write_text('{"id": 1, "prompt": "problem 20", "reference": "wrong"}\n')
    (tmp_path / "general" / "task.toml").write_text('[[stratum]]\nname = "own"\nsource = "jsonl:kept.jsonl"\n'
                                                   "max_tokens = 8\n")  # fmt: skip
    in_folder(tmp_path, *sft("--model", f"hf:{half}", "--out", "o", "--guard", "general"))
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    assert {name: told["items"] for name, told in card["evaluation"].items()} == {"words": 4, "guard": 1}


@pytest.mark.parametrize("words", ["generl", "kept.jsonl", "x" * 300])
def test_what_is_neither_path_nor_name_is_one_line(half, tmp_path, monkeypatch, capsys, words):
    write_words(tmp_path / "task.toml")
    monkeypatch.chdir(tmp_path)
    trueup(monkeypatch, *sft("--model", f"hf:{half}", "--out", "o", "--guard", words), code=2)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"no task at {words!r}" in line and "or general" in line and not (tmp_path / "o").exists()


def test_a_question_of_the_guard_that_is_learned_is_left_out_of_it(half, tmp_path):
    rows = (GENERAL / "capitals.jsonl").read_text()
    write_words(tmp_path / "task.toml")
    (tmp_path / "words.jsonl").write_text(rows)
    in_folder(tmp_path, *sft("--model", f"hf:{half}", "--out", "o", "--guard", "general", "--limit", "4"))
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    left = 4 - len(card["data"]["trained_on"])
    assert 0 < card["evaluation"]["guard capitals"]["items"] == left < 4


def write_own(path, name, size, first, **more):
    """A stratum of so many items in a file of its own, and the table of it."""
    rows = [{"id": f"{name}{i}", "prompt": f"problem {first + i}", "reference": "right"} for i in range(size)]
    (path.parent / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = {"name": name, "source": f"jsonl:{name}.jsonl", "max_tokens": 8, **more}
    with path.open("a") as file:
        file.write("[[stratum]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))


@pytest.mark.parametrize(
    ("own", "kept", "parts"),
    [
        (["guard"], ["z"], {"guard2": 9}),
        (["guard y"], ["y", "z"], {"guard2": 18, "guard2 y": 9, "guard2 z": 9}),
        (["guard", "guard2 x"], ["z"], {"guard3": 9}),
        (["guards"], ["z"], {"guard": 9}),
    ],
)
def test_a_guard_has_a_name_that_no_stratum_of_the_task_has(half, tmp_path, own, kept, parts):
    for place, name in enumerate(own):
        write_own(tmp_path / "task.toml", name, 8, 10 * place)
    for place, name in enumerate(kept):
        write_own(tmp_path / "kept.toml", name, 9, 100 + 10 * place)
    words = ("--model", f"hf:{half}", "--out", "o", "--guard", "kept.toml", "--stratum", own[0])
    in_folder(tmp_path, *sft(*words))
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    items = {name: told["items"] for name, told in card["evaluation"].items()}
    assert items == {own[0]: len(card["data"]["held_out"])} | parts


def test_a_guard_with_side_effects_is_one_line_before_anything_is_done(half, tmp_path, monkeypatch, capsys):
    write_words(tmp_path / "task.toml")
    write_own(tmp_path / "kept.toml", "fine", 5, 100)
    write_own(tmp_path / "kept.toml", "acts", 5, 110, side_effects=True)
    monkeypatch.chdir(tmp_path)
    trueup(monkeypatch, *sft("--model", f"hf:{half}", "--out", "o", "--guard", "kept.toml"), code=2)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: --guard 'kept.toml': stratum 'acts' has side effects, and a guard is sampled many ")
    assert line.endswith("; take one without") and not (tmp_path / "o").exists()


def test_the_notice_names_the_mend():
    assert "--guard general" in UNGUARDED and "\n" not in UNGUARDED

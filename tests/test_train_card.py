"""What a card says of form and content, of modes, of what taught nothing and of what nothing guarded."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace

import pytest
import torch
from terminal import in_folder
from tiny_trained import ITEMS, save_half, write_words
from tiny_trl import job, stratum
from toys import PRICES

from trueup.core.errors import Unavailable
from trueup.core.ledger import Ledger, read_charges
from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Sampling, Usage
from trueup.models import HuggingFace
from trueup.plan.resample import Resampler
from trueup.train.ask import Asker, Engine, Graded
from trueup.train.card import FLAT, FLAT_GROUPS, GROUPS, UNGUARDED, _form_rows, gain_of, notes_of, page
from trueup.train.control_tokens import KEYS
from trueup.train.exam import Sitting, compared, sit
from trueup.train.form import KINDS, REST, form_of
from trueup.train.mode_exam import control_tokens, mode_table, moded
from trueup.train.real import grpo
from trueup.verifiers import exact, function_call, number

PROMPT = (Message("user", "?"),)
DRAWS = Resampler.of(["a", "b"], seed=0)
AREA = [{"name": "area", "description": "", "parameters": {
    "type": "dict", "properties": {"width": {"type": "integer"}}, "required": ["width"]}}]  # fmt: skip


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time."""
    return save_half(tmp_path_factory.mktemp("half"))


def problems(n):
    return tuple(
        Item(Problem(f"i{i}", "s", (Message("user", f"problem {i}"),), Sampling(max_tokens=8)), "right", f"i{i}")
        for i in range(n)
    )


def right(n=1):
    return [Grade(1.0)] * n


def wrong(n=1, note="wrong_count"):
    return [Grade(0.0, note=note)] * n


def unread(n=1):
    return [Grade(0.0, parsed=False, note="unparsable")] * n


def sitting(*items):
    """A sitting of calls that were written, graded by the checker itself; without a network the test is skipped."""
    verifier, reference = function_call(), {"function": AREA, "ground_truth": [{"area": {"width": [3]}}]}
    problem, found = Problem("p", "calls", PROMPT), []
    for texts in items:
        graded = []
        for place, text in enumerate(texts):
            answer = verifier.read(text)
            try:
                grade = unread()[0] if answer is None else verifier.check(answer, problem, reference)
            except Unavailable as error:
                pytest.skip(str(error))
            graded.append(Graded(PROMPT, Attempt(place, text, "eos", Usage(1, 1), answer), grade))
        found.append(tuple(graded))
    named = tuple(Item(replace(problem, id=f"p{place}"), reference, f"p{place}") for place in range(len(items)))
    return Sitting(Stratum("calls", named, verifier), tuple(found))


# form and content


@pytest.mark.network
def test_calls_are_told_apart_by_what_could_not_be_read_and_by_the_checkers_kind_of_error():
    before = sitting(("no call", "area(width=3)"), ("no call", 'perimeter(width="3")'))
    after = sitting(("area(width=3)", "area(width=3)"), ("area(width=4)", 'area(width="x")'))
    form = compared(before, after, seed=0)["form"]["first_turn"]
    assert (form["unparsable"]["before"], form["unparsable"]["after"]) == (0.5, 0.0)
    assert form["unparsable"]["difference"]["points"] == -50.0
    assert form["right_of_read"] == {"before": 0.5, "after": 0.5}
    assert form["points"] == {"form": pytest.approx(25.0), "content": pytest.approx(0.0)}
    assert form["errors"] == {
        "unparsable": {"before": 0.5, "after": 0.0},
        "simple_function_checker:wrong_func_name": {"before": 0.25, "after": 0.0},
        "type_error:simple": {"before": 0.0, "after": 0.25},
        "value_error:others": {"before": 0.0, "after": 0.25},
    }


@pytest.mark.parametrize(
    ("before", "after", "by_form", "by_content"),
    [
        ([unread(2) + right(2)], [right(4)], 50.0, 0.0),
        ([wrong(2) + right(2)], [right(4)], 0.0, 50.0),
        ([unread(4)], [right(2) + wrong(2)], 50.0, 0.0),
        ([unread(2) + wrong(2)], [right(4)], 25.0, 75.0),
        ([unread(2) + right(1) + wrong(1)], [right(2) + wrong(1) + unread(1)], 100 * 0.25 * (1 / 2 + 2 / 3) / 2, None),
        ([right(4)], [unread(4)], -100.0, 0.0),
    ],
)
def test_the_points_of_form_and_content_add_up(before, after, by_form, by_content):
    form = form_of(Resampler.of(["a"], seed=0), before, after)
    gained = 100 * (sum(g.is_right for g in after[0]) - sum(g.is_right for g in before[0])) / 4
    assert form["points"]["form"] == pytest.approx(by_form)
    assert sum(form["points"].values()) == pytest.approx(gained)
    if by_content is not None:
        assert form["points"]["content"] == pytest.approx(by_content)


def test_every_item_weighs_the_same_and_one_that_failed_once_is_not_counted():
    form = form_of(DRAWS, [unread(1), right(4)], [right(1), right(4)])
    assert form["unparsable"]["before"] == 0.5
    assert form_of(DRAWS, [unread(1), right(4)], [[], right(4)])["unparsable"]["before"] == 0.0
    assert form_of(DRAWS, [[], right(1)], [right(1), []]) == {}
    assert form_of(DRAWS, [unread(), unread()], [unread(), unread()])["right_of_read"] == {
        "before": None,
        "after": None,
    }


def test_rare_kinds_of_error_go_together():
    many = [[Grade(0.0, note=f"kind {place}") for place in range(KINDS + 2)], right()]
    errors = form_of(DRAWS, many, [right(), right()])["errors"]
    assert len(errors) == KINDS + 1 and errors[REST]["before"] == pytest.approx(2 / (KINDS + 2) / 2)


def test_the_card_and_the_summary_say_what_form_brought_on_both_halves(half, tmp_path, capsys):
    write_words(tmp_path / "task.toml")
    pattern = (tmp_path / "task.toml").read_text() + 'verifier = "exact pattern=(right)"\n'
    (tmp_path / "task.toml").write_text(pattern)
    words = ("--task", "task.toml", "--model", f"hf:{half}", "--out", "o", "--samples", "4")
    in_folder(tmp_path, "train", "sft", *words, "--set", "steps=12", "--set", "lr=0.01", "--set", "lora_rank=2")
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    held_out, trained = card["evaluation"]["words"], card["trained_half"]["words"]
    for told in (held_out, trained):
        form, row = told["form"]["first_turn"], told["first_turn"]
        assert 0 < form["unparsable"]["before"] < 1 and told["items"] == ITEMS // 2
        assert form["points"]["form"] + form["points"]["content"] == pytest.approx(row["difference"]["points"])
    page, shown = (tmp_path / "o" / "card.md").read_text(), capsys.readouterr()
    share = held_out["form"]["first_turn"]["unparsable"]["before"]
    assert f"| words, first turn: unparsable | {share:.1%} |" in page
    assert (
        f"words, first turn: unparsable {share:.1%} before" in shown.out and "words trained on, first turn" in shown.out
    )
    assert gain_of(held_out["form"]["first_turn"]) in page
    tokens = sum(c.completion_tokens for c in read_charges(tmp_path / "o" / "ledger.sqlite") if c.kind == "trained")
    assert card["gradient_tokens"] == tokens > 0 and f"{tokens:,} gradient tokens" in shown.out
    assert card["notes"] == [UNGUARDED] and UNGUARDED in shown.err and f"note: {UNGUARDED}" in shown.out
    assert UNGUARDED in page


def test_a_note_of_a_verifier_stays_in_its_cell():
    told = sitting((), ())
    before, after = (
        replace(told, attempts=((Graded(PROMPT, Attempt(0, "", "eos", Usage(1, 1)), Grade(0.0, note=note)),), ()))
        for note in ("a | b\nc", "other")
    )
    (row,) = [line for line in _form_rows({"s": compared(before, after, seed=0)}, "") if "error: a" in line]
    assert row == "| s, first turn: error: a / b c | 100.0% | 0.0% |"


# guards


def test_a_guard_is_a_task_with_verifiers_of_its_own(half, tmp_path, capsys):
    write_words(tmp_path / "task.toml")
    (tmp_path / "kept.jsonl").write_text('{"id": 1, "prompt": "problem 20", "reference": "WRONG"}\n')
    tables = [f'[[stratum]]\nname = "{name}"\nsource = "jsonl:kept.jsonl"\nmax_tokens = 8\nverifier = "{verifier}"\n'
              for name, verifier in (("words", "exact case=false"), ("strict", "exact case=true"))]  # fmt: skip
    (tmp_path / "kept.toml").write_text("".join(tables))
    words = ("--task", "task.toml", "--model", f"hf:{half}", "--samples", "4", "--set", "steps=1")
    in_folder(tmp_path, "train", "sft", *words, "--out", "o", "--guard", "kept.toml")
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    assert set(card["evaluation"]) == {"words", "guard", "guard words", "guard strict"}
    assert set(card["distance"]) == {"words", "guard words", "guard strict"}
    before = {name: told["first_turn"]["before"]["accuracy"] for name, told in card["evaluation"].items()}
    assert before["guard words"] > 0 == before["guard strict"]
    assert before["guard"] == before["guard words"] / 2, "all items of a guard weigh the same in its first row"
    card["distance"]["words"]["kl"] = -1e-9
    assert "words: 0.0000 nats a token" in page(card), "what is rounded to nothing has no sign"
    assert card["notes"] == [] and UNGUARDED not in capsys.readouterr().err
    in_folder(tmp_path, "train", "sft", *words, "--out", "l", "--guard", "kept.jsonl")
    assert "guard" in json.loads((tmp_path / "l" / "card.json").read_text())["evaluation"]
    (tmp_path / "open.jsonl").write_text('{"id": 1, "prompt": "?", "reference": null}\n')
    with pytest.raises(SystemExit):
        in_folder(tmp_path, "train", "sft", *words, "--out", "n", "--guard", "open.jsonl")
    assert "'guard' has no reference answers" in capsys.readouterr().err


# what taught nothing


class Killed(Exception):
    """Stands for the end of a process."""


def test_flat_groups_are_counted_over_all_runs_of_a_training(half, tmp_path):
    words = problems(4)
    told = {name: [] for name in ("whole", "killed")}

    def train(name, last=0):
        def watch(progress):
            told[name].append(progress.figures)
            if progress.step == last:
                raise Killed

        asked = job(half, tmp_path / name, watch=watch, stratum=Stratum("s", words, exact()))
        return grpo(asked, steps=5, n=2, batch=4, lora_rank=2, save_every=2, updates=1).figures

    whole = train("whole")
    with pytest.raises(Killed):
        train("killed", last=3)
    again = train("killed")
    shares = [figures["flat"] for figures in told["whole"]]
    assert whole[GROUPS] == again[GROUPS] == 5 * 2
    assert whole[FLAT_GROUPS] == again[FLAT_GROUPS] == pytest.approx(2 * sum(shares))
    assert 0 < whole[FLAT_GROUPS] < 10, "some groups must have taught something"
    assert [figures[GROUPS] for figures in told["killed"]] == [2, 4, 6, 6, 8, 10]


def test_a_further_update_on_the_same_groups_does_not_count_them_again(half, tmp_path):
    asked = job(half, tmp_path, stratum=stratum())
    figures = grpo(asked, steps=4, n=2, batch=4, lora_rank=2, save_every=2, updates=2).figures
    assert (figures[GROUPS], figures[FLAT_GROUPS]) == (4, 4)


def test_a_training_whose_groups_were_all_flat_says_that_nothing_was_learned(half, tmp_path, capsys):
    write_words(tmp_path / "task.toml")
    (tmp_path / "words.jsonl").write_text((tmp_path / "words.jsonl").read_text().replace('"right"', '"neither"'))
    words = ("--task", "task.toml", "--model", f"hf:{half}", "--out", "o", "--samples", "1")
    in_folder(tmp_path, "train", "grpo", *words, "--set", "steps=2", "--set", "n=2", "--set", "batch=4")
    assert f"note: {FLAT}" in capsys.readouterr().out
    card = json.loads((tmp_path / "o" / "card.json").read_text())
    assert card["figures"][GROUPS] == card["figures"][FLAT_GROUPS] == 4 and FLAT in card["notes"]
    page = (tmp_path / "o" / "card.md").read_text()
    assert "flat groups: 4 of 4" in page and FLAT in page


def test_notes_say_what_is_amiss_and_nothing_else():
    assert notes_of({GROUPS: 8, FLAT_GROUPS: 8}, is_guarded=True) == [FLAT]
    assert notes_of({GROUPS: 8, FLAT_GROUPS: 7}, is_guarded=True) == [] == notes_of({"loss": 1.0}, is_guarded=True)


# modes


def test_the_first_token_of_an_attempt_is_drawn_again_as_it_was(half, tmp_path):
    """The tokenizer is one of bytes, so a text's first letter is its first token."""
    items = problems(3)
    asked, booked = Stratum("s", items, number()), []
    with Ledger(tmp_path / "l") as ledger:
        asker = Asker(ledger, PRICES, Engine(), lambda words: None)
        taken = sit(asker, half, asked, 6, turns=1, what="before")
        found = moded(asker.engine.open(half), taken, booked.append, -1)
    tokenizer = HuggingFace(half).load().vocabulary.tokenizer
    letters = [[one.attempt.text[0] for one, _ in item] for item in found]
    assert [[tokenizer.decode([token]) for _, token in item] for item in found] == letters
    assert {letter for item in letters for letter in item} == {"r", "w"}, "both must come up for this to tell anything"
    (one,) = booked
    assert (one.kind, one.completion_tokens) == ("evaluation", 0)
    assert one.prompt_tokens == sum(item[0][0].attempt.usage.prompt_tokens for item in found) and one.flops > 0


def test_an_attempt_whose_first_token_torch_gives_up_on_has_no_mode(half, tmp_path, monkeypatch):
    with Ledger(tmp_path / "l") as ledger:
        asker = Asker(ledger, PRICES, Engine(), lambda words: None)
        taken = sit(asker, half, Stratum("s", problems(2), number()), 4, turns=1, what="before")
        engine = asker.engine.open(half)
        network, passes = type(engine.load().network._model), iter([True, False])
        forward = network.forward

        def first_fails(self, **given):
            if next(passes, False):
                raise torch.OutOfMemoryError("out of memory")
            return forward(self, **given)

        first_fails.__signature__ = inspect.signature(forward)
        monkeypatch.setattr(network, "forward", first_fails)
        found = moded(engine, taken, lambda passes: None, -1)
    assert [len(item) for item in found] == [0, len(taken.attempts[1])] and taken.attempts[1]


def test_modes_are_told_by_rate_accuracy_and_length_and_by_how_easy_items_were():
    def item(*rows):
        return [
            (Graded(PROMPT, Attempt(place, "", "eos", Usage(1, length)), Grade(float(is_right))), token)
            for place, (token, is_right, length) in enumerate(rows)
        ]

    before = [item((7, False, 9), (8, False, 2)), item((8, True, 2), (8, True, 4)), []]
    after = [item((7, True, 11), (7, False, 9)), item((8, True, 3), (1, False, 1)), item((7, True, 5))]
    told = mode_table(before, after, {"think": 7, "short": 8})
    assert told["before"] == {
        "attempts": 4, "think_rate": 0.25, "think": {"attempts": 1, "accuracy": 0.0, "length": 9.0},
        "short_rate": 0.75, "short": {"attempts": 3, "accuracy": pytest.approx(2 / 3), "length": pytest.approx(8 / 3)},
    }  # fmt: skip
    hard, easy = told["by_ease"]
    assert (hard["items"], hard["right_before"], hard["think_rate"], hard["short_rate"]) == (1, 0.0, 1.0, 0.0)
    assert hard["think"] == {"attempts": 2, "accuracy": 0.5, "length": 10.0}
    assert hard["short"] == {"attempts": 0, "accuracy": None, "length": None}
    assert (easy["right_before"], easy["think_rate"], easy["short_rate"]) == (1.0, 0.0, 0.5)


def test_modes_are_those_that_a_trainer_tells_of_or_was_told_the_names_of(half):
    engine = HuggingFace(half)
    tokens = dict(zip(KEYS, (5.0, 6.0), strict=True))
    assert control_tokens(tokens, {"think": "a", "short": "b"}, engine) == {"think": 5, "short": 6}
    a, b = (engine.load().vocabulary.tokenizer(name)["input_ids"][0] for name in "ab")
    assert control_tokens({}, {"think": "a", "short": "b"}, engine) == {"think": a, "short": b}
    assert control_tokens({}, {"steps": 3}, engine) is control_tokens({}, {"think": "", "short": ""}, engine) is None


def test_a_training_with_modes_shows_them_on_held_out_items(half, tmp_path, capsys):
    write_words(tmp_path / "task.toml")
    words = ("--task", "task.toml", "--model", f"hf:{half}", "--out", "o", "--samples", "4", "--set", "probe=0")
    sets = ("think=r", "short=w", "steps=1", "n=2", "batch=4", "lora_rank=2")
    in_folder(tmp_path, "train", "degrpo", *words, *(word for pair in sets for word in ("--set", pair)))
    modes = json.loads((tmp_path / "o" / "card.json").read_text())["modes"]
    for told in (modes["before"], modes["after"]):
        assert told["attempts"] == 4 * ITEMS // 2 and told["think_rate"] + told["short_rate"] > 0.9
        assert told["think"]["accuracy"] == 1.0 and told["short"]["accuracy"] == 0.0, "`right` begins with r"
    assert sum(row["items"] for row in modes["by_ease"]) == ITEMS // 2
    page = (tmp_path / "o" / "card.md").read_text()
    assert "| first token | think | right | tokens | short | right | tokens |" in page
    assert f"thinks about held-out items: {modes['before']['think_rate']:.0%} before" in capsys.readouterr().out

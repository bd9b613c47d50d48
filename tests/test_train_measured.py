"""What a card counts: items that were asked both times, and none that was learned from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from terminal import trueup
from tiny_trained import ITEMS, save_half, write_words

from trueup.core.stratum import Stratum
from trueup.core.types import Attempt, Grade, Item, Message, Problem, Usage
from trueup.train.ask import Graded, NothingSampled
from trueup.train.exam import Sitting, compared
from trueup.train.offline.own import Trace
from trueup.verifiers import exact

ASKED = (Message("user", "?"),)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time."""
    return save_half(tmp_path_factory.mktemp("half"))


@pytest.fixture
def card(half, monkeypatch, tmp_path):
    """The card of a short training on `words`, of two strata, with these words more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_words(tmp_path / "task.toml", strata=2)

    def train(*words):
        sets = ("--set", "steps=1", "--set", "lora_rank=2", "--samples", "1", "-q")
        given = ("--task", "task.toml", "--stratum", "words", "--model", f"hf:{half}", "--out", "o")
        trueup(monkeypatch, "train", "sft", *given, *sets, *words)
        return json.loads((tmp_path / "o" / "card.json").read_text())

    return train


def sitting(*rights, turns=1):
    """Attempts at each item, right or wrong; None is one that could not be asked."""
    items = tuple(Item(Problem(f"i{i}", "s", ASKED), None, f"i{i}") for i in range(len(rights)))
    asked = [() if right is None else (_graded(right),) for right in rights]
    traces = tuple(tuple(Trace(one, one) for one in item) for item in asked) if turns == 2 else ()
    return Sitting(Stratum("s", items, exact()), tuple(asked), traces)


def _graded(right):
    return Graded(ASKED, Attempt(0, "x", "eos", Usage(1, 1), "x"), Grade(float(right)))


# items


@pytest.mark.parametrize("turns", [1, 2])
def test_items_that_were_not_asked_both_times_are_no_part_of_what_is_compared(turns):
    before, after = sitting(True, False, None, True, turns=turns), sitting(True, True, True, None, turns=turns)
    told = compared(before, after, seed=0)
    assert told == compared(sitting(True, False, turns=turns), sitting(True, True, turns=turns), seed=0)
    assert told["items"] == 2
    for turn in ("first_turn", "second_turn")[:turns]:
        assert (told[turn]["before"]["accuracy"], told[turn]["after"]["accuracy"]) == (0.5, 1.0)
        assert told[turn]["difference"]["points"] == 50.0, "of the two means"
    if turns == 2:
        assert np.isfinite(told["correction"]["after"]["points"])


def test_no_item_that_was_asked_both_times_is_one_line():
    with pytest.raises(NothingSampled, match="no item of 's' was answered both before and after the training; "):
        compared(sitting(True, None), sitting(None, True), seed=0)


# what is replayed


def test_a_guard_is_not_measured_on_what_is_replayed(card):
    told = card("--guard", "words1.jsonl", "--set", "replay=0.5")
    assert len(told["data"]["replayed"]) == told["evaluation"]["guard"]["items"] == ITEMS // 2


def test_a_guard_is_measured_whole_where_nothing_is_replayed(card):
    assert card("--guard", "words1.jsonl")["evaluation"]["guard"]["items"] == ITEMS


def test_no_held_out_item_asks_what_is_replayed(card, tmp_path):
    """The second stratum asks what the first does, and half of it is replayed."""
    asked = (tmp_path / "words.jsonl").read_text().replace("words-m", "words1-m")
    (tmp_path / "words1.jsonl").write_text("".join(reversed(asked.splitlines(keepends=True))))
    told = card("--set", "replay=0.5")
    rows = {f"words{n}-m{i}": f"problem {i}" for n in ("", "1") for i in range(ITEMS)}
    learned = {rows[one] for one in (*told["data"]["trained_on"], *told["data"]["replayed"])}
    assert told["data"]["held_out"] and not learned & {rows[one] for one in told["data"]["held_out"]}
    assert len(told["data"]["held_out"]) == told["evaluation"]["words"]["items"] < ITEMS // 2
    assert any(note.startswith("left out of the held-out half, since they ask what") for note in told["notes"])

"""A training that is run again after an outage: what it names as left out is what its weights did without."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from mock_endpoint import MockEndpoint, loopback
from starlette.responses import JSONResponse
from terminal import trueup
from tiny_trained import ITEMS, save_half, write_words
from toys import PRICES

from trueup.core.errors import AskFailed
from trueup.core.ledger import Ledger
from trueup.core.stratum import Stratum
from trueup.core.types import Item, Message, Problem
from trueup.train.ask import Asker, Engine, NothingSampled
from trueup.train.failures import count_failures, forget_failures, note_failure
from trueup.verifiers import exact

WORK = "before: s"


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A model that is right about half the time."""
    return save_half(tmp_path_factory.mktemp("half"))


def stratum(name="s", items="pq"):
    asked = (Message("user", "?"),)
    return Stratum(name, tuple(Item(Problem(one, name, asked), "r", one) for one in items), exact())


@contextmanager
def asking(out):
    with Ledger(out / "ledger.sqlite") as ledger:
        yield Asker(ledger, PRICES, Engine(), lambda words: None, failures=out / "failures.jsonl")


def ask(asker, folder, failing, what=WORK, part=None):
    """One run of some work, of which it fails on these items."""

    async def work(clerk, tab):
        if tab.item.problem.id in failing:
            raise AskFailed("overloaded")
        return tab.item.problem.id

    return asker.each(folder, part or stratum(), work, what)


def test_what_a_later_run_answers_is_no_longer_left_out(half, tmp_path):
    file = tmp_path / "failures.jsonl"
    for failing, told in (("pq", {WORK: 2}), ("q", {WORK: 1}), ("pq", {WORK: 2}), ("", {})):
        with asking(tmp_path) as asker:
            if failing == "pq":
                with pytest.raises(NothingSampled):
                    ask(asker, half, failing)
            else:
                assert ask(asker, half, failing) == [None if one in failing else one for one in "pq"]
        assert count_failures(file) == told
    assert file.read_text() == ""


def test_other_weights_other_work_and_other_strata_keep_their_lines(half, tmp_path):
    """A round's items stay left out of it though the next one's weights answer them."""
    other = save_half(tmp_path / "rounds" / "1")
    file = tmp_path / "failures.jsonl"
    with asking(tmp_path) as asker:
        ask(asker, half, "p")
        ask(asker, half, "p", what="after: s")
        ask(asker, half, "p", part=stratum("t"))
        asker.failed("wording references", "p", "no")
        ask(asker, other, "")
        ask(asker, half, "", part=stratum(items="q"))
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert count_failures(file) == {WORK: 2, "after: s": 1, "wording references": 1}
        ask(asker, half, "")
    assert [json.loads(line) for line in file.read_text().splitlines()] == rows[1:]
    assert rows[0]["stratum"] == "s" and (tmp_path / rows[0]["model"]).resolve() == half.resolve()


def test_a_line_that_was_never_finished_stays_where_others_go(tmp_path):
    file = tmp_path / "failures.jsonl"
    note_failure(file, "a", "1", "no", model="m")
    note_failure(file, "a", "2", "no", model="m")
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:7])
    forget_failures(file, "a", ["2"], model="m")
    assert file.read_bytes() == whole[: len(whole) // 2] + whole[:7]
    forget_failures(tmp_path / "none.jsonl", "a", ["2"])
    assert not (tmp_path / "none.jsonl").exists()


def test_a_line_that_is_no_row_stays_and_one_without_a_stratum_is_of_any(tmp_path):
    file = tmp_path / "failures.jsonl"
    file.write_text('[1]\n{"item": 2}\n{"what": "a", "item": "1", "reason": "an older line"}\n')
    assert count_failures(file) == {"a": 1}
    forget_failures(file, "a", ["1"], stratum="s", model="m")
    assert file.read_text() == '[1]\n{"item": 2}\n' and count_failures(file) == {}


def test_a_card_after_an_outage_says_what_was_left_out_and_no_more(half, tmp_path, monkeypatch, capsys):
    """The teacher is down at first; then all is answered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_words(Path("task.toml"))
    down = [JSONResponse({"error": {"message": "overloaded", "type": "invalid_request_error"}}, 400)]
    mock = MockEndpoint(refuse=lambda place, body: down[0] if down else None, reply=lambda body: "wrong")
    sets = [word for one in ("negatives=teacher", "n=2", "steps=1", "lora_rank=2") for word in ("--set", one)]
    words = ("train", "dpo", "--task", "task.toml", "--model", f"hf:{half}", "--out", "o", "--samples", "1", *sets)
    with loopback(mock.app) as url:
        given = ("--with", f"teacher=openai:{url}/v1#t")
        trueup(monkeypatch, *words, *given, code=2)
        assert count_failures(Path("o/failures.jsonl")) == {"mining negatives": ITEMS // 2}
        down.clear()
        trueup(monkeypatch, *words, *given)
    card = json.loads(Path("o/card.json").read_text())
    assert card["failures"] == {} and card["figures"]["unpaired_items"] == 0.0
    assert "left out" not in capsys.readouterr().out

"""Methods ask, answer and cost what is on record."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from golden import FOLDER, Take, Texts, answered, asked, read, record

from trueup import catalog
from trueup.core.asks import Sample, resumed
from trueup.core.errors import AskFailed

NEEDS = {"ab_mcts": ("treequest",), "propose_and_assign": ("wordfreq", "symspellpy")}
"""Optional packages without which a method asks or answers otherwise."""


def titles():
    """Each method with the title of each of its takes."""
    for method in sorted(path.stem for path in FOLDER.glob("*.json")):
        lacking = [name for name in NEEDS.get(method, ()) if find_spec(name) is None]
        marks = pytest.mark.skipif(bool(lacking), reason=f"without {', '.join(lacking)}")
        for title in read(method)["takes"]:
            yield pytest.param(method, title, id=f"{method}: {title}", marks=marks)


def ended(end, *, is_batch):
    """What a flow came to, for each problem."""
    if isinstance(end, AskFailed):
        return [{"failure": str(end)}]
    return [{"answer": answered(answer)} for answer in (end.value if is_batch else [end.value])]


def test_every_method_has_its_conversations_on_record_and_nothing_else_has():
    assert {path.name for path in FOLDER.iterdir()} == {f"{method}.json" for method in catalog.METHODS}
    for method in catalog.METHODS:
        arms = [take["given"]["arm"] for take in read(method)["takes"].values()]
        assert {arm.split()[0] for arm in arms} == {method}


@pytest.mark.parametrize(("method", "title"), [*titles()])
def test_a_method_asks_and_answers_as_on_record(method, title, tmp_path):
    told = read(method)
    taken = told["takes"][title]
    take = Take(taken["given"], Texts.of(told["texts"]), tmp_path)
    flow, reply = take.start(), None
    for turn in taken["conversation"]:
        ask = resumed(flow, reply)
        assert take.shown(ask) == asked(turn)
        reply = take.reply(ask, turn)
        if isinstance(ask, Sample) and ask.until:
            assert [ask.until(reply[:n]) for n in range(1, len(reply) + 1)] == [False] * (len(reply) - 1) + [True]
    with pytest.raises((StopIteration, AskFailed)) as end:
        resumed(flow, reply)
    came_to = [{name: row[name] for name in ("answer", "failure") if name in row} for row in taken["outcomes"]]
    assert ended(end.value, is_batch=take.arm.is_batch) == came_to


@pytest.mark.parametrize(("method", "title"), [*titles()])
def test_a_run_through_the_clerk_charges_what_is_on_record(method, title, tmp_path):
    told = read(method)
    taken = told["takes"][title]
    anew = record(taken["given"], Texts.of(told["texts"]), tmp_path)
    assert anew["ledger"] == taken["ledger"]
    assert anew == taken

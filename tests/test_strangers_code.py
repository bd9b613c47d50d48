"""Code of others that breaks: it fails its own item, and never hangs or ends what does not need it."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from importlib.metadata import entry_points

import pytest
from terminal import trueup
from toys import PRICES

from trueup import catalog, methods
from trueup.bench.toy import Whole, toy_item
from trueup.core.asks import rate, sample
from trueup.core.errors import BadInput, Unavailable
from trueup.core.ledger import Ledger, read_charges
from trueup.core.stratum import Arm, Stratum
from trueup.core.types import Answer
from trueup.models import Toy
from trueup.run import Clerk, collect

ONCE = Arm("once", {}, methods.once)
ITEMS = tuple(toy_item(number) for number in range(6))
STRATUM = Stratum("toy", ITEMS, Whole(), Whole())


def study(tmp_path, stratum, arm, model=None, *, lanes=2):
    """The failures of an arm by the item, where the study comes to its end within a time."""

    async def go():
        with Ledger(tmp_path / "l") as ledger:
            async with asyncio.timeout(10):
                clerk = Clerk(model or Toy(1.0), ledger, PRICES)
                (found,) = await collect([stratum], {"toy": [ONCE, arm]}, 2, clerk, lanes=lanes)
        return found

    found = asyncio.run(go())
    assert [o.failure for o in found.outcomes if o.arm == "once"] == [None] * len(ITEMS)
    return [outcome.failure for outcome in found.outcomes if outcome.arm == arm.label]


async def _gives_up():
    """Wait for work of its own that it has cancelled."""
    work = asyncio.ensure_future(asyncio.sleep(9))
    await asyncio.sleep(0)
    work.cancel()
    await work


class GivesUp:
    """A solver and a rater whose library cancels what they wait for."""

    fingerprint = "gives-up"

    def __init__(self, verb=_gives_up):
        self.verb = verb

    async def solve(self, problem):
        await self.verb()

    async def rate(self, problem, texts):
        await self.verb()

    async def close(self):
        pass


def _rated(problem):
    (attempt,) = yield from sample(problem.prompt)
    yield from rate(problem, [attempt.text])
    return Answer.of(attempt)


@pytest.mark.parametrize("arm", [Arm("solve", {}, methods.solve), Arm("rated", {}, _rated)], ids=lambda arm: arm.label)
def test_a_solver_or_rater_that_cancels_itself_is_a_failure_on_record(tmp_path, arm):
    failures = study(tmp_path, replace(STRATUM, solver=GivesUp(), rater=GivesUp()), arm)
    assert len(failures) == len(ITEMS)
    assert all("'gives-up' could not" in failure and failure.endswith("CancelledError") for failure in failures)
    assert [c.kind for c in read_charges(tmp_path / "l")].count("failed") == len(ITEMS)


def test_what_is_cancelled_from_outside_stays_cancelled(tmp_path):
    async def go():
        with Ledger(tmp_path / "l") as ledger:
            stratum = replace(STRATUM, solver=GivesUp(lambda: asyncio.sleep(60)))
            clerk, arms = Clerk(Toy(1.0), ledger, PRICES), {"toy": [Arm("solve", {}, methods.solve)]}
            task = asyncio.create_task(collect([stratum], arms, 1, clerk, lanes=4))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(asyncio.wait_for(go(), 10))


class Leaving(Toy):
    """A model that cancels whoever asks it."""

    async def sample(self, prompt, n, start, sampling):
        await _gives_up()


def test_a_study_whose_lane_is_cancelled_ends_in_one_line(tmp_path):
    with pytest.raises(Unavailable, match="was cancelled"):
        study(tmp_path, STRATUM, ONCE, Leaving(1.0))


def _breaks_on_one(problem):
    attempts = yield from sample(problem.prompt, 2)
    if problem.id == "3":
        raise KeyError("no such row")
    return Answer.of(attempts[0])


def _breaks_at_once(problem):
    raise KeyError(problem.id)
    yield


@pytest.mark.parametrize("start", [_breaks_at_once, lambda problem: None], ids=["breaks", "no flow"])
def test_a_method_that_does_not_even_begin_fails_item_by_item_too(tmp_path, start):
    assert len(study(tmp_path, STRATUM, Arm("broken", {}, start))) == len(ITEMS)


def _forgets(problem):
    yield from sample(problem.prompt)


def test_a_method_that_raises_on_one_item_fails_that_item_only(tmp_path):
    failures = study(tmp_path, STRATUM, Arm("mine", {}, _breaks_on_one))
    assert failures == [None, None, None, "method 'mine' could not answer '3': KeyError: 'no such row'", None, None]


def test_a_method_that_returns_no_answer_is_a_failure_on_record(tmp_path):
    failures = study(tmp_path, STRATUM, Arm("mine", {}, _forgets))
    why = "TypeError: it gave None, not an Answer"
    assert failures == [f"method 'mine' could not answer '{number}': {why}" for number in range(len(ITEMS))]


def test_what_the_user_can_mend_in_a_method_stops_the_study(tmp_path):
    def asks(problem):
        raise BadInput("no table; write one")
        yield

    with pytest.raises(BadInput, match="write one"):
        study(tmp_path, STRATUM, Arm("mine", {}, asks))


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """A package of two methods, one of which cannot be loaded, and a solver that cannot either."""
    (tmp_path / "half_there.py").write_text('def fine(problem, *, n: int = 2):\n    """Does what it says."""\n')
    (tmp_path / "not_there.py").write_text("import no_such_library\n")
    (tmp_path / "wrong.py").write_text("raise RuntimeError('two\\nlines')\n")
    info = tmp_path / "sprained-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sprained\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[trueup.methods]\nfine = half_there:fine\nlame = not_there:lame\nlost = half_there:lost\n"
        "[trueup.solvers]\nsore = wrong:sore\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert "lame" in {plugin.name for plugin in entry_points(group="trueup.methods")}
    yield
    for name in ("half_there", "not_there", "wrong"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("methods", "lame", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("methods", "lost", "AttributeError: module 'half_there' has no attribute 'lost'"),
        ("solvers", "sore", "RuntimeError: two lines"),
    ],
)
def test_a_plugin_is_loaded_when_it_is_asked_for_and_its_error_names_its_package(plugins, kind, name, why):
    known = catalog.names(kind)
    assert name in known and set(known) > set(catalog.KINDS[kind])
    with pytest.raises(Unavailable) as caught:
        known[name]
    assert str(caught.value) == f"{name} of the package sprained cannot be loaded ({why}); mend or uninstall it"
    assert all(known[own] is maker for own, maker in catalog.KINDS[kind].items())


def test_a_broken_plugin_is_a_line_of_the_list_and_no_hindrance_to_others(plugins, capsys, monkeypatch):
    assert catalog.names("methods")["fine"].__doc__ == "Does what it says."
    trueup(monkeypatch, "list", "methods", "--json")
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["fine"]["settings"], rows["fine"]["about"]) == ({"n": 2}, "Does what it says.")
    assert rows["lame"]["about"].startswith("broken: lame of the package sprained cannot be loaded")
    assert "vote" in rows
    with pytest.raises(KeyError):
        catalog.names("methods")["nobody"]

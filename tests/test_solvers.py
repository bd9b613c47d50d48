"""The solver: its statuses, its limits, and the life of its process."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest

from trueup.core.csp import parse
from trueup.core.csp.wire import to_json
from trueup.core.errors import BadInput
from trueup.core.grid import stated_grid
from trueup.core.types import Message, Problem
from trueup.solvers import sudoku
from trueup.solvers.sudoku import program_of
from trueup.solvers.worker import Worker
from trueup.verifiers import constraint

SOLVED = "1 2 3 4\n3 4 1 2\n2 1 4 3\n4 3 2 1"
PUZZLE = "1 _ 3 _\n_ 4 _ 2\n2 _ 4 _\n_ 3 _ 1"
NINE = """_ _ _ 2 6 _ 7 _ 1
6 8 _ _ 7 _ _ 9 _
1 9 _ _ _ 4 5 _ _
8 2 _ 1 _ _ _ 4 _
_ _ 4 6 _ 2 9 _ _
_ 5 _ _ _ 3 _ 2 8
_ _ 9 3 _ _ _ 7 4
_ 4 _ _ 5 _ _ 3 6
7 _ 3 _ 1 8 _ _ _"""


def problem(text):
    return Problem("p", "s", (Message("user", "1 2 3 4\n" * 4), Message("assistant", "no"), Message("user", text)))


@pytest.fixture
def solve():
    """Solves on one event loop, with a solver that is closed at the end."""
    with asyncio.Runner() as runner:
        solver = sudoku()
        yield lambda text: runner.run(solver.solve(problem(text)))
        runner.run(solver.close())


def test_statuses(solve):
    one = solve(f"Please solve this:\n\n{PUZZLE}\n\nThanks!")
    assert (one.status, one.text, one.answer) == ("solved", SOLVED, SOLVED)
    assert 0 < one.seconds < 1
    assert solve("1 1 _ _\n" + "_ _ _ _\n" * 3).status == "unsatisfiable"
    assert solve("_ _ _ _\n" * 4).status == "not_unique"
    assert [solve(text).status for text in ("hello", "1 2 3 4\n3 4 1 2\n", "9 _ _ _\n" * 4)] == ["unreadable"] * 3


def test_a_nine_by_nine_comes_back_in_the_words_of_the_verifier(solve):
    found = solve(NINE)
    verifier = constraint()
    assert found.answer == verifier.read(found.text)
    assert verifier.check(found.answer, problem(NINE), None).is_right


@pytest.mark.parametrize("blank", ["_", ".", "0"])
def test_a_blank_may_be_written_three_ways(blank):
    assert stated_grid(PUZZLE.replace("_", blank)) == ((1, 0, 3, 0), (0, 4, 0, 2), (2, 0, 4, 0), (0, 3, 0, 1))


def test_an_attempt_that_takes_too_long_times_out_and_the_next_one_is_served():
    async def story():
        worker = Worker(limit_seconds=1.0, memory_megabytes=1024)
        job = {"program": to_json(program_of(stated_grid(PUZZLE)))}
        assert (await worker.run(job))["status"] == "solved"
        os.kill(worker._child.pid, signal.SIGSTOP)
        started = time.monotonic()
        stuck = await worker.run(job)
        waited = time.monotonic() - started
        again = await worker.run(job)
        await worker.close()
        return stuck, waited, again

    stuck, waited, again = asyncio.run(story())
    assert stuck["status"] == "timeout"
    assert stuck["seconds"] == pytest.approx(waited, abs=0.2)
    assert 1.0 < waited < 6.0
    assert again["status"] == "solved"


def test_a_child_killed_while_it_solves_is_a_crash_on_record_and_leaves_no_zombie():
    async def story():
        worker = Worker(limit_seconds=10, memory_megabytes=1024)
        job = {"program": to_json(program_of(stated_grid(PUZZLE)))}
        await worker.run(job)
        pid = worker._child.pid
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
        lost = await worker.run(job)
        again = await worker.run(job)
        await worker.close()
        return pid, lost, again

    pid, lost, again = asyncio.run(story())
    assert (lost["status"], again["status"]) == ("crashed", "solved")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_too_little_memory_is_a_crash_and_never_a_hang():
    async def story():
        worker = Worker(limit_seconds=20, memory_megabytes=64)
        job = {"program": to_json(parse("int a[2000] in 1..2000\ncon alldifferent(a)"))}
        reply = await worker.run(job)
        await worker.close()
        return reply

    assert asyncio.run(story())["status"] == "crashed"


def test_memory_is_counted_beyond_what_the_solvers_take_to_load():
    async def story():
        worker = Worker(limit_seconds=20, memory_megabytes=64)
        reply = await worker.run({"program": to_json(parse("int a[20] in 1..20\ncon alldifferent(a)"))})
        await worker.close()
        return reply

    assert asyncio.run(story())["status"] == "not_unique"


@pytest.mark.parametrize("text", ["float x in 0..2\ncon x * x == 2", "float x in -3..3\ncon x^2 >= 1\nminimize x"])
def test_equations_in_fractions_need_little_memory_and_never_wait_for_it(text):
    async def story():
        worker = Worker(limit_seconds=20, memory_megabytes=5)
        reply = await worker.run({"program": to_json(parse(text))})
        await worker.close()
        return reply

    reply = asyncio.run(story())
    assert reply["status"] in ("solved", "undecided") and "x" in reply["values"]


def test_close_kills_a_solver_at_work():
    async def story():
        worker = Worker(limit_seconds=60, memory_megabytes=1024)
        job = {"program": to_json(program_of(stated_grid(PUZZLE)))}
        await worker.run(job)
        pid = worker._child.pid
        os.kill(pid, signal.SIGSTOP)
        task = asyncio.create_task(worker.run(job))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await worker.close()
        return pid, (await task)["status"], time.monotonic() - started

    pid, status, seconds = asyncio.run(story())
    assert status == "crashed"
    assert seconds < 2
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_serves_one_event_loop_after_another_and_many_at_once():
    solver = sudoku()

    async def many():
        return {(await job).status for job in asyncio.as_completed([solver.solve(problem(PUZZLE)) for _ in range(20)])}

    assert asyncio.run(many()) == asyncio.run(many()) == {"solved"}
    asyncio.run(solver.close())


def test_limits_must_be_above_zero():
    with pytest.raises(BadInput, match="limits are 0 s"):
        sudoku(limit_seconds=0)

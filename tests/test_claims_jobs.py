"""Several processes at one claim: a part is made once, each begins elsewhere, all see the same."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import time
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from terminal import in_folder

from trueup.claims import CLAIMS, Pieces, Verdict
from trueup.cli import jobs as crew
from trueup.cli.jobs import helped, module_of, pieces_of, size_by, threads_each
from trueup.core.errors import BadInput

KEYS = ("a", "b", "c")


def work(folder: Path, turn: int, jobs: int) -> list[str]:
    """Three parts, the second of which needs the first; each tells a file who made it."""
    pieces = Pieces(folder, "x", turn=turn, jobs=jobs)

    def make(key: str) -> str:
        def made() -> str:
            if key == "b":
                pieces.get("a", lambda: tell("a"))
            return tell(key)

        value: str = pieces.get(key, made)
        return value

    def tell(key: str) -> str:
        time.sleep(0.05)
        with (folder / "made.txt").open("a") as file:
            file.write(f"{key} {os.getpid()}\n")
        return f"{key}!"

    return pieces.over(KEYS, make)


def worked(folder: Path, turn: int, jobs: int, all_here: Barrier) -> None:
    all_here.wait(60)
    (folder / f"found{turn}.json").write_text(json.dumps(work(folder, turn, jobs)))


@pytest.mark.parametrize(("turn", "jobs", "order"), [(0, 1, "abc"), (1, 2, "bca"), (2, 3, "cab"), (4, 5, "cab")])
def test_each_process_begins_elsewhere_and_gives_the_same_in_the_same_order(tmp_path, turn, jobs, order):
    begun = []
    pieces = Pieces(tmp_path, "x", turn=turn, jobs=jobs)
    assert pieces.over(KEYS, lambda key: begun.append(key) or key.upper()) == ["A", "B", "C"]
    assert "".join(begun) == order


def test_a_part_is_made_by_one_process_and_waited_for_by_the_others(tmp_path):
    Pieces(tmp_path, "x")
    context = multiprocessing.get_context("fork")
    all_here = context.Barrier(3)
    others = [context.Process(target=worked, args=(tmp_path, turn, 3, all_here)) for turn in range(3)]
    for one in others:
        one.start()
    for one in others:
        one.join(60)
    made = [line.split() for line in (tmp_path / "made.txt").read_text().splitlines()]
    assert sorted(key for key, _ in made) == list(KEYS)
    assert len({who for _, who in made}) > 1, "one of them did all the work"
    assert {(tmp_path / f"found{turn}.json").read_text() for turn in range(3)} == {'["a!", "b!", "c!"]'}


def test_waiting_for_another_process_is_not_counted_as_work(tmp_path):
    Pieces(tmp_path, "x").get("a", lambda: time.sleep(0.3))
    (tmp_path / "b.lock").touch()
    late = Pieces(tmp_path, "x")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        holding = pool.apply_async(held, (tmp_path / "b.lock", 0.6))
        while not (tmp_path / "held").exists():
            time.sleep(0.01)
        before = late.took().seconds
        late.get("b", lambda: 1)
        holding.get()
    assert late.took().seconds - before < 0.4


def held(path: Path, seconds: float) -> None:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (path.parent / "held").touch()
        time.sleep(seconds)


def test_two_processes_come_to_the_verdict_of_one(tmp_path, capsys):
    told = {}
    for jobs in ("1", "2"):
        words = ("claims", "run", "retraction", "--scale", "smoke", "--quiet", "--json", "--out", f"parts{jobs}")
        in_folder(tmp_path, *words, "--jobs", jobs)
        told[jobs] = json.loads(capsys.readouterr().out)
    assert [one["jobs"] for one in told.values()] == [1, 2]
    assert told["2"]["command"] == f"{told['1']['command']} --jobs 2"
    apart = dict.fromkeys(("seconds", "cpu_seconds", "jobs", "command"))
    assert {**told["1"], **apart} == {**told["2"], **apart}


@pytest.mark.parametrize(
    ("cores", "told", "jobs", "each"), [(4, "", 1, 4), (4, "", 3, 1), (4, "", 2, 2), (2, "", 7, 1), (3, "3", 2, 3)]
)
def test_processes_share_the_cores_unless_their_threads_are_told(tmp_path, monkeypatch, cores, told, jobs, each):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(crew, "pieces_of", lambda *_, **__: None)
    monkeypatch.setitem(CLAIMS, "retraction", lambda *_: seen.append(torch.get_num_threads()))
    monkeypatch.setattr(multiprocessing.get_context("spawn"), "Process", Unstarted)
    Unstarted.made.clear()
    torch.set_num_threads(cores)
    try:
        with helped("retraction", "smoke", 0, tmp_path, jobs):
            seen.append(torch.get_num_threads())
            for helper in Unstarted.made:
                helper.run()
        assert seen == [each] * jobs == [threads_each(cores, jobs)] * jobs
        assert torch.get_num_threads() == cores
    finally:
        torch.set_num_threads(before)


class Unstarted:
    """A process that is never started; `run` does its work here."""

    made: ClassVar[list[Unstarted]] = []

    def __init__(self, target, args, daemon):
        self.run = lambda: target(*args)
        self.made.append(self)

    def start(self):
        pass

    terminate = join = start


def test_parts_of_another_size_are_not_taken_up(tmp_path, monkeypatch):
    pieces_of("retraction", "smoke", 0, tmp_path)
    pieces_of("retraction", "smoke", 0, tmp_path)
    sizes = module_of("retraction").SIZES
    monkeypatch.setitem(sizes, "smoke", replace(sizes["smoke"], items=13))
    with pytest.raises(BadInput, match="holds parts of another run; remove it or choose another --out"):
        pieces_of("retraction", "smoke", 0, tmp_path)


@pytest.mark.parametrize("claim", ["proxy-tuning", "compute-optimal"])
def test_parts_from_pretrained_weights_are_not_taken_up_in_another_precision(tmp_path, monkeypatch, claim):
    monkeypatch.setenv("TRUEUP_DEVICE", "cpu")
    has: dict[str, bool] = {}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    pieces_of(claim, "gpu", 0, tmp_path)
    has["avx512_bf16"] = True
    with pytest.raises(BadInput, match=r"holds parts of another run; remove it or choose another --out \(about.json"):
        pieces_of(claim, "gpu", 0, tmp_path)
    has.clear()
    assert json.loads(pieces_of(claim, "gpu", 0, tmp_path).about)["about"][-1] == "cpu"


def test_parts_from_pretrained_weights_are_not_taken_up_on_another_device(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card of {device}")
    pieces = pieces_of("internal-external", "gpu", 0, tmp_path)
    assert json.loads(pieces.about)["about"][-1] == "card of cuda in bfloat16"
    monkeypatch.setenv("TRUEUP_DEVICE", "cpu")
    with pytest.raises(BadInput, match="holds parts of another run"):
        pieces_of("internal-external", "gpu", 0, tmp_path)


def test_models_from_scratch_are_taken_up_whatever_the_precision(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUEUP_DEVICE", "nowhere")
    about = json.loads(pieces_of("internal-external", "cpu", 0, tmp_path).about)["about"]
    assert about == ["internal-external", "cpu", 0, size_by("internal-external", "cpu")]


def test_a_kept_verdict_says_that_its_criterion_or_its_size_is_no_longer_the_codes(tmp_path, capsys):
    written, folder = module_of("retraction"), tmp_path / "kept" / "retraction"
    folder.mkdir(parents=True)
    kept = Verdict("retraction", "smoke", "inconclusive", written.CRITERION, 1, (0,), [], seconds=90.0, jobs=3)
    told = []
    for one in (
        replace(kept, size=size_by("retraction", "smoke")),
        replace(kept, size="Size(maps=1)"),
        replace(kept, criterion="another"),
        kept,
    ):
        (folder / "smoke.json").write_text(one.text())
        in_folder(tmp_path, "claims", "show", "kept")
        told.append(" ".join(capsys.readouterr().out.split()))
    assert ["at an earlier size" in text for text in told] == [False, True, False, False]
    assert ["by an earlier criterion" in text for text in told] == [False, False, True, False]
    assert all("1.5 min of 3 processes" in text for text in told)

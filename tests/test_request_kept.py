"""A run that is refused leaves the request of a finished study as it was."""

from __future__ import annotations

import json

import pytest
from terminal import at_problems

from trueup.core.ledger import Ledger

STUDY = ("study", "w.jsonl", "--model", "toy:0.7", "--samples", "4", "-q")


@pytest.fixture
def go(tmp_path, monkeypatch, capsys):
    """The command line, beside a finished study of eight problems in out/w."""
    run = at_problems(tmp_path, monkeypatch, capsys, [f"problem {i}" for i in range(8)])
    run(*STUDY)
    return run


@pytest.mark.parametrize("method", ["cascade", "once model=strong", "judge_best judge_model=strong"])
@pytest.mark.parametrize("command", ["study", "sample"])
def test_a_model_that_a_method_may_ask_and_nobody_named_is_refused_before_anything_is_written(
    go, tmp_path, command, method
):
    folder = tmp_path / "out" / "w"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    told = go(command, *STUDY[1:], "--methods", f"once,{method}", code=2).err
    assert "unknown model 'strong'; known: none" in told and "may ask for it; give --with strong=MODEL)" in told
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert "w" in json.loads(go("measure", "out/w", "--json").out)
    assert "w" in json.loads(go("plan", "out/w", "--json").out)["choices"]
    go(command, *STUDY[1:], "--methods", f"once,{method}", "--out", "new", code=2)
    assert not (tmp_path / "new").exists()
    go(command, *STUDY[1:], "--methods", f"once,{method}", "--with", "strong=toy:0.9", "--out", "new")


def test_a_study_in_a_folder_that_another_is_writing_leaves_its_request_alone(go, tmp_path):
    folder = tmp_path / "out" / "w"
    before = (folder / "request.json").read_bytes()
    with Ledger(folder / "ledger.sqlite"):
        assert "is being written by another run" in go(*STUDY, "--limit", "2", code=2).err
    assert (folder / "request.json").read_bytes() == before

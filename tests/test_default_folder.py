"""Where a study goes that names no --out."""

from __future__ import annotations

import json

import pytest
from terminal import trueup

from trueup.cli.study import default_folder

ROW = {"id": "a", "prompt": "q", "reference": "right"}
TASK = '[[stratum]]\nname = "q"\nsource = "jsonl:q.jsonl"\n'


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """A folder with two versions of a task, each in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("set-v1.0", "set-v1.1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "q.jsonl").write_text(json.dumps(ROW) + "\n")
        (tmp_path / name / "task.toml").write_text(TASK)
    return tmp_path


def test_tasks_in_folders_whose_names_differ_behind_a_dot_go_to_folders_of_their_own(tasks, monkeypatch):
    for name in ("set-v1.0", "set-v1.1"):
        trueup(monkeypatch, "study", name, "--model", "toy:0.9", "--samples", "4", "--methods", "once", "-q")
        assert (tasks / "out" / name / "study.json").is_file()
    assert len(list((tasks / "out").iterdir())) == 2


@pytest.mark.parametrize(
    ("task", "folder"),
    [
        ("set-v1.0", "set-v1.0"), ("set-v1.1/", "set-v1.1"), ("set-v1.0/task.toml", "set-v1.0"),
        ("set-v1.0/q.jsonl", "q"), ("q.v2.jsonl", "q.v2"), ("mine.toml", "mine"),
    ],
)  # fmt: skip
def test_a_folder_gives_its_whole_name_and_a_file_its_own_without_the_ending(tasks, task, folder):
    assert str(default_folder(task)) == f"out/{folder}"

"""The first moments of a command: its help where nothing is asked, and one line for Ctrl-C."""

from __future__ import annotations

import subprocess
import sys

import pytest
import terminal

from trueup import cli
from trueup.cli import start

INTERRUPTED_WHILE_READ_IN = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, *where):
        if name == "trueup.cli.study":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.argv = ["trueup", "list", "models"]
"""
SCRIPT = "from trueup.cli import main\nsys.exit(main())"
MODULE = "runpy.run_module('trueup', run_name='__main__')"


@pytest.mark.parametrize("begin", [SCRIPT, MODULE], ids=["script", "module"])
def test_ctrl_c_while_the_command_line_is_read_in_is_the_same_line_as_later(begin):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_WHILE_READ_IN + begin], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: interrupted; what was paid is kept: run the same command again to go on\n"


def test_whoever_starts_the_command_line_starts_it_alike():
    assert cli.main is start.main


@pytest.mark.parametrize("words", ["", "ledger", "learn", "route", "claims"])
def test_a_command_alone_is_its_help_and_no_error(words, capsys, monkeypatch):
    terminal.trueup(monkeypatch, *words.split(), code=2)
    said = capsys.readouterr()
    assert "Usage:" in said.out + said.err
    assert "error" not in said.err

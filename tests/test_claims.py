"""Claims: parts that are kept, verdicts that are shown, and a clear line for every bad input."""

from __future__ import annotations

import pytest

from trueup.claims import CLAIMS, Pieces
from trueup.claims.verdict import Verdict
from trueup.core.errors import BadInput


def test_a_part_is_made_once_and_kept(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"right": [True, False], "tokens": 1.5}

    seen = []
    first = Pieces(tmp_path / "c", ["x", 0], lambda name, seconds: seen.append((name, seconds > 0))).get("a", make)
    again = Pieces(tmp_path / "c", ["x", 0], lambda name, seconds: seen.append((name, seconds > 0))).get("a", make)
    assert first == again == {"right": [True, False], "tokens": 1.5}
    assert (len(made), seen) == (1, [("a", True), ("a", False)])


def test_a_part_that_was_cut_short_is_made_again(tmp_path):
    pieces = Pieces(tmp_path, "x")
    with pytest.raises(KeyboardInterrupt):
        pieces.get("a", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert pieces.get("a", lambda: 2) == 2


def test_parts_of_another_run_are_refused(tmp_path):
    Pieces(tmp_path, ["x", 0])
    with pytest.raises(BadInput, match="parts of another run; remove it or choose another --out"):
        Pieces(tmp_path, ["x", 1])


def test_a_verdict_says_how_it_was_made(tmp_path):
    verdict = Verdict("x", "smoke", "refuted", "p < .01", 10, (0, 1, 2), ({"name": "a"},))
    text = verdict.save(tmp_path).read_text()
    assert '"command": "trueup claims run x --scale smoke"' in text
    assert (tmp_path / "x" / "smoke.json").exists()


def test_every_claim_says_what_it_says():
    for name, claim in CLAIMS.items():
        assert (claim.__doc__ or "").partition("\n")[0].endswith("."), name

"""A written policy reads back whole; a broken one says what is wrong in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trueup.core.errors import BadInput
from trueup.plan.policy import Policy, PolicyStratum, read_policy, write_policy

RECIPES: dict[str, dict[str, Any]] = {
    "sums": {
        "source": "jsonl:sums.jsonl",
        "verifier": "number",
        "check": None,
        "system": 'Answer with "####".\n',
        "shots": [{"question": "1+1", "answer": "2"}, {"question": "ü\t", "answer": "\\boxed{3}"}],
        "temperature": 0.8,
        "stop": ["\n\n"],
    },
    "puzzles": {"source": "csp:sudoku", "solver": "csp", "verifier": "exact"},
}


def study() -> dict[str, Any]:
    certificate = {"status": "uncertified", "target": 0.9, "bound": 0.31, "n": 24, "right": 12, "delta": 0.05}
    choice = {"method": "vote", "settings": {"n": 8}, "label": "vote n=8", "accuracy": 0.5, "n": 24, "usd": 1.25e-5}
    return {
        "version": 1,
        "task": {"name": "mixed"},
        "model": {"name": "smollm2", "fingerprint": "smollm2:abc"},
        "prices": {"date": "2026-01-01"},
        "plan": {
            "target": 0.9,
            "choices": {"sums": choice, "puzzles": choice | {"method": "solve", "settings": {}, "usd": None}},
            "certificate": {
                "sums": certificate | {"note": "12 of 24 right"},
                "puzzles": certificate | {"status": "certified", "bound": 0.883, "note": "all of 24 right"},
            },
        },
    }


def test_policy_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    write_policy(study(), RECIPES, path)
    sums = {key: value for key, value in RECIPES["sums"].items() if key != "check"}
    assert read_policy(path) == Policy(
        name="mixed",
        model="smollm2",
        fingerprint="smollm2:abc",
        target=0.9,
        prices_date="2026-01-01",
        certificate={
            "sums": "uncertified: 12 of 24 right (lower bound 0.310 at delta 0.05)",
            "puzzles": "certified: all of 24 right (lower bound 0.883 at delta 0.05)",
        },
        strata=(
            PolicyStratum("sums", "vote", {"n": 8}, sums, 0.5, 1.25e-5, proved=0.31, held_out=24),
            PolicyStratum("puzzles", "solve", {}, RECIPES["puzzles"], 0.5, None, proved=0.9, held_out=24),
        ),
    )
    assert [file.name for file in tmp_path.iterdir()] == ["policy.toml"]


def test_no_target_reads_back_as_none(tmp_path: Path) -> None:
    whole = study()
    whole["plan"]["target"] = None
    write_policy(whole, RECIPES, tmp_path / "policy.toml")
    assert read_policy(tmp_path / "policy.toml").target is None


def test_a_policy_whose_prices_have_no_date_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    write_policy(study(), RECIPES, path)
    path.write_text(path.read_text().replace('prices_date = "2026-01-01"\n', ""))
    assert read_policy(path).prices_date == ""


def test_chosen_stratum_needs_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no recipe for stratum 'puzzles'"):
        write_policy(study(), {"sums": {}}, tmp_path / "policy.toml")


def test_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot write .*No such file"):
        write_policy(study(), RECIPES, tmp_path / "none" / "policy.toml")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("version = 1", "version = 2", "policy of version 2; this trueup reads version 1"),
        ("version = 1\n", "", "policy of version None"),
        ('model = "smollm2"\n', "", "the policy has no 'model'"),
        ("target = 0.9", 'target = "high"', "'target' of the policy is 'high'"),
        ("target = 0.9", "target = true", "'target' of the policy is True"),
        ('method = "vote"\n', "", "stratum 'sums' has no 'method'"),
        ('method = "vote"', "method = 3", "'method' of stratum 'sums' is 3"),
        ('name = "puzzles"', 'name = "sums"', "each with a name of its own"),
        ("[certificate]", "[other]", "the policy has no 'certificate'"),
        ("[certificate]", "[certificate", "not valid TOML: .*line 8"),
    ],
)
def test_broken_policy_says_what_and_where(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / "policy.toml"
    write_policy(study(), RECIPES, path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput, match=rf"policy\.toml: .*{told}") as caught:
        read_policy(path)
    assert "\n" not in str(caught.value)


def test_missing_or_unreadable_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no policy file .*; write it with `trueup plan`"):
        read_policy(tmp_path / "policy.toml")
    with pytest.raises(BadInput, match="Is a directory"):
        read_policy(tmp_path)
    (tmp_path / "latin").write_bytes(b'name = "\xff"')
    with pytest.raises(BadInput, match="not valid TOML"):
        read_policy(tmp_path / "latin")
    (tmp_path / "empty").write_text('version = 1\nname = "x"\nstratum = [1]\n')
    with pytest.raises(BadInput, match=r"a stratum is 1; write it as a table"):
        read_policy(tmp_path / "empty")

"""After an alarm: what was served is studied again, each stratum on its own rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from terminal import trueup
from test_serve import ask, body, desk, post, serving

from trueup.core.errors import BadInput
from trueup.models import Toy
from trueup.serve import Traffic
from trueup.tasks import jsonl, read_task

TWO = "".join(
    f'[[stratum]]\nname = "{name}"\nsource = "jsonl:{{file}}"\nverifier = "{verifier}"\n'
    for name, verifier in (("sums", "exact"), ("words", "exact case=true"))
)
MODEL = ("--model", "toy:0.95", "--methods", "once", "--samples", "2", "--target", "0.6", "-q")


def rows(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def served(number: int, stratum: str = "sums", **more: Any) -> dict[str, Any]:
    row = {
        "id": f"r{number}",
        "at": 1.0,
        "stratum": stratum,
        "messages": [{"role": "user", "content": f"asked {number}"}],
    }
    return row | {"schema": None, "answer": "right", "usd": None} | more


def ids(path: str, stratum: str) -> list[str]:
    return [item.problem.id for item in jsonl(path, stratum=stratum)]


def test_served_audited_and_studied_again_each_stratum_has_its_own_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows(tmp_path / "own.jsonl", [{"id": i, "prompt": f"problem {i}", "reference": "right"} for i in range(40)])
    (tmp_path / "task.toml").write_text(TWO.format(file="own.jsonl"))
    trueup(monkeypatch, "study", "task.toml", "--out", "first", *MODEL)
    path = tmp_path / "traffic.jsonl"
    with Traffic(path) as traffic, serving(tmp_path, Toy(1.0), desk("sums"), desk("words"), traffic=traffic) as root:
        for number in range(24):
            ask(root, f"asked {number}", model=f"mixed/{('sums', 'words')[number % 2]}")
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    graded = [row | {"reference": "left"} for row in kept[:22]] + [kept[22], kept[23] | {"right": False}]
    rows(path, graded)
    capsys.readouterr()
    trueup(monkeypatch, "audit", "first/policy.toml", "traffic.jsonl", code=3)
    assert "rows that have a reference as a source (jsonl:traffic.jsonl)" in capsys.readouterr().out
    (tmp_path / "task.toml").write_text(TWO.format(file="traffic.jsonl"))
    with pytest.warns(UserWarning, match="1 of 12 rows of stratum '(sums|words)' are left out") as told:
        trueup(monkeypatch, "study", "task.toml", "--out", "again", *MODEL)
    assert len(told) == 2
    strata = json.loads((tmp_path / "again" / "study.json").read_text())["strata"]
    assert {name: stratum["items"] for name, stratum in strata.items()} == {"sums": 11, "words": 11}
    assert (tmp_path / "again" / "policy.toml").exists()


def test_an_order_whose_question_is_empty_is_answered_and_leaves_no_row(tmp_path):
    path, user = tmp_path / "t.jsonl", {"role": "user", "content": "?"}
    earlier = [user, {"role": "assistant", "content": "?"}]
    with Traffic(path) as traffic, serving(tmp_path, Toy(1.0), desk("sums"), traffic=traffic) as root:
        for content in ("", []):
            for before in ([], earlier, [{"role": "system", "content": "?"}]):
                asked = body(messages=[*before, {"role": "user", "content": content}])
                assert post(root, asked).status_code == 200
        assert path.read_text() == ""
        assert post(root, body(messages=[{"role": "user", "content": ""}, user])).status_code == 200
    assert len(ids(str(path), "sums")) == 1


def test_a_lone_file_of_traffic_is_a_task_of_the_strata_it_was_served_by(tmp_path):
    path = rows(tmp_path / "t.jsonl", [served(0, "words", reference="a"), served(1, reference="b")])
    assert [(spec.name, spec.argument) for spec in read_task(path).strata] == [("words", path), ("sums", path)]
    tuned = read_task(path, sets={"sums": {"verifier": "number"}})
    assert [spec.recipe.get("verifier") for spec in tuned.strata] == [None, "number"]
    alone = rows(tmp_path / "q.jsonl", [{"id": 1, "prompt": "?", "reference": "a", "answer": "b", "stratum": "hard"}])
    assert [spec.name for spec in read_task(alone).strata] == ["q"]
    assert ids(alone, "q") == ["1"]


def test_rows_without_a_reference_are_left_out_where_others_have_one(tmp_path):
    given = [served(0, reference="a"), served(1), served(2, reference=None), served(3, right=True), served(4, "words")]
    path = rows(tmp_path / "t.jsonl", given)
    with pytest.warns(UserWarning, match="t.jsonl: 3 of 4 rows of stratum 'sums' are left out, having no reference"):
        assert ids(path, "sums") == ["r0"]


def test_traffic_without_any_reference_is_for_a_verifier_that_needs_none(tmp_path):
    path = rows(tmp_path / "t.jsonl", [served(0), served(1), served(2, "words")])
    items = jsonl(path, stratum="sums")
    assert [(item.problem.id, item.reference) for item in items] == [("r0", None), ("r1", None)]


def test_rows_of_ones_own_stand_beside_traffic(tmp_path):
    own = {"id": "mine", "prompt": "?", "reference": "a"}
    path = rows(tmp_path / "t.jsonl", [own, served(0, reference="a"), served(1, "words", reference="b")])
    assert ids(path, "sums") == ["mine", "r0"]
    assert ids(path, "words") == ["mine", "r1"]


def test_a_row_of_ones_own_still_needs_its_reference(tmp_path):
    path = rows(tmp_path / "t.jsonl", [{"id": "mine", "prompt": "?"}, served(0, reference="a")])
    with pytest.raises(BadInput, match=r"t\.jsonl:1: no 'reference'; add one to the row"):
        jsonl(path, stratum="sums")


def test_a_stratum_without_traffic_says_whose_it_is(tmp_path):
    path = rows(tmp_path / "t.jsonl", [served(0, reference="a"), served(1, "words", reference="b")])
    with pytest.raises(
        BadInput, match="no row is of stratum 'sum'; give the stratum the name of its traffic, 'sums', 'w"
    ):
        jsonl(path, stratum="sum")

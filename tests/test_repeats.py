"""Requests that come more than once: one draw, one cluster, and no proof by repetition."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from terminal import in_folder
from toys import item

from trueup.core.errors import BadInput
from trueup.tasks.jsonl import jsonl
from trueup.tasks.repeats import joined


def clusters_of(*asked):
    return [one.cluster for one in joined([_named(*one) for one in asked])]


def _named(words, cluster):
    plain = item(words)
    return type(plain)(plain.problem, plain.reference, cluster)


def test_the_same_prompt_is_one_cluster_and_others_stay_apart():
    assert clusters_of(("x", "0"), ("y", "1"), ("x", "2")) == ["0", "1", "0"]


def test_a_cluster_keeps_its_name_where_rows_come_in_another_order_and_later_ones_repeat_a_prompt():
    rows = [
        replace(item(words), problem=replace(item(words).problem, id=f"q{i}")) for i, words in enumerate("xyxzyyyyxx")
    ]
    rows = [replace(row, cluster=row.problem.id) for row in rows]
    later = [replace(row, problem=replace(row.problem, id=f"q1{i}"), cluster=f"q1{i}") for i, row in enumerate(rows)]
    names = {row.problem.id: row.cluster for row in joined(rows)}
    assert set(names.values()) == {"q0", "q1", "q3"}
    for more in (rows[::-1], [*later, *rows], [*rows, *later[::-1]]):
        assert {row.problem.id: row.cluster for row in joined(more)}.items() >= names.items()
    assert {row.cluster for row in joined([rows[0], replace(rows[2], cluster="a longer name")])} == {"a longer name"}


def test_clusters_that_share_a_prompt_are_one():
    found = clusters_of(("x", "a"), ("y", "a"), ("y", "b"), ("z", "b"), ("z", "c"), ("w", "d"))
    assert len(set(found[:5])) == 1 and found[5] == "d"


def test_a_chain_of_conversations_is_one_cluster_in_whatever_order():
    first = [(f"q{i}", f"c{i}") for i in range(300)]
    second = [(f"q{i + 1}", f"c{i}") for i in range(300)]
    assert len(set(clusters_of(*first, *second))) == len(set(clusters_of(*second[::-1], *first))) == 1


def write_rows(path, *clusters):
    """A file with a row for each, whose ids are 0, 1, 2, ..."""
    rows = [{"id": i, "prompt": f"p{i}", "reference": 1, "cluster": cluster} for i, cluster in enumerate(clusters)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("clusters", [(None, "x", 0, "0"), ("x", "x", None, "2"), ("1", None, None)])
def test_an_id_that_is_the_cluster_of_other_rows_is_refused_in_one_line(tmp_path, clusters):
    path, taken = write_rows(tmp_path / "a.jsonl", *clusters), clusters.index(None)
    giver = [str(cluster) for cluster in clusters].index(str(taken))
    with pytest.raises(BadInput) as caught:
        jsonl(path, stratum="s", limit=1)
    assert str(caught.value) == (
        f"{path}:{taken + 1}: no cluster, and the id '{taken}' is the cluster of {path}:{giver + 1}; "
        f'add "cluster": "{taken}" if the rows belong together, or another name if not'
    )


def test_a_row_may_give_its_own_id_as_its_cluster_and_that_of_a_row_with_another(tmp_path):
    items = jsonl(write_rows(tmp_path / "a.jsonl", "0", 0, "x", "2", None), stratum="s")
    assert [one.cluster for one in items] == ["0", "0", "x", "2", "4"]


def test_a_hundred_repeats_of_one_question_certify_nothing(tmp_path, capsys):
    rows = [{"id": f"{i}", "prompt": "same question", "reference": "right"} for i in range(100)]
    (tmp_path / "same.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    words = ("--model", "toy:1.0", "--samples", "2", "--methods", "once", "--out", "o", "--quiet", "--json")
    in_folder(tmp_path, "study", "same.jsonl", *words)
    (found,) = json.loads(capsys.readouterr().out)["plan"]["certificate"].values()
    assert found["status"] == "uncertified" and found["n"] == 0

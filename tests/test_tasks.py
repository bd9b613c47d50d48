"""Task files and the sources that their items come from."""

from __future__ import annotations

import asyncio
import inspect
import json
import warnings
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from trueup.core.errors import BadInput, Unavailable, UnknownName
from trueup.core.types import Message
from trueup.solvers import sudoku
from trueup.tasks import build_prompt, build_strata, calls, csp, gym, jsonl, read_task
from trueup.tasks.call_schema import call_schema
from trueup.tasks.gym import REFUSED
from trueup.tasks.power_flow import power_flow
from trueup.tasks.quadratic import quadratic
from trueup.tasks.word_problems import word_problems
from trueup.verifiers import constraint, exact, function_call, json_schema, number

NAMES = {
    "sources": {"jsonl": jsonl, "csp": csp},
    "verifiers": {"exact": exact, "number": number, "constraint": constraint, "json_schema": json_schema},
    "solvers": {"sudoku": sudoku},
    "raters": {},
}
ROWS = [{"id": i, "prompt": f"{i} + 1 =", "reference": i + 1} for i in range(10)]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def write_task(folder, stratum, head='[task]\nname = "t"\nseed = 3\n'):
    (folder / "task.toml").write_text(f'{head}[[stratum]]\nname = "s"\n{stratum}')
    write_rows(folder / "rows.jsonl", ROWS)
    return folder


# jsonl


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("key", ["reference", "note"])
def test_what_is_no_number_is_refused_with_its_line(tmp_path, number, key):
    row = f'{{"id": 1, "prompt": "?", "reference": 1, "{key}": {number}}}'
    (tmp_path / "a.jsonl").write_text(f"\n{row}\n")
    with pytest.raises(BadInput, match=rf"a\.jsonl:2: {number} is no number; write one, or leave the row out$"):
        jsonl(str(tmp_path / "a.jsonl"), stratum="s")


@pytest.mark.parametrize("reference", [True, {"a": 1}])
def test_a_reference_that_exact_cannot_compare_is_refused_before_anything_is_asked(tmp_path, reference):
    path = write_rows(tmp_path / "a.jsonl", [*ROWS, {"id": "x", "prompt": "?", "reference": reference}])
    with pytest.raises(BadInput, match="item 'x': the reference"):
        build_strata(read_task(path), names=NAMES.get)
    (free,) = build_strata(read_task(path, sets={"a": {"verifier": "json_schema"}}), names=NAMES.get)
    assert free.items[-1].reference == reference


def test_jsonl_rows_become_items_in_the_files_order(tmp_path):
    items = jsonl(write_rows(tmp_path / "a.jsonl", ROWS), stratum="s")
    assert [item.problem.id for item in items] == [str(i) for i in range(10)]
    assert items[3].problem.prompt == (Message("user", "3 + 1 ="),)
    assert (items[3].reference, items[3].cluster) == (4, "3")


def test_a_row_may_bring_messages_a_schema_and_a_cluster(tmp_path):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    row = {"id": "a", "messages": turns, "reference": None, "schema": {"type": "object"}, "cluster": "c", "note": 1}
    (item,) = jsonl(write_rows(tmp_path / "a.jsonl", [row]), stratum="s")
    assert item.problem.prompt == (Message("system", "Be brief."), Message("user", "Hi"))
    assert (item.problem.schema, item.reference, item.cluster) == ('{"type":"object"}', None, "c")


def test_a_limit_draws_by_the_seed_and_a_smaller_one_from_the_same(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", ROWS)
    drawn = {n: {item.problem.id for item in jsonl(path, stratum="s", limit=n, seed=1)} for n in (3, 6, 99)}
    assert drawn[3] < drawn[6] < drawn[99]
    assert [len(ids) for ids in drawn.values()] == [3, 6, 10]
    assert drawn[6] != {item.problem.id for item in jsonl(path, stratum="s", limit=6, seed=2)}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"id": 1, "prompt": "x", ', "not valid JSON"),
        ("[1]", "must be an object"),
        ('{"prompt": "x", "reference": 1}', "no 'id'"),
        ('{"id": 2, "prompt": "x"}', "no 'reference'"),
        ('{"id": 2, "reference": 1}', "'prompt' or 'messages'"),
        ('{"id": 2, "prompt": "x", "messages": [], "reference": 1}', "one of them"),
        ('{"id": 0, "prompt": "x", "reference": 1}', "'0' is taken"),
        ('{"id": true, "prompt": "x", "reference": 1}', "id is True"),
        ('{"id": 2, "prompt": 5, "reference": 1}', "a message is"),
        ('{"id": 2, "messages": [{"role": "user"}], "reference": 1}', "a message is"),
        ('{"id": 2, "messages": [{"role": "assistant", "content": "x"}], "reference": 1}', "must be the user's"),
        ('{"id": 2, "prompt": "x", "reference": 1, "schema": {}, "grammar": "g"}', "both schema and grammar"),
        ('{"id": 2, "prompt": "x", "reference": 1, "grammar": 3}', "grammar is '3'; it takes a grammar's text"),
        ('{"id": 2, "prompt": "x", "reference": 1, "grammar": ["g"]}', "grammar is"),
        ('{"id": 2, "prompt": "x", "reference": 1, "grammar": true}', "grammar is 'True'"),
        ('{"id": 2, "prompt": "x", "reference": 1, "cluster": ["a"]}', "cluster is"),
        ('{"id": 2, "prompt": "x", "reference": 1, "cluster": {"a": 1}}', "cluster is"),
        ('{"id": 2, "prompt": null, "reference": 1}', "'prompt' or 'messages'"),
        (r'{"id": 2, "prompt": "x\ud83d", "reference": 1}', r"'\ud83d' is half a character"),
        (r'{"id": "\ud83d", "prompt": "x", "reference": 1}', "half a character"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path, line, what):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n\n" + line + "\n")
    with pytest.raises(BadInput) as caught:
        jsonl(str(path), stratum="s")
    assert str(caught.value).startswith(f"{path}:3: ")
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_null_in_an_optional_key_is_as_good_as_none(tmp_path):
    rows = [{**row, "cluster": None, "schema": None, "grammar": None, "messages": None} for row in ROWS]
    path = write_rows(tmp_path / "a.jsonl", rows)
    assert jsonl(path, stratum="s") == jsonl(write_rows(tmp_path / "b.jsonl", ROWS), stratum="s")
    (item,) = jsonl(write_rows(tmp_path / "c.jsonl", [{**rows[0], "grammar": "g"}]), stratum="s")
    assert (item.problem.grammar, item.problem.schema) == ("g", None)


def test_a_whole_character_may_be_written_in_two_halves(tmp_path):
    (tmp_path / "a.jsonl").write_text(r'{"id": 1, "prompt": "\ud83d\ude00", "reference": 1}')
    (item,) = jsonl(str(tmp_path / "a.jsonl"), stratum="s")
    assert item.problem.prompt[0].content == "\N{GRINNING FACE}"


def test_files_may_begin_with_a_byte_order_mark(tmp_path):
    write_task(tmp_path, 'source = "jsonl:rows.jsonl"\n')
    for name in ("task.toml", "rows.jsonl"):
        file = tmp_path / name
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    (stratum,) = build_strata(read_task(tmp_path), names=NAMES.get)
    assert [item.problem.id for item in stratum.items] == [str(i) for i in range(10)]


@pytest.mark.parametrize("reference", [None, ["2", None]])
def test_a_null_reference_is_refused_where_the_verifier_needs_one(tmp_path, reference):
    write_task(tmp_path, 'source = "jsonl:rows.jsonl"\n')
    write_rows(tmp_path / "rows.jsonl", [*ROWS[:3], {"id": "open", "prompt": "?", "reference": reference}])
    with pytest.raises(BadInput, match="item 'open' has a null reference, and 'exact' needs one"):
        build_strata(read_task(tmp_path), names=NAMES.get)
    free = read_task(tmp_path, sets={"s": {"verifier": "json_schema"}})
    assert len(build_strata(free, names=NAMES.get)[0].items) == 4


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe"])
def test_a_file_without_rows_or_in_another_encoding_is_bad_input(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"no rows|cannot read"):
        jsonl(str(path), stratum="s")
    with pytest.raises(BadInput, match="no file"):
        jsonl(str(tmp_path / "b.jsonl"), stratum="s")


# csp


def test_a_puzzle_depends_on_the_seed_and_its_place_alone():
    few, many = csp("sudoku4", stratum="s", limit=2, seed=5), csp("sudoku4", stratum="s", limit=4, seed=5)
    assert few == many[:2]
    assert csp("sudoku4", stratum="s", limit=2, seed=6) != few
    assert len({item.problem.prompt for item in many}) == 4


@pytest.mark.parametrize("blanks", [1, 8, 10])
def test_the_dial_sets_the_number_of_blanks(blanks):
    for item in csp(f"sudoku4 blanks={blanks}", stratum="s", limit=5):
        grid = item.problem.prompt[-1].content.split("\n\n")[1]
        assert (grid.count("_"), len(grid.split())) == (blanks, 16)


def test_our_solver_finds_each_puzzles_one_solution_from_the_prompt_alone():
    items = csp("sudoku4 blanks=9", stratum="s", limit=20, seed=1)

    async def solve():
        solver = sudoku()
        found = [await solver.solve(item.problem) for item in items]
        await solver.close()
        return found

    found = asyncio.run(solve())
    assert [solution.status for solution in found] == ["solved"] * 20
    assert [solution.answer for solution in found] == [item.reference for item in items]
    assert all(constraint().check(item.reference, item.problem, None).is_right for item in items)


def test_csp_settings_and_families_are_checked():
    with pytest.raises(BadInput, match="blanks is 12"):
        csp("sudoku4 blanks=12", stratum="s")
    with pytest.raises(UnknownName, match="did you mean 'sudoku4'"):
        csp("sudok4", stratum="s")
    with pytest.raises(UnknownName, match="did you mean 'blanks'"):
        csp("sudoku4 blank=8", stratum="s")


# calls

TREE = {
    "name": "plant.tree",
    "description": "Plant it.",
    "parameters": {
        "type": "dict",
        "properties": {
            "kind": {"type": "string", "enum": ["oak", "elm"]},
            "height": {"type": "float"},
            "spots": {"type": "array", "items": {"type": "tuple", "items": {"type": "integer"}}},
            "owner": {"type": "dict", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            "notes": {"type": "any"},
        },
        "required": ["kind", "spots"],
    },
}


@pytest.mark.parametrize(
    ("arguments", "is_valid"),
    [
        ({"kind": "oak", "spots": [[1, 2]]}, True),
        ({"kind": "oak", "spots": [], "height": 2, "owner": {"name": "A"}, "notes": [1]}, True),
        ({"kind": "ash", "spots": []}, False),
        ({"kind": "oak"}, False),
        ({"kind": "oak", "spots": [[1, "2"]]}, False),
        ({"kind": "oak", "spots": [], "owner": {}}, False),
        ({"kind": "oak", "spots": [], "height": "2"}, False),
        ({"kind": "oak", "spots": [], "colour": 1}, False),
    ],
)
def test_the_schema_of_a_call_types_its_arguments(arguments, is_valid):
    schema = Draft202012Validator(call_schema([TREE]))
    assert schema.is_valid({"name": "plant.tree", "arguments": arguments}) is is_valid
    assert not schema.is_valid({"name": "plant", "arguments": arguments})


def test_a_call_schema_keeps_the_order_of_writing_and_takes_a_list_only_for_several():
    call = {"name": "plant.tree", "arguments": {"kind": "oak", "spots": []}}
    assert list(call_schema([TREE])["properties"]) == ["name", "arguments"]
    assert list(call_schema([TREE])["properties"]["arguments"]["properties"])[:2] == ["kind", "height"]
    for several in (False, True):
        schema = Draft202012Validator(call_schema([TREE], several=several))
        assert schema.is_valid(call)
        assert schema.is_valid([call, call]) is several


@pytest.fixture(scope="module")
def questions():
    try:
        return calls("simple_python", stratum="s", limit=20, seed=0)
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.mark.network
def test_questions_are_named_after_what_they_derive_from(questions):
    assert len(questions) == 20
    assert all(item.problem.id.startswith("BFCL-derived/simple_python_") for item in questions)
    assert questions == calls("simple_python", stratum="s", limit=20, seed=0)


@pytest.mark.network
def test_an_accepted_call_fits_the_schema_and_passes_the_verifier(questions):
    verifier, form = function_call(), json_schema()
    flat = [
        item
        for item in questions
        if not any("dict" in str(f["parameters"]["properties"]) for f in item.reference["function"])
    ]
    assert len(flat) > 10
    for item in flat:
        ((name, accepted),) = item.reference["ground_truth"][0].items()
        arguments = {key: values[0] for key, values in accepted.items() if values[0] != ""}
        answer = verifier.read(json.dumps({"name": name, "arguments": arguments}))
        assert form.check(answer, item.problem, None).is_right, item.problem.id
        assert verifier.check(answer, item.problem, item.reference).is_right, item.problem.id


def test_an_unknown_category_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'simple_python'"):
        calls("simple_pyton", stratum="s")


# gym


@pytest.mark.parametrize("name", ["game_of_life_halting", "prime_factorization", "rush_hour", "countdown"])
def test_unsound_generators_are_refused_with_the_reason(name):
    with pytest.raises(BadInput) as caught:
        gym(name, stratum="s")
    assert REFUSED[name] in str(caught.value)


@pytest.fixture(scope="module")
def reasoning_gym():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("reasoning_gym", exc_type=ImportError)


def test_gym_items_depend_on_the_seed_and_their_place(reasoning_gym):
    few = gym("basic_arithmetic min_terms=2 max_terms=2", stratum="s", limit=2, seed=4)
    assert few == gym("basic_arithmetic min_terms=2 max_terms=2", stratum="s", limit=5, seed=4)[:2]
    assert few != gym("basic_arithmetic min_terms=2 max_terms=2", stratum="s", limit=2, seed=5)
    with pytest.raises(UnknownName, match="did you mean 'basic_arithmetic'"):
        gym("basic_arithmetik", stratum="s")
    with pytest.raises(BadInput, match="check its settings"):
        gym("basic_arithmetic min_term=2", stratum="s", limit=1)


def test_no_scorer_that_is_let_in_runs_the_answer(reasoning_gym):
    for name, (dataset, _) in reasoning_gym.factory.DATASETS.items():
        source = inspect.getsource(dataset.score_answer).replace('eval(entry["answer"])', "")
        runs = [word for word in ("eval(", "exec(", "parse_expr(", "sympify(") if word in source]
        assert not runs or name in REFUSED, name


# task files


def test_a_task_file_becomes_strata(tmp_path):
    write_task(
        tmp_path,
        'source = "jsonl:rows.jsonl"\nverifier = {name = "number", tolerance = 0.5}\nlimit = 4\nguess_options = 5\n'
        'system = "Add."\ntemplate = "Q: {question}"\nshots = [{question = "1 + 1 =", answer = "2"}]\n'
        'temperature = 0.5\nmax_tokens = 9\nstop = ["\\n"]\nmethods = ["once", "vote n=4"]\n',
    )
    task = read_task(tmp_path)
    (stratum,) = build_strata(task, names=NAMES.get)
    assert (task.name, task.seed, stratum.name, len(stratum.items), stratum.guess_options) == ("t", 3, "s", 4, 5)
    assert stratum.verifier.name == "number tolerance=0.5"
    assert stratum.recipe["methods"] == ["once", "vote n=4"]
    problem = stratum.items[0].problem
    assert [(m.role, m.content) for m in problem.prompt] == [
        ("system", "Add."),
        ("user", "Q: 1 + 1 ="),
        ("assistant", "2"),
        ("user", f"Q: {problem.id} + 1 ="),
    ]
    sampling = problem.sampling
    assert (sampling.temperature, sampling.max_tokens, sampling.stop, sampling.seed) == (0.5, 9, ("\n",), 3)
    assert problem.prompt == build_prompt(stratum.recipe, f"{problem.id} + 1 =")
    assert not problem.checkable


@pytest.mark.parametrize("kind", ["jsonl", "lr2bench", "stored-programs", "word-problems"])
def test_a_file_is_found_from_its_task_file_wherever_the_call_is_from(tmp_path, monkeypatch, kind):
    (tmp_path / "task").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_rows(tmp_path / "here" / "rows.jsonl", ROWS)
    write_task(tmp_path / "task", f'source = "{kind}:rows.jsonl"\n')
    (spec,) = read_task("../task").strata
    assert Path(spec.argument).resolve() == tmp_path / "task" / "rows.jsonl"
    assert spec.recipe["source"] == f"{kind}:rows.jsonl"


def test_a_family_of_word_problems_is_no_file_and_a_file_of_them_is_read_beside_its_task(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    names = {**NAMES, "sources": {"word-problems": word_problems}}.get
    write_task(tmp_path, 'source = "word-problems:diet kinds=2"\nlimit = 1\nverifier = "exact"\n')
    assert read_task(tmp_path).strata[0].argument == "diet kinds=2"
    assert len(build_strata(read_task(tmp_path), names=names)[0].items) == 1
    write_task(tmp_path, 'source = "word-problems:own file.jsonl"\nverifier = "exact"\n')
    write_rows(tmp_path / "here" / "own file.jsonl", [{"question": "Another?", "answer": 1}])
    write_rows(tmp_path / "own file.jsonl", [{"question": "Mine?", "answer": 2}])
    (item,) = build_strata(read_task(tmp_path), names=names)[0].items
    assert item.reference == "2" and item.problem.prompt[0].content.startswith("Mine?")


def test_the_smallest_limit_holds_and_a_seed_given_goes_first(tmp_path):
    write_task(tmp_path, 'source = "jsonl:rows.jsonl"\nlimit = 4\n')
    sizes = [len(build_strata(read_task(tmp_path, limit=n), names=NAMES.get)[0].items) for n in (2, 4, 9, None)]
    assert sizes == [2, 4, 4, 4]
    assert len(build_strata(read_task(tmp_path), names=NAMES.get, limit=1)[0].items) == 1
    assert read_task(tmp_path, seed=8).seed == 8


def test_a_lone_jsonl_file_is_a_task_whose_keys_may_be_set(tmp_path):
    path = write_rows(tmp_path / "sums.jsonl", ROWS)
    (plain,) = build_strata(read_task(path), names=NAMES.get)
    assert (plain.name, plain.verifier.name, len(plain.items)) == ("sums", "exact", 10)
    sets = {"sums": {"verifier": "number tolerance=1", "max_tokens": "7", "temperature": "0.1", "stop": "a,b"}}
    (tuned,) = build_strata(read_task(path, sets=sets), names=NAMES.get)
    sampling = tuned.items[0].problem.sampling
    assert tuned.verifier.name == "number tolerance=1.0"
    assert (sampling.max_tokens, sampling.temperature, sampling.stop) == (7, 0.1, ("a", "b"))
    with pytest.raises(UnknownName, match="did you mean 'sums'"):
        read_task(path, sets={"sum": {"limit": "1"}})


def test_a_check_must_need_no_reference(tmp_path):
    write_task(tmp_path, 'source = "csp:sudoku4"\nlimit = 1\ncheck = "constraint"\nsolver = "sudoku"\n')
    (stratum,) = build_strata(read_task(tmp_path), names=NAMES.get)
    assert stratum.items[0].problem.checkable
    assert (stratum.verifier.name, stratum.check.name) == ("constraint family=sudoku",) * 2
    write_task(tmp_path, 'source = "csp:sudoku4"\ncheck = "exact"\n')
    with pytest.raises(BadInput, match="'s': check 'exact' needs the reference"):
        build_strata(read_task(tmp_path), names=NAMES.get)


def test_stop_strings_end_what_constrain_holds_to_a_grammar_and_nothing_that_it_holds_to_a_schema(tmp_path):
    form = 'constrain = true\nstop = ["\\n"]\ngrammar = "root ::= [0-9]+"\n'
    write_task(tmp_path, f'source = "jsonl:rows.jsonl"\n{form}')
    rows = [{"id": "1", "prompt": "?", "reference": "a", "schema": {"type": "object"}}]
    write_rows(tmp_path / "rows.jsonl", [*rows, {"id": "2", "prompt": "?", "reference": "a"}])
    items = build_strata(read_task(tmp_path), names=NAMES.get)[0].items
    assert [item.problem.sampling.stop for item in items] == [(), ("\n",)]


def test_constrain_holds_every_attempt_to_the_grammar(tmp_path):
    write_task(tmp_path, 'source = "jsonl:rows.jsonl"\ngrammar = "root ::= [0-9]+"\n')
    problem = build_strata(read_task(tmp_path), names=NAMES.get)[0].items[0].problem
    assert (problem.grammar, problem.sampling.grammar) == ("root ::= [0-9]+", None)
    sets = {"s": {"constrain": "true"}}
    problem = build_strata(read_task(tmp_path, sets=sets), names=NAMES.get)[0].items[0].problem
    assert problem.sampling.grammar == "root ::= [0-9]+"
    write_task(tmp_path, 'source = "jsonl:rows.jsonl"\nconstrain = true\n')
    with pytest.raises(BadInput, match="nothing to hold '0' to"):
        build_strata(read_task(tmp_path), names=NAMES.get)


@pytest.mark.parametrize(
    ("stratum", "what"),
    [
        ('sorce = "jsonl:rows.jsonl"', "unknown key of [[stratum]] 'sorce'; did you mean 'source'"),
        ("", "source is None"),
        ('source = "rows.jsonl"', "source is 'rows.jsonl'"),
        ('source = "jsnl:rows.jsonl"', "unknown source 'jsnl'; did you mean 'jsonl'"),
        ('source = "jsonl:rows.jsonl"\nverifier = "numbr"', "unknown verifier 'numbr'; did you mean 'number'"),
        ('source = "jsonl:rows.jsonl"\nverifier = {name = "number", unit = true}', "did you mean 'units'"),
        ('source = "jsonl:rows.jsonl"\nsolver = "sudok"', "unknown solver 'sudok'; did you mean 'sudoku'"),
        ('source = "jsonl:rows.jsonl"\nmax_tokens = "9"', "max_tokens is '9'; it takes int"),
        ('source = "jsonl:rows.jsonl"\nmax_tokens = 0', "max_tokens is 0; it takes 1 or more"),
        ('source = "jsonl:rows.jsonl"\nlimit = true', "limit is True"),
        ('source = "jsonl:rows.jsonl"\ntemperature = -1', "temperature is -1"),
        ('source = "jsonl:rows.jsonl"\ntop_p = 2', "top_p is 2"),
        ('source = "jsonl:rows.jsonl"\nstop = [1]', "stop is [1]"),
        ('source = "jsonl:rows.jsonl"\ntemplate = "Q"', "no {question}"),
        ('source = "jsonl:rows.jsonl"\nshots = [{question = "x"}]', "a question and an answer"),
        ('source = "jsonl:rows.jsonl"\nshots = [{question = 1, answer = 2}]', "a question and an answer, both texts"),
        ('source = "jsonl:rows.jsonl"\n[[stratum]]\nname = "s"\nsource = "csp:sudoku4"', "two strata are called 's'"),
        ('source = "jsonl:rows.jsonl"\n[[stratum]]\nsource = "csp:sudoku4"', "without a name"),
        ('source = "none:x"', "unknown source 'none'"),
        ('source = "csp: "', "source is 'csp: '; write KIND:NAME"),
        ('source = "jsonl:rows.jsonl"\nverifier = " "', "unknown verifier ''"),
    ],
)
def test_a_bad_stratum_is_one_clear_line(tmp_path, stratum, what):
    write_task(tmp_path, stratum + "\n")
    with pytest.raises(BadInput) as caught:
        build_strata(read_task(tmp_path), names=NAMES.get)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (csp, "unknown csp family ''"),
        (gym, "unknown gym dataset ''"),
        (power_flow, "write a number first, as power_flow:3"),
        (quadratic, "write a number first, as quadratic:3"),
    ],
)
def test_a_source_of_nothing_says_what_to_write(source, what):
    with pytest.raises((BadInput, Unavailable), match=f"{what}|reasoning-gym is not installed"):
        source(" ", stratum="s")


def test_a_stratum_without_items_is_bad_input(tmp_path):
    write_task(tmp_path, 'source = "none:x"\n')
    with pytest.raises(BadInput, match="'s' has no items"):
        build_strata(read_task(tmp_path), names={**NAMES, "sources": {"none": lambda *_, **__: ()}}.get)


def test_malformed_toml_is_named_by_file_and_line(tmp_path):
    write_task(tmp_path, "source = \n")
    with pytest.raises(BadInput) as caught:
        read_task(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'task.toml'}:6: not valid TOML")


@pytest.mark.parametrize("name", ["rows.csv", "rows.json", "rows.parquet", "rows"])
def test_a_file_of_another_kind_says_what_to_write(tmp_path, name):
    (tmp_path / name).write_bytes(b"PAR1\xff prompt,reference")
    with pytest.raises(BadInput, match=rf"{name}' is neither TOML nor a .jsonl file; write .* a line$"):
        read_task(tmp_path / name)


def test_a_task_file_may_have_any_name(tmp_path):
    path = tmp_path / "task.conf"
    path.write_text('[[stratum]]\nname = "s"\nsource = "jsonl:x.jsonl"\n')
    assert [stratum.name for stratum in read_task(path).strata] == ["s"]


def test_the_case_of_a_suffix_does_not_matter(tmp_path):
    path = tmp_path / "ROWS.JSONL"
    path.write_text('{"prompt": "1 + 1 =", "reference": "2"}\n')
    assert [stratum.name for stratum in read_task(path).strata] == ["ROWS"]


def test_a_task_that_is_not_there_or_empty_says_what_to_give(tmp_path):
    with pytest.raises(BadInput, match=r"give a folder with a task\.toml"):
        read_task(tmp_path)
    (tmp_path / "task.toml").write_text("")
    with pytest.raises(BadInput, match="no stratum"):
        read_task(tmp_path)
    (tmp_path / "task.toml").write_text('[taks]\nname = "x"\n')
    with pytest.raises(UnknownName, match="did you mean 'task'"):
        read_task(tmp_path)


def test_a_chats_own_system_message_goes_before_the_recipes(tmp_path):
    turns = [{"role": "system", "content": "Own."}, {"role": "user", "content": "Hi"}]
    write_task(tmp_path, 'source = "jsonl:rows.jsonl"\nsystem = "Recipe."\n')
    write_rows(tmp_path / "rows.jsonl", [{"id": 1, "messages": turns, "reference": "x"}])
    (stratum,) = build_strata(read_task(tmp_path), names=NAMES.get)
    assert [m.content for m in stratum.items[0].problem.prompt] == ["Own.", "Hi"]

"""The constraint language: what it reads, what it refuses and where, and its JSON."""

from __future__ import annotations

import json
import math

import pytest

from trueup.core.csp import Const, Limits, Node, Ref, Table, parse, read_program
from trueup.core.csp.parse import Draft, read_line
from trueup.core.csp.values import broken, interval_of, value_of
from trueup.core.csp.wire import from_json, to_json
from trueup.core.errors import BadInput

EVERYTHING = """
# houses
enum Colour: red, green, "dark blue"
var front, back in Colour
int a, b in 1..4
int few in {2, 3, 5}
int grid[2,3] in 1..9
bool p
float v in -0.5..1.5
letter x, y, z
lexicon animals: cat, dog
con spells(animals, x, y, z) #w
con x == c
con a < b <= 4 and front != red #3
con front == "dark blue" or p
con alldifferent(grid[1,*])
con grid[a, 2] == 3
con sum(grid) <= 40 + 2 * a - b
con p implies count(grid[1,1] == 2, grid[1,2] == 2) >= 1
con table((a, b), (1, 2), (2, 3))
con v * v >= 0.25
minimize a + 2 * b
"""


def expr(text, declared="int a, b, c in 1..9\nbool p, q\nint g[2,2] in 1..9"):
    return parse(f"{declared}\ncon {text}").constraints[-1].expr


def test_json_gives_the_same_program_back():
    program = parse(EVERYTHING)
    assert from_json(json.loads(json.dumps(to_json(program)))) == program


def test_operations_bind_as_in_arithmetic_and_logic():
    a, b, c = Ref("a"), Ref("b"), Ref("c")
    assert expr("a + b * c == 7") == Node("==", (Node("+", (a, Node("*", (b, c)))), Const(7)))
    assert expr("a - b - c == 0") == Node("==", (Node("sum", (a, Node("neg", (b,)), Node("neg", (c,)))), Const(0)))
    assert expr("2 ^ a ^ b == -a ^ b").args[0] == Node("^", (Const(2), Node("^", (a, b))))
    assert expr("2 ^ a ^ b == -a ^ b").args[1] == Node("neg", (Node("^", (a, b)),))
    assert expr("not p and q or p") == Node("or", (Node("and", (Node("not", (Ref("p"),)), Ref("q"))), Ref("p")))
    assert expr("p -> q -> p") == Node("implies", (Ref("p"), Node("implies", (Ref("q"), Ref("p")))))
    assert expr("a = b <-> p") == Node("iff", (Node("==", (a, b)), Ref("p")))


def test_comparisons_chain():
    a, b, c = Ref("a"), Ref("b"), Ref("c")
    assert expr("a < b <= c") == Node("and", (Node("<", (a, b)), Node("<=", (b, c))))


def test_slices_are_their_cells():
    assert expr("alldifferent(g[1,*], a)").args == (Ref("g[1,1]"), Ref("g[1,2]"), Ref("a"))
    assert expr("sum(g[1..2,2]) == 3").args[0].args == (Ref("g[1,2]"), Ref("g[2,2]"))
    assert expr("sum(g) == 3").args[0].args == (Ref("g[1,1]"), Ref("g[1,2]"), Ref("g[2,1]"), Ref("g[2,2]"))
    assert expr("g[a,2] == 1").args[0].op == "element"


def test_an_element_is_the_cell_that_its_places_name():
    chosen = expr("g[a,b] == 1").args[0]
    values = {f"g[{r},{c}]": 10 * r + c for r in (1, 2) for c in (1, 2)}
    assert [value_of(chosen, values | {"a": r, "b": c}) for r in (1, 2) for c in (1, 2)] == [11, 12, 21, 22]


def test_an_element_has_no_value_at_a_place_that_is_none():
    chosen = parse("float p in -9..9\ncon element(p, 3, 4) == 3").constraints[0].expr.args[0]
    found = {
        place: value_of(chosen, {"p": place}) for place in (1, 1.0, 2 + 1e-9, 2 - 1e-9, 1.5, 1.9, 0, 3, -1, math.inf)
    }
    assert [place for place, value in found.items() if math.isnan(value)] == [1.5, 1.9, 0, 3, -1, math.inf]
    assert [value for value in found.values() if not math.isnan(value)] == [3, 4, 4]


def test_words_become_a_table_of_letters():
    program = parse("lexicon l: cat, dog, horse\nletter x, y\nletter z\ncon spells(l, x, y, z)")
    assert program.constraints[0].expr == Table((Ref("x"), Ref("y"), Ref("z")), ((2, 0, 19), (3, 14, 6)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("con a < b", "line 1, column 5: unknown name 'a'"),
        ("int a in 1..4\ncon a <", "line 2, column 8: a number, a name or a bracket is wanted here, not the end"),
        ("int a in 4..1", "line 1, column 10: bounds run from 4 to 1"),
        ("int a in 1..4\ncon a + 1", "line 2, column 5: this is a number"),
        ("int a in 1..4\ncon a == 1 and a", "line 2, column 12: 'and' takes what holds"),
        ("enum C: r, g\nvar x in C\ncon x == 2", "line 3, column 7: '==' compares a value of C with a number"),
        ("enum C: r\nenum D: r\nvar x in C\ncon x == r", "line 4, column 10: 'r' is a label of C and of D; write C.r"),
        ("int a in 1..3\ncon a ? 3", r"line 2, column 7: '\?' does not belong here"),
        ("int a in 1..3\ncon open(a)", "line 2, column 5: there is no 'open'"),
        ("int a in 1..3\ncon a == 1 b", "line 2, column 12: 'b' does not belong here"),
        ("int a in 1..3\nint a in 1..3", "line 2, column 5: 'a' is declared twice"),
        ("int in in 1..3", "line 1, column 5: 'in' is a word of the language"),
        ("int a in 0.5..3", "line 1, column 10: bounds 0.5 and 3 of an int must be whole"),
        ("int g[2] in 1..3\ncon g[3] == 1", "line 2, column 5: 'g' has places 1 to 2, not 3"),
        ("int g[2] in 1..3\ncon g[1.9] == 1", "line 2, column 5: 1.9 is no place; places are whole numbers from 1"),
        ("int g[2] in 1..3\ncon g[1.5 ] + 1 == 1", "line 2, column 5: 1.5 is no place"),
        ("int g[2] in 1..3\ncon sum(g[1..1.5]) == 1", "line 2, column 9: 1.5 is no place"),
        ("int g[2] in 1..3\ncon g == 1", "line 2, column 5: 'g' is an array"),
        ("variables a", "line 1, column 1: a line begins with con, var"),
        ("", "the program declares no variable"),
        ("int a in 1..3\ncon table((a), (1, 2))", "line 2, column 5: a row of the table has 2 values for 1 columns"),
        ("int a in 1..3\nminimize a\nmaximize a", "line 3, column 1: there is an objective already"),
        ("int a in 1..3\ncon abs(a, a) == 1", "line 2, column 5: 'abs' takes 1 arguments, not 2"),
        ("int a in 1..3\nbool p\ncon p implies (p or a < 2 or a)", "line 3, column 18: 'or' takes what holds"),
        ("enum C: r, g\nvar x, y in C\nminimize 1 + (x + y)", "line 3, column 17: two values of C cannot be added"),
        ("int a in 1..3\nint b[0] in 1..3", "line 2, column 10: array 'b' has a size of 0"),
        ("int a in 1..3\nvar b in Hue", "line 2, column 10: unknown enum 'Hue'"),
        ("enum C: r, r", "line 1, column 6: enum 'C' needs at least one label"),
        ("int a in 0..9999999999", "line 1, column 10: bounds 0 and 9999999999 go beyond"),
        ("int a in 1..3\ncon a == 99999999999999999", "line 2, column 10: 99999999999999999 is beyond"),
        ('int "g[1]" in 1..3\nint g[2] in 1..3', r"line 2, column 5: 'g\[1\]' is declared twice"),
    ],
)  # fmt: skip
def test_errors_say_where_and_what(text, message):
    with pytest.raises(BadInput, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "the program is"),
        ({"variables": []}, "there are none"),
        ({"variables": [{"name": "a", "type": "int", "low": 1}]}, r"variables\[0\].high is None; write a number"),
        ({"variables": [{"name": "a", "type": "hue"}]}, r"variables\[0\]: unknown enum 'hue'"),
        ({"variables": [{"name": "a", "type": "bool"}], "constraints": [{"expr": ["zap", "a"]}]}, "operation 'zap'"),
        ({"variables": [{"name": "a", "type": "bool"}], "constraints": [{"expr": ["not", None]}]}, "is None"),
        ({"variables": [{"name": "a", "type": "bool"}], "constraints": [{"expr": "b"}]}, "unknown variable 'b'"),
    ],
)
def test_json_errors_say_where_and_what(value, message):
    with pytest.raises(BadInput, match=message):
        from_json(value)


def a_program(*constraints, **parts):
    grid = {"name": "g", "type": "int", "low": 1, "high": 9, "size": [2, 2]}
    variables = [{"name": "a", "type": "int", "low": 1, "high": 2}, {"name": "p", "type": "bool"}, grid]
    return {"variables": variables, "constraints": [{"expr": expr} for expr in constraints], **parts}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (a_program(objectve={}), "unknown key of the program 'objectve'; did you mean 'objective'"),
        ({"variables": [{"name": "a", "type": "int", "lo": 1, "high": 2}]}, "variables\\[0\\] 'lo'; did .* 'low'"),
        ({"variables": [{"name": "a", "type": "int", "values": [1], "high": 2}]}, "key of variables\\[0\\] 'high'"),
        ({"variables": [{"name": "a", "type": "bool", "low": 0}]}, "key of variables\\[0\\] 'low'"),
        ({"variables": [{"name": "a", "type": "bool", "size": [0]}]}, "variables\\[0\\].size is \\[0\\]"),
        ({"variables": [{"name": "a", "type": "bool"}, {"name": "a", "type": "bool"}]}, "variables\\[1\\]: 'a' is"),
        (a_program(constraints=[{"expr": "p", "clu": 1}]), "key of constraints\\[0\\] 'clu'; did you mean 'clue'"),
        (a_program(constraints=[{"expr": "p", "clue": None}]), "constraints\\[0\\].clue is None; write a text"),
        (a_program(objective={"sense": "minimize", "expr": "a", "of": 1}), "key of objective 'of'"),
        (a_program(["==", "g", 1]), "'==' takes 2 arguments, not 5"),
        (a_program(["not", ["cell", "g", 1, "*"]]), "constraints\\[0\\]: 'not' takes 1 arguments, not 2"),
        (a_program(["==", ["cell", "g", 3, 1], 1]), "'g' has places 1 to 2, not 3"),
        (a_program(["==", ["cell", "g", 1.9, 1], 1]), "constraints\\[0\\].expr\\[1\\]: 1.9 is no place; places are"),
        (a_program(["==", ["cell", "g", "a", "*"], 1]), "a slice of 'g' and a place that is not a number"),
        (a_program(["==", ["cell", "g", [".."], 1], 1]), 'a range of cells is written \\["..", FIRST, LAST\\]'),
        (a_program(["==", ["cell", "h", 1], 1]), "unknown array 'h'"),
        (a_program("g"), "these are 4 cells; one is wanted here"),
        (a_program(["spells", "l", "a"], lexicons={"l": ["cat"]}), "spells takes variables declared as letter"),
        (a_program(["spells", "m", "a"], lexicons={"l": ["cat"]}), "unknown lexicon 'm'"),
        (a_program(["+", "a", 1]), "constraints\\[0\\]: this is a number"),
        (a_program(["==", "a", ["label", "X", "y"]]), "constraints\\[0\\].expr\\[2\\]: unknown enum 'X'"),
        (a_program(["spells", "x", "a"]), "constraints\\[0\\].expr: unknown lexicon 'x'"),
        (a_program(["cell", "g", 1]), "constraints\\[0\\].expr: 'g' has 2 dimensions, not 1"),
        (a_program(enums={"E": []}), "enums.E: enum 'E' needs at least one label"),
        (a_program(enums={"E": ["a\nb"]}), "enums.E has 'a\\\\nb', which holds a line break"),
        (a_program(constraints=[{"expr": "p", "clue": "1\nint b"}]), "constraints\\[0\\].clue has .* a line break"),
    ],
)  # fmt: skip
def test_json_drops_nothing_that_it_does_not_know(value, message):
    with pytest.raises(BadInput, match=message):
        from_json(value)


def test_json_that_says_one_thing_twice_is_refused():
    row = '{"name": "a", "type": "bool"}'
    with pytest.raises(BadInput, match="the key 'variables' twice in one object"):
        read_program(f'{{"variables": [{row}], "variables": [{row}, {row}]}}')


TWIN = {
    "enums": {"Colour": ["red", "green", "dark blue"]},
    "variables": [
        {"name": "front", "type": "Colour"}, {"name": "back", "type": "Colour"},
        {"name": "a", "type": "int", "low": 1, "high": 4}, {"name": "b", "type": "int", "low": 1, "high": 4},
        {"name": "few", "type": "int", "values": [2, 3, 5]},
        {"name": "grid", "type": "int", "low": 1, "high": 9, "size": [2, 3]},
        {"name": "p", "type": "bool"}, {"name": "v", "type": "float", "low": -0.5, "high": 1.5},
        {"name": "x", "type": "letter"}, {"name": "y", "type": "letter"}, {"name": "z", "type": "letter"},
    ],
    "lexicons": {"animals": ["cat", "dog"]},
    "constraints": [
        {"expr": ["spells", "animals", "x", "y", "z"], "clue": "w"},
        {"expr": ["==", "x", ["label", "letter", "C"]]},
        {"expr": ["and", ["and", ["<", "a", "b"], ["<=", "b", 4]], ["!=", "front", ["label", "Colour", "red"]]],
         "clue": 3},
        {"expr": ["or", ["==", "front", ["label", "Colour", "dark blue"]], "p"]},
        {"expr": ["alldifferent", ["cell", "grid", 1, "*"]]},
        {"expr": ["==", ["cell", "grid", "a", 2], 3]},
        {"expr": ["<=", ["sum", "grid"], ["sum", 40, ["*", 2, "a"], ["neg", "b"]]]},
        {"expr": ["implies", "p", [">=", ["count", ["==", "grid[1,1]", 2], ["==", ["cell", "grid", 1, 2], 2]], 1]]},
        {"expr": ["table", ["a", "b"], [[1, 2], [2, 3]]]},
        {"expr": [">=", ["*", "v", "v"], 0.25]},
    ],
    "objective": {"sense": "minimize", "expr": ["+", "a", ["*", 2, "b"]]},
}  # fmt: skip


def test_json_says_all_that_the_lines_say():
    said, written = parse(EVERYTHING), read_program(json.dumps(TWIN))
    assert written.variables == said.variables
    assert [(one.expr, one.clue) for one in written.constraints] == [(one.expr, one.clue) for one in said.constraints]
    assert written.objective == said.objective


def test_json_has_slices_truths_and_tables_of_cells_too():
    lines = "int a in 1..2\nbool p\nint g[2,2] in 1..9\n"
    said = parse(f"{lines}con sum(g[1..2,2]) == 3\ncon p iff true\ncon table((g[1,*]), (1, 2))\ncon g[a,g[1,1]] == 1")
    written = from_json(
        a_program(
            ["==", ["sum", ["cell", "g", ["..", 1, 2], 2]], 3], ["iff", "p", True],
            ["table", [["cell", "g", 1, "*"]], [[1, 2]]], ["==", ["cell", "g", "a", ["cell", "g", 1, 1]], 1],
        )
    )  # fmt: skip
    assert [one.expr for one in written.constraints] == [one.expr for one in said.constraints]


def test_labels_of_an_enumeration_without_a_variable_are_written_too():
    program = parse("enum C: r, g\nint a in 0..1\ncon C.r != C.g")
    assert value_of(from_json(to_json(program)).constraints[0].expr, {}) == 1


@pytest.mark.parametrize(
    ("text", "limits", "what"),
    [
        ("int a[20] in 1..3", Limits(variables=10), "line 1, column 5: .* variables 20"),
        ("int a in 1..3\ncon " + "(" * 80 + "a == 1" + ")" * 80, Limits(), "line 2, column 55: .* depth 51"),
        ("int a in 1..3\ncon " + "-" * 500 + "a == 1", Limits(), "depth 51"),
        ("int a in 1..3\ncon a == 1\ncon a == 1", Limits(constraints=1), "line 3, column 5: .* constraints 2"),
        ("int a in 1..3\ncon a + a + a == 1", Limits(nodes=4), "line 2, column 5: .* nodes 6"),
        ("int a in 1..3\n" + "#" * 100, Limits(characters=50), "characters"),
        ("int a in 1..3\ncon table((a), (1), (2), (3))", Limits(table_cells=2), "column 5: .* table cells 3"),
    ],
)
def test_everything_is_bounded(text, limits, what):
    with pytest.raises(BadInput, match=what):
        parse(text, limits)


def test_deep_json_is_refused_before_it_is_walked():
    deep = "a"
    for _ in range(60):
        deep = ["not", deep]
    with pytest.raises(BadInput, match="depth 51"):
        from_json({"variables": [{"name": "a", "type": "bool"}], "constraints": [{"expr": deep}]})


def test_a_bound_is_never_below_what_an_expression_can_come_to():
    declared = "int a in -3..2\nint b in 1..3\nint g[2] in {1, 5}"
    program = parse(declared + "\ncon abs(a * b) + a ^ 2 - min(a, b) * max(a, 2) + g[b] + count(a < b, a == 1) >= 0")
    target = program.constraints[0].expr.args[0]
    low, high = interval_of(target, {v.name: v for v in program.variables})
    reached = [value_of(target, {"a": a, "b": b, "g[1]": 1, "g[2]": 5}) for a in range(-3, 3) for b in (1, 2)]
    assert low <= min(reached) <= max(reached) <= high


def test_a_constraint_with_an_undefined_part_does_not_hold_wherever_that_stands():
    program = parse("int i in 1..4\nint g[3] in 0..5\ncon i == 4 or g[i] == 2 #a\ncon not g[g[i]] == 1 #b")
    cells = {"g[1]": 0, "g[2]": 2, "g[3]": 5}
    assert [list(broken(program, cells | {"i": i})) for i in (1, 2, 3, 4)] == [["a", "b"], [], ["a", "b"], ["a", "b"]]


@pytest.mark.parametrize("text", ["x ^ (-1) == 5", "x ^ (x - 3) == 5"])
def test_a_power_that_may_be_undefined_has_no_bounds_among_whole_numbers(text):
    program = parse(f"int x in 0..2\ncon {text}")
    with pytest.raises(BadInput, match="exponent that is not from 1 to 8"):
        interval_of(program.constraints[0].expr.args[0], {v.name: v for v in program.variables})


def test_what_is_broken_is_told_by_its_clue():
    program = parse("int a, b in 1..3\ncon a < b #first\ncon a + b == 9\ncon b <= 3 #last")
    assert list(broken(program, {"a": 2, "b": 1})) == ["first", "line 3"]
    assert list(broken(program, {"a": 4, "b": 5})) == [
        "a = 4 is outside its domain", "b = 5 is outside its domain", "last",
    ]  # fmt: skip


def test_a_declaration_that_is_refused_leaves_nothing_behind():
    draft = Draft(Limits())
    read_line(draft, 'int "g[2]" in 0..1')
    for line in ("int g[3] in 0..1", "con g[3] == 1", "con sum(g) == 1"):
        with pytest.raises(BadInput):
            read_line(draft, line)
    assert [variable.name for variable in draft.program().variables] == ["g[2]"]

"""Reads a stored program of Logic-LM into ours.

Pan et al. 2023, arXiv:2305.12295: sections Domain, Variables, Constraints and Query, written for python-constraint.

    Variables:
    red_book [IN] [1, 2, 3]
    Constraints:
    red_book > blue_book ::: The red book is to the right of the blue book.
    AllDifferentConstraint([red_book, blue_book]) ::: All books have different values.
    Query:
    A) red_book == 3 ::: The red book is the rightmost.

There its lines are run as Python. Here they are parsed as Python's syntax and taken only as far as they compare
variables and whole numbers, so that nothing of them is ever run.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trueup.core.csp import Const, Constraint, Expr, Node, Program, Ref, Variable
from trueup.core.csp.limits import LIMITS
from trueup.core.csp.program import INT
from trueup.core.csp.scope import RESERVED
from trueup.core.csp.types import verified
from trueup.core.errors import BadInput

SECTIONS = ("Domain", "Variables", "Constraints", "Query")
SECTION = re.compile(r"^\s*(\w+)\s*:\s*$")
DECLARED = re.compile(r"\s*(\w+)\s*\[IN\]\s*\[([-\d,\s]*)\]\s*")
OPTION = re.compile(r"\s*([A-Z])\s*\)\s*(.*)")
REMARK = ":::"
ALL_DIFFERENT = "AllDifferentConstraint"
LONGEST_LINE = 2_000
COMPARED: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
COMPUTED: Mapping[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*"}


@dataclass(frozen=True, slots=True)
class Stored:
    """A program, and what each option says of its variables."""

    program: Program
    options: Mapping[str, Expr]

    def with_option(self, name: str, *, holds: bool) -> Program:
        """The program, with what an option says or its contrary."""
        said = self.options[name] if holds else Node("not", (self.options[name],))
        constraints = (*self.program.constraints, Constraint(said, f"option {name}"))
        return Program(self.program.variables, constraints)


def read_stored(text: str) -> Stored:
    """The program in a text.

    Raises BadInput, with the line, for the first thing that is not of this layout.
    """
    LIMITS.hold("characters", len(text))
    sections = _sections(text)
    variables = tuple(_variable(number, line) for number, line in sections["Variables"])
    if not variables:
        raise BadInput("the program has no line below `Variables:`; write `a [IN] [1, 2, 3]`")
    known = {variable.name for variable in variables}
    if len(known) < len(variables):
        raise BadInput("the program declares a variable twice; give each a name of its own")
    constraints = tuple(
        Constraint(_condition(number, line, known), _clue(line, number), number)
        for number, line in sections["Constraints"]
    )
    answers = [_option(number, line, known) for number, line in sections["Query"]]
    options = dict(answers)
    if len(options) < len(answers):
        raise BadInput("the program has two options of one letter; give each a letter of its own")
    stored = Stored(verified(Program(variables, constraints)), options)
    for name in options:
        verified(stored.with_option(name, holds=True))
    return stored


def stored_or_why_not(text: str) -> Stored | str:
    """The program in a text, or in words why there is none."""
    try:
        return read_stored(text)
    except BadInput as error:
        return str(error)


def _sections(text: str) -> dict[str, list[tuple[int, str]]]:
    """The numbered lines below each heading; what stands before the first is none of the program."""
    sections: dict[str, list[tuple[int, str]]] = {name: [] for name in SECTIONS}
    current: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        heading = SECTION.match(line)
        if heading and heading[1] in sections:
            current = sections[heading[1]]
        elif line.strip():
            current.append((number, line))
    return sections


def _variable(number: int, line: str) -> Variable:
    match = DECLARED.fullmatch(line.partition(REMARK)[0])
    values = match and [one.strip() for one in match[2].split(",")]
    if not match or not values or not all(re.fullmatch(r"-?\d{1,9}", one) for one in values):
        raise BadInput(f"line {number}: {line.strip()[:60]!r} declares no variable; write `a [IN] [1, 2, 3]`")
    if match[1] in RESERVED:
        raise BadInput(f"line {number}: {match[1]!r} is a word of the solver's language; choose another name")
    numbers = tuple(sorted({int(one) for one in values}))
    return Variable(match[1], INT, numbers[0], numbers[-1], numbers)


def _option(number: int, line: str, known: set[str]) -> tuple[str, Expr]:
    match = OPTION.fullmatch(line)
    if not match:
        raise BadInput(f"line {number}: {line.strip()[:60]!r} is no option; write `A) a == 1`")
    return match[1], _condition(number, match[2], known)


def _clue(line: str, number: int) -> str:
    """What a line says of itself, to tell a conflict by."""
    return " ".join(line.partition(REMARK)[2].split()) or f"line {number}"


def _condition(number: int, line: str, known: set[str]) -> Expr:
    written = line.partition(REMARK)[0].strip()
    try:
        if len(written) > LONGEST_LINE:
            raise BadInput(f"it has {len(written):,} characters; at most {LONGEST_LINE:,} are taken")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(written, mode="eval")
        return _expression(tree.body, known)
    except BadInput as error:
        raise BadInput(f"line {number}: {error}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadInput(f"line {number}: {written[:60]!r} is no condition; write one such as `a < b`") from None


def _expression(tree: ast.expr, known: set[str]) -> Expr:
    """What is allowed, piece by piece; everything else is refused by name."""
    match tree:
        case ast.Name(id=name):
            if name not in known:
                raise BadInput(f"{name!r} is no variable of this program; declare it below `Variables:`")
            return Ref(name)
        case ast.Constant(value=value) if type(value) is int and abs(value) <= LIMITS.span:
            return Const(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Node("neg", (_expression(operand, known),))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Node("not", (_expression(operand, known),))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in COMPUTED:
            return Node(COMPUTED[type(op)], (_expression(left, known), _expression(right, known)))
        case ast.BoolOp(op=op, values=values):
            return Node("and" if isinstance(op, ast.And) else "or", _each(values, known))
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _compared(left, ops, others, known)
        case ast.Call(func=ast.Name(id="abs"), args=[one], keywords=[]):
            return Node("abs", (_expression(one, known),))
        case ast.Call(func=ast.Name(id=name), args=[ast.List(elts=elements)], keywords=[]) if name == ALL_DIFFERENT:
            return Node("alldifferent", _each(elements, known))
    raise BadInput(f"{type(tree).__name__} is not taken here; compare variables and whole numbers")


def _compared(left: ast.expr, ops: Sequence[ast.cmpop], others: Sequence[ast.expr], known: set[str]) -> Expr:
    """A comparison, or a chain of them as `a < b < c`."""
    if isinstance(ops[0], ast.In) and len(ops) == 1 and isinstance(others[0], (ast.List, ast.Tuple)):
        return Node("oneof", (_expression(left, known), *_each(others[0].elts, known)))
    odd = next((op for op in ops if type(op) not in COMPARED), None)
    if odd is not None:
        raise BadInput(f"{type(odd).__name__} compares nothing here; take one of {', '.join(COMPARED.values())}")
    sides = [_expression(one, known) for one in (left, *others)]
    pairs = tuple(Node(COMPARED[type(op)], (sides[i], sides[i + 1])) for i, op in enumerate(ops))
    return pairs[0] if len(pairs) == 1 else Node("and", pairs)


def _each(trees: Sequence[ast.expr], known: set[str]) -> tuple[Expr, ...]:
    return tuple(_expression(tree, known) for tree in trees)

"""The line language: text to program, with positions in its errors.

    enum Colour: red, green, "dark blue"
    int a, b in 1..4              bool p              float v in 0.9..1.1
    var front, back in Colour     letter x, y         int grid[9,9] in 1..9
    lexicon animals: cat, dog
    con a < b and front != red #3
    con alldifferent(grid[1,*])
    minimize a + 2 * b

A line that begins with # is a remark; behind a constraint # names its clue. A constraint that has an undefined part
does not hold, wherever in it that stands: with i == 4, `con i == 4 or g[i] == 2` fails for a `g` of 3 cells. Nothing is
ever run or evaluated as a language of somebody else's, and everything is bounded by `Limits`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from trueup.core.csp.expressions import read_expression
from trueup.core.csp.lexer import read_words
from trueup.core.csp.limits import LIMITS, Limits
from trueup.core.csp.program import FLOAT, INT, MAXIMIZE, MINIMIZE, Constraint, Expr, Objective, Program, Variable
from trueup.core.csp.reader import Reader, read_number
from trueup.core.csp.scope import LETTER, Domain, Scope, bool_domain, range_domain, set_domain
from trueup.core.csp.types import Meter, SenselessError, verify, verify_truth
from trueup.core.errors import BadInput

DIGITS = 9
VAR = "var"


class Declared(NamedTuple):
    """A name that a line declares, where it stands in it, and the sizes of an array."""

    place: int
    name: str
    sizes: list[int]


class Draft:
    """What has been read of a program so far."""

    def __init__(self, limits: Limits) -> None:
        """Nothing yet."""
        self.scope = Scope(limits)
        self.constraints: list[Constraint] = []
        self.objective: Objective | None = None
        self.meter = Meter(limits)

    def program(self) -> Program:
        """The program so far."""
        return Program(tuple(self.scope.variables.values()), tuple(self.constraints), self.objective)


def parse(text: str, limits: Limits = LIMITS) -> Program:
    """The program that a text in the line language states.

    Raises BadInput, with line and column, for what the language does not allow or the limits exceed.
    """
    limits.hold("characters", len(text))
    draft = Draft(limits)
    for number_, line in enumerate(text.splitlines(), 1):
        try:
            read_line(draft, line, number_)
        except BadInput as error:
            raise BadInput(f"line {number_}, {error}") from None
    if not draft.scope.variables:
        raise BadInput("the program declares no variable; begin with a line such as `int a, b in 1..4`")
    return draft.program()


def read_line(draft: Draft, line: str, number_: int = 0) -> None:
    """Take one line up into the draft.

    Raises BadInput, with the column, for what the language does not allow or the limits exceed.
    """
    reader = Reader(read_words(line), draft.scope)
    if reader.is_done:
        return
    word = reader.take()
    statement = _STATEMENTS.get(word)
    try:
        if statement is None:
            raise BadInput(f"a line begins with {', '.join(_STATEMENTS)}, not {word!r}")
        statement(draft, reader, word, number_)
    except BadInput as error:
        raise reader.placed(error, 0) from None
    if not reader.is_done:
        raise reader.error(f"{reader.shown()} does not belong here")


def _constraint(draft: Draft, reader: Reader, word: str, number_: int) -> None:
    reader.hold("constraints", len(draft.constraints) + 1)
    expr = _sensible(draft, reader, verify_truth)
    clue = reader.text[1:].strip() if reader.is_done else ""
    draft.constraints.append(Constraint(expr, clue, number_))


def _objective(draft: Draft, reader: Reader, word: str, number_: int) -> None:
    if draft.objective is not None:
        raise BadInput("there is an objective already; a program has one")
    draft.objective = Objective(word, _sensible(draft, reader, verify))


def _sensible(draft: Draft, reader: Reader, check: Callable[[Expr, Mapping[str, Variable], Meter], object]) -> Expr:
    """An expression that makes sense, within the limits."""
    place = reader.place
    expr = read_expression(reader)
    try:
        check(expr, draft.scope.variables, draft.meter)
    except SenselessError as error:
        raise reader.placed(error, reader.place_of(error.expr, place)) from None
    except BadInput as error:
        raise reader.placed(error, place) from None
    return expr


def _number_variables(draft: Draft, reader: Reader, word: str, number_: int) -> None:
    _variables(draft, reader, None, word)


def _bool_variables(draft: Draft, reader: Reader, word: str, number_: int) -> None:
    _variables(draft, reader, bool_domain())


def _letter_variables(draft: Draft, reader: Reader, word: str, number_: int) -> None:
    _variables(draft, reader, draft.scope.domain_of(LETTER))


def _variables(draft: Draft, reader: Reader, domain: Domain | None, kind: str = "") -> None:
    """Names, each with its sizes if it is an array, and behind them the domain, unless the first word gave it."""
    named = [_declared(reader)]
    while reader.skip(","):
        named.append(_declared(reader))
    if domain is None:
        reader.want("in")
        domain = _domain(draft, reader, kind)
    for one in named:
        try:
            draft.scope.declare(one.name, one.sizes, domain)
        except BadInput as error:
            raise reader.placed(error, one.place) from None


def _declared(reader: Reader) -> Declared:
    if not reader.is_named:
        raise reader.error(f"a name is wanted here, not {reader.shown()}")
    place, name, sizes = reader.place, reader.take(), list[int]()
    if reader.skip("["):
        sizes.append(_whole(reader))
        while reader.skip(","):
            sizes.append(_whole(reader))
        reader.want("]")
        if not all(sizes):
            raise reader.error(f"array {name!r} has a size of 0; give at least 1")
    return Declared(place, name, sizes)


def _domain(draft: Draft, reader: Reader, kind: str) -> Domain:
    """The bounds of numbers, or for `var` an enumeration too."""
    place = reader.place
    try:
        if kind == VAR and reader.is_named:
            return draft.scope.domain_of(reader.take())
        return _bounds(reader, INT if kind == VAR else kind, draft.scope.limits)
    except BadInput as error:
        raise reader.placed(error, place) from None


def _bounds(reader: Reader, kind: str, limits: Limits) -> Domain:
    if kind == INT and reader.skip("{"):
        values = [_signed(reader)]
        while reader.skip(","):
            values.append(_signed(reader))
        reader.want("}")
        return set_domain([int(value) for value in values], limits)
    low = _signed(reader)
    reader.want("..")
    return range_domain(kind, low, _signed(reader), limits)


def _enum(draft: Draft, reader: Reader, word: str, number_: int) -> None:
    _listed(reader, draft.scope.enumerate)


def _lexicon(draft: Draft, reader: Reader, word: str, number_: int) -> None:
    _listed(reader, draft.scope.list_words)


def _listed(reader: Reader, take: Callable[[str, Sequence[str]], None]) -> None:
    """A name and behind a colon its words, taken up."""
    declared = _declared(reader)
    reader.want(":")
    words = _words(reader)
    try:
        take(declared.name, words)
    except BadInput as error:
        raise reader.placed(error, declared.place) from None


def _words(reader: Reader) -> list[str]:
    found = []
    while True:
        if not reader.is_named and reader.sort != "number":
            raise reader.error(f"a label is wanted here, not {reader.shown()}")
        found.append(reader.take())
        if not reader.skip(","):
            return found


def _signed(reader: Reader) -> int | float:
    sign = -1 if reader.skip("-") else 1
    if reader.sort != "number":
        raise reader.error(f"a number is wanted here, not {reader.shown()}")
    return sign * read_number(reader)


def _whole(reader: Reader) -> int:
    value = _signed(reader)
    if not isinstance(value, int) or value < 0 or len(str(value)) > DIGITS:
        raise reader.error(f"a size is a whole number, not {value}; a size has at most {DIGITS} digits")
    return value


_STATEMENTS: dict[str, Callable[[Draft, Reader, str, int], None]] = {
    "con": _constraint,
    VAR: _number_variables,
    INT: _number_variables,
    FLOAT: _number_variables,
    "bool": _bool_variables,
    "letter": _letter_variables,
    "enum": _enum,
    "lexicon": _lexicon,
    MINIMIZE: _objective,
    MAXIMIZE: _objective,
}

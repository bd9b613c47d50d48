"""The tokens of a line, how far they are read, and where errors stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from trueup.core.csp.lexer import Token
from trueup.core.csp.program import Expr
from trueup.core.csp.scope import Scope
from trueup.core.errors import BadInput

LARGEST, DIGITS, SHOWN = 10**15, 18, 20


@dataclass(slots=True)
class Reader:
    """The tokens of a line, and how far they have been read."""

    tokens: Sequence[Token]
    scope: Scope
    place: int = 0
    depth: int = 0
    columns: dict[int, tuple[Expr, int]] = field(default_factory=dict)
    """By the identity of an expression, itself, so that no other takes that over, and its column."""

    @property
    def here(self) -> Token:
        """The next token."""
        return self.tokens[self.place]

    def take(self) -> Token:
        """The next token, which is then behind us."""
        token = self.tokens[self.place]
        self.place += token.sort != "end"
        return token

    def skip(self, mark: str) -> bool:
        """Whether this mark came next; if so it is behind us."""
        token = self.tokens[self.place]
        is_next = token.text == mark and token.sort in ("mark", "name")
        self.place += is_next
        return is_next

    def want(self, mark: str) -> None:
        """Raise BadInput unless this mark comes next."""
        if not self.skip(mark):
            raise self.error(f"{mark!r} is wanted here, not {self.shown()}")

    def error(self, message: str) -> BadInput:
        """An error at the next token."""
        return BadInput(f"column {self.here.column}: {message}")

    def hold(self, what: str, amount: int) -> None:
        """Raise BadInput at the next token where there is more of something than is allowed."""
        try:
            self.scope.limits.hold(what, amount)
        except BadInput as error:
            raise self.error(str(error)) from None

    def marked(self, expr: Expr, column: int) -> Expr:
        """An expression, whose column is kept: of an infix operation its sign's, else where it begins."""
        self.columns.setdefault(id(expr), (expr, column))
        return expr

    def shown(self) -> str:
        """The next token in an error's words."""
        return "the end of the line" if self.here.sort in ("end", "clue") else repr(self.here.text)


def placed(error: BadInput, column: int) -> BadInput:
    """An error with the column that it has, else with this one."""
    return error if str(error).startswith("column ") else BadInput(f"column {column}: {error}")


def read_number(reader: Reader) -> int | float:
    """The number that the next token stands for, whole where it has no point.

    Raises BadInput for one that no solver holds exactly.
    """
    text = reader.here.text
    value = int(text) if text.isdecimal() and len(text) <= DIGITS else float(text)
    if abs(value) > LARGEST:
        raise reader.error(f"{text[:SHOWN]} is beyond {LARGEST:,}; scale the program")
    reader.take()
    return value

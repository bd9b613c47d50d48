"""The words of a line, how far they are read, and where errors stand."""

from __future__ import annotations

from trueup.core.csp.lexer import Line
from trueup.core.csp.program import Expr
from trueup.core.csp.scope import Scope
from trueup.core.errors import BadInput

LARGEST, DIGITS, SHOWN = 10**15, 18, 20


class Reader:
    """The words and marks of a line, and how far they have been read."""

    __slots__ = ("_line", "_places", "depth", "place", "scope", "sort", "text")

    def __init__(self, line: Line, scope: Scope) -> None:
        """At the line's first word."""
        self._line, self.scope = line, scope
        self.place, self.depth = 0, 0
        self.text, self.sort = line.texts[0], line.sorts[0]
        """The next word, and what it is."""
        self._places: dict[int, tuple[Expr, int]] = {}
        """By the identity of an expression, itself, so that no other takes that over, and its place."""

    def take(self) -> str:
        """The next word, which is then behind us."""
        text = self.text
        if self.sort != "end":
            self.place += 1
            self.text, self.sort = self._line.texts[self.place], self._line.sorts[self.place]
        return text

    def skip(self, mark: str) -> bool:
        """Whether this mark came next; if so it is behind us."""
        if self.text != mark or self.sort not in ("mark", "name"):
            return False
        self.take()
        return True

    def want(self, mark: str) -> None:
        """Raise BadInput unless this mark comes next."""
        if not self.skip(mark):
            raise self.error(f"{mark!r} is wanted here, not {self.shown()}")

    @property
    def is_named(self) -> bool:
        """Whether a name comes next, quoted or not."""
        return self.sort in ("name", "quoted")

    @property
    def is_done(self) -> bool:
        """Whether nothing comes but a clue."""
        return self.sort in ("end", "clue")

    @property
    def ahead(self) -> str:
        """The word behind the next one; nothing at the end."""
        return "" if self.sort == "end" else self._line.texts[self.place + 1]

    def error(self, message: str) -> BadInput:
        """An error at the next word."""
        return self.placed(BadInput(message), self.place)

    def placed(self, error: BadInput, place: int) -> BadInput:
        """An error with the column that it has, else with that of the word at this place."""
        if str(error).startswith("column "):
            return error
        return BadInput(f"column {self._line.column(place)}: {error}")

    def hold(self, what: str, amount: int) -> None:
        """Raise BadInput at the next word where there is more of something than is allowed."""
        try:
            self.scope.limits.hold(what, amount)
        except BadInput as error:
            raise self.error(str(error)) from None

    def marked(self, expr: Expr, place: int) -> Expr:
        """An expression, whose place is kept: of an infix operation its sign's, else where it begins."""
        self._places.setdefault(id(expr), (expr, place))
        return expr

    def place_of(self, expr: Expr, otherwise: int) -> int:
        """The place that was kept of an expression."""
        return self._places.get(id(expr), (expr, otherwise))[1]

    def shown(self) -> str:
        """The next word in an error's words."""
        return "the end of the line" if self.is_done else repr(self.text)


def read_number(reader: Reader) -> int | float:
    """The number that the next word stands for, whole where it has no point.

    Raises BadInput for one that no solver holds exactly.
    """
    text = reader.text
    value = int(text) if text.isdecimal() and len(text) <= DIGITS else float(text)
    if abs(value) > LARGEST:
        raise reader.error(f"{text[:SHOWN]} is beyond {LARGEST:,}; scale the program")
    reader.take()
    return value

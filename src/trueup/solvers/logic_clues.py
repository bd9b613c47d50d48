"""Clues of logic puzzles in words, read by rules into constraints.

Every value of a category other than the first is a variable: the place, among the values of the first category, of what
it belongs to. A clue is the values that it names, in order, and what stands between them. A clue that no rule reads is
left out, which can only leave a puzzle with several solutions, never with a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

from trueup.core.csp.program import INT, Const, Constraint, Expr, Node, Program, Ref, Variable
from trueup.core.puzzles.logic import LogicPuzzle
from trueup.solvers.clue_words import COMPARED, NUMBER_WORDS, forms_of, goes_on, is_named, measured, plain, scale
from trueup.solvers.magnitudes import magnitudes

NEGATION = re.compile(r"n'?t\b|\bnothing\b|\bnot\b|\bnever\b|\bno\b|\bcannot\b|\bnor\b")
COUNTED = re.compile(rf"^the (?:{'|'.join(NUMBER_WORDS)}|\d+) [a-z' -]+? (?:are|were|include|included)\b")
SLOT = re.compile(r"«(\d+)»")


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a category, and the expression of its place."""

    category: str
    text: str
    place: Expr


@dataclass(frozen=True, slots=True)
class Marked:
    """A clue with its values cut out: `«0» doesn't manage «1»`."""

    text: str
    values: tuple[Value, ...]
    offset: float | None = None
    unit: str = ""

    def between(self, i: int) -> str:
        """What stands before value i, behind the one before it."""
        parts = SLOT.split(self.text)[::2]
        return parts[i]


class Reader:
    """Reads the clues of one puzzle."""

    def __init__(self, puzzle: LogicPuzzle) -> None:
        """Give every value its place."""
        self.puzzle = puzzle
        key, *others = puzzle.categories
        self.values = [Value(key, text, Const(i)) for i, text in enumerate(puzzle.categories[key], 1)]
        self.values += [Value(c, text, Ref(f"{c}: {text}")) for c in others for text in puzzle.categories[c]]
        texts = [value.text for value in self.values]
        self.forms = sorted(
            ((form, value) for value in self.values for form in forms_of(value.text, texts)),
            key=lambda one: -len(one[0]),
        )

    def program(self) -> tuple[Program, tuple[str, ...]]:
        """The puzzle as a program, and the numbers of the clues that no rule reads."""
        _, *others = self.puzzle.categories
        size = len(next(iter(self.puzzle.categories.values())))
        places = [value.place.name for value in self.values if isinstance(value.place, Ref)]
        variables = tuple(Variable(name, INT, 1, size) for name in places)
        constraints = [
            Constraint(Node("alldifferent", tuple(v.place for v in self.values if v.category == category)), category)
            for category in others
        ]
        unread = []
        for number, clue in self.puzzle.clues.items():
            found = self.read(clue)
            if found is None:
                unread.append(number)
            else:
                constraints.append(Constraint(found, number))
        return Program(variables, tuple(constraints)), tuple(unread)

    def read(self, clue: str) -> Expr | None:
        """What a clue says; None where no rule reads it."""
        marked = self.marked(clue)
        for rule in (self._of_two, self._neither, self._listed, self._either, self._comparison, self._statement):
            found = rule(marked)
            if found is not None:
                return found
        return None

    def marked(self, clue: str) -> Marked:
        """The clue with its values and its measure cut out."""
        written = plain(clue)
        text, offset, unit = measured(written)
        found: list[Value] = []
        result, place = "", 0
        while place < len(text):
            hit = self._at(text, place, clue)
            if hit is None:
                result += text[place]
                place += 1
            else:
                form, value = hit
                result += f"«{len(found)}»"
                found.append(value)
                place += len(form)
        return Marked(result, tuple(found), offset, unit)

    def _at(self, text: str, place: int, clue: str) -> tuple[str, Value] | None:
        """The longest value that begins here; one of a single letter is told from a word by its capital."""
        if place and (text[place - 1].isalnum() or text[place - 1] == "$"):
            return None
        for form, value in self.forms:
            end = place + len(form)
            is_whole = not text[end : end + 1].isalnum() and not goes_on(text, end, form)
            if text.startswith(form, place) and is_whole and is_named(form, clue):
                return form, value
        return None

    def _of_two(self, clue: Marked) -> Expr | None:
        """Of A and B, one is C and the other is D."""
        if len(clue.values) != 4 or not clue.text.startswith("of "):
            return None
        a, b, c, d = (value.place for value in clue.values)
        straight, crossed = _and(_same(a, c), _same(b, d)), _and(_same(a, d), _same(b, c))
        return _and(_differ(a, b), Node("or", (straight, crossed)))

    def _neither(self, clue: Marked) -> Expr | None:
        """Neither A nor B is C; C may be several."""
        if not clue.text.startswith("neither ") or len(clue.values) < 3:
            return None
        a, b, *others = (value.place for value in clue.values)
        apart = [_differ(a, b), *(_differ(one, other) for one in (a, b) for other in others)]
        return _and(*apart)

    def _listed(self, clue: Marked) -> Expr | None:
        """The five people are A, B, C, D and E; A, B and C are all different."""
        is_listed = COUNTED.search(clue.text) or "all different" in clue.text or "different people" in clue.text
        if not is_listed or len(clue.values) < 2:
            return None
        return _and(*(_differ(a.place, b.place) for a, b in combinations(clue.values, 2)))

    def _either(self, clue: Marked) -> Expr | None:
        """A is either B or C; either A or B is C."""
        if not re.search(r"\beither\b", clue.text) or len(clue.values) != 3 or COMPARED.search(clue.text):
            return None
        first = sum(clue.text.index(f"«{i}»") < clue.text.index("either") for i in range(3))
        places = [value.place for value in clue.values]
        one = places.pop(0) if first else places.pop()
        return _and(Node("or", (_same(one, places[0]), _same(one, places[1]))), _differ(*places))

    def _comparison(self, clue: Marked) -> Expr | None:
        """A comes so much before, or after, B."""
        match = COMPARED.search(clue.text)
        if match is None or len(clue.values) != 2 or not self._is_between(clue, match.start()):
            return None
        sign = 1 if match["more"] else -1
        scales = self._scales(clue)
        if not scales:
            return None
        category, numbers = scales[0]
        a, b = (value.place for value in clue.values)
        step = None if clue.offset is None else sign * clue.offset * scale(clue.unit, self.puzzle.categories[category])
        pairs = [
            _and(_same(a, high), _same(b, low))
            for (high, x), (low, y) in permutations(zip(self._places(category), numbers, strict=True), 2)
            if (sign * (x - y) > 0 if step is None else abs(x - y - step) < 1e-9)
        ]
        return Node("or", tuple(pairs)) if len(pairs) > 1 else pairs[0] if pairs else None

    def _scales(self, clue: Marked) -> list[tuple[str, tuple[float, ...]]]:
        """Categories of numbers that a comparison may be about, the likeliest first."""
        found = [(c, numbers) for c, values in self.puzzle.categories.items() if (numbers := magnitudes(values))]
        named = {value.category for value in clue.values}
        fits = {category: self._fit(clue, category, numbers) for category, numbers in found}
        return sorted(found, key=lambda one: (fits[one[0]] < 0, one[0] in named, -fits[one[0]]))

    def _fit(self, clue: Marked, category: str, numbers: Sequence[float]) -> int:
        """How well a category's measure goes with a comparison's words."""
        if clue.offset is not None:
            step = clue.offset * scale(clue.unit, self.puzzle.categories[category])
            if not any(abs(abs(x - y) - step) < 1e-9 for x, y in combinations(numbers, 2)):
                return -1
        words = set(re.findall(r"[a-z]{3,}", f"{category} {' '.join(self.puzzle.categories[category])}".lower()))
        said = set(re.findall(r"[a-z]{3,}", f"{clue.unit} {clue.text}"))
        return len({word.rstrip("s") for word in words} & {word.rstrip("s") for word in said})

    def _statement(self, clue: Marked) -> Expr | None:
        """A is B; A isn't B and isn't C; A isn't B or C."""
        if len(clue.values) < 2 or COMPARED.search(clue.text):
            return None
        subject, *others = (value.place for value in clue.values)
        parts: list[Expr] = []
        is_negative = False
        for i, other in enumerate(others, 1):
            words = clue.between(i)
            if NEGATION.search(words):
                is_negative = True
            elif i > 1 and re.search(r"\b(?:and|but)\b", words):
                is_negative = False
            elif i > 1 and not re.search(r"\bor\b", words):
                return None
            if i > 1 and not is_negative and re.search(r"\bor\b", words):
                return None
            parts.append(_differ(subject, other) if is_negative else _same(subject, other))
        return _and(*parts)

    def _is_between(self, clue: Marked, place: int) -> bool:
        """Whether the comparing word stands between the two values."""
        return clue.text.index("«0»") < place < clue.text.index("«1»")

    def _places(self, category: str) -> Iterator[Expr]:
        return (value.place for value in self.values if value.category == category)


def _same(a: Expr, b: Expr) -> Expr:
    return Node("==", (a, b))


def _differ(a: Expr, b: Expr) -> Expr:
    return Node("!=", (a, b))


def _and(*parts: Expr) -> Expr:
    return Node("and", parts) if len(parts) > 1 else parts[0]

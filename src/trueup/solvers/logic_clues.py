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
from trueup.solvers.magnitudes import is_date, is_time, magnitudes

NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12,
}  # fmt: skip
MORE = (
    "more|later|after|longer|taller|higher|heavier|older|larger|bigger|greater|ahead|faster|farther|further|deeper|wider|"
    "above|east|north|warmer|hotter|newer|pricier|stronger"
)
LESS = (
    "less|fewer|earlier|before|shorter|lower|lighter|younger|smaller|behind|slower|closer|nearer|below|west|south|cheaper|"
    "cooler|colder|narrower|weaker|prior"
)
COMPARED = re.compile(rf"\b(?P<more>{MORE})\b|\b(?P<less>{LESS})\b")
MEASURE = re.compile(
    rf"^.*(?<![\w.,:«-])(?P<number>\$?\d[\d,]*(?:\.\d+)?|{'|'.join(NUMBER_WORDS)}) (?P<unit>(?:[a-z'/-]+ ){{0,4}})$"
)
NEXT_DOOR = re.compile(r"^.*\b(?P<number>an?|the|one) (?P<unit>(?:day|week|hour|month|year|minute|half[- ]hour) )$")
VERB = re.compile(r"\b(?:is|was|were|are|has|had|took|costs?|spoke|left|sold|will|got|won|ran|drove|\w+ed)\b")
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
        self.forms = sorted(
            ((form, value) for value in self.values for form in _forms(value, self.values)),
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
        written = _plain(clue)
        text, offset, unit = _measured(written)
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
            is_whole = not text[end : end + 1].isalnum() and not _goes_on(text, end, form)
            if text.startswith(form, place) and is_whole and _is_named(form, clue):
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
        step = None if clue.offset is None else sign * clue.offset * _scale(clue.unit, self.puzzle.categories[category])
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
            step = clue.offset * _scale(clue.unit, self.puzzle.categories[category])
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


def _forms(value: Value, every: Sequence[Value]) -> list[str]:
    """How a clue may write a value: as it is, in the singular, or by a part that no other value has."""
    text = _plain(value.text)
    forms = [text, *(" and ".join(order) for order in _both_ways(re.split(r" ?[-/] ?| and ", text)))]
    words = text.split()
    if text.endswith("s") and len(text) > 4:
        forms.append(text[:-1])
    number = re.fullmatch(r"\$?(\d[\d,]*(?:\.\d+)?)(?: [a-z]+)*", text)
    if number and not any(_number_of(other.text) == number[1] for other in every if other is not value):
        forms.append(number[1])
        forms.append(f"${number[1]}")
    if len(words) > 1 and not number:
        for part in (words[0], words[-1]):
            owners = [other for other in every if part in other.text.lower().split()]
            if len(owners) == 1 and (len(part) > 3 or (len(part) == 3 and part.title() in value.text.split())):
                forms.append(part)
    return list(dict.fromkeys(forms))


def _plain(text: str) -> str:
    """A text in lower case, one space between words, without a full stop."""
    return " ".join(text.lower().replace("\u2019", "'").split()).rstrip(".")


def _both_ways(parts: list[str]) -> list[list[str]]:
    """Two parts of a value in either order: a clue says pink and white of what is listed as white - pink."""
    return [parts, parts[::-1]] if len(parts) == 2 and all(part.isalpha() for part in parts) else []


def _measured(text: str) -> tuple[str, float | None, str]:
    """A clue without the measure of its comparison, that measure, and its unit."""
    for compared in COMPARED.finditer(text):
        before = text[: compared.start()]
        match = MEASURE.match(before) or NEXT_DOOR.match(before)
        if match and not VERB.search(match["unit"]):
            number = match["number"].lstrip("$").replace(",", "")
            offset = 1.0 if number in ("a", "an", "the") else float(NUMBER_WORDS.get(number, 0) or number)
            return f"{text[: match.start('number')]}{text[compared.start() :]}", offset, match["unit"].strip()
    return text, None, ""


def _number_of(text: str) -> str:
    found = re.findall(r"\d[\d,]*(?:\.\d+)?", text)
    return found[0] if len(found) == 1 else ""


def _is_named(form: str, clue: str) -> bool:
    return len(form) > 1 or bool(re.search(rf"\b{form.upper()}\b", clue[1:]))


def _goes_on(text: str, end: int, form: str) -> bool:
    """Whether a number only begins here: 2 of 2.5, or of 2,500, or of 2:30."""
    return form[-1].isdigit() and bool(re.match(r"[.,:]\d", text[end:]))


def _scale(unit: str, values: Sequence[str]) -> float:
    """How many of a category's own measure a unit is."""
    if "tenth" in unit:
        return 0.1
    if is_time(values) and "hour" in unit:
        return 30.0 if "half" in unit else 60.0
    if is_date(values) and "week" in unit:
        return 7.0
    return 1.0


def _same(a: Expr, b: Expr) -> Expr:
    return Node("==", (a, b))


def _differ(a: Expr, b: Expr) -> Expr:
    return Node("!=", (a, b))


def _and(*parts: Expr) -> Expr:
    return Node("and", parts) if len(parts) > 1 else parts[0]

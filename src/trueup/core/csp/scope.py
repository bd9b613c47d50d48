"""The names that a program has declared so far, and what each stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod

from trueup.core.csp.limits import LIMITS, Limits
from trueup.core.csp.program import BOOL, FLOAT, INT, Const, Expr, Ref, Variable
from trueup.core.errors import BadInput, UnknownName

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LETTER = "letter"
Rows = tuple[tuple[int, ...], ...]
RESERVED = frozenset(
    {"and", "or", "not", "implies", "iff", "true", "false", "in", "con", "int", "bool", "float", "enum", "lexicon",
     "letter", "var", "minimize", "maximize"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Domain:
    """What the variables of one declaration may be."""

    kind: str
    low: int | float = 0
    high: int | float = 1
    values: tuple[int, ...] = ()
    enum: str = ""


@dataclass(slots=True)
class Scope:
    """Variables, arrays by their sizes, enumerations by their labels, lexicons by their words."""

    limits: Limits = LIMITS
    variables: dict[str, Variable] = field(default_factory=dict)
    arrays: dict[str, tuple[int, ...]] = field(default_factory=dict)
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lexicons: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _refs: dict[str, Ref] = field(default_factory=dict)
    _cells: dict[str, list[Ref]] = field(default_factory=dict)
    _numbers: dict[str, dict[str, int]] = field(default_factory=lambda: {LETTER: _numbered(LETTERS)})
    _owners: dict[str, list[str]] = field(default_factory=dict)
    _words: dict[tuple[str, int], Rows] = field(default_factory=dict)
    _has_letters: bool = False
    _named: int = 0
    """How many cells of arrays expressions have named so far."""

    def declare(self, name: str, sizes: Sequence[int], domain: Domain) -> None:
        """A variable, or with sizes an array of them; nothing of it where a name of them is taken."""
        self._claim(name)
        self.limits.hold("variables", len(self.variables) + prod(sizes))
        labels = self._labels_of(domain.enum)
        self._has_letters |= domain.enum == LETTER
        places = product(*(range(1, size + 1) for size in sizes))
        refs = [Ref(cell(name, place)) for place in places] if sizes else [Ref(name)]
        if twice := next((ref.name for ref in refs if ref.name in self.variables), None):
            raise BadInput(f"{twice!r} is declared twice; choose another name for one of them")
        for ref in refs:
            self._refs[ref.name] = ref
            self.variables[ref.name] = Variable(
                ref.name, domain.kind, domain.low, domain.high, domain.values, domain.enum, labels
            )
        if sizes:
            self.arrays[name], self._cells[name] = tuple(sizes), refs

    def enumerate(self, name: str, labels: Sequence[str]) -> None:
        """An enumeration, which is from now on a domain too."""
        self._claim(name)
        if len(labels) < 1 or len(set(labels)) < len(labels):
            raise BadInput(f"enum {name!r} needs at least one label, and each only once")
        self.limits.hold("name_characters", max(map(len, labels)))
        for label in labels:
            self._owners.setdefault(label, []).append(name)
        self.enums[name] = tuple(labels)
        self._numbers[name] = _numbered(labels)

    def list_words(self, name: str, words: Sequence[str]) -> None:
        """A lexicon; words are taken in capital letters."""
        self._claim(name)
        capitals = tuple(word.upper() for word in words)
        odd = next((word for word in capitals if not word or set(word) - set(LETTERS)), None)
        if odd is not None:
            raise BadInput(f"lexicon {name!r} has the word {odd!r}; only letters A to Z are taken")
        self.lexicons[name] = capitals

    def domain_of(self, enum: str) -> Domain:
        """The values of an enumeration, or the letters."""
        return Domain(INT, 0, len(self._labels_of(enum)) - 1, (), enum)

    def expr(self, name: str) -> Expr:
        """The variable or the label that a name stands for.

        Raises UnknownName for neither, BadInput for a label of several enumerations or an array without a place.
        """
        if name in self._refs:
            return self._refs[name]
        if name in self.arrays:
            raise BadInput(
                f"{name!r} is an array; say which cell, as in {name}[{','.join('1' * len(self.arrays[name]))}]"
            )
        owners = self._owners.get(name, [])
        if len(owners) > 1:
            raise BadInput(f"{name!r} is a label of {' and of '.join(owners)}; write {owners[0]}.{name}")
        if owners:
            return self.label(owners[0], name)
        if len(name) == 1 and name.upper() in LETTERS and self._has_letters:
            return Const(LETTERS.index(name.upper()), LETTER)
        raise UnknownName("name", name, [*self.variables, *self.arrays, *(x for xs in self.enums.values() for x in xs)])

    def label(self, enum: str, label: str) -> Const:
        """A label of an enumeration that is named with it."""
        labels = self._labels_of(enum)
        number = self._numbers.get(enum, {}).get(label)
        if number is None:
            raise UnknownName(f"label of {enum}", label, labels)
        return Const(number, enum)

    def cells(self, name: str, places: Sequence[Sequence[int]]) -> list[Ref]:
        """The cells of an array at all combinations of places, the last place fastest.

        Raises BadInput for places outside, and where a program has named more cells than it may have operands.
        """
        for place, size in zip(places, self.sizes(name, len(places)), strict=True):
            outside = next((i for i in place if not 1 <= i <= size), None)
            if outside is not None:
                raise BadInput(f"{name!r} has places 1 to {size}, not {outside}")
        self._count(prod(map(len, places)))
        return [self._refs[cell(name, place)] for place in product(*places)]

    def all_cells(self, name: str) -> list[Ref]:
        """Every cell of an array."""
        self._sizes(name)
        self._count(len(self._cells[name]))
        return self._cells[name]

    def sizes(self, name: str, dimensions: int) -> tuple[int, ...]:
        """The sizes of an array that has so many dimensions."""
        sizes = self._sizes(name)
        if len(sizes) != dimensions:
            raise BadInput(f"{name!r} has {len(sizes)} dimensions, not {dimensions}")
        return sizes

    def words(self, lexicon: str, length: int) -> Rows:
        """A lexicon's words of a length, each as the numbers of its letters."""
        if lexicon not in self.lexicons:
            raise UnknownName("lexicon", lexicon, self.lexicons)
        if (lexicon, length) not in self._words:
            words = dict.fromkeys(word for word in self.lexicons[lexicon] if len(word) == length)
            self._words[lexicon, length] = tuple(tuple(map(LETTERS.index, word)) for word in words)
        return self._words[lexicon, length]

    def along(self, name: str, axis: int) -> range:
        """All places of an array along one of its dimensions."""
        sizes = self._sizes(name)
        if axis >= len(sizes):
            raise BadInput(f"{name!r} has {len(sizes)} dimensions; one place too many is given")
        return range(1, sizes[axis] + 1)

    def _count(self, cells: int) -> None:
        self._named += cells
        self.limits.hold("nodes", self._named)

    def _sizes(self, name: str) -> tuple[int, ...]:
        if name not in self.arrays:
            raise UnknownName("array", name, self.arrays)
        return self.arrays[name]

    def _labels_of(self, enum: str) -> tuple[str, ...]:
        if enum in ("", LETTER):
            return tuple(LETTERS) if enum else ()
        if enum not in self.enums:
            raise UnknownName("enum", enum, self.enums)
        return self.enums[enum]

    def _claim(self, name: str) -> None:
        self.limits.hold("name_characters", len(name))
        if name in RESERVED:
            raise BadInput(f"{name!r} is a word of the language; choose another name")
        if any(name in names for names in (self.variables, self.arrays, self.enums, self.lexicons)):
            raise BadInput(f"{name!r} is declared twice; choose another name for one of them")


def _numbered(labels: Sequence[str]) -> dict[str, int]:
    return {label: number for number, label in enumerate(labels)}


def cell(name: str, place: Sequence[int]) -> str:
    """The name of an array's cell."""
    return f"{name}[{','.join(map(str, place))}]"


def whole_place(value: int | float) -> int:
    """The place of a cell; BadInput for one that is no whole number."""
    if value != int(value):
        raise BadInput(f"{value} is no place; places are whole numbers from 1")
    return int(value)


def bool_domain() -> Domain:
    """True or false."""
    return Domain(BOOL)


def range_domain(kind: str, low: int | float, high: int | float, limits: Limits = LIMITS) -> Domain:
    """Everything from low to high, both included."""
    if kind == INT and not (isinstance(low, int) and isinstance(high, int)):
        raise BadInput(f"bounds {low} and {high} of an int must be whole numbers; declare it as float")
    if not low <= high:
        raise BadInput(f"bounds run from {low} to {high}; the first must not be above the second")
    if max(abs(low), abs(high)) > limits.span:
        raise BadInput(f"bounds {low} and {high} go beyond {limits.span:,}; take a smaller range")
    return Domain(FLOAT, float(low), float(high)) if kind == FLOAT else Domain(INT, low, high)


def set_domain(values: Sequence[int], limits: Limits = LIMITS) -> Domain:
    """The numbers named, and no other."""
    if not values or max(map(abs, values)) > limits.span:
        raise BadInput(f"a set of values needs some, none beyond {limits.span:,}")
    ordered = tuple(sorted(set(values)))
    return Domain(INT, ordered[0], ordered[-1], ordered)

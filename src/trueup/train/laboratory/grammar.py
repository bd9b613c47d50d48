"""The notation of calls: written, parsed, and token by token.

`f?12;:k;g?3!!` is f(12, :k, g(3)): a letter names a function, an argument is a number of up to three digits, a word of
one letter behind `:`, or a call, which is worth a number. `Grammar` holds a writer to functions whose signatures are
known: it says which characters may come next so that the call still ends, well formed, in the room that is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from string import ascii_lowercase, digits

from trueup.core.errors import BadInput

OPEN, NEXT, CLOSE, WORD, STOP = "?", ";", "!", ":", "$"
NUMBER, LETTER = "n", "w"
"""The two types of a parameter."""
MOST_DIGITS = 3
SHORTEST = {NUMBER: 1, LETTER: 2}


@dataclass(frozen=True, slots=True)
class Call:
    """A function's name and its arguments: numbers, words as `:k`, calls."""

    name: str
    arguments: tuple[int | str | Call, ...]

    def every(self) -> Iterator[Call]:
        """This call and those inside it."""
        yield self
        for argument in self.arguments:
            if isinstance(argument, Call):
                yield from argument.every()


def write(call: Call) -> str:
    """A call as text."""
    arguments = (write(a) if isinstance(a, Call) else str(a) for a in call.arguments)
    return f"{call.name}{OPEN}{NEXT.join(arguments)}{CLOSE}"


def parse(text: str) -> Call | None:
    """The call that is the whole text; None where it is not one."""
    call, end = _call(text, 0)
    return call if end == len(text) else None


def _call(text: str, at: int) -> tuple[Call | None, int]:
    if text[at : at + 1] not in ascii_lowercase or text[at + 1 : at + 2] != OPEN:
        return None, at
    name, arguments, at = text[at], [], at + 1
    while text[at : at + 1] in (OPEN, NEXT):
        argument, at = _argument(text, at + 1)
        if argument is None:
            return None, at
        arguments.append(argument)
    return (Call(name, tuple(arguments)), at + 1) if text[at : at + 1] == CLOSE else (None, at)


def _argument(text: str, at: int) -> tuple[int | str | Call | None, int]:
    if text[at : at + 1] == WORD:
        letter = text[at + 1 : at + 2]
        return (WORD + letter, at + 2) if letter and letter in ascii_lowercase else (None, at)
    end = at
    while end < len(text) and text[end] in digits:
        end += 1
    if end > at:
        return (int(text[at:end]), end) if end - at <= MOST_DIGITS else (None, at)
    return _call(text, at)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text has got to: the calls begun, each with the argument it is at, and what is due.

    `due` is `name`, `open`, `argument`, `letter`, `digit` (in a number, that many `written`), `mark`, `stop` or `over`.
    """

    begun: tuple[tuple[str, int], ...] = ()
    due: str = "name"
    written: int = 0


@dataclass(frozen=True, slots=True)
class Grammar:
    """Calls of these functions alone; a signature is a parameter's type each, as `nw`."""

    signatures: Mapping[str, str]
    _next: dict[tuple[Place, int], tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, types in self.signatures.items():
            if not types or set(types) - SHORTEST.keys():
                raise BadInput(f"signature {types!r} of {name!r}; write one of 'n' and 'w' for each parameter")

    def allowed(self, place: Place, room: int) -> tuple[str, ...]:
        """The characters that may come next where the text must end within `room` characters.

        Raises BadInput where no call is that short.
        """
        if (place, room) not in self._next:
            fitting = [c for c in self._candidates(place) if 1 + self.least(self.after(place, c)) <= room]
            if not fitting and place.due != "over":
                raise BadInput(f"no call of {', '.join(self.signatures)} ends within {room} tokens; allow more")
            self._next[place, room] = tuple(fitting) or (STOP,)
        return self._next[place, room]

    def after(self, place: Place, character: str) -> Place:
        """Where the text has got to behind a character that was allowed."""
        begun = place.begun
        if character == OPEN:
            return Place(begun, "argument")
        if character == NEXT:
            return Place((*begun[:-1], (begun[-1][0], begun[-1][1] + 1)), "argument")
        if character == CLOSE:
            return Place(begun[:-1], "mark" if len(begun) > 1 else "stop")
        if character == WORD:
            return Place(begun, "letter")
        if character == STOP:
            return Place((), "over")
        if character in digits:
            return Place(begun, "digit", place.written + 1)
        return Place(begun, "mark") if place.due == "letter" else Place((*begun, (character, 0)), "open")

    def least(self, place: Place) -> int:
        """The fewest characters that end the text."""
        if place.due in ("over", "stop"):
            return int(place.due == "stop")
        if place.due == "name":
            return min(2 + self._behind(name, -1) for name in self.signatures)
        behind = 1 + sum(self._behind(name, argument) for name, argument in place.begun)
        first = self._type(place)
        return behind + {"open": 1 + SHORTEST[first], "argument": SHORTEST[first], "letter": 1}.get(place.due, 0)

    def _candidates(self, place: Place) -> str:
        names = "".join(self.signatures)
        if place.due in ("digit", "mark"):
            name, argument = place.begun[-1]
            mark = NEXT if argument + 1 < len(self.signatures[name]) else CLOSE
            return mark + (digits if place.due == "digit" and place.written < MOST_DIGITS else "")
        if place.due == "argument":
            return WORD if self._type(place) == LETTER else digits + names
        return {"name": names, "open": OPEN, "letter": ascii_lowercase, "stop": STOP, "over": ""}[place.due]

    def _type(self, place: Place) -> str:
        name, argument = place.begun[-1]
        return self.signatures[name][argument]

    def _behind(self, name: str, argument: int) -> int:
        """The fewest characters behind this argument that end its call."""
        return 1 + sum(1 + SHORTEST[kind] for kind in self.signatures[name][argument + 1 :])

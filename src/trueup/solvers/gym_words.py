"""Puzzles in words of reasoning-gym read from their questions into constraint programs.

Stojanovski et al. 2025, arXiv:2505.24760: zebra_puzzles and cryptarithm. A clue that cannot be read leaves the whole
puzzle unread, since what is decided without it could be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from trueup.solvers.gym_grids import Posed, Values

HOUSES = re.compile(r"There are (\d+) houses")
CATEGORY = re.compile(r"^ - ([^:\n]+): (.+)$", re.MULTILINE)
CLUE = re.compile(r"^\d+\. (.+)\.$", re.MULTILINE)
ASKED = re.compile(r"What is Name of the person who lives in House (\d+)")
ORDINALS = {
    name: seat for seat, name in enumerate(("first", "second", "third", "fourth", "fifth", "sixth", "seventh"), 1)
}
PLACED = re.compile(rf"(.+) is (not )?in the ({'|'.join(ORDINALS)}) house")
RELATIONS = (
    (re.compile(r"(.+) is directly left of (.+)"), "{a} + 1 == {b}"),
    (re.compile(r"(.+) is somewhere to the left of (.+)"), "{a} < {b}"),
    (re.compile(r"(.+) is somewhere to the right of (.+)"), "{a} > {b}"),
    (re.compile(r"(.+) and (.+) are next to each other"), "adjacent({a}, {b})"),
    (re.compile(r"There is one house between (.+) and (.+)"), "abs({a} - {b}) == 2"),
    (re.compile(r"There are two houses between (.+) and (.+)"), "abs({a} - {b}) == 3"),
)
WORD = re.compile(r"[a-z0-9]+")
STEM, MOST_HOUSES = 4, 7
NAMES = "c0"
"""The category that is listed first, the people themselves."""
CRYPTARITHM = re.compile(r"Solve this cryptarithm:\n\n((?:[ +]*[A-Z]+\n)+)-+\n *([A-Z]+)\n")
LEADS = "No leading letter can be zero"

Options = Mapping[str, tuple[str, str]]
"""The variable of each option: its category, and the option in small letters."""


def zebra(text: str) -> Posed | None:
    """People in a row of houses; who lives in one of them is asked."""
    houses, asked = HOUSES.search(text), ASKED.search(text)
    categories = CATEGORY.findall(text)
    if not houses or not asked or not categories or int(houses[1]) > MOST_HOUSES:
        return None
    size = int(houses[1])
    options: dict[str, tuple[str, str]] = {}
    lines = []
    for place, (_, said) in enumerate(categories):
        names = {f"c{place}_{i}": option.strip().lower() for i, option in enumerate(said.split(","))}
        options |= {name: (f"c{place}", option) for name, option in names.items()}
        lines += [f"int {', '.join(names)} in 1..{size}", f"con alldifferent({', '.join(names)})"]
    for number, clue in enumerate(CLUE.findall(text), 1):
        condition = _condition(clue, options)
        if condition is None:
            return None
        lines.append(f"con {condition} #{number}")

    wanted = int(asked[1])
    if not 1 <= wanted <= sum(category == NAMES for category, _ in options.values()):
        return None

    def answer(values: Values) -> str:
        who = (option for name, (category, option) in options.items() if category == NAMES and values[name] == wanted)
        return next(who, "")

    return Posed("\n".join(lines), answer)


def cryptarithm(text: str) -> Posed | None:
    """A sum of words, a digit a letter; any key that fits is right."""
    found = CRYPTARITHM.search(text)
    if not found:
        return None
    words, total = [line.strip("+ ") for line in found[1].strip("\n").split("\n")], found[2]
    letters = sorted(set("".join([*words, total])))
    lines = [f"int {', '.join(letters)} in 0..9", f"con alldifferent({', '.join(letters)})"]
    if LEADS in text:
        lines += [f"con {letter} > 0" for letter in sorted({word[0] for word in (*words, total)})]
    lines.append(f"con {' + '.join(map(_number, words))} == {_number(total)}")
    return Posed(
        "\n".join(lines), lambda values: ",".join(f"{letter}={values[letter]}" for letter in letters), unique=False
    )


def _number(word: str) -> str:
    return " + ".join(f"{10**power} * {letter}" for power, letter in enumerate(reversed(word)))


def _condition(clue: str, options: Options) -> str | None:
    """A clue as a condition; None where it is not of a known form, or somebody in it is not one of the options."""
    placed = PLACED.fullmatch(clue)
    if placed:
        who = _option(placed[1], options)
        return who and f"{who} {'!=' if placed[2] else '=='} {ORDINALS[placed[3]]}"
    for form, condition in RELATIONS:
        match = form.fullmatch(clue)
        if match:
            a, b = (_option(part, options) for part in match.groups())
            return condition.format(a=a, b=b) if a and b else None
    return _same(clue, options)


def _same(clue: str, options: Options) -> str | None:
    """`X is Y`, where both may hold an `is` of their own: the one reading that has two options."""
    parts = clue.split(" is ")
    readings = set()
    for place in range(1, len(parts)):
        a = _option(" is ".join(parts[:place]), options)
        b = _option(" is ".join(parts[place:]), options)
        if a and b:
            readings.add(f"{a} == {b}")
    return readings.pop() if len(readings) == 1 else None


def _option(phrase: str, options: Options) -> str | None:
    """The option that a phrase names: a person's name alone, else the longest whose words all begin a word of it."""
    said = phrase.strip().lower()
    person = next((name for name, (category, option) in options.items() if (category, option) == (NAMES, said)), None)
    if person is not None:
        return person
    words = WORD.findall(said)
    fits = {
        name: len(option)
        for name, (category, option) in options.items()
        if category != NAMES
        and all(any(word.startswith(stem[:STEM]) for word in words) for stem in WORD.findall(option))
    }
    longest = [name for name, length in fits.items() if length == max(fits.values())]
    return longest[0] if len(longest) == 1 else None

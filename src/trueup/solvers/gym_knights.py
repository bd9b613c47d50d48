"""Knights and knaves of reasoning-gym read from their questions into constraint programs.

Stojanovski et al. 2025, arXiv:2505.24760; puzzles of Xie et al. 2024, arXiv:2410.23123. A variable is true for whoever
tells the truth. A sentence that cannot be read leaves the whole puzzle unread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from trueup.solvers.gym_grids import Posed, Values

ASKED = re.compile(
    r"\b(\w{1,30})s always tell the truth, and (\w{1,30})s always lie\. You meet \d{1,4} inhabitants: ([A-Za-z, ]+)\."
    r"( .{1,9999}?) So who is (an? \w+) and who is (an? \w+)\?"
)
TOLD = tuple(
    re.compile(" " + told.format(who=r"(?P<who>[A-Za-z]+)", what=r"(?P<what>[A-Za-z() ]+)"))
    for told in (
        r"{who} (?:said|told you|expressed) that {what}\.",
        r'{who} (?:said,|stated,|remarked,|was heard saying,|asserted:|commented,|noted,) "{what}(?:\."|"\.)',
        r'(?:According to|As|In|In a statement by) {who}(?:,| put it,|\'s words:|:) "{what}"\.',
        r'"{what}," {who} (?:declared|mentioned|claimed)\.',
        r'"{what}" - {who}\.',
    )
)
WORDS = {
    "(": "(", ")": ")", "it is not the case that": "not", "if and only if": "iff", "if": "", "then": "implies",
    "and": "and", "or": "or",
}  # fmt: skip
TOKEN = re.compile(
    rf" ?(?:(?P<bracket>[()])|(?P<word>{'|'.join(list(WORDS)[2:])})\b|(?P<who>[A-Za-z]+) is (?P<role>an? \w+))"
)
MOST_PEOPLE = 50


def knights(text: str) -> Posed | None:
    """People who always tell the truth or always lie, and what each says of them."""
    asked = ASKED.search(text)
    if not asked:
        return None
    honest, liar, listed, told, *roles = asked.groups()
    people = re.findall(r"[A-Za-z]+", listed.replace(" and ", " "))
    is_as_named = [role.split()[1] for role in roles] == [honest.lower(), liar.lower()]
    if not is_as_named or not 0 < len(set(people)) == len(people) <= MOST_PEOPLE:
        return None
    names = {person: f"p{place}" for place, person in enumerate(people)}
    truths = dict(zip(roles, ("", "not "), strict=True))
    lines, place = [f"bool {', '.join(names.values())}"], 0
    while place < len(told):
        found = next((match for form in TOLD if (match := form.match(told, place))), None)
        said = _condition(found["what"], names, truths) if found else None
        if found is None or said is None or found["who"] not in names:
            return None
        lines.append(f"con {names[found['who']]} iff ({said}) #{found['who']}")
        place = found.end()

    def answer(values: Values) -> str:
        *others, last = [f"{person} is {roles[not values[name]]}" for person, name in names.items()]
        return f"{', '.join(others)}, and {last}." if others else f"{last}."

    return Posed("\n".join(lines), answer)


def _condition(said: str, names: Mapping[str, str], truths: Mapping[str, str]) -> str | None:
    """What somebody says in the line language; None for words that are not known."""
    parts, words, place = [], [], 0
    while place < len(said):
        token = TOKEN.match(said, place)
        word = (token["bracket"] or token["word"]) if token else None
        if not token or not (word or (token["who"] in names and token["role"] in truths)):
            return None
        parts.append(WORDS[word] if word else truths[token["role"]] + names[token["who"]])
        words.append(word)
        place = token.end()
    return " ".join(parts) if words.count("if") == words.count("then") else None

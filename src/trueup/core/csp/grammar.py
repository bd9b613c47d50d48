"""The line language as a grammar (GBNF) that an engine can hold a model to.

It is made from the same table of operations that the reader uses. Given names, it lets a writer use no others, so that
it cannot invent an entity; what it allows may still be refused for its sense, such as a number where a truth is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence

from trueup.core.csp.expressions import CALLS, COMPARISONS
from trueup.core.csp.write import quoted

LEVELS = (("iff", ("iff",)), ("implies", ("implies",)), ("or", ("or",)), ("and", ("and",)))
DECLARED = r"""
declaration ::= numbers | choices | truths | labels | words
numbers ::= number-kind " " names " in " number ".." number
choices ::= "int " names " in {" number (", " number)* "}"
truths ::= ("bool " | "letter ") names
labels ::= "enum " name ": " name (", " name)* | "var " names " in " name
words ::= "lexicon " name ": " word (", " word)*
number-kind ::= "int" | "float"
names ::= declared (", " declared)*
declared ::= name ("[" digits ("," digits)* "]")?
word ::= [a-z]+
"""
SHARED = r"""
number ::= "-"? digits ("." digits)?
digits ::= [0-9] [0-9]? [0-9]? [0-9]? [0-9]? [0-9]?
clue ::= " #" [a-zA-Z0-9_.-]+
"""


def grammar(names: Sequence[str] = ()) -> str:
    """GBNF of a program; with names, of its constraints alone, in which those are the only names."""
    rules = [
        f'root ::= {"statement" if names else "declaration"} ("\\n" statement)* "\\n"?',
        "statement ::= constraint" + ("" if names else " | declaration | objective"),
        'constraint ::= "con " expression clue?',
        'objective ::= ("minimize " | "maximize ") expression',
        *_expressions(names),
    ]
    kept = [rule for rule in rules if not (names and rule.startswith("objective"))]
    return "\n".join(kept) + ("" if names else DECLARED.rstrip()) + SHARED


def condition_grammar(names: Sequence[str]) -> str:
    """GBNF of what stands behind `con` in one line, without a clue; these are the only names in it."""
    return "\n".join(['root ::= " " expression', *_expressions(names)]) + SHARED


def _expressions(names: Sequence[str]) -> list[str]:
    return [
        f"expression ::= {LEVELS[0][0]}-level",
        *_logic(),
        'not-level ::= "not "? compared',
        f"compared ::= sum (({_either(sorted(COMPARISONS), ' ')}) sum)*",
        'sum ::= product ((" + " | " - ") product)*',
        'product ::= power ((" * " | " / ") power)*',
        'power ::= atom ("^" atom)?',
        'atom ::= number | place | call | "(" expression ")" | "-" atom',
        'place ::= name ("[" expression ("," expression)* "]")?',
        f'call ::= ({_either(sorted(CALLS))}) "(" expression (", " expression)* ")" | table',
        'table ::= "table((" place (", " place)* ")" (", (" item (", " item)* ")")+ ")"',
        "item ::= number | name",
        _name_rule(names),
    ]


def _logic() -> list[str]:
    """A rule for each level of logic, the loosest first."""
    below = [*(f"{name}-level" for name, _ in LEVELS[1:]), "not-level"]
    return [
        f'{name}-level ::= {tighter} ((" {words[0]} ") {tighter})*'
        for (name, words), tighter in zip(LEVELS, below, strict=True)
    ]


def _either(words: Sequence[str], around: str = "") -> str:
    return " | ".join(f'"{around}{word}{around}"' for word in words)


def _name_rule(names: Sequence[str]) -> str:
    if not names:
        return 'name ::= [a-zA-Z_] [a-zA-Z0-9_]* | "\\"" [^"\\n]+ "\\""'
    return f"name ::= {' | '.join(_text(quoted(name)) for name in names)}"


def _text(word: str) -> str:
    """A word as a literal of the grammar."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'

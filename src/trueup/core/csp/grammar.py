"""The line language as a grammar (GBNF) that an engine can hold a model to.

It is made from the same table of operations that the reader uses. Given names, it lets a writer use no others, so that
it cannot invent an entity; what it allows may still be refused for its sense, such as a number where a truth is wanted.
Of what the reader takes it leaves out remarks and empty lines, which a writer may go on with without end, and second
spellings (`=`, `->`, `<->`, more than one blank), which say no more than the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trueup.core.csp.expressions import CALLS, COMPARISONS
from trueup.core.csp.write import quoted

LEVELS = (("iff", ("iff",)), ("implies", ("implies",)), ("or", ("or",)), ("and", ("and",)))
FREE_NAME = r'[a-zA-Z_] [a-zA-Z0-9_]* | "\"" [^"\n]+ "\""'
SIZE_DIGITS, WHOLE_DIGITS, FRACTION_DIGITS = 6, 10, 17
DECLARED = r"""
declaration ::= numbers | choices | truths | labels | members | words
numbers ::= ("int" | "float" | "var") " " names " in " number ".." number
choices ::= ("int" | "var") " " names " in {" whole (comma whole)* "}"
truths ::= ("bool " | "letter ") names
labels ::= "enum " name ":" blank said (comma said)*
members ::= "var " names " in " name
words ::= "lexicon " name ":" blank word (comma word)*
names ::= declared (comma declared)*
declared ::= name ("[" digits (comma digits)* "]")?
said ::= name | digits
word ::= [a-zA-Z]+ | "\"" [a-zA-Z]+ "\""
"""
EXPRESSIONS = r"""
not-level ::= "not "* compared
sum ::= product (blank ("+" | "-") blank product)*
product ::= power (blank ("*" | "/") blank power)*
power ::= atom (blank "^" blank atom)*
atom ::= number | "true" | "false" | cell | label | call | "(" expression ")" | "-" atom
cell ::= name ("[" expression (comma expression)* "]")?
slice ::= name "[" place (comma place)* "]"
place ::= "*" | range | expression
range ::= whole ".." whole
arguments ::= argument (comma argument)*
argument ::= expression | slice | "[" arguments "]"
table ::= "table((" arguments ")" (comma "(" item (comma item)* ")")+ ")"
item ::= whole | name | label
"""
SHARED = rf"""
number ::= whole ("." [0-9]{" [0-9]?" * (FRACTION_DIGITS - 1)})? ([eE] [-+]? [0-9] [0-9]?)?
whole ::= "-"? [0-9]{" [0-9]?" * (WHOLE_DIGITS - 1)}
digits ::= [0-9]{" [0-9]?" * (SIZE_DIGITS - 1)}
comma ::= "," blank
blank ::= " "?
clue ::= " #" [a-zA-Z0-9_.-]+
"""


def grammar(
    names: Sequence[str] = (), enums: Mapping[str, Sequence[str]] | None = None, lexicons: Sequence[str] = ()
) -> str:
    """GBNF of a program; with names, of its constraints alone, in which those are the only names.

    Labels are named by themselves, those in `enums` behind their enumeration too; `lexicons` are the ones of `spells`.
    """
    rules = [
        f'root ::= {"statement" if names else "declaration"} ("\\n" statement)* "\\n"?',
        "statement ::= constraint" + ("" if names else " | declaration | objective"),
        'constraint ::= "con " expression clue?',
        *([] if names else ['objective ::= ("minimize " | "maximize ") expression']),
        _expressions(names, enums or {}, lexicons),
    ]
    return "\n".join(rules) + ("" if names else DECLARED.rstrip()) + SHARED


def condition_grammar(
    names: Sequence[str], enums: Mapping[str, Sequence[str]] | None = None, lexicons: Sequence[str] = ()
) -> str:
    """GBNF of what stands behind `con` in one line, without a clue; these are the only names in it."""
    return 'root ::= " " expression\n' + _expressions(names, enums or {}, lexicons) + SHARED


def _expressions(names: Sequence[str], enums: Mapping[str, Sequence[str]], lexicons: Sequence[str]) -> str:
    calls = [f'({_either(sorted(CALLS))}) "(" arguments ")"', "table"]
    rules = [
        f"expression ::= {LEVELS[0][0]}-level",
        *_logic(),
        f"compared ::= sum (blank ({_either(sorted(COMPARISONS))}) blank sum)*",
        f"name ::= {_names(names) if names else FREE_NAME}",
    ]
    if lexicons or not names:
        rules.append(f'spells ::= "spells(" ({_names(lexicons) if names else "name"}) comma arguments ")"')
        calls.append("spells")
    if enums or not names:
        rules.append("label ::= " + (_labels(enums) if names else 'name "." said'))
    rules.append(f"call ::= {' | '.join(calls)}")
    operands = EXPRESSIONS if enums or not names else EXPRESSIONS.replace(" | label", "")
    return "\n".join(rules) + operands.rstrip()


def _logic() -> list[str]:
    """A rule for each level of logic, the loosest first."""
    below = [*(f"{name}-level" for name, _ in LEVELS[1:]), "not-level"]
    return [
        f'{name}-level ::= {tighter} ((" {words[0]} ") {tighter})*'
        for (name, words), tighter in zip(LEVELS, below, strict=True)
    ]


def _labels(enums: Mapping[str, Sequence[str]]) -> str:
    """Labels behind their enumerations."""
    return " | ".join(f'{_text(quoted(enum))} "." ({_names(labels)})' for enum, labels in enums.items())


def _names(names: Sequence[str]) -> str:
    return " | ".join(_text(quoted(name)) for name in names)


def _either(words: Sequence[str]) -> str:
    return " | ".join(f'"{word}"' for word in words)


def _text(word: str) -> str:
    """A word as a literal of the grammar."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'

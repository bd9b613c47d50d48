"""What is wrong with a call, from its form to what it returns.

As the AST checkers of function-calling benchmarks have it: the first fault that applies, in the order of `KINDS`. The
first four are faults of form, which the functions' signatures alone show; the others take the right answer.
"""

from __future__ import annotations

from collections import Counter

from trueup.train.laboratory.grammar import LETTER, NUMBER, Call, parse
from trueup.train.laboratory.tasks.call_tools import TOOLS, execute

RIGHT = "right"
FORM = ("unparsable", "not offered", "wrong count", "wrong type")
CONTENT = ("wrong function", "wrong value")
KINDS = (RIGHT, *FORM, *CONTENT)


def fault_of(text: str | None, wanted: Call, offered: str) -> str:
    """What is wrong with a call, or `right`; None is a text that was cut.

    A call is right when it returns what the wanted one does. Otherwise it has a wrong function where the wanted one
    is made of others.
    """
    call = None if text is None else parse(text)
    if call is None:
        return FORM[0]
    made = list(call.every())
    if any(one.name not in offered for one in made):
        return FORM[1]
    if any(len(one.arguments) != len(TOOLS[one.name].signature) for one in made):
        return FORM[2]
    if any(_type(a) != kind for one in made for a, kind in zip(one.arguments, TOOLS[one.name].signature, strict=True)):
        return FORM[3]
    if execute(call) == execute(wanted):
        return RIGHT
    return CONTENT[Counter(one.name for one in made) == Counter(one.name for one in wanted.every())]


def _type(argument: int | str | Call) -> str:
    return LETTER if isinstance(argument, str) else NUMBER

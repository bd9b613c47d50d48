"""Words that have a model write a program, and mend it.

The language's operations come from its own table. The writer is asked to formalise and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from trueup.core.csp.operators import OPERATORS, Operator
from trueup.core.csp.program import ANSWER
from trueup.core.types import Solution
from trueup.methods.program_text import CUE, clue_number, clue_of

TASK = """Do not solve this. State it as a constraint program; a solver will solve it. One statement per line:
int a, b in 1..4         whole numbers (`float` for fractions, `bool p` for true or false)
int seat[5] in 1..5      an array with the cells seat[1] to seat[5]
enum Hue: red, green     words
var hat in Hue           a variable that is one of these words
con a + 1 == b #2        what must hold; behind # the number of the clue that says so
maximize 2 * a + b       only where something is to be greatest; or minimize
Operations: {infix}
Calls: {calls}
Declare a name before you use it. Give each clue a line of its own. If one thing is asked for, declare it as a variable
`{answer}` and say by constraints what it is. The program must have exactly one solution."""
EXAMPLE = """An example: Ann, Bob and Cy sit on chairs 1 to 3. 1. Ann sits directly before Bob. 2. Cy is not on chair 1.
Who sits on chair 3?
```
{program}
```"""
DECLARED = """int ann, bob, cy in 1..3
enum Person: Ann, Bob, Cy
var answer in Person
con alldifferent(ann, bob, cy)
con answer == Ann iff ann == 3
con answer == Bob iff bob == 3
con answer == Cy iff cy == 3"""
CLUES = (("Ann sits directly before Bob.", "con ann + 1 == bob #1"), ("Cy is not on chair 1.", "con cy != 1 #2"))
PLAINLY = "Now write the program for the problem above, and nothing else, between ``` and ```."
REASON = (
    "First think in a few sentences: what is unknown in the problem above, and what does each clue say of it? "
    "Then write its program between ``` and ```."
)
APART = (
    "First think in a few sentences: what is unknown in the problem above, and what does each clue say of it? "
    f"Then write `{CUE}` and its program alone."
)
BY_CLUE = (
    "Now write the program for the problem above between ``` and ```: first what is declared, and what holds "
    "throughout; then each clue behind #, and below it the line `con` that says it."
)
UNREADABLE = "That program cannot be read: {reason}.\n{line}Write the whole program again, mended, between ``` and ```."
CONTRADICTION = """These lines contradict each other:
{lines}
{clues}At least one of them does not say what the problem says. Write again those that do not, each with its # as above,
between ``` and ```. A line that you leave out stays as it is."""
NO_SOLUTION = "That program has no solution. Write the whole program again, mended, between ``` and ```."
OPEN = """That program has more than one solution, so that something is missing in it.
{clues}Write the missing lines alone, between ``` and ```."""
SAY = """A solver has found this:
{solution}
Do not work it out again. Say this answer in the form that is asked for."""


def task(ending: str, *, by_clue: bool = False) -> str:
    """What is to be written and in which language, with one example, and the last word."""
    infix = " ".join(name for name, operator in OPERATORS.items() if operator.power)
    calls = "; ".join(_call(one) for one in OPERATORS.values() if not one.power and one.name != "neg")
    about = TASK.format(infix=infix, calls=calls, answer=ANSWER)
    return f"{about}\n\n{EXAMPLE.format(program=example(by_clue=by_clue))}\n\n{ending}"


def example(*, by_clue: bool = False) -> str:
    """The program of the example, with each clue as a remark above its line where they are written one by one."""
    said = [f"# {place}. {words}\n{line}" if by_clue else line for place, (words, line) in enumerate(CLUES, 1)]
    return "\n".join([DECLARED, *said])


def request(program: str, solution: Solution, told: Mapping[str, str]) -> str:
    """What the writer is asked where its program is unreadable, contradictory or open, of clues told by number."""
    if solution.status == "unreadable":
        return UNREADABLE.format(reason=solution.reason, line=_line_at(program, solution.reason))
    if solution.status == "not_unique":
        return OPEN.format(clues=_unmentioned(program, told))
    lines = [line for line in program.splitlines() if clue_of(line) in solution.conflict]
    if not lines:
        return NO_SOLUTION
    numbers = dict.fromkeys(filter(None, map(clue_number, solution.conflict)))
    clues = "".join(f"{number}. {told[number]}\n" for number in numbers if number in told)
    return CONTRADICTION.format(lines="\n".join(lines), clues=clues)


def _call(operator: Operator) -> str:
    if operator.about.startswith(f"{operator.name}("):
        return operator.about
    names = [*"xyz"[: operator.least], *(["..."] if operator.most is None else [])]
    return f"{operator.name}({', '.join(names)}) {operator.about}"


def _line_at(program: str, reason: str) -> str:
    """The line that a reason speaks of, to be shown."""
    place, lines = re.match(r"line (\d+)", reason), program.splitlines()
    number = int(place[1]) if place else 0
    return f"The line is: {lines[number - 1]}\n" if 0 < number <= len(lines) else ""


def _unmentioned(program: str, told: Mapping[str, str]) -> str:
    """The clues of the statement that no line of the program names."""
    named = {clue_number(clue) for clue in map(clue_of, program.splitlines()) if clue}
    missing = [f"{number}. {words}\n" for number, words in told.items() if number not in named]
    return f"No line is for:\n{''.join(missing)}" if missing else ""

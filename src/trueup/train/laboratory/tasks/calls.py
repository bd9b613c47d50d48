"""Requests that want a call: nested functions, chosen from those offered.

`bsmv?3+4*2....k=` offers the functions b, s, m and v, and asks for 3+4*2 in the unit k. The right call is
`v?:k;b?3;m?4;2!;0!!`: products first, then from left to right. Each of the four things to do has two functions, of
which one is offered; they differ in how many arguments they take and in what order. The dial is the number of
operators. Axes: B row, P prompt token, T token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from trueup.core.errors import BadInput
from trueup.train.laboratory.examples import Pairs
from trueup.train.laboratory.grammar import OPEN, STOP, WORD, Call, Grammar, write
from trueup.train.laboratory.tasks.call_checker import RIGHT, fault_of
from trueup.train.laboratory.tasks.call_tools import TOOLS, UNIT, execute
from trueup.train.laboratory.tasks.reading import Codes
from trueup.train.laboratory.vocabulary import CHARACTERS, DIGIT_0, Flags, Tokens, encode, encode_rows, token

OPERATORS = "+-*"
UNITS = "ghijklno"
EQUALS, DOT = token("="), token(".")
TWINS = ("ab", "sd", "mt", "uv")
"""Functions that do the same."""
POPULAR = "asmu"
"""The ones that most people know."""


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt, read: the functions it offers, numbers and operators in turn, and the unit."""

    offered: str
    infix: str
    unit: str

    def call(self, *, names: str = "", layouts: str = "") -> Call:
        """The call it wants; other names, or arguments as other functions take them, make it a wrong one."""
        chosen = {TOOLS[name].does: name for name in names or self.offered}
        laid = {TOOLS[name].does: TOOLS[name].layout for name in layouts or names or self.offered}

        def build(does: str, *operands: int | str | Call) -> Call:
            return Call(chosen[does], tuple(int(p) if isinstance(p, str) else operands[p] for p in laid[does]))

        return build(UNIT, _tree(self.infix, build), WORD + self.unit)


Build = Callable[..., Call]


def _tree(infix: str, build: Build) -> int | str | Call:
    """Operators as calls; the last of the weakest is the outermost."""
    for signs in ("+-", "*"):
        at = max(infix.rfind(sign) for sign in signs)
        if at > 0:
            return build(infix[at], _tree(infix[:at], build), _tree(infix[at + 1 :], build))
    return int(infix)


def read(prompt: str) -> Request:
    """The request of a prompt."""
    offered, rest = prompt[:4], prompt[5:]
    return Request(offered, rest[:-2].rstrip("."), rest[-2])


def grammars() -> Callable[[str], Grammar]:
    """What gives the calls of the functions that a prompt offers; prompts that offer the same share one."""
    table = {frozenset(names): Grammar({name: TOOLS[name].signature for name in names}) for names in product(*TWINS)}
    return lambda prompt: table[frozenset(prompt[:4])]


def text_of(tokens: Tokens) -> str:
    """A row of tokens as text, marks of end and padding included."""
    return "".join(CHARACTERS[t] for t in tokens.tolist())


def finished(tokens: Tokens) -> str | None:
    """The text of a completion up to its end, None where it has none."""
    text, stop, _ = text_of(tokens).partition(STOP)
    return text if stop else None


@dataclass(frozen=True, slots=True)
class Calls:
    """The task, with up to `most` operators."""

    most: int = 4

    def prompts(self, rng: np.random.Generator, n: int, dial: int) -> Tokens:
        """n requests of `dial` operators."""
        if not 1 <= dial <= self.most:
            raise BadInput(f"a request of {dial} operators; this task has 1 to {self.most}")
        prompts_BP = np.full((n, 2 * self.most + 8), DOT)
        offered_B4 = np.array([encode(twins) for twins in TWINS])[np.arange(4), rng.integers(0, 2, (n, 4))]
        prompts_BP[:, :4] = rng.permuted(offered_B4, axis=1)
        prompts_BP[:, 4] = token(OPEN)
        prompts_BP[:, 5 : 2 * dial + 6 : 2] = DIGIT_0 + rng.integers(1, 10, (n, dial + 1))
        prompts_BP[:, 6 : 2 * dial + 5 : 2] = rng.choice(encode(OPERATORS), (n, dial))
        prompts_BP[:, -2] = rng.choice(encode(UNITS), n)
        prompts_BP[:, -1] = EQUALS
        return prompts_BP

    def calls(self, prompts_BP: Tokens) -> list[Call]:
        """The call that each prompt wants."""
        return [read(text_of(row)).call() for row in prompts_BP]

    def targets(self, prompts_BP: Tokens) -> Tokens:
        """What a right answer says, up to its end; padded to the longest."""
        return encode_rows([write(call) + STOP for call in self.calls(prompts_BP)])

    def sample_batch(self, rng: np.random.Generator, n: int, dial: int) -> Pairs:
        """n prompts with their targets."""
        prompts_BP = self.prompts(rng, n, dial)
        return Pairs(prompts_BP, self.targets(prompts_BP))

    def answers(self, prompts_BP: Tokens) -> Codes:
        """What the right call returns, for each prompt."""
        return np.array([execute(call) for call in self.calls(prompts_BP)], np.int64)

    def check(self, prompts_BP: Tokens, completions_BT: Tokens) -> Flags:
        """Whether each completion is a call that can be made and returns what was asked for."""
        return np.array([fault == RIGHT for fault in self.faults(prompts_BP, completions_BT)], bool)

    def faults(self, prompts_BP: Tokens, completions_BT: Tokens) -> list[str]:
        """What is wrong with each completion."""
        rows = zip(prompts_BP, completions_BT, strict=True)
        return [fault_of(finished(row), (asked := read(text_of(prompt))).call(), asked.offered) for prompt, row in rows]

    def longest(self, dial: int) -> int:
        """How many tokens a right completion takes at most."""
        return 7 * dial + 8

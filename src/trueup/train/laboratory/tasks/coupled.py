"""Two unknowns that wait on each other, solved by sweeps.

All numbers are hundredths from .00 to .35, a base-36 digit each. `73-k8u=` is x = .20 - .7 y and y = .08 - .3 x, both
held between 0 and .30: a box-constrained quadratic program, each line of its gradient divided by its own curvature.
`73+k8u=` is x = .20 + .7 y and y = .08 + .3 x, whose limit .30 holds and changes nothing: the DC power flow of three
buses, each bus's balance divided by its own susceptance, the unknowns angles against the slack. The dial is the number
of Gauss-Seidel sweeps from y = 0, rounded to the grid, until no equation is off by more than a hundredth; the text is
as long at every dial. Answered directly, `#i3$` is the solution rounded to the grid; worked, each sweep restates either
line with its product and its value, `k-70k8-362`, `k-71j8-362`, `#j2$`, up to the sweep that is within tolerance: what
a line needs stands next to it, since a small model finds a digit by how far away it is.
Axes: B row, P prompt token, T token, K sweep.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trueup.core.errors import BadInput
from trueup.train.laboratory.examples import Pairs
from trueup.train.laboratory.tasks.hundredths import DIGITS, EQUALS, MINUS, PLUS, TENTHS, share_of
from trueup.train.laboratory.tasks.reading import Codes, code_of, read_answers
from trueup.train.laboratory.vocabulary import ANSWER, DIGIT_0, END, PAD, SIZE, Flags, Tokens

PROMPT_TOKENS, SWEEP_TOKENS, ANSWER_TOKENS = 7, 10, 4
SCALE, TOLERANCE, ROUNDING = 100, 0.01, 1e-9
LEAST_LIMIT = 15
MOST = 10
EXACT_SWEEPS = 200
CANDIDATES = 20_000

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Systems:
    """What prompts say, as whole numbers: shares in tenths, right sides and limits in hundredths; a row each."""

    share_B2: Tokens
    held_B: Flags
    given_B2: Tokens
    limit_B: Tokens

    def __len__(self) -> int:
        return len(self.held_B)

    def taken(self, rows: Flags | Tokens) -> Systems:
        """Some of them."""
        return Systems(self.share_B2[rows], self.held_B[rows], self.given_B2[rows], self.limit_B[rows])

    def implied(self, values_B2: Numbers) -> Numbers:
        """What each equation makes of the other unknown, held to the limits where these are part of it."""
        sign_B1 = np.where(self.held_B, -1.0, 1.0)[:, None]
        free_B2 = self.given_B2 / SCALE + sign_B1 * self.share_B2 / TENTHS * values_B2[:, ::-1]
        return np.where(self.held_B[:, None], np.clip(free_B2, 0.0, self.limit_B[:, None] / SCALE), free_B2)

    def residuals(self, values_B2: Numbers) -> Numbers:
        """How far each equation is from holding; NaN where there is no value."""
        return np.abs(values_B2 - self.implied(values_B2))

    def excess(self, values_B2: Numbers) -> Numbers:
        """How far each value is outside its limits; NaN where there is none."""
        return np.maximum(0.0, np.maximum(-values_B2, values_B2 - self.limit_B[:, None] / SCALE))

    def solutions(self) -> Numbers:
        """The values that hold, to machine precision."""
        values_B2 = np.zeros((len(self), 2))
        for _ in range(EXACT_SWEEPS):
            for place in (0, 1):
                values_B2[:, place] = self.implied(values_B2)[:, place]
        return values_B2

    def sweep(self, second_B: Tokens) -> Tokens:
        """One Gauss-Seidel sweep on the grid: share and value of the first, then of the second, axes B4."""
        columns, other_B = [], second_B
        for place in (0, 1):
            share_B = share_of(self.share_B2[:, place], other_B)
            free_B = self.given_B2[:, place] + np.where(self.held_B, -share_B, share_B)
            other_B = np.where(self.held_B, np.clip(free_B, 0, self.limit_B), np.minimum(free_B, DIGITS - 1))
            columns += [share_B, other_B]
        return np.stack(columns, 1)

    def sweeps(self, most: int = MOST) -> Tokens:
        """The first sweeps, axes BK4."""
        second_B, out = np.zeros(len(self), np.int64), []
        for _ in range(most):
            out.append(self.sweep(second_B))
            second_B = out[-1][:, 3]
        return np.stack(out, 1)

    def needed(self, sweeps_BK4: Tokens) -> Tokens:
        """Which sweep, counted from 1, is the first within tolerance; 0 where none is."""
        within_KB = [holds(self.residuals(sweeps_B4[:, 1::2] / SCALE)) for sweeps_B4 in sweeps_BK4.swapaxes(0, 1)]
        within_BK = np.stack(within_KB, 1)
        return np.where(within_BK.any(1), within_BK.argmax(1) + 1, 0)


def is_within(off: Numbers) -> Flags:
    """What is off by no more than the tolerance; what has no value is not."""
    within: Flags = off <= TOLERANCE + ROUNDING
    return within


def holds(off_B2: Numbers) -> Flags:
    """Whether both of a row are within tolerance."""
    return _every(is_within(off_B2))


def read_systems(prompts_BP: Tokens) -> Systems:
    """What prompts say."""
    digit_BP = prompts_BP - DIGIT_0
    return Systems(digit_BP[:, :2], prompts_BP[:, 2] == MINUS, digit_BP[:, 3:5], digit_BP[:, 5])


def write_systems(systems: Systems) -> Tokens:
    """The prompts that say it."""
    sign_B = np.where(systems.held_B, MINUS, PLUS)
    digit_B5 = DIGIT_0 + np.column_stack([systems.share_B2, systems.given_B2, systems.limit_B])
    return np.column_stack([digit_B5[:, :2], sign_B, digit_B5[:, 2:], np.full(len(systems), EQUALS)])


def read_values(completions_BT: Tokens) -> Numbers:
    """The two values that each completion answers; NaN where its answer is anything else."""
    codes_B = read_answers(completions_BT)
    digit_B2 = codes_B[:, None] // SIZE ** np.arange(1, -1, -1) % SIZE - DIGIT_0
    readable_B = (codes_B >= 0) & (codes_B < SIZE**2) & ((digit_B2 >= 0) & (digit_B2 < DIGITS)).all(1)
    return np.where(readable_B[:, None], digit_B2 / SCALE, np.nan)


@dataclass(frozen=True, slots=True)
class Coupled:
    """The task for up to `most` sweeps; `worked` targets write them out."""

    worked: bool = False
    most: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.most <= MOST:
            raise BadInput(f"{self.most} sweeps; this task has 1 to {MOST}")

    def prompts(self, rng: np.random.Generator, n: int, dial: int) -> Tokens:
        """n prompts that take so many sweeps, of both kinds as often."""
        if not 1 <= dial <= self.most:
            raise BadInput(f"{dial} sweeps; this task has 1 to {self.most}")
        parts = [_drawn(rng, n - n // 2, dial, held=True), _drawn(rng, n // 2, dial, held=False)]
        return np.concatenate(parts)[rng.permutation(n)]

    def dials(self, prompts_BP: Tokens) -> Tokens:
        """How many sweeps each prompt takes."""
        systems = read_systems(prompts_BP)
        return systems.needed(systems.sweeps())

    def targets(self, prompts_BP: Tokens) -> Tokens:
        """What a right answer says, up to its end; padded to the longest."""
        systems = read_systems(prompts_BP)
        if not self.worked:
            return _answer(on_grid(systems.solutions()))
        sweeps_BK4 = systems.sweeps(self.most)
        needed_B, rows = systems.needed(sweeps_BK4), np.arange(len(systems))
        written_BKT = _written(systems, sweeps_BK4)
        written_BKT[np.arange(self.most) >= needed_B[:, None]] = PAD
        targets_BT = np.pad(written_BKT.reshape(len(rows), -1), ((0, 0), (0, ANSWER_TOKENS)), constant_values=PAD)
        places_BT = SWEEP_TOKENS * needed_B[:, None] + np.arange(ANSWER_TOKENS)
        targets_BT[rows[:, None], places_BT] = _answer(sweeps_BK4[rows, needed_B - 1, 1::2])
        return targets_BT[:, : SWEEP_TOKENS * int(needed_B.max(initial=0)) + ANSWER_TOKENS]

    def sample_batch(self, rng: np.random.Generator, n: int, dial: int) -> Pairs:
        """n prompts with their targets."""
        prompts_BP = self.prompts(rng, n, dial)
        return Pairs(prompts_BP, self.targets(prompts_BP))

    def answers(self, prompts_BP: Tokens) -> Codes:
        """The code of each prompt's solution on the grid; others may be within tolerance too."""
        return code_of(DIGIT_0 + on_grid(read_systems(prompts_BP).solutions()))

    def check(self, prompts_BP: Tokens, completions_BT: Tokens) -> Flags:
        """Whether each completion's answer satisfies all equations and keeps its limits."""
        systems, values_B2 = read_systems(prompts_BP), read_values(completions_BT)
        return holds(systems.residuals(values_B2)) & _every(keeps_limit(systems.excess(values_B2)))

    def longest(self, dial: int) -> int:
        """How many tokens a completion may take."""
        return (SWEEP_TOKENS * dial if self.worked else 0) + ANSWER_TOKENS


def _written(systems: Systems, sweeps_BK4: Tokens) -> Tokens:
    """`k-70k8-362`: right side, sign, share, product and value of either line, for each sweep, axes BKT."""
    sign_B = np.where(systems.held_B, MINUS, PLUS)
    columns = []
    for place in (0, 1):
        share_B, given_B = systems.share_B2[:, place], systems.given_B2[:, place]
        product_BK, value_BK = DIGIT_0 + sweeps_BK4[..., 2 * place], DIGIT_0 + sweeps_BK4[..., 2 * place + 1]
        said = (DIGIT_0 + share_B, sign_B, DIGIT_0 + given_B)
        share_BK, sign_BK, given_BK = (np.broadcast_to(part_B[:, None], value_BK.shape) for part_B in said)
        columns += [given_BK, sign_BK, share_BK, product_BK, value_BK]
    return np.stack(columns, -1)


def keeps_limit(excess: Numbers) -> Flags:
    """Which values are not outside their limits; one that is not there is."""
    kept: Flags = excess <= ROUNDING
    return kept


def on_grid(values_B2: Numbers) -> Tokens:
    """The nearest hundredths, as whole numbers."""
    return np.rint(SCALE * values_B2).astype(np.int64)


def _drawn(rng: np.random.Generator, n: int, dial: int, *, held: bool) -> Tokens:
    """Prompts of one kind that take so many sweeps, by rejection."""
    kept, found = [np.zeros((0, PROMPT_TOKENS), np.int64)], 0
    while found < n:
        systems = _candidates(rng, held=held)
        systems = systems.taken(systems.needed(systems.sweeps(dial)) == dial)
        systems = systems.taken(_every(keeps_limit(systems.excess(systems.solutions()))))
        kept.append(write_systems(systems))
        found += len(kept[-1])
    return np.concatenate(kept)[:n]


def _candidates(rng: np.random.Generator, *, held: bool) -> Systems:
    """Systems of one kind: every other right side is drawn, the rest are of a drawn solution within its limits."""
    share_B2 = rng.integers(1, TENTHS, (CANDIDATES, 2))
    limit_B = rng.integers(LEAST_LIMIT, DIGITS, CANDIDATES)
    solution_B2 = rng.random((CANDIDATES, 2)) * limit_B[:, None]
    implied_B2 = solution_B2 + (1 if held else -1) / TENTHS * share_B2 * solution_B2[:, ::-1]
    given_B2 = np.rint(implied_B2).astype(np.int64)
    given_B2[::2] = rng.integers(0, DIGITS, (CANDIDATES // 2, 2))
    systems = Systems(share_B2, np.full(CANDIDATES, held), given_B2, limit_B)
    return systems.taken(_every((given_B2 >= 0) & (given_B2 < DIGITS)))


def _every(flags_B2: Flags) -> Flags:
    return np.asarray(flags_B2.all(1))


def _answer(values_B2: Tokens) -> Tokens:
    """`#i3$`."""
    B = len(values_B2)
    return np.column_stack([np.full(B, ANSWER), DIGIT_0 + values_B2, np.full(B, END)])

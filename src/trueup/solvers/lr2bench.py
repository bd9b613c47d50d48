"""Solves the puzzles of LR²Bench from their statement alone: an adapter for each family, no language model.

Chen et al. 2025, arXiv:2502.17848. Reads the last user message, in which its prompts print the puzzle. An
answer from a lexicon is the likeliest one; one from clues that rules read is right for the clues as they were read.
"""

from __future__ import annotations

from trueup.core.errors import BadInput
from trueup.core.types import Problem, Solution, last_asked
from trueup.solvers.bounded import Bounded, solution_of
from trueup.solvers.worker import Worker, open_worker


def lr2bench(*, limit_seconds: float = 60.0, memory_megabytes: int = 4096, decodings: int = 1) -> Bounded:
    """Solve sudoku, logic puzzles, drop quotes and cryptograms as LR²Bench prints them.

    With `decodings` above 1 up to so many answers to a drop quote or a cryptogram come in one text, each behind its
    worth in nats and the likeliest last: what `decode_with_lexicon` chooses from. Raises BadInput for none.
    """
    if decodings < 1:
        raise BadInput(f"lr2bench decodings is {decodings}; give at least 1")

    async def solve(worker: Worker, problem: Problem) -> Solution:
        reply = await worker.run({"puzzle": last_asked(problem.prompt), "decodings": decodings})
        return solution_of(reply, reply["text"], reply["text"] or None)

    name = f"lr2bench:{decodings} decodings" if decodings > 1 else "lr2bench"
    return Bounded(name, open_worker(limit_seconds, memory_megabytes), solve)

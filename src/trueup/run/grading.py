"""Whether a text is right, by a stratum's own verifier, which may break or hang.

The text is read as a study reads it, the turn that a prompt has begun included.
"""

from __future__ import annotations

from trueup.core.errors import AskFailed
from trueup.core.roles import Verifier
from trueup.core.types import Item, begun_turn
from trueup.run.limit import time_limit

SECONDS = 20.0
SHOWN = 80


def is_right(verifier: Verifier, item: Item, text: str, *, seconds: float = SECONDS) -> bool:
    """Whether a text is a right answer to an item.

    Raises AskFailed where the verifier breaks on it or takes longer than `seconds`: a grade made up in its place would
    be taken for one.
    """
    problem = item.problem
    begun = begun_turn(problem.prompt)
    try:
        with time_limit(seconds):
            answer = verifier.read(begun + text)
            return answer is not None and verifier.check(answer, problem, item.reference).is_right
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise AskFailed(f"verifier {verifier.name!r} broke on {text[:SHOWN]!r} (item {problem.id!r}): {why}") from error

"""What is behind a judge's verdicts, given how often it is right.

Rogan and Gladen 1978: a judge that passes a share q1 of what is right and rejects a share q0 of what is wrong passes a
share p = theta q1 + (1 - theta) (1 - q0) where theta is right.
"""

from __future__ import annotations

from trueup.core.errors import BadInput


def true_share(passed: float, q0: float, q1: float) -> float:
    """An unbiased estimate of theta behind a share that passed: (p + q0 - 1) / (q0 + q1 - 1).

    It is not cut to [0, 1], which would bias sums. Raises BadInput for a judge that is no better than chance.
    """
    if q0 + q1 <= 1:
        raise BadInput(f"this judge has q0={q0:.3g} and q1={q1:.3g}: no better than chance, take another")
    return (passed + q0 - 1) / (q0 + q1 - 1)

"""A laboratory of seconds, for runs of claims that only check how they go."""

from __future__ import annotations

from trueup.claims.chains import Size, Stage

MINI = Size(
    modulus=5, most=2, width=8, direct=(Stage(1, 6), Stage(2, 6)), worked=(Stage(2, 8),), items=24, attempts=4,
    verifier_items=16, verifier_samples=2, verifier_steps=4, rows=8,
)  # fmt: skip

"""The names of the back-ends."""

AUTO, CP_SAT, HIGHS, SCIPY, Z3 = BACKENDS = ("auto", "cp-sat", "highs", "scipy", "z3")
"""`auto` takes cp-sat for whole numbers, highs for linear programs with fractions, scipy for other fractions,
and z3 for what none of these takes.
"""
UNREACHED = "the objective's best value is approached and not reached; allow equality, as in <="
"""Why a program with strict comparisons of fractions has no best value."""
WORTHLESS = "the objective has no value at any solution: a place is outside of element, or a divisor is zero"
"""Why a program with solutions has no best one."""

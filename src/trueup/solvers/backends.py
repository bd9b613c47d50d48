"""The names of the back-ends."""

AUTO, CP_SAT, HIGHS, SCIPY, Z3 = BACKENDS = ("auto", "cp-sat", "highs", "scipy", "z3")
"""`auto` takes cp-sat for whole numbers, highs for linear programs with fractions, scipy for other fractions."""

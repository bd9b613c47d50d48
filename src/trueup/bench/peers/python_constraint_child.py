"""Solves puzzles with python-constraint2; started by the Python that version 2.9.0 is installed in.

Reads forms as JSON from standard input, a list and the seconds that each may take; writes a line for each. Past the
limit this process dies, and its parent goes on with the next. Every form is put in the package's own constraints where
it has one. The first solution is taken: that it is the only one is not proved.
"""

import json
import signal
import sys
import time
from typing import Any

SUMS = {"<=": "MaxSumConstraint", "==": "ExactSumConstraint", ">=": "MinSumConstraint"}


def posed(form: dict[str, Any], package: Any) -> Any:
    problem = package.Problem()
    for name, values in form["domains"].items():
        problem.addVariable(name, values)
    for one in form["constraints"]:
        if one["kind"] == "different":
            problem.addConstraint(package.AllDifferentConstraint(), one["vars"])
        elif one["kind"] == "rows":
            problem.addConstraint(holds_in(one["rows"]), one["vars"])
        elif len(one["terms"]) == 2:
            problem.addConstraint(compares(one), list(one["terms"]))
        else:
            kind = getattr(package, SUMS[one["sense"]])
            problem.addConstraint(kind(one["bound"], list(one["terms"].values())), list(one["terms"]))
    return problem


def holds_in(rows: list[list[int]]) -> Any:
    allowed = set(map(tuple, rows))
    return lambda *row: row in allowed


def compares(one: dict[str, Any]) -> Any:
    (p, q), bound = one["terms"].values(), one["bound"]
    if one["sense"] == "==":
        return lambda a, b: p * a + q * b == bound
    return (lambda a, b: p * a + q * b <= bound) if one["sense"] == "<=" else (lambda a, b: p * a + q * b >= bound)


def main() -> None:
    import constraint as package  # type: ignore[import-not-found]

    job = json.load(sys.stdin)
    for form in job["forms"]:
        signal.setitimer(signal.ITIMER_REAL, job["limit_seconds"])
        started = time.perf_counter()
        values = posed(form, package).getSolution()
        seconds = time.perf_counter() - started
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps({"values": values, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()

"""Solves puzzles with chuk-mcp-solver; started by the Python that version 0.5.2 is installed in.

Reads forms as JSON from standard input, a list and the seconds that each may take; writes a line for each. Timed is its
solver alone, from a request as JSON to a response, in this process: no message passes through its server. One worker,
as ours has; its cache is off. The first solution is taken: that it is the only one is not proved.
"""

import asyncio
import contextlib
import json
import logging
import sys
import time
from typing import Any

NEEDS_ALL = {"num_search_workers": 1, "random_seed": 0, "enable_solution_caching": False}


def request_of(form: dict[str, Any], limit_seconds: float) -> dict[str, Any]:
    request: dict[str, Any] = {
        "mode": "optimize" if form["objective"] else "satisfy",
        "variables": [
            {"id": name, "domain": {"type": "integer", "lower": min(values), "upper": max(values)}}
            for name, values in form["domains"].items()
        ],
        "constraints": [
            {"id": f"c{i}", "kind": kind, "params": params}
            for i, (kind, params) in enumerate(map(constraint_of, [*form["constraints"], *holes(form["domains"])]))
        ],
        "search": NEEDS_ALL | {"max_time_ms": round(1000 * limit_seconds)},
    }
    if form["objective"]:
        sense = form["objective"]["sense"][:3]
        request["objective"] = {"sense": sense, "terms": terms_of(form["objective"]["terms"])}
    return request


def holes(domains: dict[str, list[int]]) -> list[dict[str, Any]]:
    """A domain that is no range, as a table of one column."""
    return [
        {"kind": "rows", "vars": [name], "rows": [[value] for value in values]}
        for name, values in domains.items()
        if len(values) < max(values) - min(values) + 1
    ]


def constraint_of(one: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if one["kind"] == "different":
        return "all_different", {"vars": one["vars"]}
    if one["kind"] == "rows":
        return "table", {"vars": one["vars"], "allowed_tuples": one["rows"]}
    return "linear", {"terms": terms_of(one["terms"]), "sense": one["sense"], "rhs": one["bound"]}


def terms_of(terms: dict[str, int]) -> list[dict[str, Any]]:
    return [{"var": name, "coef": factor} for name, factor in terms.items()]


async def solved(form: dict[str, Any], limit_seconds: float) -> dict[str, Any]:
    from chuk_mcp_solver.models import SolveConstraintModelRequest  # type: ignore[import-not-found]
    from chuk_mcp_solver.solver import get_solver  # type: ignore[import-not-found]

    request = request_of(form, limit_seconds)
    started = time.perf_counter()
    response = await get_solver("ortools").solve_constraint_model(SolveConstraintModelRequest(**request))
    seconds = time.perf_counter() - started
    found = response.solutions
    values = {one.id: round(one.value) for one in found[0].variables} if found else None
    return {"values": values, "seconds": seconds}


async def main() -> None:
    logging.disable(logging.CRITICAL)
    told, job = sys.stdout, json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        await solved(job["forms"][0], job["limit_seconds"])  # all is loaded from here on
        for form in job["forms"]:
            print(json.dumps(await solved(form, job["limit_seconds"])), file=told, flush=True)


if __name__ == "__main__":
    asyncio.run(main())

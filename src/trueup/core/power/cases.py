"""The standard test cases of 3, 5, 9, 14 and 30 buses, by their number of buses.

Each file of `data` names its source. Values are facts of public archives and of papers, in per unit of 100 MVA.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files

from trueup.core.errors import BadInput
from trueup.core.power.case import Case, case_of

CASES = (3, 5, 9, 14, 30)


def read_case(buses: int) -> Case:
    """The case of so many buses.

    Raises BadInput where there is none.
    """
    if buses not in CASES:
        raise BadInput(f"there is no power system of {buses} buses; known: {', '.join(map(str, CASES))}")
    text = (files("trueup.core.power") / "data" / f"{buses}.toml").read_text(encoding="utf-8")
    return case_of(tomllib.loads(text))

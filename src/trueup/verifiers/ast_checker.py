"""BFCL's checker of calls, loaded alone out of its wheel.

Patil et al. 2025 (Berkeley Function Calling Leaderboard), bfcl-eval, Apache-2.0. Of the package only the checker
is imported, which is plain Python; the table of models that it asks for is replaced, since that one would import
every vendor's client.
"""

from __future__ import annotations

import importlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import ModuleType, SimpleNamespace
from typing import Any

from trueup.core.cache import BFCL, fetch_wheel
from trueup.core.types import Json

MODULE = "bfcl_eval"
IMPORTING = Lock()

Judge = Callable[[list[Json], list[Json], list[Json]], tuple[bool, str]]
"""(functions, calls as [{name: {argument: value}}], accepted values): right or not, and the kind of error."""


def load_judge() -> Judge:
    """The checker for Python-style calls, leaving sys.path and sys.modules as they were.

    Raises Unavailable where the wheel cannot be had.
    """
    wheel = fetch_wheel(*BFCL)
    with IMPORTING, _only(wheel):
        check = importlib.import_module(f"{MODULE}.eval_checker.ast_eval.ast_checker").ast_checker
        python = importlib.import_module(f"{MODULE}.constants.enums").Language.PYTHON

    def judge(functions: list[Json], calls: list[Json], accepted: list[Json]) -> tuple[bool, str]:
        category = "parallel" if len(accepted) > 1 else "multiple" if len(functions) > 1 else "simple"
        try:
            verdict: dict[str, Any] = check(functions, calls, accepted, python, category, "any")
        except (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            # The checker compares nested values that it never asked the type of, and makes floats of whole numbers
            # that are too large for one; such a call is wrong.
            return False, f"not_comparable:{type(error).__name__}"
        return verdict["valid"], verdict.get("error_type", "")

    return judge


@contextmanager
def _only(wheel: Path) -> Iterator[None]:
    """The package from this wheel and no other, with a stand-in for its table of models."""
    table = ModuleType(f"{MODULE}.constants.model_config")
    table.__dict__["MODEL_CONFIG_MAPPING"] = defaultdict(lambda: SimpleNamespace(underscore_to_dot=False))
    installed = _withdraw()
    sys.modules[table.__name__] = table
    sys.path.insert(0, str(wheel))
    try:
        yield
    finally:
        sys.path.remove(str(wheel))
        _withdraw()
        sys.modules.update(installed)


def _withdraw() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name == MODULE or name.startswith(f"{MODULE}.")]
    return {name: sys.modules.pop(name) for name in names}

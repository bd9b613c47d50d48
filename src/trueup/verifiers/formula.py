"""Formulas: LaTeX into a normal form, within bounds.

Nothing here can stop a slow computation, so the size of what is computed with is bounded beforehand instead. LaTeX
is read by math-verify's grammar, never as Python: a model's text is not evaluated.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any

import sympy  # type: ignore[import-untyped]
from math_verify import LatexExtractionConfig, parse
from math_verify import verify as is_equal

FORMULA_CHARS_AT_MOST = 200
NESTING_AT_MOST = 6
DIGITS_AT_MOST = 400
EXPONENT_DIGITS_AT_MOST = 6
TERMS_AT_MOST = 60
ROOT = re.compile(r"(?<!\\)sqrt\(([^()]*)\)")
HUGE = re.compile(r"\\binom|[0-9]{4,}\s*!|!\s*!")


@lru_cache(maxsize=4096)
def parsed(formula: str) -> Any:
    """The sympy value of a formula in its normal form; None where there is none, or it is too large to work with."""
    if len(formula) > FORMULA_CHARS_AT_MOST or _nesting(formula) > NESTING_AT_MOST or HUGE.search(formula):
        return None
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that it has no timeout
    text = ROOT.sub(r"\\sqrt{\1}", formula)
    found = parse(f"${text}$", [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None)
    try:
        return _normal(found[0]) if found else None
    except (ArithmeticError, AttributeError, NotImplementedError, RecursionError, TypeError, ValueError):
        return None  # what sympy cannot work with is no answer that could be compared


def _nesting(formula: str) -> int:
    depth = deepest = 0
    for sign in formula:
        depth += (sign in "({[") - (sign in ")}]")
        deepest = max(deepest, depth)
    return deepest


def _normal(value: Any) -> Any:
    """Expanded, fractions joined, decimals exact, x = 5 as 5; None where that is undefined or too much work."""
    if isinstance(value, sympy.MatrixBase):
        cells = [_normal(cell) for cell in value]
        return None if None in cells else sympy.ImmutableMatrix(*value.shape, cells)
    if isinstance(value, sympy.Eq) and isinstance(value.lhs, sympy.Symbol):
        return _normal(value.rhs)
    if isinstance(value, sympy.Expr):
        return _expanded(value)
    if isinstance(value, sympy.logic.boolalg.BooleanAtom):
        return None
    parts = [part if isinstance(part, sympy.logic.boolalg.BooleanAtom) else _normal(part) for part in value.args]
    if None in parts:
        return None
    settings = {"evaluate": False} if isinstance(value, sympy.core.relational.Relational) else {}
    return value.func(*parts, **settings) if parts else value


def _expanded(value: Any) -> Any:
    if isinstance(value, sympy.Symbol):
        return value
    if not _is_small(value):
        return None
    exact = value.xreplace({f: sympy.Rational(str(f)) for f in value.atoms(sympy.Float)}).doit()
    expanded = sympy.radsimp(sympy.cancel(sympy.expand(exact)) if exact.free_symbols else sympy.expand(exact))
    return None if expanded.has(sympy.zoo, sympy.nan) else expanded


def _is_small(value: Any) -> bool:
    if value.has(sympy.Integral, sympy.Sum, sympy.Product, sympy.Limit, sympy.Derivative):
        return False
    return bool(_size(value) <= (TERMS_AT_MOST if value.free_symbols else DIGITS_AT_MOST))


def _size(value: Any) -> float:
    """About as many digits, or terms, as the value has once it is worked out."""
    if isinstance(value, sympy.Pow) and value.exp.is_number:
        if _size(value.exp) > EXPONENT_DIGITS_AT_MOST:
            return float("inf")
        return float(_size(value.base) * max(1.0, abs(complex(value.exp.doit()))))
    if not value.args:
        return float(len(str(value)))
    return float(sum(_size(part) for part in value.args))


def latex(value: Any) -> str:
    """The value as LaTeX, which `parsed` reads back."""
    text: str = sympy.latex(value)
    return text


def equal(right: Any, value: Any) -> bool:
    """Whether math-verify finds two values equal, decimals to six places."""
    return bool(is_equal(right, value, timeout_seconds=None))

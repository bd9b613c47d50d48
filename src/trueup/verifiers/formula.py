"""Formulas: LaTeX into a normal form, within bounds.

Nothing here can stop a slow computation, so the size of what is computed with is bounded beforehand instead. LaTeX
is read by math-verify's grammar, never as Python: a model's text is not evaluated.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from math import comb, prod
from operator import add, mul
from typing import Any

import sympy  # type: ignore[import-untyped]
from math_verify import LatexExtractionConfig, parse
from math_verify import verify as is_equal

FORMULA_CHARS_AT_MOST = 200
NESTING_AT_MOST = 6
DIGITS_AT_MOST = 400
EXPONENT_DIGITS_AT_MOST = 6
FACTORIAL_AT_MOST = 999
TERMS_AT_MOST = 60
EXPANDED_TERMS_AT_MOST = 100
BITS_AT_MOST = 14_000
"""Python writes no longer number out."""
DECIMAL_AT_LEAST = 1e-3
DECIMAL_AT_MOST = 1e8
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
    """Expanded, fractions joined, decimals exact, x = 5 and 2 + 3 = 5 as 5; None where undefined or too much work."""
    if isinstance(value, sympy.MatrixBase):
        cells = [_normal(cell) for cell in value]
        return None if None in cells else sympy.ImmutableMatrix(*value.shape, cells)
    if _is_assignment(value):
        return _normal(value.rhs)
    if isinstance(value, sympy.Expr):
        return _expanded(value)
    if isinstance(value, sympy.logic.boolalg.BooleanAtom):
        return None
    parts = [_normal_part(part, keeps_names=_has_names(value)) for part in value.args]
    if None in parts:
        return None
    if isinstance(value, sympy.Eq) and not value.free_symbols and parts[0] == parts[1]:
        return parts[1]
    if isinstance(value, sympy.Tuple) and all(map(_is_assignment, parts)):
        return sympy.FiniteSet(*parts)
    settings = {"evaluate": False} if isinstance(value, sympy.core.relational.Relational) else {}
    return value.func(*parts, **settings) if parts else value


def _normal_part(part: Any, *, keeps_names: bool) -> Any:
    if isinstance(part, sympy.logic.boolalg.BooleanAtom):
        return part
    if keeps_names and _is_assignment(part):
        right = _normal(part.rhs)
        return None if right is None else sympy.Eq(part.lhs, right, evaluate=False)
    return _normal(part)


def _is_assignment(value: Any) -> bool:
    return isinstance(value, sympy.Eq) and isinstance(value.lhs, sympy.Symbol)


def _has_names(value: Any) -> bool:
    """Whether its values go by names that tell them apart: x = 3, y = 2, and not x = 3, x = 2."""
    relations = [part for part in value.args if isinstance(part, sympy.core.relational.Relational)]
    is_list = isinstance(value, sympy.FiniteSet | sympy.Tuple)
    return is_list and len({part.lhs if _is_assignment(part) else part for part in relations}) > 1


def _expanded(value: Any) -> Any:
    if isinstance(value, sympy.Symbol):
        return value
    if not _is_small(value):
        return None
    exact = value.xreplace({f: _fraction(f) for f in value.atoms(sympy.Float)}).doit()
    expanded = sympy.radsimp(sympy.cancel(sympy.expand(exact)) if exact.free_symbols else sympy.expand(exact))
    is_long = any(max(abs(n.p), n.q).bit_length() > BITS_AT_MOST for n in expanded.atoms(sympy.Rational))
    return None if is_long or expanded.has(sympy.zoo, sympy.nan) else expanded


def _fraction(decimal: Any) -> Any:
    return sympy.Rational(str(decimal))


def _is_small(value: Any) -> bool:
    """Whether a value is little work; of its parts that is asked first, since exponents are worked out to say."""
    if value.has(sympy.Integral, sympy.Sum, sympy.Product, sympy.Limit, sympy.Derivative):
        return False
    most = TERMS_AT_MOST if value.free_symbols else DIGITS_AT_MOST
    return all(map(_is_small, value.args)) and _size(value) <= most and _expanded_terms(value) <= EXPANDED_TERMS_AT_MOST


def _size(value: Any) -> float:
    """About as many digits, or terms, as the value has where no product is multiplied out."""
    if isinstance(value, sympy.factorial) and value.args[0].is_number:
        return float("inf") if abs(complex(value.args[0].doit())) > FACTORIAL_AT_MOST else _size(value.args[0])
    if isinstance(value, sympy.Pow) and value.exp.is_number:
        if _size(value.exp) > EXPONENT_DIGITS_AT_MOST:
            return float("inf")
        return float(_size(value.base) * max(1.0, abs(complex(value.exp.doit()))))
    if isinstance(value, sympy.Pow):
        return float(_size(value.base) * max(1.0, abs(complex(_constant(value.exp)))) + _size(value.exp))
    if not value.args:
        return float(len(str(_fraction(value) if isinstance(value, sympy.Float) else value)))
    return float(sum(_size(part) for part in value.args))


def _constant(exponent: Any) -> Any:
    """The number in a sum: a^(b + 3) is worked out as a^b a^3."""
    return sympy.expand(exponent.doit()).as_coeff_Add()[0]


def _expanded_terms(value: Any) -> int:
    """At most as many terms as the value has over and under one fraction bar, multiplied out."""
    over, under = _polynomials(value)
    return over.terms + under.terms - 1


@dataclass(frozen=True, slots=True)
class _Polynomial:
    """How many terms it has at most, and its degree in each of what it is made of."""

    terms: int = 1
    degrees: Counter[Any] = field(default_factory=Counter)

    def __add__(self, other: _Polynomial) -> _Polynomial:
        return _joined(self.terms + other.terms, self.degrees | other.degrees)

    def __mul__(self, other: _Polynomial) -> _Polynomial:
        return _joined(self.terms * other.terms, self.degrees + other.degrees)

    def __pow__(self, power: int) -> _Polynomial:
        terms = comb(power + self.terms - 1, power)
        return _joined(terms, Counter({part: degree * power for part, degree in self.degrees.items()}))


def _joined(terms: int, degrees: Counter[Any]) -> _Polynomial:
    return _Polynomial(min(terms, prod(degree + 1 for degree in degrees.values())), degrees)


def _polynomials(value: Any) -> tuple[_Polynomial, _Polynomial]:
    """What stands over and under a fraction bar."""
    if isinstance(value, sympy.Add | sympy.Mul):
        overs, unders = zip(*map(_polynomials, value.args), strict=True)
        under = reduce(mul, unders)
        return (reduce(add, overs) * under, under) if isinstance(value, sympy.Add) else (reduce(mul, overs), under)
    if isinstance(value, sympy.Pow):
        over, under = _polynomials(value.base)
        power = int(_constant(value.exp))
        rest = _Polynomial() if value.exp.is_integer and value.exp.is_number else _Polynomial(1, Counter({value: 1}))
        over, under = over ** abs(power), under ** abs(power)
        return (over * rest, under) if power >= 0 else (under * rest, over)
    return _Polynomial(1, Counter() if value.is_Number else Counter({value: 1})), _Polynomial()


def latex(value: Any) -> str:
    """The value as LaTeX, which `parsed` reads back."""
    text: str = sympy.latex(value)
    return text


def equal(right: Any, value: Any) -> bool:
    """Whether math-verify finds two values equal, decimals to six places.

    Values with names, as x = 3, y = 2, are equal by name: to the same names, to a tuple in the order of the names, and
    to a set of as many without names. Names that are one letter with subscripts, as x_1 = 2, x_2 = 3, are those of
    roots: they tell no values apart, a tuple's aside.
    """
    if right is None or value is None:
        return False
    wanted, given = _by_name(right), _by_name(value)
    if wanted and given:
        by_name = wanted.keys() == given.keys() and _is_equal(_tuple(wanted), sympy.Tuple(*map(given.get, wanted)))
        return by_name or (_is_one_letter([*wanted, *given]) and _is_equal(_set(wanted), _set(given)))
    if wanted:
        return _is_equal(_tuple(wanted) if _is_tuple(value) else _set(wanted), value) and _may_name(value, wanted)
    if given:
        return _is_equal(right, _tuple(given) if _is_tuple(right) else _set(given)) and _may_name(right, given)
    return _is_equal(right, value)


def _by_name(value: Any) -> dict[Any, Any]:
    """The values of x = 2, y = 3 or of (x, y) = (2, 3) by their names; empty where they have none of their own."""
    if isinstance(value, sympy.Eq) and isinstance(value.lhs, sympy.Tuple) and _is_tuple(value.rhs):
        return dict(zip(value.lhs, value.rhs.args, strict=False))
    if not isinstance(value, sympy.FiniteSet) or not all(map(_is_assignment, value.args)):
        return {}
    named = {part.lhs: part.rhs for part in sorted(value.args, key=sympy.default_sort_key)}
    return named if len(named) == len(value) else {}


def _tuple(named: dict[Any, Any]) -> Any:
    return sympy.Tuple(*named.values())


def _set(named: dict[Any, Any]) -> Any:
    return sympy.FiniteSet(*named.values())


def _may_name(value: Any, named: dict[Any, Any]) -> bool:
    """Whether a value without names of its own may be what these name, in kind and in number."""
    is_set = isinstance(value, sympy.FiniteSet) and not any(map(_is_assignment, value.args))
    return _is_tuple(value) or _is_one_letter(named) or (is_set and len(value) == len(named))


def _is_one_letter(names: Iterable[Any]) -> bool:
    """Whether the names differ by their subscripts alone: x_1, x_2."""
    parts = [str(name).partition("_") for name in names]
    return all(subscript for _, _, subscript in parts) and len({letter for letter, _, _ in parts}) == 1


def _is_tuple(value: Any) -> bool:
    """(2, 3) is an open interval to math-verify."""
    return isinstance(value, sympy.Tuple) or (isinstance(value, sympy.Interval) and bool(value.is_open))


def _is_equal(right: Any, value: Any) -> bool:
    decimals = _with_decimals(right), _with_decimals(value)
    return any(is_equal(*pair, timeout_seconds=None) for pair in dict.fromkeys([(right, value), decimals]))


def _with_decimals(value: Any) -> Any:
    """The value with what decimals can be as such, since those are what math-verify rounds to six places.

    Fractions of halves alone stay exact, and so does what is too small to have digits there, or too large for floats.
    """
    return value.xreplace({n: sympy.Float(n) for n in value.atoms(sympy.Rational) if _is_decimal(n)})


def _is_decimal(n: Any) -> bool:
    ends: bool = n.q % 5 == 0 and pow(10, n.q.bit_length(), n.q) == 0
    return ends and bool(DECIMAL_AT_LEAST <= abs(n) <= DECIMAL_AT_MOST)

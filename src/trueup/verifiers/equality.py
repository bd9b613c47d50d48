"""Whether two formulas in their normal form are equal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sympy  # type: ignore[import-untyped]
from math_verify import verify as is_equal

from trueup.verifiers.formula import based, is_assignment, is_curve

DECIMAL_AT_LEAST = 1e-3
DECIMAL_AT_MOST = 1e8
UNITS = frozenset("cdghlmost")
"""Names that a number may have as its units: 5 d is 5 days where the reference is 5."""
NAMES = frozenset("dot")
"""Those that are none in a reference with a name, y = 2 t."""


def equal(right: Any, value: Any) -> bool:
    """Whether math-verify finds two values equal, decimals to six places.

    Values with names, as x = 3, y = 2, are equal by name: to the same names, to a tuple in the order of the names, and
    to a set of as many without names. Names that are one letter with subscripts, as x_1 = 2, x_2 = 3, are those of
    roots: they tell no values apart, a tuple's aside. An equation is equal to its right side without the name, and
    digits to the same digits with a base. Beside a number, what may be the unit of a number counts for nothing.
    """
    if right is None or value is None:
        return False
    right, value = _without_units(right, value)
    if bool(based(right)) != bool(based(value)):
        right, value = _digits(right), _digits(value)
    wanted, given = _by_name(right), _by_name(value)
    if wanted and given:
        by_name = wanted.keys() == given.keys() and _is_equal(_tuple(wanted), sympy.Tuple(*map(given.get, wanted)))
        return by_name or (_is_one_letter([*wanted, *given]) and _is_equal(_set(wanted), _set(given)))
    if wanted:
        return _is_equal(_tuple(wanted) if _is_tuple(value) else _set(wanted), value) and _may_name(value, wanted)
    if given:
        return _is_equal(right, _tuple(given) if _is_tuple(right) else _set(given)) and _may_name(right, given)
    if is_curve(right) and is_curve(value) and right.lhs == value.lhs:
        right, value = right.rhs, value.rhs
    elif is_curve(right) or is_curve(value):
        right, value = _defined(right), _defined(value)
    return _is_equal(right, value)


def _defined(value: Any) -> Any:
    """What a function is defined as, f(x) = 2 x as 2 x, which y = 2 x is as well.

    math-verify reads the inverse of a function as one over it.
    """
    if not isinstance(value, sympy.Eq) or not isinstance(value.lhs, sympy.Expr):
        return value
    function, power = value.lhs.as_base_exp()
    is_function = isinstance(function, sympy.core.function.AppliedUndef) and power in (1, -1)
    return value.rhs if is_function else value


def _without_units(right: Any, value: Any) -> tuple[Any, Any]:
    """Both, the unit of either left out where the other has no letters."""
    is_fraction = isinstance(value, sympy.Rational) and value.q > 1
    if not value.free_symbols and not is_fraction:
        right = _unitless(right, UNITS - NAMES if is_curve(right) else UNITS)
    return right, value if right.free_symbols else _unitless(value, UNITS)


def _unitless(value: Any, units: frozenset[str]) -> Any:
    """The number in 5 d and in t = 5 d; a value of another kind as it is."""
    product = value.rhs if is_curve(value) else value
    if not isinstance(product, sympy.Mul) or not {str(name) for name in product.free_symbols} <= units:
        return value
    number, letters = product.as_independent(*product.free_symbols)
    has_units = abs(number) != 1 and all(isinstance(one, sympy.Symbol) for one in sympy.Mul.make_args(letters))
    return number if has_units else value


def _digits(value: Any) -> Any:
    """The value without the bases of its digits."""
    return value.xreplace({name: sympy.Integer(match[1]) for name, match in based(value).items()})


def _by_name(value: Any) -> dict[Any, Any]:
    """The values of x = 2, y = 3 or of (x, y) = (2, 3) by their names; empty where they have none of their own."""
    if isinstance(value, sympy.Eq) and isinstance(value.lhs, sympy.Tuple) and _is_tuple(value.rhs):
        return dict(zip(value.lhs, value.rhs.args, strict=False))
    if not isinstance(value, sympy.FiniteSet) or not all(map(is_assignment, value.args)):
        return {}
    named = {part.lhs: part.rhs for part in sorted(value.args, key=sympy.default_sort_key)}
    return named if len(named) == len(value) else {}


def _tuple(named: dict[Any, Any]) -> Any:
    return sympy.Tuple(*named.values())


def _set(named: dict[Any, Any]) -> Any:
    return sympy.FiniteSet(*named.values())


def _may_name(value: Any, named: dict[Any, Any]) -> bool:
    """Whether a value without names of its own may be what these name, in kind and in number."""
    is_set = isinstance(value, sympy.FiniteSet) and not any(map(is_assignment, value.args))
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

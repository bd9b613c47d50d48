"""Formulas: LaTeX into a normal form, within bounds.

Nothing here can stop a slow computation, so the size of what is computed with is bounded beforehand instead. LaTeX
is read by math-verify's grammar, never as Python: a model's text is not evaluated.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from math import comb, prod
from operator import add, mul
from typing import Any

import sympy  # type: ignore[import-untyped]
from math_verify import LatexExtractionConfig, parse

FORMULA_CHARS_AT_MOST = 200
NESTING_AT_MOST = 6
DIGITS_AT_MOST = 400
EXPONENT_DIGITS_AT_MOST = 6
FACTORIAL_AT_MOST = 999
TERMS_AT_MOST = 60
EXPANDED_TERMS_AT_MOST = 100
BITS_AT_MOST = 14_000
"""Python writes no longer number out."""
ROOT = re.compile(r"(?<!\\)sqrt\(([^()]*)\)")
BASED = re.compile(r"(?<![\w.^\\])([0-9]+)\s*_\s*(?:\{\s*([0-9]+)\s*\}|([0-9]+))")
"""Digits and their base, which math-verify leaves out."""
NAMED = re.compile(r"n_\{([0-9]+)_\{([0-9]+)\}\}")
"""The name that stands for them in a value."""
NO_UNIT = re.compile(r"(?<![A-Za-z])(?<!circ )[cdot]\s*$|[\w})]\s*[-+]\s*[0-9.]*\s*[a-z]\s*$")
"""What ends with a letter that math-verify would leave out as a unit: 2 t, and 2 w + 2 l."""
HUGE = re.compile(r"\\binom|[0-9]{4,}\s*!|!\s*!")


@lru_cache(maxsize=4096)
def parsed(formula: str, *, has_units: bool = True) -> Any:
    """The sympy value of a formula in its normal form; None where there is none, or it is too large to work with.

    With units, 5 cm is 5. A key has none: its letters are names.
    """
    if len(formula) > FORMULA_CHARS_AT_MOST or _nesting(formula) > NESTING_AT_MOST or HUGE.search(formula):
        return None
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that it has no timeout
    text = BASED.sub(r"n_{\1_{\2\3}}", ROOT.sub(r"\\sqrt{\1}", formula))
    config = _config(has_units=has_units and not NO_UNIT.search(text))
    found = parse(f"${text}$", [config], fallback_mode="no_fallback", parsing_timeout=None)
    try:
        return _normal(_named(found[0])) if found else None
    except (ArithmeticError, AttributeError, NotImplementedError, RecursionError, TypeError, ValueError):
        return None  # what sympy cannot work with is no answer that could be compared


def _config(*, has_units: bool) -> LatexExtractionConfig:
    config = LatexExtractionConfig()
    return replace(config, normalization_config=replace(config.normalization_config, units=has_units))


def _named(value: Any) -> Any:
    """E = 2 x and I = 2 x as equations of a name and not of a number, which would make all names complex."""
    name = {"E": "e", "I": "i", "i": "i"}.get(str(value.lhs)) if isinstance(value, sympy.Eq) else None
    if name is None:
        return value
    names = {str(symbol): symbol for symbol in value.rhs.free_symbols}
    real = {} if "i" in names else {symbol: sympy.Symbol(text, real=True) for text, symbol in names.items()}
    return sympy.Eq(sympy.Symbol(name), value.rhs.xreplace(real), evaluate=False)


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
    if is_assignment(value) and not is_curve(value):
        return _normal(value.rhs)
    if is_curve(value) and isinstance(value.rhs, sympy.FiniteSet):
        return _normal(sympy.FiniteSet(*(sympy.Eq(value.lhs, one, evaluate=False) for one in value.rhs)))
    if isinstance(value, sympy.Expr):
        return _expanded(value)
    if isinstance(value, sympy.logic.boolalg.BooleanAtom):
        return None
    parts = [_normal_part(part, keeps_names=_has_names(value)) for part in value.args]
    if None in parts:
        return None
    if isinstance(value, sympy.Eq) and not value.free_symbols and parts[0] == parts[1]:
        return parts[1]
    if isinstance(value, sympy.Eq) and parts[1] == 0 and isinstance(parts[0], sympy.Add):
        return sympy.Eq(_without_factor(parts[0]), 0, evaluate=False)
    if isinstance(value, sympy.Tuple) and all(map(is_assignment, parts)):
        return sympy.FiniteSet(*parts)
    settings = {"evaluate": False} if isinstance(value, sympy.core.relational.Relational) else {}
    return value.func(*parts, **settings) if parts else value


def _without_factor(terms: Any) -> Any:
    """A sum without what all its numbers have in common, and with one sign: 2 x - y of 2 y - 4 x."""
    common, _ = terms.primitive()
    return sympy.expand(terms / (-common if terms.could_extract_minus_sign() else common))


def _normal_part(part: Any, *, keeps_names: bool) -> Any:
    if isinstance(part, sympy.logic.boolalg.BooleanAtom):
        return part
    if keeps_names and is_assignment(part):
        right = _normal(part.rhs)
        return None if right is None else sympy.Eq(part.lhs, right, evaluate=False)
    return _normal(part)


def is_assignment(value: Any) -> bool:
    """Whether a value is an equation with a name alone on its left."""
    return isinstance(value, sympy.Eq) and isinstance(value.lhs, sympy.Symbol)


def is_curve(value: Any) -> bool:
    """Whether a name is assigned what has names of its own, those of numbers aside: y = 2 x and not x = 1 + i."""
    return is_assignment(value) and any(str(name) != "i" for name in value.rhs.free_symbols - based(value).keys())


def based(value: Any) -> dict[Any, re.Match[str]]:
    """The names in a value that stand for digits and their base, and these."""
    return {name: match for name in value.free_symbols if (match := NAMED.fullmatch(str(name)))}


def _has_names(value: Any) -> bool:
    """Whether its values go by names that count: x = 3, y = 2 or y = x, y = 2 x, and not x = 3, x = 2."""
    relations = [part for part in value.args if isinstance(part, sympy.core.relational.Relational)]
    is_list = isinstance(value, sympy.FiniteSet | sympy.Tuple)
    names = {part.lhs if is_assignment(part) else part for part in relations}
    return is_list and (len(names) > 1 or any(map(is_curve, relations)))


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
    """The value as LaTeX, which `parsed` reads back without units."""
    digits = {name: f"{match[1]}_{{{match[2]}}}" for name, match in based(value).items()}
    words = {name: _word(name) for name in value.free_symbols if sympy.latex(name) == str(name)}
    text: str = sympy.latex(value, symbol_names=words | digits)
    return text


def _word(name: Any) -> str:
    """A name as it is read: of several letters in a \\text, and v with its arrow."""
    text = str(name)
    return rf"\text{{{text}}}" if text.isalpha() and len(text) > 1 else re.sub(r"^vec\{", r"\\vec{", text)

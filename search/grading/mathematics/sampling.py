"""The values of expressions at fixed points, by mpmath; runs in the math worker.

Nothing is expanded, simplified or multiplied out: every operation costs about the same whatever the size of
its numbers, and what is too large for that has no value. Sums, integrals and limits are read by latex2sympy
and worked out by sympy; they may take long, which is why this runs in a process that can be killed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from search.grading.mathematics.answer_values import Float
from search.grading.mathematics.expression_tree import (
    Call,
    Node,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    exact,
    letters,
    parts,
)  # fmt: skip
from search.grading.mathematics.latex_expression import BeyondError, parsed

__all__ = ["sampled"]

_DIGITS = 80
_POSITIVE, _SIGNED, _WHOLE = 3, 3, 3
_POINTS = _POSITIVE + _SIGNED + _WHOLE
#: exponents of two; larger numbers have no value
_LARGEST = 1 << 60
#: what cancels to less than this many bits of the largest term is nothing
_NOTHING_BITS = 200


#: terms that are smaller than this many bits of the largest would not be seen
_ABSORBED_BITS = 120


class _NoValueError(ArithmeticError):
    """An expression has no value at a point."""


def sampled(text: str) -> dict[str, Any]:
    """``{"points": [[[mantissa, exponent], [mantissa, exponent]] or None, ...], "rough": bool}``.

    One point for an expression without letters. Raises whatever sympy raises on what it cannot work out.
    """
    try:
        node = parsed(text)
    except BeyondError:
        return {"points": _by_sympy(text), "rough": True}
    sampler = _Sampler()
    has_letters = bool(letters(node))
    real = has_letters and not _is_complex(node)
    places = range(_POINTS if has_letters else 1)
    return {"points": [sampler.point(node, place, real=real) for place in places], "rough": False}


def _is_complex(node: Node) -> bool:
    """Whether the imaginary unit is in it."""
    return node == Call("i") or any(map(_is_complex, parts(node)))


def _share(name: str, place: int) -> int:
    """A number of 64 bits that belongs to a letter at a point."""
    return int.from_bytes(hashlib.sha256(f"{name}|{place}".encode()).digest()[:8], "big")


class _Sampler:
    def __init__(self) -> None:
        from mpmath.ctx_mp import MPContext

        self._m: Any = MPContext()
        self._m.dps = _DIGITS
        m = self._m
        self._functions: dict[str, Callable[[Any], Any]] = {
            "sin": m.sin, "cos": m.cos, "tan": m.tan, "cot": m.cot, "sec": m.sec, "csc": m.csc,
            "arcsin": m.asin, "arccos": m.acos, "arctan": m.atan, "arccot": m.acot, "arcsec": m.asec,
            "arccsc": m.acsc, "sinh": m.sinh, "cosh": m.cosh, "tanh": m.tanh, "coth": m.coth,
            "arcsinh": m.asinh, "arccosh": m.acosh, "arctanh": m.atanh, "ln": m.ln, "log": m.log10,
            "abs": abs, "floor": m.floor, "ceil": m.ceil, "sgn": m.sign, "Re": m.re, "Im": m.im, "arg": m.arg,
        }  # fmt: skip

    def point(self, node: Node, place: int, *, real: bool) -> list[list[int]] | None:
        """The value at a point; None where there is none, or where it should be real and is not."""
        try:
            value = self._value(node, place)
        except (ArithmeticError, ValueError, TypeError):
            return None
        value = self._m.mpc(value)
        parts = [_pair(value.real), _pair(value.imag)]
        if not all(self._m.isfinite(part) for part in (value.real, value.imag)):
            return None
        if real and parts[1][0]:
            return None
        return [list(part) for part in parts]

    def converted(self, value: Any) -> list[list[int]] | None:
        """A number of sympy's as a point; None for anything else."""
        if not value.is_number or not value.is_finite:
            return None
        parts = value.as_real_imag()
        if not all(part.is_Float or part.is_Rational for part in parts):
            return None
        return [list(_pair(self._m.mpf(str(part.n(25))))) for part in parts]

    def _value(self, node: Node, place: int) -> Any:
        if isinstance(node, Number):
            return self._m.mpf(node.value.numerator) / node.value.denominator
        if isinstance(node, Symbol):
            return self.letter(node.name, place)
        if isinstance(node, Sum):
            return self._sum([self._value(term, place) for term in node.terms])
        if isinstance(node, Product):
            product = self._m.mpf(1)
            for factor in node.factors:
                product *= self._value(factor, place)
            return product
        if isinstance(node, Power):
            return self._power(node, place)
        return self._call(node, place)

    def letter(self, name: str, place: int) -> Any:
        share = _share(name, place)
        unit = self._m.mpf(share) / 2**64
        if place < _POSITIVE:
            return unit * 3 + self._m.mpf("0.3")
        if place < _POSITIVE + _SIGNED:
            return unit * 6 - 3
        # even, odd, either: signs such as (-1)^n show
        whole = 2 + share % 11
        return self._m.mpf(whole + (whole + place) % 2 if place < _POINTS - 1 else whole)

    def _sum(self, terms: list[Any]) -> Any:
        total = self._m.mpf(0)
        for term in terms:
            total += term
        sizes = [abs(term) for term in terms if term]
        if not sizes:
            return total
        largest = max(sizes)
        if min(sizes) < self._m.ldexp(largest, -_ABSORBED_BITS):
            raise _NoValueError("a term must not be lost in a sum")
        if largest and abs(total) < self._m.ldexp(largest, -_NOTHING_BITS):
            return self._m.mpf(0)
        # what is left of one part when the other cancels
        if isinstance(total, self._m.mpc) and abs(total.imag) < self._m.ldexp(largest, -_NOTHING_BITS):
            return total.real
        return total

    def _power(self, node: Power, place: int) -> Any:
        base = self._value(node.base, place)
        power = exact(node.exponent)
        exponent = self._value(node.exponent, place)
        if not base:
            if self._m.re(exponent) <= 0:
                raise _NoValueError("zero has no such power")
            return base
        self._small(self._m.log(abs(base), 2) * abs(exponent))
        if power is not None and power.denominator % 2 and power.denominator > 1 and self._is_negative(base):
            root = abs(base) ** exponent  # the real root, as school has it
            return -root if power.numerator % 2 else root
        if power is not None and power.denominator == 1:
            return base ** int(power)
        return base**exponent

    def _is_negative(self, value: Any) -> bool:
        return not self._m.im(value) and bool(self._m.re(value) < 0)

    def _small(self, value: Any) -> None:
        if not self._m.isfinite(value) or abs(value) > _LARGEST:
            raise _NoValueError("a number must not be too large")

    def _call(self, node: Call, place: int) -> Any:
        m = self._m
        if not node.arguments:
            if node.name == "infinity":
                raise _NoValueError("infinity is no number")
            return {"pi": +m.pi, "e": +m.e, "i": m.mpc(0, 1), "degree": m.pi / 180}[node.name]
        values = [self._value(argument, place) for argument in node.arguments]
        first = values[0]
        self._small(first)
        if node.name == "exp":
            return m.exp(first)
        if node.name == "factorial":
            return m.factorial(first)
        if node.name == "binomial":
            return m.binomial(first, values[1])
        if node.name in ("max", "min"):
            return (max if node.name == "max" else min)(values, key=m.re)
        if node.name in self._functions:
            value = self._functions[node.name](first)
            return (
                m.mpf(0)
                if abs(value) < m.ldexp(1, -_NOTHING_BITS) and node.name in ("sin", "cos", "tan")
                else value
            )
        # a function that nobody defined: any value that depends on its argument
        return m.mpf(_share(f"{node.name}{m.nstr(first, 30)}", place)) / 2**63


def _pair(value: Any) -> Float:
    """Mantissa and exponent of a float of mpmath."""
    sign, mantissa, exponent, _ = value._mpf_
    return (-int(mantissa) if sign else int(mantissa)), int(exponent)


def _by_sympy(text: str) -> list[list[list[int]] | None]:
    """The values of a sum, a product, a limit, an integral or a derivative, good to some ten digits."""
    import sympy
    from latex2sympy2_extended import latex2sympy
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig

    read: Any = latex2sympy(text, conversion_config=ConversionConfig(lowercase_symbols=False))
    if not isinstance(read, sympy.Expr):
        raise BeyondError(f"an expression must have a value, got {type(read).__name__}")
    if read.has(sympy.Limit, sympy.Derivative) or any(
        len(limits) == 1 for part in read.atoms(sympy.Integral) for limits in part.limits
    ):
        read = read.doit()
    sampler = _Sampler()
    symbols = sorted(read.free_symbols, key=str)
    found: list[list[list[int]] | None] = []
    for place in range(_POINTS if symbols else 1):
        values = {
            letter: sympy.Float(str(sampler.letter(_name(letter), place)), 30)
            if place < _POSITIVE + _SIGNED
            else sympy.Integer(int(sampler.letter(_name(letter), place)))
            for letter in symbols
        }
        found.append(sampler.converted(read.subs(values).evalf(25)))
    return found


def _name(symbol: Any) -> str:
    return str(symbol).replace("{", "").replace("}", "").replace(" ", "")

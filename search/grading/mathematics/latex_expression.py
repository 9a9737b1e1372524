r"""Reads one mathematical expression in LaTeX or plain text into a tree, and tells its exact value.

The grammar is that of answers: numbers in every spelling, letters, fractions, roots, powers, factorials,
functions, absolute values, implicit multiplication. Letters keep their case; ``e``, ``i`` and ``\pi`` are the
constants. Numbers are exact fractions, never floats. Sums, integrals, limits and derivatives are
``BeyondError``: those are for latex2sympy to read.

>>> exact(parsed(r"11 5/6")), exact(parsed(r"2\frac12")), exact(parsed(r"0.1\overline{6}"))
(Fraction(71, 6), Fraction(5, 2), Fraction(1, 6))
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from search.grading.mathematics.expression_tree import Call, Node, Number, Power, Product, Sum, Symbol, exact
from search.grading.mathematics.latex_tokens import BeyondError, Token, tokens

__all__ = ["BeyondError", "Call", "Node", "Number", "Power", "Product", "Sum", "Symbol", "exact", "parsed"]

#: nesting of an expression
_DEEPEST = 40
_MINUS = Number(Fraction(-1))
_GREEK = frozenset({
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta",
    "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega", "ell", "hbar", "nabla", "partial", "aleph",
    "wp",
})  # fmt: skip
_FUNCTIONS = frozenset({
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "sinh", "cosh",
    "tanh", "coth", "ln", "log", "exp", "gcd", "lcm", "max", "min", "arg", "det", "deg", "dim", "ker",
    "sgn", "Re", "Im",
})  # fmt: skip
#: functions of several arguments, or of one that is a name
_NAMES = frozenset({"angle", "triangle", "vec", "overline", "hat", "widehat", "overrightarrow",
    "mathbb", "mathcal",
                    "overleftrightarrow", "tilde", "widetilde", "mathfrak", "odot", "Box", "square",
                    "bigtriangleup",
                    "measuredangle", "mathscr", "overarc", "wideparen", "stackrel",
                    "parallelogram"})  # fmt: skip
_OF_SEVERAL = frozenset({"gcd", "lcm", "max", "min"})
_INVERSE = {
    "sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sec": "arcsec", "csc": "arccsc",
    "sinh": "arcsinh", "cosh": "arccosh", "tanh": "arctanh",
}  # fmt: skip
#: names whose letters may be told in other orders: an angle from both ends, a triangle from every corner
_REVERSIBLE = frozenset({"angle", "overline", "measuredangle", "overleftrightarrow", "overarc", "wideparen"})
_SHUFFLED = frozenset({"triangle", "bigtriangleup"})
_CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}
_SIGNS = frozenset({"+", "-"})
_TIMES = frozenset({"*", "\\times", "\\cdot", "\\ast", "\\bullet"})
_OVER = frozenset({"/", "\\div"})


@lru_cache(maxsize=16_384)
def parsed(text: str) -> Node:
    """The tree of an expression in the spelling of ``search.grading.mathematics.latex_text``. Raises
    BeyondError."""
    reader = _Reader(tokens(_without_over(text)))
    node = reader.sum()
    if not reader.is_done:
        raise BeyondError(f"an expression must end, got {reader.peek!r} in {text[:80]!r}")
    return node


def _without_over(text: str) -> str:
    r"""``{7 \over 12}`` and ``n \choose k`` as commands with arguments."""
    for old, new in ((r"\over", r"\frac"), (r"\choose", r"\binom")):
        found = re.search(rf"\{old}(?![a-zA-Z])", text)
        while found is not None:
            start, end = _group_around(text, found.start())
            inner = text[start:end]
            top, bottom = text[start : found.start()], text[found.end() : end]
            text = f"{text[:start]}{new}{{{top}}}{{{bottom}}}{text[start + len(inner) :]}"
            found = re.search(rf"\{old}(?![a-zA-Z])", text)
    return text


def _group_around(text: str, place: int) -> tuple[int, int]:
    depth, start = 0, place
    while start > 0:
        depth += {"}": 1, "{": -1}.get(text[start - 1], 0)
        if depth < 0:
            break
        start -= 1
    depth, end = 0, place
    while end < len(text):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth < 0:
            break
        end += 1
    return start, end


class _Reader:
    """Reads tokens from left to right; every method reads one kind of thing."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0
        self._bars = 0

    @property
    def peek(self) -> str:
        return self._tokens[self._place].text if self._place < len(self._tokens) else ""

    @property
    def is_done(self) -> bool:
        return self._place >= len(self._tokens)

    def sum(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BeyondError(f"an expression is nested at most {_DEEPEST} deep")
        terms = [self._signed()]
        while self.peek in _SIGNS:
            terms.append(self._signed())
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Sum(tuple(terms))

    def _signed(self) -> Node:
        sign = 1
        while self.peek in _SIGNS:
            sign *= -1 if self._take().text == "-" else 1
        term = self._product()
        return term if sign > 0 else _negative(term)

    def _product(self) -> Node:
        factors = [self._power()]
        while not self.is_done:
            if self.peek in _TIMES or self.peek in _OVER:
                divides = self._take().text in _OVER
                sign = 1
                while self.peek in _SIGNS:
                    sign *= -1 if self._take().text == "-" else 1
                factor = self._power()
                factor = factor if sign > 0 else _negative(factor)
                factors.append(Power(factor, _MINUS) if divides else factor)
            elif self._begins():
                factors.append(self._power())
            else:
                break
        return factors[0] if len(factors) == 1 else Product(tuple(factors))

    def _begins(self) -> bool:
        """Whether what comes next can be a factor."""
        if self.is_done:
            return False
        token = self._tokens[self._place]
        if token.kind in ("number", "letter"):
            return True
        if token.text == "|":
            return self._bars == 0
        if token.kind == "command":
            return token.text not in ("\\}", "\\rfloor", "\\rceil", "\\rangle", "\\|", "\\%", "\\$")
        return token.text in "([{"

    def _power(self) -> Node:
        return self._with_marks(self._primary())

    def _with_marks(self, base: Node) -> Node:
        """A base with what is written behind it: powers, factorials, degrees."""
        while not self.is_done:
            if self.peek == "!":
                self._take()
                if self.peek == "!":
                    raise BeyondError("a double factorial is not known")
                base = Call("factorial", (base,))
            elif self.peek in ("^", "**"):
                self._take()
                if self.peek == "\\circ":
                    self._take()
                    base = Product((base, Call("degree")))
                else:
                    base = Power(base, self._exponent())
            else:
                break
        return base

    def _exponent(self) -> Node:
        if self.peek in _SIGNS:
            sign = self._take().text
            value = self._exponent()
            return _negative(value) if sign == "-" else value
        base = self._argument()
        while self.peek == "!":
            self._take()
            base = Call("factorial", (base,))
        return Power(base, self._exponent_after()) if self.peek in ("^", "**") else base

    def _exponent_after(self) -> Node:
        self._take()
        return self._exponent()

    def _argument(self) -> Node:
        """What a command or a power takes: a group, or one token. Of digits, LaTeX takes the first alone."""
        token = self._next()
        if token.text in ("{", "("):
            return self._group()
        if token.kind == "number":
            self._take()
            return Number(_valued(token))
        return self._primary()

    def _digit_argument(self) -> Node:
        r"""As ``\frac12`` takes its arguments: digit by digit."""
        token = self._next()
        if token.kind == "number" and token.is_whole and len(token.text) > 1 and "," not in token.text:
            digits = token.text.replace(" ", "")
            rest = Token("number", digits[1:], Fraction(int(digits[1:])), True)
            self._tokens[self._place] = rest
            return Number(Fraction(int(digits[0])))
        return self._argument()

    def _group(self) -> Node:
        begin = self._take().text
        bars, self._bars = self._bars, 0
        node = self.sum()
        self._bars = bars
        self._expect(_CLOSING[begin])
        return node

    def _primary(self) -> Node:
        token = self._next()
        if token.kind == "number":
            return self._mixed()
        if token.kind == "letter":
            return self._letter()
        if token.text == "|":
            self._take()
            bars, self._bars = self._bars, 1
            node = self.sum()
            self._bars = bars
            self._expect("|")
            return Call("abs", (node,))
        if token.text in _CLOSING:
            node = self._group()
            return Call(token.text[2:], (node,)) if token.text.startswith("\\l") else node
        if token.kind == "command":
            return self._command()
        raise BeyondError(f"an expression cannot begin with {token.text!r}")

    def _mixed(self) -> Node:
        token = self._take()
        value = _valued(token)
        if not (token.is_whole and self.peek == "\\frac"):
            return Number(value)
        place, tokens = self._place, list(self._tokens)
        part = self._command()
        fraction = exact(part) if isinstance(part, Product) else None
        parts = part.factors if isinstance(part, Product) else ()
        if fraction is not None and 0 < fraction < 1 and all(isinstance(p, Number | Power) for p in parts):
            return Number(value + fraction)
        self._place, self._tokens = place, tokens
        return Number(value)

    def _letter(self) -> Node:
        name = self._take().text
        marks = self._subscript() + self._primes()
        if not marks and name == "e":
            return Call("e")
        if not marks and name == "i":
            return Call("i")
        if name in "fghFG" and self.peek == "(":
            self._take()
            inner = self.sum()
            self._expect(")")
            return Call(f"{name}{marks}()", (inner,))
        return Symbol(name + marks)

    def _subscript(self) -> str:
        if self.peek != "_":
            return ""
        self._take()
        if self.peek != "{":
            return f"_{self._take().text}"
        return f"_{self._raw()}"

    def _primes(self) -> str:
        primes = ""
        while self.peek == "'":
            primes += self._take().text
        return primes

    def _raw(self) -> str:
        """The text of a group in braces."""
        self._expect("{")
        depth, pieces = 1, []
        while depth:
            token = self._take()
            depth += {"{": 1, "}": -1}.get(token.text, 0)
            pieces.append(token.text)
        return "".join(pieces[:-1]).replace(" ", "")

    def _command(self) -> Node:
        name = self._take().text[1:]
        if name == "frac":
            top = self._digit_argument()
            return Product((top, Power(self._digit_argument(), _MINUS)))
        if name == "sqrt":
            return self._root()
        if name == "binom":
            return Call("binomial", (self._digit_argument(), self._digit_argument()))
        if name == "pi":
            return Call("pi")
        if name == "infty":
            return Call("infinity")
        if name in _FUNCTIONS:
            return self._function(name)
        if name in _GREEK:
            return Symbol(f"\\{name}" + self._subscript() + self._primes())
        if name in _NAMES:
            return self._name(name)
        raise BeyondError(f"a command must be known, got {name!r}")

    def _root(self) -> Node:
        degree: Node = Number(Fraction(2))
        if self.peek == "[":
            degree = self._group()
        base = self._argument()
        return Power(base, Power(degree, _MINUS))

    def _function(self, name: str) -> Node:
        base: Node | None = None
        exponent: Node | None = None
        while self.peek in ("_", "^"):
            mark = self._take().text
            if mark == "_":
                base = self._argument()
            else:
                exponent = self._exponent()
        if exponent is not None and exact(exponent) == -1 and name in _INVERSE:
            name, exponent = _INVERSE[name], None
        arguments = self._arguments(name)
        if base is not None:
            if name != "log":
                raise BeyondError(f"only a logarithm has a base, got {name!r}")
            node: Node = Product((Call("ln", arguments), Power(Call("ln", (base,)), _MINUS)))
        else:
            node = Call(name, arguments)
        return node if exponent is None else Power(node, exponent)

    def _arguments(self, name: str) -> tuple[Node, ...]:
        if name in _OF_SEVERAL and self.peek in ("(", "{"):
            return self._several()
        if self.peek in ("(", "{", "["):
            return (self._group(),)
        if self.peek in _SIGNS:
            self._take()
            return (_negative(self._power()),)
        factors = [self._power()]
        while self._begins() and self.peek not in ("(", "|", "[") and self.peek[1:] not in _FUNCTIONS:
            factors.append(self._power())
        return (factors[0] if len(factors) == 1 else Product(tuple(factors)),)

    def _several(self) -> tuple[Node, ...]:
        """Arguments with commas between them, in brackets."""
        begin = self._take().text
        if begin == "{" and self.peek == "\\{":
            raise BeyondError("a set is no list of arguments")
        found = [self.sum()]
        while self.peek == ",":
            self._take()
            found.append(self.sum())
        self._expect(_CLOSING[begin])
        return tuple(found)

    def _name(self, kind: str) -> Node:
        """A thing that is called by letters."""
        if self.peek == "{":
            letters = self._raw()
        else:
            letters = ""
            while not self.is_done and (
                self._tokens[self._place].kind == "letter"
                or self.peek in ("_", "'")
                or self.peek[1:] in _GREEK
            ):
                letters += self._subscript() if self.peek == "_" else self._take().text
        if not letters:
            raise BeyondError(f"a name must follow, got none after {kind!r}")
        if kind in _SHUFFLED:
            letters = "".join(sorted(letters))
        elif kind in _REVERSIBLE and letters.isalpha():
            letters = min(letters, letters[::-1])
        return Symbol(f"\\{kind}:{letters}")

    def _next(self) -> Token:
        if self.is_done:
            raise BeyondError("an expression must go on, got its end")
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next()
        self._place += 1
        return token

    def _expect(self, text: str) -> None:
        if self._take().text != text:
            raise BeyondError(f"a bracket must close with {text!r}")


def _valued(token: Token) -> Fraction:
    assert token.value is not None
    return token.value


def _negative(node: Node) -> Node:
    return Number(-node.value) if isinstance(node, Number) else Product((_MINUS, node))

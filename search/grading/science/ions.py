r"""Chemistry in plain characters: arrows, states, indices and charges as people and models write them.

>>> plain_chemistry(r"\ce{Ag+ (aq) + Cl- (aq) ->[fast] AgCl v}"), plain_chemistry(r"\mathrm{SO_4^{2-}}")
('Ag+ + Cl- → AgCl', 'SO4⟨-2⟩')
>>> [charge_of(text) for text in ("Fe3+", "SO42-", "NH4+", "SO4 2-", "SO4⟨-2⟩", "Ca++", "Fe(III)", "I3-")]
[('Fe', 3), ('SO4', -2), ('NH4', 1), ('SO4', -2), ('SO4', -2), ('Ca', 2), ('Fe', 3), ('I3', -1)]
"""

# ruff: noqa: RUF001 (characters that probe alike are what it reads)
from __future__ import annotations

import re
import unicodedata

__all__ = ["charge_of", "plain_chemistry"]

_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_PLAIN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻₀₁₂₃₄₅₆₇₈₉", "0123456789+-0123456789")
_MINUS = str.maketrans(dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\uff0d", "-"))
_VULGAR = re.compile("([0-9]?)([¼½¾⅐-⅞])")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{?\s*([0-9]+)\s*\}?\s*\{?\s*([0-9]+)\s*\}?")
#: an arrow with what stands over and under it
_DRESSED_ARROW = re.compile(
    r"\\x(?:long)?(?:right|leftright|rightleft)(?:arrow|harpoons)s?\s*(?:\[[^\]]*\])?\s*\{(?:[^{}]|\{[^{}]*\})*\}"
    r"|\\(?:over|under)set\s*\{[^{}]*\}\s*\{\s*(\\[A-Za-z]+|[-=]+>|→)\s*\}|\\stackrel\s*\{[^{}]*\}\s*\{\s*(\\[A-Za-z]+|[-=]+>|→)\s*\}"
    r"|(?:<?[-=]+>|→)\s*(?:\[[^\]A-Z]*\]|\[[^\]]*\](?=\s*[0-9A-Z\[(]))"
)
_ARROW = re.compile(
    r"<?[-=]+>>?|[⟶⇌⇄⇋↔⟷➝➔⇒⟹➜⭢]|\\(?:[Ll]ong)?(?:[Rr]ight|[Ll]eftright)arrow(?![a-z])|\\(?:to|implies|rightleftharpoons"
    r"|leftrightharpoons|leftrightarrows|rightleftarrows)(?![a-z])|\s(?:yields|gives)\s"
)
_STATE = re.compile(
    r"\s*_?\s*\(\s*(?:aq|AQ|Aq|s|l|g|\\ell|ℓ|cr|conc\.?|dil\.?|amorph\.?|solid|liquid|gas|vap|aqueous|graphite|diamond|ppt)"
    r"\s*(?:,\s*[a-z]+\s*)?\)"
)
_GOES_OFF = re.compile(r"[↓↑]|\\(?:up|down)arrow(?![a-z])|(?<=[A-Za-z0-9)])\s+[v^](?=[\s}]*(?:$|\+))")
_DRESSING = re.compile(
    r"\\(?:left|right|displaystyle)(?![a-zA-Z])|\\[,;:! ()\[\]]|\\q?quad|\*\*|[$~&`]|\\(?=\s)"
)
_WRAPPED = re.compile(
    r"\\(?:ce|mathrm|mathsf|text|textrm|textbf|mathbf|rm|bf|operatorname|pu|boxed|chemfig)(?![a-zA-Z])"
)
_REMARK = re.compile(r"\s*\((?=[^()]*[a-z]{3})[a-z][a-z ,-]*\)\s*$")
#: charges that say where they begin: ``^3+``, ``^{3+}``, ``^{+3}``, ``^(3+)``
_SUPERSCRIPT = re.compile(
    r"\^\s*(?:\{\s*\(?([0-9]*)\s*([-+])\)?\s*\}|\{\s*([-+])\s*([0-9]+)\s*\}|\(([0-9]*)([-+])\)|\(([-+])([0-9]+)\)|([0-9]*)([-+])(?![0-9])"
    r"|([-+])([0-9]+)(?=\s|$|[)\]→])|([0-9]*)([-+])|\{\s*([-+]{2,})\s*\})"
)
_CHARGED = re.compile(r"\s*⟨(-?[0-9]+)⟩$")
_ELEMENT = re.compile(r"[A-Z][a-z]?")
_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8}
#: elements whose ions have one charge, so that a digit before its sign counts atoms: ``H2+``, ``I3-``
_SINGLY = {
    "+": frozenset({"H", "Li", "Na", "K", "Rb", "Cs", "Ag"}),
    "-": frozenset({"H", "F", "Cl", "Br", "I"}),
}


def plain_chemistry(text: str) -> str:
    """A formula or an equation in plain characters: ``→`` for its arrow, ``⟨-2⟩`` for a marked charge.

    States, conditions, remarks and dressing are gone; indices stand on the line. Never raises.
    """
    out = text.translate(_MINUS)
    out = _RAISED.sub(lambda found: f"^{{{found.group().translate(_PLAIN)}}}", out).translate(_PLAIN)
    out = _FRACTION.sub(r" \1/\2 ", _VULGAR.sub(_whole, out))
    out = _DRESSED_ARROW.sub(" → ", _DRESSING.sub(" ", out))
    out = re.sub(r"\\(?:cdot|bullet|ast|times)(?![a-z])|[•⋅∙×]", "·", _ARROW.sub(" → ", out))
    out = re.sub(
        r"\\Delta(?![a-z])", "Δ", re.sub(r"h\s*\\nu(?![a-z])", "hν", re.sub(r"\\gamma(?![a-z])", "γ", out))
    )
    out = re.sub(r"\\(?:beta|nu)\^?\s*\{?-\}?", "e^-", _WRAPPED.sub("", out))
    out = re.sub(r"\{\s*(\((?:aq|s|l|g|\\ell|ℓ)\))\s*\}", r"\1", out)
    out = _REMARK.sub("", _GOES_OFF.sub("", _STATE.sub("", out)))
    out = _SUPERSCRIPT.sub(_marked, out)
    out = re.sub(
        r"\^\s*\{\s*([0-9]+)\s*\}\s*_\s*\{?\s*(-?[0-9]+)\s*\}?", r"^\1_\2", re.sub(r"\{\s*\}", "", out)
    )
    out = re.sub(r"_\s*\{?\s*(-?[0-9]+)\s*\}?\s*\^\s*\{?\s*([0-9]+)\s*\}?", r"_\1^\2", out)
    out = re.sub(r"(?<![\s\d^])_(?![-])|(?<=[A-Za-z)\]])_", "", re.sub(r"[{}]", "", out))
    out = _bonds(out)
    out = re.sub(
        r"(?<=[0-9)A-Za-z\]])\s*([·*.])\s*(?=[0-9A-Z(\[])",
        r"\1",
        re.sub(r"\(([0-9]+)\)(?=\s*[A-Z])", r"\1", out),
    )
    return " ".join(out.split()).strip(" .,;")


def _whole(found: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKC", found[2]).partition("\u2044")
    return f"{int(found[1] or 0) * int(under) + int(over)}/{under} "


def _marked(found: re.Match[str]) -> str:
    if found[15]:
        return f"⟨{len(found[15]) * (1 if found[15][0] == '+' else -1)}⟩"
    groups = found.groups()[:14]
    sign = next(one for one in groups if one in ("+", "-"))
    size = int(next((one for one in groups if one and one.isdigit()), "1") or 1)
    return f"⟨{size if sign == '+' else -size}⟩"


def _bonds(text: str) -> str:
    """Without bonds. An equals sign is an arrow where it has spaces, a plus or a coefficient."""
    out = text.replace("≡", "").replace("\\equiv", "")
    is_equation = re.search(r"\s=|=\s|=\s*[0-9]|\+\s*[0-9A-Z(\[]|^\s*[0-9]", out) is not None
    out = out.replace("=", " → ") if is_equation else re.sub(r"(?<=[A-Za-z0-9)\]])=(?=[A-Z(\[])", "", out)
    return re.sub(r"(?<=[A-Za-z0-9)\]])-(?=[A-Z(\[])", "", out)


def charge_of(species: str) -> tuple[str, int] | None:
    """What a species is made of, without spaces, and its charge; None for a charge beyond 9."""
    marked = _CHARGED.search(species)
    if marked is not None:
        body = species[: marked.start()]
        return (_joined(body), int(marked[1])) if abs(int(marked[1])) < 10 else None
    roman = re.fullmatch(r"([A-Z][a-z]?)\s*\(([IV]{1,4})\)", species)
    if roman is not None and roman[2] in _ROMAN:
        return roman[1], _ROMAN[roman[2]]
    bracketed = re.search(r"\s*\((?:([1-9])([-+])|([-+])([1-9]))\)$", species)
    if bracketed is not None:
        sign, size = bracketed[2] or bracketed[3], int(bracketed[1] or bracketed[4])
        return _joined(species[: bracketed.start()]), size if sign == "+" else -size
    signs = re.search(r"([-+]{1,4})$", species)
    if signs is None:
        behind = re.search(r"([-+])\s?([1-9])$", species)  # Fe+3
        if behind is not None:
            return _joined(species[: behind.start()]), int(f"{behind[1]}{behind[2]}")
        return _joined(species), 0
    unit = 1 if signs[1][0] == "+" else -1
    if len(set(signs[1])) > 1:
        return None
    body = species[: signs.start()]
    if len(signs[1]) > 1:
        return _joined(body), unit * len(signs[1])
    apart = re.search(r"\s+([1-9])\s*$", body)
    if apart is not None:
        return _joined(body[: apart.start()]), unit * int(apart[1])
    body = _joined(body)
    kept, size = _digits(body, signs[1])
    return kept, unit * size


def _digits(body: str, sign: str) -> tuple[str, int]:
    """Of digits before a sign: which count atoms, and the size of the charge."""
    found = re.search(r"([0-9]+)$", body)
    if found is None:
        return body, 1
    digits, before = found[1], body[: found.start()]
    alone = _ELEMENT.fullmatch(before) is not None
    last = int(digits[-1])
    if before.endswith("]") and len(digits) == 1:
        return before, last
    if len(digits) == 1:
        return (before, last) if alone and before not in _SINGLY[sign] else (body, 1)
    # C5H11+ and C60-: nobody writes a charge of one as a digit, and none is zero
    if last < 2 or (before.endswith("H") and "C" in before):
        return body, 1
    return body[:-1], last


def _joined(text: str) -> str:
    return "".join(text.split())

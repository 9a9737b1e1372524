# ruff: noqa: RUF001, RUF002 (the characters are what this file is about)
r"""Mathematics in Unicode as LaTeX: ``½ x²`` is ``\frac{1}{2} x^{2}``, ``−`` is ``-``,
``√(12)`` is ``\sqrt(12)``."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["from_unicode"]

_CHARACTERS = {
    **dict.fromkeys("−–—‒﹣－", "-"),
    **dict.fromkeys("⋅∙·•", r"\cdot "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\u2061\u2062\u2063\u2064", ""),
    **dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007", " "),
    **dict.fromkeys("\u2008\u2009\u200a\u202f\u205f\u3000", " "),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("‘’′", "'"),
    "×": r"\times ", "✕": r"\times ", "÷": r"\div ", "∕": "/", "⁄": "/", "∗": "*",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≡": r"\equiv ",
    "±": r"\pm ", "∓": r"\mp ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "∖": r"\setminus ",
    "∅": r"\emptyset ", "⌀": r"\emptyset ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}", "°": r"^\circ ", "º": r"^\circ ", "∠": r"\angle ",
    "△": r"\triangle ",
    "→": r"\to ", "⟨": r"\langle ", "⟩": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ",
    "⌉": r"\rceil ", "…": r"\ldots ", "∑": r"\sum ", "∫": r"\int ", "∏": r"\prod ", "∧": r"\wedge ",
    "∨": r"\vee ",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "ε": r"\epsilon ", "θ": r"\theta ",
    "λ": r"\lambda ", "μ": r"\mu ", "µ": r"\mu ", "π": r"\pi ", "ρ": r"\rho ", "σ": r"\sigma ", "τ": r"\tau ",
    "φ": r"\phi ", "ϕ": r"\phi ", "ω": r"\omega ", "ψ": r"\psi ", "Δ": r"\Delta ", "Σ": r"\Sigma ",
    "Ω": r"\Omega ", "％": "%", "﹪": "%",
}  # fmt: skip
_ABOVE = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣ", "0123456789+-=()nix", strict=True))
_BELOW = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙᵢ", "0123456789+-=()ni", strict=True))
_VULGAR = re.compile("[¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]")
_SUPERSCRIPTS = re.compile(f"[{''.join(_ABOVE)}]+")
_SUBSCRIPTS = re.compile(f"[{''.join(_BELOW)}]+")
_ROOT = re.compile(r"([√∛∜])\s*(\d+(?:\.\d+)?|\\pi|[a-zA-Z])?")
_ROOT_NAMES = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}


def from_unicode(text: str) -> str:
    """The text with commands of LaTeX in place of mathematical characters; other text in its NFKC form."""
    if text.isascii():
        return text
    out = _VULGAR.sub(_vulgar, text)
    out = _ROOT.sub(_root, out)
    out = _SUPERSCRIPTS.sub(lambda found: "^{" + "".join(_ABOVE[mark] for mark in found[0]) + "}", out)
    out = _SUBSCRIPTS.sub(lambda found: "_{" + "".join(_BELOW[mark] for mark in found[0]) + "}", out)
    out = "".join(_CHARACTERS.get(mark, mark) for mark in out)
    return unicodedata.normalize("NFKC", out) if not out.isascii() else out


def _vulgar(found: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", found[0]).partition("\u2044")
    return rf"\frac{{{top}}}{{{bottom}}}"


def _root(found: re.Match[str]) -> str:
    name = _ROOT_NAMES[found[1]]
    return f"{name}{{{found[2]}}}" if found[2] else name

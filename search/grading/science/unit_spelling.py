r"""Units without LaTeX and in pint's words, however people and models write them."""

from __future__ import annotations

import re

__all__ = ["SLIPS", "plain_unit"]

_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_WRAPPED = re.compile(
    r"\\(?:mathrm|text|mbox|textrm|textit|textnormal|operatorname|rm|mathbf|mathit|textbf|bf|si|unit|pu)\*?\s*\{([^{}]*)\}"
)
_SIUNITX = re.compile(r"\\(?:SI|qty)\s*(?:\[[^\]]*\])?\{([^{}]*)\}\s*\{([^{}]*)\}")
_PREFIX_MACRO = re.compile(r"\\(kilo|milli|micro|nano|pico|femto|centi|deci|mega|giga|tera|hecto)\s*\\")
#: LaTeX and plain spellings in pint's words, in this order
_SPELLINGS = (
    (r"\\(?:circ|degree|textdegree)(?![a-zA-Z])|°|º|˚", " degree"),
    (r"\\%|%", "percent"),
    (r"(?:\\mu(?![a-zA-Z])|\\micro(?![a-zA-Z])|µ|μ)\s*", "u"),
    (r"\\(?:Omega|ohm)(?![a-zA-Z])|Ω|Ω", "ohm"),
    (r"\\AA(?![a-zA-Z])|\\(?:mathring|r)\s*\{A\}|\\angstrom(?![a-zA-Z])|Å|Å", "angstrom"),
    (r"\\ell(?![a-zA-Z])", "l"),
    (r"\\alpha(?![a-zA-Z])", "\N{GREEK SMALL LETTER ALPHA}"),
    (r"\\(?:times|cdot|bullet)(?![a-zA-Z])|\u00d7|·|•|\*", "*"),
    (r"\\per(?![a-zA-Z])", "/"),
    (r"\\squared(?![a-zA-Z])", "^2"),
    (r"\\cubed(?![a-zA-Z])", "^3"),
    (
        r"\\(?:left|right)(?![a-zA-Z])|\\[,;:! ]|\\q?quad(?![a-zA-Z])|\\(?:thin)?space(?![a-zA-Z])|~|\$|\\ ",
        " ",
    ),
    (r"\\([a-zA-Z]+)", r" \1 "),
)
#: phrases, in the order in which they are replaced
_PHRASES = (
    (r"\bmm\s*Hg\b", "mmHg"),
    (r"\bdeg(?:ree)?s?\.?\s*(?:Celsius|celsius|centigrade|C)\b", "degC"),
    (r"\bdeg(?:ree)?s?\.?\s*(?:Fahrenheit|fahrenheit|F)\b", "degF"),
    (r"\bdeg(?:ree)?s?\.?\s*K(?:elvins?)?\b", "K"),
    (r"\bdegrees\b", "degree"),
    (r"\bper\s?cent\b|\bpct\b", "percent"),
    (r"\bper\b", "/"),
    (r"\b(?:square|sq\.?)\s+([a-zA-Z]+)", r"\1^2"),
    (r"\b(?:cubic|cu\.?)\s+([a-zA-Z]+)", r"\1^3"),
    (r"\b([a-zA-Z]+)\s+squared\b", r"\1^2"),
    (r"\b([a-zA-Z]+)\s+cubed\b", r"\1^3"),
    (r"\bparts\s*/\s*million\b", "ppm"),
    (r"\bu\s*degree", "udegree"),
)
#: units, and slips that SciBench and models make for them, or spellings that pint does not know
_WRITTEN = {
    "kJ": "KJ KJs kj Kj",
    "kPa": "kPA KPa Kpa kpa",
    "Pa": "pa",
    "kg": "KG Kg",
    "km": "KM Km",
    "kW": "KW",
    "kHz": "KHz",
    "MHz": "Mhz",
    "Hz": "hz",
    "eV": "ev EV",
    "keV": "Kev KeV",
    "MeV": "Mev",
    "meV": "mev",
    "g": "gm gms gr",
    "s": "sec secs",
    "hour": "hrs",
    "min": "mins",
    "year": "yrs yr",
    "L": "ltr litre",
    "kcal": "Cal Cals Calories Calorie",
    "um": "microns micron",
    "ug": "mcg",
    "mL": "ml",
    "cm^3": "cc ccm",
    "torr": "Torr",
    "bar": "Bar bars",
    "atm": "ATM atms Atm",
    "A": "amp amps",
    "mol": "mole moles mols Mol",
    "km/h": "kmph kph",
    "radian": "rads rad",
    "lb": "lbs",
    "tonne": "tonnes",
    "dalton": "Da",
    "N*m": "Nm",
    "J*K": "JK",
    "J*s": "Js",
    "W*s": "Ws",
    "Pa*s": "Pas",
    "kg*m": "kgm",
    "K": "Kelvins degreeK",
    "degC": "degreeC",
    "degF": "degreeF",
    "psi": "psia",
}
SLIPS = {slip: word for word, slips in _WRITTEN.items() for slip in slips.split()}
#: words behind a unit that begin what is no unit


def plain_unit(text: str) -> str:
    r"""A quantity or a unit without LaTeX.

    >>> plain_unit(r"$\mathrm{~J} \mathrm{~mol}^{-1} \mathrm{~K}^{-1}$"), plain_unit(r"$^{\circ} \mathrm{C}$")
    ('J mol^-1 K^-1', 'degC')
    """
    out = _PREFIX_MACRO.sub(r"\\\1", _SIUNITX.sub(r"\1 \2", text))
    out = re.sub(r"\^\s*\{\s*([-+]?[0-9]+)\s*\}", r"^\1", re.sub(r"\{\s*\}", "", out))
    for _ in range(4):
        out = _WRAPPED.sub(r" \1 ", _FRACTION.sub(r"(\1)/(\2)", out))
    for spelling, word in _SPELLINGS:
        out = re.sub(spelling, word, out)
    out = re.sub(r"\^\s*\{?\s*degree\s*\}?", " degree", out)
    out = re.sub(r"\{\s*([^{}]*?)\s*\}", r"\1", out)
    out = re.sub(r"\s*\^\s*\(\s*([-+]?[0-9]+)\s*\)|\s*\^\s*([-+]?[0-9]+)", r"^\1\2", out)
    out = re.sub(r"\(([-+]?[0-9.]+)\)", r"\1", out)
    for phrase, word in _PHRASES:
        out = re.sub(phrase, word, out)
    for slip in ("KJ", "kPA", "JK"):
        out = re.sub(rf"\b{slip}\b", SLIPS[slip].replace("*", " "), out)
    return " ".join(out.split())

"""Words: the templates in which strategies ask about answers that are there already.

A strategy shows its own (``Strategy.templates``), by name; ``Setting.words`` replaces them, by strategy and
name (``aggregate.select``). A template has places in braces; other braces are text.

    >>> fill("{question} Is it {answer}? {x}", question="1+1", answer="{2}")
    '1+1 Is it {2}? {x}'
    >>> places("{question} Is it {answer}?") == {"question", "answer"}
    True
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from search.errors import GridError
from search.strategies.registry import STRATEGIES

if TYPE_CHECKING:
    from search.plan import Plan

__all__ = ["check_words", "fill", "places", "templates", "words_of"]

_PLACE = re.compile(r"\{([a-z]+)\}")


def fill(template: str, **values: str) -> str:
    """The text with its places filled, once: what is put there is not looked at."""
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), template)


def places(template: str) -> frozenset[str]:
    """The names of the places of a template."""
    return frozenset(_PLACE.findall(template))


def templates() -> dict[str, str]:
    """Every template of every strategy, as it stands unless it is replaced: ``aggregate.select`` -> text."""
    return {
        f"{name}.{which}": text for name, kind in STRATEGIES.items() for which, text in kind.templates.items()
    }


def check_words(words: Mapping[str, str]) -> None:
    """Raises GridError for a template that no strategy has, and for one without a place that it needs."""
    known = templates()
    for name, text in words.items():
        if name not in known:
            raise GridError(f"words must be of a template ({', '.join(known)}), got {name!r}")
        missing = sorted(places(known[name]) - places(text))
        if missing:
            lacking = ", ".join(f"{{{place}}}" for place in missing)
            raise GridError(f"words of {name} must hold {lacking}, got {text!r}")


def words_of(plans: Iterable[Plan], words: Mapping[str, str]) -> dict[str, str]:
    """The templates that plans ask in, their parts' too, by name."""
    kinds = {STRATEGIES.get(one.strategy) for plan in plans for one in _whole(plan)}
    own = {f"{kind.name}.{which}": text for kind in kinds for which, text in kind.templates.items()}
    return {name: words.get(name, own[name]) for name in sorted(own)}


def _whole(plan: Plan) -> Iterable[Plan]:
    return (plan, *(part.plan for part in plan.walk()))

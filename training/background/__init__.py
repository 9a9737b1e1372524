"""Questions of every other kind, which a planner's own are told apart from. Drawn from our own templates.

``prompts.txt`` holds what nobody could grade (chat, writing, advice, facts), ``problems.txt`` problems with
an answer. Numbers, names and topics are drawn; a template never stands on both sides of a cross-fit.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["Foreign", "problems", "prompts"]

_WORDS: Mapping[str, Sequence[str]] = {
    "topic": [
        "climate change",
        "remote work",
        "chess",
        "modern art",
        "the French Revolution",
        "gardening",
        "jazz",
        "online dating",
        "mental health",
        "space travel",
        "football",
        "veganism",
        "electric cars",
        "photography",
        "philosophy",
        "public transport",
        "the Roman Empire",
        "social media",
        "artificial intelligence",
        "knitting",
        "minimalism",
        "the stock market",
        "folk music",
        "sleep",
        "home schooling",
        "time management",
        "cryptocurrency",
        "urban planning",
        "poetry",
        "recycling",
    ],
    "thing": [
        "an umbrella",
        "a bicycle",
        "a teapot",
        "a robot vacuum",
        "a violin",
        "a compass",
        "a camera",
        "a lamp",
        "a tent",
        "a watch",
        "a telescope",
        "a coffee machine",
        "a backpack",
        "a piano",
        "a mirror",
        "a skateboard",
        "a lighthouse",
        "a tractor",
        "a candle",
        "a dishwasher",
    ],
    "place": [
        "Paris",
        "Kyoto",
        "Cairo",
        "New York",
        "Buenos Aires",
        "a small village in the Alps",
        "Nairobi",
        "Lisbon",
        "Sydney",
        "Prague",
        "Mumbai",
        "Reykjavik",
        "Rome",
        "Toronto",
        "Istanbul",
        "Havana",
    ],
    "country": [
        "Brazil",
        "Finland",
        "Japan",
        "Kenya",
        "Canada",
        "Portugal",
        "India",
        "Peru",
        "Poland",
        "Vietnam",
        "Egypt",
        "Norway",
    ],
    "name": [
        "Anna",
        "Tom",
        "Priya",
        "Luis",
        "Fatima",
        "John",
        "Mei",
        "Oliver",
        "Sofia",
        "David",
        "Emma",
        "Kofi",
        "Sarah",
        "James",
        "Olivia",
        "Ahmed",
        "Grace",
        "Ben",
    ],
    "job": [
        "teacher",
        "nurse",
        "carpenter",
        "lawyer",
        "pilot",
        "data scientist",
        "chef",
        "farmer",
        "journalist",
        "plumber",
        "librarian",
        "actor",
    ],
    "language": ["French", "Spanish", "German", "Japanese", "Italian", "Swedish", "Arabic", "Portuguese"],
    "codelang": ["Python", "Java", "Rust", "JavaScript", "C++", "Go", "TypeScript", "Ruby"],
    "food": [
        "lasagne",
        "salmon",
        "rice",
        "pumpkin soup",
        "chickpeas",
        "chocolate",
        "bread",
        "mushrooms",
        "curry",
        "potatoes",
        "avocado",
        "honey",
    ],
    "concept": [
        "gravity",
        "inflation",
        "evolution",
        "machine learning",
        "democracy",
        "photosynthesis",
        "recursion",
        "karma",
        "entropy",
        "supply and demand",
        "blockchain",
        "irony",
    ],
    "feeling": ["hope", "loneliness", "nervous", "joy", "tired", "nostalgia", "fear", "gratitude"],
    "letter": list("ABCDE"),
}

_SLOT = re.compile("{(" + "|".join(["number", "small", "percent", "year", "decade", *_WORDS]) + ")}")


@dataclass(frozen=True, slots=True)
class Foreign:
    """One question of another kind. ``template``: what it was drawn from, the same for its siblings."""

    kind: str
    template: str
    question: str


def prompts(each: int = 6, seed: int = 0) -> tuple[Foreign, ...]:
    """Open-ended prompts, ``each`` of a template with slots."""
    return _drawn("prompts.txt", each, seed)


def problems(each: int = 6, seed: int = 0) -> tuple[Foreign, ...]:
    """Problems with an answer, of many kinds, ``each`` of a template with slots."""
    return _drawn("problems.txt", each, seed)


def _drawn(name: str, each: int, seed: int) -> tuple[Foreign, ...]:
    rng = random.Random(f"{name}:{seed}")
    found, kind = [], ""
    for line in (files(__package__) / name).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("# "):
            continue
        if line.startswith("["):
            kind = line[1:-1]
            continue
        for _ in range(each if _SLOT.search(line) else 1):
            text = _SLOT.sub(lambda slot: _fill(rng, slot[1]), line)
            text = text.replace("{{", "{").replace("}}", "}").replace("\\n", "\n")
            found.append(Foreign(kind, line, text))
    return tuple(found)


def _fill(rng: random.Random, slot: str) -> str:
    if slot == "number":
        low, high = rng.choice(((2, 12), (2, 100), (100, 2000)))
        return str(rng.randint(low, high))
    if slot == "small":
        return str(rng.randint(2, 15))
    if slot == "percent":
        return str(5 * rng.randint(1, 18))
    if slot == "year":
        return str(rng.randint(1500, 2030))
    if slot == "decade":
        return str(10 * rng.randint(192, 201))
    return rng.choice(_WORDS[slot])

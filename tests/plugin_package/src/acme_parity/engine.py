"""An engine that answers by rule: right nearly always for small numbers, hardly ever for large ones."""

import re
from collections.abc import Iterator, Mapping

from search.engines.scripted import ScriptedEngine


class Rules(Mapping[str, Mapping[str, float]]):
    """Question -> what may be written, with its probability."""

    def __getitem__(self, question: str) -> Mapping[str, float]:
        number = int((re.findall(r"[0-9]+", question) or ["0"])[0])
        truth, other = ("even", "odd")[:: 1 if number % 2 == 0 else -1]
        right = 0.95 if number < 10 else 0.75 if number < 100 else 0.4
        written = {}
        for word, share in ((truth, right), (other, 1.0 - right)):
            for begin in ("Look at", "Take", "We see"):
                written[f"{begin} {number}\nits last digit is {number % 10}\nthat is {word}\n# {word}"] = (
                    share / 3
                )
        return written

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class RuleEngine(ScriptedEngine):
    """The engine behind ``--engine rules``: any policy's name will do."""

    name = "rules"
    caption = "answers whether a number is even or odd, by rule"

    @classmethod
    def load(cls, model: str, *, parameters: int = 1000) -> "RuleEngine":
        return cls(Rules(), name=model, context=2048, parameters=parameters)

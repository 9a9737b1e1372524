"""How solutions of a policy were drawn, and are to be drawn again: sampling, and the limits of a solution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from search.engines.protocol import Sampling
from search.strategies.protocol import Limits

__all__ = ["Drawing"]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Sampling and limits of one policy.

    >>> Drawing.parse("temperature=0.7, top_p=1, top_k=0", "max_tokens=512, max_steps=32").limits.max_tokens
    512
    >>> Drawing.parse("as others wrote it") is None
    True
    """

    sampling: Sampling = field(default_factory=Sampling)
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def parse(cls, sampling: str, limits: str = "") -> Drawing | None:
        """What a log's settings say; None for a sampling that is not written as a campaign writes it."""
        how, most = _numbers(sampling), _numbers(limits)
        if not how or not how.keys() <= {"temperature", "top_p", "top_k"}:
            return None
        try:
            drawn = Sampling(how.get("temperature", 1.0), how.get("top_p", 1.0), int(how.get("top_k", 0)))
            plain = Limits()
            return cls(
                drawn,
                Limits(
                    int(most.get("max_tokens", plain.max_tokens)), int(most.get("max_steps", plain.max_steps))
                ),
            )
        except ValueError:
            return None

    @classmethod
    def of(cls, *sources: Mapping[str, object], drawn: Drawing | None = None) -> Drawing:
        """What the first source says that says something usable, each value by itself; last, ``drawn``.

        Sources hold ``temperature``, ``top_p``, ``top_k`` and ``max_tokens``, as models files and
        ``generation_config.json`` do. A temperature of 0 samples nothing and is passed over.

        >>> Drawing.of({"top_p": 0.9}, {"top_p": 0.5, "max_tokens": 64}).limits.max_tokens
        64
        """
        last = drawn or cls()
        sampling, limits = last.sampling, last.limits
        return cls(
            Sampling(
                _first(sources, "temperature", sampling.temperature, above=0.0),
                _first(sources, "top_p", sampling.top_p, above=0.0, most=1.0),
                int(_first(sources, "top_k", sampling.top_k, above=-1.0)),
            ),
            Limits(int(_first(sources, "max_tokens", limits.max_tokens, above=0.0)), limits.max_steps),
        )

    def to_json(self) -> dict[str, float]:
        """The numbers by name."""
        return {
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "top_k": self.sampling.top_k,
            "max_tokens": self.limits.max_tokens,
            "max_steps": self.limits.max_steps,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Drawing:
        """What ``to_json`` wrote. Raises KeyError, TypeError and ValueError."""
        return cls(
            Sampling(float(value["temperature"]), float(value["top_p"]), int(value["top_k"])),
            Limits(int(value["max_tokens"]), int(value["max_steps"])),
        )


def _numbers(text: str) -> dict[str, float]:
    """``name=value, ...``; empty where it is anything else."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            return {}
    return found


def _first(
    sources: tuple[Mapping[str, object], ...],
    name: str,
    last: float,
    *,
    above: float,
    most: float = float("inf"),
) -> float:
    for source in sources:
        value = source.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and above < value <= most:
            return float(value)
    return last

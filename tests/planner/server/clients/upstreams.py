"""What writes behind the planner's server, and the server before it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Before", "Upstream"]


@dataclass(frozen=True)
class Before:
    """A running ``planner serve``."""

    url: str

    @property
    def v1(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"{self.url}/v1"


@dataclass(frozen=True)
class Upstream:
    """What writes behind the planner's server: a line of a models file, and what it can do."""

    name: str
    policy: str
    where: str
    has_tools: bool = False
    domain: str = "arithmetic"

    @property
    def is_served(self) -> bool:
        """Whether it has a server of its own."""
        return self.where.startswith("base_url")

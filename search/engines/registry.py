"""The engines by the names that ``--engine`` takes. A class is imported when its name is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import EngineError
from search.registry import Registry

if TYPE_CHECKING:
    from search.engines.protocol import Engine
    from search.sources import PolicySource

__all__ = ["ENGINES", "AskedPolicy"]


@dataclass(frozen=True, slots=True)
class AskedPolicy:
    """A policy as a user names it, with everything that was said about where it runs.

    Parameters
    ----------
    name:
        What grids, logs and planners call it.
    given:
        What was written: a folder, the name of a shipped model, or what a server or an engine calls it.
    find:
        The folder that ``given`` means; raises CheckpointError where it means none.
    folder:
        That folder; None where there is none.
    base_url, tokenizer, api_key, patience:
        For policies behind servers; ``patience`` in seconds.
    threads:
        Torch threads of what runs in this process.
    options:
        ``--engine-option``, by name.
    """

    name: str
    given: str
    find: Callable[[str], Path] = Path
    folder: Path | None = None
    base_url: str | None = None
    tokenizer: str | None = None
    api_key: str | None = field(default=None, repr=False)
    patience: float = 30.0
    threads: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def checkpoint(self) -> Path:
        """The folder, for engines that need one. Raises CheckpointError where there is none."""
        return self.find(self.given)


def _is_engine(member: object) -> bool:
    """a class derived from search.engines.protocol.Engine with a load, or from search.sources.PolicySource"""
    from search.engines.protocol import Engine
    from search.sources import PolicySource

    if not isinstance(member, type):
        return False
    return issubclass(member, PolicySource) or (
        issubclass(member, Engine) and callable(getattr(member, "load", None))
    )


#: who runs policies
ENGINES: Registry[type[PolicySource] | type[Engine]] = Registry(
    "engine",
    "planner.engines",
    _is_engine,
    {
        "embedded": "search.sources:EmbeddedPolicy",
        "vllm": "search.sources:VllmPolicy",
        "openai": "search.sources:ServedPolicy",
    },
    EngineError,
)

"""Engines write tokens. Import them from their own files; this page names the whole family.

>>> from search.engines import ScriptedEngine, load_embedded
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.engines.protocol import (
    ChildFinished,
    Engine,
    Event,
    FinishReason,
    Request,
    RequestFinished,
    Sampling,
    Tokens,
    Usage,
)
from search.engines.scripted import ScriptedEngine
from search.errors import MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from search.engines.embedded import EmbeddedEngine
    from search.engines.openai.engine import OpenAIEngine
    from search.engines.vllm import VllmEngine

__all__ = [
    "ChildFinished",
    "Engine",
    "Event",
    "FinishReason",
    "Request",
    "RequestFinished",
    "Sampling",
    "ScriptedEngine",
    "Tokens",
    "Usage",
    "connect_openai",
    "load_embedded",
    "load_vllm",
]


def load_embedded(path: str | Path, *, threads: int = 1, max_rows: int = 1024) -> EmbeddedEngine:
    """``EmbeddedEngine.load``, importing torch only now. Raises MissingExtraError without it."""
    try:
        from search.engines.embedded import EmbeddedEngine
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the embedded engine needs the lab extra, got no {error.name}: "
            "pip install 'test-time-planner[lab]'"
        ) from error
    return EmbeddedEngine.load(path, threads=threads, max_rows=max_rows)


def load_vllm(path: str | Path, **options: Any) -> VllmEngine:
    """``VllmEngine.load``, importing vLLM only now. Raises MissingExtraError without it."""
    try:
        from search.engines.vllm import VllmEngine
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the vLLM engine needs the lab extra too, got no {error.name}: "
            "pip install 'test-time-planner[lab,vllm]'"
        ) from error
    return VllmEngine.load(path, **options)


def connect_openai(base_url: str, model: str | None = None, **options: Any) -> OpenAIEngine:
    """``OpenAIEngine.connect``, importing aiohttp only now. Raises MissingExtraError without it."""
    try:
        from search.engines.openai.engine import OpenAIEngine
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the openai engine needs the openai extra, got no {error.name}: "
            "pip install 'test-time-planner[openai]'"
        ) from error
    return OpenAIEngine.connect(base_url, model, **options)

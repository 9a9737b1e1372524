"""The thinking knob: how a server is told whether, or how much, its model is to think.

| knob | for a template that is rendered here or by ``/tokenize`` | in a chat |
|---|---|---|
| ``on``, ``off`` | ``enable_thinking`` and ``thinking`` | both, in ``chat_template_kwargs`` |
| an effort (``none`` to ``high``) | ``reasoning_effort`` | ``reasoning_effort`` |

``enable_thinking`` is the word of Qwen3 and others, ``thinking`` that of DeepSeek V3.1, ``reasoning_effort``
that of gpt-oss and of hosted models; a template that knows no such word ignores it. Ollama has no
``chat_template_kwargs``: ``off`` is the effort ``none`` there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

from search.errors import EngineError

__all__ = ["KNOBS", "Knob", "in_chat", "in_template"]

Knob = Literal["on", "off", "none", "minimal", "low", "medium", "high"]
#: every setting there is
KNOBS: tuple[str, ...] = get_args(Knob)
_EFFORTS = KNOBS[2:]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def in_template(knob: str | None) -> Mapping[str, Any]:
    """What a chat template is rendered with. Raises EngineError for an unknown knob."""
    if knob is None:
        return _NOTHING
    if knob not in KNOBS:
        raise EngineError(f"thinking must be one of {', '.join(KNOBS)}, got {knob!r}")
    if knob in _EFFORTS:
        return {"reasoning_effort": knob}
    return {"enable_thinking": knob == "on", "thinking": knob == "on"}


def in_chat(knob: str | None, owner: str = "") -> Mapping[str, Any]:
    """The fields of a chat request. ``owner``: what the server calls itself; Ollama is ``library``."""
    words = in_template(knob)
    if not words or knob in _EFFORTS:
        return words
    if owner == "library":
        return {"reasoning_effort": "none"} if knob == "off" else _NOTHING
    return {"chat_template_kwargs": dict(words)}

"""The thinking knob: how a server is told whether, or how much, its model is to think.

Set for a policy (``thinking`` of the models file), by words of ``KNOBS``:

| knob | for a template that is rendered here or by ``/tokenize`` | in a chat |
|---|---|---|
| ``on``, ``off`` | ``enable_thinking`` and ``thinking`` | both, in ``chat_template_kwargs`` |
| an effort (``none`` to ``max``) | ``reasoning_effort`` | ``reasoning_effort`` |

``enable_thinking`` is the word of Qwen3 and others, ``thinking`` that of DeepSeek V3.1, ``reasoning_effort``
that of gpt-oss and of hosted models; a template that knows no such word ignores it. Ollama has no
``chat_template_kwargs``: ``off`` is the effort ``none`` there.

Set for a plan (``effort=``, ``think=``), in a chat, by what the server is (checked in November 2026):

| server | ``effort=`` | ``think=`` |
|---|---|---|
| OpenAI's API, and what is unknown [1] | ``reasoning_effort``, ``none`` to ``max`` | no |
| Anthropic [2] | ``thinking`` adaptive, ``output_config.effort`` | ``thinking`` enabled, ``budget_tokens`` |
| OpenRouter [3] | ``reasoning.effort`` | ``reasoning.max_tokens`` |
| vLLM [4] | ``reasoning_effort``; on, off by ``chat_template_kwargs`` | ``thinking_token_budget`` |
| SGLang [5] | as vLLM | ``custom_params.thinking_budget`` |
| llama.cpp [6] | as vLLM | ``thinking_budget_tokens`` |
| Ollama [7] | ``reasoning_effort`` ``none``, ``low``, ``medium``, ``high`` | no |

1. ``ReasoningEffort`` of openai-python 2.
2. platform.claude.com/docs: build-with-claude/effort, build-with-claude/adaptive-thinking, api/openai-sdk.
   Budgets begin at 1,024 tokens; Opus 4.7 and later refuse them.
3. openrouter.ai/docs, reasoning tokens.
4. vLLM 0.32, entrypoints/openai/chat_completion/protocol.py. The server needs ``--reasoning-parser`` or
   ``--reasoning-config``, and refuses a budget without.
5. docs.sglang.io/docs/advanced_features/thinking_budget. The server needs ``--enable-strict-thinking``, and
   passes over a budget without, so that it is asked whether it has it.
6. llama-server, build 11434.
7. docs.ollama.com, OpenAI compatibility: its own ``think`` is not a field there.

Completions are not told a budget: thoughts are ended by us there (``search.engines.budgeted``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from search.errors import EngineError
from search.thinking_budget import ThinkingBudget

__all__ = ["KNOBS", "Dial", "Knob", "dial_of", "in_chat", "in_template"]

Knob = Literal["on", "off", "none", "minimal", "low", "medium", "high", "xhigh", "max"]
#: every setting there is
KNOBS: tuple[str, ...] = get_args(Knob)
_EFFORTS = KNOBS[2:]

_NOTHING: Mapping[str, Any] = MappingProxyType({})

#: fewest tokens of a thought at Anthropic
_LEAST_OF_ANTHROPIC = 1024


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


@dataclass(frozen=True, slots=True)
class Dial:
    """What one kind of server can be told in a chat.

    Parameters
    ----------
    kind:
        For people.
    efforts:
        Those that it takes.
    budget:
        How a number of tokens is told: a path of fields; () for not at all.
    """

    kind: str
    efforts: tuple[str, ...]
    budget: tuple[str, ...] = ()

    def fault(self, wanted: ThinkingBudget) -> str | None:
        """Why it cannot be told so, on one line; None where it can."""
        if wanted.effort and wanted.effort not in self.efforts:
            return f"effort must be one of {', '.join(self.efforts)} for {self.kind}, got {wanted.effort!r}"
        if wanted.think is None:
            return None
        if not self.budget:
            return f"think needs a server that takes a budget of thought, got {wanted} for {self.kind}"
        if wanted.wait:
            return f"wait needs a policy that goes on after a text of ours, got {wanted} for {self.kind}"
        if self.kind == "Anthropic" and wanted.think < _LEAST_OF_ANTHROPIC:
            return f"think must be at least {_LEAST_OF_ANTHROPIC} for Anthropic, got think={wanted.think}"
        if self.kind == "OpenRouter" and wanted.effort:
            return f"OpenRouter takes an effort or a budget of thought, got {wanted}"
        return None

    def fields(self, wanted: ThinkingBudget) -> dict[str, Any]:
        """The fields of a chat request. Raises EngineError for what ``fault`` names."""
        fault = self.fault(wanted)
        if fault is not None:
            raise EngineError(fault)
        if self.kind == "Anthropic":
            return _anthropic(wanted)
        if self.kind == "OpenRouter":
            told = {"effort": wanted.effort} if wanted.effort else {"max_tokens": wanted.think}
            return {"reasoning": told}
        found = dict(in_chat(wanted.effort or None, "library" if self.kind == "Ollama" else ""))
        if wanted.think is not None:
            value: Any = wanted.think
            for name in reversed(self.budget):
                value = {name: value}
            found |= value
        return found


def _anthropic(wanted: ThinkingBudget) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if wanted.think is not None:
        found["thinking"] = {"type": "enabled", "budget_tokens": wanted.think}
    elif wanted.effort:
        found["thinking"] = {"type": "disabled" if wanted.effort == "off" else "adaptive"}
    if wanted.effort not in ("", "on", "off"):
        found["output_config"] = {"effort": wanted.effort}
    return found


_DIALS: Mapping[str, Dial] = {
    "vllm": Dial("vLLM", KNOBS, ("thinking_token_budget",)),
    "sglang": Dial("SGLang", KNOBS, ("custom_params", "thinking_budget")),
    "llamacpp": Dial("llama.cpp", KNOBS, ("thinking_budget_tokens",)),
    "library": Dial("Ollama", ("on", "off", "none", "low", "medium", "high")),
    "anthropic": Dial("Anthropic", ("on", "off", "low", "medium", "high", "xhigh", "max"), ("thinking",)),
    "openrouter": Dial("OpenRouter", _EFFORTS, ("reasoning", "max_tokens")),
}
_HOSTED = Dial("a server of OpenAI's protocol", _EFFORTS)
_HOSTS = {"api.anthropic.com": "anthropic", "openrouter.ai": "openrouter"}


def dial_of(owner: str, root: str) -> Dial:
    """What a server can be told. ``owner``: what it calls itself; ``root``: its URL.

    >>> dial_of("vllm", "http://127.0.0.1:8000").budget, dial_of("openai", "https://api.openai.com").budget
    (('thinking_token_budget',), ())
    """
    host = urlsplit(root).hostname or ""
    return _DIALS.get(_HOSTS.get(host, owner), _HOSTED)

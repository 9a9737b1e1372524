"""The importers by name. A module is imported when its format is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from types import MappingProxyType

from search.errors import RecordError
from search.importing.protocol import Importer

__all__ = ["FORMATS", "importer"]

#: name -> the class, as module and attribute
FORMATS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "search-and-learn": ("search.importing.search_and_learn", "SearchAndLearn"),
        "tree-of-thoughts": ("search.importing.tree_of_thoughts", "TreeOfThoughts"),
        "gsm8k-solutions": ("search.importing.gsm8k_solutions", "Gsm8kSolutions"),
        "qwen-math-rm": ("search.importing.qwen_math_rm", "QwenMathRm"),
        "compute-optimal-tts": ("search.importing.compute_optimal_tts", "ComputeOptimalTts"),
        "reasoning-gym": ("search.importing.reasoning_gym", "ReasoningGym"),
        "llmrouter": ("search.importing.llmrouter", "LlmRouter"),
        "lm-eval": ("search.importing.lm_eval", "LmEval"),
        "inspect": ("search.importing.inspect_log", "InspectLog"),
        "table": ("search.importing.table", "Table"),
    }
)


def importer(name: str, options: Mapping[str, object] | None = None) -> Importer:
    """The importer of a format, with its options.

    Raises RecordError for an unknown format, or an option that the format does not take.

    >>> importer("gsm8k-solutions", {"plan": "cot()"})
    Traceback (most recent call last):
    search.errors.RecordError: gsm8k-solutions takes samples, got plan
    """
    if name not in FORMATS:
        raise RecordError(f"format must be one of {', '.join(FORMATS)}, got {name!r}")
    module, attribute = FORMATS[name]
    kind = getattr(import_module(module), attribute)
    takes = [one.name for one in fields(kind) if one.init]
    for option in options or {}:
        if option not in takes:
            raise RecordError(f"{name} takes {', '.join(takes)}, got {option}")
    made = kind(**dict(options or {}))
    if not isinstance(made, Importer):
        raise TypeError(f"an importer must be an Importer, got {type(made).__name__} for {name!r}")
    return made

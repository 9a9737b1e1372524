"""The importers by name. A module is imported when its format is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from search.errors import PluginError, RecordError
from search.importing.protocol import Importer
from search.registry import Registry, is_path

__all__ = ["FORMATS", "importer"]

#: format -> its importer. Others come from the entry-point group ``planner.importers`` and ``register``
FORMATS: Registry[type[Importer]] = Registry(
    "importer",
    "planner.importers",
    Importer,
    {
        "search-and-learn": "search.importing.search_and_learn:SearchAndLearn",
        "tree-of-thoughts": "search.importing.tree_of_thoughts:TreeOfThoughts",
        "gsm8k-solutions": "search.importing.gsm8k_solutions:Gsm8kSolutions",
        "qwen-math-rm": "search.importing.qwen_math_rm:QwenMathRm",
        "compute-optimal-tts": "search.importing.compute_optimal_tts:ComputeOptimalTts",
        "reasoning-gym": "search.importing.reasoning_gym:ReasoningGym",
        "llmrouter": "search.importing.llmrouter:LlmRouter",
        "lm-eval": "search.importing.lm_eval:LmEval",
        "inspect": "search.importing.inspect_log:InspectLog",
        "table": "search.importing.table:Table",
    },
    RecordError,
)


def importer(name: str, options: Mapping[str, object] | None = None) -> Importer:
    """The importer of a format, or at a dotted path, with its options.

    Raises RecordError for an unknown format, or an option that the format does not take; PluginError for a
    plug-in that cannot be loaded.

    >>> importer("gsm8k-solutions", {"plan": "cot()"})
    Traceback (most recent call last):
    search.errors.RecordError: gsm8k-solutions takes samples, got plan
    """
    if name not in FORMATS and not is_path(name):
        raise RecordError(f"format must be one of {', '.join(FORMATS)}, got {name!r}")
    kind = FORMATS.get(name)
    made: Any = kind
    if not is_dataclass(made):
        raise PluginError(f"an importer is a frozen dataclass, got {kind.__qualname__}, which is none")
    takes = [one.name for one in fields(made) if one.init]
    for option in options or {}:
        if option not in takes:
            raise RecordError(f"{name} takes {', '.join(takes) or 'no options'}, got {option}")
    return kind(**dict(options or {}))

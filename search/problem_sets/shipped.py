"""The mappings that ship: MATH-500, AIME24, AMC23, GSM8K, HumanEval's style of code, SciBench.

Each reads the set's own columns and those of the copies that go around. ``hub`` says where the set lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from search.errors import ProblemError
from search.grading.programs.python import examples
from search.grading.science.quantity import plain_unit, quantity
from search.problem_sets.mapping import ProblemMapping, text_of

__all__ = ["MAPPINGS", "CodeMapping", "Gsm8kMapping", "SciBenchMapping", "mapping_of"]


@dataclass(frozen=True, slots=True)
class Gsm8kMapping(ProblemMapping):
    """Worked solutions whose last line is ``#### answer`` (Cobbe et al., arXiv 2110.14168)."""

    def reference(self, record: Mapping[str, Any], where: str) -> str:
        worked = text_of(record, self.answer, where)
        _, mark, answer = worked.rpartition("####")
        if not mark:
            raise ProblemError(f"{where}: a worked answer ends with '#### x', got {worked[-60:]!r}")
        return answer.strip().replace(",", "")


@dataclass(frozen=True, slots=True)
class CodeMapping(ProblemMapping):
    """The beginning of a function and tests (HumanEval, Chen et al., arXiv 2107.03374).

    The examples of the docstring become the public expressions on which votes are compared; the tests are the
    reference and are never shown.
    """

    def ask(self, record: Mapping[str, Any], where: str) -> str:
        prompt = text_of(record, self.question, where)
        return (
            f"Complete this function. Give the whole program in one block of code.\n\n```python\n{prompt}```"
        )

    def notes(self, record: Mapping[str, Any], where: str) -> dict[str, Any]:
        prompt = text_of(record, self.question, where)
        entry = text_of(record, ("entry_point",), where)
        return {"entry_point": entry, "prompt": prompt, "public": list(examples(prompt))}


@dataclass(frozen=True, slots=True)
class SciBenchMapping(ProblemMapping):
    """A number and a LaTeX unit, which may carry a power of ten (Wang et al., arXiv 2307.10635).

    The question is told the unit, as the benchmark's own prompts do, and 5% is the tolerance of its grader.
    """

    def ask(self, record: Mapping[str, Any], where: str) -> str:
        question = text_of(record, self.question, where).strip()
        unit = _unit(record, where)
        return f"{question} Give the answer in {unit}." if unit else question

    def reference(self, record: Mapping[str, Any], where: str) -> str:
        number = text_of(record, self.answer, where)
        found = quantity(f"{number} {plain_unit(_unit(record, where))}")
        if found is None:
            raise ProblemError(f"{where}: an answer is a number and a unit, got {number!r}")
        return found

    def notes(self, record: Mapping[str, Any], where: str) -> dict[str, Any]:
        return {**ProblemMapping.notes(self, record, where), "tolerance": 0.05}


def _unit(record: Mapping[str, Any], where: str) -> str:
    return text_of({"unit": "", **record}, ("unit",), where).strip()


_SHIPPED = (
    ProblemMapping(
        "math-500",
        "math",
        question=("problem", "question"),
        problem_id=("unique_id",),
        meta=("subject", "level"),
        hub="hf:HuggingFaceH4/MATH-500@test",
    ),
    ProblemMapping(
        "aime24",
        "math",
        question=("problem", "Problem", "question"),
        answer=("answer", "Answer", "extracted_groundtruth"),
        problem_id=("id", "ID"),
        meta=("url",),
        hub="hf:HuggingFaceH4/aime_2024@train",
    ),
    ProblemMapping(
        "amc23",
        "math",
        question=("problem", "question"),
        answer=("answer", "extracted_groundtruth"),
        problem_id=("id",),
        meta=("url",),
        hub="hf:math-ai/amc23@test",
    ),
    Gsm8kMapping("gsm8k", "math", hub="hf:openai/gsm8k:main@test"),
    CodeMapping(
        "humaneval",
        "python",
        question=("prompt",),
        answer=("test",),
        problem_id=("task_id",),
        hub="hf:openai/openai_humaneval@test",
    ),
    SciBenchMapping(
        "scibench",
        "quantity",
        question=("problem_text",),
        answer=("answer_number",),
        meta=("source", "problemid"),
        hub="hf:xw27/scibench@train",
    ),
)
#: name -> mapping
MAPPINGS: Mapping[str, ProblemMapping] = MappingProxyType({mapping.name: mapping for mapping in _SHIPPED})


def mapping_of(name: str) -> ProblemMapping:
    """A shipped mapping. Raises ProblemError, which lists them."""
    if name not in MAPPINGS:
        raise ProblemError(f"a mapping must be one of {', '.join(MAPPINGS)}, got {name!r}")
    return MAPPINGS[name]

"""``gsm8k-solutions``: the model solutions that Cobbe et al. (arXiv 2110.14168) published with GSM8K.

JSON lines with ``question``, ``ground_truth`` and, for each of four systems, one ``solution`` and
whether it ``is_correct``: GPT-3 of 6B and 175B, fine-tuned (one answer at temperature 0) or behind a
verifier of its own size (the best of 100 samples at temperature 0.7).

What the verifier rejected is not there, so a verified answer can neither be replayed at another n nor
joined with a probe: it is one outcome of a plan that was run as a whole. Each system is therefore a
policy that answers once. Costs follow from parameters and counts: a verified answer is charged 100
solutions as long as the one shown, generated and then read by the verifier, and the question once for
each of the two. Models of one size share a FLOPs rate, so all of it counts as tokens of that size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from search.cards import ModelCard
from search.errors import RecordError
from search.grading.registry import domain
from search.importing.lengths import estimated_tokens
from search.importing.protocol import UNNAMED, Draw, Importer, Record, declared, drawn
from search.importing.reading import field_of, line_records
from search.importing.report import Report
from search.problem import Problem
from search.seeds import seed_of

__all__ = ["Gsm8kSolutions"]

_DOMAIN = "math"


@dataclass(frozen=True, slots=True)
class _System:
    """A column of the file: the policy it is to us, and its size."""

    column: str
    policy: str
    parameters: int
    verified: bool


_SYSTEMS = (
    _System("6b_finetuning", "gpt3-6b", 6_000_000_000, False),
    _System("6b_verification", "gpt3-6b-verified", 6_000_000_000, True),
    _System("175b_finetuning", "gpt3-175b", 175_000_000_000, False),
    _System("175b_verification", "gpt3-175b-verified", 175_000_000_000, True),
)


@dataclass(frozen=True, slots=True)
class Gsm8kSolutions(Importer):
    """Options of the format.

    Parameters
    ----------
    samples:
        How many solutions the verifier chose among.
    """

    name: ClassVar[str] = "gsm8k-solutions"
    caption: ClassVar[str] = "GSM8K's example solutions of four models, with verified answers"

    samples: int = 100

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise RecordError(f"a verifier chooses among at least 1 sample, got {self.samples}")

    def policies(self) -> Sequence[ModelCard]:
        return tuple(declared(system.policy, system.parameters) for system in _SYSTEMS)

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        report.note("all lengths are estimated from the texts: the file counts no tokens")
        report.note(
            f"a verified answer is charged {self.samples} solutions as long as the one shown, written by the "
            "policy and read by a verifier of its size"
        )
        report.note("each of the four systems is a policy with one answer per question: nothing to vote over")
        differ = 0
        for path in files:
            for where, record in line_records(path):
                question = field_of(record, "question", str, where)
                worked = field_of(record, "ground_truth", str, where)
                solutions = [(system, *_solution(record, system, where)) for system in _SYSTEMS]
                if not question.strip():
                    report.leave_out("a problem needs a question", where)
                    continue
                reader = domain(_DOMAIN)
                problem = Problem(f"{seed_of(_DOMAIN, question):016x}", UNNAMED, _DOMAIN, question)
                reference = reader.read(problem, worked)
                if reference is None:
                    report.leave_out("a problem needs a reference answer", where)
                    continue
                problem = Problem(problem.problem_id, problem.family, _DOMAIN, question, reference)
                draws = []
                for system, text, right in solutions:
                    answer = reader.read(problem, text)
                    differ += answer is not None and reader.grade(problem, answer) != right
                    draws.append(self._draw(system, question, text, answer, right))
                yield Record(problem, where, tuple(draws))
        if differ:
            report.note(
                f"the file's verdicts are kept; the domain {_DOMAIN} would grade {differ} answers otherwise"
            )

    def _draw(self, system: _System, question: str, text: str, answer: str | None, right: bool) -> Draw:
        length, prompt = estimated_tokens(text), estimated_tokens(question)
        if not system.verified:
            lines = [estimated_tokens(line) for line in text.splitlines() if line.strip()] or [length]
            return Draw(system.policy, drawn(0.0), text, answer, right, prompt, tuple(lines))
        # written and read: twice the tokens, twice the question
        whole = (2 * self.samples * length,)
        return Draw(system.policy, drawn(0.7), text, answer, right, 2 * prompt, whole)


def _solution(record: Mapping[str, Any], system: _System, where: str) -> tuple[str, bool]:
    found = field_of(record, system.column, dict, where)
    inside = f"{where}, {system.column}"
    return field_of(found, "solution", str, inside), field_of(found, "is_correct", bool, inside)

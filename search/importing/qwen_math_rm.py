"""``qwen-math-rm``: samples with reward-model scores, as Qwen2.5-Math's evaluation code writes them.

JSON lines, one problem a line: ``question``, ``gt`` (the reference), ``response`` (n solutions),
``pred`` (their answers), ``score`` (right or not) and ``pred_score`` (the reward model's logit, alone
or as a list of one). The file's verdicts and answers are kept. Rewards are logits: the logistic
function puts them into [0, 1] and keeps their order. The file names no model and counts no token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from search.cards import ModelCard
from search.errors import RecordError
from search.grading.mathematics.math import normal
from search.grading.registry import domain
from search.importing.lengths import estimated_tokens
from search.importing.protocol import UNNAMED, Draw, Importer, Record, Scored, declared, drawn
from search.importing.reading import field_of, line_records
from search.importing.report import Report
from search.importing.rewards import shares
from search.problem import Problem
from search.seeds import seed_of

__all__ = ["QwenMathRm"]

_DOMAIN = "math"


@dataclass(frozen=True, slots=True)
class QwenMathRm(Importer):
    """Options of the format.

    Parameters
    ----------
    policy, parameters, prm, prm_parameters:
        Names and sizes of the models, which the file does not tell. The defaults are a policy of 7B
        and the family's reward model of 72B.
    temperature:
        How the samples were drawn; not told either.
    """

    name: ClassVar[str] = "qwen-math-rm"
    caption: ClassVar[str] = "Qwen's best-of-n files: responses with the rewards of a PRM"

    policy: str = "qwen2.5-math"
    parameters: int = 7_000_000_000
    prm: str = "qwen2.5-math-rm"
    prm_parameters: int = 72_000_000_000
    temperature: float = 0.7

    def __post_init__(self) -> None:
        declared(self.policy, self.parameters)
        declared(self.prm, self.prm_parameters)
        drawn(self.temperature)

    def policies(self) -> Sequence[ModelCard]:
        return (declared(self.policy, self.parameters),)

    def prms(self) -> Sequence[ModelCard]:
        return (declared(self.prm, self.prm_parameters),)

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        report.note(
            f"the file names no model: {self.policy} of {self.parameters / 1e9:g}B and {self.prm} of "
            f"{self.prm_parameters / 1e9:g}B parameters are assumed, and temperature {self.temperature:g}"
        )
        report.note("all lengths are estimated from the texts: the file counts no tokens")
        report.note("rewards are logits in the file; the logistic function puts them into [0, 1]")
        differ = 0
        for path in files:
            for where, record in line_records(path):
                problem = _problem(record, where, report)
                draws = None if problem is None else self._draws(problem, record, where, report)
                if problem is None or draws is None:
                    continue
                grader = domain(_DOMAIN)
                differ += sum(grader.grade(problem, draw.answer) != draw.correct for draw in draws)
                yield Record(problem, where, draws)
        if differ:
            report.note(f"the file's verdicts are kept; the domain {_DOMAIN} would grade {differ} otherwise")

    def _draws(
        self, problem: Problem, record: Mapping[str, Any], where: str, report: Report
    ) -> tuple[Draw, ...] | None:
        names = ("response", "pred", "score", "pred_score")
        texts, answers, verdicts, rewards = (field_of(record, name, list, where) for name in names)
        if len({len(texts), len(answers), len(verdicts), len(rewards)}) != 1:
            sizes = ", ".join(f"{len(record[name])} of {name}" for name in names)
            raise RecordError(f"{where}: every solution has an answer, a verdict and a reward, got {sizes}")
        if not texts:
            report.leave_out("a record needs solutions", where)
            return None
        prompt = estimated_tokens(problem.question)
        draws = []
        for place, (text, said, right, given) in enumerate(
            zip(texts, answers, verdicts, rewards, strict=True)
        ):
            inside = f"{where}, solution {place}"
            if not isinstance(text, str) or not isinstance(said, str) or not isinstance(right, bool):
                raise RecordError(f"{inside}: a solution and its answer are texts, its verdict true or false")
            reward = shares(given, logits=True)
            if isinstance(reward, str):
                report.leave_out(reward, inside)
                return None
            paragraphs = [part for part in text.split("\n\n") if part.strip()] or [text]
            steps = tuple(estimated_tokens(part) for part in paragraphs)
            draws.append(
                Draw(
                    self.policy,
                    drawn(self.temperature),
                    text,
                    normal(said) or None,
                    right,
                    prompt,
                    steps,
                    scores={self.prm: Scored(reward, prompt, sum(steps) + len(reward))},
                )
            )
        return tuple(draws)


def _problem(record: Mapping[str, Any], where: str, report: Report) -> Problem | None:
    question = field_of(record, "question", str, where)
    reference = field_of(record, "gt", (str, type(None)), where)
    if not question.strip():
        report.leave_out("a problem needs a question", where)
        return None
    if reference is None or not normal(reference):
        report.leave_out("a problem needs a reference answer", where)
        return None
    level = record.get("level")
    return Problem(
        f"{seed_of(_DOMAIN, question):016x}",
        UNNAMED,
        _DOMAIN,
        question,
        reference,
        {"level": level} if isinstance(level, str) else {},
    )

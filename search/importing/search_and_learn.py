"""``search-and-learn``: the JSON lines that Hugging Face's search-and-learn writes, one problem a line.

Columns: ``problem``, ``answer``, ``completions`` (texts), ``scores`` (a list of step rewards per
completion), ``completion_tokens`` (per completion; -1 where its code does not count them) and ``pred``
(the completion it picked); ``subject``, ``level`` and ``unique_id`` where the problem set has them.
Best-of-n files hold independent samples: they become a pool. Beam-search and DVTS files hold the
finished beams of one run: with ``plan`` each file is one more run of that plan, but for those whose name
begins with ``best_of_n``, as their code names files of samples. The files say neither models nor
settings, so options do. Answers are read and graded by the domain ``math``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from search.cards import ModelCard
from search.errors import PlanError, RecordError
from search.grading.mathematics.math import normal
from search.grading.registry import domain
from search.importing.lengths import estimated_tokens, spread
from search.importing.protocol import UNNAMED, Draw, Importer, Record, Run, Scored, declared, drawn
from search.importing.reading import field_of, line_records
from search.importing.report import Report
from search.importing.rewards import shares
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate
from search.scores import score
from search.seeds import seed_of
from search.voting.votes import group, pick

__all__ = ["SearchAndLearn"]

_DOMAIN = "math"

#: how their code names a file of samples
_SAMPLES = "best_of_n"


@dataclass(frozen=True, slots=True)
class _Solutions:
    """The completions of one record: texts, answers, rewards and tokens, and the plan's pick.

    ``plan`` is the tree search that they are a run of, None for samples.
    """

    plan: Plan | None
    texts: tuple[str, ...]
    answers: tuple[str | None, ...]
    rewards: tuple[tuple[float, ...], ...]
    tokens: tuple[int, ...]
    chosen: int | None

    @property
    def answer(self) -> str | None:
        """What the pick says."""
        return None if self.chosen is None else self.answers[self.chosen]

    def step_tokens(self, place: int) -> tuple[int, ...]:
        """Tokens per step: by the lengths of the paragraphs where there are as many, else equal parts."""
        steps = len(self.rewards[place])
        parts = [len(part) for part in self.texts[place].split("\n\n") if part.strip()]
        weights = parts if parts and steps in (0, len(parts)) else [1] * max(steps, 1)
        return spread(self.tokens[place], weights)


@dataclass(frozen=True, slots=True)
class SearchAndLearn(Importer):
    """Options of the format.

    Parameters
    ----------
    policy, parameters, prm, prm_parameters:
        Names and sizes of the models that wrote the file.
    plan:
        "" where all files hold samples; else the tree plan (``beam_search(n=16)``) that the others are
        runs of.
    temperature, top_p:
        How the samples were drawn.
    logits:
        Whether ``scores`` are logits; they become rewards by the logistic function.
    """

    name: ClassVar[str] = "search-and-learn"
    caption: ClassVar[str] = "completions and step scores as search-and-learn writes them"

    policy: str = "policy"
    parameters: int = 1_000_000_000
    prm: str = "prm"
    prm_parameters: int = 8_000_000_000
    plan: str = ""
    temperature: float = 0.8
    top_p: float = 1.0
    logits: bool = False

    def __post_init__(self) -> None:
        if self.plan and not Plan.parse(self.plan).must_run:
            raise PlanError(
                f"files of samples need no plan (every n is derived from them), those of a tree search do, "
                f"got {self.plan!r}"
            )
        declared(self.policy, self.parameters)
        declared(self.prm, self.prm_parameters)
        drawn(self.temperature, self.top_p)

    def policies(self) -> Sequence[ModelCard]:
        return (declared(self.policy, self.parameters),)

    def prms(self) -> Sequence[ModelCard]:
        return (declared(self.prm, self.prm_parameters),)

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        report.note(
            f"the files name no model: {self.policy} of {self.parameters / 1e9:g}B and {self.prm} of "
            f"{self.prm_parameters / 1e9:g}B parameters are assumed"
        )
        report.note("prompts: tokens by the question's length, without the template")
        seen = agreed = 0
        for path in files:
            tree = Plan.parse(self.plan) if self.plan and not path.name.startswith(_SAMPLES) else None
            for where, record in line_records(path):
                problem = _problem(record, where, report)
                solutions = None if problem is None else self._solutions(problem, tree, record, where, report)
                if problem is None or solutions is None:
                    continue
                if isinstance(own := record.get("pred"), str) and own.strip():
                    seen += 1
                    said = domain(_DOMAIN).read(problem, own) or normal(own)
                    agreed += said == solutions.answer
                yield self._record(problem, where, solutions)
        if seen:
            report.note(
                "pred, the files' own pick, says what the plan's vote (best of n by the last reward for "
                f"samples) says in {agreed} of {seen} records"
            )

    def _solutions(
        self, problem: Problem, tree: Plan | None, record: Mapping[str, Any], where: str, report: Report
    ) -> _Solutions | None:
        texts = field_of(record, "completions", list, where)
        scores = field_of(record, "scores", list, where)
        if len(texts) != len(scores):
            raise RecordError(
                f"{where}: every completion has its scores, "
                f"got {len(texts)} completions and {len(scores)} scores"
            )
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise RecordError(f"{where}: completion {place} is a text, got {type(text).__name__}")
        if not texts:
            report.leave_out("a record needs completions", where)
            return None
        rewards = []
        for place, given in enumerate(scores):
            steps = shares(given, self.logits)
            if isinstance(steps, str):
                report.leave_out(steps, f"{where}, completion {place}")
                return None
            rewards.append(steps)
        answers = tuple(domain(_DOMAIN).read(problem, text) for text in texts)
        plan = tree or Plan.of("best_of_n", score="last")
        values = [score(steps, str(plan.score)) for steps in rewards]
        groups = group(problem, domain(_DOMAIN), answers)
        chosen = pick(plan.vote or "max", groups, values)
        tokens = _tokens(record, texts, report)
        return _Solutions(tree, tuple(texts), answers, tuple(rewards), tokens, chosen)

    def _record(self, problem: Problem, where: str, solutions: _Solutions) -> Record:
        prompt = estimated_tokens(problem.question)
        sampling = drawn(self.temperature, self.top_p)
        places = range(len(solutions.texts))
        if solutions.plan is None:
            draws = tuple(
                Draw(
                    self.policy,
                    sampling,
                    solutions.texts[place],
                    solutions.answers[place],
                    None,
                    prompt,
                    solutions.step_tokens(place),
                    # a PRM reads every token, and a separator per step
                    scores={
                        self.prm: Scored(
                            solutions.rewards[place],
                            prompt,
                            solutions.tokens[place] + len(solutions.rewards[place]),
                        )
                    },
                )
                for place in places
            )
            return Record(problem, where, draws)
        plan = solutions.plan
        candidates = tuple(
            Candidate(
                solutions.texts[place],
                solutions.answers[place],
                solutions.rewards[place],
                solutions.step_tokens(place),
                "end",
            )
            for place in places
        )
        # only the beams that are left are there; n are in flight at every step, so what was generated
        # is taken to be n times the mean length and the mean number of steps of those
        share = plan.n / len(places)
        generated = math.ceil(share * sum(solutions.tokens))
        steps = math.ceil(share * sum(map(len, solutions.rewards)))
        run = Run(
            self.policy,
            sampling,
            self.prm,
            plan,
            candidates,
            solutions.answer,
            None,
            prompt + generated,
            prompt + generated + steps,
        )
        return Record(problem, where, runs=(run,))


def _problem(record: Mapping[str, Any], where: str, report: Report) -> Problem | None:
    question = field_of(record, "problem", str, where)
    answer = field_of(record, "answer", (str, int, float, type(None)), where)
    if not question.strip():
        report.leave_out("a problem needs a question", where)
        return None
    if answer is None or not normal(str(answer)):
        report.leave_out("a problem needs a reference answer", where)
        return None
    subject, level = record.get("subject"), record.get("level")
    family = f"{subject}, {level}" if subject and level else UNNAMED
    name = str(record.get("unique_id") or f"{seed_of(_DOMAIN, question):016x}")
    return Problem(name, family, _DOMAIN, question, str(answer))


def _tokens(record: Mapping[str, Any], texts: Sequence[str], report: Report) -> tuple[int, ...]:
    """Tokens per completion: the record's, or by length where it has none."""
    given = record.get("completion_tokens")
    counts = given if isinstance(given, list) and len(given) == len(texts) else [0]
    if all(type(count) is int and 0 < count < 2**31 for count in counts):
        return tuple(counts)
    report.note("completions: tokens by their length where the files do not count them")
    return tuple(estimated_tokens(text) for text in texts)

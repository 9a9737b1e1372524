"""Turns decisions with feedback into records of a search log, to refit a planner on what was served.

Feedback says what is right, and the domain's equality grades every candidate by it:

- ``correct`` (or a score of 1): the answer given is the reference;
- ``candidate``: that candidate's answer is the reference;
- not ``correct`` (or a score of 0): the answer given is wrong. What is right is not known from that; such
  a decision is taken where another decision on the same question tells the reference.

Scores between say neither. Of several words the latest that says something stands. Problems that are
always answered wrongly are therefore missing: the log is easier than the traffic was, and the report
says by how many decisions. Feedback that names the right candidate costs nothing of this. Candidates of
votes are draws of a pool, those of ``cot`` are greedy answers, and tree searches are runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, TypeAlias

from planner.server.decisions.log import HASHED
from planner.server.decisions.recorder import Decision, Feedback, Record
from planner.server.decisions.store import Store
from search.cards import ModelCard
from search.engines.protocol import Sampling
from search.errors import DecisionLogError, GradingError, PlanError
from search.grading.registry import domain
from search.importing.protocol import UNNAMED, Draw, Importer, Run, Scored
from search.importing.protocol import Record as Taken
from search.importing.report import Report
from search.importing.write import import_records
from search.log.manifest import prompt_settings
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem
from search.prompts import Prompting
from search.seeds import seed_of

__all__ = ["Decisions", "Truth", "export", "truth_of"]

_UNSURE = "the right answer of a question is known, from this decision or another"

#: domain and question -> reference answer
_References: TypeAlias = dict[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Truth:
    """What feedback settles: the reference answer, or None and that ``wrong`` is not it."""

    answer: str | None
    wrong: str | None = None


def truth_of(decision: Decision, feedback: Sequence[Feedback]) -> Truth | None:
    """What the latest feedback that settles anything says; None where none does."""
    for said in sorted(feedback, key=lambda one: one.created, reverse=True):
        if said.candidate is not None and said.candidate < len(decision.candidates):
            answer = decision.candidates[said.candidate].answer
            if answer is not None:
                return Truth(answer)
        correct = said.correct
        if correct is None and said.score in (0.0, 1.0):
            correct = said.score == 1.0
        if correct is not None and decision.answer is not None:
            return Truth(decision.answer) if correct else Truth(None, decision.answer)
    return None


@dataclass(frozen=True, slots=True)
class Decisions(Importer):
    """Reads a decision log as ``search.importing`` reads records by others.

    Parameters
    ----------
    where:
        The log, as ``Store.read`` takes it.
    policy_cards, prm_cards:
        By name, of the planner that served; decisions with other models are left out.
    sampling:
        How samples were drawn: the server's setting, which decisions do not hold.
    """

    name: ClassVar[str] = "decisions"

    where: str
    policy_cards: Mapping[str, ModelCard]
    prm_cards: Mapping[str, ModelCard]
    sampling: Sampling = field(default_factory=Sampling)
    _seen: set[str] = field(default_factory=set, init=False, repr=False)

    def policies(self) -> Sequence[ModelCard]:
        """Cards of the policies that decisions so far name."""
        return [card for name, card in sorted(self.policy_cards.items()) if name in self._seen]

    def prms(self) -> Sequence[ModelCard]:
        """Cards of the PRMs that decisions so far name."""
        return [card for name, card in sorted(self.prm_cards.items()) if name in self._seen]

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Taken]:
        """The decisions that can be graded, oldest first. ``files`` is not read: ``where`` may be a URL."""
        report.note(f"samples are taken to be drawn with {self.sampling}: decisions do not say")
        report.note("lengths of prompts are what a decision spent beyond its candidates")
        store = Store.read(self.where)
        try:
            references = self._references(store)
            found = False
            for record in store.with_feedback():
                found = True
                taken = self._taken(record, references, report)
                if taken is not None:
                    yield taken
            if not found:
                raise DecisionLogError(
                    f"a search log is made of decisions with feedback, got none among {store.count()}"
                )
        finally:
            store.close()

    def _references(self, store: Store) -> _References:
        """What is right, of every question of which that is known; the earliest decision's word stands."""
        found: _References = {}
        for record in store.with_feedback():
            decision = record.decision
            truth = None if self._unfit(decision) else truth_of(decision, record.feedback)
            if truth is not None and truth.answer is not None:
                found.setdefault((decision.domain, decision.question), truth.answer)
        return found

    def _taken(self, record: Record, references: _References, report: Report) -> Taken | None:
        decision, where = record.decision, f"decision {record.decision.decision_id}"
        why = self._unfit(decision)
        truth = None if why else truth_of(decision, record.feedback)
        reference = references.get((decision.domain, decision.question))
        if why is None and truth is None:
            why = "feedback says whether the answer is right, or which candidate is"
        elif why is None and reference is None:
            why = _UNSURE
        if why is not None or truth is None or reference is None:
            report.leave_out(str(why), where)
            return None
        question = decision.question
        name = f"{seed_of(decision.domain, question):016x}"
        problem = Problem(
            problem_id=name,
            family=UNNAMED,
            domain=decision.domain,
            question=question,
            answer=reference,
        )
        said = truth.wrong if truth.answer is None else truth.answer
        if domain(decision.domain).grade(problem, said) != (truth.answer is not None):
            report.leave_out("feedback on one question names one answer", where)
            return None
        self._seen.update(model for model in (decision.policy, _prm(decision)) if model is not None)
        plan = Plan.parse(decision.plan)
        if plan.must_run:
            return Taken(problem, where, runs=(self._run(decision, plan),))
        return Taken(problem, where, draws=self._draws(decision, plan))

    def _unfit(self, decision: Decision) -> str | None:
        """Why a decision can be no record, whatever its feedback says."""
        if decision.question.startswith(HASHED):
            return "questions are kept, not their hashes"
        if not decision.question.strip():
            return "a problem needs a question"
        if not decision.candidates:
            return "a decision to learn from has candidates"
        try:
            plan = Plan.parse(decision.plan)
            domain(decision.domain)
        except (PlanError, GradingError):
            return "plan and domain are known to this version"
        prm = _prm(decision)
        if decision.policy not in self.policy_cards or (prm is not None and prm not in self.prm_cards):
            return "the planner knows the models of a decision"
        if plan.needs_prm and prm is None:
            return "a plan that is scored has a PRM"
        asked = {step.policy for step in decision.steps} | {decision.policy}
        if len(asked) > 1 or not self._asked_first_only(decision, plan):
            # which candidate is whose is not recorded
            return "a decision to learn from has one policy"
        return None

    def _asked_first_only(self, decision: Decision, plan: Plan) -> bool:
        """Whether a cascade came to no other policy than its first, as its FLOPs per token tell."""
        others = {part.policy for part in plan.walk()} - {decision.policy}
        if not others:
            return True
        cards, spend = self.policy_cards, decision.spend
        first = cards[decision.policy].flops(1.0)
        if spend.prm_tokens or any(name in cards and cards[name].flops(1.0) == first for name in others):
            return False
        return math.isclose(spend.flops, cards[decision.policy].flops(spend.policy_tokens), rel_tol=1e-9)

    def _draws(self, decision: Decision, plan: Plan) -> tuple[Draw, ...]:
        spend, prm = decision.spend, _prm(decision)
        prompt = max(0, spend.policy_tokens - sum(c.tokens for c in decision.candidates))
        # a PRM reads every step and one separator after it
        scored = [c.tokens + len(c.step_rewards) if c.step_rewards else 0 for c in decision.candidates]
        judged = max(0, spend.prm_tokens - sum(scored))
        return tuple(
            Draw(
                policy=decision.policy,
                sampling=str(self.sampling),
                text=candidate.text,
                answer=candidate.answer,
                correct=None,  # the domain grades it
                prompt_tokens=prompt,
                step_tokens=candidate.step_tokens,
                greedy=plan.is_greedy,
                finish_reason=candidate.finish_reason,
                scores={prm: Scored(candidate.step_rewards, judged, tokens)}
                if prm is not None and candidate.step_rewards
                else {},
            )
            for candidate, tokens in zip(decision.candidates, scored, strict=True)
        )

    def _run(self, decision: Decision, plan: Plan) -> Run:
        return Run(
            policy=decision.policy,
            sampling=str(self.sampling),
            prm=_prm(decision) or "",
            plan=plan,
            candidates=decision.candidates,
            answer=decision.answer,
            correct=None,
            policy_tokens=decision.spend.policy_tokens,
            prm_tokens=decision.spend.prm_tokens,
        )


def export(
    decisions: Decisions, output: Path, promptings: Mapping[str, Prompting] = MappingProxyType({})
) -> Report:
    """Write the search log of a decision log at ``output``, a folder that is new or empty.

    ``promptings`` are those of the planner that served, under which its policies were asked.

    Raises DecisionLogError where the log cannot be read or holds no feedback, RecordError where nothing of it
    can be taken.
    """
    report = import_records(decisions, [Path("decisions")], output)
    log = SearchLog.open(output)
    log.declare(prompt_settings({n: one for n, one in promptings.items() if n in log.manifest.policies}))
    unsure = report.left_out.get(_UNSURE)
    if unsure is not None:
        report.note(
            f"{unsure.count} decisions were wrong and nobody said what is right: without them this log is "
            "easier than the traffic was; feedback that names the right candidate avoids that"
        )
    return report


def _prm(decision: Decision) -> str | None:
    """Who gave the candidates their rewards."""
    if decision.prm is not None:
        return decision.prm
    if not any(candidate.step_rewards for candidate in decision.candidates):
        return None
    return next((step.prm for step in reversed(decision.steps) if step.prm is not None), None)

"""What responses tell, as JSON: receipts, usage, spends, probes, advice, candidates, decisions.

A receipt says what was asked, what was decided, what it was expected to be worth and to cost, and what it
took. Keys are stable. Numbers that nobody knows are null.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from planner.deciding.recommendation import Recommendation
from planner.evidence.probe import Probe
from planner.server.decisions.recorder import Decision, Feedback, Record
from planner.server.request.ask import Ask
from planner.server.request.budget import to_wire
from planner.server.request.shaping import Meter
from planner.solving.events import Vote
from planner.solving.solution import Solution
from search.budget import Budget
from search.result import Candidate, Outcome, Spend
from search.scores import score, split

__all__ = [
    "Reason",
    "advice_to_dict",
    "candidate_to_dict",
    "decision_to_dict",
    "known",
    "passthrough_receipt",
    "probe_to_dict",
    "receipt_head",
    "receipt_of",
    "record_to_dict",
    "spend_to_dict",
    "usage_to_dict",
    "votes_to_list",
]

_Json = dict[str, Any]


def known(value: float | None) -> float | None:
    """A number, or None for one that is not finite.

    >>> known(float("nan")), known(0.5)
    (None, 0.5)
    """
    return None if value is None or not math.isfinite(value) else value


def spend_to_dict(spend: Spend, usd: float | None = None) -> _Json:
    """Logical cost, measured seconds, and money where there are prices."""
    return {
        "tokens": spend.tokens,
        "policy_tokens": spend.policy_tokens,
        "prm_tokens": spend.prm_tokens,
        "flops": spend.flops,
        "seconds": round(spend.seconds, 6),
        "usd": known(usd),
    }


def probe_to_dict(probe: Probe | None) -> _Json | None:
    """What has been or will be seen."""
    return None if probe is None else probe.to_dict()


def advice_to_dict(advice: Recommendation, seconds: float | None = None) -> _Json:
    """A recommendation; ``seconds`` is what it is expected to take."""
    runner = advice.runner_up
    target = {} if advice.target is None else {"target": advice.target.to_dict()}
    return {
        **target,
        "policy": advice.choice.policy,
        "prm": advice.choice.prm,
        "plan": str(advice.choice.plan),
        "look": probe_to_dict(advice.probe),
        "accuracy": known(advice.accuracy),
        "interval": list(advice.interval),
        "tokens": known(advice.tokens),
        "flops": known(advice.flops),
        "tokens_p90": known(advice.tokens_p90),
        "flops_p90": known(advice.flops_p90),
        "seconds": known(seconds),
        "abstain": advice.abstain,
        "by_rule": advice.by_rule,
        "neighbours": advice.neighbours,
        "runner_up": None
        if runner is None
        else {
            "policy": runner.choice.policy,
            "prm": runner.choice.prm,
            "plan": str(runner.choice.plan),
            "accuracy": known(runner.accuracy),
            "tokens": known(runner.tokens),
            "flops": known(runner.flops),
        },
        "warnings": list(advice.warnings),
        "propensity": advice.propensity,
    }


def votes_to_list(votes: Sequence[Vote]) -> list[_Json]:
    """Votes so far."""
    return [asdict(vote) for vote in votes]


def candidate_to_dict(draw: int, candidate: Candidate, chosen: int | None) -> _Json:
    """A candidate with its step rewards."""
    return {
        "draw": draw,
        "text": candidate.text,
        "answer": candidate.answer,
        "step_rewards": list(candidate.step_rewards),
        "tokens": candidate.tokens,
        "finish_reason": candidate.finish_reason,
        **({"thought_tokens": candidate.thought_tokens} if candidate.thought_tokens else {}),
        **({"thought_cut": True} if candidate.thought_cut else {}),
        "chosen": draw == chosen,
    }


def record_to_dict(record: Record) -> _Json:
    """A decision in a list, with its feedback."""
    decision = record.decision
    return {
        "id": decision.decision_id,
        "created": decision.created,
        "endpoint": decision.endpoint,
        "question": decision.question,
        "domain": decision.domain,
        "answer": decision.answer,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "policy": decision.policy,
        "prm": decision.prm,
        "plan": decision.plan,
        "accuracy": known(decision.accuracy),
        "tokens": known(decision.tokens),
        "spend": spend_to_dict(decision.spend, decision.spent_usd),
        "feedback": [_feedback(said) for said in record.feedback],
    }


def decision_to_dict(record: Record) -> _Json:
    """Everything about a decision."""
    decision = record.decision
    return {
        **record_to_dict(record),
        "key": decision.key,
        "planner": decision.planner,
        "budget": dict(decision.budget),
        "budget_source": decision.budget_source,
        "flops": known(decision.flops),
        "propensity": decision.propensity,
        "error": decision.error,
        "chosen": decision.chosen,
        "comparison": None if decision.comparison is None else decision.comparison.to_dict(),
        **({} if decision.assignment is None else {"assignment": asdict(decision.assignment)}),
        "steps": _steps(decision),
        "candidates": [candidate_to_dict(i, c, decision.chosen) for i, c in enumerate(decision.candidates)],
    }


def _steps(decision: Decision) -> list[Mapping[str, Any]]:
    return [
        {
            "look": step.look,
            "next_look": step.next_look,
            "policy": step.policy,
            "prm": step.prm,
            "plan": step.plan,
            "accuracy": known(step.accuracy),
            "tokens": known(step.tokens),
            "flops": known(step.flops),
            "propensity": step.propensity,
            "spend": spend_to_dict(step.spend),
        }
        for step in decision.steps
    ]


def _feedback(said: Feedback) -> _Json:
    return {
        "created": said.created,
        "correct": said.correct,
        "score": said.score,
        "candidate": said.candidate,
        "key": said.key,
    }


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the planner did not choose: a word for programs, a sentence for people."""

    code: str
    detail: str


def receipt_head(response_id: str, ask: Ask, budget: Budget, share: float, reason: Reason | None) -> _Json:
    """What every receipt begins with.

    Parameters
    ----------
    response_id:
        What feedback names.
    ask, budget, share:
        What is asked; the budget as it was within the ceiling and under the load; the share of it under load.
    reason:
        Why the planner did not choose; None where it did.
    """
    return {
        "id": response_id,
        "reason": None if reason is None else reason.code,
        "detail": None if reason is None else reason.detail,
        "budget": {
            "asked": to_wire(ask.budget),
            "source": str(ask.source),
            "granted": to_wire(budget),
            "share": round(share, 4),
        },
    }


def receipt_of(
    head: _Json,
    solution: Solution,
    *,
    include: frozenset[str] = frozenset(),
    without: tuple[str, ...] = (),
    first: str | None = None,
    seconds: float | None = None,
) -> _Json:
    """The receipt of one answer.

    Parameters
    ----------
    head:
        As ``receipt_head`` has it.
    include:
        What is told beside the rest: ``candidates``, ``steps``.
    without:
        Models that were down; those that failed on the way are told beside them.
    first:
        The policy that the planner begins with.
    seconds:
        What it was expected to take.
    """
    choice = solution.choice
    out = {
        **head,
        "policy": choice.policy,
        "prm": choice.prm,
        "plan": str(choice.plan),
        "stages": [
            {
                "look": probe_to_dict(record.probe),
                "next_look": probe_to_dict(record.advice.probe),
                "policy": record.advice.choice.policy,
                "prm": record.advice.choice.prm,
                "plan": str(record.advice.choice.plan),
                "accuracy": known(record.advice.accuracy),
                "tokens": known(record.advice.tokens),
                "flops": known(record.advice.flops),
                "propensity": record.advice.propensity,
                "spend": spend_to_dict(record.spend),
                **_explored(record.advice),
            }
            for record in solution.stages
        ],
        "expected": {
            "accuracy": known(solution.accuracy),
            "interval": list(solution.stages[-1].advice.interval) if solution.stages else None,
            "tokens": known(solution.tokens),
            "flops": known(solution.flops),
            "seconds": known(seconds),
        },
        "spend": spend_to_dict(solution.spend, solution.usd),
        "answer": solution.answer,
        "outcome": str(solution.outcome),
        "agreement": _agreement(solution),
        "abstained": solution.outcome == Outcome.ABSTAINED,
        "escalated": first is not None and choice.policy != first,
        "ended": None if solution.ended is None else str(solution.ended),
        "without": [*without, *(prm for prm in solution.lost if prm not in without)],
        "warnings": list(solution.stages[-1].advice.warnings) if solution.stages else [],
    }
    target = solution.stages[-1].advice.target if solution.stages else None
    if target is not None:
        out["target"] = target.to_dict()
    if solution.calls:  # beyond solutions of the question; their tokens are in the spend
        out["calls"] = [
            {"kind": call.kind, "prompt_tokens": call.prompt_tokens, "tokens": call.tokens}
            for call in solution.calls
        ]
        out["jail_seconds"] = round(solution.jail_seconds, 6)
    if include & {"candidates", "steps"}:
        out["candidates"] = [
            _candidate(draw, candidate, solution, "steps" in include)
            for draw, candidate in enumerate(solution.candidates)
        ]
    return out


def passthrough_receipt(
    head: _Json, policy: str, spend: Spend, ended: str | None, usd: float | None = None
) -> _Json:
    """The receipt of an answer by the policy's own server, which planned nothing.

    ``ended``: why it was cut off, None where it was not.
    """
    return {
        **head,
        "policy": policy,
        "prm": None,
        "plan": "cot()",
        "stages": [],
        "expected": {"accuracy": None, "interval": None, "tokens": None, "flops": None, "seconds": None},
        "spend": spend_to_dict(spend, usd),
        "answer": None,
        "outcome": str(Outcome.ANSWERED),
        "agreement": None,
        "abstained": False,
        "escalated": False,
        "ended": ended,
        "without": [],
        "warnings": [],
    }


def usage_to_dict(spend: Spend, meters: Iterable[Meter], prompt_tokens: int, shown: int) -> _Json:
    """``usage`` as OpenAI's API has it: all tokens of policy and PRM, what was cached, and ours beside it.

    ``prompt_tokens``: prompts, which count once per answer; everything else that was spent is completion,
    and of that what is not among the ``shown`` tokens of the answers (other candidates, discarded beams, the
    PRM's) counts as reasoning.
    """
    completion = max(0, spend.tokens - prompt_tokens)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": prompt_tokens + completion,
        "prompt_tokens_details": {
            "cached_tokens": min(prompt_tokens, sum(meter.cached_tokens for meter in meters))
        },
        "completion_tokens_details": {"reasoning_tokens": max(0, completion - shown)},
        "planner": {
            "policy_tokens": spend.policy_tokens,
            "prm_tokens": spend.prm_tokens,
            "physical_policy_tokens": spend.physical_policy_tokens,
            "physical_prm_tokens": spend.physical_prm_tokens,
            "flops": spend.flops,
        },
    }


def _explored(advice: Recommendation) -> _Json:
    """The price of exploration, where there was some."""
    return {} if advice.explored is None else {"explored": asdict(advice.explored)}


def _candidate(draw: int, candidate: Candidate, solution: Solution, steps: bool) -> _Json:
    body = candidate_to_dict(draw, candidate, solution.chosen)
    rewards, rule = body.pop("step_rewards"), solution.choice.plan.score
    scored = bool(candidate.step_rewards) and rule is not None
    body["score"] = score(candidate.step_rewards, rule) if scored and rule is not None else None
    if steps:
        body["step_rewards"] = rewards
        body["steps"] = list(split(candidate.text, "\n"))
    return body


def _agreement(solution: Solution) -> float | None:
    """The share of candidates whose answer is the very text of the one given."""
    if solution.answer is None or not solution.candidates:
        return None
    counts: Mapping[str | None, int] = Counter(candidate.answer for candidate in solution.candidates)
    return counts[solution.answer] / len(solution.candidates)

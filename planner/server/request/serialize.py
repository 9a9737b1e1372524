"""Objects of planner and search as JSON: spends, probes, advice, candidates. Unknown numbers are null."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from planner.deciding.recommendation import Recommendation
from planner.evidence.probe import Probe
from planner.server.decisions.recorder import Decision, Feedback, Record
from planner.solving.events import Vote
from search.result import Candidate, Spend

__all__ = [
    "advice_to_dict",
    "candidate_to_dict",
    "decision_to_dict",
    "known",
    "probe_to_dict",
    "record_to_dict",
    "spend_to_dict",
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

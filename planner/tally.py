"""The tally of one run: counts votes as solutions come, tells a listener, ends drawing when it may."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from planner.events import Drawn, Ended, Grown, Listener, Pruned, Vote, Why
from planner.stopping import Patience
from search.cards import ModelCard
from search.errors import EngineError
from search.grading.registry import domain
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate, Spend
from search.scores import score
from search.strategies.watcher import Sprout, Watcher

__all__ = ["Tally", "vote_of"]


def vote_of(plan: Plan) -> str:
    """How a plan picks its answer, one of ``search.plan.VOTES``."""
    if plan.vote is not None:
        return plan.vote
    return {"best_of_n": "max", "weighted_vote": "weighted"}.get(plan.strategy, "majority")


class Tally(Watcher):
    """Watches one run of a plan.

    Parameters
    ----------
    prior:
        Candidates that the run begins with.
    spend:
        What the request has spent when asked.
    patience:
        When drawing ends early; None: never.
    policy:
        Turns tokens into FLOPs.

    ``ended`` is why drawing ended, where that saved anything; ``failure`` is the policy's.
    """

    def __init__(
        self,
        problem: Problem,
        plan: Plan,
        prior: Sequence[Candidate],
        spend: Callable[[], Spend],
        *,
        listener: Listener | None = None,
        patience: Patience | None = None,
        policy: ModelCard,
    ) -> None:
        self.ended: Why | None = None
        self.failure: EngineError | None = None
        self._why: Why | None = None  # to end, whether or not there is anything left to be saved
        self._problem = problem
        self._domain = domain(problem.domain)
        self._plan = plan
        self._vote = vote_of(plan)
        self._spend = spend
        self._listener = listener
        self._patience = None if plan.is_tree else patience
        self._policy = policy
        self._candidates: dict[int, Candidate] = dict(enumerate(prior))
        self._places: dict[str, int] = {}  # answer -> group
        self._answers: list[str] = []  # the earliest answer of each group stands for it
        self._beams: dict[int, tuple[str, tuple[float, ...]]] = {}

    def drawn(self, draw: int, candidate: Candidate, missing: int) -> bool:
        if self._listener is None and self._patience is None:
            return False
        is_news = self._candidates.get(draw) != candidate
        self._candidates[draw] = candidate
        votes = self._votes()
        if self._listener is not None and is_news:
            self._listener(Drawn(draw, candidate, votes, missing, self._spend()))
        if self._patience is None or self._why is not None:
            return False
        weights = [v.weight if self._vote == "weighted" else float(v.count) for v in votes]
        self._why = self._patience.ends(self._vote, weights, missing, self._flops())
        return self._why is not None

    def cut(self, missing: int) -> None:
        if missing and self._why is not None:
            self.ended = self._why
            if self._listener is not None:
                self._listener(Ended(self._why, missing, self._spend()))

    def failed(self, error: EngineError) -> bool:
        self.failure = error
        return True

    def grown(self, sprout: Sprout) -> None:
        if self._listener is None:
            return
        text, rewards = self._beams.get(sprout.parent, ("", ()))
        text += sprout.text
        rewards = (*rewards, *(() if sprout.reward is None else (sprout.reward,)))[-sprout.steps or None :]
        self._beams[sprout.node] = text, rewards
        answer = None
        if sprout.finish_reason:
            answer = self._domain.read(self._problem, text)
            finished = Candidate(text, answer, rewards, (sprout.tokens,), sprout.finish_reason)
            self._candidates[len(self._candidates)] = finished
        self._listener(
            Grown(
                _name(sprout.node),
                _name(sprout.parent),
                sprout.steps,
                sprout.text,
                sprout.reward,
                sprout.tokens,
                sprout.finish_reason,
                answer,
                self._votes(),
                self._spend(),
            )
        )

    def pruned(self, kept: Sequence[int], dropped: Sequence[int]) -> None:
        if self._listener is not None:
            self._listener(Pruned(tuple(map(_name, kept)), tuple(map(_name, dropped)), self._spend()))

    def _votes(self) -> tuple[Vote, ...]:
        counts: dict[int, int] = {}
        weights: dict[int, float] = {}
        for draw in sorted(self._candidates):
            candidate = self._candidates[draw]
            if candidate.answer is None:
                continue
            place = self._place(candidate.answer)
            counts[place] = counts.get(place, 0) + 1
            weights[place] = weights.get(place, 0.0) + self._score(candidate)
        found = [Vote(self._answers[place], counts[place], weights[place]) for place in counts]
        heavy = self._vote != "majority"
        return tuple(sorted(found, key=lambda v: (-v.weight, -v.count) if heavy else (-v.count, -v.weight)))

    def _place(self, answer: str) -> int:
        known = self._places.get(answer)
        if known is None:
            known = next(
                (i for i, one in enumerate(self._answers) if self._domain.equal(self._problem, one, answer)),
                len(self._answers),
            )
            if known == len(self._answers):
                self._answers.append(answer)
            self._places[answer] = known
        return known

    def _score(self, candidate: Candidate) -> float:
        if self._plan.score is None or not candidate.step_rewards:
            return 0.0
        return score(candidate.step_rewards, self._plan.score)

    def _flops(self) -> float:
        """About what one more draw costs: the mean length so far."""
        tokens = sum(candidate.tokens for candidate in self._candidates.values())
        return self._policy.flops(tokens / max(1, len(self._candidates)))


def _name(node: int) -> str:
    return f"{node:016x}"

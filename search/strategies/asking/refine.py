"""``refine(rounds, feedback, score)``: a draft, revised as often as its feedback asks for it.

Self-Refine (Madaan et al., arXiv 2303.17651) with ``feedback=none``: the policy criticises its own solution.
``judge``: the reward that the choice names, a PRM or a prompted verifier, says how sure each step is.
``tests``: the tests that the question itself shows are run (Self-Debugging, Chen et al., arXiv 2304.05128).
Policies that revise on nothing but their own word often make right answers wrong (Huang et al., arXiv
2310.01798).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from search.grading.registry import domain
from search.ledger import Ledger
from search.problem import Problem
from search.result import Candidate, Result
from search.scores import SCORES
from search.seeds import seed_of
from search.strategies.asking.dialogue import Dialogue
from search.strategies.asking.feedback import FEEDBACKS, Feedback, feedback_of
from search.strategies.fields import one_of, whole
from search.strategies.kinds import Replay
from search.strategies.protocol import Setting
from search.strategies.sampling import SamplingStrategy
from search.voting.grouping import GRACE, grouped
from search.voting.votes import pick

__all__ = ["Refine"]

#: most rounds
_MOST = 8
#: tokens of the words around a solution and its feedback, and of a critique by the policy, about
_AROUND, _CRITIQUE = 60.0, 60.0


@dataclass(frozen=True)
class Refine(SamplingStrategy):
    """One draft, then ``rounds`` revisions at most; fewer where the feedback finds nothing wrong.

    The last solution that can be read answers; under ``judge`` the one that the reward scores highest, and
    under ``tests`` the last one that passes, if there is one. Of prior solutions the one that they vote for,
    or that the reward scores highest, is the draft.
    """

    name = "refine"
    caption = "drafts, criticises, revises"
    templates = MappingProxyType(
        {
            "critique": (
                "Question:\n{question}\n\nA solution:\n{solution}\n\n"
                "Check this solution step by step. If all of it is right, reply with the one word CORRECT. "
                "Otherwise say where the first mistake is and why it is one, without solving the question."
            ),
            "verdict": "A verifier gives the steps these probabilities of being right.\n{verdict}",
            "report": "It fails tests that the question shows.\n{report}",
            "revise": (
                "{question}\n\nAn earlier solution to this:\n{solution}\n\n"
                "Feedback on it:\n{feedback}\n\nWrite the whole solution again, with what is wrong corrected."
            ),
        }
    )

    rounds: int = whole(2, most=_MOST)
    feedback: str = one_of(FEEDBACKS, "none")
    score: str = one_of(SCORES, "last", quiet=True)

    replays = Replay.NEVER
    most_prior = None

    @property
    def samples(self) -> int:
        return 1 + self.rounds

    @property
    def needs_reward(self) -> bool:
        return self.feedback == "judge"

    @property
    def vote(self) -> str:
        return "max" if self.needs_reward else "majority"

    @property
    def picks(self) -> bool:
        """The order picks, unless a reward does."""
        return self.needs_reward

    def fresh(self, prior: int) -> int:
        return self.rounds + (prior == 0)

    def takes(self, prompt: float, solution: float) -> tuple[float, float]:
        critique = _CRITIQUE if self.feedback == "none" else 0.0
        asked = 2 if self.feedback == "none" else 1
        sent = asked * (prompt + solution + _AROUND) + critique
        return prompt + self.rounds * sent, solution + self.rounds * (solution + critique)

    @classmethod
    def variants(cls, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """One plan, which asks nothing but the policy: others are written out (plan = [...])."""
        yield {}

    def refuses(self, problem: Problem, setting: Setting) -> str | None:
        """Where the feedback is tests, a question must show some."""
        if self.feedback == "tests" and not domain(problem.domain).shows_tests(problem):
            return (
                "feedback=tests needs a question that shows tests (>>> examples or assertions), "
                f"got none in a question of the domain {problem.domain!r}"
            )
        return None

    async def run(
        self,
        problem: Problem,
        setting: Setting,
        ledger: Ledger,
        *,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        dialogue = Dialogue(problem, self.plan, setting, ledger)
        drafted = await self.drawn(problem, setting, ledger, seed=seed, prior=prior, most=1)
        candidates = list(drafted.candidates)
        if not candidates:
            return dialogue.added(drafted)
        place = 0 if drafted.chosen is None else drafted.chosen
        passed: list[int] = []
        for turn in range(self.rounds):
            said = await feedback_of(self, dialogue, candidates[place], seed_of(seed, "critique", turn))
            if said is None:
                break
            if said.is_right:
                passed.append(place)
                break
            revised = await self._revise(dialogue, candidates[place], said, seed_of(seed, "revise", turn))
            if revised is None:
                break
            candidates.append(revised)
            place = len(candidates) - 1
            await dialogue.tell(place, revised, self.rounds - 1 - turn)
        return dialogue.result(candidates, await self._best(dialogue, candidates, place, passed))

    async def _revise(
        self, dialogue: Dialogue, candidate: Candidate, said: Feedback, seed: int
    ) -> Candidate | None:
        text = self.say(
            dialogue.setting,
            "revise",
            question=dialogue.problem.question,
            solution=candidate.text,
            feedback=said.text,
        )
        return await dialogue.solution("revise", text, seed=seed, least=max(1, candidate.tokens))

    async def _best(
        self, dialogue: Dialogue, candidates: Sequence[Candidate], last: int, passed: Sequence[int]
    ) -> int | None:
        """The candidate that answers."""
        readable = [place for place, one in enumerate(candidates) if one.answer is not None]
        if not self.needs_reward:
            wanted = [place for place in (*passed, last) if place in readable]
            return wanted[0] if wanted else max(readable, default=None)
        numbers = await grouped(
            dialogue.problem,
            domain(dialogue.problem.domain),
            [candidate.answer for candidate in candidates],
            seconds=max(dialogue.ledger.seconds_left, GRACE),
        )
        return pick("max", numbers, [self.weigh(candidate) for candidate in candidates])

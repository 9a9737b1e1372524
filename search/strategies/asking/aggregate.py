"""``aggregate(n, how)``: n samples, among which a model picks or which it merges into one answer.

``select``: the policy names the most consistent of its own answers (universal self-consistency, Chen et al.,
arXiv 2311.17311). ``merge``: it writes one answer out of all. Answers need not be comparable, so both suit
open-ended questions, where a vote means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from search.grading.registry import domain
from search.ledger import Ledger
from search.problem import Problem
from search.result import Candidate, Outcome, Result
from search.seeds import seed_of
from search.strategies.asking.dialogue import Dialogue
from search.strategies.fields import one_of, whole
from search.strategies.kinds import Replay
from search.strategies.protocol import Setting
from search.strategies.sampling import SamplingStrategy
from search.voting.grouping import GRACE, grouped

__all__ = ["Aggregate", "named"]

#: most samples: all of them stand in one prompt
_MOST = 64
#: tokens of a reply that names a number
_REPLY = 4
#: tokens of the words around the answers, about
_AROUND = 60.0

_NAMED = re.compile(
    r"\b(?:response|answer|solution|option|candidate|number|no\.?)\s*(?:is\s*)?[#:*(\[\s]*(\d{1,3})\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\d.,])\d{1,3}(?![\d]|[.,]\d)")


@dataclass(frozen=True)
class Aggregate(SamplingStrategy):
    """n samples; where they give at least two different answers, the policy picks among them or merges them.

    Where all that can be read agree, nothing is asked and nothing charged. Where the budget, the time or the
    context does not hold all answers, it is asked about one of each kind; where that does not fit either, or
    the reply names none, the most frequent answer stands.
    """

    name = "aggregate"
    caption = "a model picks among n answers, or merges them"
    templates = MappingProxyType(
        {
            "select": (
                "Question:\n{question}\n\nHere are several responses to it.\n\n{answers}\n\n"
                "Which of them is the most consistent with the others and with the question? "
                "Reply with the number of that response alone."
            ),
            "merge": (
                "{question}\n\nSeveral responses to this were written independently.\n\n{answers}\n\n"
                "Some of them may be wrong or incomplete. Write one response that keeps what is right in "
                "them and corrects what is wrong, without mentioning them."
            ),
        }
    )

    n: int = whole(4, least=2, most=_MOST)
    how: str = one_of(("select", "merge"), "select")

    replays = Replay.NEVER
    #: a model does
    picks = False

    @property
    def samples(self) -> int:
        return self.n + (self.how == "merge")

    @property
    def most_prior(self) -> int | None:
        return self.n

    def fresh(self, prior: int) -> int:
        return max(0, self.n - prior) + (self.how == "merge")

    def takes(self, prompt: float, solution: float) -> tuple[float, float]:
        last = solution if self.how == "merge" else float(_REPLY)
        return 2.0 * prompt + self.n * solution + _AROUND, self.n * solution + last

    @classmethod
    def variants(cls, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """A plan that selects per n that it takes; others are written out (plan = [...])."""
        yield from ({"n": n} for n in axes["n"] if 2 <= n <= _MOST)

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
        voted = await self.drawn(problem, setting, ledger, seed=seed, prior=prior, most=self.n)
        numbers = await grouped(
            problem,
            domain(problem.domain),
            [candidate.answer for candidate in voted.candidates],
            seconds=max(ledger.seconds_left, GRACE),
        )
        readable = [place for place, number in enumerate(numbers) if number >= 0]
        first = {numbers[place]: place for place in reversed(readable)}
        if len(first) < 2:
            return voted
        for shown in dict.fromkeys((tuple(readable), tuple(sorted(first.values())))):
            decided = await self._decide(dialogue, voted, shown, seed)
            if decided is not None:
                return dialogue.added(decided)
        return dialogue.added(voted)

    async def _decide(
        self, dialogue: Dialogue, voted: Result, shown: Sequence[int], seed: int
    ) -> Result | None:
        """What the policy makes of some candidates; None where it could not be asked."""
        candidates = [voted.candidates[place] for place in shown]
        answers = "\n\n".join(f"Response {at}:\n{one.text}" for at, one in enumerate(candidates, start=1))
        text = self.say(dialogue.setting, self.how, question=dialogue.problem.question, answers=answers)
        if self.how == "merge":
            longest = max(candidate.tokens for candidate in candidates)
            merged = await dialogue.solution("merge", text, seed=seed_of(seed, "merge"), least=longest)
            return None if merged is None else await self._merged(dialogue, voted, merged)
        reply = await dialogue.remark("select", text, seed=seed_of(seed, "select"), least=_REPLY)
        if reply is None:
            return None
        number = named(reply, len(shown))
        return voted if number is None else _chosen(voted, shown[number - 1])

    async def _merged(self, dialogue: Dialogue, voted: Result, merged: Candidate) -> Result:
        """The merged answer, where one can be read, else the vote's."""
        await dialogue.tell(len(voted.candidates), merged, 0)
        whole = replace(voted, candidates=(*voted.candidates, merged))
        return whole if merged.answer is None else _chosen(whole, len(voted.candidates))


def named(reply: str, count: int) -> int | None:
    """The response that a reply names, from 1 to ``count``: the last one called so, else the last number.

    >>> named("Responses 1 and 2 agree, so Response 2.", 3), named("**3**", 3), named("2 + 3 = 5", 4)
    (2, 3, 3)
    >>> named("none of them", 3) is None
    True
    """
    for pattern in (_NAMED, _NUMBER):
        found = [int(number) for number in pattern.findall(reply)]
        inside = [number for number in found if 1 <= number <= count]
        if inside:
            return inside[-1]
    return None


def _chosen(result: Result, place: int) -> Result:
    return replace(result, answer=result.candidates[place].answer, chosen=place, outcome=Outcome.ANSWERED)

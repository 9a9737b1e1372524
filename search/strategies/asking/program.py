"""``program(n)``: the policy writes n programs, the jail runs them, and what they print votes.

Program of thoughts (Chen et al., arXiv 2211.12588), program-aided language models (Gao et al., arXiv
2211.10435). A program that fails is repaired once, by the policy, from the error (Self-Debugging, arXiv
2304.05128).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from search.engines.protocol import ChildFinished
from search.grading.programs.printing import Printed, code_of, jail_fault, printed
from search.grading.programs.sandbox import DEFAULT
from search.grading.registry import domain
from search.ledger import Ledger, Reservation
from search.problem import Problem
from search.result import Call, Candidate, Result
from search.seeds import seed_of
from search.strategies.asking.dialogue import Dialogue
from search.strategies.fields import whole
from search.strategies.kinds import Replay
from search.strategies.protocol import Setting, Strategy
from search.strategies.running.candidates import candidate_of, conclude
from search.strategies.running.session import Session

__all__ = ["Program"]

#: most programs
_MOST = 64
#: tokens of the words around a question, about
_AROUND = 50.0


@dataclass(frozen=True)
class Program(Strategy):
    """n programs; the most frequent output answers. One that fails gets a second try, and no vote after that.

    A reply without a program is read as it stands. Programs run side by side in the jail that grades
    programs (``search.grading.programs.sandbox``): no network, no files, limits on time and memory. Solutions
    that were drawn before vote along.
    """

    name = "program"
    caption = "n programs are run, and what they print votes"
    templates = MappingProxyType(
        {
            "write": (
                "{question}\n\nWrite a Python program that works out the answer and prints it, and nothing "
                "else. Reply with the program alone, in one block of code."
            ),
            "repair": (
                "{question}\n\nThis Python program was to work out the answer and to print it.\n\n"
                "```python\n{program}\n```\n\nIt failed: {error}\n\n"
                "Reply with the whole program, corrected, in one block of code."
            ),
        }
    )

    n: int = whole(4, most=_MOST)

    replays = Replay.NEVER
    most_prior = None
    #: a program that failed has no answer, whatever stands in it
    reads = False

    def fresh(self, prior: int) -> int:
        """Prior solutions vote along and take the place of no program."""
        return self.n

    def takes(self, prompt: float, solution: float) -> tuple[float, float]:
        return prompt + _AROUND, self.n * solution

    @classmethod
    def variants(cls, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """One plan per n that it takes."""
        yield from ({"n": n} for n in axes["n"] if n <= _MOST)

    def refuses(self, problem: Problem, setting: Setting) -> str | None:
        """Where an answer is nothing that a program prints, and where there is no jail."""
        if not domain(problem.domain).prints:
            return f"program answers what a program can print, got the domain {problem.domain!r}"
        return jail_fault()

    async def run(
        self,
        problem: Problem,
        setting: Setting,
        ledger: Ledger,
        *,
        seed: int,
        prior: Sequence[Candidate] = (),
    ) -> Result:
        text = self.say(setting, "write", question=problem.question)
        async with Session(problem, self.plan, setting, ledger, question=text, bare=True) as session:
            works: dict[int, asyncio.Task[Candidate]] = {}
            dialogues: dict[int, Dialogue] = {}
            watcher = setting.observer
            missing = self.n

            async def finish(index: int, child: ChildFinished) -> Candidate:
                nonlocal missing
                dialogue = dialogues[index]
                candidate = await self._worked_out(dialogue, child, seed_of(seed, "repair", index))
                missing -= 1
                await dialogue.tell(len(prior) + index, candidate, missing)
                return candidate

            def on_child(index: int, child: ChildFinished, held: Reservation) -> None:
                held.release()
                dialogues[index] = Dialogue(problem, self.plan, setting, ledger)
                works[index] = session.spawn(finish(index, child))

            if watcher is not None:
                for place, candidate in enumerate(prior):
                    await watcher.drawn(place, candidate, missing)
            await session.draw((), self.n, seed, on_child, sampling=setting.sampling)
            drawn = await asyncio.gather(*(works[index] for index in sorted(works)))
            asked = [dialogues[index] for index in sorted(dialogues)]
            failures = [dialogue.failure for dialogue in asked]
            result = await conclude(
                session,
                [*prior, *drawn],
                next((failure for failure in failures if failure is not None), None),
            )
        return replace(
            result,
            calls=tuple(call for dialogue in asked for call in dialogue.calls),
            jail_seconds=math.fsum(dialogue.jail_seconds for dialogue in asked),
        )

    async def _worked_out(self, dialogue: Dialogue, child: ChildFinished, seed: int) -> Candidate:
        """What a reply comes to: its program is run, and once more where it had to be repaired."""
        problem, delimiter = dialogue.problem, dialogue.setting.delimiter
        candidate = candidate_of(problem, child, delimiter)
        code = code_of(child.text)
        if code is None:
            return candidate
        came = await _run(dialogue, code)
        if came is not None and came.error:
            text = self.say(
                dialogue.setting,
                "repair",
                question=problem.question,
                program=code,
                error=came.error,
            )
            least = max(1, len(child.token_ids) // 2)
            again = await dialogue.reply("repair", text, seed=seed, least=least)
            repaired = None if again is None else code_of(again.text)
            if again is not None and repaired is not None:
                candidate = candidate_of(problem, again, delimiter)
                came = await _run(dialogue, repaired)
        if came is None or came.error:
            return replace(candidate, answer=None)
        return _stated(problem, candidate, came.output)


async def _run(dialogue: Dialogue, code: str) -> Printed | None:
    """What a program prints; None where the time is up before it ends."""
    left = dialogue.ledger.seconds_left
    if left <= 0.0:
        return None
    # a program that nobody waits for any more takes no core for longer than that
    limits = replace(DEFAULT, seconds=min(DEFAULT.seconds, left))
    running = asyncio.ensure_future(asyncio.to_thread(printed, code, limits))
    try:
        done, _ = await asyncio.wait({running}, timeout=left if math.isfinite(left) else None)
    finally:
        # whoever is cancelled, or has no more time, leaves it to its own limit
        running.add_done_callback(_heard)
    if not done:
        return None
    came = running.result()
    dialogue.jail_seconds += came.seconds
    dialogue.calls.append(Call("run", came.output or came.error))
    return came


def _heard(work: asyncio.Future[Printed]) -> None:
    """Take note of how it ended: nobody waits for it any more."""
    if not work.cancelled():
        work.exception()


def _stated(problem: Problem, candidate: Candidate, output: str) -> Candidate:
    """A candidate whose text states what was printed, as the problem's domain reads it."""
    read = domain(problem.domain).read
    answer, text = None, f"{candidate.text}\n\n{output}"
    for form in (output, f"\\boxed{{{output}}}", f"The answer is {output}.", f"# {output}"):
        alone = read(problem, form)
        if alone is None:
            continue
        whole_text = f"{candidate.text}\n\n{form}"
        if read(problem, whole_text) == alone:
            return replace(candidate, text=whole_text, answer=alone)
        if answer is None:
            answer, text = alone, whole_text
    return replace(candidate, text=text, answer=answer)

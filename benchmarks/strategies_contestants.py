"""The contestants of the real part of ``strategies.py``: every strategy that asks one model, and rivals.

All have the campaign's instruction and sampling, and a budget of eight samples. Whatever begins with whole
solutions begins with the same ones, those of the vote, so differences between them are what was done with
the samples. What a budget of eight holds: eight samples and verdicts on them; eight samples and what is
asked about them; a draft and three rounds of critique and revision, seven solutions' worth; eight programs;
a tree of eight places.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from openai import OpenAI
from real_campaign import SMALL
from versus_contestants import CONTESTANTS, SYSTEM, VOTES, Answer, Contestant
from versus_servers import MAX_TOKENS

from search.plan import Plan
from search.problem import Problem
from search.rewards.judge_spec import JudgeSpec

__all__ = [
    "JUDGE",
    "OURS",
    "PAIRS",
    "RIVALS",
    "SLOTS",
    "STEP_JUDGE",
    "THOUGHT_END",
    "VOTE",
    "WAIT",
    "Ours",
    "captions",
]

#: sequences that the server decodes at a time: longer ones than the campaign's, since prompts hold answers
SLOTS = 32
#: the policy judging itself, P(yes) by the logprobs: of whole solutions, and of each step
JUDGE = JudgeSpec(SMALL, "solution", "logprobs").name
STEP_JUDGE = JudgeSpec(SMALL, "steps", "logprobs").name
VOTE, WAIT = "vote", "wait"
#: what ends a thought of a model without tags: all before the boxed answer is thought
THOUGHT_END = "\\boxed"


@dataclass(frozen=True, slots=True)
class Ours:
    """A plan of this project.

    Parameters
    ----------
    begins:
        With how many of the vote's samples, which count as its own.
    scored_by:
        The contestant whose verdicts on these samples are its own too; "" where it asks for all it needs.
    together:
        Questions at a time.
    waits:
        Whether its thoughts end at ``THOUGHT_END``, so that they can be made to go on.
    """

    name: str
    caption: str
    plan: Plan
    prm: str | None = None
    begins: int = 0
    scored_by: str = ""
    together: int = SLOTS // VOTES
    waits: bool = False


def _plan(text: str) -> Plan:
    return Plan.parse(text)


#: in the order in which they answer: those that lend samples and verdicts first
OURS = (
    Ours("greedy", "greedy answer", _plan("cot()"), together=SLOTS),
    Ours(
        WAIT,
        "greedy answer, made to think on (s1)",
        _plan("cot(think=448, wait=320)"),
        together=SLOTS,
        waits=True,
    ),
    Ours(VOTE, "vote of 8", _plan("majority(n=8)")),
    Ours("judge-best", "best of 8 by its own judge", _plan("best_of_n(n=8)"), JUDGE, VOTES),
    Ours(
        "judge-weighted",
        "vote of 8 weighted by its own judge",
        _plan("weighted_vote(n=8)"),
        JUDGE,
        VOTES,
        "judge-best",
    ),
    Ours(
        "aggregate-select", "aggregate, it names one of 8", _plan("aggregate(n=8, how=select)"), None, VOTES
    ),
    Ours("aggregate-merge", "aggregate, it merges 8", _plan("aggregate(n=8, how=merge)"), None, VOTES),
    Ours(
        "refine", "refine, 3 rounds of its own critique", _plan("refine(rounds=3)"), None, 1, together=SLOTS
    ),
    Ours(
        "refine-judge",
        "refine, 3 rounds, its own judge's verdicts",
        _plan("refine(rounds=3, feedback=judge)"),
        STEP_JUDGE,
        1,
        together=SLOTS,
    ),
    Ours("program", "8 programs", _plan("program(n=8)")),
    Ours("judge-beam", "beam search, 8 places, its own judge", _plan("beam_search(n=8)"), STEP_JUDGE),
)


def _best(client: OpenAI, problem: Problem, template: str) -> Answer:
    """optillm's best-of-n: samples at temperature 1, each rated from 0 to 10 by the model."""
    content = template.replace("{question}", problem.question)
    got = client.chat.completions.create(
        model=f"bon-{SMALL}",
        messages=[
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": content},
        ],
        max_tokens=MAX_TOKENS,
    )
    return Answer(got.choices[0].message.content or "", {})


def _rival(name: str) -> Contestant:
    return replace(next(one for one in CONTESTANTS if one.name == name), together=SLOTS // VOTES)


#: its_hub 1.2 and optillm 0.4, where they have the same strategy
RIVALS = (
    _rival("its_hub"),
    replace(
        _rival("its_hub"),
        name="its_hub-best",
        caption="its_hub 1.2, best of 8 by its LLM judge",
        behind="its_hub-best",
    ),
    _rival("optillm"),
    Contestant("optillm-best", "optillm 0.4, best of 8 by its rating", "optillm", SLOTS // VOTES, _best),
)
#: ours and a rival that does the same
PAIRS = (
    (VOTE, "its_hub"),
    (VOTE, "optillm"),
    ("judge-best", "its_hub-best"),
    ("judge-best", "optillm-best"),
)


def captions() -> dict[str, str]:
    """Name -> what a contestant is called on the page, in the order in which they answer."""
    return {one.name: one.caption for one in (*OURS, *RIVALS)}

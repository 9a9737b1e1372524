"""``tree-of-thoughts``: the logs of Yao et al. (arXiv 2305.10601) on Game of 24, as they published them.

One JSON array a file, plain or ``.gz``, one object a problem. A tree search has ``steps`` (per depth
``new_ys``, their ``values`` and the ``select_new_ys`` that were kept) and five leaves ``ys``; a file of
samples has 100 samples ``ys``. ``infos[].r`` or ``accs`` say which are right; that verdict is kept.
Sample files do not hold the numbers of a problem, only its ``idx``: a tree search's file among the
files names them.

Usage is cumulative over a file and begins anew where it falls: a problem's own is the difference. The
samples of a problem come from requests of 20, each with the whole prompt; logically it counts once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from search.cards import ModelCard
from search.errors import PlanError, RecordError
from search.grading.registry import domain
from search.importing.lengths import spread
from search.importing.protocol import UNNAMED, Draw, Importer, Record, Run, declared, drawn
from search.importing.reading import array_records, field_of
from search.importing.report import Report
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate
from search.scores import score
from search.voting.votes import group, pick

__all__ = ["TreeOfThoughts"]

_DOMAIN = "game24"

#: samples of one request, in their code
_REQUEST = 20
#: a node is valued by three samples, each at most 20 ("sure")
_MOST = 60.0


@dataclass(frozen=True, slots=True)
class TreeOfThoughts(Importer):
    """Options of the format.

    Parameters
    ----------
    plan:
        How the tree search is spelled. Theirs keeps 5 of the states that 5 kept ones propose, about
        eight each, three steps and the answer deep, and takes the leaf of the highest value.
    parameters:
        Size of the model. GPT-4's is not published; it scales all FLOPs of the log alike.
    temperature:
        As in the names of their files.
    """

    name: ClassVar[str] = "tree-of-thoughts"
    caption: ClassVar[str] = "logs of Tree of Thoughts on the game of 24"

    plan: str = "beam_search(n=40, width=8, prune=last, score=last, vote=max)"
    parameters: int = 1_000_000_000_000
    temperature: float = 0.7

    def __post_init__(self) -> None:
        if not Plan.parse(self.plan).must_run:
            raise PlanError(f"a tree search is beam_search or dvts, got {self.plan!r}")
        declared("gpt-4-cot", self.parameters)
        drawn(self.temperature)

    def policies(self) -> Sequence[ModelCard]:
        return tuple(declared(name, self.parameters) for name in ("gpt-4-cot", "gpt-4-standard"))

    def prms(self) -> Sequence[ModelCard]:
        return (declared("gpt-4-value", self.parameters),)

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        report.note(
            f"GPT-4's size is not published: {self.parameters / 1e9:g}B parameters are assumed, which scale "
            "all FLOPs alike"
        )
        questions: dict[int, str] = {}
        trees = [path for path in files if "steps" in _first(path)]
        for path in trees:
            yield from self._trees(path, questions, report)
        if not trees:
            raise RecordError(
                "samples of Game of 24 need a tree search's file, which names the numbers, "
                f"got none among {', '.join(path.name for path in files)}"
            )
        for path in files:
            if path not in trees:
                yield from self._samples(path, questions, report)

    def _trees(self, path: Path, questions: dict[int, str], report: Report) -> Iterator[Record]:
        plan, reader = Plan.parse(self.plan), domain(_DOMAIN)
        report.note(
            f"the tree search is spelled {plan}; its tokens are not split between proposing and valuing "
            "states: all count as the policy's"
        )
        for where, record, usage in _with_usage(path):
            depths = field_of(record, "steps", list, where)
            leaves, verdicts = _judged(record, where)
            if not depths or not leaves:
                report.leave_out("a tree search has steps and leaves", where)
                continue
            numbers = field_of(depths[0], "x", str, where)
            problem = _problem(field_of(record, "idx", int, where), numbers)
            questions[record["idx"]] = numbers
            values = _values(depths, where)
            inner = sum(len(depth["new_ys"]) for depth in depths) - len(leaves)
            report.leave_out(
                "inner nodes have no place in a log; the leaves keep their paths' values", where, inner
            )
            candidates = []
            for leaf in leaves:
                rewards = _path(leaf, values)
                if isinstance(rewards, str):
                    report.leave_out(rewards, where)
                    break
                candidates.append(Candidate(leaf, reader.read(problem, leaf), rewards, (), "end"))
            if len(candidates) < len(leaves):
                continue
            chosen = pick(
                str(plan.vote),
                group(problem, reader, [candidate.answer for candidate in candidates]),
                [score(candidate.step_rewards, str(plan.score)) for candidate in candidates],
            )
            run = Run(
                "gpt-4-cot",
                drawn(self.temperature),
                "gpt-4-value",
                plan,
                tuple(candidates),
                None if chosen is None else candidates[chosen].answer,
                False if chosen is None else verdicts[chosen],
                usage["completion_tokens"] + usage["prompt_tokens"],
                0,
            )
            yield Record(problem, where, runs=(run,))

    def _samples(self, path: Path, questions: Mapping[int, str], report: Report) -> Iterator[Record]:
        reader = domain(_DOMAIN)
        # both prompts end in "Answer: ..."; only chains of thought have lines before it
        first = [str(text).strip() for text in field_of(_first(path), "ys", list, path.name)]
        policy = "gpt-4-cot" if 2 * sum("\n" in text for text in first) > len(first) else "gpt-4-standard"
        for where, record, usage in _with_usage(path):
            texts, verdicts = _judged(record, where)
            index = field_of(record, "idx", int, where)
            if index not in questions:
                report.leave_out(
                    "samples need the numbers of their problem, which a tree search's file holds", where
                )
                continue
            if not texts:
                report.leave_out("a record needs samples", where)
                continue
            problem = _problem(index, questions[index])
            prompt = round(usage["prompt_tokens"] / math.ceil(len(texts) / _REQUEST))
            tokens = spread(usage["completion_tokens"], [len(text) for text in texts])
            answers = [reader.read(problem, text) for text in texts]
            draws = tuple(
                Draw(
                    policy,
                    drawn(self.temperature),
                    text,
                    answer,
                    right,
                    prompt,
                    spread(count, [len(line) for line in text.splitlines()] or [1]),
                )
                for text, answer, right, count in zip(texts, answers, verdicts, tokens, strict=True)
            )
            yield Record(problem, where, draws)
        report.note("samples: a problem's tokens are spread over its samples by their lengths")


def _with_usage(path: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, int]]]:
    """(where, record, tokens of this record alone)."""
    before = {"completion_tokens": 0, "prompt_tokens": 0}
    for where, record in array_records(path):
        total = field_of(record, "usage_so_far", dict, where)
        now = {name: field_of(total, name, int, where) for name in before}
        if not all(0 <= count < 2**31 for count in now.values()):
            raise RecordError(f"{where}: a sum of tokens is at least 0 and no more than 2**31, got {now}")
        # a sum that falls was begun anew at this record
        anew = any(now[name] < before[name] for name in before)
        yield where, record, {name: now[name] if anew else now[name] - before[name] for name in before}
        before = now


def _judged(record: Mapping[str, Any], where: str) -> tuple[list[str], list[bool]]:
    texts = field_of(record, "ys", list, where)
    if "accs" in record:
        verdicts = field_of(record, "accs", list, where)
    else:
        verdicts = [
            field_of(info, "r", (int, bool), where) for info in field_of(record, "infos", list, where)
        ]
    if len(texts) != len(verdicts) or not all(isinstance(text, str) for text in texts):
        raise RecordError(
            f"{where}: every one of ys is a text with a verdict, "
            f"got {len(texts)} with {len(verdicts)} verdicts"
        )
    return texts, [bool(verdict) for verdict in verdicts]


def _values(depths: Sequence[Any], where: str) -> dict[str, float]:
    """State -> its value as a share of the highest possible."""
    values: dict[str, float] = {}
    for depth in depths:
        states = field_of(depth, "new_ys", list, where)
        given = field_of(depth, "values", list, where)
        if len(states) != len(given):
            raise RecordError(f"{where}: every state has a value, got {len(states)} and {len(given)} values")
        for state, value in zip(states, given, strict=True):
            # a state that is proposed twice is valued once; its twin gets 0
            values[state] = max(values.get(state, 0.0), _share(value, where))
    return values


def _share(value: Any, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0.0 <= value <= _MOST:
        raise RecordError(f"{where}: the value of a state lies in [0, {_MOST:g}], got {value!r}")
    return float(value) / _MOST


def _path(leaf: str, values: Mapping[str, float]) -> tuple[float, ...] | str:
    """The values along the way to a leaf: those of every prefix of lines that was a state."""
    ends = [place + 1 for place, mark in enumerate(leaf) if mark == "\n"]
    prefixes = dict.fromkeys((*(leaf[:end] for end in ends), leaf))
    found = tuple(values[prefix] for prefix in prefixes if prefix in values)
    return found or "a leaf is one of the states that were valued"


def _problem(index: int, numbers: str) -> Problem:
    return Problem(f"game24-{index}", UNNAMED, _DOMAIN, numbers, "24")


def _first(path: Path) -> dict[str, Any]:
    return next(record for _, record in array_records(path))

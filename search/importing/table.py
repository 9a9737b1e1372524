"""``table``: any CSV, Parquet or JSON lines with one row per sample, or per problem x plan.

``columns`` says which column plays which role (a role's own name is taken where it is left out):

=============  ==========================================================================
``question``   the text that the policy saw; needed
``reference``  the reference answer; needed
``problem_id`` names a problem; by default a hash of the question
``family``     what folds keep together; by default a bucket (``search.importing.families``)
``policy``     by default the option ``policy`` for all rows
``plan``       what a row is the outcome of; without it every row is one sample
``answer``     the answer alone, or ``text``: the solution, from which the domain reads it
``correct``    the row's own verdict (true/false, yes/no, 1/0); graded by the domain otherwise
``rewards``    a number, or a list of one per step (JSON where the table holds text)
``tokens``     generated tokens; by the length of ``text`` otherwise
``prompt_tokens``, ``prm_tokens``  by the length of the question, and ``tokens`` plus one a step
=============  ==========================================================================

Rows without a plan, and rows of ``majority(n=1)``, are samples; rows of ``cot()`` are greedy answers.
A row of any other plan is one outcome of a plan that was run as a whole, without its candidates: each
such plan becomes a policy that answers once, ``POLICY PLAN``, whose tokens are all that it spent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from search.cards import ModelCard
from search.errors import PlanError, RecordError
from search.grading.registry import domain
from search.importing.families import bucket
from search.importing.lengths import estimated_tokens, spread
from search.importing.protocol import Draw, Importer, Record, Scored, declared, drawn
from search.importing.reading import rows
from search.importing.report import Report
from search.importing.rewards import shares
from search.plan import Plan
from search.problem import Problem
from search.seeds import seed_of

__all__ = ["ROLES", "Table"]

ROLES = (
    *("question", "reference", "problem_id", "family", "policy", "plan", "answer", "text"),
    *("correct", "rewards", "tokens", "prompt_tokens", "prm_tokens"),
)

_VERDICTS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "yes", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "0", "0.0"), False),
}
#: how a bare answer is written so that its domain reads it
_STATED: Mapping[str, str] = {
    "math": r"\boxed{%s}",
    "game24": "Answer: %s",
    "arithmetic": "#%s",
    "chemistry": "#%s",
}
_SAMPLE, _GREEDY = str(Plan.of("majority", n=1)), str(Plan.of("cot"))


class _Skip(Exception):
    """A row that is left out; the message is the rule."""


@dataclass(frozen=True, slots=True)
class Table(Importer):
    """Options of the format.

    Parameters
    ----------
    columns:
        Role -> column.
    policy, parameters, prm, prm_parameters:
        Names and sizes; ``parameters`` holds for every policy that ``sizes`` does not name.
    sizes:
        Policy -> parameters.
    domain:
        Reads, compares and grades the answers.
    temperature:
        Of the samples.
    logits:
        Whether rewards are logits.
    """

    name: ClassVar[str] = "table"
    caption: ClassVar[str] = "any table with a row per sample: JSON lines, CSV or Parquet"

    columns: Mapping[str, str] = field(default_factory=dict)
    policy: str = "policy"
    parameters: int = 1_000_000_000
    sizes: Mapping[str, int] = field(default_factory=dict)
    prm: str = "prm"
    prm_parameters: int = 8_000_000_000
    domain: str = "text"
    temperature: float = 1.0
    logits: bool = False
    _seen: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _scored: set[str] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        for role in self.columns:
            if role not in ROLES:
                raise RecordError(f"roles of columns are {', '.join(ROLES)}, got {role!r}")
        for name, parameters in self.sizes.items():
            declared(name, parameters)
        declared(self.policy, self.parameters)
        declared(self.prm, self.prm_parameters)
        drawn(self.temperature)
        domain(self.domain)

    def policies(self) -> Sequence[ModelCard]:
        return [
            declared(name, self.sizes.get(name, self.sizes.get(model, self.parameters)))
            for name, model in sorted(self._seen.items())
        ]

    def prms(self) -> Sequence[ModelCard]:
        return [declared(name, self.prm_parameters) for name in sorted(self._scored)]

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        for path in files:
            checked = False
            for where, row in rows(path):
                if not checked:
                    self._check(row, where)
                    checked = True
                try:
                    yield self._record(row, where, report)
                except _Skip as skip:
                    report.leave_out(str(skip), where)

    def _check(self, row: Mapping[str, Any], where: str) -> None:
        """Refuse a table that lacks a column before any row of it is taken."""
        needed = {self._column(role) for role in ("question", "reference")}
        missing = sorted((needed | set(self.columns.values())) - set(row))
        if missing:
            raise RecordError(
                f"{where}: column {missing[0]!r} is missing, got {', '.join(map(repr, sorted(row)))}"
            )
        if not {self._column("answer"), self._column("text")} & set(row):
            raise RecordError(
                f"{where}: a table has a column {self._column('answer')!r} or {self._column('text')!r}, "
                f"got {', '.join(map(repr, sorted(row)))}"
            )

    def _column(self, role: str) -> str:
        return self.columns.get(role, role)

    def _text(self, row: Mapping[str, Any], role: str) -> str:
        """A cell as text; "" where there is none."""
        value = row.get(self._column(role))
        return "" if value is None else str(value).strip()

    def _record(self, row: Mapping[str, Any], where: str, report: Report) -> Record:
        question, reference = self._text(row, "question"), self._text(row, "reference")
        if not question:
            raise _Skip("a problem needs a question")
        if not reference:
            raise _Skip("a problem needs a reference answer")
        name = self._text(row, "problem_id") or f"{seed_of(self.domain, question):016x}"
        family = self._text(row, "family") or bucket(question)
        problem = Problem(name, family, self.domain, question, reference)
        policy, plan = self._text(row, "policy") or self.policy, self._plan(row)
        text, answer = self._answer(problem, row)
        rewards = self._rewards(row)
        counted = self._count(row, "tokens")
        if counted is None and not self._text(row, "text"):
            raise _Skip("a row has a count of tokens, or a text to estimate it from")
        tokens = estimated_tokens(text) if counted is None else counted
        if counted is None:
            report.note("tokens: by the length of the text where the table has no count")
        model, whole = policy, plan not in (_SAMPLE, _GREEDY)
        if whole:
            policy = f"{policy} {plan}"
            report.note("plans that were run as wholes are policies that answer once, named POLICY PLAN")
        self._seen.setdefault(policy, model)
        prompt = self._count(row, "prompt_tokens")
        if prompt is None:
            prompt = estimated_tokens(question)
            report.note("prompts: tokens by the question's length where the table has no count")
        scores = {}
        if rewards and not whole:
            read = self._count(row, "prm_tokens")
            scores[self.prm] = Scored(rewards, prompt, tokens + len(rewards) if read is None else read)
            self._scored.add(self.prm)
        elif rewards:
            report.leave_out("rewards of a plan that was run as a whole are not a sample's", where)
        draw = Draw(
            policy,
            drawn(0.0 if plan == _GREEDY else self.temperature),
            text,
            answer,
            self._verdict(row),
            prompt,
            spread(tokens, [1] * max(len(rewards), 1)),
            greedy=plan == _GREEDY,
            scores=scores,
        )
        return Record(problem, where, (draw,))

    def _plan(self, row: Mapping[str, Any]) -> str:
        said = self._text(row, "plan")
        if not said:
            return _SAMPLE
        try:
            return str(Plan.parse(said))
        except PlanError:
            raise _Skip("a plan is spelled as plans are: cot(), majority(n=16), ...") from None

    def _answer(self, problem: Problem, row: Mapping[str, Any]) -> tuple[str, str | None]:
        """(text, canonical answer): the answer's own column first, else read from the text."""
        text, said = self._text(row, "text"), self._text(row, "answer")
        reader = domain(self.domain)
        if said:
            return text or said, reader.read(problem, _STATED.get(self.domain, "%s").replace("%s", said))
        return text, reader.read(problem, text)

    def _rewards(self, row: Mapping[str, Any]) -> tuple[float, ...]:
        given = row.get(self._column("rewards"))
        if given is None or given == "":
            return ()
        if isinstance(given, str):
            try:
                given = json.loads(given)
            except (json.JSONDecodeError, RecursionError):
                raise _Skip("a reward is a number") from None
        found = shares(given, self.logits)
        if isinstance(found, str):
            raise _Skip(found)
        return found

    def _count(self, row: Mapping[str, Any], role: str) -> int | None:
        """A whole number from 0, None where the cell is empty."""
        given = self._text(row, role)
        if not given:
            return None
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not (value >= 0 and value == math.floor(value) and value < 2**31):
            raise _Skip(f"{role} is a whole number from 0")
        return int(value)

    def _verdict(self, row: Mapping[str, Any]) -> bool | None:
        said = self._text(row, "correct").casefold()
        if not said:
            return None
        if said not in _VERDICTS:
            raise _Skip("correct is yes or no; a mean over runs is not: give one row per run")
        return _VERDICTS[said]

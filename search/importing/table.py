"""``table``: any CSV, Parquet or JSON (lines or one array) with a row per sample, per problem, or per plan.

``columns`` says which column plays which role (a role's own name is taken where it is left out; ``a.b`` is
the entry ``b`` of a column ``a`` that holds objects):

=============  ==========================================================================
``question``   the text that the policy saw; needed
``reference``  the reference answer, or ``solution``: a worked one, from which the domain reads it. Needed,
               but where the table has no such column and has verdicts
``problem_id`` names a problem; by default a hash of the question
``family``     what folds keep together; by default near-duplicates share one
               (``search.problem_sets.families``)
``policy``     or ``model``; by default the option ``policy`` for all rows; with ``effort`` beside it
               ``POLICY-EFFORT``
``plan``       what a row is the outcome of; without it every row is one sample
``answer``     the answer alone, or ``text``: the solution, from which the domain reads it
``correct``    the row's own verdict, or ``score``: from 0 to 1, kept as partial credit, or right from
               ``threshold`` on. Graded by the domain where neither is there
``options``    of a multiple-choice question, in the order that this row showed: letters become their texts
``entry_point`` the function that a program defines (domain ``python``)
``rewards``    a number, or a list of one per step (JSON where the table holds text)
``tokens``     generated tokens; by the length of ``text`` otherwise
``prompt_tokens``, ``prm_tokens``  by the length of the question, and ``tokens`` plus one a step
``cost``       in dollars, or ``seconds``: what the sample cost, in place of tokens
=============  ==========================================================================

A column name with a ``*`` stands for one column per policy, which ``*`` names: ``answer=*_answer``. A cell
of ``answer``, ``text``, ``correct``, ``score``, ``rewards`` or a count may hold a list: one entry a sample.

Rows without a plan, and rows of ``majority(n=1)``, are samples; rows of ``cot()`` are greedy answers.
A row of any other plan is one outcome of a plan that was run as a whole, without its candidates: each
such plan becomes a policy that answers once, ``POLICY PLAN``, whose tokens are all that it spent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from search.cards import ModelCard
from search.errors import PlanError, RecordError
from search.grading.registry import domain
from search.importing.answers import read_answer, reference_in
from search.importing.cells import Skip, amount, count, credit, listed, rewards, same_length, several
from search.importing.columns import Columns, option_text
from search.importing.lengths import estimated_tokens, spread
from search.importing.pricing import Charge, Price, priced
from search.importing.protocol import UNNAMED, Draw, Importer, Record, Scored, declared, drawn
from search.importing.reading import rows
from search.importing.report import Report
from search.importing.spelling import unknown_plan
from search.log.credits import HALF
from search.plain_json import text_of
from search.plan import Plan
from search.problem import Problem
from search.seeds import seed_of

__all__ = ["ROLES", "Table"]

ROLES = (
    *("question", "reference", "solution", "problem_id", "family", "policy", "effort", "plan"),
    *("answer", "text", "correct", "score", "options", "entry_point", "rewards"),
    *("tokens", "prompt_tokens", "prm_tokens", "cost", "seconds"),
)
#: roles whose cells may hold one entry per sample
_PER_SAMPLE = ("answer", "text", "correct", "score", "tokens", "prm_tokens", "cost", "seconds")

_SAMPLE, _GREEDY = str(Plan.of("majority", n=1)), str(Plan.of("cot"))


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
    models:
        The policies of a wide table, where a ``*`` alone would take every column.
    prices:
        Policy -> dollars per million prompt and generated tokens.
    tokens:
        Generated tokens of a sample where a row has no count, no text and no cost; 0 leaves it out.
    threshold:
        Score from which a sample is right; None keeps scores as partial credit.
    domain:
        Reads, compares and grades the answers.
    temperature:
        Of the samples.
    logits:
        Whether rewards are logits.
    """

    name: ClassVar[str] = "table"
    version: ClassVar[int] = 2
    caption: ClassVar[str] = "any table with a row per sample: JSON lines, CSV or Parquet"

    columns: Mapping[str, str] = field(default_factory=dict)
    policy: str = "policy"
    parameters: int = 1_000_000_000
    sizes: Mapping[str, int] = field(default_factory=dict)
    models: Sequence[str] = ()
    prices: Mapping[str, Price] = field(default_factory=dict)
    tokens: int = 0
    threshold: float | None = None
    prm: str = "prm"
    prm_parameters: int = 8_000_000_000
    domain: str = "text"
    temperature: float = 1.0
    logits: bool = False
    _seen: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _rates: dict[str, float | None] = field(default_factory=dict, init=False, repr=False)
    _scored: set[str] = field(default_factory=set, init=False, repr=False)
    _asked: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _offered: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for role in self.columns:
            if role not in ROLES:
                raise RecordError(f"roles of columns are {', '.join(ROLES)}, got {role!r}")
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            raise RecordError(f"a threshold lies above 0 and up to 1, got {self.threshold:g}")
        for name, parameters in self.sizes.items():
            declared(name, parameters)
        declared(self.policy, self.parameters)
        declared(self.prm, self.prm_parameters)
        drawn(self.temperature)
        domain(self.domain)

    def policies(self) -> Sequence[ModelCard]:
        return [
            declared(name, self.sizes.get(name, self.sizes.get(model, self.parameters)), self._rates[name])
            for name, model in sorted(self._seen.items())
        ]

    def prms(self) -> Sequence[ModelCard]:
        return [declared(name, self.prm_parameters) for name in sorted(self._scored)]

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        columns = Columns(self.columns, tuple(self.models))
        for path in files:
            checked = False
            for where, row in rows(path):
                if not checked:
                    columns.check(row, where)
                    checked = True
                    if columns.policy == "model":
                        report.note("policies are named by the column 'model'")
                    if unread := columns.unread(row, ROLES):
                        report.note(f"columns without a role: {', '.join(unread)} (--column ROLE=NAME)")
                try:
                    problem = self._problem(columns.shared(row), columns, row)
                    draws = [
                        draw
                        for policy, cells in columns.entries(row)
                        for draw in self._draws(problem, policy, cells, where, report)
                    ]
                except Skip as skip:
                    report.leave_out(str(skip), where)
                    continue
                if draws:
                    yield Record(problem, where, tuple(draws))

    def _problem(self, cells: Mapping[str, Any], columns: Columns, row: Mapping[str, Any]) -> Problem:
        question = text_of(cells.get("question"))
        if not question:
            raise Skip("a problem needs a question")
        name = text_of(cells.get("problem_id")) or f"{seed_of(self.domain, question):016x}"
        options = several(cells.get("options"))
        if options is not None:
            # the options are shuffled from row to row, and a question may show them: the first one stands
            question = self._asked.setdefault(name, question)
        meta: dict[str, Any] = {}
        if options is not None and self.domain == "choice":
            meta = {"options": self._offered.setdefault(name, [text_of(one) for one in options])}
        entry = text_of(cells.get("entry_point"))
        if entry:
            from search.grading.programs.python import examples

            meta |= {"entry_point": entry, "prompt": question, "public": list(examples(question))}
        family = text_of(cells.get("family")) or UNNAMED
        bare = Problem(name, family, self.domain, question, None, meta)
        reference = option_text(text_of(cells.get("reference")), options)
        if reference.casefold() == "nan":
            reference = ""
        if not reference and (worked := text_of(cells.get("solution"))):
            reference = reference_in(bare, worked)
        if not reference and columns.judged_only(row):
            return bare
        if not reference:
            raise Skip("a problem needs a reference answer")
        return Problem(name, family, self.domain, question, reference, meta)

    def _draws(
        self, problem: Problem, policy: str, cells: Mapping[str, Any], where: str, report: Report
    ) -> Iterator[Draw]:
        """The samples of one policy in one row."""
        lists = {}
        for role in _PER_SAMPLE:
            cell = cells.get(role)
            if role in ("answer", "text"):
                # a text in brackets is a list of samples only where its entries are texts
                read = listed(cell, "[" if role == "text" else problem.answer or "")
            else:
                read = several(cell)
            if read is not None:
                lists[role] = read
        if not lists:
            try:
                yield self._draw(problem, policy, cells, where, report)
            except Skip as skip:
                report.leave_out(str(skip), where)
            return
        size = same_length(lists, where)
        judged = several(cells.get("rewards"))
        if judged is not None and len(judged) == size:
            lists["rewards"] = judged
        report.note("cells with lists hold one entry per sample")
        for place in range(size):
            one = {**cells, **{role: values[place] for role, values in lists.items()}}
            try:
                yield self._draw(problem, policy, one, f"{where}, sample {place}", report)
            except Skip as skip:
                report.leave_out(str(skip), f"{where}, sample {place}")

    def _draw(
        self, problem: Problem, policy: str, cells: Mapping[str, Any], where: str, report: Report
    ) -> Draw:
        model = policy = policy or text_of(cells.get("policy")) or self.policy
        if effort := text_of(cells.get("effort")):
            policy = f"{policy}-{effort}"
        plan = _plan(cells)
        text, answer = self._answer(problem, cells)
        scored = rewards(cells.get("rewards"), self.logits)
        verdict = self._verdict(cells)
        charge = self._charge(problem, policy, model, cells, text, report)
        whole = plan not in (_SAMPLE, _GREEDY)
        if whole:
            policy = f"{policy} {plan}"
            report.note("plans that were run as wholes are policies that answer once, named POLICY PLAN")
        self._seen.setdefault(policy, model)
        if self._rates.setdefault(policy, charge.flops_per_token) != charge.flops_per_token:
            raise Skip("the samples of a policy are charged in one way: tokens, dollars or seconds")
        scores = {}
        if scored and not whole:
            read = count(cells.get("prm_tokens"), "prm_tokens")
            tokens = charge.tokens + len(scored) if read is None else read
            scores[self.prm] = Scored(scored, charge.prompt_tokens, tokens)
            self._scored.add(self.prm)
        elif scored:
            report.leave_out("rewards of a plan that was run as a whole are not a sample's", where)
        return Draw(
            policy,
            drawn(0.0 if plan == _GREEDY else self.temperature),
            text,
            answer,
            None if verdict is None else verdict >= HALF,
            charge.prompt_tokens,
            spread(charge.tokens, [1] * max(len(scored), 1)),
            greedy=plan == _GREEDY,
            scores=scores,
            credit=verdict if verdict is not None and 0.0 < verdict < 1.0 else None,
        )

    def _answer(self, problem: Problem, cells: Mapping[str, Any]) -> tuple[str, str | None]:
        """(text, canonical answer): the answer's own column first, else read from the text."""
        text, options = text_of(cells.get("text")), several(cells.get("options"))
        said = option_text(text_of(cells.get("answer")), options)
        if options is not None and "options" in problem.meta:  # letters mean what this row showed
            problem = replace(problem, meta={**problem.meta, "options": [text_of(one) for one in options]})
        if said:
            return text or said, read_answer(problem, said)
        return text, domain(self.domain).read(problem, text)

    def _verdict(self, cells: Mapping[str, Any]) -> float | None:
        said = credit(cells.get("correct"))
        if said is None:
            said = credit(cells.get("score"))
        if said is not None and self.threshold is not None:
            return 1.0 if said >= self.threshold else 0.0
        return said

    def _charge(
        self, problem: Problem, policy: str, model: str, cells: Mapping[str, Any], text: str, report: Report
    ) -> Charge:
        counted = count(cells.get("tokens"), "tokens")
        prompt = count(cells.get("prompt_tokens"), "prompt_tokens")
        price = self.prices.get(policy, self.prices.get(model))
        cost, seconds = (amount(cells.get(role), role) for role in ("cost", "seconds"))
        if cost is None and counted is None and not text_of(cells.get("text")):
            if seconds is None and not self.tokens:
                raise Skip("a row has a count of tokens, or a text to estimate it from")
            if seconds is None:
                counted = self.tokens
                report.note(f"tokens: {self.tokens} are assumed where a row has neither a count nor a text")
        elif cost is None and counted is None:
            counted = estimated_tokens(text)
            report.note("tokens: by the length of the text where the table has no count")
        if prompt is None:
            prompt = estimated_tokens(problem.question)
            if cost is None:
                report.note("prompts: tokens by the question's length where the table has no count")
        return priced(prompt, counted, price, cost, seconds, report)


def _plan(cells: Mapping[str, Any]) -> str:
    said = text_of(cells.get("plan"))
    if not said:
        return _SAMPLE
    try:
        return str(Plan.parse(said))
    except PlanError:
        raise Skip(unknown_plan(said)) from None

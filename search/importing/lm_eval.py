"""``lm-eval``: the ``samples_TASK_DATE.jsonl`` that EleutherAI's lm-evaluation-harness writes (0.4).

One document a line: ``doc_id``, ``doc``, ``target`` (a text), ``arguments`` (``gen_args_0.arg_0`` is the
prompt), ``resps`` and ``filtered_resps`` (texts, also where they are numbers), ``filter``, ``metrics``
(names) and one entry per metric. The folder that a file lies in names the model, as the harness writes it.

Generated answers: ``resps[0]`` holds one text per repeat. Where there is one, the metric judges it; where
there are several, the metric judged what its filter made of them, so the domain grades each. Multiple choice:
one request per option, the likeliest is the answer. A document comes once per filter: one filter is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from search.cards import ModelCard
from search.errors import RecordError
from search.grading.registry import domain
from search.importing.answers import read_answer, reference_in, size_in
from search.importing.cells import Skip, credit
from search.importing.lengths import estimated_tokens
from search.importing.protocol import UNNAMED, Draw, Importer, Record, declared, drawn
from search.importing.reading import field_of, line_records
from search.importing.report import Report
from search.log.credits import HALF
from search.plain_json import text_of
from search.problem import Problem
from search.seeds import seed_of

__all__ = ["LmEval"]

#: where a document keeps its question, the first that it has
_QUESTIONS = ("question", "problem", "query", "prompt", "input", "text", "ctx", "sentence", "goal")
#: metrics that say whether one answer is right, the first that a record has
_METRICS = ("exact_match", "acc", "acc_norm", "pass@1", "pass_at_1", "math_verify", "em", "f1")


@dataclass(frozen=True, slots=True)
class LmEval(Importer):
    """Options of the format.

    Parameters
    ----------
    policy, parameters:
        Name and size of the model, where its folder and its name do not tell them.
    domain:
        Reads and compares generated answers. ``text`` compares options and short answers.
    metric, filter:
        What judges, and what it judged; by default the first that is known and the first in a file.
    threshold:
        Metric from which an answer is right; None keeps fractions as partial credit.
    temperature:
        How answers were drawn; 0 is what the harness does unless told otherwise.
    """

    name: ClassVar[str] = "lm-eval"
    caption: ClassVar[str] = "sample files of lm-evaluation-harness (samples_*.jsonl)"

    policy: str = ""
    parameters: int = 0
    domain: str = "text"
    metric: str = ""
    filter: str = ""
    threshold: float | None = None
    temperature: float = 0.0
    _seen: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            raise RecordError(f"a threshold lies above 0 and up to 1, got {self.threshold:g}")
        domain(self.domain)
        drawn(self.temperature)

    def policies(self) -> Sequence[ModelCard]:
        return [declared(name, size) for name, size in sorted(self._seen.items())]

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        report.note("all lengths are estimated from the texts: the harness counts no tokens")
        for path in files:
            policy = self.policy or path.absolute().parent.name.split("__")[-1] or "policy"
            size = self.parameters or size_in(policy)
            if size is None:
                size = 1_000_000_000
                report.note(f"{policy}: 1B parameters are assumed (--parameters says otherwise)")
            self._seen.setdefault(policy, size)
            task = path.name.removesuffix(".gz").removesuffix(".jsonl").removeprefix("samples_")
            task = task.rpartition("_")[0] or task
            taken = self.filter
            for where, record in line_records(path):
                name = field_of(record, "filter", str, where) if "filter" in record else "none"
                taken = taken or name
                if name != taken:
                    report.note(f"documents come once per filter: {taken} is taken, {name} is not (--filter)")
                    continue
                try:
                    yield self._record(record, task, policy, where, report)
                except Skip as skip:
                    report.leave_out(str(skip), where)

    def _record(
        self, record: Mapping[str, Any], task: str, policy: str, where: str, report: Report
    ) -> Record:
        doc = field_of(record, "doc", dict, where)
        prompts = _prompts(record, where)
        question = next((text_of(doc[name]) for name in _QUESTIONS if isinstance(doc.get(name), str)), "")
        if not question:
            question = prompts[0][0].strip()
            report.note("the document has no column for a question: the prompt stands for it")
        if not question:
            raise Skip("a problem needs a question")
        options = _options(prompts, record, where)
        target = text_of(record.get("target"))
        identity = record.get("doc_hash") or f"{seed_of(task, question):016x}"
        meta: dict[str, Any] = {"task": task}
        if options:
            meta["options"] = options
        kind = "text" if options else self.domain
        bare = Problem(f"{task}/{identity}", UNNAMED, kind, question, None, meta)
        if options and target.isdigit() and int(target) < len(options):
            reference = options[int(target)]
        else:
            reference = target if kind == "text" and "####" not in target else reference_in(bare, target)
            reference = reference or target
        if not reference.strip():
            raise Skip("a problem needs a reference answer")
        problem = Problem(f"{task}/{identity}", UNNAMED, kind, question, reference.strip(), meta)
        verdict = self._verdict(record)
        texts = [options[_likeliest(record, where)]] if options else _texts(record, where)
        if len(texts) > 1:
            verdict = None
            report.note(
                "several repeats: the metric judged what its filter made of them, the domain grades each"
            )
        return Record(
            problem,
            where,
            tuple(self._draw(problem, policy, text, record, verdict, prompts, options) for text in texts),
        )

    def _draw(
        self,
        problem: Problem,
        policy: str,
        text: str,
        record: Mapping[str, Any],
        verdict: float | None,
        prompts: Sequence[tuple[str, str]],
        options: Sequence[str],
    ) -> Draw:
        filtered = record.get("filtered_resps")
        said = filtered[0] if isinstance(filtered, list) and len(filtered) == 1 else None
        if options:
            answer = read_answer(problem, text)
        elif isinstance(said, str) and said.strip() and said != "[invalid]" and verdict is not None:
            answer = read_answer(problem, said.strip())
        else:
            answer = domain(problem.domain).read(problem, text)
        if verdict is not None and self.threshold is not None:
            verdict = 1.0 if verdict >= self.threshold else 0.0
        # an option is scored, not written: what is read is the prompt and every option
        tokens = sum(estimated_tokens(option) for _, option in prompts) if options else estimated_tokens(text)
        return Draw(
            policy,
            drawn(self.temperature),
            text,
            answer,
            None if verdict is None else verdict >= HALF,
            estimated_tokens(prompts[0][0]),
            (tokens,),
            credit=verdict if verdict is not None and 0.0 < verdict < 1.0 else None,
        )

    def _verdict(self, record: Mapping[str, Any]) -> float | None:
        known = [self.metric] if self.metric else [name for name in _METRICS if name in record]
        if not known or known[0] not in record:
            if self.metric:
                raise Skip(f"a record has the metric that judges it, got none named {self.metric!r}")
            return None
        return credit(record[known[0]])


def _prompts(record: Mapping[str, Any], where: str) -> list[tuple[str, str]]:
    """(prompt, option) of each request; "" where it generates."""
    given = field_of(record, "arguments", (dict, list), where)
    requests = list(given.values()) if isinstance(given, dict) else given
    out = []
    for request in requests:
        parts = list(request.values()) if isinstance(request, dict) else request
        if not isinstance(parts, list) or not parts or not isinstance(parts[0], str):
            raise RecordError(f"{where}: a request has a prompt, got {request!r:.60}")
        second = parts[1] if len(parts) > 1 and isinstance(parts[1], str) else ""
        out.append((parts[0], second))
    if not out:
        raise RecordError(f"{where}: a record has requests, got none")
    return out


def _options(prompts: Sequence[tuple[str, str]], record: Mapping[str, Any], where: str) -> list[str]:
    """The options of a multiple-choice document; none where answers are generated."""
    if len(prompts) < 2:
        return []
    options = [option.strip() for _, option in prompts]
    # some tasks compare prompts that end in the option instead
    if len(set(options)) < len(options):
        options = [prompt.strip() for prompt, _ in prompts]
    if len(set(options)) < len(options) or not all(options):
        raise Skip("the options of a question differ")
    return options


def _likeliest(record: Mapping[str, Any], where: str) -> int:
    """The place of the option with the highest likelihood."""
    values = []
    for entry in field_of(record, "resps", list, where):
        while isinstance(entry, list) and entry:
            entry = entry[0]
        try:
            values.append(float(entry))
        except (TypeError, ValueError):
            raise RecordError(f"{where}: an option has a likelihood, got {entry!r:.60}") from None
    if not values:
        raise RecordError(f"{where}: an option has a likelihood, got none")
    return max(range(len(values)), key=lambda place: (values[place], -place))


def _texts(record: Mapping[str, Any], where: str) -> list[str]:
    given = field_of(record, "resps", list, where)
    texts = given[0] if given and isinstance(given[0], list) else given
    if not texts or not all(isinstance(text, str) for text in texts):
        raise RecordError(f"{where}: resps hold one list of texts, got {given!r:.60}")
    return list(texts)

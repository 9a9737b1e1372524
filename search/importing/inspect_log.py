"""``inspect``: logs of Inspect (UK AISI), ``.eval`` files or ``.json``, version 2 of their format.

A ``.eval`` file is a zip: ``header.json`` (or ``_journal/start.json`` while it runs) and one
``samples/ID_epoch_N.json`` per sample and epoch; a ``.json`` log holds the same in one object. Of a sample
are read: ``id``, ``input``, ``choices``, ``target``, ``output`` (text, why it stopped, usage) and
``scores``. Epochs are independent samples. Values C, P, I and N are 1, 0.5, 0 and 0; fractions are kept as
partial credit. Samples that ended in an error are left out and told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from search.cards import ModelCard
from search.engines.protocol import FinishReason
from search.errors import RecordError
from search.grading.registry import domain
from search.importing.answers import read_answer, size_in
from search.importing.cells import Skip, credit
from search.importing.columns import option_text
from search.importing.lengths import estimated_tokens
from search.importing.protocol import UNNAMED, Draw, Importer, Record, declared, drawn
from search.importing.reading import field_of, whole_object
from search.importing.report import Report
from search.importing.zipped import Zipped
from search.log.credits import HALF
from search.plain_json import Twice, json_value, text_of
from search.problem import Problem

__all__ = ["InspectLog"]

_VALUES: Mapping[str, float] = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_ATTACHED = "attachment://"
#: why a model stopped, where that is before its end
_REASONS: Mapping[str, str] = {
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "content_filter": FinishReason.FILTERED,
}


@dataclass(frozen=True, slots=True)
class InspectLog(Importer):
    """Options of the format.

    Parameters
    ----------
    parameters:
        Size of models whose names do not tell it.
    sizes:
        Model -> parameters.
    domain:
        Reads and compares the answers.
    scorer:
        Which scorer's value is the verdict; by default the first of a sample.
    threshold:
        Value from which a sample is right; None keeps fractions as partial credit.
    temperature:
        How samples were drawn, where a log does not tell.
    """

    name: ClassVar[str] = "inspect"
    caption: ClassVar[str] = "evaluation logs of Inspect (.eval, .json)"

    parameters: int = 100_000_000_000
    sizes: Mapping[str, int] = field(default_factory=dict)
    domain: str = "text"
    scorer: str = ""
    threshold: float | None = None
    temperature: float = 1.0
    _seen: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            raise RecordError(f"a threshold lies above 0 and up to 1, got {self.threshold:g}")
        declared("policy", self.parameters)
        domain(self.domain)
        drawn(self.temperature)

    def policies(self) -> Sequence[ModelCard]:
        return [declared(name, size) for name, size in sorted(self._seen.items())]

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        for path in files:
            header, samples = _read(path)
            spec = field_of(header, "eval", dict, path.name)
            policy = self._policy(field_of(spec, "model", str, path.name), report)
            config = spec.get("model_generate_config")
            given = config.get("temperature") if isinstance(config, dict) else None
            sampling = drawn(float(given) if isinstance(given, int | float) else self.temperature)
            task = text_of(spec.get("task")) or path.stem
            for where, sample in samples:
                try:
                    yield self._record(sample, task, policy, sampling, where, report)
                except Skip as skip:
                    report.leave_out(str(skip), where)

    def _policy(self, model: str, report: Report) -> str:
        name = model.rpartition("/")[2] or model
        size = self.sizes.get(name) or self.sizes.get(model) or size_in(name)
        if size is None:
            size = self.parameters
            report.note(f"{name}: {size / 1e9:g}B parameters are assumed (--size says otherwise)")
        self._seen.setdefault(name, size)
        return name

    def _record(
        self, sample: Mapping[str, Any], task: str, policy: str, sampling: str, where: str, report: Report
    ) -> Record:
        if sample.get("error"):
            raise Skip("a sample that ended in an error says nothing of its model")
        attached = sample.get("attachments")
        attached = attached if isinstance(attached, dict) else {}
        question = _content(sample.get("input"), attached)
        if not question.strip():
            raise Skip("a problem needs a question")
        choices = sample.get("choices")
        options = [text_of(one) for one in choices] if isinstance(choices, list) and choices else None
        target = sample.get("target")
        if isinstance(target, list):
            if len(target) > 1:
                report.note("of several targets the first is the reference; verdicts are the scorer's")
            target = target[0] if target else ""
        reference = option_text(_resolved(text_of(target), attached), options)
        identity = text_of(sample.get("id"))
        meta: dict[str, Any] = {"task": task} | ({"options": options} if options else {})
        problem = Problem(
            f"{task}/{identity}", UNNAMED, self.domain, question, reference.strip() or None, meta
        )
        output = field_of(sample, "output", dict, where)
        text = _completion(output, attached)
        said, verdict = self._judged(sample.get("scores"), where)
        said = option_text(_resolved(said, attached), options)
        answer = read_answer(problem, said) if said.strip() else domain(self.domain).read(problem, text)
        if verdict is None and problem.answer is None:
            raise Skip("a sample has a score, or its problem a reference answer")
        prompt, tokens = _usage(output, question, text, report)
        draw = Draw(
            policy,
            sampling,
            text,
            answer,
            None if verdict is None else verdict >= HALF,
            prompt,
            (tokens,),
            finish_reason=_REASONS.get(_stopped(output), FinishReason.END),
            credit=verdict if verdict is not None and 0.0 < verdict < 1.0 else None,
        )
        return Record(problem, where, (draw,))

    def _judged(self, scores: Any, where: str) -> tuple[str, float | None]:
        """(answer that the scorer read, verdict) of a sample."""
        if not isinstance(scores, dict) or not scores:
            return "", None
        name = self.scorer or next(iter(scores))
        if name not in scores:
            raise Skip(f"a sample has the scorer that judges it, got {', '.join(map(repr, scores))}")
        entry = scores[name]
        if not isinstance(entry, dict) or "value" not in entry:
            raise RecordError(f"{where}: a score is an object with a value, got {entry!r:.60}")
        value = entry["value"]
        if isinstance(value, list | dict):
            raise Skip(f"a score is one value, got {type(value).__name__} of {name}")
        said = _VALUES.get(value) if isinstance(value, str) else None
        verdict = credit(value) if said is None else said
        if verdict is not None and self.threshold is not None:
            verdict = 1.0 if verdict >= self.threshold else 0.0
        return text_of(entry.get("answer")), verdict


def _read(path: Path) -> tuple[Mapping[str, Any], Iterator[tuple[str, Mapping[str, Any]]]]:
    """The header of a log, and its samples one by one."""
    try:
        with path.open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
    except OSError as error:
        raise RecordError(f"records must be a readable file, got {str(path)!r}: {error.strerror}") from error
    if not zipped:
        whole = whole_object(path)
        found = whole.get("samples")
        if not isinstance(found, list) or not found:
            raise RecordError(f"{path.name}: a log of inspect has samples, got none")
        return whole, ((f"{path.name} sample {place}", _sample(one, path)) for place, one in enumerate(found))
    with Zipped(path) as log:
        names = set(log.names())
        header = next((name for name in ("header.json", "_journal/start.json") if name in names), None)
        if header is None or not any(name.startswith("samples/") for name in names):
            raise RecordError(f"a log of inspect has a header and samples, got neither in {str(path)!r}")
        told = _parsed(log.text(header), f"{path.name}: {header}")
    return told, _zipped_samples(path)


def _zipped_samples(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with Zipped(path) as log:
        for name in log.names("samples/"):
            if name.endswith(".json"):
                where = f"{path.name}: {name}"
                yield where, _parsed(log.text(name), where)


def _parsed(text: str, where: str) -> Mapping[str, Any]:
    try:
        value = json_value(text)
    except Twice as error:
        raise RecordError(f"{where}: {error}") from None
    except (json.JSONDecodeError, RecursionError):
        raise RecordError(f"{where}: a record is JSON, got {text[:60]!r}") from None
    if not isinstance(value, dict):
        raise RecordError(f"{where}: a record is a JSON object, got {text[:60]!r}")
    return value


def _sample(value: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RecordError(f"{path.name}: a sample is an object, got {value!r:.60}")
    return value


def _content(value: Any, attached: Mapping[str, Any]) -> str:
    """The text of an input or of a message's content: what the user wrote, or the parts that are text."""
    if isinstance(value, str):
        return _resolved(value, attached)
    if not isinstance(value, list):
        return ""
    parts = []
    for one in value:
        if not isinstance(one, dict):
            continue
        if "role" in one:
            if one["role"] == "user":
                parts.append(_content(one.get("content"), attached))
        elif one.get("type") == "text":
            parts.append(_resolved(text_of(one.get("text")), attached))
    return "\n\n".join(part for part in parts if part)


def _completion(output: Mapping[str, Any], attached: Mapping[str, Any]) -> str:
    choices = output.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        message = choices[0].get("message")
        if isinstance(message, dict):
            return _content(message.get("content"), attached)
    return _resolved(text_of(output.get("completion")), attached)


def _stopped(output: Mapping[str, Any]) -> str:
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    return text_of(first.get("stop_reason"))


def _usage(output: Mapping[str, Any], question: str, text: str, report: Report) -> tuple[int, int]:
    """(prompt, generated) tokens: as the log counts them, else by the lengths of the texts."""
    usage = output.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    names = ("input_tokens", "input_tokens_cache_read", "input_tokens_cache_write")
    prompt = sum(count for name in names if type(count := usage.get(name)) is int)
    tokens = usage.get("output_tokens")
    if type(tokens) is int and tokens > 0:
        return prompt or estimated_tokens(question), tokens
    report.note("lengths are estimated from the texts where a log counts no tokens")
    return estimated_tokens(question), estimated_tokens(text)


def _resolved(text: str, attached: Mapping[str, Any]) -> str:
    """The text that a reference to an attachment stands for."""
    if text.startswith(_ATTACHED):
        return text_of(attached.get(text.removeprefix(_ATTACHED), text))
    return text

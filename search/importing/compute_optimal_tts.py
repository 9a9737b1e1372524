"""``compute-optimal-tts``: the logs of Liu et al. (arXiv 2502.06703) as their code writes them.

A folder, or a ``.tar.gz`` of one: per setting a ``config.json`` (models, method, tree) and
``question_*/record_*.jsonl`` with ``question``, ``groundtruth`` (a worked solution), ``result`` and
``output``: solutions with a reward per step (``value``), tokens and the answer read from them. Steps end with
the tag of the PRM, which is taken out.

Records of ``best_of_n`` are independent samples and become a pool. Records of ``beam_search`` and ``dvts``
are runs: ``tree_max_width`` children of each of ``beam_size`` beams, pruned and picked by the last reward.
"""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from search.cards import ModelCard
from search.errors import RecordError
from search.grading.mathematics.math import normal
from search.grading.registry import domain
from search.importing.answers import size_in
from search.importing.lengths import estimated_tokens, spread
from search.importing.protocol import UNNAMED, Draw, Importer, Record, Run, Scored, declared, drawn
from search.importing.reading import field_of
from search.importing.report import Report
from search.importing.rewards import shares
from search.plain_json import Twice, json_value
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate
from search.scores import score
from search.seeds import seed_of
from search.voting.votes import group, pick

__all__ = ["ComputeOptimalTts"]

_DOMAIN = "math"
_TREES = ("beam_search", "dvts")
#: bytes of one record; beyond it a file is no record
_LONGEST = 64_000_000


@dataclass(frozen=True, slots=True)
class _Setting:
    """What a ``config.json`` says: who ran, and how."""

    policy: str
    prm: str
    sampling: str
    plan: Plan | None  # of a tree search
    tag: str


@dataclass(frozen=True, slots=True)
class _Solution:
    text: str
    answer: str | None
    rewards: tuple[float, ...]
    tokens: tuple[int, ...]  # per step
    spent: int  # tokens that its whole search generated


@dataclass(frozen=True, slots=True)
class ComputeOptimalTts(Importer):
    """Options of the format.

    Parameters
    ----------
    parameters, prm_parameters:
        Sizes of the models whose names do not tell them.
    """

    name: ClassVar[str] = "compute-optimal-tts"
    caption: ClassVar[str] = "logs of compute-optimal-tts: samples, step rewards and beam searches"

    parameters: int = 1_000_000_000
    prm_parameters: int = 7_000_000_000
    _policies: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _prms: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        declared("policy", self.parameters)
        declared("prm", self.prm_parameters)

    def policies(self) -> list[ModelCard]:
        return [declared(name, size) for name, size in sorted(self._policies.items())]

    def prms(self) -> list[ModelCard]:
        return [declared(name, size) for name, size in sorted(self._prms.items())]

    def records(self, files: Any, report: Report) -> Iterator[Record]:
        differ = 0
        for path in files:
            settings: dict[PurePosixPath, _Setting] = {}
            for name, raw in _members(path, "config.json"):
                where = f"{path.name}: {name}"
                settings[name.parent] = self._setting(_object(raw, where), where)
            if not settings:
                raise RecordError(
                    f"a log of compute-optimal-tts has a config.json per setting, got none in {str(path)!r}"
                )
            for name, raw in _members(path, ".jsonl"):
                setting = next((settings[up] for up in name.parents if up in settings), None)
                if setting is None:
                    report.leave_out("a record lies under the config.json of its setting", str(name))
                    continue
                for number, line in enumerate(raw.splitlines(), 1):
                    where = f"{name} line {number}"
                    record = _object(line, where) if line.strip() else None
                    made = None if record is None else self._record(record, setting, where, report)
                    if made is not None:
                        differ += made[1]
                        yield made[0]
        report.note("prompts: tokens by the question's length, without the template")
        if differ:
            report.note(f"the file's verdicts are kept; the domain {_DOMAIN} would grade {differ} otherwise")

    def _setting(self, config: Mapping[str, Any], where: str) -> _Setting:
        models = field_of(config, "LM", (list, str), where)
        policy = _base(models[0] if isinstance(models, list) and models else str(models))
        prm = _base(field_of(config, "RM", str, where))
        self._policies.setdefault(policy, size_in(policy) or self.parameters)
        self._prms.setdefault(prm, size_in(prm) or self.prm_parameters)
        generation = field_of(config, "gen_config", dict, where)
        sampling = drawn(float(generation.get("temperature", 1.0)), float(generation.get("top_p", 1.0)))
        method = field_of(config, "method", str, where)
        plan = None
        if method in _TREES:
            tree = field_of(config, "method_config", dict, where)
            width = field_of(tree, "tree_max_width", int, where)
            plan = Plan.of(method, n=width * max(1, int(tree.get("beam_size") or 1)), width=width)
        elif method not in ("best_of_n", "cot"):
            raise RecordError(
                f"{where}: method is best_of_n, cot or one of {', '.join(_TREES)}, got {method!r}"
            )
        return _Setting(policy, prm, sampling, plan, str(config.get("prm_step_tag") or ""))

    def _record(
        self, record: Mapping[str, Any], setting: _Setting, where: str, report: Report
    ) -> tuple[Record, int] | None:
        question = field_of(record, "question", str, where)
        if not question.strip():
            report.leave_out("a problem needs a question", where)
            return None
        name = f"{seed_of(_DOMAIN, question):016x}"
        bare = Problem(name, UNNAMED, _DOMAIN, question)
        reference = domain(_DOMAIN).read(bare, field_of(record, "groundtruth", str, where))
        if reference is None:
            report.leave_out("a problem needs a reference answer", where)
            return None
        problem = Problem(name, UNNAMED, _DOMAIN, question, reference)
        solutions = []
        for place, output in enumerate(field_of(record, "output", list, where)):
            inside = f"{where}, output {place}"
            found = _solution(problem, output, setting.tag, inside)
            if isinstance(found, str):
                report.leave_out(found, inside)
                return None
            solutions.append(found)
        if not solutions:
            report.leave_out("a record needs solutions", where)
            return None
        # one number judges the vote of a record: it is a solution's own where there is one
        result = record.get("result")
        said = result.get("majority_vote") if isinstance(result, dict) and len(solutions) == 1 else None
        verdict = bool(said) if isinstance(said, int | float) else None
        grader = domain(_DOMAIN)
        differ = verdict is not None and grader.grade(problem, solutions[0].answer) != verdict
        prompt = estimated_tokens(question)
        if setting.plan is None:
            draws = tuple(_draw(one, setting, verdict, prompt) for one in solutions)
            return Record(problem, where, draws), int(differ)
        run = _run(problem, solutions, setting, verdict, prompt)
        return Record(problem, where, runs=(run,)), int(differ)


def _draw(one: _Solution, setting: _Setting, verdict: bool | None, prompt: int) -> Draw:
    scored = Scored(one.rewards, prompt, sum(one.tokens) + len(one.rewards))
    return Draw(
        setting.policy,
        setting.sampling,
        one.text,
        one.answer,
        verdict,
        prompt,
        one.tokens,
        scores={setting.prm: scored},
    )


def _run(
    problem: Problem, solutions: list[_Solution], setting: _Setting, verdict: bool | None, prompt: int
) -> Run:
    plan = setting.plan
    assert plan is not None
    candidates = tuple(Candidate(one.text, one.answer, one.rewards, one.tokens, "end") for one in solutions)
    values = [score(one.rewards, str(plan.score)) for one in solutions]
    chosen = pick(str(plan.vote), group(problem, domain(_DOMAIN), [one.answer for one in solutions]), values)
    # all children of every step were generated and scored, not only those that are left
    generated = sum(one.spent for one in solutions)
    steps = sum(len(one.rewards) for one in solutions) * plan.width
    return Run(
        setting.policy,
        setting.sampling,
        setting.prm,
        plan,
        candidates,
        None if chosen is None else solutions[chosen].answer,
        verdict,
        prompt + generated,
        prompt + generated + steps,
    )


def _solution(problem: Problem, output: Any, tag: str, where: str) -> _Solution | str:
    if not isinstance(output, dict):
        raise RecordError(f"{where}: a solution is an object, got {type(output).__name__}")
    rewards = shares(field_of(output, "value", list, where), logits=False)
    if isinstance(rewards, str):
        return rewards
    given = field_of(output, "text", str, where)
    steps = [part.strip() for part in (given.split(tag.strip()) if tag.strip() else [given]) if part.strip()]
    text = "\n\n".join(steps)
    counts = field_of(output, "token_history", list, where)
    if not all(type(count) is int and 0 <= count < 2**31 for count in counts):
        return "a count of tokens is a whole number from 0"
    weights = [len(step) for step in steps] if len(steps) == len(rewards) else [1] * max(len(rewards), 1)
    tokens = tuple(counts) if len(counts) == len(rewards) else spread(sum(counts), weights)
    spent = field_of(output, "completion_tokens", int, where)
    said = output.get("extracted_answer")
    answer = normal(said) if isinstance(said, str) else ""
    return _Solution(
        text, answer or domain(_DOMAIN).read(problem, text), rewards, tokens, max(spent, sum(counts))
    )


def _members(path: Path, ending: str) -> Iterator[tuple[PurePosixPath, str]]:
    """(name, text) of the files of a folder or an archive that end so; nothing is unpacked to disk."""
    if path.is_dir():
        for file in sorted(path.rglob(f"*{ending}")):
            yield PurePosixPath(file.relative_to(path).as_posix()), _text(file.read_bytes(), str(file))
        return
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                if not member.isfile() or not member.name.endswith(ending):
                    continue
                if member.size > _LONGEST:
                    raise RecordError(f"a record has at most {_LONGEST:,} bytes, got {member.size:,}")
                inside = archive.extractfile(member) or io.BytesIO()
                yield PurePosixPath(member.name), _text(inside.read(), member.name)
    except OSError as error:
        reason = error.strerror or error
        raise RecordError(f"records must be a folder or an archive, got {str(path)!r}: {reason}") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise RecordError(f"an archive must be a whole .tar, got {str(path)!r}: {error}") from error


def _text(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordError(
            f"records must be UTF-8 text, got byte {raw[error.start]:#04x} in {name!r}"
        ) from error


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json_value(text)
    except Twice as error:
        raise RecordError(f"{where}: {error}") from None
    except (json.JSONDecodeError, RecursionError):
        raise RecordError(f"{where}: a record is one JSON object a line, got {text[:60]!r}") from None
    if not isinstance(value, dict):
        raise RecordError(f"{where}: a record is a JSON object, got {text[:60]!r}")
    return value


def _base(path: str) -> str:
    return PurePosixPath(path.rstrip("/")).name or "model"

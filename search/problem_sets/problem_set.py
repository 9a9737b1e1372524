"""A problem set: problems as JSON lines, one object a line, ``.gz`` or plain; or one by others, by a mapping.

Columns: ``problem_id``, ``family``, ``domain``, ``question`` and, where answers are needed,
``answer``; ``meta`` (an object) may be left out. Errors name the line, the rule and the value.
This file knows no domain: whether an answer can be read is the grader's business.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.atomic import write_atomic
from search.errors import ProblemError
from search.plain_json import json_value
from search.problem import Problem

if TYPE_CHECKING:
    from search.importing.report import Report
    from search.problem_sets.mapping import ProblemMapping

__all__ = ["LONGEST_QUESTION", "canonical_json", "problems_fingerprint", "read_problems", "write_problems"]

#: characters; a longer question is a slip (a file pasted into a field)
LONGEST_QUESTION = 100_000

_NEEDED = ("problem_id", "family", "domain", "question")
_KNOWN = (*_NEEDED, "answer", "meta")


def read_problems(
    path: str | Path,
    *,
    mapping: str | ProblemMapping | None = None,
    report: Report | None = None,
    need_answers: bool = True,
    longest_question: int = LONGEST_QUESTION,
) -> list[Problem]:
    """The problems of a file, in its order.

    Parameters
    ----------
    mapping:
        How records by others become problems: the name of a shipped mapping, such as ``math-500``, or one
        of your own. ``path`` may then be CSV or Parquet too, or ``hf:NAME``. Problems have answers then.
    report:
        With a mapping: takes account of what was left out (see ``search.problem_sets.read``).
    need_answers:
        Whether a problem without a reference answer is an error (a campaign grades).
    longest_question:
        Most characters of a question.

    Raises
    ------
    ProblemError
        The file is missing, empty, not text, not JSON lines, lacks a column, repeats an id, has a
        problem without an answer or a question over the limit. One line; nothing is returned.
    """
    if mapping is not None:
        from search.problem_sets.read import read_mapped
        from search.problem_sets.shipped import mapping_of

        return read_mapped(path, mapping_of(mapping) if isinstance(mapping, str) else mapping, report)
    path = Path(path)
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path.name} line {number}"
        problem = _problem(_record(line, where), where, need_answers, longest_question)
        if problem.problem_id in first_line:
            raise ProblemError(
                f"{where}: a problem id is given once, got {problem.problem_id!r} "
                f"on line {first_line[problem.problem_id]} too"
            )
        first_line[problem.problem_id] = number
        problems.append(problem)
    if not problems:
        raise ProblemError(f"a problem set holds at least one problem, got an empty file {str(path)!r}")
    return problems


def write_problems(path: str | Path, problems: Iterable[Problem]) -> None:
    """Write a problem set whole or not at all. ``.gz`` is compressed, with equal bytes every time."""
    path = Path(path)
    raw = "".join(canonical_json(_columns(problem)) + "\n" for problem in problems).encode()
    write_atomic(path, gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)


def problems_fingerprint(problems: Iterable[Problem]) -> str:
    """SHA-256 (hex) over the canonical JSON of the problems in their order."""
    digest = hashlib.sha256()
    for problem in problems:
        digest.update(canonical_json(_columns(problem)).encode() + b"\n")
    return digest.hexdigest()


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _columns(problem: Problem) -> dict[str, Any]:
    return {
        "problem_id": problem.problem_id,
        "family": problem.family,
        "domain": problem.domain,
        "question": problem.question,
        "answer": problem.answer,
        "meta": dict(problem.meta),
    }


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ProblemError(
            f"a problem set must be a readable file, got {str(path)!r}: {error.strerror}"
        ) from error
    if path.suffix == ".gz":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise ProblemError(f"a .gz problem set must be whole gzip, got {str(path)!r}: {error}") from error
    try:
        return raw.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise ProblemError(
            f"a problem set must be UTF-8 text, got byte {raw[error.start]:#04x} "
            f"at offset {error.start} of {str(path)!r}"
        ) from error


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = json_value(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ProblemError(f"{where}: a problem is one JSON object a line, got {_short(line)}") from error
    except ValueError as error:
        raise ProblemError(f"{where}: {error}") from error
    if not isinstance(record, dict):
        raise ProblemError(f"{where}: a problem is one JSON object a line, got {_short(line)}")
    return record


def _problem(record: dict[str, Any], where: str, need_answers: bool, longest_question: int) -> Problem:
    for name in (*_NEEDED, "answer") if need_answers else _NEEDED:
        if name not in record:
            raise ProblemError(
                f"{where}: column {name!r} is missing, got {', '.join(map(repr, sorted(record)))}"
            )
    for name in record:
        if name not in _KNOWN:
            raise ProblemError(f"{where}: columns are {', '.join(_KNOWN)}, got {name!r}")
    for name in _NEEDED:
        if not isinstance(record[name], str) or not record[name].strip():
            raise ProblemError(
                f"{where}: {name} must be a text that is not empty, got {_short(record[name])}"
            )
    question, answer, meta = record["question"], record.get("answer"), record.get("meta", {})
    if len(question) > longest_question:
        raise ProblemError(
            f"{where}: a question has at most {longest_question:,} characters, got {len(question):,}"
        )
    if answer is not None and not isinstance(answer, str):
        raise ProblemError(f"{where}: answer must be a text, got {_short(answer)}")
    if need_answers and (answer is None or not answer.strip()):
        raise ProblemError(
            f"{where}: a problem needs a reference answer, got none for {record['problem_id']!r}"
        )
    if not isinstance(meta, dict):
        raise ProblemError(f"{where}: meta must be a JSON object, got {_short(meta)}")
    return Problem(
        problem_id=record["problem_id"],
        family=record["family"],
        domain=record["domain"],
        question=question,
        answer=answer,
        meta=meta,
    )


def _short(value: object, characters: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= characters else f"{text[:characters]}..."

"""Step labels by Monte-Carlo rollouts (Math-Shepherd, arXiv 2312.08935).

For each sample of a policy and each of its steps: the share of continuations of that prefix, by the
same policy, that end right. Continuations are fresh ``rollouts``, and, where a recipe is ``pooled``, also
the samples of the problem that pass through the prefix: each is an independent continuation of it, so
many samples of many problems tell more per token than many rollouts of few. The value of the last step is
the sample's own grade. The exact check of the family stands beside it: for measuring, and for the
first stage of a PRM.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from search.engines.protocol import ChildFinished, Engine, FinishReason, Request, Sampling
from search.grading.registry import domain
from search.seeds import seed_of
from training.lab.family import Worked
from training.lab.mistakes import find_slip
from training.lab.problems import family_of, problem_set

__all__ = ["LABELS", "LabelRecipe", "Labelled", "label_steps", "read_labels", "write_labels"]

_SAMPLING = Sampling(temperature=1.0)
#: most tokens of a solution
_LONGEST = 224


@dataclass(frozen=True, slots=True)
class LabelRecipe:
    """Whose steps are labelled, on how many problems of the ``train`` split.

    Raises ValueError when nothing would tell what a prefix is worth.
    """

    policy: str
    problems: int
    samples: int
    rollouts: int
    seed: int
    pooled: bool = False

    def __post_init__(self) -> None:
        if self.rollouts < (0 if self.pooled else 1):
            raise ValueError(f"rollouts must be at least 1, or 0 when pooled, got {self.rollouts}")


#: the label files that the PRM recipes name
LABELS: Mapping[str, LabelRecipe] = {
    "m": LabelRecipe("lab-policy-m", problems=2560, samples=4, rollouts=4, seed=21),
    "m-many": LabelRecipe("lab-policy-m", problems=12000, samples=12, rollouts=0, seed=23, pooled=True),
    "s": LabelRecipe("lab-policy-s", problems=1536, samples=4, rollouts=4, seed=22),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One sample with a label per step. ``exact`` is the family's check, ``values`` the rollouts'.

    ``true`` is ``Family.true_so_far``; ``slip`` is the character of the first step that is not true where
    it goes wrong, -1 where that is not known (``training.lab.mistakes.find_slip``).
    """

    problem_id: str
    domain: str
    question: str
    steps: tuple[str, ...]
    values: tuple[float, ...]
    exact: tuple[bool, ...]
    correct: bool
    slip: int = -1
    true: tuple[bool, ...] = ()


async def _children(engine: Engine, prompt: tuple[int, ...], n: int, seed: int) -> list[ChildFinished]:
    request = Request(prompt=prompt, n=n, max_tokens=_LONGEST, sampling=_SAMPLING, seed=seed)
    return [event async for event in engine.submit(request) if isinstance(event, ChildFinished)]


async def _label_problem(engine: Engine, worked: Worked, recipe: LabelRecipe, newline: int) -> list[Labelled]:
    """Draw samples of one problem and label their steps."""
    problem = worked.problem
    grader = domain(problem.domain)
    prompt = engine.prompt(problem.question)
    drawn = await _children(engine, prompt, recipe.samples, seed_of(recipe.seed, problem.problem_id))
    texts = {
        prefix: _text(child, prefix, newline)
        for child in drawn
        for prefix in _prefixes(child.token_ids, newline)
    }
    right = {child.child: grader.grade(problem, grader.read(problem, child.text)) for child in drawn}
    through: dict[tuple[int, ...], list[bool]] = {prefix: [] for prefix in texts}
    if recipe.pooled:
        for child in drawn:
            for prefix in _prefixes(child.token_ids, newline):
                through[prefix].append(right[child.child])

    async def value(prefix: tuple[int, ...]) -> float:
        ends = list(through[prefix])
        if recipe.rollouts:
            seed = seed_of(recipe.seed, problem.problem_id, texts[prefix])
            children = await _children(engine, (*prompt, *prefix), recipe.rollouts, seed)
            answers = (grader.read(problem, texts[prefix] + child.text) for child in children)
            ends += [grader.grade(problem, answer) for answer in answers]
        return sum(ends) / len(ends)

    found = await asyncio.gather(*map(value, texts))
    values = dict(zip(texts, found, strict=True))
    family = family_of(problem)
    rows = []
    for child in sorted(drawn, key=lambda child: child.child):
        steps = child.text.split("\n")
        if child.finish_reason != FinishReason.END or not all(steps):
            continue  # cut off or malformed: no step to label
        exact = family.right_so_far(problem, steps)
        rows.append(
            Labelled(
                problem_id=problem.problem_id,
                domain=problem.domain,
                question=problem.question,
                steps=tuple(steps),
                values=(
                    *(values[prefix] for prefix in _prefixes(child.token_ids, newline)),
                    float(right[child.child]),
                ),
                exact=exact,
                correct=right[child.child],
                slip=find_slip(problem, steps),
                true=family.true_so_far(problem, steps),
            )
        )
    return rows


def _prefixes(ids: Sequence[int], newline: int) -> list[tuple[int, ...]]:
    """The sample up to and with each newline."""
    return [tuple(ids[: place + 1]) for place, token in enumerate(ids) if token == newline]


def _text(child: ChildFinished, prefix: tuple[int, ...], newline: int) -> str:
    """The text of a prefix that ends with a newline."""
    lines = child.text.split("\n")
    return "".join(f"{line}\n" for line in lines[: sum(token == newline for token in prefix)])


async def label_steps(
    engine: Engine,
    recipe: LabelRecipe,
    path: Path,
    *,
    newline: int,
    at_once: int = 64,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Label samples of a drawn problem set into ``path``, ``at_once`` problems in flight together.

    ``newline`` is the id of the token that ends a step.

    Each group of problems is a part of its own beside ``path`` until all are there, so a run that was
    killed repeats at most one group.
    """
    parts = path.parent / f"{path.name}.parts"
    worked = list(problem_set("train", recipe.problems, recipe.seed))
    groups = [worked[start : start + at_once] for start in range(0, len(worked), at_once)]
    for index, group in enumerate(groups):
        part = parts / f"{index:05d}.jsonl.gz"
        if not part.exists():
            found = await asyncio.gather(*(_label_problem(engine, item, recipe, newline) for item in group))
            write_labels(part, [row for rows in found for row in rows])
        progress(min(len(worked), (index + 1) * at_once), len(worked))
    write_labels(
        path, [row for index in range(len(groups)) for row in read_labels(parts / f"{index:05d}.jsonl.gz")]
    )
    shutil.rmtree(parts)


def write_labels(path: Path, rows: Sequence[Labelled]) -> None:
    """Write compressed JSON lines, atomically and reproducibly (no time stamp inside)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
        for row in rows:
            file.write(json.dumps(asdict(row)).encode() + b"\n")
    part.replace(path)


def read_labels(path: Path) -> list[Labelled]:
    """The rows that ``write_labels`` wrote."""
    with gzip.open(path, "rt") as file:
        return [
            Labelled(
                problem_id=row["problem_id"],
                domain=row["domain"],
                question=row["question"],
                steps=tuple(row["steps"]),
                values=tuple(row["values"]),
                exact=tuple(row["exact"]),
                correct=row["correct"],
                slip=row["slip"],
                true=tuple(row["true"]),
            )
            for row in map(json.loads, file)
        ]

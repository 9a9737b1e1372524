"""PRMs of the lab: tiny ``Qwen2ForProcessRewardModel`` checkpoints.

Two stages. First exact labels on every token of right and corrupted solutions, short problems first,
and of a policy's own samples: without it a PRM learns which problems are hard and nothing else
(``LOG.md``). Then Monte-Carlo labels at the steps of a policy's own samples (Math-Shepherd, arXiv
2312.08935): the share of rollouts from a prefix that end right (soft), or whether any does (hard). A
batch is a pure function of (seed, step).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from search.errors import CheckpointError
from training.batches import IGNORE, Row
from training.checkpoint import UNFINISHED, load_weights, write_json, write_weights
from training.lab.mistakes import Marked, corrupt, mark, stray
from training.lab.problems import Mix, draw
from training.lab.vocabulary import Vocabulary, write_tokenizer
from training.loop import Training, train
from training.policy import POLICIES
from training.step_labels import Labelled, read_labels
from training.transformer import Backbone, Shape

__all__ = ["PRMS", "PrmRecipe", "RewardModel", "train_prm"]


@dataclass(frozen=True, slots=True)
class PrmRecipe:
    """Everything that determines a PRM, given the folder it begins from and the label file.

    Parameters
    ----------
    size:
        The policy size whose shape the backbone has.
    start:
        Name of the checkpoint whose backbone it begins with (a policy or another PRM); "" for none.
    exact_steps, label_steps:
        Updates of the first and the second stage. Either may be 0.
    labels:
        Name of the label file of the second stage; "" for none.
    soft:
        Whether the second stage learns the share of right rollouts, or whether any was right.
    replay:
        Share of exact rows that stays in the second stage.
    own:
        Share of the policy's own samples among the exact rows, right and wrong ones equally often.
        With any, the second stage leaves problems aside on which all samples agree.
    """

    name: str
    size: str
    start: str
    exact_steps: int
    label_steps: int
    labels: str
    rate: float
    soft: bool = True
    replay: float = 0.3
    own: float = 0.0
    seed: int = 1
    examples: int = 256
    parts: int = 4
    growing: float = 0.5
    mix: Mix = field(default_factory=Mix)

    def shape(self, vocabulary: int) -> Shape:
        """The backbone's sizes."""
        return POLICIES[self.size].shape(vocabulary)


def _on_steps_of(policy: str, name: str) -> PrmRecipe:
    """Exact labels, half of them on the policy's own samples, then its Monte-Carlo labels."""
    return PrmRecipe(
        name,
        "m",
        start="lab-prm-exact",
        exact_steps=2400,
        label_steps=600,
        labels=f"{policy}-many",
        rate=3e-3,
        replay=0.5,
        own=0.6,
        growing=0.0,
    )


#: the shipped PRMs. Each but the weak one goes through the exact labels first; see ``PrmRecipe``
PRMS: Mapping[str, PrmRecipe] = {
    # what the others begin from: exact labels only
    "exact": PrmRecipe(
        "lab-prm-exact", "m", start="lab-policy-m", exact_steps=1100, label_steps=0, labels="", rate=3e-3
    ),
    # the main policy's own steps
    "good": _on_steps_of("m", "lab-prm-good"),
    # another policy's steps, else the same
    "offline": _on_steps_of("s", "lab-prm-offline"),
    # no exact labels and a small backbone: learns which problems are hard, and little else
    "weak": PrmRecipe(
        "lab-prm-weak",
        "s",
        start="lab-policy-s",
        exact_steps=0,
        label_steps=300,
        labels="m",
        rate=3e-3,
        soft=False,
        replay=0.0,
    ),
    # knows one domain only
    "arithmetic": PrmRecipe(
        "lab-prm-arithmetic",
        "m",
        start="lab-policy-m",
        exact_steps=360,
        label_steps=100,
        labels="m",
        rate=3e-3,
        mix=Mix({"arithmetic": 1.0}),
    ),
}


class RewardModel(nn.Module):
    """A backbone with the head of Qwen2.5-Math-PRM: two linear layers, two classes."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.model = Backbone(shape)
        self.score = nn.Sequential(
            nn.Linear(shape.hidden, shape.hidden), nn.ReLU(), nn.Linear(shape.hidden, 2)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (batch, length) to the logit of "right so far" (batch, length)."""
        logits = self.score(self.model(tokens))
        out: Tensor = logits[..., 1] - logits[..., 0]
        return out


def train_prm(
    recipe: PrmRecipe, folder: Path, *, models: Path, labels: Path | None = None, how: Training | None = None
) -> None:
    """Train a PRM and write its checkpoint folder; go on where an earlier run was stopped.

    ``models`` holds the folder that ``recipe.start`` names; ``labels`` is the file that
    ``training.step_labels`` wrote for ``recipe.labels``. Raises CheckpointError when either is missing.
    """
    torch.manual_seed(recipe.seed)
    vocabulary = Vocabulary.of_lab()
    how = how or Training()
    model = RewardModel(recipe.shape(len(vocabulary))).to(how.device)
    pool = Pool(())
    if recipe.labels:
        if labels is None or not labels.is_file():
            raise CheckpointError(f"{recipe.name} needs the label file {recipe.labels!r}, got {labels}")
        pool = Pool([row for row in read_labels(labels) if row.domain in recipe.mix.domains])

    def loss(logits: Tensor, wanted: Tensor) -> Tensor:
        known = wanted != IGNORE
        return functional.binary_cross_entropy_with_logits(
            logits.float()[known], wanted[known], reduction="sum"
        )

    train(
        model,
        folder / UNFINISHED,
        recipe=repr(recipe),
        schedules=(recipe.exact_steps + recipe.label_steps,),
        rate=recipe.rate,
        rows=lambda step: [_row(vocabulary, recipe, pool, step, place) for place in range(recipe.examples)],
        loss=loss,
        begin=lambda: _begin_from(model, models / recipe.start) if recipe.start else None,
        parts=recipe.parts,
        pad=vocabulary.pad,
        longest=model.model.shape.context,
        how=how,
    )
    _write(model, vocabulary, recipe, folder)
    (folder / UNFINISHED).unlink(missing_ok=True)


def _begin_from(model: RewardModel, folder: Path) -> None:
    """Take over the weights of a policy or a PRM of the same shape (and its head where it has one)."""
    tensors = load_weights(folder / "model.safetensors")
    wanted = {name: tensors[name] for name in model.state_dict() if name in tensors}
    missing = [name for name in model.state_dict() if name not in wanted and not name.startswith("score.")]
    if missing:
        raise CheckpointError(
            f"a PRM begins from a backbone of its shape, got none of {missing[0]} in {folder}"
        )
    model.load_state_dict(wanted, strict=False)


def _write(model: RewardModel, vocabulary: Vocabulary, recipe: PrmRecipe, folder: Path) -> None:
    write_tokenizer(vocabulary, folder, model.model.shape.context)
    config = model.model.shape.config("Qwen2ForProcessRewardModel", vocabulary.end, vocabulary.pad)
    config |= {"num_labels": 2, "tie_word_embeddings": False}
    write_json(folder / "config.json", config)
    tensors: Mapping[str, Tensor] = model.state_dict()
    write_weights(folder / "model.safetensors", tensors)
    write_json(folder / "recipe.json", asdict(recipe))


class Pool:
    """Labelled samples by what they can teach.

    ``wrong`` ones of every problem; ``right`` ones of problems that also have wrong ones; ``mixed``: all of
    the problems that have both.
    """

    def __init__(self, rows: Sequence[Labelled]) -> None:
        kinds: dict[str, set[bool]] = {}
        for row in rows:
            kinds.setdefault(row.problem_id, set()).add(row.correct)
        self.all = rows
        self.wrong = [row for row in rows if not row.correct]
        self.mixed = [row for row in rows if len(kinds[row.problem_id]) == 2]
        self.right = [row for row in self.mixed if row.correct]


def _row(vocabulary: Vocabulary, recipe: PrmRecipe, pool: Pool, step: int, place: int) -> Row:
    rng = random.Random(f"prm:{recipe.seed}:{step}:{place}")
    if step >= recipe.exact_steps and rng.random() >= recipe.replay:
        return _labelled_row(vocabulary, rng.choice(pool.mixed if recipe.own else pool.all), recipe.soft)
    if recipe.own and rng.random() < recipe.own:
        return _own_row(vocabulary, rng.choice(pool.right if rng.random() < 0.5 else pool.wrong))
    grown = min(1.0, (step + 1) / max(1.0, recipe.growing * recipe.exact_steps))
    levels = recipe.mix.difficulties[: max(3, round(grown * len(recipe.mix.difficulties)))]
    worked = draw(rng, "train", Mix(recipe.mix.domains, levels))
    kind = rng.random()
    marked = (
        mark(vocabulary, worked)
        if kind < 0.4
        else stray(rng, vocabulary, worked)
        if worked.problem.domain == "puzzle" and kind < 0.75
        else corrupt(rng, vocabulary, worked)
    )
    return _exact_row(vocabulary, worked.problem.question, marked)


def _exact_row(vocabulary: Vocabulary, question: str, marked: Marked) -> Row:
    """A label on every token of the solution, as far as it is known."""
    prompt = vocabulary.prompt(question)
    tokens, labels = list(prompt), [float(IGNORE)] * len(prompt)
    fallen = False
    for index, (step, right) in enumerate(zip(marked.steps, marked.right, strict=True)):
        tokens += [*step, vocabulary.separator]
        if right or fallen:
            labels += [float(right)] * (len(step) + 1)
        elif marked.slip is not None and marked.slip[0] == index:
            slip = marked.slip[1]
            labels += [1.0] * slip + [0.0] * (len(step) + 1 - slip)
        else:
            labels += [float(IGNORE)] * len(step) + [0.0]
        fallen = fallen or not right
    return tokens, labels


def _own_row(vocabulary: Vocabulary, row: Labelled) -> Row:
    """A label on every token of a policy's own sample, as far as it is known."""
    steps = tuple(tuple(vocabulary.encode(step)) for step in row.steps)
    slip = None
    if row.slip >= 0:
        first = row.exact.index(False)
        slip = first, len(vocabulary.encode(row.steps[first][: row.slip]))
    return _exact_row(vocabulary, row.question, Marked(steps, row.exact, slip))


def _labelled_row(vocabulary: Vocabulary, row: Labelled, soft: bool) -> Row:
    """A label at every separator: what the rollouts from there came to."""
    prompt = vocabulary.prompt(row.question)
    tokens, labels = list(prompt), [float(IGNORE)] * len(prompt)
    for step, value in zip(row.steps, row.values, strict=True):
        ids = vocabulary.encode(step)
        tokens += [*ids, vocabulary.separator]
        labels += [float(IGNORE)] * len(ids) + [value if soft else float(value > 0.0)]
    return tokens, labels

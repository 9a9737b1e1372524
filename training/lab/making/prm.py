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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from search.errors import CheckpointError
from training.checkpoint import UNFINISHED, load_weights, write_json, write_weights
from training.lab.family import Worked
from training.lab.making.batches import IGNORE, Row
from training.lab.making.loop import Training, train
from training.lab.making.policy import POLICIES
from training.lab.making.step_labels import Labelled, read_labels
from training.lab.making.transformer import Backbone, Shape
from training.lab.mistakes import Marked, corrupt, forced, mark, stray
from training.lab.problems import Mix, draw
from training.lab.vocabulary import Vocabulary, write_tokenizer

__all__ = ["PRMS", "Pool", "PrmRecipe", "RewardModel", "exact_row", "row_of", "train_prm"]


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
    extra:
        Layers on top of those it begins with. What a policy would have written stands in its last layer, and
        only a later one can compare.
    inherited:
        Learning rate of the weights it begins with, as a share of ``rate``; 0 keeps them as they are.
    ahead:
        Whether a true step that leads nowhere is labelled wrong among the exact rows. Otherwise it has no
        label there: seeing it takes looking ahead, which the second stage teaches.
    own:
        Share of the policy's own samples among the exact rows. With any, samples of both stages come from
        problems that have right and wrong ones, equally often (``Pool.within``).
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
    extra: int = 0
    inherited: float = 1.0
    own: float = 0.0
    ahead: bool = True
    seed: int = 1
    examples: int = 256
    parts: int = 4
    growing: float = 0.5
    mix: Mix = field(default_factory=Mix)

    def shape(self, vocabulary: int) -> Shape:
        """The backbone's sizes."""
        shape = POLICIES[self.size].shape(vocabulary)
        return replace(shape, layers=shape.layers + self.extra)


#: the shipped PRMs. Each but the weak one goes through the exact labels first; see ``PrmRecipe``
PRMS: Mapping[str, PrmRecipe] = {
    # what the others begin from: exact labels only
    "exact": PrmRecipe(
        "lab-prm-exact", "m", start="lab-policy-m", exact_steps=1100, label_steps=0, labels="", rate=3e-3
    ),
    # the main policy's own steps, many of them, exact labels first
    "good": PrmRecipe(
        "lab-prm-good",
        "m",
        start="lab-prm-exact",
        exact_steps=1400,
        label_steps=600,
        labels="m-many",
        rate=1.5e-3,
        replay=0.4,
        own=0.5,
        ahead=False,
        growing=0.0,
        mix=Mix({"puzzle": 0.6, "arithmetic": 0.2, "code": 0.1, "chemistry": 0.1}),
    ),
    # the same few Monte-Carlo labels of the main policy's steps, and of another policy's: a pair to compare
    "onpolicy": PrmRecipe(
        "lab-prm-onpolicy", "m", start="lab-prm-exact", exact_steps=0, label_steps=300, labels="m", rate=1e-3
    ),
    "offline": PrmRecipe(
        "lab-prm-offline", "m", start="lab-prm-exact", exact_steps=0, label_steps=240, labels="s", rate=1e-3
    ),
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
    ``training.lab.making.step_labels`` wrote for ``recipe.labels``. Raises CheckpointError when either is
    missing.
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
        rows=lambda step: [row_of(vocabulary, recipe, pool, step, place) for place in range(recipe.examples)],
        loss=loss,
        begin=lambda: _begin_from(model, models / recipe.start, recipe.extra) if recipe.start else None,
        slow=_inherited(recipe, model),
        parts=recipe.parts,
        pad=vocabulary.pad,
        longest=model.model.shape.context,
        how=how,
    )
    _write(model, vocabulary, recipe, folder)
    (folder / UNFINISHED).unlink(missing_ok=True)


def _inherited(recipe: PrmRecipe, model: RewardModel) -> dict[str, float]:
    """The learning rate's share of each weight that is not new, where that is not 1."""
    if not recipe.start or recipe.inherited == 1.0:
        return {}
    first = model.model.shape.layers - recipe.extra
    new = tuple(f"model.layers.{layer}." for layer in range(first, first + recipe.extra))
    names = [name for name, _ in model.named_parameters()]
    return {name: recipe.inherited for name in names if not name.startswith(("score.", *new))}


def _begin_from(model: RewardModel, folder: Path, extra: int) -> None:
    """Take over the weights of a policy or a PRM (and its head where it has one), below ``extra`` new
    layers that begin by passing on what they get."""
    tensors = load_weights(folder / "model.safetensors")
    wanted = {name: tensors[name] for name in model.state_dict() if name in tensors}
    first = model.model.shape.layers - extra
    new = tuple(f"model.layers.{layer}." for layer in range(first, first + extra))
    missing = [
        name for name in model.state_dict() if name not in wanted and not name.startswith(("score.", *new))
    ]
    if missing:
        raise CheckpointError(
            f"a PRM begins from a backbone of its shape, got none of {missing[0]} in {folder}"
        )
    model.load_state_dict(wanted, strict=False)
    for name, parameter in model.named_parameters():
        if name.startswith(new) and name.endswith(("o_proj.weight", "down_proj.weight")):
            nn.init.zeros_(parameter)


def _write(model: RewardModel, vocabulary: Vocabulary, recipe: PrmRecipe, folder: Path) -> None:
    write_tokenizer(vocabulary, folder, model.model.shape.context)
    config = model.model.shape.config("Qwen2ForProcessRewardModel", vocabulary.end, vocabulary.pad)
    config |= {"num_labels": 2, "tie_word_embeddings": False}
    write_json(folder / "config.json", config)
    tensors: Mapping[str, Tensor] = model.state_dict()
    write_weights(folder / "model.safetensors", tensors)
    write_json(folder / "recipe.json", asdict(recipe))


class Pool:
    """Labelled samples, and by problem those of the ``mixed`` problems, on which right and wrong ones are."""

    def __init__(self, rows: Sequence[Labelled]) -> None:
        self.all = rows
        problems: dict[str, tuple[list[Labelled], list[Labelled]]] = {}
        for row in rows:
            problems.setdefault(row.problem_id, ([], []))[row.correct].append(row)
        self.mixed = [kinds for kinds in problems.values() if all(kinds)]

    def within(self, rng: random.Random) -> Labelled:
        """A sample of a mixed problem, right or wrong with equal chance.

        So no problem is more often wrong than another: how hard one looks says nothing about the label.
        """
        return rng.choice(rng.choice(self.mixed)[rng.random() < 0.5])


def row_of(vocabulary: Vocabulary, recipe: PrmRecipe, pool: Pool, step: int, place: int) -> Row:
    rng = random.Random(f"prm:{recipe.seed}:{step}:{place}")
    if step >= recipe.exact_steps and rng.random() >= recipe.replay:
        return _labelled_row(
            vocabulary, pool.within(rng) if recipe.own else rng.choice(pool.all), recipe.soft
        )
    if recipe.own and rng.random() < recipe.own:
        return _own_row(vocabulary, pool.within(rng), recipe.ahead)
    grown = min(1.0, (step + 1) / max(1.0, recipe.growing * recipe.exact_steps))
    levels = recipe.mix.difficulties[: max(3, round(grown * len(recipe.mix.difficulties)))]
    worked = draw(rng, "train", Mix(recipe.mix.domains, levels))
    marked = _worked_out(rng, vocabulary, worked, recipe.own > 0.0)
    return exact_row(vocabulary, worked.problem.question, marked, recipe.ahead)


def _worked_out(rng: random.Random, vocabulary: Vocabulary, worked: Worked, forcing: bool) -> Marked:
    """A generated solution, two in five of them right. ``forcing``: see ``training.lab.mistakes.forced``."""
    kind = rng.random()
    if kind < 0.4:
        return mark(vocabulary, worked)
    if worked.problem.domain == "puzzle" and kind < 0.75:
        return (forced if forcing and kind < 0.65 else stray)(rng, vocabulary, worked)
    return corrupt(rng, vocabulary, worked)


def exact_row(vocabulary: Vocabulary, question: str, marked: Marked, ahead: bool) -> Row:
    """A label on every token of the solution, as far as it is known.

    ``ahead``: see ``PrmRecipe``. The last step is always labelled: there is nothing behind it to look at.
    """
    prompt = vocabulary.prompt(question)
    tokens, labels = list(prompt), [float(IGNORE)] * len(prompt)
    true = marked.right if ahead or not marked.true else marked.true
    last, fallen, lost = len(marked.steps) - 1, False, False
    for index, (step, right) in enumerate(zip(marked.steps, marked.right, strict=True)):
        tokens += [*step, vocabulary.separator]
        before = float(IGNORE) if lost else 1.0
        if right or fallen:
            labels += [float(right)] * (len(step) + 1)
        elif true[index]:
            lost = True
            end = 0.0 if index == last else float(IGNORE)
            labels += [*([float(IGNORE)] * len(step)), end]
            continue
        elif marked.slip is not None and marked.slip[0] == index:
            slip = marked.slip[1]
            labels += [before] * slip + [0.0] * (len(step) + 1 - slip)
        else:
            labels += [float(IGNORE)] * len(step) + [0.0]
        fallen = fallen or not right
    return tokens, labels


def _own_row(vocabulary: Vocabulary, row: Labelled, ahead: bool) -> Row:
    """A label on every token of a policy's own sample, as far as it is known."""
    steps = tuple(tuple(vocabulary.encode(step)) for step in row.steps)
    slip = None
    if row.slip >= 0:
        first = row.true.index(False)
        slip = first, len(vocabulary.encode(row.steps[first][: row.slip]))
    return exact_row(
        vocabulary, row.question, Marked(steps=steps, right=row.exact, slip=slip, true=row.true), ahead
    )


def _labelled_row(vocabulary: Vocabulary, row: Labelled, soft: bool) -> Row:
    """A label at every separator: what the rollouts from there came to."""
    prompt = vocabulary.prompt(row.question)
    tokens, labels = list(prompt), [float(IGNORE)] * len(prompt)
    for step, value in zip(row.steps, row.values, strict=True):
        ids = vocabulary.encode(step)
        tokens += [*ids, vocabulary.separator]
        labels += [float(IGNORE)] * len(ids) + [value if soft else float(value > 0.0)]
    return tokens, labels

"""Policies of the lab: trained from nothing to write worked solutions, one step a line.

Standard checkpoint folders that ``transformers`` and vLLM load unchanged (Llama: in a Qwen2 folder
``transformers`` puts its own tokenizer in place of ours). A batch is a pure function of (seed, step),
so a run that was killed goes on from its checkpoint as if nothing had been.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from training.checkpoint import UNFINISHED, write_json, write_weights
from training.lab.making.batches import IGNORE, Row
from training.lab.making.loop import Training, train
from training.lab.making.transformer import Backbone, Shape
from training.lab.problems import Mix, draw
from training.lab.vocabulary import Vocabulary, write_tokenizer

__all__ = ["POLICIES", "PolicyRecipe", "row_of", "train_policy", "write_policy"]


@dataclass(frozen=True, slots=True)
class PolicyRecipe:
    """Everything that determines a policy. Two equal recipes give equal policies on one machine.

    ``steps`` are the updates under each schedule. A second and a third begin anew from what the one before
    came to: how a policy that was too weak was trained on.
    """

    name: str
    hidden: int
    layers: int
    heads: int
    feedforward: int
    steps: tuple[int, ...]
    rate: float
    seed: int = 1
    examples: int = 256  # per step
    parts: int = 4  # micro-batches per step
    context: int = 512
    #: difficulty grows from the easiest to the hardest over this share of the first schedule
    growing: float = 0.3
    mix: Mix = field(default_factory=Mix)

    def shape(self, vocabulary: int) -> Shape:
        """The decoder's sizes."""
        return Shape(
            vocabulary=vocabulary,
            hidden=self.hidden,
            layers=self.layers,
            heads=self.heads,
            feedforward=self.feedforward,
            context=self.context,
        )


#: the shipped policies, about a factor of four apart
POLICIES: Mapping[str, PolicyRecipe] = {
    "s": PolicyRecipe(
        name="lab-policy-s",
        hidden=64,
        layers=2,
        heads=2,
        feedforward=160,
        steps=(2000,),
        rate=6e-3,
        growing=0.45,
    ),
    "m": PolicyRecipe(
        name="lab-policy-m",
        hidden=96,
        layers=4,
        heads=3,
        feedforward=224,
        steps=(2000,),
        rate=4e-3,
        growing=0.42,
    ),
    "l": PolicyRecipe(
        name="lab-policy-l",
        hidden=192,
        layers=4,
        heads=6,
        feedforward=384,
        steps=(700, 800, 2000),
        rate=2.5e-3,
        growing=0.557,
    ),
}


def train_policy(recipe: PolicyRecipe, folder: Path, how: Training | None = None) -> None:
    """Train a policy and write its checkpoint folder; go on where an earlier run was stopped.

    ``folder/training.pt`` holds the half-done run and is removed at the end. Raises CheckpointError
    when the folder holds a half-done run of another recipe.
    """
    torch.manual_seed(recipe.seed)
    vocabulary = Vocabulary.of_lab()
    how = how or Training()
    model = Backbone(recipe.shape(len(vocabulary))).to(how.device)

    def loss(hidden: Tensor, labels: Tensor) -> Tensor:
        wanted = labels != IGNORE
        logits = functional.linear(hidden[wanted], model.embed_tokens.weight)
        return functional.cross_entropy(logits.float(), labels[wanted].long(), reduction="sum")

    train(
        model,
        folder / UNFINISHED,
        recipe=repr(recipe),
        schedules=recipe.steps,
        rate=recipe.rate,
        rows=lambda step: [row_of(vocabulary, recipe, step, place) for place in range(recipe.examples)],
        loss=loss,
        parts=recipe.parts,
        pad=vocabulary.pad,
        longest=recipe.context,
        how=how,
    )
    write_policy(model, vocabulary, recipe, folder)
    (folder / UNFINISHED).unlink(missing_ok=True)


def write_policy(model: Backbone, vocabulary: Vocabulary, recipe: PolicyRecipe, folder: Path) -> None:
    """Write the checkpoint folder: config, weights, tokenizer, generation config, recipe."""
    write_tokenizer(vocabulary, folder, recipe.context)
    write_json(folder / "config.json", model.shape.config("LlamaForCausalLM", vocabulary.end, vocabulary.pad))
    write_json(
        folder / "generation_config.json", {"eos_token_id": vocabulary.end, "pad_token_id": vocabulary.pad}
    )
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for layer in range(recipe.layers):  # Llama has this bias whenever it has the others
        tensors[f"model.layers.{layer}.self_attn.o_proj.bias"] = torch.zeros(recipe.hidden)
    write_weights(folder / "model.safetensors", tensors)
    write_json(folder / "recipe.json", {**asdict(recipe), "mix": asdict(recipe.mix)})


def row_of(vocabulary: Vocabulary, recipe: PolicyRecipe, step: int, place: int) -> Row:
    """One training example; labels are the next tokens of the solution, its end included."""
    rng = random.Random(f"policy:{recipe.seed}:{step}:{place}")
    grown = min(1.0, (step + 1) / max(1.0, recipe.growing * recipe.steps[0]))
    levels = recipe.mix.difficulties[: max(2, round(grown * len(recipe.mix.difficulties)))]
    worked = draw(rng, "train", Mix(recipe.mix.domains, levels))
    prompt = vocabulary.prompt(worked.problem.question)
    solution = [*vocabulary.encode(worked.solution), vocabulary.end]
    return (
        [*prompt, *solution[:-1]],
        [*([IGNORE] * (len(prompt) - 1)), *solution],
    )

"""Policies of the lab: trained from nothing to write worked solutions, one step a line.

Standard checkpoint folders that ``transformers`` and vLLM load unchanged (Llama: in a Qwen2 folder
``transformers`` puts its own tokenizer in place of ours). A batch is a pure function of (seed, step),
so a run that was killed goes on from its checkpoint as if nothing had been.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.nn import functional

from training.batches import IGNORE, Row, micro_batches
from training.checkpoint import load_progress, save_progress, write_json, write_weights
from training.lab.problems import Mix, draw
from training.lab.vocabulary import Vocabulary, write_tokenizer
from training.optimizer import Optimizer
from training.transformer import Backbone, Shape

__all__ = ["POLICIES", "PolicyRecipe", "Progress", "train_policy", "write_policy"]

#: called with (step, steps, loss) now and then
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True)
class PolicyRecipe:
    """Everything that determines a policy. Two equal recipes give equal policies on one machine.

    ``steps`` updates under one schedule, then ``more_steps`` under a second that begins anew (a warm
    restart, Loshchilov and Hutter, arXiv 1608.03983): how a policy that was too weak was trained on.
    """

    name: str
    hidden: int
    layers: int
    heads: int
    feedforward: int
    steps: int
    rate: float
    more_steps: int = 0
    seed: int = 1
    examples: int = 256  # per step
    parts: int = 4  # micro-batches per step
    context: int = 512
    #: difficulty grows from the easiest to the hardest over this share of the steps
    growing: float = 0.3
    mix: Mix = field(default_factory=Mix)

    def shape(self, vocabulary: int) -> Shape:
        """The decoder's sizes."""
        return Shape(vocabulary, self.hidden, self.layers, self.heads, self.feedforward, self.context)


#: the shipped policies, about a factor of four apart
POLICIES: Mapping[str, PolicyRecipe] = {
    "s": PolicyRecipe("lab-policy-s", 64, 2, 2, 160, steps=2000, rate=6e-3, growing=0.45),
    "m": PolicyRecipe("lab-policy-m", 96, 4, 3, 224, steps=2000, rate=4e-3, growing=0.42),
    "l": PolicyRecipe("lab-policy-l", 192, 4, 6, 384, steps=700, rate=2.5e-3, growing=0.557, more_steps=800),
}


def train_policy(
    recipe: PolicyRecipe,
    folder: Path,
    *,
    threads: int = 2,
    device: str = "cpu",
    compiled: bool = True,
    progress: Progress = lambda step, steps, loss: None,
    save_every: int = 100,
    report_every: int = 20,
) -> None:
    """Train a policy and write its checkpoint folder; go on where an earlier run was stopped.

    ``folder/training.pt`` holds the half-done run and is removed at the end. Computes in bfloat16 with
    float32 weights. ``compiled`` needs a C compiler. Raises CheckpointError when the folder holds a
    half-done run of another recipe.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    vocabulary = Vocabulary.of_lab()
    model = Backbone(recipe.shape(len(vocabulary))).to(device)
    unfinished = folder / "training.pt"
    state = load_progress(unfinished, repr(recipe))
    start = 0
    if state is not None:
        model.load_state_dict(state["model"])
        start = state["step"]
    optimizer = _schedule(model, recipe, start)
    if state is not None and start != recipe.steps:
        optimizer.load_state_dict(state["optimizer"])
    steps = recipe.steps + recipe.more_steps
    forward = torch.compile(model, dynamic=True) if compiled else model
    smooth = 0.0
    for step in range(start, steps):
        if step == recipe.steps:
            optimizer = _schedule(model, recipe, step)
        rows = [_row(vocabulary, recipe, step, place) for place in range(recipe.examples)]
        batches = list(micro_batches(rows, recipe.parts, vocabulary.pad, recipe.context))
        total = sum(int((labels != IGNORE).sum()) for _, labels in batches)
        loss = 0.0
        for tokens, labels in batches:
            tokens, targets = tokens.to(device), labels.to(device).long()
            with torch.autocast(device, torch.bfloat16):
                hidden = forward(tokens)
                wanted = targets != IGNORE
                logits = functional.linear(hidden[wanted], model.embed_tokens.weight)
            part = functional.cross_entropy(logits.float(), targets[wanted], reduction="sum") / total
            torch.autograd.backward(part)
            loss += part.item()
        optimizer.step(step if step < recipe.steps else step - recipe.steps)
        smooth = loss if step == start else 0.98 * smooth + 0.02 * loss
        if (step + 1) % report_every == 0:
            progress(step + 1, steps, smooth)
        if (step + 1) % save_every == 0:
            save_progress(
                unfinished,
                {
                    "recipe": repr(recipe),
                    "step": step + 1,
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                },
            )
    write_policy(model, vocabulary, recipe, folder)
    unfinished.unlink(missing_ok=True)


def _schedule(model: Backbone, recipe: PolicyRecipe, step: int) -> Optimizer:
    """A fresh optimizer for the schedule that a step belongs to."""
    return Optimizer(model, recipe.rate, recipe.steps if step < recipe.steps else recipe.more_steps)


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


def _row(vocabulary: Vocabulary, recipe: PolicyRecipe, step: int, place: int) -> Row:
    """One training example; labels are the next tokens of the solution, its end included."""
    rng = random.Random(f"policy:{recipe.seed}:{step}:{place}")
    grown = min(1.0, (step + 1) / max(1.0, recipe.growing * recipe.steps))
    levels = recipe.mix.difficulties[: max(2, round(grown * len(recipe.mix.difficulties)))]
    worked = draw(rng, "train", Mix(recipe.mix.domains, levels))
    prompt = vocabulary.prompt(worked.problem.question)
    solution = [*vocabulary.encode(worked.solution), vocabulary.end]
    return (
        [*prompt, *solution[:-1]],
        [*([IGNORE] * (len(prompt) - 1)), *solution],
    )

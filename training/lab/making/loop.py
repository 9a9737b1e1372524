"""The training loop of policies and PRMs: schedules, micro-batches, checkpoints, restart after a kill.

A batch is a pure function of its step, so a run that was killed goes on from its checkpoint and ends
with the same weights as an unbroken one. Computes in bfloat16 with float32 weights.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor, nn

from training.checkpoint import load_progress, save_progress
from training.lab.making.batches import IGNORE, Row, micro_batches
from training.lab.making.optimizer import Optimizer

__all__ = ["Progress", "Training", "train"]

#: called with (step, steps, loss) now and then
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True)
class Training:
    """How to run, which changes nothing but the time it takes.

    ``compiled`` needs a C compiler. A checkpoint is written every ``save_every`` steps.
    """

    threads: int = 2
    device: str = "cpu"
    compiled: bool = True
    progress: Progress = lambda step, steps, loss: None
    save_every: int = 100
    report_every: int = 20


def train(
    model: nn.Module,
    unfinished: Path,
    *,
    recipe: str,
    schedules: Sequence[int],
    rate: float,
    rows: Callable[[int], Sequence[Row]],
    loss: Callable[[Tensor, Tensor], Tensor],
    begin: Callable[[], None] = lambda: None,
    slow: Mapping[str, float] | None = None,
    parts: int,
    pad: int,
    longest: int,
    how: Training,
) -> None:
    """Train ``model`` in place; go on from ``unfinished`` when that is there.

    Parameters
    ----------
    unfinished:
        The half-done run. The caller removes it once the result is written.
    recipe:
        What determines the result, as text: a half-done run of another recipe is refused.
    schedules:
        Updates under each schedule. The learning rate begins anew with each (a warm restart, Loshchilov
        and Hutter, arXiv 1608.03983).
    rows:
        The rows of a step's batch.
    loss:
        From the model's output and the labels, both (rows, length, ...), to the sum over all labels
        that are not ``IGNORE``. Divided by their number in the whole batch.
    begin:
        Called before the first step of a run that does not go on.
    slow:
        Share of the learning rate for weights by name; 0 keeps a weight as it is.

    Raises CheckpointError when ``unfinished`` is of another recipe.
    """
    torch.set_num_threads(how.threads)
    state = load_progress(unfinished, recipe)
    start = 0
    if state is None:
        begin()
    else:
        model.load_state_dict(state["model"])
        start = state["step"]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_((slow or {}).get(name, 1.0) > 0.0)
    ends = list(accumulate(schedules))
    steps, smooth = ends[-1], 0.0
    forward = torch.compile(model, dynamic=True) if how.compiled else model
    for step in range(start, steps):
        which = bisect_right(ends, step)
        first = ends[which] - schedules[which]
        if step in (start, first):
            optimizer = Optimizer(model, rate, schedules[which], slow=slow or {})
            if state is not None and start == step != first:
                optimizer.load_state_dict(state["optimizer"])
        batches = list(micro_batches(rows(step), parts=parts, pad=pad, longest=longest))
        total = sum(int((labels != IGNORE).sum()) for _, labels in batches)
        found = 0.0
        for tokens, labels in batches:
            with torch.autocast(how.device, torch.bfloat16):
                part = loss(forward(tokens.to(how.device)), labels.to(how.device)) / total
            torch.autograd.backward(part)
            found += part.item()
        optimizer.step(step - first)
        smooth = found if step == start else 0.98 * smooth + 0.02 * found
        if (step + 1) % how.report_every == 0:
            how.progress(step + 1, steps, smooth)
        if (step + 1) % how.save_every == 0:
            save_progress(
                unfinished,
                {
                    "recipe": recipe,
                    "step": step + 1,
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                },
            )

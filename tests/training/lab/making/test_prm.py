"""Training PRMs: both stages run, restart exactly, and score like the reference computation."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2Config, Qwen2Model

from search.errors import CheckpointError
from search.rewards.computed.classifier import ClassifierReward
from training.lab.making.batches import IGNORE
from training.lab.making.loop import Training
from training.lab.making.policy import PolicyRecipe, train_policy
from training.lab.making.prm import POLICIES, Pool, PrmRecipe, exact_row, train_prm
from training.lab.making.step_labels import Labelled, write_labels
from training.lab.mistakes import Marked
from training.lab.problems import problem_set
from training.lab.vocabulary import Vocabulary

PLAIN = Training(1, compiled=False)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A models folder with a tiny policy, known as size ``t``."""
    recipe = PolicyRecipe("tiny-policy", 32, 1, 1, 48, steps=(2,), rate=3e-3, examples=8, parts=2)
    monkeypatch.setattr("training.lab.making.prm.POLICIES", {**POLICIES, "t": recipe})
    train_policy(recipe, tmp_path / "tiny-policy", PLAIN)
    rows = [
        Labelled(
            problem_id=worked.problem.problem_id,
            domain=worked.problem.domain,
            question=worked.problem.question,
            steps=worked.steps,
            values=(1.0,) * len(worked.steps),
            exact=(True,) * len(worked.steps),
            correct=True,
        )
        for worked in problem_set("train", 20, seed=1)
    ]
    write_labels(tmp_path / "labels.jsonl.gz", rows)
    return tmp_path


def _recipe(**changes: object) -> PrmRecipe:
    given = {"start": "tiny-policy", "exact_steps": 3, "label_steps": 3, "labels": "t", "rate": 3e-3}
    return PrmRecipe("tiny-prm", "t", **(given | {"examples": 8, "parts": 2} | changes))  # type: ignore[arg-type]


def test_both_stages_restart_exactly_and_rewards_match_the_reference(small: Path) -> None:
    def train(folder: Path, stop_after: int = 99) -> None:
        def progress(step: int, steps: int, loss: float) -> None:
            if step >= stop_after:
                raise KeyboardInterrupt

        train_prm(
            _recipe(),
            folder,
            models=small,
            labels=small / "labels.jsonl.gz",
            how=Training(1, "cpu", False, progress, save_every=2, report_every=1),
        )

    train(small / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(small / "broken", stop_after=5)
    train(small / "broken")
    paths = [small / name / "model.safetensors" for name in ("whole", "broken")]
    assert paths[0].read_bytes() == paths[1].read_bytes()

    worked = next(problem_set("check", 1, seed=2))

    async def score() -> tuple[float, ...]:
        async with ClassifierReward.load(small / "whole") as reward:
            return (await reward.extend(reward.open(worked.problem.question), worked.steps)).rewards

    vocabulary = Vocabulary.of_lab()
    tokens = vocabulary.prompt(worked.problem.question)
    places = []
    for step in worked.steps:
        tokens += [*vocabulary.encode(step), vocabulary.separator]
        places.append(len(tokens) - 1)
    tensors = load_file(paths[0])
    body = Qwen2Model(Qwen2Config.from_pretrained(small / "whole")).eval()
    body.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    with torch.inference_mode():
        hidden = body(torch.tensor([tokens])).last_hidden_state[0, places]
        hidden = torch.relu(hidden @ tensors["score.0.weight"].T + tensors["score.0.bias"])
        expected = (hidden @ tensors["score.2.weight"].T + tensors["score.2.bias"]).softmax(-1)[:, 1]
    assert asyncio.run(score()) == pytest.approx(expected.tolist(), abs=1e-4)


def test_missing_labels_and_a_backbone_of_another_shape_are_refused(small: Path) -> None:
    with pytest.raises(CheckpointError, match="needs the label file 't', got None"):
        train_prm(_recipe(), small / "a", models=small, how=PLAIN)
    with pytest.raises(CheckpointError, match=r"needs model\.safetensors"):
        train_prm(_recipe(start="nobody", label_steps=0, labels=""), small / "b", models=small, how=PLAIN)


def _sample(problem_id: str, right: bool) -> Labelled:
    return Labelled(
        problem_id=problem_id,
        domain="arithmetic",
        question="q",
        steps=("1+1=2",),
        values=(float(right),),
        exact=(right,),
        correct=right,
    )


def test_no_problem_is_more_often_wrong_than_another() -> None:
    rows = [_sample("easy", right) for right in (True, True, True, False)]
    rows += [_sample("hard", right) for right in (False, False, True, False, False, False)]
    rows += [_sample("never", False), _sample("always", True)]
    pool, rng = Pool(rows), random.Random(1)
    drawn = [pool.within(rng) for _ in range(4000)]
    assert {row.problem_id for row in drawn} == {"easy", "hard"}
    for name in ("easy", "hard"):
        share = [row.correct for row in drawn if row.problem_id == name]
        assert 0.45 < sum(share) / len(share) < 0.55


@pytest.mark.parametrize("ahead", [True, False])
def test_a_true_step_that_leads_nowhere_has_no_label_unless_looking_ahead(ahead: bool) -> None:
    """Three steps of one or two tokens: right; true but lost; one that slips at its second token."""
    marked = Marked(((11, 12), (13,), (14, 15)), (True, False, False), (2, 1), (True, True, False))
    tokens, labels = exact_row(Vocabulary.of_lab(), "1+2", marked, ahead)
    prompt, unknown = len(tokens) - 8, float(IGNORE)
    assert list(labels[:prompt]) == [unknown] * prompt
    # each step is its tokens and a separator
    lost = [unknown, 0.0, 0.0, 0.0, 0.0] if ahead else [unknown, unknown, unknown, 0.0, 0.0]
    assert list(labels[prompt:]) == [1.0, 1.0, 1.0, *lost]


def test_a_way_that_ends_wrong_is_labelled_at_its_end() -> None:
    marked = Marked(((11,), (12,)), (True, False), None, (True, True))
    _, labels = exact_row(Vocabulary.of_lab(), "1+2", marked, ahead=False)
    assert list(labels[-4:]) == [1.0, 1.0, float(IGNORE), 0.0]

"""Training policies: a killed run goes on as if nothing had been; the folder loads in transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from search.errors import CheckpointError
from training.lab.making.loop import Training
from training.lab.making.policy import PolicyRecipe, train_policy
from training.lab.making.transformer import Backbone
from training.lab.problems import problem_set
from training.lab.vocabulary import Vocabulary

RECIPE = PolicyRecipe("tiny", 32, 2, 1, 48, steps=(4, 3), rate=3e-3, examples=8, parts=2)


class _Killed(Exception):
    pass


def _train(folder: Path, recipe: PolicyRecipe = RECIPE, stop_after: int | None = None) -> None:
    def progress(step: int, steps: int, loss: float) -> None:
        if stop_after is not None and step >= stop_after:
            raise _Killed

    train_policy(recipe, folder, Training(1, "cpu", False, progress, save_every=2, report_every=1))


@pytest.mark.parametrize("stop_after", [3, 5, 7])  # in the first schedule, after its end, in the second
def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path, stop_after: int) -> None:
    _train(tmp_path / "whole")
    with pytest.raises(_Killed):
        _train(tmp_path / "broken", stop_after=stop_after)
    assert (tmp_path / "broken/training.pt").exists()
    assert not (tmp_path / "broken/model.safetensors").exists()
    _train(tmp_path / "broken")
    whole, broken = (tmp_path / name / "model.safetensors" for name in ("whole", "broken"))
    assert whole.read_bytes() == broken.read_bytes()
    assert not (tmp_path / "broken/training.pt").exists()


def test_another_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(_Killed):
        _train(tmp_path, stop_after=3)
    with pytest.raises(CheckpointError, match="goes on with the recipe it began with"):
        _train(tmp_path, replace(RECIPE, rate=1e-3))


def test_transformers_computes_the_same_logits(tmp_path: Path) -> None:
    _train(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    vocabulary = Vocabulary.of_lab()
    ours = Backbone(RECIPE.shape(len(vocabulary)))
    state = theirs.model.state_dict()
    assert all(not bias.any() for name, bias in state.items() if name.endswith("o_proj.bias"))
    ours.load_state_dict({name: value for name, value in state.items() if not name.endswith("o_proj.bias")})
    for worked in problem_set("check", 5, seed=3):
        chat = [{"role": "user", "content": worked.problem.question}]
        text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        tokens = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])
        assert tokens[0].tolist() == vocabulary.prompt(worked.problem.question)
        with torch.inference_mode():
            expected = theirs(tokens).logits
            found = ours(tokens) @ ours.embed_tokens.weight.T
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert tokenizer.eos_token_id == vocabulary.end == theirs.config.eos_token_id


def test_heads_that_vllm_cannot_take_are_refused() -> None:
    with pytest.raises(ValueError, match="got hidden=96, heads=4"):
        replace(RECIPE, hidden=96, heads=4).shape(100)

"""The shipped models: small enough, what their recipes say, described by their cards, loadable by others."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from planner.models import models_folder
from search.checkpoint import read_checkpoint
from search.engines.embedded import EmbeddedEngine
from search.engines.protocol import ChildFinished, Request, Sampling
from search.rewards.computed.classifier import ClassifierReward
from training.lab.making.card import describe_policy, describe_prm, read_card
from training.lab.making.policy import POLICIES
from training.lab.making.prm import PRMS
from training.lab.problems import problem_set

MODELS = models_folder()
RECIPES = {recipe.name: recipe for recipe in (*POLICIES.values(), *PRMS.values())}


def test_all_shipped_artefacts_stay_under_forty_megabytes() -> None:
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) < 40 * 2**20


@pytest.mark.parametrize("name", RECIPES)
def test_the_card_belongs_to_the_weights_and_the_recipe(name: str) -> None:
    card = read_card(MODELS / name)
    checkpoint = read_checkpoint(MODELS / name)
    assert card["fingerprint"] == checkpoint.card.fingerprint
    assert card["parameters"] == checkpoint.card.parameters
    recipe = json.loads(json.dumps(asdict(RECIPES[name])))
    assert card["recipe"] == json.loads((MODELS / name / "recipe.json").read_text()) == recipe
    assert name in (MODELS / "README.md").read_text()


def test_policies_are_about_a_factor_of_four_apart() -> None:
    small, main, large = (read_card(MODELS / f"lab-policy-{size}")["parameters"] for size in "sml")
    assert 2.5 < main / small < 6
    assert 2.5 < large / main < 6


def test_every_difficulty_bin_of_the_main_policy_holds_fifteen_percent() -> None:
    shares = read_card(MODELS / "lab-policy-m")["difficulty_bins"]
    assert min(shares.values()) >= 15.0


def test_transformers_and_the_embedded_engine_write_the_same() -> None:
    folder = MODELS / "lab-policy-m"
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    questions = [worked.problem.question for worked in problem_set("check", 12, seed=4)]

    async def ours() -> list[tuple[int, ...]]:
        async with EmbeddedEngine.load(folder) as engine:

            async def one(question: str) -> tuple[int, ...]:
                request = Request(engine.prompt(question), 1, 96, Sampling(temperature=0.0), seed=0)
                events = [event async for event in engine.submit(request)]
                return next(event.token_ids for event in events if isinstance(event, ChildFinished))

            return await asyncio.gather(*map(one, questions))

    for question, found in zip(questions, asyncio.run(ours()), strict=True):
        chat = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        prompt = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.inference_mode():
            written = model.generate(prompt, max_new_tokens=96, do_sample=False)[0, prompt.shape[1] :]
        assert tuple(written.tolist()) == found


def test_a_card_can_be_measured_again(tmp_path: Path) -> None:
    for name in ("lab-policy-s", "lab-prm-weak"):
        shutil.copytree(MODELS / name, tmp_path / name)
        (tmp_path / name / "card.json").unlink()
    engine = EmbeddedEngine.load(tmp_path / "lab-policy-s")
    card = describe_policy(tmp_path / "lab-policy-s", engine, "a command", problems=24, samples=4)
    assert read_card(tmp_path / "lab-policy-s") == card
    assert set(card["pass_at_1"]) == {"all", "arithmetic", "puzzle", "code", "chemistry"}
    assert sum(card["difficulty_bins"].values()) == pytest.approx(100.0, abs=0.2)
    engine = EmbeddedEngine.load(tmp_path / "lab-policy-s")
    reward = ClassifierReward.load(tmp_path / "lab-prm-weak")
    card = describe_prm(tmp_path / "lab-prm-weak", engine, reward, "a command", problems=24, samples=8)
    assert read_card(tmp_path / "lab-prm-weak") == card
    assert 0.0 <= card["within"]["last"] <= 1.0
    assert card["problems"] > 0

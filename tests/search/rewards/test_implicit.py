"""Implicit rewards: the likelihood ratio of two models, exactly as torch has it, under every name."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from search.engines.embedded import EmbeddedEngine
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.prompted import PromptedEngine
from search.engines.scripted import ScriptedEngine
from search.errors import CheckpointError, ModelsError, RewardError
from search.loader import FolderLoader
from search.models_file import ModelsFile
from search.prompts import Prompting
from search.remote.fake_server import FakeServer
from search.rewards.implicit import ImplicitReward
from search.rewards.implicit_spec import ImplicitSpec, is_implicit
from search.rewards.prm_names import asks_policies, models_of, whole_name
from search.rewards.protocol import Handle
from search.sync import run_sync

QUESTION = "what is 1 + 2"
STEPS = ["1+2=3", "so 3", "# 3"]
LAB = Path(__file__).parents[3] / "models"


def likelihoods(folder: Path, prompt: list[int], pieces: list[list[int]]) -> list[float]:
    """The log-likelihood of each piece behind what stands before it, by transformers."""
    tokens = [*prompt, *(token for piece in pieces for token in piece)]
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([tokens])).logits[0]
    values = logits[:-1].log_softmax(-1).gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]
    found, start = [], len(prompt) - 1
    for piece in pieces:
        found.append(float(values[start : start + len(piece)].double().sum()))
        start += len(piece)
    return found


def sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


@pytest.mark.parametrize("scope", ["steps", "solution"])
async def test_lab_models_are_compared_as_torch_compares_them(scope: str) -> None:
    folders = LAB / "lab-policy-m", LAB / "lab-policy-s"
    engines = [EmbeddedEngine.load(folder) for folder in folders]
    question, steps = "What is (13+64)+80?", ["13+64=77", "77+80=157", "#157"]
    sums = [
        likelihoods(
            folder,
            list(engine.prompt(question)),
            [list(engine.written(step + "\n")) for step in steps],
        )
        for folder, engine in zip(folders, engines, strict=True)
    ]
    ratios = [mine - others for mine, others in zip(*sums, strict=True)]
    chosen = ratios if scope == "steps" else [math.fsum(ratios[: end + 1]) for end in range(3)]
    async with ImplicitReward(*engines, ImplicitSpec("lab-policy-m", "lab-policy-s", 0.2, scope)) as reward:
        scored = await reward.extend(reward.open(question), steps)
        assert scored.rewards == pytest.approx([sigmoid(0.2 * value) for value in chosen], abs=1e-4)
        handle = reward.open(question)
        for place, step in enumerate(steps):
            one = await reward.extend(handle, [step])
            assert one.rewards[0] == pytest.approx(scored.rewards[place], abs=1e-5)
            handle = one.handle
        bare = await reward.extend(Handle(question, tuple(steps[:2])), steps[2:])
        assert bare.rewards[0] == pytest.approx(scored.rewards[2], abs=1e-5)


async def test_both_models_are_paid_for(pair: tuple[Path, Path]) -> None:
    policy, reference = map(EmbeddedEngine.load, pair)
    async with ImplicitReward(policy, reference) as reward:
        assert reward.card.flops(1.0) == policy.card.flops(1.0) + reference.card.flops(1.0)
        assert reward.card.name == f"implicit:{pair[0].name}/{pair[1].name}:steps:beta0.05"
        assert reward.equal_bits
        assert reward.need(reward.open(QUESTION), STEPS).written == 0
        first = await reward.extend(reward.open(QUESTION), STEPS[:2])
        assert first.usage.physical_tokens == first.usage.prompt_tokens + first.usage.logical_tokens
        later = await reward.extend(first.handle, STEPS[2:])
        # the rest is kept, but for the last token, after which nothing had been asked for
        assert later.usage.physical_tokens == later.usage.logical_tokens + 1


async def test_a_prompt_in_other_words_is_what_is_read(pair: tuple[Path, Path]) -> None:
    asked = Prompting("so {question} ?", "\n")
    plain, prompted = ([EmbeddedEngine.load(folder) for folder in pair] for _ in range(2))
    async with (
        ImplicitReward(*plain) as one,
        ImplicitReward(*(PromptedEngine(engine, asked) for engine in prompted)) as other,
    ):
        said = await one.extend(one.open(f"so {QUESTION} ?"), STEPS)
        assert (await other.extend(other.open(QUESTION), STEPS)).rewards == said.rewards


async def test_who_tells_no_prompts_is_told_at_once(pair: tuple[Path, Path]) -> None:
    policy = EmbeddedEngine.load(pair[0])
    scripted = ScriptedEngine(lambda text, rng: "# 1", name="m")
    with pytest.raises(CheckpointError, match=r"needs logprobs of prompts, .* got ScriptedEngine for 'm'"):
        ImplicitReward(policy, scripted)
    with FakeServer(FakeOpenAI(scripted, plays="hosted", takes=("chat",))) as server:
        chat = OpenAIEngine.connect(server.url, parameters=10, patience=0.0)
        with pytest.raises(CheckpointError, match="got OpenAIEngine for 'm', which tells none"):
            ImplicitReward(policy, chat)
        await chat.close()
    with pytest.raises(CheckpointError, match="models are its engines', got 'other' for"):
        ImplicitReward(policy, policy, ImplicitSpec("other", policy.card.name))
    await policy.close()


async def test_a_server_that_repeats_nothing_fails_in_one_line(
    pair: tuple[Path, Path], open_implicit: Callable[[str], ImplicitReward]
) -> None:
    silent = FakeOpenAI(ScriptedEngine(lambda text, rng: "# 1", name="m"), ignores=("echo",))
    policy = EmbeddedEngine.load(pair[0])
    with FakeServer(silent) as server:
        served = OpenAIEngine.connect(server.url, parameters=10, patience=0.0)
        async with ImplicitReward(policy, served) as reward:
            with pytest.raises(RewardError, match="a server that repeats the prompt with them"):
                await reward.extend(reward.open(QUESTION), STEPS)
    async with open_implicit("implicit-http") as reward, open_implicit("implicit") as alone:
        said = await reward.extend(reward.open(QUESTION), STEPS)
        assert said.rewards == pytest.approx(
            (await alone.extend(alone.open(QUESTION), STEPS)).rewards, abs=1e-5
        )


def test_names_say_everything() -> None:
    spec = ImplicitSpec("a:7b", "b:1b", 0.1, "solution", 2)
    assert spec.name == "implicit:a:7b/b:1b:solution:beta0.1:breaks2"
    assert ImplicitSpec.parse(spec.name) == spec
    assert spec.delimiter == "\n\n"
    assert whole_name("implicit:a/b") == "implicit:a/b:steps:beta0.05"
    assert models_of("implicit:a/b") == ("a", "b")
    assert asks_policies("judge:a")
    assert not asks_policies("a")
    assert is_implicit("implicit:a/b")


@given(
    st.from_regex(r"[a-z0-9.:-]{1,12}", fullmatch=True),
    st.from_regex(r"[a-z][a-z0-9.-]{0,11}", fullmatch=True),
    st.floats(1e-3, 50.0).map(lambda value: float(f"{value:g}")),
    st.sampled_from(["steps", "solution"]),
    st.integers(1, 9),
)
def test_a_name_is_parsed_back(policy: str, reference: str, beta: float, scope: str, breaks: int) -> None:
    if policy == reference:
        reference += "x"
    spec = ImplicitSpec(policy, reference, beta, scope, breaks)
    assert ImplicitSpec.parse(spec.name) == spec


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("implicit:a", "is written implicit:POLICY/REFERENCE"),
        ("implicit:a/a", "compares two models, got 'a' for both"),
        ("implicit:a/b:beta0", "beta must be a number above 0"),
        ("implicit:a b/c", "is written implicit:"),
    ],
)
def test_names_that_break_a_rule(name: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        whole_name(name)


def test_a_campaigns_loader_opens_it_beside_the_policy(pair: tuple[Path, Path]) -> None:
    name = whole_name(f"implicit:{pair[0].name}/{pair[1].name}")
    places = {folder.name: folder for folder in pair}
    loader = FolderLoader({pair[0].name: pair[0]}, {name: places})
    engine = loader.engine(pair[0].name)
    reward = loader.reward(name)
    assert reward.card == loader.prm_card(name)
    run_sync(reward.close())
    # what is the loader's is left open
    assert run_sync(engine.prompt_logprobs(engine.prompt(QUESTION), 1)).values
    run_sync(loader.close())


def test_a_models_file_prices_both_models(pair: tuple[Path, Path], tmp_path: Path) -> None:
    entries = "".join(
        f'[[policy]]\nname = "{name}"\nembedded = "{folder}"\nprice = {{ input = {price}, output = 9.0 }}\n'
        for name, folder, price in zip(("new", "old"), pair, (1.5, 0.5), strict=True)
    )
    (tmp_path / "m.toml").write_text(entries)
    models = ModelsFile.read(tmp_path / "m.toml")
    name = models.prm_name("implicit:new/old")
    assert name == "implicit:new/old:steps:beta0.05"
    prices = models.prices("new", name)
    assert prices is not None
    assert (prices.prompt, prices.prm, prices.prm_written) == (1.5, 2.0, None)
    table = models.price_table(["new"], [name])
    assert table is not None
    assert table[name].prm == 2.0
    assert models.rates([name])[name]["input"] == 2.0
    assert models.knows_prm(name)
    assert not models.knows_prm("implicit:new/other")
    with pytest.raises(ModelsError, match="the model of an implicit reward must be one of new, old, got 'x'"):
        models.loader(["new"], ["implicit:x/old"])
    loader = models.loader(["new"], [name])
    assert loader.reward(name).card == loader.prm_card(name)
    run_sync(loader.close())

"""The family of rewards that the contract suite runs against: add a member here.

The checkpoints are tiny and random, of exactly the published architectures, with tokenizers and chat
templates that split and spell as the published ones do.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForSequenceClassification,
)

from search.checkpoint import read_checkpoint
from search.engines.embedded import EmbeddedEngine
from search.engines.openai.engine import OpenAIEngine
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import Engine
from search.engines.tokenizer import CheckpointTokenizer
from search.prompts import Prompting
from search.remote.fake_server import FakeServer
from search.rewards.computed.classifier import ClassifierReward
from search.rewards.computed.head_spec import HeadSpec
from search.rewards.families import open_reward, read_prm
from search.rewards.implicit import ImplicitReward
from search.rewards.implicit_spec import ImplicitSpec
from search.rewards.protocol import Reward
from search.rewards.scripted import ScriptedReward
from search.rewards.served.fake_server import FakePrmServer
from search.rewards.served.http import HttpReward
from search.rewards.served.vllm import VllmReward, spelling_of

QUESTION = "Janet has 3 ducks and buys 4 more. How many ducks does she have?"
SOLUTIONS = [
    ["Step 1: She starts with 3 ducks.", "Step 2: 3 + 4 = 7 ducks.", "The answer is: 7"],
    ["Step 1: She starts with 4 ducks.", "4 * 3 = 12", "so (12) $x$", "The answer is: 12 ducks."],
    ["The answer is: 7"],
    ["Step 1: She starts with 3 ducks.", "", "7"],
]
CORPUS = [
    *(f"{QUESTION} " + " ".join(f"{step} ки" for step in steps) for steps in SOLUTIONS),
    "what is 1 + 2 so 7",
    "system user assistant + - Please reason step by step, and put your final answer within \\boxed{}.",
] * 20
#: as in Qwen2's and Llama 3's tokenizer.json; digits stand alone there, in threes here
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = (
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
    "{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)

MakePrm = Callable[..., Path]


def _byte_level(special: list[str], digits: str) -> Tokenizer:
    """Byte-level BPE behind the family's splitting, as Qwen2 and Llama 3 have it."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT % digits), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    words.train_from_iterator(CORPUS, trainer)
    words.add_special_tokens(special)
    return words


def _sentence_piece() -> Tokenizer:
    """BPE with byte fallback and a space before the first word, as Llama 2 and Mistral have it."""
    words = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    words.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    words.train_from_iterator([" " + line for line in CORPUS], trainer)
    state = json.loads(words.to_str())
    state["pre_tokenizer"] = None
    state["added_tokens"] = [token for token in state["added_tokens"] if token["id"] < 3]
    words = Tokenizer.from_str(json.dumps(state))
    words.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    words.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    words.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return words


def _sizes(words: Tokenizer, context: int) -> dict[str, object]:
    return {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 96,
        "vocab_size": words.get_vocab_size() + 5,
        "max_position_embeddings": context,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }


def _fast(words: Tokenizer, **special: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=words, clean_up_tokenization_spaces=False, **special)


@pytest.fixture(scope="session")
def make_prm(tmp_path_factory: pytest.TempPathFactory) -> MakePrm:
    """Write a random reward model of a family."""

    def make(family: str, *, context: int = 512, seed: int = 3, **options: object) -> Path:
        path = tmp_path_factory.mktemp(family)
        torch.manual_seed(seed)
        if family == "math_shepherd":
            words = _sentence_piece()
            fast = _fast(words, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
            sizes = {"sliding_window": 4096, **_sizes(words, context), **options}
            model = MistralForCausalLM(MistralConfig(**sizes))
        elif family == "rlhflow":
            special = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
            words = _byte_level(special, "{1,3}")
            fast = _fast(words, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
            fast.chat_template = LLAMA
            rope = {
                "rope_type": "llama3",
                "rope_theta": 500000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
            model = LlamaForCausalLM(
                LlamaConfig(**{**_sizes(words, context), "rope_parameters": rope, **options})
            )
        else:
            words = _byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"], "")
            begin = {"bos_token": "<|endoftext|>"} if family == "value_head" else {}
            fast = _fast(words, eos_token="<|im_end|>", pad_token="<|endoftext|>", **begin)
            fast.chat_template = CHATML
            sizes = {**_sizes(words, context), **options}
            if family == "orm":
                pad = words.token_to_id("<|endoftext|>")
                model = Qwen2ForSequenceClassification(
                    Qwen2Config(num_labels=1, **{**sizes, "pad_token_id": pad})
                )
            else:
                model = Qwen2ForCausalLM(Qwen2Config(**sizes))
        for parameter in model.parameters():  # norms and biases too: what is all ones hides mistakes
            parameter.data.normal_(0.0, 0.15).add_(1.0 if parameter.dim() == 1 else 0.0)
        model.save_pretrained(path)
        fast.save_pretrained(path)
        _add_head(family, path)
        return path

    return make


def _add_head(family: str, path: Path) -> None:
    """What transformers has no class for: the heads of Qwen's and Skywork's own code."""
    named = {"classifier": "Qwen2ForProcessRewardModel", "value_head": "Qwen2ForPrmModel"}.get(family)
    if named is None:
        return
    tensors = load_file(path / "model.safetensors")
    hidden = 64
    sizes: dict[str, tuple[int, ...]] = {"v_head.summary.weight": (1, hidden), "v_head.summary.bias": (1,)}
    if family == "classifier":
        sizes = {"score.0.weight": (hidden, hidden), "score.0.bias": (hidden,)}
        sizes |= {"score.2.weight": (2, hidden), "score.2.bias": (2,)}
    tensors |= {name: torch.randn(size) * 0.3 for name, size in sizes.items()}
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((path / "config.json").read_text())
    # as published: the folder names code of its own, which must never run
    config |= {"architectures": [named], "auto_map": {"AutoModel": f"modeling_evil.{named}"}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "modeling_evil.py").write_text("raise SystemExit('code of a checkpoint was run')\n")


MakeHead = Callable[..., Path]


@pytest.fixture(scope="session")
def make_head(tmp_path_factory: pytest.TempPathFactory) -> MakeHead:
    """Write a random head on the states of a policy."""

    def make(policy: Path, *, inner: int = 8, seed: int = 4, prompting: Prompting | None = None) -> Path:
        path = tmp_path_factory.mktemp("head")
        checkpoint = read_checkpoint(policy)
        hidden = int(checkpoint.config["hidden_size"])
        spec = HeadSpec(
            policy=policy.name,
            fingerprint=checkpoint.fingerprint,
            place=os.path.relpath(policy, path),
            prompting=prompting or Prompting(),
            hidden=hidden,
            inner=inner,
            slope=1.5,
            offset=-0.25,
        )
        random = torch.Generator().manual_seed(seed)
        sizes = {"last.weight": (1, inner or hidden), "last.bias": (1,), "mean": (hidden,)}
        sizes |= {"first.weight": (inner, hidden), "first.bias": (inner,)} if inner else {}
        tensors = {name: torch.randn(size, generator=random) * 0.3 for name, size in sizes.items()}
        tensors["scale"] = 0.5 + torch.rand(hidden, generator=random)
        save_file(tensors, path / "head.safetensors")
        (path / "head.json").write_text(json.dumps(spec.to_json()))
        return path

    return make


PUBLISHED = ("qwen", "value_head", "orm", "rlhflow", "math_shepherd")
#: folders that a family opens
FOLDERS = (*PUBLISHED, "head")


@pytest.fixture(scope="session")
def published(
    make_prm: MakePrm, make_head: MakeHead, make_checkpoint: Callable[..., Path]
) -> dict[str, Path]:
    """One folder of each published family, and a head."""
    made = {name: make_prm("classifier" if name == "qwen" else name) for name in PUBLISHED}
    return made | {"head": make_head(make_checkpoint(context=512, seed=2))}


#: reward models that vLLM scores: heads of 32, the least that it computes on a CPU
VLLM = ("lab-prm-good", "rlhflow", "math_shepherd")
MARKS = (pytest.mark.slow, pytest.mark.vllm)
MODELS = Path(__file__).parents[3] / "models"

OpenVllm = Callable[[str], VllmReward]


@pytest.fixture(scope="session")
def vllm_folders(make_prm: MakePrm) -> dict[str, Path]:
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    return {name: MODELS / name if name.startswith("lab") else make_prm(name, **heads) for name in VLLM}


@pytest.fixture
def open_vllm(vllm_folders: dict[str, Path], vllm_host: Callable[..., Any]) -> OpenVllm:
    """The vLLM reward of one of these, vLLM's cache of prefixes empty."""

    def opened(name: str) -> VllmReward:
        checkpoint = read_prm(vllm_folders[name])
        convention, judge = spelling_of(checkpoint)
        host = vllm_host(vllm_folders[name], judge.chosen)
        host.run(host.llm.reset_prefix_cache()).result()
        return VllmReward(checkpoint, convention, judge, host)

    return opened


@pytest.fixture(scope="session")
def pair(make_checkpoint: Callable[..., Path]) -> tuple[Path, Path]:
    """A policy and its reference, of one tokenizer."""
    return make_checkpoint(context=512, seed=5), make_checkpoint(context=512, seed=6, layers=1)


@pytest.fixture
def open_implicit(pair: tuple[Path, Path]) -> Iterator[Callable[[str], ImplicitReward]]:
    """The implicit reward of these two: both in this process, or both behind servers of completions."""
    with ExitStack() as running:

        def served(folder: Path) -> Engine:
            tokens = CheckpointTokenizer(read_checkpoint(folder))
            fake = FakeOpenAI(EmbeddedEngine.load(folder), encode=tokens.encode, decode=tokens.decode)
            server = running.enter_context(FakeServer(fake))
            return OpenAIEngine.connect(server.url, tokenizer=folder, patience=0.0)

        def opened(name: str) -> ImplicitReward:
            made = served if name == "implicit-http" else EmbeddedEngine.load
            scope = "solution" if name == "implicit-solution" else "steps"
            spec = ImplicitSpec(pair[0].name, pair[1].name, beta=0.5, scope=scope)
            return ImplicitReward(made(pair[0]), made(pair[1]), spec)

        yield opened


#: reward models that a server is asked for
HTTP = ("qwen", "rlhflow", "math_shepherd")

PrmServer = Callable[..., FakeServer]


@pytest.fixture
def prm_server() -> Iterator[PrmServer]:
    """Start a fake ``vllm serve`` of a PRM's folder."""
    with ExitStack() as running:

        def serve(folder: Path, pooling: str = "STEP") -> FakeServer:
            return running.enter_context(FakeServer(FakePrmServer(str(folder), pooling)))

        yield serve


# of the session, so that all tests of one member stand together and each vLLM is started once
@pytest.fixture(
    scope="session",
    params=[
        "scripted",
        "classifier",
        *FOLDERS,
        "implicit",
        "implicit-solution",
        "implicit-http",
        *(f"http-{name}" for name in HTTP),
        *(pytest.param(f"vllm-{name}", marks=MARKS) for name in VLLM),
    ],
)
def member_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def member(
    request: pytest.FixtureRequest, member_name: str, prm: Path, published: dict[str, Path]
) -> AsyncIterator[Reward]:
    if member_name == "scripted":
        made: Reward = ScriptedReward(lambda q, steps: len(steps[-1]) % 13 / 13, context=512)
    elif member_name == "classifier":
        made = ClassifierReward.load(prm)
    elif member_name.startswith("implicit"):
        made = request.getfixturevalue("open_implicit")(member_name)
    elif member_name.startswith("http-"):
        folder = published[member_name.removeprefix("http-")]
        server = request.getfixturevalue("prm_server")(folder)
        made = HttpReward.connect(server.url, folder, patience=0.0)
    elif member_name.startswith("vllm-"):
        made = request.getfixturevalue("open_vllm")(member_name.removeprefix("vllm-"))
    else:
        made = open_reward(published[member_name])
    yield made
    await made.close()

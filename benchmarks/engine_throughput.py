"""Tokens per second of the embedded engine, beside what bounds it and what people use instead.

    python benchmarks/engine_throughput.py [CHECKPOINT] [--threads 2] [--tokens 96] [--sequences 1 64 256 960]

Without a checkpoint it builds a random one of the lab's main policy's shape. In one run, at each
number of sequences:

- ``engine``: the embedded engine, sampling at temperature 1, requests of 64 children each, with
  logprobs; tokens end only at ``--tokens``;
- ``floor``: the matrix products of one decode step at that batch size and nothing else (no
  attention, no norms, no sampling), so a speed that nothing in torch can pass;
- ``generate``: Hugging Face ``generate`` on the same weights, prompt and settings (fewer tokens,
  since it is slow).

Seconds are CPU seconds of all threads over ``--threads``, which is wall clock on a machine that does
nothing else and means the same on one that does. It prints a table and asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from search.checkpoint import read_checkpoint
from search.engines.decoder import Shape
from search.engines.embedded import EmbeddedEngine
from search.engines.protocol import Request, Sampling

#: children of one request
_CHILDREN = 64
_PROMPT = 48


def build(path: Path) -> Path:
    """A random checkpoint: hidden 96, 4 layers, 3 heads of 32, vocabulary 400."""
    torch.manual_seed(0)
    config = Qwen2Config(
        hidden_size=96,
        num_hidden_layers=4,
        num_attention_heads=3,
        num_key_value_heads=3,
        intermediate_size=224,
        vocab_size=400,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).save_pretrained(path)
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(400)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0")
    fast.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    fast.save_pretrained(path)
    return path


def engine_speed(path: Path, sequences: int, tokens: int, threads: int) -> float:
    """Generated tokens per second of the best of two runs."""

    async def run() -> float:
        async with EmbeddedEngine.load(path, threads=threads, max_rows=max(sequences, 64)) as engine:
            engine._tokenizer.ends = frozenset()  # type: ignore[attr-defined]  # same length for everyone
            best = 0.0
            for attempt in range(2):
                left, requests = sequences, []
                while left:
                    n = min(left, _CHILDREN)
                    prompt = tuple((len(requests) * 7 + i) % 300 + 50 for i in range(_PROMPT))
                    requests.append(Request(prompt, n, tokens, Sampling(), attempt, logprobs=True))
                    left -= n
                began = time.process_time()
                used = await asyncio.gather(*(consume(engine, request) for request in requests))
                best = max(best, sum(used) / (time.process_time() - began) * threads)
            return best

    return asyncio.run(run())


async def consume(engine: EmbeddedEngine, request: Request) -> int:
    """Read all events; the number of generated tokens."""
    events = [event async for event in engine.submit(request)]
    return int(events[-1].usage.generated_tokens)  # type: ignore[union-attr]


@torch.inference_mode()
def floor_speed(shape: Shape, sequences: int, repeats: int) -> float:
    """Tokens per second if a decode step were its matrix products alone."""
    wide = (shape.heads + 2 * shape.kv_heads) * shape.head_size
    x, inner = torch.randn(sequences, shape.hidden), torch.randn(sequences, shape.inner)
    attended = torch.randn(sequences, shape.heads * shape.head_size)
    layers = [
        (
            torch.randn(shape.hidden, wide),
            torch.randn(shape.heads * shape.head_size, shape.hidden),
            torch.randn(shape.hidden, 2 * shape.inner),
            torch.randn(shape.inner, shape.hidden),
        )
        for _ in range(shape.layers)
    ]
    head = torch.randn(shape.hidden, shape.vocabulary)
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        for qkv, out, gate_up, down in layers:
            _ = x @ qkv, attended @ out, x @ gate_up, inner @ down
        _ = x @ head
        best = min(best, time.process_time() - began)
    return sequences / best * torch.get_num_threads()


@torch.inference_mode()
def generate_speed(path: Path, sequences: int, tokens: int) -> float:
    """Generated tokens per second of Hugging Face ``generate``."""
    model = AutoModelForCausalLM.from_pretrained(path)
    prompt = torch.arange(50, 50 + _PROMPT)[None].repeat(sequences, 1)
    began = time.process_time()
    model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=True,
        top_k=0,
        min_new_tokens=tokens,
        max_new_tokens=tokens,
        pad_token_id=0,
    )
    return sequences * tokens / (time.process_time() - began) * torch.get_num_threads()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", nargs="?", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--sequences", type=int, nargs="+", default=[1, 64, 256, 960])
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = chosen.checkpoint or build(Path(folder) / "policy")
        shape = Shape.of(read_checkpoint(path).config)
        print(f"{path}: {shape}, {chosen.threads} threads, {chosen.tokens} tokens each")
        head = ("sequences", "engine/s", "floor/s", "generate/s", "of floor", "x generate")
        print(" ".join(f"{name:>10}" for name in head))
        for sequences in chosen.sequences:
            engine = engine_speed(path, sequences, chosen.tokens, chosen.threads)
            floor = floor_speed(shape, sequences, 20)
            generate = generate_speed(path, sequences, min(chosen.tokens, 48))
            print(
                f"{sequences:>10} {engine:>10.0f} {floor:>10.0f} {generate:>10.0f}"
                f" {engine / floor:>10.2f} {engine / generate:>10.1f}"
            )


if __name__ == "__main__":
    main()

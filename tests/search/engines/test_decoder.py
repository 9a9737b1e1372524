from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from search.checkpoint import read_checkpoint
from search.engines.attention import join
from search.engines.cache import PrefixStore, extend
from search.engines.decoder import Decoder, Shape
from search.engines.sequence_cache import SequenceCache
from search.engines.shared_prefix_cache import SharedPrefixCache
from search.errors import CheckpointError

SHAPES = {
    "qwen2 as the lab's": {"hidden": 96, "heads": 3, "kv_heads": 3},
    "grouped queries": {"hidden": 128, "heads": 4, "kv_heads": 2},
    "head size 64": {"hidden": 128, "heads": 2, "kv_heads": 1},
    "llama, untied": {"family": "llama", "tied": False},
}
LENGTHS = (1, 2, 7, 31, 64, 150)


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def path(request, make_checkpoint):
    return make_checkpoint(**request.param)


@pytest.fixture
def decoder(path):
    with torch.inference_mode():
        yield Decoder.load(read_checkpoint(path))


@pytest.fixture
def sequences(decoder):
    generator = np.random.default_rng(0)
    return [generator.integers(0, decoder.shape.vocabulary, length).tolist() for length in LENGTHS]


def test_logits_agree_with_transformers_at_every_position(path, decoder, sequences):
    model = AutoModelForCausalLM.from_pretrained(path)
    _, states = extend(decoder, [None] * len(sequences), sequences)
    for tokens, state in zip(sequences, states, strict=True):
        expected = model(torch.tensor([tokens])).logits[0]
        torch.testing.assert_close(decoder.logits(state), expected, atol=1e-4, rtol=0)


def test_decoding_token_by_token_agrees_with_one_pass(decoder, sequences):
    _, states = extend(decoder, [None] * len(sequences), sequences)
    for tokens, state in zip(sequences, states, strict=True):
        cut = len(tokens) // 2
        decoded = _decode(decoder, tokens, cut, others=[(2, 3, 10)])
        torch.testing.assert_close(decoded, state[cut:], atol=1e-4, rtol=0)


@pytest.mark.usefixtures("same_bits")
def test_bits_of_a_prefix_do_not_depend_on_neighbours_or_on_the_way(decoder, sequences):
    prefixes, states = extend(decoder, [None] * len(sequences), sequences)
    for tokens, prefix, state in zip(sequences, prefixes, states, strict=True):
        [alone], [alone_state] = extend(decoder, [None], [tokens])
        assert torch.equal(alone.keys, prefix.keys)
        assert torch.equal(alone_state, state)
    longer = [one for one in zip(sequences, prefixes, states, strict=True) if len(one[0]) > 1]
    assert longer
    for tokens, prefix, state in longer:
        half = len(tokens) // 2
        first, _ = extend(decoder, [None], [tokens[:half]])
        [second], [rest] = extend(decoder, first, [tokens[half:]])
        assert torch.equal(rest, state[half:])
        assert torch.equal(second.values, prefix.values)


@pytest.mark.usefixtures("same_bits")
def test_bits_of_a_child_do_not_depend_on_its_neighbours(decoder, sequences):
    for tokens in (*sequences, sequences[-1] + sequences[-2] + sequences[-1]):
        cut = len(tokens) // 3
        alone = _decode(decoder, tokens, cut, others=[])
        assert torch.equal(_decode(decoder, tokens, cut, others=[(1, 5, 0), (40, 33, 0)]), alone)
        assert torch.equal(_decode(decoder, tokens, cut, others=[(7, cut, 9), (3, 170, 2)]), alone)


def _decode(decoder, tokens, cut, others):
    """Hidden states from ``cut`` on, decoded beside other children: (how many, their prompt's length,
    how many steps earlier they began)."""
    vocabulary = decoder.shape.vocabulary
    shared_prefix_cache, sequence_cache = SharedPrefixCache(decoder.shape), SequenceCache(decoder.shape, 200)
    numbers, positions, lengths = [], [], []
    groups = [(1, cut, 0), *others]
    for children, prompt, _ in groups:
        prefix = None
        if prompt:
            fed = tokens[:cut] if not numbers else [i % vocabulary for i in range(prompt)]
            [prefix], _ = extend(decoder, [None], [fed])
        numbers += [shared_prefix_cache.add(prefix, children)] * children
        positions += [prompt] * children
        sequence_cache.append(children)
    states = []
    started = np.repeat([start for _, _, start in groups], [children for children, _, _ in groups])
    lengths = np.zeros(len(numbers), dtype=np.int64)
    for step in range(-int(started.max()), len(tokens) - cut):
        waiting = -started > step
        fed = np.arange(len(numbers)) * 5 % vocabulary
        fed[0] = tokens[cut + max(step, 0)]
        own, shared = sequence_cache.attend(lengths), shared_prefix_cache.attend(np.array(numbers))

        def attend(layer, q, k, v, own=own, shared=shared):
            return join(shared(layer, q), own(layer, q, k, v)).view(len(numbers), -1)

        at = torch.from_numpy(np.array(positions) + lengths)
        state = decoder.forward(torch.from_numpy(fed), at, attend)[0]
        lengths += ~waiting
        if step >= 0:
            states.append(state)
    return torch.stack(states)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "gelu"}, "hidden_act must be silu, got 'gelu'"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type must be default, got 'yarn'"),
        ({"use_sliding_window": True}, "use_sliding_window must be false"),
    ],
)
def test_what_it_cannot_compute_is_refused(policy, change, message):
    with pytest.raises(CheckpointError, match=message):
        Shape.of({**read_checkpoint(policy).config, **change})


def test_missing_and_misshapen_tensors_are_named(policy):
    shape = Shape.of(read_checkpoint(policy).config)
    with pytest.raises(CheckpointError, match=r"must hold model\.embed_tokens\.weight"):
        Decoder(shape, {})
    with pytest.raises(CheckpointError, match=r"embed_tokens.weight must have shape .*, got \(2, 2\)"):
        Decoder(shape, {"model.embed_tokens.weight": torch.zeros(2, 2)})


def test_the_store_returns_the_longest_prefix_and_drops_the_oldest(decoder):
    [one], _ = extend(decoder, [None], [[5, 6]])
    [two], _ = extend(decoder, [one], [[7, 8]])
    store = PrefixStore(one.size + two.size)
    store.put((5, 6), one)
    store.put((5, 6, 7, 8), two)
    assert store.longest((5, 6, 7, 8, 9)) is two
    assert store.longest((5, 6, 7)) is one
    assert store.longest((5,)) is None
    store.put((9, 9), one)  # too much: the one not used for longest goes
    assert store.longest((5, 6, 7, 8)) is one
    assert store.longest((9, 9, 9)) is one

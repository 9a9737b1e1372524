"""Thoughts are parted from answers, in whole texts and as they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.engines.protocol import ChildFinished, FinishReason
from search.engines.thinking import TAGS, Parted, Shown, opens, part, settled

HARMONY = (
    "<|channel|>analysis<|message|>3 more than 4<|end|><|start|>assistant"
    "<|channel|>final<|message|>It is 7.<|return|>"
)


@pytest.mark.parametrize(("opening", "closing"), TAGS)
def test_every_kind_of_tag(opening: str, closing: str) -> None:
    whole = f"{opening}\n3 more than 4\n{closing}\n\nIt is 7."
    assert part(whole) == Parted("3 more than 4", "It is 7.")
    assert part(whole.removeprefix(opening)) == Parted("3 more than 4", "It is 7.")
    assert part(f"{opening}3 more") == Parted("3 more", "", True)
    assert part(f"  {opening}3 more") == Parted("3 more", "", True)
    assert part(f"{opening}{closing}It is 7.") == Parted("", "It is 7.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HARMONY, Parted("3 more than 4", "It is 7.")),
        ("<|start|>assistant" + HARMONY, Parted("3 more than 4", "It is 7.")),
        (HARMONY.removesuffix("<|return|>"), Parted("3 more than 4", "It is 7.")),
        ("<|channel|>final<|message|>It is 7.", Parted("", "It is 7.")),
        ("<|channel|>analysis<|message|>3 more", Parted("3 more", "", True)),
        (
            "<|channel|>analysis<|message|>3 more<|end|><|start|>assistant<|channel|>",
            Parted("3 more", "", True),
        ),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=f "
            "<|constrain|>json<|message|>{}<|call|><|start|>assistant<|channel|>final<|message|>b",
            Parted("a\n{}", "b"),
        ),
        ("analysisWe need 7.assistantfinalIt is 7.", Parted("We need 7.", "It is 7.")),
        ("analysisWe need", Parted("We need", "", True)),
        ("analysis of the problem: 7", Parted("", "analysis of the problem: 7")),
    ],
)
def test_harmony(text: str, expected: Parted) -> None:
    assert part(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a</think>b<think>c</think>d", Parted("a\nc", "bd")),
        ("<think>a</think>b</think>c", Parted("a\nb", "c")),
        ("Models write <think> first.", Parted("", "Models write <think> first.")),
        ("It is 7.\n<think>or is it", Parted("or is it", "It is 7.")),
        ("if a < b and b[3] > 2:", Parted("", "if a < b and b[3] > 2:")),
        ("  spaces stay\n", Parted("", "  spaces stay\n")),
        ("", Parted("", "")),
    ],
)
def test_corners(text: str, expected: Parted) -> None:
    assert part(text) == expected


def test_a_prompt_that_ends_inside_a_thought() -> None:
    assert opens("<|im_start|>assistant\n<think>\n")
    assert not opens("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert part("3 more than 4", is_open=True) == Parted("3 more than 4", "", True)
    assert part("3 more</think>7", is_open=True) == Parted("3 more", "7")


def streamed(text: str, cuts: list[int], is_open: bool = False) -> str:
    shown, found = Shown(is_open), ""
    for end in sorted({cut % (len(text) + 1) for cut in cuts}):
        found += shown.new(text[:end])
    return found + shown.new(text, is_last=True)


@given(
    st.sampled_from(["<think>so</think>\n\n", "", HARMONY.partition("It is")[0], "[THINK]a[/THINK]"]),
    st.text(st.sampled_from("ab <think/>[]\n|analysis"), max_size=30).filter(
        lambda text: not any(tag in text for pair in TAGS for tag in pair)
    ),
    st.lists(st.integers(0, 200)),
)
def test_a_stream_adds_up_to_the_answer_however_it_comes(thought: str, answer: str, cuts: list[int]) -> None:
    text = thought + answer
    assert streamed(text, cuts) == part(text).answer


@given(st.lists(st.integers(0, 200)))
def test_nothing_of_a_thought_is_ever_shown(cuts: list[int]) -> None:
    assert streamed("secret</think>7", cuts, is_open=True) == "7"
    assert streamed("<think>secret", cuts) == ""
    assert streamed(HARMONY, cuts) == "It is 7."


def child(text: str, reason: str = FinishReason.END) -> ChildFinished:
    return ChildFinished(0, text, tuple(map(ord, text)), (), reason)


def decode(ids: object) -> str:
    return "".join(map(chr, ids))  # type: ignore[call-overload]


def test_a_child_keeps_all_of_its_tokens_and_counts_those_of_the_thought() -> None:
    text = "<think>3 more</think>7"
    for by in (None, decode):
        found = settled(child(text), decode=by)
        assert (found.text, found.thought, found.finish_reason) == ("7", "3 more", FinishReason.END)
        assert found.token_ids == tuple(map(ord, text))
        assert found.thought_tokens == len(text) - 1


def test_a_thought_that_is_cut_off_is_a_named_outcome() -> None:
    found = settled(child("<think>3 more", FinishReason.LENGTH))
    assert (found.text, found.thought, found.finish_reason) == ("", "3 more", FinishReason.THOUGHT)
    assert found.thought_tokens == len(found.token_ids)
    assert settled(child("3 more", FinishReason.LENGTH), is_open=True).finish_reason == FinishReason.THOUGHT
    assert settled(child("<think>3 more", FinishReason.CANCELLED)).finish_reason == FinishReason.CANCELLED


def test_a_child_without_a_thought_is_the_same() -> None:
    plain = child("It is 7.")
    assert settled(plain) is plain


def test_a_step_inside_a_thought_stays_as_it_is() -> None:
    step = child("<think>first this\n\n", FinishReason.STOP)
    assert settled(step) is step

"""Prompts by family: chosen by the chat template, overridable, and nothing for the lab's models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.models import models_folder
from search.cards import ModelCard
from search.errors import CheckpointError, GridError
from search.prompts import MARKS, PROMPTINGS, Prompting, chat_template, choose

CARD = ModelCard("m", 10, "abc", 100)


@pytest.mark.parametrize(
    ("chat", "name"),
    [
        ("{{ bos_token }}<|start_header_id|>user<|end_header_id|>\n\n{{ message }}", "llama-3"),
        ("{% for message in messages %}<|im_start|>{{ message['role'] }}\n", "qwen-2.5"),
        ("{% for message in messages %}<user>{{ message['content'] }}", "plain"),
        ("", "plain"),
    ],
)
def test_the_chat_template_chooses(chat: str, name: str) -> None:
    assert choose("auto", chat) == PROMPTINGS[name]


def test_a_campaign_can_choose_otherwise() -> None:
    assert choose("generic", "<|im_start|>") == PROMPTINGS["generic"]
    own = choose("auto", "<|im_start|>", template="Q: {question}\nA:", delimiter="\n")
    assert own == Prompting("Q: {question}\nA:", "\n")
    assert choose("auto", "<|im_start|>", delimiter=";").template == PROMPTINGS["qwen-2.5"].template


def test_the_labs_models_are_asked_as_ever() -> None:
    folders = [path for path in models_folder().iterdir() if path.name.startswith("lab-policy")]
    assert len(folders) > 2
    for folder in folders:
        chosen = choose("auto", chat_template(folder))
        assert chosen.is_plain
        assert chosen.ask("What is 1+1?") == "What is 1+1?"
        assert chosen.delimiter == "\n"
        assert chosen.card(CARD) is CARD


def test_every_prompting_asks_the_question_and_names_the_answer() -> None:
    assert set(MARKS.values()) < set(PROMPTINGS)
    for name, prompting in PROMPTINGS.items():
        asked = prompting.ask("What is {x} + 1?")
        assert "What is {x} + 1?" in asked
        assert ("\\boxed{}" in asked) is (name != "plain")


def test_another_prompting_is_another_fingerprint() -> None:
    cards = {str(prompting.card(CARD)) for prompting in PROMPTINGS.values()}
    assert len(cards) == len(PROMPTINGS)
    other = Prompting(PROMPTINGS["generic"].template, "\n").card(CARD)
    assert other.fingerprint != PROMPTINGS["generic"].card(CARD).fingerprint
    assert (other.name, other.parameters, other.context) == ("m", 10, 100)


def test_rules() -> None:
    for template in ("no place", "{question} {question}"):
        with pytest.raises(GridError, match=r"template must hold \{question\} once, got"):
            Prompting(template)
    with pytest.raises(GridError, match="delimiter must be a text that is not empty"):
        Prompting(delimiter="")
    with pytest.raises(GridError, match=r"prompt must be one of auto, plain, llama-3, .*, got 'gpt'"):
        choose("gpt")


def test_chat_templates_of_folders(tmp_path: Path) -> None:
    assert chat_template(tmp_path) == ""
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"chat_template": "one"}))
    assert chat_template(tmp_path) == "one"
    several = [{"name": "tools", "template": "two"}, {"name": "default", "template": "three"}]
    config.write_text(json.dumps({"chat_template": several}))
    assert chat_template(tmp_path) == "three"
    (tmp_path / "chat_template.jinja").write_text("four")
    assert chat_template(tmp_path) == "four"
    (tmp_path / "chat_template.jinja").unlink()
    config.write_text("[")
    with pytest.raises(CheckpointError, match="a tokenizer's files must be whole, got"):
        chat_template(tmp_path)

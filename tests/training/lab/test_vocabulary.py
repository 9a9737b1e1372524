"""The tokenizer: the library's and ours agree, text comes back exactly, nothing is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from training.lab.problems import problem_set
from training.lab.vocabulary import SPECIAL, Vocabulary, write_tokenizer


def test_transformers_reads_the_same_ids_and_gives_the_text_back(tmp_path: Path) -> None:
    vocabulary = Vocabulary.of_lab()
    write_tokenizer(vocabulary, tmp_path, context=512)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for worked in problem_set("check", 300, seed=1):
        question, solution = worked.problem.question, worked.solution
        chat = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        ours = [*vocabulary.prompt(question), *vocabulary.encode(solution)]
        assert tokenizer(text + solution, add_special_tokens=False).input_ids == ours
        assert vocabulary.unknown not in ours
        assert tokenizer.decode(vocabulary.encode(solution)) == solution


@pytest.mark.parametrize("name", SPECIAL)
def test_special_tokens_have_the_first_ids(name: str) -> None:
    assert Vocabulary.of_lab().ids[name] == SPECIAL.index(name)


def test_unknown_words_become_the_unknown_token() -> None:
    vocabulary = Vocabulary.of_lab()
    assert vocabulary.unknown in vocabulary.encode("a zebra")

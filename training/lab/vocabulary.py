"""The lab's tokenizer: words, digits and symbols, one token each.

A word takes the space before it along; every digit stands alone; chemical elements are split out of
formulas; a few phrases of programs are one token. Joining the pieces gives the text back exactly.
Unknown words become ``<unk>``. The folder that ``write_tokenizer`` makes loads in ``transformers``
and vLLM unchanged.
"""

from __future__ import annotations

import json
import random
import re
from functools import lru_cache
from pathlib import Path

from training.lab.chemistry import ELEMENTS
from training.lab.family import DIFFICULTIES
from training.lab.problems import FAMILIES

__all__ = [
    "ASSISTANT",
    "END",
    "PAD",
    "SEPARATOR",
    "SPECIAL",
    "UNKNOWN",
    "USER",
    "Vocabulary",
    "write_tokenizer",
]

PAD, UNKNOWN, USER, ASSISTANT, END = "<|pad|>", "<unk>", "<|user|>", "<|assistant|>", "<|end|>"
#: where a PRM reads its reward; the name is Qwen2.5-Math-PRM's
SEPARATOR = "<extra_0>"
SPECIAL = (PAD, UNKNOWN, USER, ASSISTANT, END, SEPARATOR)

_PHRASES = (" for v in x", "x=[v", " if v", "return x", "x=sorted(x)", "==", "->", "x=")
_ELEMENTS = "|".join(sorted(ELEMENTS, key=lambda name: (-len(name), name)))
PIECES = "|".join(
    (
        *(re.escape(phrase) for phrase in _PHRASES),
        f" ?(?:{_ELEMENTS})(?![a-z])",
        " ?[A-Za-z]+",
        "[0-9]",
        r"\n",
        r" ?[^\sA-Za-z0-9]",
        r"\s",
    )
)
_PIECE = re.compile(PIECES)

_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}" + USER + "{{ message['content'] }}"
    "{% elif message['role'] == 'assistant' %}" + ASSISTANT + "{{ message['content'] }}" + END + "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)


class Vocabulary:
    """Pieces to ids and back, without the ``tokenizers`` library: what training needs."""

    def __init__(self, pieces: tuple[str, ...]) -> None:
        self.pieces = pieces
        self.ids = {piece: index for index, piece in enumerate(pieces)}
        self.pad, self.unknown, self.user, self.assistant, self.end, self.separator = (
            self.ids[name] for name in SPECIAL
        )

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """Ids of plain text."""
        return [self.ids.get(piece, self.unknown) for piece in _PIECE.findall(text)]

    def prompt(self, question: str) -> list[int]:
        """Ids of a question in the chat template, up to where the solution begins."""
        return [self.user, *self.encode(question), self.assistant]

    @classmethod
    @lru_cache(maxsize=1)
    def of_lab(cls) -> Vocabulary:
        """The vocabulary of all families: every piece that their draws contain, in sorted order."""
        rng = random.Random("vocabulary")
        seen = {*"0123456789", *_PHRASES, "\n", " "}
        for family in FAMILIES.values():
            for difficulty in DIFFICULTIES:
                for _ in range(150):
                    worked = family.draw(rng, difficulty)
                    seen.update(_PIECE.findall(worked.problem.question))
                    seen.update(_PIECE.findall(worked.solution))
        return cls((*SPECIAL, *sorted(seen)))


def write_tokenizer(vocabulary: Vocabulary, folder: Path, context: int) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json`` (with the chat template)."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel(vocabulary.ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PIECES), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "pad_token": PAD,
        "unk_token": UNKNOWN,
        "eos_token": END,
        "bos_token": None,
        "additional_special_tokens": [USER, ASSISTANT, SEPARATOR],
        "clean_up_tokenization_spaces": False,
        "chat_template": _TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")

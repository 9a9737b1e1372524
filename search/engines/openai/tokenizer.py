"""Tokenizers of a policy that runs elsewhere: a folder of files here, or the server's own.

A folder is better: with the server's, each new question costs a round trip, during which the event loop
waits (``Engine.prompt`` is no coroutine).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from search.bounded import Remembered
from search.engines.thinking import TAGS
from search.errors import CheckpointError, GarbledError, MissingExtraError

if TYPE_CHECKING:
    from search.remote.client import Client

__all__ = ["FolderTokenizer", "LlamaTokenizer", "Messages", "ServerTokenizer", "Tokenizer"]

#: whatever of these exists makes the fingerprint
_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


#: what chat templates of thinking models hold
_THINKING = (*(tag for pair in TAGS for tag in pair), "enable_thinking", "<|channel|>")


#: turns of a conversation, each with its ``role`` and its ``content``
Messages = Sequence[Mapping[str, str]]


class Tokenizer(ABC):
    """Text to token ids and back."""

    #: changes whenever the tokenizer or its template does; empty where that cannot be known
    fingerprint: str
    #: the end-of-sequence token, None when unknown
    end: int | None
    #: whether the chat template is one of a model that thinks, where that is known
    thinks: bool = False

    @abstractmethod
    def prompt(self, question: str) -> tuple[int, ...]:
        """The question under the chat template, with the opening of the model's turn after it."""

    @abstractmethod
    def converse(self, messages: Messages) -> tuple[int, ...]:
        """A conversation under the chat template, likewise."""

    def worded(self, words: Mapping[str, Any]) -> Tokenizer:
        """The same with more words for the chat template; itself where there is none."""
        return self

    @abstractmethod
    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of bare text, nothing added."""

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones written out, a leading beginning-of-sequence token left out
        (servers that take text put one there themselves)."""


class FolderTokenizer(Tokenizer):
    """``tokenizer.json`` and the chat template of a folder. Raises CheckpointError, MissingExtraError.

    ``words``: what the template is rendered with besides the question.
    """

    def __init__(self, folder: str | Path, words: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._words = dict(words)
        try:
            from transformers import PreTrainedTokenizerFast
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"a tokenizer folder needs the lab extra, got no {error.name}: "
                "pip install 'test-time-planner[lab]'"
            ) from error
        path = Path(folder)
        if not (path / "tokenizer.json").is_file():
            raise CheckpointError(f"a tokenizer is a folder with tokenizer.json, got {str(folder)!r}")
        try:
            self._fast = PreTrainedTokenizerFast.from_pretrained(str(path))
        except Exception as error:  # whatever the libraries raise on a damaged file
            raise CheckpointError(f"the tokenizer must load, got {str(folder)!r}: {error}") from error
        if not self._fast.chat_template:
            raise CheckpointError(f"the tokenizer needs a chat template, got none in {str(folder)!r}")
        self.thinks = any(mark in str(self._fast.chat_template) for mark in _THINKING)
        self._bare = self._fast.backend_tokenizer
        self._begin = self._fast.bos_token_id
        self.end = None if self._fast.eos_token_id is None else int(self._fast.eos_token_id)
        digest = hashlib.sha256()
        for name in _FILES:
            if (path / name).is_file():
                content = (path / name).read_bytes()
                digest.update(name.encode() + b"\0" + len(content).to_bytes(8, "little") + content)
        self.fingerprint = digest.hexdigest()
        self._prompt = Remembered(self._make_prompt)

    def worded(self, words: Mapping[str, Any]) -> FolderTokenizer:
        made = copy(self)
        made._words = {**self._words, **words}
        made._prompt = Remembered(made._make_prompt)
        return made

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._prompt(question)

    def _make_prompt(self, question: str) -> tuple[int, ...]:
        return self.converse([{"role": "user", "content": question}])

    def converse(self, messages: Messages) -> tuple[int, ...]:
        text = self._fast.apply_chat_template(
            [dict(one) for one in messages],
            add_generation_prompt=True,
            tokenize=False,
            **self._words,
        )
        return self.encode(str(text))

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._bare.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        bare = tokens[1:] if tokens and tokens[0] == self._begin else tokens
        return str(self._bare.decode(list(bare), skip_special_tokens=False))


class ServerTokenizer(Tokenizer):
    """vLLM's ``/tokenize`` and ``/detokenize``. Raises RemoteError's kinds."""

    fingerprint = ""
    end = None

    def __init__(self, client: Client, model: str, words: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._client, self._model, self._words = client, model, dict(words)
        self._prompt = Remembered(self._make_prompt)
        self._encode = Remembered(self._make_ids)

    def worded(self, words: Mapping[str, Any]) -> ServerTokenizer:
        made = copy(self)
        made._words = {**self._words, **words}
        made._prompt = Remembered(made._make_prompt)
        return made

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._prompt(question)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        found = self._ask("/detokenize", {"tokens": list(tokens)}, "prompt")
        if not isinstance(found, str):
            raise GarbledError(f"/detokenize must answer with text, got {found!r:.80}")
        return found

    def _make_prompt(self, question: str) -> tuple[int, ...]:
        return self.converse([{"role": "user", "content": question}])

    def converse(self, messages: Messages) -> tuple[int, ...]:
        more = {"chat_template_kwargs": self._words} if self._words else {}
        return self._tokens(
            {"messages": [dict(one) for one in messages], "add_generation_prompt": True, **more}
        )

    def _make_ids(self, text: str) -> tuple[int, ...]:
        return self._tokens({"prompt": text, "add_special_tokens": False})

    def _tokens(self, body: dict[str, Any]) -> tuple[int, ...]:
        return _ids(self._ask("/tokenize", body, "tokens"))

    def _ask(self, path: str, body: dict[str, Any], key: str) -> Any:
        return _answer(self._client, path, {"model": self._model, **body}, key)


class LlamaTokenizer(Tokenizer):
    """llama.cpp's ``/apply-template``, ``/tokenize`` and ``/detokenize``. Raises RemoteError's kinds."""

    fingerprint = ""
    end = None

    def __init__(self, client: Client, words: Mapping[str, Any] = MappingProxyType({})) -> None:
        self._client, self._words = client, dict(words)
        self._prompt = Remembered(self._make_prompt)
        self._encode = Remembered(self._make_ids)

    def worded(self, words: Mapping[str, Any]) -> LlamaTokenizer:
        made = copy(self)
        made._words = {**self._words, **words}
        made._prompt = Remembered(made._make_prompt)
        return made

    def prompt(self, question: str) -> tuple[int, ...]:
        return self._prompt(question)

    def encode(self, text: str) -> tuple[int, ...]:
        return self._encode(text)

    def decode(self, tokens: Sequence[int]) -> str:
        found = _answer(self._client, "/detokenize", {"tokens": list(tokens)}, "content")
        if not isinstance(found, str):
            raise GarbledError(f"/detokenize must answer with text, got {found!r:.80}")
        return found

    def _make_prompt(self, question: str) -> tuple[int, ...]:
        return self.converse([{"role": "user", "content": question}])

    def converse(self, messages: Messages) -> tuple[int, ...]:
        more = {"chat_template_kwargs": self._words} if self._words else {}
        turns = {"messages": [dict(one) for one in messages], **more}
        text = _answer(self._client, "/apply-template", turns, "prompt")
        if not isinstance(text, str):
            raise GarbledError(f"/apply-template must answer with text, got {text!r:.80}")
        return self._tokens(text, begins=True)

    def _make_ids(self, text: str) -> tuple[int, ...]:
        return self._tokens(text, begins=False)

    def _tokens(self, text: str, *, begins: bool) -> tuple[int, ...]:
        body = {"content": text, "add_special": begins, "parse_special": True}
        return _ids(_answer(self._client, "/tokenize", body, "tokens"))


def _answer(client: Client, path: str, body: dict[str, Any], key: str) -> Any:
    answer = client.ask_now(path, body)
    return answer.get(key) if isinstance(answer, dict) else answer


def _ids(found: Any) -> tuple[int, ...]:
    if not isinstance(found, list) or not all(isinstance(token, int) for token in found):
        raise GarbledError(f"/tokenize must answer with token ids, got {found!r:.80}")
    return tuple(found)

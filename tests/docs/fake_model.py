"""A hosted model for the pages, and questions that it can answer."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from random import Random

from search.engines.openai.fake import FakeOpenAI
from search.engines.scripted import TURN, ScriptedEngine
from search.remote.fake_server import FakeServer

KEY = "a-key-of-the-test"
MODEL = "my-model"

_KINDS = (
    "Ann has {} eggs and finds {} more. How many eggs has Ann now?",
    "A train carries {} people when {} people get on at the station. How many people does it carry then?",
    "What is the sum of {} and {}?",
    "A book of {} pages is bound together with one of {} pages. How many pages has the volume?",
    "It rained for {} minutes before noon and {} minutes after. How long did it rain in all, in minutes?",
)


def solution(text: str, rng: Random) -> str:
    """Adds all numbers of the question, wrongly more often the larger they are."""
    question, _, written = text.partition(TURN)
    numbers = [int(number) for number in re.findall(r"\d+", question)]
    wrong = rng.random() < (0.5 if max(numbers, default=0) > 50 else 0.1)
    return f"We add the numbers.\nThe answer is \\boxed{{{sum(numbers) + 2 * wrong}}}."[len(written) :]


def questions(count: int) -> list[tuple[str, int]]:
    """Questions of five kinds with their answers."""
    rng = Random(7)
    found = []
    for number in range(count):
        first, second = rng.randrange(2, 99), rng.randrange(2, 40)
        found.append((_KINDS[number % len(_KINDS)].format(first, second), first + second))
    return found


def write_questions(path: Path, count: int) -> None:
    """The same as a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("question", "answer"), *questions(count)])


def hosted() -> FakeServer:
    """A server that knows chats only and wants a key; it tells no tokenizer and no context."""
    engine = ScriptedEngine(solution, name=MODEL, context=4096)
    return FakeServer(FakeOpenAI(engine, takes=("chat",), plays="hosted", api_key=KEY))

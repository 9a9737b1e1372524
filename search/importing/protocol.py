"""What an importer is: it turns records that others have written into problems, draws and runs.

Three homes, by what the record holds:

- independent samples of one policy become draws of a pool (``Draw``), with their rewards where they
  were scored: every sampling plan at every n can be replayed from them;
- a tree search whose finished candidates and step rewards are there becomes a run (``Run``);
- a plan that was run as a whole, of which one answer and its cost are left (best-of-100 behind a
  verifier, say), is to a planner a policy that answers once: its answers are draws of a policy of
  its own, and each draw's tokens are all that the plan spent on it.

An importer knows one format and nothing of logs on disk (``search.importing.write``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from search.cards import ModelCard
from search.engines.protocol import Sampling
from search.errors import RecordError
from search.importing.report import Report
from search.plan import Plan
from search.problem import Problem
from search.result import Candidate

__all__ = ["UNNAMED", "Draw", "Importer", "Record", "Run", "Scored", "declared", "drawn"]

#: the family of a problem whose record names none: near-duplicates get one when all problems are read
UNNAMED = ""

#: longest sequence where a record does not tell; nothing is generated with an imported card
_CONTEXT = 8192


@dataclass(frozen=True, slots=True)
class Scored:
    """What a PRM said of one draw: one reward in [0, 1] per step, and its logical tokens.

    ``prompt_tokens`` are those of the PRM, counted once per problem; ``tokens`` are without them.
    """

    rewards: tuple[float, ...]
    prompt_tokens: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Draw:
    """One sample. ``correct`` is the record's own verdict, None to have the domain grade ``answer``.

    ``answer`` is canonical (``Domain.read``), None if unreadable. ``step_tokens`` sum to the tokens
    that the sample cost. ``scores``: PRM name -> what it said. ``credit``: a score between 0 and 1 that
    the record gave instead of a verdict.
    """

    policy: str
    sampling: str
    text: str
    answer: str | None
    correct: bool | None
    prompt_tokens: int
    step_tokens: tuple[int, ...]
    greedy: bool = False
    finish_reason: str = "end"
    scores: Mapping[str, Scored] = field(default_factory=dict)
    credit: float | None = None

    @property
    def tokens(self) -> int:
        """All tokens that the sample cost, without the prompt."""
        return sum(self.step_tokens)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a tree search. Tokens are logical, prompts included once.

    ``correct`` is the record's own verdict on ``answer``, None to have the domain grade it.
    """

    policy: str
    sampling: str
    prm: str
    plan: Plan
    candidates: tuple[Candidate, ...]
    answer: str | None
    correct: bool | None
    policy_tokens: int
    prm_tokens: int


@dataclass(frozen=True, slots=True)
class Record:
    """What one record says of one problem; a problem may come in several records.

    ``where`` names the record in messages.
    """

    problem: Problem
    where: str
    draws: tuple[Draw, ...] = ()
    runs: tuple[Run, ...] = ()


class Importer(ABC):
    """One format. Options are the fields of a frozen dataclass, checked when it is made.

    >>> from search.importing.gsm8k_solutions import Gsm8kSolutions
    >>> issubclass(Gsm8kSolutions, Importer), Gsm8kSolutions.name
    (True, 'gsm8k-solutions')
    """

    #: the word that the command line knows it by
    name: ClassVar[str]
    #: what it reads, for people
    caption: ClassVar[str] = ""
    #: raised when records are read differently: logs of two readings are never merged
    version: ClassVar[int] = 1

    @abstractmethod
    def policies(self) -> Sequence[ModelCard]:
        """Cards of the policies that the records read so far name."""

    def prms(self) -> Sequence[ModelCard]:
        """Cards of the PRMs that the records read so far name."""
        return ()

    @abstractmethod
    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        """Read the files one record at a time; ``report`` is told what is left out and assumed.

        Raises RecordError for a file that is empty, damaged or not of this format.
        """


def declared(name: str, parameters: int, flops_per_token: float | None = None) -> ModelCard:
    """The card of a model that is known by name only: nothing vouches for its weights or template.

    >>> declared("gpt3-6b", 6_000_000_000).fingerprint
    'declared:gpt3-6b'
    """
    if parameters < 1:
        raise RecordError(f"a model has at least 1 parameter, got {parameters} for {name!r}")
    return ModelCard(name, parameters, f"declared:{name}", _CONTEXT, flops_per_token)


def drawn(temperature: float, top_p: float = 1.0) -> str:
    """How samples were drawn, as the log writes it. Raises RecordError for numbers that make no sense.

    >>> drawn(0.7)
    'temperature=0.7, top_p=1, top_k=0'
    """
    try:
        return str(Sampling(temperature, top_p))
    except ValueError as error:
        raise RecordError(str(error)) from None

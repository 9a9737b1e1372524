"""``llmrouter``: scores of many models on one question each, as LLMRouter publishes them.

One JSON array a file: ``question`` and ``scores`` (model -> score in [0, 1]; fractions are kept as partial
credit); ``cluster_id`` goes into the problem's ``meta``. A file that is one object, model ->
``input_usd_per_million``, ``output_usd_per_million`` (or ``input_price``, ``output_price``) and ``size``,
gives prices. There are no answers, no references and no token counts: every answer is charged ``tokens``.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from search.cards import ModelCard
from search.errors import RecordError
from search.importing.answers import size_in
from search.importing.cells import Skip, credit
from search.importing.lengths import estimated_tokens
from search.importing.pricing import Charge, Price, priced
from search.importing.protocol import UNNAMED, Draw, Importer, Record, declared, drawn
from search.importing.reading import array_records, field_of, whole_object
from search.importing.report import Report
from search.log.credits import HALF
from search.problem import Problem
from search.seeds import seed_of

__all__ = ["LlmRouter"]

_PRICES = (("input_usd_per_million", "output_usd_per_million"), ("input_price", "output_price"))


@dataclass(frozen=True, slots=True)
class LlmRouter(Importer):
    """Options of the format.

    Parameters
    ----------
    tokens:
        Generated tokens of every answer: the files count none.
    threshold:
        Score from which an answer is right; None keeps scores as partial credit.
    parameters:
        Size of models whose name and price do not tell it.
    sizes, prices:
        Model -> parameters; model -> dollars per million tokens. They come before what a file says.
    temperature:
        Not told either.
    """

    name: ClassVar[str] = "llmrouter"
    caption: ClassVar[str] = "LLMRouter's tables: one answer of each of nine models, with prices"

    tokens: int = 200
    threshold: float | None = None
    parameters: int = 8_000_000_000
    sizes: Mapping[str, int] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
    temperature: float = 0.0
    _cards: dict[str, ModelCard] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise RecordError(f"an answer has at least 1 token, got {self.tokens}")
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            raise RecordError(f"a threshold lies above 0 and up to 1, got {self.threshold:g}")
        declared("policy", self.parameters)
        drawn(self.temperature)

    def policies(self) -> Sequence[ModelCard]:
        return [card for _, card in sorted(self._cards.items())]

    def records(self, files: Sequence[Path], report: Report) -> Iterator[Record]:
        report.note(f"the files count no tokens: {self.tokens} generated ones are assumed of every answer")
        prices, sizes = dict(self.prices), dict(self.sizes)
        listed = []
        for path in files:
            if _begins(path) != "{":
                listed.append(path)
                continue
            for name, told in whole_object(path).items():
                if not isinstance(told, dict):
                    raise RecordError(f"{path.name}: a model has prices, got {told!r:.60} for {name!r}")
                _add_prices(name, told, prices, sizes)
        if not listed:
            raise RecordError("scores are one JSON array of questions, got a file of prices only")
        for path in listed:
            for where, record in array_records(path):
                question = field_of(record, "question", str, where)
                scores = field_of(record, "scores", dict, where)
                if not question.strip():
                    report.leave_out("a problem needs a question", where)
                    continue
                meta = {"cluster_id": record["cluster_id"]} if record.get("cluster_id") is not None else {}
                name = f"{seed_of('llmrouter', question):016x}"
                problem = Problem(name, UNNAMED, "text", question, None, meta)
                draws = []
                for model, value in scores.items():
                    try:
                        said = credit(value)
                    except Skip as skip:
                        report.leave_out(str(skip), f"{where}, {model}")
                        continue
                    if said is None:
                        report.leave_out("a model has a score", f"{where}, {model}")
                        continue
                    charge = priced(
                        estimated_tokens(question), self.tokens, prices.get(model), None, None, report
                    )
                    self._cards.setdefault(model, self._card(model, sizes, charge))
                    draws.append(self._draw(model, said, charge))
                yield Record(problem, where, tuple(draws))

    def _card(self, model: str, sizes: Mapping[str, int], charge: Charge) -> ModelCard:
        size = sizes.get(model) or size_in(model) or self.parameters
        return declared(model, size, charge.flops_per_token)

    def _draw(self, model: str, said: float, charge: Charge) -> Draw:
        if self.threshold is not None:
            said = 1.0 if said >= self.threshold else 0.0
        return Draw(
            model,
            drawn(self.temperature),
            "",
            None,
            said >= HALF,
            charge.prompt_tokens,
            (charge.tokens,),
            credit=said if 0.0 < said < 1.0 else None,
        )


def _add_prices(name: str, told: Mapping[str, Any], prices: dict[str, Price], sizes: dict[str, int]) -> None:
    for prompt, generated in _PRICES:
        if isinstance(told.get(prompt), int | float) and isinstance(told.get(generated), int | float):
            prices.setdefault(name, Price(float(told[prompt]), float(told[generated])))
    size = size_in(str(told.get("size") or ""))
    if size is not None:
        sizes.setdefault(name, size)


def _begins(path: Path) -> str:
    """The first mark of a file; "" where it cannot be read, which its reader then says."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")[:1].decode("ascii", "replace")
    except (OSError, EOFError):
        return ""

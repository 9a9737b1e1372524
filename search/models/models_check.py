"""What each model of a models file can do: asked of its server, with a few dozen tokens.

| asked | how |
|---|---|
| reachable, the model there, the key | connecting |
| token ids, text or chat | what the engine found out |
| ``n``, seeds, logprobs and how many | two samples, twice |
| usage | whether the counts are the server's or an estimate |
| continuing a solution | four tokens after the first sample |
| cancellation | a longer sample, left after its first tokens |
| context, weights, the thinking knob | what the server told, and what it gave up |
| ``effort=``, ``think=``, ``wait=`` of plans | a short answer at each effort, and one at each budget |

A model in this process is told from its folder and not loaded.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from search.cards import ModelCard
from search.engines.confidence import TOP
from search.engines.named import NamedEngine
from search.engines.protocol import (
    ChildFinished,
    Engine,
    FinishReason,
    Request,
    RequestFinished,
    Sampling,
    Usage,
)
from search.errors import EngineError, PlannerError
from search.models.models_loader import ModelsLoader
from search.models_file import JudgeEntry, ModelsFile, PolicyEntry, PrmEntry
from search.rewards.judge import Judge
from search.strategies.registry import STRATEGIES
from search.strategies.trees.tree import TreeSearch
from search.sync import run_sync

if TYPE_CHECKING:
    from search.engines.openai.engine import OpenAIEngine

__all__ = ["Checked", "Checker"]

_QUESTION = "What is 12 + 30? Answer with the number alone."
#: tokens of the samples that are asked for, and of the one that is cancelled
_SHORT, _LONG = 16, 256
_SAMPLING = ("cot", "majority", "adaptive_vote", "cascade", "aggregate", "refine")
_SCORED = ("best_of_n", "weighted_vote")


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of one model.

    ``kind``: policy, prm or judge. ``can``: what was asked -> the answer. ``strategies``: strategy -> "yes"
    or what it lacks. ``missing``: what will be missing, a line each. ``fault``: why it cannot be used, on one
    line; "" where it can.
    """

    kind: str
    name: str
    place: str
    can: Mapping[str, str] = field(default_factory=dict)
    strategies: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    fault: str = ""


class Checker:
    """Asks the models of one file.

    Parameters
    ----------
    models:
        The file.
    find, environment:
        As ``ModelsFile.loader`` takes them.
    timeout:
        Most seconds of one request.
    patience:
        Seconds to wait for a server that cannot be reached.
    """

    def __init__(
        self,
        models: ModelsFile,
        *,
        find: Callable[[str], Path] = Path,
        environment: Mapping[str, str] = os.environ,
        timeout: float = 120.0,
        patience: float = 5.0,
    ) -> None:
        self._models = models.impatient(timeout, patience)
        self._find, self._environment = find, environment

    def run(self, progress: Callable[[str], object] = lambda name: None) -> list[Checked]:
        """Every model, in order. One that cannot be used has a fault and stops no other.

        ``progress`` hears the name of each model before it is asked.
        """
        found = []
        for kind, entries in (
            ("policy", self._models.policy),
            ("prm", self._models.prm),
            ("judge", self._models.judge),
        ):
            for entry in entries:
                progress(entry.name)
                found.append(self._checked(kind, entry))
        return found

    def _checked(self, kind: str, entry: PolicyEntry | PrmEntry) -> Checked:
        try:
            if isinstance(entry, PrmEntry):
                return self._prm(entry)
            return self._judge(entry) if isinstance(entry, JudgeEntry) else self._policy(kind, entry)
        except (PlannerError, OSError) as error:
            said = " ".join(str(error).split()).removeprefix(f"{kind} {entry.name!r}: ")
            return Checked(kind, entry.name, entry.place, fault=f"{kind} {entry.name!r}: {said}")

    def _policy(self, kind: str, entry: PolicyEntry) -> Checked:
        missing = entry.missing_key(self._environment)
        if missing is not None:
            return Checked(kind, entry.name, entry.place, fault=f"{kind} {entry.name!r}: {missing}")
        loader = self._loader([entry.name] if kind == "policy" else [], [])
        if not entry.is_served:
            card = loader.policy_card(entry.name) if kind == "policy" else loader.judge_card(entry.name)
            return _local(kind, entry, card, self._has_prm)

        async def ask() -> Checked:
            engine = loader.engine(entry.name) if kind == "policy" else loader.judge(entry.name)
            try:
                return await _served(kind, entry, engine, has_prm=self._has_prm)
            finally:
                await engine.close()
                await loader.close()

        return run_sync(ask())

    @property
    def _has_prm(self) -> bool:
        return bool(self._models.prm or self._models.judge)

    def _judge(self, entry: JudgeEntry) -> Checked:
        """What its model can do, and, where that is behind a server, how its verdict reads."""
        own = next((one for one in self._models.policy if one.name == entry.policy), None)
        found = self._policy("judge", entry) if own is None else self._policy("policy", own)
        found = replace(found, kind="judge", name=entry.name, place=entry.place, strategies={})
        if not (entry if own is None else own).is_served or found.fault:
            return found
        name = entry.spec.name
        loader = self._loader([], [name])

        async def ask() -> str:
            reward = loader.reward(name)
            try:
                scored = await reward.extend(reward.open(_QUESTION), ("12 + 30 = 42",))
                is_read = isinstance(reward, Judge) and not reward.unreadable
                return f"{scored.rewards[0]:.2f} for a right step" if is_read else "not readable"
            finally:
                await loader.close()

        return replace(found, can={**found.can, "verdict": run_sync(ask())})

    def _prm(self, entry: PrmEntry) -> Checked:
        missing = entry.missing_key(self._environment)
        if missing is not None:
            return Checked("prm", entry.name, entry.place, fault=f"prm {entry.name!r}: {missing}")
        loader = self._loader([], [entry.name])
        card = loader.prm_card(entry.name)
        can = {"context": f"{card.context:,} tokens", "parameters": f"{card.parameters:,}"}
        if not entry.is_served:
            return Checked("prm", entry.name, entry.place, can)

        async def ask() -> str:
            reward = loader.reward(entry.name)
            try:
                scored = await reward.extend(reward.open(_QUESTION), ("12 + 30 = 42",))
                return f"yes, {scored.rewards[0]:.2f} for a right step"
            finally:
                await loader.close()

        return Checked("prm", entry.name, entry.place, {**can, "scores": run_sync(ask())})

    def _loader(self, policies: Sequence[str], prms: Sequence[str]) -> ModelsLoader:
        return self._models.loader(policies, prms, find=self._find, environment=self._environment)


def _local(kind: str, entry: PolicyEntry, card: ModelCard, has_prm: bool) -> Checked:
    """A policy in this process: what its engine can do is known."""
    from search.engines.openai.thinking_check import in_process

    can = {
        "spoken to by": "token ids",
        "context": f"{card.context:,} tokens",
        "parameters": f"{card.parameters:,}",
        "n": "yes",
        "seeds": "yes" if entry.embedded else "yes, up to rounding",
        "logprobs": f"yes, {TOP} candidates",
        "continuing": "yes",
        "usage": "yes",
        "cancelling": "yes",
        **in_process(entry.thought_end),
    }
    return Checked(kind, entry.name, entry.place, can, _strategies(kind, has_prm))


async def _served(kind: str, entry: PolicyEntry, engine: Engine, *, has_prm: bool) -> Checked:
    from search.engines.openai.engine import OpenAIEngine
    from search.engines.openai.thinking_check import thinking_support

    asked = engine.engine if isinstance(engine, NamedEngine) else engine
    if not isinstance(asked, OpenAIEngine):
        raise EngineError(f"a model behind a base_url must be asked over HTTP, got {type(asked).__name__}")
    prompt = asked.prompt(_QUESTION)
    wanted = {"logprobs": True, "top_logprobs": TOP}
    first, usage = await _draw(asked, Request(prompt, 2, _SHORT, Sampling(), 1, **wanted))  # type: ignore[arg-type]
    again, _ = await _draw(asked, Request(prompt, 2, _SHORT, Sampling(), 1, **wanted))  # type: ignore[arg-type]
    goes_on = asked.dialect != "chat"
    if goes_on:
        await _draw(asked, Request((*prompt, *first[0].token_ids[:4]), 1, 4, Sampling(), 2))
    cancelled = await _cancel(asked, Request(prompt, 1, _LONG, Sampling(), 3, stream=True))
    same = [child.text for child in first] == [child.text for child in again]
    thinks = any(child.thought or child.thought_tokens for child in first + again)
    notes = list(asked.given_up)
    logprobs = _logprobs(asked, first)
    if logprobs == "no":
        notes.append("logprobs: none in the answers, so neither logprobs nor confidence are logged")
    if not same and not asked.lacks("seed"):
        notes.append("seeds: the same request gave other tokens, so a campaign is not repeated bit for bit")
    if thinks and entry.thinking in ("off", "none"):
        notes.append(f"thinking: it thinks although thinking = {entry.thinking!r}")
    if not goes_on and kind == "policy":
        notes.append("continuing: a chat is asked for each next step, and may begin anew all the same")
    can = {
        "spoken to by": {"tokens": "token ids", "text": "text", "chat": "chat"}[asked.dialect],
        "context": f"{asked.card.context:,} tokens" + (" (assumed)" if asked.assumes("context") else ""),
        "parameters": f"{asked.card.parameters:,}" + (" (assumed)" if asked.assumes("parameters") else ""),
        "n": _n(asked),
        "seeds": "not taken" if asked.lacks("seed") else ("yes" if same else "not kept"),
        "logprobs": logprobs,
        "continuing": "yes" if goes_on else "step by step",
        "usage": "no: estimated" if usage.is_estimated else "yes",
        "cancelling": "yes" if cancelled else "no",
        "thinking": _thinking(asked, entry, thinks, first),
        **(await thinking_support(asked, prompt)),
    }
    strategies = _strategies(kind, has_prm)
    return Checked(kind, entry.name, entry.place, can, strategies, tuple(notes))


def _n(engine: OpenAIEngine) -> str:
    if engine.lacks("n"):
        return "no: a request per sample"
    most = engine.most("n")
    return "yes" if most is None else f"up to {most}"


def _logprobs(engine: OpenAIEngine, children: Sequence[ChildFinished]) -> str:
    if engine.lacks("logprobs") or not any(child.logprobs for child in children):
        return "no"
    if all(child.mean_entropy is None for child in children):
        return "yes, no candidates"
    return f"yes, {engine.most('logprobs' if engine.dialect == 'text' else 'top_logprobs') or TOP} candidates"


def _thinking(
    engine: OpenAIEngine, entry: PolicyEntry, thinks: bool, children: Sequence[ChildFinished]
) -> str:
    found = "thinks" if thinks else "no thought seen"
    if any(child.finish_reason == FinishReason.THOUGHT for child in children):
        found += f" for more than {_SHORT} tokens"
    if entry.thinking is None:
        return found
    taken = not engine.lacks("chat_template_kwargs") and not engine.lacks("reasoning_effort")
    return f"{found}; {entry.thinking!r} {'sent' if taken else 'not taken'}"


def _strategies(kind: str, has_prm: bool) -> dict[str, str]:
    """Strategy -> "yes", or what is missing; a judge takes part in none."""
    if kind != "policy":
        return {}
    found = dict.fromkeys(_SAMPLING, "yes")
    scored = "yes" if has_prm else "no: needs a [[prm]] or a [[judge]]"
    return found | dict.fromkeys((*_SCORED, *_steps()), scored)


def _steps() -> list[str]:
    """The searches over steps."""
    return [name for name, kind in STRATEGIES.items() if issubclass(kind, TreeSearch)]


async def _draw(engine: Engine, request: Request) -> tuple[list[ChildFinished], Usage]:
    found: list[ChildFinished] = []
    usage = Usage(0, 0, 0)
    async for event in engine.submit(request):
        if isinstance(event, ChildFinished):
            found.append(event)
        elif isinstance(event, RequestFinished):
            usage = event.usage
    return sorted(found, key=lambda child: child.child), usage


async def _cancel(engine: Engine, request: Request) -> bool:
    """Whether a request that is left after its first event ends soon."""
    stream = engine.submit(request)
    await anext(stream)
    await engine.cancel(request.request_id)
    try:
        async with asyncio.timeout(5.0):
            async for _ in stream:
                pass
    except TimeoutError:
        return False
    return True

"""The HTTP reward: a PRM behind ``vllm serve``, its tokenizer and template from a folder here.

    reward = HttpReward.connect("http://127.0.0.1:8001", "Qwen2.5-Math-PRM-7B")

| family (``search.rewards.families``) | asked |
|---|---|
| ``classifier`` | ``/pooling`` |
| ``rlhflow``, ``math_shepherd`` | ``/v1/completions``, one token per step |

Nothing is kept on the server, so every call scores its whole prefix again, and ``physical_tokens`` says so:
what was sent, tries that broke off included, less what the server says it had cached. Calls made in one turn
of the event loop go out together; a prefix that equals another one under way, one that a living handle holds,
or the beginning of a longer one that is sent with it, is asked for once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from search.bounded import Remembered
from search.cards import ModelCard
from search.checkpoint import Checkpoint
from search.engines.openai.probe import find_model
from search.errors import CheckpointError, ContextError, RewardError
from search.remote.circuit import Circuit
from search.remote.client import Client
from search.remote.retry import Retry
from search.remote.trace_headers import NO_TRACE, TRACE
from search.rewards.computed.convention import Convention
from search.rewards.computed.head_spec import stateless
from search.rewards.families import family_of, read_prm
from search.rewards.protocol import Handle, Reward, RewardUsage, Scored
from search.rewards.served.http_prm_clients import Asking, ChoicePrmClient, HttpPrmClient, PoolingPrmClient

__all__ = ["HttpReward"]

_Key = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class _State:
    """What a handle carries: the rewards of all its steps."""

    rewards: tuple[float, ...]


@dataclass(slots=True, eq=False)
class _Ask:
    """A prefix that waits for its rewards."""

    key: _Key
    asking: Asking
    done: asyncio.Future[_State]
    paid: int = 0  # PRM tokens that were sent for it
    trace: Mapping[str, str] = field(default_factory=TRACE.get)


class HttpReward(Reward):
    """Scores steps by a server. Build it with ``connect``."""

    def __init__(
        self, card: ModelCard, convention: Convention, prm_client: HttpPrmClient, client: Client, model: str
    ) -> None:
        self.card = card
        self._convention, self._prm_client, self._client, self._model = convention, prm_client, client, model
        # the same questions and steps are asked for again and again, by budgets first of all
        self._prompt = Remembered(convention.prompt)
        self._step = Remembered(convention.step, entries=16384)
        self._live: WeakValueDictionary[_Key, _State] = WeakValueDictionary()
        self._asked: dict[_Key, _Ask] = {}
        self._pending: list[_Ask] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    def connect(
        cls,
        base_url: str,
        folder: str | Path,
        *,
        model: str | None = None,
        family: str | None = None,
        api_key: str | None = None,
        patience: float = 30.0,
        silence: float = 600.0,
        connections: int = 64,
    ) -> HttpReward:
        """Ask a server what it serves. Waits for the answer on this thread.

        Parameters
        ----------
        base_url:
            ``http://host:8001``, with or without ``/v1``.
        folder:
            The PRM's own folder: its config tells the family, its tokenizer spells. That the server serves
            these very weights is the caller's word.
        model:
            The id that the server knows it by; may be left out where it is the only one.
        family:
            One of ``search.rewards.families.FAMILIES``; by default what the folder says.
        api_key, patience, silence, connections:
            As ``OpenAIEngine.connect`` takes them.

        Raises
        ------
        CheckpointError
            The folder is none, or of a family that no server is asked for.
        UnreachableError, BrokenError, RefusedError, GarbledError
            By what the server did.
        """
        checkpoint = read_prm(folder)
        convention, prm_client = _spelling(checkpoint, family)
        client = Client(
            base_url,
            api_key=api_key,
            retry=Retry(patience=patience),
            circuit=Circuit(),
            silence=silence,
            connections=connections,
        )
        served = find_model(client, model)
        card = checkpoint.card
        if served.context is not None and served.context < card.context:
            card = ModelCard(card.name, card.parameters, card.fingerprint, served.context)
        return cls(card, convention, prm_client, client, served.model)

    def count(self, question: str, steps: Sequence[str]) -> tuple[int, int]:
        prompt = len(self._prompt(question)) - len(self._convention.opening)
        return prompt, sum(len(self._step(step).tokens) for step in steps)

    async def extend(self, handle: Handle, steps: Sequence[str]) -> Scored:
        if self._closed:
            raise RewardError("a closed reward scores nothing, got steps")
        if not steps:
            raise RewardError("steps must not be empty, got none")
        key = (handle.question, handle.steps + tuple(steps))
        asking = self._spell(*key)
        state, paid = self._live.get(key), 0
        if state is None:
            ask, is_new = self._ask(key, asking)
            state = await asyncio.shield(ask.done)
            paid = ask.paid if is_new else 0
        prompt, logical = self.count(handle.question, steps)
        longer = Handle(*key, state)
        return Scored(state.rewards[len(handle.steps) :], longer, RewardUsage(prompt, logical, paid))

    async def close(self) -> None:
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for ask in self._pending:
            _fail(ask, RewardError("a closed reward scores nothing, got steps"))
        self._pending = []
        await self._client.close()

    def _spell(self, question: str, steps: tuple[str, ...]) -> Asking:
        tokens = list(self._prompt(question))
        if not tokens:
            raise RewardError(f"a question must give at least one token, got {question!r}")
        reads = []
        for place, step in enumerate(steps):
            piece = self._step(step) if place else self._convention.first(step)
            reads.append(len(tokens) + piece.read)
            tokens += piece.tokens
        if len(tokens) > self.card.context:
            raise RewardError(
                f"a prefix must fit into a context of {self.card.context} tokens, got {len(tokens)}"
            )
        return Asking(tuple(tokens), tuple(reads))

    def _ask(self, key: _Key, asking: Asking) -> tuple[_Ask, bool]:
        """Who waits for a prefix, and whether it is asked for only now."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # an earlier loop is gone, and with it whoever waited there
            self._loop, self._pending, self._asked = loop, [], {}
        known = self._asked.get(key)
        if known is not None:
            return known, False
        ask = self._asked[key] = _Ask(key, asking, loop.create_future())
        if not self._pending:
            loop.call_soon(self._flush)
        self._pending.append(ask)
        return ask, True

    def _flush(self) -> None:
        """Send everything that waits: prefixes of longer ones along with these."""
        pending, self._pending = self._pending, []
        if self._closed:
            for ask in pending:
                _fail(ask, RewardError("a closed reward scores nothing, got steps"))
            return
        longest: list[tuple[_Ask, list[_Ask]]] = []
        owners: dict[_Key, list[_Ask]] = {}
        for ask in sorted(pending, key=lambda ask: -len(ask.key[1])):
            shorter = owners.get(ask.key)
            if shorter is not None:
                shorter.append(ask)
                continue
            shorter = []
            longest.append((ask, shorter))
            question, steps = ask.key
            for length in range(1, len(steps)):
                owners.setdefault((question, steps[:length]), shorter)
        for first in range(0, len(longest), self._prm_client.batch):
            task = asyncio.ensure_future(self._send(longest[first : first + self._prm_client.batch]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, batch: list[tuple[_Ask, list[_Ask]]]) -> None:
        asks = [ask for ask, _ in batch]
        first = asks[0].trace
        # what is of several traces is of none
        TRACE.set(first if all(ask.trace == first for ask in asks) else NO_TRACE)
        everyone = [ask for ask, shorter in batch for ask in (ask, *shorter)]
        try:
            found = await self._prm_client.score(self._client, self._model, [ask.asking for ask in asks])
            for (ask, shorter), judged in zip(batch, found, strict=True):
                ask.paid = judged.tokens
                for each in (ask, *shorter):
                    self._settle(each, judged.rewards[: len(each.key[1])])
        except asyncio.CancelledError:
            for ask in everyone:
                _fail(ask, RewardError("a closed reward scores nothing, got steps"))
            raise
        except RewardError as error:
            for ask in everyone:
                _fail(ask, error)
        except ContextError as error:
            for ask in everyone:
                _fail(ask, RewardError(str(error)))
        except Exception as error:  # nobody may wait for ever
            for ask in everyone:
                _fail(ask, RewardError(f"the HTTP reward failed: {type(error).__name__}: {error}"))
        finally:
            for ask in everyone:
                self._asked.pop(ask.key, None)

    def _settle(self, ask: _Ask, rewards: tuple[float, ...]) -> None:
        state = self._live.setdefault(ask.key, _State(rewards))
        if not ask.done.done():
            ask.done.set_result(state)


def _fail(ask: _Ask, error: RewardError) -> None:
    if not ask.done.done():
        ask.done.set_exception(error)
        ask.done.exception()  # heard, even if its caller has given up


def _spelling(checkpoint: Checkpoint, family: str | None) -> tuple[Convention, HttpPrmClient]:
    """How a family spells, and how a server is asked for it. Raises CheckpointError."""
    from search.rewards.computed.causal import Chat, Tagged
    from search.rewards.computed.classifier import SEPARATOR, Separated
    from search.rewards.computed.pieces import Pieces

    chosen = family_of(checkpoint) if family is None else family
    if chosen == "head":
        raise stateless(checkpoint.path, "a server")
    pieces = Pieces(checkpoint)
    if chosen == "classifier":
        return Separated(pieces), PoolingPrmClient(pieces.token(SEPARATOR))
    if chosen in ("rlhflow", "math_shepherd"):
        convention = (Chat if chosen == "rlhflow" else Tagged)(pieces)
        return convention, ChoicePrmClient(convention.good, convention.bad)
    raise CheckpointError(
        f"a server is asked for the families classifier, rlhflow and math_shepherd, got {chosen!r}"
    )

"""Two policies behind a server each, a models file that says so, and a planner that was learned from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import synthetic

from planner.evidence.training_data import read_training_data
from planner.planner import Planner
from search.drawing import Drawing
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import Sampling
from search.engines.scripted import ScriptedEngine
from search.models_file import ModelsFile
from search.remote.fake_server import Asked, FakeServer, Json, Stream
from search.strategies.protocol import Limits
from training.study import fit_training_data

QUESTION = "work out the sum of 3 + 41 + 7"
SIZES = {"small": 1_000_000, "large": 4_000_000}
#: US dollars per million tokens: input, output
RATES = {"small": (1.0, 4.0), "large": (10.0, 40.0)}
#: how the log of the planner was drawn
DRAWN = Drawing(Sampling(0.6, 0.9, 20), Limits(max_tokens=150))


def writes(text: str, rng: Random) -> str:
    """Right in six of ten."""
    return "3 + 41 = 44\n# 51" if rng.random() < 0.6 else f"hm\n# {rng.randint(1, 99)}"


class Listening(FakeOpenAI):
    """Keeps the bodies of what it was asked to write."""

    def __init__(self, name: str, **how: object) -> None:
        super().__init__(
            ScriptedEngine(writes, name=name, parameters=SIZES[name], context=4096),
            **how,  # type: ignore[arg-type]
        )
        self.bodies: list[Mapping[str, object]] = []

    async def __call__(self, asked: Asked) -> Json | Stream:
        if asked.path in ("/v1/completions", "/v1/chat/completions"):
            self.bodies.append(dict(asked.body))
        return await super().__call__(asked)


class TwoServers:
    """The servers ``small`` and ``large``, running between ``start`` and ``stop``."""

    def __init__(self, folder: Path, **how: object) -> None:
        self.folder = folder
        self.apps = {name: Listening(name, **how) for name in SIZES}
        self.servers = {name: FakeServer(app) for name, app in self.apps.items()}

    def start(self) -> None:
        for server in self.servers.values():
            server.start()

    def stop(self) -> None:
        for server in self.servers.values():
            server.stop()

    def file(
        self,
        *,
        called: str = "models.toml",
        more: Mapping[str, str] | None = None,
        rates: Mapping[str, tuple[float, float]] = RATES,
    ) -> Path:
        """A models file. ``more``: lines of a policy's entry."""
        text = ""
        for name, server in self.servers.items():
            text += f'[[policy]]\nname = "{name}"\nbase_url = "{server.url}"\nparameters = {SIZES[name]}\n'
            text += (more or {}).get(name, "")
            if name in rates:
                text += "[policy.price]\ninput = {}\noutput = {}\n".format(*rates[name])
        file = self.folder / called
        file.write_text(text)
        return file

    def planner(self, *, drawings: bool = True) -> Path:
        """A planner in a folder, as if it had been learned from these two."""
        loader = ModelsFile.read(self.file(called="learned.toml")).loader()
        cards = {name: loader.policy_card(name) for name in SIZES}
        learned = _learned()
        folder = self.folder / "planner"
        drawn = dict.fromkeys(SIZES, DRAWN) if drawings else {}
        replace(learned, policies=cards, drawings=drawn).save(folder)
        return folder


_KEPT: list[Planner] = []


def _learned() -> Planner:
    if not _KEPT:
        log = synthetic.make_log(80, policies=("small", "large"), prms=(), draws=24)
        data = read_training_data(log, synthetic.POLICIES, {})
        _KEPT.append(fit_training_data(data, trials=0, date="2026-01-01"))
    return _KEPT[0]

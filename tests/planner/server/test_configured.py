"""``planner serve --models``: the models of a planner, as a models file describes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from planner.planner import Planner
from planner.server.backends import Backends
from planner.server.configured import configured
from search.engines.openai.fake import FakeOpenAI
from search.engines.protocol import Sampling
from search.engines.scripted import ScriptedEngine
from search.errors import ModelsError
from search.remote.fake_server import FakeServer
from search.strategies.protocol import Limits


def write(text: str, rng: Random) -> str:
    return "# 7"


@pytest.fixture
def address() -> Iterator[str]:
    """A server of one model that knows chats only, and wants a key."""
    engine = ScriptedEngine(write, name="m", context=512)
    with FakeServer(FakeOpenAI(engine, takes=("chat",), plays="hosted", api_key="k")) as server:
        yield server.url


@pytest.fixture
def file(address: str, planner: Planner, tmp_path: Path) -> Path:
    """Every policy behind that server, each with a temperature of its own; PRMs in this process."""
    path = tmp_path / "models.toml"
    policies = [
        f'[[policy]]\nname = "{name}"\nbase_url = "{address}/v1"\nmodel = "m"\napi_key_env = "KEY"\n'
        f"parameters = 1000\nsampling = {{ temperature = 0.{number}, max_tokens = {number}00 }}\n"
        for number, name in enumerate(planner.policies, 3)
    ]
    prms = [f'[[prm]]\nname = "{name}"\nembedded = "lab-prm-weak"\n' for name in planner.prms]
    path.write_text("".join(policies + prms))
    return path


def close(backends: Backends) -> None:
    async def both() -> None:
        await backends.models.close()
        if backends.upstream is not None:
            await backends.upstream.close()

    asyncio.run(both())


def test_policies_are_sampled_as_the_file_says(file: Path, planner: Planner) -> None:
    backends = configured(planner, file, environment={"KEY": "k"})
    names = list(planner.policies)
    settings = backends.models.settings(backends.models.engines, backends.models.limits, 1.0)
    assert [settings[name, None].sampling.temperature for name in names] == pytest.approx(
        [0.1 * number for number, _ in enumerate(names, 3)]
    )
    assert backends.models.limits == Limits(max_tokens=100 * (len(names) + 2))
    assert backends.upstream is not None
    assert (backends.upstream.policy, set(backends.models.rewards)) == (names[0], set(planner.prms))
    assert backends.models.renders == {}  # no tokenizer's folder: plain questions only
    close(backends)


def test_limits_that_are_given_win(file: Path, planner: Planner) -> None:
    backends = configured(planner, file, environment={"KEY": "k"}, limits=Limits(max_tokens=9))
    assert backends.models.limits.max_tokens == 9
    assert Sampling() not in backends.models.samplings.values()
    close(backends)


def test_a_model_that_the_file_does_not_name_is_one_line(tmp_path: Path, planner: Planner) -> None:
    path = tmp_path / "models.toml"
    path.write_text('[[policy]]\nname = "other"\nbase_url = "http://127.0.0.1:9"\n')
    with pytest.raises(ModelsError, match="policy must be one of other, got"):
        configured(planner, path, environment={})


def test_a_key_that_is_not_set_is_one_line(file: Path, planner: Planner) -> None:
    with pytest.raises(ModelsError, match="must name a variable that is set, got 'KEY'"):
        configured(planner, file, environment={})

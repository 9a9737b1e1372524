"""The servers of ``head_to_head.py`` and ``serve_peers.py``: two models, and what stands before them.

Two ``llama-server`` (``real_campaign.py`` says which files they need), started with the sampling of the
campaign as their defaults, since its_hub's service passes neither a temperature nor a limit on; ``planner
serve``; and its_hub, optillm and LiteLLM from the package index, each in an environment of its own, made
at the first use under ``PLANNER_RIVALS`` (default: ``~/.cache/planner-rivals``; optillm takes 3 GB).
``PLANNER_RIVAL_PINS`` names further requirements, such as the torch of this machine: ``torch==2.13.0``.
Everything ends with this process.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from real_campaign import CONTEXT, PARAMETERS, SLOTS, weights
from served_models import free_port

from search.engines.tether import Tether
from search.errors import EngineError

__all__ = [
    "MAX_TOKENS",
    "SAMPLING",
    "its_hub",
    "its_hub_best",
    "litellm",
    "model",
    "models_file",
    "optillm",
    "planner",
    "version",
]

#: how solutions are drawn, as in the campaign
SAMPLING = {"temperature": 0.7, "top_p": 0.95, "top_k": 0, "min_p": 0.0}
MAX_TOKENS = 512
#: seconds that a server may take to start; importing optillm alone takes a minute of two cores
_STARTING = 600.0
_RIVALS = {
    "its_hub": "its_hub[iaas]==1.2.0",
    "optillm": "optillm==0.4.0",
    "litellm": "litellm[proxy]==1.108.7",
}
#: an answer in a box, as its_hub's documentation reads it
_BOXED = r"\\boxed{([^}]+)}"


def model(
    name: str, *, slots: int | None = None, context: int = CONTEXT
) -> contextlib.AbstractContextManager[str]:
    """The root of a model's server: one that runs (``PLANNER_REAL_URLS``), or one that is started.

    ``slots``: sequences at a time, by default as many as the campaign has; ``context``: tokens of each.
    """
    running = dict(pair.split("=", 1) for pair in os.environ.get("PLANNER_REAL_URLS", "").split())
    if name in running:
        return contextlib.nullcontext(running[name])
    program = os.environ.get("PLANNER_LLAMA_SERVER") or shutil.which("llama-server")
    if program is None:
        raise EngineError("PLANNER_LLAMA_SERVER must name llama-server, got none, and none is on the PATH")
    slots = slots or SLOTS[name]
    words = [program, "-m", str(weights(name)), "--alias", name, "-np", str(slots)]
    words += ["-c", str(slots * context), "-t", str(len(os.sched_getaffinity(0))), "-n", str(MAX_TOKENS)]
    for option, value in SAMPLING.items():
        words += [f"--{option.replace('_', '-').replace('temperature', 'temp')}", str(value)]
    libraries = f"{Path(program).parent}{os.pathsep}{os.environ.get('LD_LIBRARY_PATH', '')}"
    return _running(words, "/health", {"LD_LIBRARY_PATH": libraries})


def planner(models: Path, artefact: Path) -> contextlib.AbstractContextManager[str]:
    """The root of ``planner serve``."""
    words = [sys.executable, "-m", "planner", "serve", "--models", str(models), "--planner", str(artefact)]
    return _running([*words, "--running", "64"], "/readyz", {})


@contextmanager
def its_hub(door: str, name: str, *, answer: str = _BOXED) -> Iterator[str]:
    """The root of its_hub's service, configured for a vote of answers that a pattern finds: boxed ones."""
    with _running(
        [str(_installed("its_hub") / "its-iaas"), "--log-level", "WARNING"], "/v1/models", {}
    ) as url:
        settings = {"provider": "openai", "endpoint": f"{door}/v1", "api_key": "none", "model": name}
        _post(f"{url}/configure", {**settings, "alg": "self-consistency", "regex_patterns": [answer]})
        yield url


def its_hub_best(door: str, name: str) -> contextlib.AbstractContextManager[str]:
    """The root of its_hub's best-of-n, the model judging itself (``its_hub_best_of_n.py``)."""
    words = [str(_installed("its_hub") / "python"), str(Path(__file__).with_name("its_hub_best_of_n.py"))]
    return _running([*words, "--endpoint", f"{door}/v1", "--model", name], "/v1/models", {})


def optillm(door: str, name: str, *, best_of: int = 8) -> contextlib.AbstractContextManager[str]:
    """The root of optillm's proxy. ``best_of``: samples of its best-of-n, which no request can say."""
    program = str(_installed("optillm") / "optillm")
    words = [program, "--base-url", f"{door}/v1", "--model", name, "--log", "warning"]
    words += ["--best-of-n", str(best_of)]
    return _running(words, "/health", {"OPENAI_API_KEY": "none"})


@contextmanager
def litellm(door: str, name: str) -> Iterator[str]:
    """The root of LiteLLM's proxy with one model, without a key or a database."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        entry = {"model": f"openai/{name}", "api_base": f"{door}/v1", "api_key": "none"}
        # JSON is YAML
        config.write_text(json.dumps({"model_list": [{"model_name": name, "litellm_params": entry}]}))
        words = [str(_installed("litellm") / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
        # prices come with the package, and are else looked for on the net at every start; a proxy without
        # a key, which asks none of its clients, starts only where it is told to
        more = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        more |= {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
        with _running(words, "/health/liveliness", more) as url:
            yield url


def version(rival: str) -> str:
    """The version of a rival that is installed."""
    python = str(_installed(rival) / "python")
    code = f"import importlib.metadata as m; print(m.version({rival!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _installed(rival: str) -> Path:
    """The folder of programs of a rival's environment, which is made if it is not there."""
    needed = _RIVALS[rival]
    root = Path(os.environ.get("PLANNER_RIVALS", Path.home() / ".cache" / "planner-rivals"))
    folder = root / needed.partition("[")[0].replace("==", "-").partition("-")[0]
    done = folder / "installed"
    if not done.is_file() or done.read_text() != needed:
        print(f"{rival}: installing {needed} into {folder}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        # pip tries the versions of optillm's dependencies one by one for hours; uv finds them at once
        subprocess.run([str(folder / "bin" / "pip"), "install", "-q", "uv"], check=True)
        uv = [str(folder / "bin" / "uv"), "pip", "install", "-q", "--python", str(folder / "bin" / "python")]
        extra = os.environ.get("PLANNER_RIVAL_PINS", "").split() if rival == "optillm" else []
        subprocess.run([*uv, needed, *extra], check=True)
        done.write_text(needed)
    return folder / "bin"


@contextmanager
def _running(words: Sequence[str], ready: str, more: Mapping[str, str]) -> Iterator[str]:
    """The root of a server that listens on a port of its own and answers at ``ready``."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    tether = Tether()
    environment = {**os.environ, **tether.variable, **more}
    program = Path(words[0]).name
    process = subprocess.Popen(
        [*words, "--port", str(port)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + _STARTING
        while not _answers(url + ready):
            if process.poll() is not None or time.monotonic() > until:
                raise EngineError(f"{program} must start, got exit code {process.poll()}")
            time.sleep(0.5)
        yield url
    finally:
        tether.cut()
        process.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def _post(url: str, body: Mapping[str, Any]) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60):
        pass


def models_file(door: str, prices: Mapping[str, Mapping[str, float]]) -> str:
    """A models file with both models behind a door."""
    entries = []
    for name, parameters in PARAMETERS.items():
        price = prices[name]
        entries.append(
            f'[[policy]]\nname = "{name}"\nbase_url = "{door}/{name}"\nmodel = "{name}"\n'
            f"parameters = {parameters}\ncontext = {CONTEXT}\n"
            f"price = {{ input = {price['input']}, output = {price['output']} }}\n"
        )
    return "\n".join(entries)

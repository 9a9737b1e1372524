"""One small model behind vLLM's and llama.cpp's servers, ``planner serve`` before them, the official client.

    PLANNER_DATA=FOLDER PLANNER_REAL_MODELS=FOLDER PLANNER_VLLM_PYTHON=PROGRAM PLANNER_LLAMA_SERVER=PROGRAM
        python benchmarks/served_models.py [--servers vllm llamacpp] [--questions 4] [--parts NAME ...]

``PLANNER_VLLM_PYTHON`` is the Python of an environment with vLLM, ``PLANNER_LLAMA_SERVER`` llama.cpp's
``llama-server``. A server that runs already (llama.cpp's with ``--metrics``) is named by
``PLANNER_SERVED_URLS="vllm=http://... llamacpp=http://..."`` instead. The planner is fitted on
``$PLANNER_DATA/qwen_coder_gsm8k/log`` (seconds), the questions are GSM8K's.

Each part is written into ``served_models.json`` as it ends, and passed over the next time;
``served_models.md`` is written from all of them. ``--parts`` runs parts again.

*Charged* is what the answers' ``usage`` and receipts say, *told* what the server's own counters say that it
wrote between the part's begin and its end: an answer that was cut off is in both.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from openai import OpenAI
from served_page import page
from served_parts import PARTS, Setting
from served_probes import Upstream

HERE = Path(__file__).parent
MODEL, POLICY = "Qwen2.5-Coder-0.5B-Instruct", "hf05"
PARAMETERS, CONTEXT, SLOTS = 494_032_768, 1024, 8
MAX_TOKENS = 128
COUNTERS = {
    "vllm": ("vllm:prompt_tokens_total", "vllm:generation_tokens_total"),
    "llamacpp": ("llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total"),
}
#: seconds that a server may take to start
LOADING = 600.0
PRICES = "price = { input = 0.02, output = 0.05, date = 2026-11-30 }"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--servers", nargs="+", choices=list(COUNTERS), default=list(COUNTERS))
    parser.add_argument("--questions", type=int, default=4)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=[])
    parser.add_argument("--output", type=Path, default=HERE / "served_models.json")
    asked = parser.parse_args()
    found = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    for name in asked.servers:
        known = found.setdefault(name, {})
        left = asked.parts or [part for part in PARTS if part not in known]
        if not left:
            continue
        with setting(name, asked.questions) as ready:
            for part in left:
                began = time.monotonic()
                known[part] = {**PARTS[part](ready), "part_seconds": round(time.monotonic() - began, 1)}
                asked.output.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
                print(f"{name} {part}: {known[part]}", file=sys.stderr)
    asked.output.with_suffix(".md").write_text(page(found))
    print(page(found))


# -- the servers ------------------------------------------------------------------------------------


@contextmanager
def setting(name: str, count: int) -> Iterator[Setting]:
    """Both servers up, and a client."""
    data = Path(os.environ["PLANNER_DATA"])
    lines = (data / "problem_sets" / "gsm8k_test.jsonl").read_text().splitlines()[-count:]
    questions = [str(json.loads(line)["question"]) for line in lines]
    with tempfile.TemporaryDirectory() as folder, model_server(name) as url:
        models, planner = Path(folder) / "models.toml", Path(folder) / "planner"
        models.write_text(
            f'[[policy]]\nname = "{POLICY}"\nbase_url = "{url}"\nmodel = "{MODEL}"\n'
            f"parameters = {PARAMETERS}\n{PRICES}\n"
            f"sampling = {{ temperature = 0.7, top_p = 0.95, max_tokens = {MAX_TOKENS} }}\n"
        )
        log = data / "qwen_coder_gsm8k" / "log"
        command("fit", str(log), "-o", str(planner), "--trials", "0")
        port = free_port()
        words = ("serve", "--models", str(models), "--planner", str(planner), "--port", str(port))
        # the log was drawn in one process with vLLM; the policy behind a server has another fingerprint
        address = f"http://127.0.0.1:{port}"
        with (
            running([*PLANNER, *words, "--allow-foreign"], f"{address}/readyz"),
            OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
        ):
            yield Setting(
                client, Upstream(url, MODEL, *COUNTERS[name]), questions, POLICY, lambda: checked(models)
            )


@contextmanager
def model_server(name: str) -> Iterator[str]:
    """The address of a model server: one that runs, or one that ends with the block."""
    known = dict(pair.split("=", 1) for pair in os.environ.get("PLANNER_SERVED_URLS", "").split())
    if name in known:
        yield known[name]
        return
    port = str(free_port())
    folder = Path(os.environ["PLANNER_REAL_MODELS"])
    if name == "vllm":
        words = [os.environ["PLANNER_VLLM_PYTHON"], "-m", "vllm.entrypoints.openai.api_server"]
        words += ["--model", str(folder / MODEL), "--served-model-name", MODEL, "--dtype", "bfloat16"]
        words += ["--max-model-len", str(CONTEXT), "--no-enable-chunked-prefill", "--port", port]
        words += ["--max-num-batched-tokens", str(2 * CONTEXT), "--max-num-seqs", "32", "--host", "127.0.0.1"]
        more = {"VLLM_CPU_OMP_THREADS_BIND": "0-1", "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_NO_USAGE_STATS": "1"}
    else:
        program = os.environ["PLANNER_LLAMA_SERVER"]
        words = [program, "-m", str(folder / f"{MODEL}-BF16.gguf"), "--alias", MODEL, "--metrics", "-t", "2"]
        words += ["-np", str(SLOTS), "-c", str(SLOTS * CONTEXT), "--host", "127.0.0.1", "--port", port]
        more = {"LD_LIBRARY_PATH": str(Path(program).parent)}
    url = f"http://127.0.0.1:{port}"
    with running(words, f"{url}/health", more):
        yield url


@contextmanager
def running(words: Sequence[str], ready: str, more: dict[str, str] | None = None) -> Iterator[None]:
    """A process that answers at ``ready``; it ends with the block, and its children with it."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    process = subprocess.Popen(words, env={**os.environ, **(more or {})}, **quiet)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + LOADING
        while not answers(ready):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"a server must start, got none at {ready} (exit code {process.poll()})")
            time.sleep(0.5)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)


def answers(url: str) -> bool:
    """Whether a server answers with 200."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


PLANNER = [sys.executable, "-c", "from planner.cli.main import main; main()"]


def command(*words: str) -> str:
    """What ``planner`` prints."""
    return subprocess.run([*PLANNER, *words], check=True, capture_output=True, text=True).stdout


def checked(models: Path) -> dict[str, Any]:
    """What ``planner models check`` says of the one model."""
    [found] = json.loads(command("models", "check", str(models), "--json"))["models"]
    return {"can": found["can"], "missing": found["missing"]}


def free_port() -> int:
    """A port nobody has."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


if __name__ == "__main__":
    main()

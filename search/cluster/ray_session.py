"""A connection to Ray, for as long as a command needs it. The only file that starts or stops Ray."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from search.errors import ClusterError, MissingExtraError

__all__ = ["AUTO", "LOCAL", "ray_module", "ray_session"]

#: the cluster that the environment names (RAY_ADDRESS) or that runs on this machine; else one of its own
AUTO = "auto"
#: a cluster of this process alone, which ends with it
LOCAL = "local"

#: bytes of the store of objects of a cluster that ends with the command: units and their rows are small
_OBJECTS = 100 * 1024 * 1024


def ray_module() -> Any:
    """The package. Raises MissingExtraError."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "work on a cluster needs Ray, got no such module; pip install 'test-time-planner[ray]'"
        ) from error
    return ray


@contextmanager
def ray_session(address: str = AUTO, *, cpus: int | None = None) -> Iterator[Any]:
    """Connect, give the package, and disconnect; a cluster that was started here ends with it.

    ``address``: ``HOST:PORT`` of a head node, ``ray://HOST:PORT``, ``auto`` or ``local``. ``cpus``: how many
    a cluster that is started here says it has; by default those of the machine. Where the process is
    connected already, that connection is used and stays. Raises ClusterError where nobody answers.
    """
    ray = ray_module()
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # an actor that asks for no GPU keeps what its node's environment shows it, and Ray warns of nothing
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    own = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": _OBJECTS}
    try:
        if address == LOCAL:
            ray.init(address="local", **quiet, **own)
        elif address != AUTO:
            ray.init(address=address, **quiet)
        elif os.environ.get("RAY_ADDRESS"):
            ray.init(**quiet)
        else:
            try:
                ray.init(address="auto", **quiet)
            except ConnectionError:  # no cluster runs here
                ray.init(address="local", **quiet, **own)
    except Exception as error:  # Ray raises bare ones where a node does not start in time
        ray.shutdown()
        said = str(error).partition("\n")[0]
        raise ClusterError(f"a Ray cluster must answer, got {address!r}: {said}") from error
    try:
        yield ray
    finally:
        ray.shutdown()

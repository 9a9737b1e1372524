"""As much of Ray as ``search.cluster`` uses, in this process: actors are objects, their calls run in threads.

Arguments and answers are pickled, as on their way between machines. ``die`` ends an actor as a kill does:
what it does is lost, and after ``restarts`` calls it is there again, made anew. Used by the tests of what
happens when actors die, and by anybody who writes such tests.
"""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

__all__ = ["ActorDiedError", "FakeActor", "FakeRay", "RayError", "RayTaskError"]


class RayError(Exception):
    """Ray's root."""


class RayTaskError(RayError):
    """A method raised; ``cause`` is what."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(repr(cause))
        self.cause = cause


class ActorDiedError(RayError):
    """The actor died while it worked, or is not there."""


class _Answer(Future[Any]):
    """As an ObjectRef: it can be awaited, and got."""

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self).__await__()


class FakeActor:
    """One actor, and the methods of its object as ``actor.NAME.remote(...)``. ``most_open``: the most calls
    that were under way or waiting at a time."""

    def __init__(self, make: Callable[[], object], restarts: int, at_a_time: int) -> None:
        self._make = make
        self._turns = threading.Semaphore(at_a_time)  # an actor does its calls one after the other
        self._restarts = restarts
        self._lock = threading.Lock()
        self._life = 0
        self._away = 0
        self._object: object | None = None
        self._open: dict[Future[Any], int] = {}
        self.is_killed = False
        self.most_open = 0

    def __getattr__(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(remote=lambda *values: self._call(name, values))

    def die(self) -> None:
        """End it now; its calls fail."""
        with self._lock:
            self._life += 1
            self._away, self._object = self._restarts, None
            open_, self._open = dict(self._open), {}
        for future in open_:
            future.set_exception(ActorDiedError("the actor's process was killed"))

    def _call(self, name: str, values: tuple[Any, ...]) -> Future[Any]:
        future = _Answer()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self.is_killed or self._away:
                self._away = max(0, self._away - 1)
                future.set_exception(ActorDiedError("the actor is not there"))
            else:
                self._open[future] = self._life
                self.most_open = max(self.most_open, len(self._open))
                threading.Thread(target=self._work, args=(future, name, pickle.dumps(values))).start()
        return future

    def _work(self, future: Future[Any], name: str, packed: bytes) -> None:
        try:
            with self._lock:
                if self._object is None:
                    self._object = self._make()
                target = self._object
            with self._turns:
                found = pickle.loads(pickle.dumps(getattr(target, name)(*pickle.loads(packed))))
        except BaseException as error:
            self._answer(future, None, error)
        else:
            self._answer(future, found, None)

    def _answer(self, future: Future[Any], found: Any, error: BaseException | None) -> None:
        with self._lock:
            if self._open.pop(future, None) is None:
                return  # it died meanwhile
        if error is None:
            future.set_result(found)
        else:
            future.set_exception(RayTaskError(error))


class FakeRay:
    """The package. ``actors``: all that were made, in order. ``restarts``: calls that find a dead one
    away."""

    cloudpickle = pickle
    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError, ActorDiedError=ActorDiedError)

    def __init__(self, restarts: int = 1) -> None:
        self.actors: list[FakeActor] = []
        self.options: list[dict[str, Any]] = []
        self._restarts = restarts

    def remote(self, made: Callable[..., object]) -> SimpleNamespace:
        """As ``ray.remote`` of a class."""

        def options(**asked: Any) -> SimpleNamespace:
            def make(*values: Any) -> FakeActor:
                packed = pickle.dumps(values)
                at_a_time = asked.get("max_concurrency", 1)
                actor = FakeActor(lambda: made(*pickle.loads(packed)), self._restarts, at_a_time)
                self.actors.append(actor)
                self.options.append(asked)
                return actor

            return SimpleNamespace(remote=make)

        return SimpleNamespace(options=options)

    def put(self, value: Any) -> Any:
        """As ``ray.put``: what is passed on is the value itself."""
        return value

    def get(self, answers: list[Future[Any]]) -> list[Any]:
        """As ``ray.get``."""
        return [answer.result() for answer in answers]

    def kill(self, actor: FakeActor) -> None:
        """End an actor for good."""
        actor.is_killed = True
        actor.die()

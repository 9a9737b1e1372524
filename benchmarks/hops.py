"""What a reader has to walk through: files, functions and objects of one ``solve`` and of one HTTP request.

    python benchmarks/hops.py
    python benchmarks/hops.py --list     # names the files and the classes, too
    python benchmarks/hops.py --json

The lab's planner answers one question after a first one that loaded everything, so that only the work of a
request is seen. A profile counts what runs in every thread: files and functions of the three packages, and
the objects of their classes that are made. Engines and rewards are counted apart: a user has others. The
figures of the first review of the code stand beside them, for orientation.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import socket
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import uvicorn

import planner
from planner.cli.printing import print_table
from planner.server.app import create_app
from planner.server.run import settings
from planner.server.serve import service_of
from planner.server.settings import ServeSettings

ROOT = Path(planner.__file__).resolve().parents[1]
PACKAGES = ("planner", "search", "training")
#: what writes tokens and scores steps, and how it is reached
MODELS = ("search/engines/", "search/rewards/", "search/remote/")
QUESTION = "With the numbers 12,9,20,5 you must reach 18 where only +,- is allowed"
TOKENS = 800
#: of the first review: files and functions of a solve, files and objects of a request over HTTP
REVIEW = {"solve": {"files": 46, "functions": 213}, "http": {"files": 83, "objects": 26}}


@dataclass
class Walk:
    """What ran while it was watched."""

    code: set[CodeType] = field(default_factory=set)
    made: Counter[str] = field(default_factory=Counter)
    calls: int = 0

    def of(self, models: bool) -> dict[str, int]:
        """Files and functions: those of models, or all others."""
        found = [code for code in self.code if is_model(code) is models]
        return {"files": len({code.co_filename for code in found}), "functions": len(found)}

    def files(self) -> list[str]:
        """Their paths in the project."""
        return sorted({place(code) for code in self.code})

    @property
    def objects(self) -> int:
        """Objects of classes of the packages, without those of models."""
        return sum(self.requested.values())

    @property
    def requested(self) -> dict[str, int]:
        """Class -> how many were made, without those of models."""
        prefixes = tuple(folder.replace("/", ".") for folder in MODELS)
        return {name: count for name, count in self.made.most_common() if not name.startswith(prefixes)}


def place(code: CodeType) -> str:
    """The path of the file that a function stands in, from the project's root."""
    return Path(code.co_filename).resolve().relative_to(ROOT).as_posix()


def is_model(code: CodeType) -> bool:
    """Whether a function belongs to an engine or a reward."""
    return place(code).startswith(MODELS)


class Watch:
    """A profile of all threads that begin after it was made, and of the one that makes it."""

    def __init__(self) -> None:
        self._walk: Walk | None = None
        self._folders = tuple(f"{ROOT / package}{os.sep}" for package in PACKAGES)
        threading.setprofile(self._see)
        sys.setprofile(self._see)

    @contextmanager
    def walk(self) -> Iterator[Walk]:
        """What runs until the end of the block."""
        gc.collect()
        self._walk = walk = Walk()
        try:
            yield walk
        finally:
            self._walk = None

    def _see(self, frame: FrameType, event: str, _: Any) -> None:
        walk = self._walk
        if walk is None or event != "call":
            return
        code = frame.f_code
        if code.co_filename.startswith(self._folders):
            walk.code.add(code)
            walk.calls += 1
        if code.co_name in ("__init__", "__new__") and (made := self._made(frame)) is not None:
            walk.made[made] += 1

    def _made(self, frame: FrameType) -> str | None:
        """The class of an object of ours that is being made; None within its parent's ``__init__``."""
        names = frame.f_code.co_varnames
        one = frame.f_locals.get(names[0]) if names else None
        if one is None:
            return None
        kind: type = one if frame.f_code.co_name == "__new__" else type(one)
        if not isinstance(kind, type) or kind.__module__.partition(".")[0] not in PACKAGES:
            return None
        back = frame.f_back
        if back is not None and back.f_code.co_name == "__init__":
            outer = back.f_code.co_varnames
            if outer and back.f_locals.get(outer[0]) is one:
                return None
        return f"{kind.__module__}.{kind.__qualname__}"


def solved(watch: Watch) -> Walk:
    """One ``solve`` of the lab's planner, in this process."""
    lab = planner.load("lab")
    lab.solve(QUESTION, tokens=TOKENS)
    with watch.walk() as walk:
        lab.solve(QUESTION, tokens=TOKENS)
    lab.close()
    return walk


def requested(watch: Watch) -> Walk:
    """One chat completion of ``planner serve --lab``, over HTTP, in this process."""
    service = service_of(ServeSettings(lab=True), {})
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{bound.getsockname()[1]}"
        server = uvicorn.Server(settings(create_app(service), service, grace=2.0))
        ready = threading.Event()

        async def serve() -> None:
            running = asyncio.ensure_future(server.serve(sockets=[bound]))
            while not server.started and not running.done():
                await asyncio.sleep(0.01)
            ready.set()
            await running

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        ready.wait()
        ask(address)
        with watch.walk() as walk:
            ask(address)
        server.should_exit = True
        thread.join()
    return walk


def ask(address: str) -> dict[str, Any]:
    """The answer to one chat completion."""
    body = {
        "model": "planner",
        "messages": [{"role": "user", "content": QUESTION}],
        "budget": {"tokens": TOKENS},
    }
    request = urllib.request.Request(
        f"{address}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        found: dict[str, Any] = json.load(response)
    return found


def figures(walk: Walk) -> dict[str, int]:
    """What is printed of one walk."""
    models = walk.of(models=True)
    return {
        **walk.of(models=False),
        "objects": walk.objects,
        "classes": len(walk.requested),
        "calls": walk.calls,
        "model files": models["files"],
        "model functions": models["functions"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="name the files and the classes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    watch = Watch()
    ways: dict[str, Callable[[Watch], Walk]] = {"solve": solved, "http": requested}
    walks = {name: way(watch) for name, way in ways.items()}
    found = {name: figures(walk) for name, walk in walks.items()}
    if asked.json:
        print(json.dumps({"now": found, "review": REVIEW}, indent=2))
        return
    rows = [
        [name, what, str(REVIEW[name].get(what, "")), str(number)]
        for name, one in found.items()
        for what, number in one.items()
    ]
    print_table("One request of the lab", ["way", "what", "first review", "now"], rows, left=2)
    if asked.list:
        for name, walk in walks.items():
            print(f"\n{name}: files\n  " + "\n  ".join(walk.files()))
            print(f"{name}: objects\n  " + "\n  ".join(f"{n} {kind}" for kind, n in walk.requested.items()))


if __name__ == "__main__":
    main()

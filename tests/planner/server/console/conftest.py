"""A real Chromium, and servers for it to visit.

The browser is the one that the machine has (Debian's ``chromium``); nothing is downloaded. Where there is
none its tests skip by name; with PLANNER_REQUIRE_CHROMIUM=1 they fail instead.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.types import ASGIApp

sys.path.insert(0, str(Path(__file__).parent))

from fake_api import FakeApi

_NAMES = ("chromium", "chromium-browser", "google-chrome")

#: what a container needs: no user namespaces, a small /dev/shm, no GPU
_FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")

#: a page under test is slow when the machine has other work; no test measures time
_PATIENCE = 60_000

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module. Asynchronous tests cannot run beside Playwright's own loop."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        message = f"needs a Chromium, got none of {', '.join(_NAMES)} (apt-get install chromium)"
        if os.environ.get("PLANNER_REQUIRE_CHROMIUM") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        expect.set_options(timeout=_PATIENCE)
        yield started
        started.close()


@contextlib.contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The address of an application that is served on a free port of this machine meanwhile."""
    config = uvicorn.Config(
        app, port=0, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server must start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def api() -> FakeApi:
    """The fake that ``visit`` goes to; a test may change what it says."""
    return FakeApi()


@pytest.fixture
def visit(browser: Browser, api: FakeApi) -> Iterator[Visit]:
    """Opens the console over ``api``; keyword arguments are those of a browser context.

    At the end, no page may have said an error, broken its content policy or asked another host.
    """
    with served(api.app()) as address, watched(browser, address) as opened:
        yield opened


@contextlib.contextmanager
def watched(browser: Browser, address: str) -> Iterator[Visit]:
    """Opens pages of ``address`` and watches them; see ``visit``."""
    wrong: list[str] = []
    expected: list[str] = []
    contexts = []

    def opened(hash_: str = "", *, allow: tuple[str, ...] = (), **options: Any) -> Page:
        context = browser.new_context(**{"reduced_motion": "reduce", **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE)
        expected.extend(allow)
        page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda r: None if r.url.startswith((address, "data:")) else wrong.append(r.url))
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', "
            "(e) => console.error('content policy: ' + e.violatedDirective + ' ' + e.blockedURI))"
        )
        page.goto(address + hash_)
        return page

    try:
        yield opened
    finally:
        for context in contexts:
            context.close()
    assert [text for text in wrong if not any(part in text for part in expected)] == []

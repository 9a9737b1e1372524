"""Pages that are served, visited and watched: nothing that goes wrong in one stays unseen."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from playwright.sync_api import Browser, Page
from starlette.types import ASGIApp

__all__ = ["PATIENCE", "Visit", "served", "watched"]

#: a page under test is slow when the machine has other work; no test measures time. In ms
PATIENCE = 60_000

#: opens a page at a hash of an address; ``allow``: parts of errors that it may say
Visit = Callable[..., Page]


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
        page.set_default_timeout(PATIENCE)
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

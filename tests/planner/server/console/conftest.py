"""A real Chromium, and servers for it to visit.

The browser is the one that the machine has (Debian's ``chromium``); nothing is downloaded. Where there is
none its tests skip by name; with PLANNER_REQUIRE_CHROMIUM=1 they fail instead.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from fake_api import FakeApi
from visiting import PATIENCE, Visit, served, watched

_NAMES = ("chromium", "chromium-browser", "google-chrome")

#: what a container needs: no user namespaces, a small /dev/shm, no GPU
_FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")


@contextmanager
def _launched(*flags: str) -> Iterator[Browser]:
    """A Chromium with more flags. Asynchronous tests cannot run beside Playwright's own loop."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        message = f"needs a Chromium, got none of {', '.join(_NAMES)} (apt-get install chromium)"
        if os.environ.get("PLANNER_REQUIRE_CHROMIUM") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=[*_FLAGS, *flags])
        expect.set_options(timeout=PATIENCE)
        yield started
        started.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module."""
    with _launched() as started:
        yield started


@pytest.fixture(scope="module")
def rebound() -> Iterator[Browser]:
    """A Chromium for which every name ends on this machine, as after DNS rebinding."""
    # newer ones ask the reader first; older ones and other browsers do not
    flags = "--host-resolver-rules=MAP * 127.0.0.1", "--disable-features=LocalNetworkAccessChecks"
    with _launched(*flags) as started:
        yield started


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

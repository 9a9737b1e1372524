"""Pages of other sites in a real Chromium: under a rebound name, and across sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from planner.server.access.origins import Origins
from planner.server.service import Service

QUESTION = "work out the sum of 3 + 41 + 7"

#: what a page can do: read what was asked, ask, and act
ATTACK = """
async ([base, question]) => {
  const said = [];
  const post = (body) => ({ method: "POST", headers: { "content-type": "application/json" },
                            body: JSON.stringify(body) });
  const chat = { model: "planner", messages: [{ role: "user", content: question }] };
  for (const [path, options] of [
    ["v1/decisions", {}],
    ["v1/chat/completions", post(chat)],
    ["admin/reload", { method: "POST" }],
    ["admin/reload", { method: "POST", mode: "no-cors" }],
  ]) {
    try {
      const found = await fetch(base + path, options);
      said.push([found.status, await found.text()]);
    } catch (error) {
      said.push([0, String(error)]);
    }
  }
  return said;
}
"""


@pytest.fixture
def house(service_of: Callable[..., Service], serving: Callable[[Service], Any]) -> Any:
    """A server without keys that has answered a question, and that lets one other site in."""
    house = serving(service_of(origins=Origins(allowed=("http://app.example",))))
    body = {"model": "planner", "messages": [{"role": "user", "content": QUESTION}]}
    assert httpx.post(f"{house.v1}/chat/completions", json=body).status_code == 200
    return house


@pytest.fixture
def page_at(rebound: Browser) -> Iterator[Callable[[str], Page]]:
    """Opens an empty page that an attacker serves at an address."""
    context = rebound.new_context()

    def opened(address: str) -> Page:
        page = context.new_page()
        page.route(address, lambda route: route.fulfill(body="<title>page</title>", content_type="text/html"))
        page.goto(address)
        return page

    yield opened
    context.close()


def counted(house: Any) -> tuple[int, int]:
    """Decisions that were written down, and reloads."""
    decisions = httpx.get(f"{house.v1}/decisions").json()["data"]
    return len(decisions), house.service.current.reloads


def test_a_page_under_a_rebound_name_reads_and_does_nothing(
    house: Any, page_at: Callable[[str], Page]
) -> None:
    base = house.url.replace("127.0.0.1", "rebound.example") + "/"
    said = page_at(base + "attack").evaluate(ATTACK, [base, QUESTION])
    assert [status for status, _ in said] == [421] * 4
    assert not any(QUESTION in text for _, text in said)
    assert counted(house) == (1, 0)


def test_a_page_of_another_site_reads_and_does_nothing(house: Any, page_at: Callable[[str], Page]) -> None:
    said = page_at("http://evil.example/attack").evaluate(ATTACK, [house.url + "/", QUESTION])
    assert [status for status, _ in said] == [0] * 4
    assert not any(QUESTION in text for _, text in said)
    assert counted(house) == (1, 0)


def test_a_page_that_is_allowed_asks_and_reads(house: Any, page_at: Callable[[str], Page]) -> None:
    said = page_at("http://app.example/page").evaluate(ATTACK, [house.url + "/", QUESTION])
    assert [status for status, _ in said] == [200, 200, 200, 0]  # no-cors tells a page nothing
    assert QUESTION in said[0][1]
    assert counted(house) == (2, 2)


def test_the_servers_own_page_is_shown(house: Any, page_at: Callable[[str], Page]) -> None:
    page = page_at("http://app.example/page")
    for name in ("127.0.0.1", "localhost"):
        found = page.goto(house.url.replace("127.0.0.1", name) + "/")
        assert found is not None
        assert found.status == 200

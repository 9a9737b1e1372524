"""The page of the API in a real browser: over the server's own document, and over documents that attack."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from houses import House
from playwright.sync_api import Browser, Locator, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from visiting import Visit, served, watched

from planner.server.console import mount

Json = dict[str, Any]

MARKUP = '<img src=x onerror="alert(1)"><script>alert(2)</script>"\'$(reboot)`<svg/onload=alert(3)>'


@pytest.fixture
def address(house: House) -> str:
    """Where the real server answers, over scripted models."""
    return f"{house.url}/"


@pytest.fixture
def docs(browser: Browser, address: str) -> Iterator[Visit]:
    """Opens pages of the real application."""
    with watched(browser, address) as opened:
        yield opened


@pytest.fixture
def docs_of(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens the page over a document that a test gives."""
    given: list[Any] = []

    async def answer(request: Request) -> Response:
        return JSONResponse(given[-1])

    app = Starlette()
    mount(app)
    app.add_route("/openapi.json", answer)
    with served(app) as found, watched(browser, found) as opened:

        def over(document: Any, **options: Any) -> Page:
            given.append(document)
            return opened("docs", **options)

        yield over


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


def test_every_operation_of_the_document_is_shown_under_its_tag(docs: Visit, address: str) -> None:
    document = httpx.get(f"{address}openapi.json").json()
    page = docs("docs")
    expect(page).to_have_title("API · Test-time planner")
    wanted = [
        (one["tags"][0], f"{method} {path}")
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    ]
    expect(page.get_by_role("article")).to_have_count(len(wanted))
    shown = [
        (tag["name"], title)
        for tag in document["tags"]
        for title in page.get_by_role("region", name=tag["name"], exact=True)
        .get_by_role("heading", level=3)
        .all_text_contents()
    ]
    assert sorted(shown) == sorted(wanted)
    expect(page.get_by_role("navigation", name="Operations").get_by_role("link")).to_have_count(len(wanted))


def test_parameters_bodies_and_answers_are_told(docs: Visit) -> None:
    page = docs("docs")
    decisions = card(page, "get /v1/decisions")
    expect(decisions.locator(".fields li", has_text="limit")).to_contain_text("≥ 1, ≤ 1000, default 50")
    expect(decisions).to_contain_text("next is the before of the next page")
    chat = card(page, "post /v1/chat/completions")
    chat.get_by_text("Body: ChatBody").click()
    expect(chat.locator(".fields > li").first).to_contain_text("array of Message")
    expect(chat.locator(".fields > li").first).to_contain_text("required")
    chat.get_by_text("Fields of Message").click()
    expect(chat).to_contain_text('"system" | "developer" | "user" | "assistant" | "tool" | "function"')
    chat.get_by_text("Fields of BudgetBody").click()
    expect(chat).to_contain_text("target_accuracy")
    chat.get_by_text("200, application/json: ChatCompletion").click()
    chat.get_by_text("Fields of Usage").click()
    expect(chat).to_contain_text("completion_tokens")
    chat.get_by_text("Errors").click()
    expect(chat).to_contain_text("Too many requests; Retry-After says when to try again.")


def test_commands_are_such_as_the_server_takes(docs: Visit, address: str) -> None:
    page = docs("docs")
    asked = 0
    expect(page.get_by_role("article")).not_to_have_count(0)
    for article in page.get_by_role("article").all():
        words = shlex.split(article.get_by_label("Command", exact=True).inner_text().replace("\\\n", ""))
        (url,) = (word for word in words if word.startswith(address))
        body = words[words.index("-d") + 1] if "-d" in words else None
        method = "POST" if body is not None or "POST" in words else "GET"
        answered = httpx.request(method, url, content=body, headers={"content-type": "application/json"})
        # the decision of the example is unknown here
        expected = {404} if "chatcmpl-" in f"{url}{body}" else {200}
        assert answered.status_code in expected, (url, answered.text)
        asked += 1
    assert asked > 10


def test_a_command_is_copied(docs: Visit) -> None:
    page = docs("docs", permissions=["clipboard-read", "clipboard-write"])
    plan = card(page, "post /v1/plan")
    button = plan.get_by_role("button", name="Copy the command for post /v1/plan")
    button.focus()
    page.keyboard.press("Enter")
    expect(plan.get_by_role("status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == plan.locator("pre").inner_text()


def test_without_a_clipboard_the_command_is_marked(docs: Visit) -> None:
    page = docs("docs")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    plan = card(page, "post /v1/plan")
    plan.get_by_role("button", name="Copy").click()
    expect(plan.get_by_role("status")).to_have_text("Marked")
    assert page.evaluate("String(getSelection())").strip() == plan.locator("pre").inner_text()


def test_an_operation_has_an_address(docs: Visit) -> None:
    page = docs("docs#get-v1-decisions")
    expect(card(page, "get /v1/decisions")).to_be_in_viewport()
    page.get_by_role("link", name="get /healthz").click()
    expect(card(page, "get /healthz")).to_be_in_viewport()
    assert page.url.endswith("#get-healthz")


def test_the_console_and_the_page_lead_to_each_other(docs: Visit) -> None:
    page = docs()
    page.get_by_role("navigation", name="Views").get_by_role("link", name="API").click()
    expect(page.get_by_role("heading", name="API", exact=True)).to_be_visible()
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Now").click()
    expect(page.get_by_role("heading", name="Now")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(docs: Visit, scheme: str) -> None:
    page = docs("docs", viewport={"width": 360, "height": 740}, color_scheme=scheme)
    chat = card(page, "post /v1/chat/completions")
    for words in ("Body: ChatBody", "Fields of Message", "200, application/json: ChatCompletion", "Errors"):
        chat.get_by_text(words).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    brightness = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert all(value > 200 if scheme == "light" else value < 60 for value in brightness[:3])


def hostile() -> Json:
    """Markup wherever a document has text, and a schema that holds itself."""
    node = {
        "type": "object",
        "required": [MARKUP],
        "properties": {
            MARKUP: {"type": "string", "description": MARKUP, "enum": [MARKUP], "default": MARKUP},
            "child": {"$ref": "#/components/schemas/Node"},
            "round": {"$ref": "#/components/schemas/Round"},
            "list": {"$ref": "#/components/schemas/List"},
            "__proto__": {"$ref": "#/nowhere"},
        },
    }
    body = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Node"}, "example": {MARKUP: MARKUP}}
    }
    operation = {
        "tags": [MARKUP],
        "description": f"``{MARKUP}`` {MARKUP}",
        "parameters": [{"name": MARKUP, "in": MARKUP, "description": MARKUP, "schema": {"type": MARKUP}}],
        "requestBody": {"content": body},
        "responses": {"200": {"content": {MARKUP: {"schema": {}}}}, MARKUP: {"description": MARKUP}},
        "security": [{"key": []}],
    }
    return {
        "info": {"title": MARKUP, "version": MARKUP, "description": MARKUP},
        "paths": {f"/{MARKUP}": {"post": operation}, "/empty": {"get": {}}},
        "components": {
            "schemas": {
                "Node": node,
                "Round": {"anyOf": [{"$ref": "#/components/schemas/Round"}, {"type": "null"}]},
                "List": {"type": "array", "items": {"$ref": "#/components/schemas/List"}},
            }
        },
    }


def test_markup_is_shown_and_never_run(docs_of: Callable[..., Page]) -> None:
    page = docs_of(hostile())
    expect(page.get_by_role("article")).to_have_count(2)
    article = page.get_by_role("article").first
    article.get_by_text("Body: Node").click()
    children = article.locator(".field-name", has_text="child")
    for level in range(1, 6):  # a node within a node
        expect(children).to_have_count(level)
        article.get_by_text("Fields of Node").last.click()
    expect(children).to_have_count(6)
    expect(article.locator(".field-name", has_text="<script>alert(2)</script>").first).to_be_visible()
    article.get_by_text("Errors").click()
    expect(page.get_by_role("heading", name=MARKUP, exact=True)).to_be_visible()
    assert page.locator("main img, main script, main [onerror], main [onload]").count() == 0
    # and the command stays one command: no word of the document leaves its quotes
    command = article.get_by_label("Command", exact=True).inner_text()
    words = shlex.split(command.replace("\\\n", ""))
    assert [words[0], *words[2:7]] == [
        *("curl", "-H", "authorization: Bearer $PLANNER_KEY"),
        *("-H", "content-type: application/json", "-d"),
    ]
    assert json.loads(words[7]) == {MARKUP: MARKUP}
    assert len(words) == 8


@pytest.mark.parametrize("document", [{}, {"paths": {}}])
def test_a_document_without_operations_is_an_empty_page(docs_of: Callable[..., Page], document: Json) -> None:
    page = docs_of(document)
    expect(page.get_by_role("heading", name="API", exact=True)).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(0)


def test_a_server_that_does_not_answer_is_told(docs: Visit) -> None:
    page = docs(allow=("ERR_FAILED",))
    page.route("**/openapi.json", lambda route: route.abort())
    page.goto(page.url.split("#")[0] + "docs")
    expect(page.get_by_role("alert")).to_have_text("The server does not answer.")

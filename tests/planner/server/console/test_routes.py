"""The console's files: what is served where, with which headers, and that nothing in them asks elsewhere."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from planner.models import shipped
from planner.planner import Planner
from planner.server.console import CONTENT_POLICY, mount
from planner.server.console.routes import HEADERS, pages

PAGES = {page.path: page for page in pages()}
SCRIPTS = [path for path in PAGES if path.endswith(".js")]
STYLES = [path for path in PAGES if path.endswith(".css")]
DOCUMENTS = [path for path, page in PAGES.items() if page.kind.startswith("text/html")]


@pytest.fixture
def client() -> TestClient:
    app = Starlette()
    mount(app)
    return TestClient(app)


def text(path: str) -> str:
    return PAGES[path].body.decode()


def test_the_documents_are_the_console_and_the_page_of_the_api() -> None:
    assert DOCUMENTS == ["/", "/docs"]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_is_markup(client: TestClient, path: str) -> None:
    answered = client.get(path)
    assert answered.status_code == 200
    assert answered.headers["content-type"] == "text/html; charset=utf-8"
    assert answered.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("path", PAGES)
def test_every_file_is_served_with_its_headers(client: TestClient, path: str) -> None:
    answered = client.get(path)
    assert answered.status_code == 200
    assert answered.content == PAGES[path].body
    assert answered.headers["content-type"] == PAGES[path].kind
    for name, value in HEADERS.items():
        assert answered.headers[name] == value


def test_the_content_policy_allows_nothing_inline_and_no_other_host() -> None:
    rules = dict(rule.strip().split(" ", 1) for rule in CONTENT_POLICY.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "'self' data:"
    for name in ("script-src", "style-src", "connect-src"):
        assert rules.pop(name) == "'self'"
    assert set(rules.values()) == {"'none'"}
    assert rules.keys() == {"base-uri", "frame-ancestors", "form-action"}


def test_a_file_that_the_client_holds_is_not_sent_again(client: TestClient) -> None:
    tag = client.get("/console/main.js").headers["etag"]
    again = client.get("/console/main.js", headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == CONTENT_POLICY
    assert client.get("/console/main.js", headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/console/", "/console/nothing.js", "/console/../routes.py", "/console/%2e%2e/routes.py", "/console"],
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_only_reading_is_possible(client: TestClient) -> None:
    assert client.head("/").status_code == 200
    assert client.head("/").content == b""
    assert client.post("/").status_code == 405


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_refers_to_files_that_are_there(document: str) -> None:
    referred = re.findall(r'(?:href|src)="(console/[^"]+)"', text(document))
    assert len(referred) > 6
    for path in referred:
        assert f"/{path}" in PAGES


@pytest.mark.parametrize("path", SCRIPTS)
def test_modules_import_files_that_are_there(path: str) -> None:
    for name in re.findall(r'^import .*? from "(.+?)";$', text(path), re.MULTILINE | re.DOTALL):
        parts: list[str] = []
        for part in PurePosixPath(path).parent.joinpath(name).parts:
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        assert str(PurePosixPath(*parts)) in PAGES, name


@pytest.mark.parametrize("path", SCRIPTS)
def test_every_module_is_imported_by_another_or_by_a_document(path: str) -> None:
    name = PurePosixPath(path).name
    assert any(path.removeprefix("/") in text(document) for document in DOCUMENTS) or any(
        re.search(rf'from "[^"]*/{re.escape(name)}"', text(other)) for other in SCRIPTS if other != path
    )


@pytest.mark.parametrize("path", SCRIPTS)
def test_text_is_never_parsed_as_markup_or_as_code(path: str) -> None:
    parsers = (
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "setHTML", "document.write", "DOMParser"),
        *("createContextualFragment", "srcdoc", "eval(", "new Function", "javascript:"),
    )
    assert [name for name in parsers if name in text(path)] == []


@pytest.mark.parametrize("path", [*SCRIPTS, *STYLES, *DOCUMENTS, "/console/favicon.svg"])
def test_no_file_names_another_host(path: str) -> None:
    found = set(re.findall(r"https?://[^\s\"'<>)]+", text(path)))
    assert found <= {"http://www.w3.org/2000/svg"}  # a namespace, which nobody fetches


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_document_holds_no_inline_script_style_or_handler(path: str) -> None:
    document = text(path)
    assert re.search(r"<style|\sstyle=|\son\w+=", document) is None
    assert all(re.search(r"\ssrc=", tag) for tag in re.findall(r"<script[^>]*>", document))


def test_the_examples_belong_to_the_domains_that_they_name() -> None:
    script = text("/console/try/examples.js")
    examples = re.findall(r'domain: "(\w+)",\s*question:\s*"([^"]+)"', script)
    assert len(examples) == script.count("domain:") > 5
    planner = Planner.load(shipped("planner"))
    for name, question in examples:
        assert planner.assign(question).domain == name

"""The console over the real server on the shipped models: as over the fake, with nothing scripted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from visiting import Visit, watched

pytestmark = pytest.mark.slow

KEY = "pk-a-key-for-a-test-0123456789"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where ``planner serve --lab`` answers, with a key and a decision log of its own."""
    folder: Path = tmp_path_factory.mktemp("lab")
    command = [sys.executable, "-c", "from planner.cli.main import main; main()", "serve", "--lab"]
    options = ["--port", "0", "--decisions", str(folder / "decisions.db")]
    environment = {**os.environ, "PLANNER_API_KEY": KEY}
    with subprocess.Popen(
        command + options, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            found = next(filter(None, (re.search(r"http://\S+", line) for line in server.stdout)), None)
            assert found is not None, "the server must say where it listens"
            yield found[0] + "/"
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """As over the fake."""
    with watched(browser, address) as opened:
        yield opened


def enter(page: Page) -> None:
    """Give the key that the server wants."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Key").fill(KEY)
    dialog.get_by_role("button", name="Use this key").click()
    expect(page.locator("#policy option", has_text="lab-policy-m")).to_have_count(1)


@pytest.mark.parametrize("plan", ["beam_search(n=16, width=4)", "dvts(n=8, width=4)", "weighted_vote(n=8)"])
def test_a_search_is_watched_and_kept(visit: Visit, plan: str) -> None:
    page = visit(allow=("401",))
    enter(page)
    page.get_by_label("Plan", exact=True).fill(plan)
    page.get_by_role("button", name="Ask", exact=True).click()
    answer = page.get_by_role("region", name="The answer")
    expect(answer.get_by_text("Was it right?")).to_be_visible()
    search = page.get_by_role("region", name="The search")
    n = int(re.findall(r"n=(\d+)", plan)[0])
    finished = search.locator(".node.finished").count()
    assert 1 <= finished <= n
    assert search.locator(".node.unscored:not(.root)").count() == 0
    assert (search.locator(".node.pruned").count() > 0) == ("width" in plan)
    # the chosen solution stands in the tree, and the receipt counts what was spent
    expect(search.locator(".node.chosen.finished")).to_have_count(1)
    spent = answer.get_by_role("row", name="Tokens").locator("td").last.inner_text()
    expect(search.locator(".meter b")).to_have_text(f"{spent} tokens")
    answer.get_by_role("button", name="Right", exact=True).click()
    expect(answer.get_by_text("Thank you, kept.")).to_be_visible()
    answer.get_by_role("link", name=re.compile("^chatcmpl-")).click()
    record = page.get_by_role("article")
    expect(record).to_contain_text("you must reach 18")
    expect(record).to_contain_text("\u2713 right")
    expect(record.get_by_role("row", name="Tokens").locator("td").last).to_have_text(spent)


def test_the_planners_own_way(visit: Visit) -> None:
    page = visit(allow=("401",))
    enter(page)
    page.get_by_role("button", name="A sum").click()
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("region", name="The answer").locator(".result")).to_have_text("157")
    plan = page.get_by_role("region", name="The plan", exact=True)
    assert plan.locator(".alternatives tbody tr").count() > 3
    page.get_by_role("link", name="Now").click()
    expect(page.get_by_role("region", name="Plans chosen").get_by_role("listitem").first).to_be_visible()
    expect(page.get_by_role("region", name="Health").get_by_text("lab-prm-good")).to_be_visible()
    page.get_by_role("link", name="Decisions").click()
    page.get_by_label("Text").fill("(13+64)")
    page.locator(".entry").first.click()
    record = page.get_by_role("article")
    record.get_by_text("Main factors").click()
    expect(record.locator(".why tbody tr").first).to_be_visible()


def test_markup_in_a_question_is_shown_and_never_run(visit: Visit) -> None:
    page = visit(allow=("401",))
    enter(page)
    question = "<img src=x onerror=alert(1)> What is (13+64)+80?<script>alert(2)</script>"
    page.get_by_role("textbox", name="Question").fill(question)
    page.get_by_label("Plan", exact=True).fill("cot()")
    page.get_by_role("button", name="Ask", exact=True).click()
    answer = page.get_by_role("region", name="The answer")
    expect(answer.get_by_text("Was it right?")).to_be_visible()
    answer.get_by_role("link", name=re.compile("^chatcmpl-")).click()
    expect(page.get_by_role("article").locator(".written").first).to_have_text(question)
    assert page.locator("main img, main script").count() == 0

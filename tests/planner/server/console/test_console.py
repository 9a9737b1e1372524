"""The console in a real browser, over an API that plays a script: as people use it, and as attackers do."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fake_api import FakeApi, sample_events, tree_events
from playwright.sync_api import Page, expect
from visiting import Visit

TIMES = "\u00d7"
QUESTION = "With the numbers 12,9,20,5 you must reach 18"


def ask(page: Page, question: str = QUESTION) -> None:
    page.get_by_role("textbox", name="Question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()


def answered(page: Page) -> None:
    expect(page.get_by_role("region", name="The answer").get_by_text("Was it right?")).to_be_visible()


def test_a_plan_comes_first_and_spends_nothing(visit: Visit, api: FakeApi) -> None:
    page = visit()
    page.get_by_role("textbox", name="Question").fill(QUESTION)
    page.get_by_role("button", name="Plan only").click()
    plan = page.get_by_role("region", name="The plan")
    expect(plan.locator(".headline")).to_contain_text("62%")
    expect(plan.locator(".headline")).to_contain_text("1,090")
    expect(plan).to_contain_text("It first draws 4 samples of lab-policy-m")
    rows = plan.locator(".alternatives tbody tr")
    expect(rows).to_have_count(6)
    expect(rows.first).to_contain_text("chosen")
    expect(rows.last).to_contain_text("over the budget")
    plan.get_by_text("Main factors").click()
    expect(plan.get_by_role("cell", name="+4.1 points")).to_be_visible()
    expect(page.get_by_role("region", name="The search")).to_be_hidden()
    assert [body["include"] for body in api.asked] == [["alternatives", "why"]]


def test_a_plan_for_open_ended_talk_compares_nothing(visit: Visit, api: FakeApi) -> None:
    api.open_ended = True
    page = visit()
    page.get_by_role("button", name="Plan only").click()
    plan = page.get_by_role("region", name="The plan")
    expect(plan.locator(".note")).to_have_text("no domain claims this question: the policy answers once")
    expect(plan.locator(".promise").first).to_contain_text("unknown")
    expect(plan.locator(".alternatives")).to_have_count(0)


def test_the_search_is_watched_and_ends_with_a_receipt(visit: Visit, api: FakeApi) -> None:
    page = visit()
    ask(page)
    answered(page)
    assert [body.get("stream") for body in api.asked] == [None, True]
    search = page.get_by_role("region", name="The search")
    expect(search.get_by_role("status")).to_have_text("Done: 24 steps, 12 pruned, 8 finished")
    expect(search.locator(".progress")).to_have_text("Done: 24 steps, 12 pruned, 8 finished")
    expect(search.locator(".node.pruned")).to_have_count(12)
    expect(search.locator(".node.chosen")).to_have_count(3)
    expect(search.locator(".edge")).to_have_count(24)
    expect(search.locator(".meter")).to_contain_text("336 tokens of 1,500 tokens (22%)")
    expect(search.locator(".votes li").first).to_contain_text(f"5{TIMES}")
    expect(search.locator(".path li")).to_have_count(3)
    answer = page.get_by_role("region", name="The answer")
    expect(answer.locator(".result")).to_have_text("18")
    expect(answer.get_by_role("row", name="Tokens")).to_contain_text("1,180")
    expect(answer.get_by_role("link", name="chatcmpl-00000000")).to_be_visible()
    answer.get_by_text("8 candidates").click()
    expect(answer.locator(".candidates li")).to_have_count(8)


def test_the_tree_grows_while_it_is_watched(visit: Visit, api: FakeApi) -> None:
    api.hold, api.pause = 16, 0.005  # after a row of eight, six of them pruned, and five of the next row
    page = visit(reduced_motion="no-preference")
    ask(page)
    search = page.get_by_role("region", name="The search")
    expect(search.locator(".node.pruned")).to_have_count(6)
    expect(search.locator(".node:not(.root)")).to_have_count(13)
    expect(search.locator(".progress")).to_have_text("13 steps, 6 pruned")
    expect(search.get_by_role("status")).to_have_text("The search has begun.")  # said once
    expect(search.locator(".meter")).to_contain_text("182 tokens")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    shades = search.locator(".node:not(.root)").evaluate_all(
        "nodes => nodes.map((node) => node.style.getPropertyValue('--reward'))"
    )
    assert len(set(shades)) > 5
    api.hold = None
    answered(page)
    expect(search.locator(".node:not(.root)")).to_have_count(24)


def test_samples_stand_in_the_tree_as_chains_of_their_steps(visit: Visit, api: FakeApi) -> None:
    api.events = sample_events()
    page = visit()
    ask(page)
    answered(page)
    search = page.get_by_role("region", name="The search")
    expect(search.locator(".node:not(.root)")).to_have_count(12)  # four samples of three steps
    expect(search.locator(".node.unscored:not(.root)")).to_have_count(0)  # the first was scored later
    expect(search.locator(".running")).to_contain_text("could not change the vote any more")
    expect(search.locator(".votes")).to_contain_text(f"4{TIMES}")


def test_a_search_can_be_seen_again(visit: Visit, api: FakeApi) -> None:
    page = visit()
    ask(page)
    answered(page)
    search = page.get_by_role("region", name="The search")
    search.get_by_role("button", name="Replay slowly").click()
    expect(search.locator(".progress")).to_contain_text("Replay")
    expect(search.locator(".progress")).to_have_text("Done: 24 steps, 12 pruned, 8 finished")
    assert len(api.decisions) == 1


def test_what_the_form_says_reaches_the_server(visit: Visit, api: FakeApi) -> None:
    page = visit()
    page.get_by_label("Budget in").select_option("Seconds")
    page.get_by_label("How much").fill("200")
    page.get_by_label("Policy").select_option("lab-policy-m")
    page.get_by_label("PRM").select_option("none")
    page.get_by_label("Domain").select_option("arithmetic")
    page.get_by_label("Plan", exact=True).fill("majority(n=4)")
    ask(page)
    answered(page)
    plan = page.get_by_role("region", name="The plan", exact=True)
    expect(plan.get_by_role("heading", name="The planner's own plan")).to_be_visible()
    expect(plan.locator(".note")).to_contain_text("Asked for in place of it: majority n=4")
    for body in api.asked:
        assert body["budget"] == {"seconds": 120}
        assert (body["policy"], body["prm"], body["domain"]) == ("lab-policy-m", "none", "arithmetic")
        assert body["model"] == "planner/majority(n=4)"


def test_presets_and_the_default_send_no_budget(visit: Visit, api: FakeApi) -> None:
    page = visit()
    page.get_by_label("Budget in").select_option("Preset high")
    expect(page.get_by_label("How much")).to_be_disabled()
    page.get_by_role("button", name="Plan only").click()
    expect(page.get_by_role("region", name="The plan")).to_be_visible()
    page.get_by_label("Budget in").select_option("The server's default")
    page.get_by_role("button", name="Plan only").click()
    expect(page.get_by_role("region", name="The plan")).to_be_visible()
    assert [body["model"] for body in api.asked] == ["planner-high", "planner"]
    assert all("budget" not in body for body in api.asked)


def test_feedback_on_an_answer_and_on_a_candidate(visit: Visit, api: FakeApi) -> None:
    page = visit()
    ask(page)
    answered(page)
    answer = page.get_by_role("region", name="The answer")
    answer.get_by_role("button", name="Right", exact=True).click()
    expect(answer.get_by_text("Thank you, kept.")).to_be_visible()
    expect(answer.get_by_role("button", name="Right", exact=True)).to_have_attribute("aria-pressed", "true")
    answer.get_by_text("8 candidates").click()
    answer.get_by_role("button", name="Candidate 3 was right").click()
    expect(answer.get_by_role("button", name="Candidate 3 was right")).to_have_attribute(
        "aria-pressed", "true"
    )
    name = next(iter(api.decisions))
    assert api.feedback == [{"id": name, "correct": True}, {"id": name, "candidate": 2}]


def test_a_past_decision_is_found_opened_and_judged(visit: Visit, api: FakeApi) -> None:
    page = visit()
    for question in ("What is 1+1?", QUESTION):
        ask(page, question)
        answered(page)
    page.get_by_role("link", name="Decisions").click()
    entries = page.locator(".entry")
    expect(entries).to_have_count(2)
    page.get_by_label("Text").fill("1+1")
    expect(entries).to_have_count(1)
    entries.first.click()
    record = page.get_by_role("article")
    expect(record).to_be_focused()
    expect(record).to_contain_text("What is 1+1?")
    expect(record.locator(".stages")).to_contain_text("Draw 4 samples of lab-policy-m first")
    expect(record.get_by_role("row", name="Tokens")).to_contain_text("336")
    record.get_by_text("Main factors").click()
    expect(record.get_by_role("cell", name="largest log")).to_be_visible()
    record.get_by_role("button", name="Wrong").click()
    expect(record.get_by_text("Thank you, kept.")).to_be_visible()
    assert [given["correct"] for given in api.feedback] == [False]
    expect(entries.first).to_contain_text("wrong")
    page.reload()
    expect(page.get_by_role("article")).to_contain_text("✕ wrong")
    expect(page.get_by_role("button", name="Wrong")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Feedback").first.select_option("without")
    expect(entries).to_have_count(1)


def test_older_decisions_come_page_by_page(visit: Visit, api: FakeApi) -> None:
    for at in range(60):
        api._decide(f"chatcmpl-{at:08d}", {"messages": [{"content": f"question {at}"}]})
    page = visit("#decisions")
    expect(page.locator(".entry")).to_have_count(25)
    page.get_by_role("button", name="Older ones").click()
    expect(page.locator(".entry")).to_have_count(50)
    page.get_by_role("button", name="Older ones").click()
    expect(page.locator(".entry")).to_have_count(60)
    expect(page.locator(".entry").last).to_contain_text("question 0")
    expect(page.get_by_role("button", name="Older ones")).to_be_hidden()


def test_now_says_what_the_server_does(visit: Visit) -> None:
    page = visit("#now")
    expect(page.get_by_role("region", name="Requests per second")).to_contain_text("3.3")
    expect(page.get_by_role("region", name="Spend against plain majority")).to_contain_text("35% less")
    expect(page.get_by_role("region", name="Right: expected against kept")).to_contain_text("2.0 points")
    expect(page.get_by_role("region", name="Plans chosen").get_by_role("listitem")).to_have_count(2)
    expect(page.get_by_role("region", name="Drift")).to_contain_text("1 figure has drifted")
    health = page.get_by_role("region", name="Health").get_by_role("listitem")
    expect(health.filter(has_text="lab-prm-weak")).to_contain_text("not well")
    expect(health.filter(has_text="lab-prm-good")).to_contain_text("✓ well")


def test_now_keeps_asking_only_while_it_is_looked_at(visit: Visit) -> None:
    page = visit("#now")
    with page.expect_response(re.compile("/v1/now")):
        expect(page.get_by_role("heading", name="Now")).to_be_visible()
    with page.expect_response(re.compile("/v1/now")):
        pass  # again, by itself
    page.get_by_role("link", name="Try it").click()
    expect(page.get_by_label("Question")).to_be_visible()
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.wait_for_timeout(2500)
    assert not [url for url in seen if "/v1/now" in url]


MARKUP = '<img src=x onerror="alert(1)"><script>alert(2)</script>"\'><svg/onload=alert(3)>'


def test_markup_is_shown_and_never_run(visit: Visit, api: FakeApi) -> None:
    api.answer = api.policy = MARKUP
    api.events = tree_events(8, 4, 2, plan=f"beam_search({MARKUP})", answers=[MARKUP], word=MARKUP)
    page = visit()
    ask(page, MARKUP)
    answered(page)
    expect(page.locator(".answer .result")).to_have_text(MARKUP)
    expect(page.locator(".votes").get_by_text(MARKUP)).to_be_visible()
    expect(page.locator(".path")).to_contain_text("<script>alert(2)</script>")
    expect(page.locator("#policy option")).to_have_text(["any", MARKUP])
    page.get_by_role("link", name="Now").click()
    expect(page.get_by_role("region", name="Health")).to_contain_text(MARKUP)
    page.get_by_role("link", name="Decisions").click()
    page.locator(".entry").click()
    expect(page.get_by_role("article").locator(".written").first).to_have_text(MARKUP)
    assert page.locator("main img, main script, main [onerror], main [onload]").count() == 0


def test_markup_in_an_address_is_not_run(visit: Visit) -> None:
    page = visit("#decisions/" + MARKUP.replace("/", "|"), allow=("404",))
    expect(page.get_by_role("alert")).to_contain_text("a decision must be known")
    assert page.locator("main img, main script").count() == 0
    page.goto(page.url.split("#")[0] + "#constructor/%E0%A4%A")
    expect(page.get_by_label("Question")).to_be_visible()


def test_the_whole_way_by_keyboard(visit: Visit, api: FakeApi) -> None:
    page = visit()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Question")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(QUESTION)
    _tab_to(page, "#budget")
    page.keyboard.press("End")
    page.keyboard.press("Control+Enter")
    answered(page)
    assert api.asked[-1]["budget"] == {"tokens": 50_000}
    _tab_to(page, ".node")
    expect(page.locator(".node:focus")).to_have_attribute("aria-label", re.compile("Step 3: .*chosen path"))
    page.keyboard.press("ArrowUp")
    expect(page.locator(".node:focus")).to_have_attribute("aria-label", re.compile("Step 2: "))
    page.keyboard.press("ArrowRight")
    expect(page.locator(".node:focus")).to_have_attribute("aria-label", re.compile("pruned"))
    expect(page.locator(".beside h3").last).to_have_text("A branch that was pruned")
    _tab_to(page, ".feedback button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you, kept.")).to_be_visible()
    assert api.feedback[0]["correct"] is True
    _tab_to(page, ".answer a")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_be_focused()


def _tab_to(page: Page, selector: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the Tab key must reach {selector}")


LONG = "With the numbers " + ",".join(map(str, range(400))) + " reach " + "9" * 300


def test_a_phone_shows_everything_within_its_width(visit: Visit, api: FakeApi) -> None:
    api.answer = "x" * 400
    api.events = tree_events(64, 4, 2) + sample_events(text="1+1=" + "2" * 300, answer="y" * 300)
    page = visit(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    ask(page, LONG)
    answered(page)
    fits(page)
    page.get_by_role("link", name="Now").tap()
    expect(page.get_by_role("region", name="Drift")).to_be_visible()
    fits(page)
    page.get_by_role("link", name="Decisions").tap()
    expect(page.locator(".entry")).to_be_visible()
    fits(page)
    page.locator(".entry").tap()
    expect(page.get_by_role("article")).to_be_visible()
    fits(page)
    page.get_by_role("link", name="All decisions").tap()
    expect(page.locator(".entry")).to_be_visible()


def fits(page: Page) -> None:
    """Nothing goes beyond the width, and a finger hits what it means."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    small = page.evaluate(
        "[...document.querySelectorAll('button, nav a, select, input')].filter(e => e.offsetParent)"
        ".filter(e => e.getBoundingClientRect().height < 30).map(e => e.outerHTML)"
    )
    assert small == []


CONTRAST = """
() => {
  const probe = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = (colour) => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = rgb(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    if (element.closest(":disabled")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(rgb(style.color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    seen += 1;
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${element.className} ${element.textContent}`);
  }
  return {seen, poor};
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(visit: Visit, api: FakeApi, scheme: str) -> None:
    page = visit(color_scheme=scheme)
    ask(page)
    answered(page)
    page.get_by_role("button", name="Right", exact=True).click()
    page.get_by_text("Main factors").click()
    for view in ("Try it", "Now", "Decisions"):
        page.get_by_role("link", name=view).click()
        if view == "Now":
            expect(page.get_by_role("region", name="Drift")).to_be_visible()
        if view == "Decisions":
            page.locator(".entry").click()
            expect(page.get_by_role("article")).to_be_visible()
        found: dict[str, Any] = page.evaluate(CONTRAST)
        assert found["seen"] > 20
        assert found["poor"] == []  # WCAG 2.2, 1.4.3 (AA)


def test_the_theme_follows_the_system_until_it_is_pinned(visit: Visit) -> None:
    page = visit(color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    theme = page.get_by_role("button", name="Theme")
    expect(theme).to_have_accessible_name("Theme: system")
    theme.click()
    light = page.evaluate(ground)
    assert light != dark
    page.emulate_media(color_scheme="light")
    assert page.evaluate(ground) == light
    theme.click()
    assert page.evaluate(ground) == dark
    page.reload()
    assert page.evaluate(ground) == dark
    theme.click()
    assert page.evaluate(ground) == light


def test_a_key_is_asked_for_and_forgotten_with_the_tab(visit: Visit, api: FakeApi) -> None:
    api.key = "pk-a-key-of-a-lab-0123456789"
    page = visit(allow=("401",))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("an API key must be known")
    expect(dialog.get_by_label("Key")).to_be_focused()
    page.keyboard.type(api.key)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#policy option")).to_have_text(["any", "lab-policy-m"])
    ask(page)
    answered(page)
    kept = page.evaluate(
        "[sessionStorage, localStorage, document.cookie, location.href].map((kept) => JSON.stringify(kept))"
    )
    assert api.key in kept[0]
    assert api.key not in "".join(kept[1:])
    assert api.key not in page.content()
    page.get_by_role("button", name="API key").click()
    page.get_by_role("button", name="Forget it").click()
    expect(dialog).to_contain_text("an API key must be known")
    page.keyboard.press("Escape")
    assert page.evaluate("JSON.stringify(sessionStorage)") == "{}"
    expect(page.get_by_role("alert")).to_contain_text("an API key must be known")


def test_stopping_ends_the_request(visit: Visit, api: FakeApi) -> None:
    api.hold = 12
    page = visit()
    ask(page)
    expect(page.locator(".node.pruned").first).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("region", name="The search").get_by_role("status")).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_enabled()
    for _ in range(100):
        if api.vanished:
            break
        page.wait_for_timeout(50)
    assert (api.vanished, api.decisions) == (1, {})


@pytest.mark.parametrize(
    ("broken", "said"), [("error", "the policy's backend must answer"), ("off", "The answer broke off")]
)
def test_a_broken_stream_is_told(visit: Visit, api: FakeApi, broken: str, said: str) -> None:
    api.broken = broken
    page = visit()
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_enabled()
    expect(page.get_by_role("region", name="The answer")).to_be_hidden()


def test_refusals_are_told_in_the_servers_words(visit: Visit, api: FakeApi) -> None:
    page = visit(allow=("400",))
    page.get_by_label("Plan", exact=True).fill("guessing")
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("strategy must be one of cot, majority, got 'guessing'")
    page.get_by_label("Plan", exact=True).fill("")
    page.get_by_role("textbox", name="Question").fill("   ")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_text("A question must hold some text.")).to_be_visible()
    expect(page.get_by_label("Question")).to_be_focused()
    assert len(api.asked) == 1


def test_a_server_that_does_not_answer_is_told(visit: Visit) -> None:
    page = visit(allow=("ERR_FAILED",))
    page.route("**/v1/plan", lambda route: route.abort())
    ask(page)
    expect(page.get_by_role("alert")).to_have_text("The server does not answer.")
    page.unroute("**/v1/plan")
    page.get_by_role("button", name="Ask", exact=True).click()
    answered(page)


def test_an_overloaded_server_is_told_with_its_wait(visit: Visit) -> None:
    page = visit(allow=("429",))
    page.route(
        "**/v1/plan",
        lambda route: route.fulfill(
            status=429, headers={"retry-after": "7"}, json={"error": {"message": "too much"}}
        ),
    )
    ask(page)
    expect(page.get_by_role("alert")).to_have_text("too much; try again in 7 s")


def test_a_refused_key_is_asked_for_once(visit: Visit, api: FakeApi) -> None:
    api.key = "pk-a-key-of-a-lab-0123456789"
    page = visit("#now", allow=("401",))
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.wait_for_timeout(2500)  # longer than the view waits between two questions
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("alert")).to_contain_text("an API key must be known")


def test_an_answer_that_nobody_can_read_is_told(visit: Visit, api: FakeApi) -> None:
    api.answer = None
    page = visit()
    ask(page)
    answered(page)
    answer = page.get_by_role("region", name="The answer")
    expect(answer).to_contain_text("No answer can be read from what was written.")
    expect(answer.locator(".tag.bad")).to_have_text("unreadable")
    expect(answer.get_by_text("no answer", exact=True)).to_be_visible()


def test_empty_views_say_so(visit: Visit) -> None:
    page = visit("#decisions")
    expect(page.get_by_text("No decision so far: ask something first.")).to_be_visible()
    page.get_by_label("Text").fill("nothing like it")
    expect(page.get_by_text("No decision matches.")).to_be_visible()

"""The console in a real browser, over an API that plays a script: as people use it, and as attackers do."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fake_api import FakeApi, sample_events, some_savings, tree_events
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
    expect(rows).to_have_count(7)
    expect(rows.first).to_contain_text("chosen")
    expect(rows.filter(has_text="n=64")).to_contain_text("over the budget")
    # its mean is within the budget, one request in ten is not
    near = rows.filter(has_text="n=20").locator(".tag")
    expect(near).to_have_text("may go over the budget")
    expect(near).to_have_attribute("title", re.compile("9 of 10 requests take up to 1,584"))
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
    expect(plan.get_by_role("heading", name="The plan that you asked for")).to_be_visible()
    expect(plan.locator(".chosen-plan")).to_contain_text("majority n=4")
    expect(plan.locator(".note")).to_have_text("It runs as it is: the planner does not choose here.")
    expect(plan).not_to_contain_text("planner's own")
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
    expect(answer.locator(".candidates")).not_to_contain_text("was right")  # nobody has said so
    marking = answer.get_by_role("button", name="Mark candidate 3 as right")
    marking.click()
    expect(marking).to_have_attribute("aria-pressed", "true")
    expect(marking).to_have_text("Marked as right")
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
    page.get_by_role("search").get_by_label("Feedback").select_option("without")
    expect(entries).to_have_count(1)


def test_older_decisions_come_page_by_page(visit: Visit, api: FakeApi) -> None:
    for at in range(60):
        api.decide(f"chatcmpl-{at:08d}", {"messages": [{"content": f"question {at}"}]})
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
    expect(page.get_by_role("region", name="Right: expected against actual")).to_contain_text("2.0 points")
    latency = page.get_by_role("region", name="Latency")
    expect(latency.locator(".figure")).to_have_text("210\u00a0ms")
    expect(latency).to_contain_text("p90 900\u00a0ms, p95 1.4\u00a0s, p99 2.3\u00a0s")
    errors = page.get_by_role("region", name="Errors")
    expect(errors.locator(".figure")).to_have_text("1%")
    expect(errors).to_contain_text("4 of 332 failed, 4 refused, 2 left early")
    expect(page.get_by_role("region", name="Spend", exact=True).locator(".figure")).to_have_text(
        "29,880\u00a0tokens"
    )
    causes = page.get_by_role("region", name="Refused and failed").get_by_role("listitem")
    expect(causes).to_have_text(
        [
            re.compile("failedthe policy's server failed4"),
            re.compile("refusedtoo busy: no place in the queue4"),
        ]
    )
    expect(causes.get_by_role("img", name="overloaded over time")).to_be_visible()
    expect(page.get_by_role("region", name="Savings")).to_contain_text("planner serve --shadow")
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
    expect(dialog).to_contain_text("This server asks for an API key.")
    assert page.locator(".bad:visible, .error:visible").count() == 0  # nothing has gone wrong
    expect(dialog.get_by_label("Key")).to_be_focused()
    page.keyboard.type("pk-not-a-key-of-this-lab")
    page.keyboard.press("Enter")
    expect(dialog.locator(".bad")).to_contain_text("an API key must be known")
    dialog.get_by_label("Key").fill(api.key)
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
    expect(dialog).to_contain_text("This server asks for an API key.")
    page.keyboard.press("Escape")
    assert page.evaluate("JSON.stringify(sessionStorage)") == "{}"
    expect(page.get_by_role("alert")).to_contain_text("This server asks for an API key.")


def test_stopping_ends_the_request(visit: Visit, api: FakeApi) -> None:
    api.hold = 12
    page = visit()
    ask(page)
    expect(page.locator(".node.pruned").first).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    search = page.get_by_role("region", name="The search")
    expect(search.get_by_role("status")).to_contain_text("Stopped")
    expect(search.locator(".running")).to_contain_text("Stopped while running: beam search")
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
    expect(page.get_by_role("alert")).to_contain_text("This server asks for an API key.")


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


def test_a_search_that_is_stopped_before_it_began_says_so(visit: Visit, api: FakeApi) -> None:
    api.hold = 0
    page = visit()
    ask(page)
    running = page.get_by_role("region", name="The search").locator(".running")
    expect(running).to_have_text("Waiting for the first step…")
    page.get_by_role("button", name="Stop").click()
    expect(running).to_have_text("Stopped before the first step.")


def test_a_decision_that_is_opened_is_in_sight(visit: Visit, api: FakeApi) -> None:
    for at in range(25):
        api.decide(f"chatcmpl-{at:08d}", {"messages": [{"content": f"question {at}"}]})
    for options in ({}, {"viewport": {"width": 390, "height": 844}, "is_mobile": True}):
        page = visit("#decisions", **options)
        page.locator(".entry").last.scroll_into_view_if_needed()
        page.locator(".entry").last.click()
        record = page.get_by_role("article")
        expect(record.get_by_text("question 0", exact=True)).to_be_in_viewport()
        expect(record.get_by_role("heading", name="Decision")).to_be_in_viewport()
    page = visit("#decisions")
    page.locator(".entry").last.click()
    expect(page.locator(".entry").last).to_be_in_viewport()  # the list stays where it was


def test_votes_show_what_their_bars_show(visit: Visit, api: FakeApi) -> None:
    weighted = [{"answer": "18", "count": 1, "weight": 0.003}, {"answer": "7", "count": 3, "weight": 0.001}]
    api.events = sample_events()
    for event in api.events:
        if event["type"] == "drawn":
            event["votes"] = weighted
    page = visit()
    ask(page)
    answered(page)
    lines = page.locator(".votes li")
    expect(lines.first).to_contain_text(f"1{TIMES} 75%")
    expect(lines.last).to_contain_text(f"3{TIMES} 25%")
    shares = lines.locator(".bar").evaluate_all(
        "bars => bars.map((b) => b.style.getPropertyValue('--share'))"
    )
    assert [round(float(share), 6) for share in shares] == [0.75, 0.25]
    for event in api.events:
        if event["type"] in ("started", "decided"):
            (event if event["type"] == "started" else event["advice"])["plan"] = "majority(n=4)"
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(lines.first).to_have_text(f"73{TIMES}")  # a plain vote counts, and no weight is told
    expect(page.locator(".votes")).not_to_contain_text("%")


def test_money_is_offered_where_there_are_prices(visit: Visit, api: FakeApi) -> None:
    units = "options => options.map((option) => option.textContent)"
    page = visit()
    expect(page.locator("#policy option")).to_have_count(2)
    assert "US dollars" not in page.locator("#budget-unit option").evaluate_all(units)
    api.prices = True
    page.reload()
    expect(page.locator("#budget-unit option", has_text="US dollars")).to_have_count(1)


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        (True, "Asked for: 80% right, on average over many such requests with a confidence of 95%. "
               "Expected of them: 82%, at least 81%."),
        (False, "No price of compute gets there; the most accurate way is expected to be right in 82%"),
    ],
)  # fmt: skip
def test_a_target_is_told_with_the_plan_and_the_answer(
    visit: Visit, api: FakeApi, reached: bool, said: str
) -> None:
    api.target = {
        "asked": 0.8, "confidence": 0.95, "reached": reached, "prices": [1e-9, 1e-9], "share": 1.0,
        "accuracy": 0.82, "low": 0.81, "tokens": 300.0, "flops": 3e8,
    }  # fmt: skip
    page = visit()
    ask(page)
    answered(page)
    expect(page.get_by_role("region", name="The plan", exact=True).locator(".target")).to_contain_text(said)
    expect(page.get_by_role("region", name="The answer")).to_contain_text(said)


def test_a_headline_without_a_figure_says_so_in_words(visit: Visit) -> None:
    page = visit(allow=())
    page.route(
        "**/v1/now",
        lambda route: route.fulfill(json={"window": 600, "uptime": 3, "requests": {"per_second": 0}}),
    )
    page.goto(page.url.split("#")[0] + "#now")
    figures = page.locator(".tile .figure")
    expect(figures.first).to_be_visible()
    texts = figures.all_inner_texts()
    assert "None so far" in texts
    assert "\u2013" not in texts  # a dash


def test_an_answer_is_compared_with_the_plain_model_when_asked(visit: Visit, api: FakeApi) -> None:
    api.plain = {"cot()": "12"}
    page = visit()
    ask(page)
    answered(page)
    beside = page.get_by_role("region", name="Beside the plain model")
    expect(beside.get_by_role("table")).to_have_count(0)
    before = len(api.asked)
    beside.get_by_role("button", name="Compare with the plain model").click()
    rows = beside.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("about 1,090 tokens")  # what it costs is shown first
    assert [body.get("messages") for body in api.asked[before:]] == [None, None]  # and nothing is run
    assert [body["model"] for body in api.asked[before:]] == ["planner/cot()", "planner/majority(n=16)"]
    beside.get_by_role("button", name="Run: One plain answer").click()
    expect(rows.nth(1)).to_contain_text("12another")
    expect(rows.nth(1)).to_contain_text("61\u00a0tokens")
    expect(rows.nth(1)).to_contain_text("25\u00a0ms")
    beside.get_by_role("button", name="Run: Majority of 16").click()
    expect(rows.nth(2)).to_contain_text("18the same")
    assert [body["model"] for body in api.asked[-2:]] == ["planner/cot()", "planner/majority(n=16)"]
    assert all("budget" not in body for body in api.asked[-2:])
    ask(page)
    expect(beside.get_by_role("table")).to_have_count(0)  # of another question


@pytest.mark.parametrize(
    ("agreement", "reward", "said"),
    [
        (0.25, 0.9, ["Only 25% of 8 solutions agree with it."]),
        (0.75, 0.2, ["The reward model gives its last step 0.20 of 1."]),
        (0.75, 0.9, []),
    ],
)
def test_an_answer_that_is_not_sure_says_so(
    visit: Visit, api: FakeApi, agreement: float, reward: float, said: list[str]
) -> None:
    api.agreement, api.reward = agreement, reward
    page = visit()
    ask(page)
    answered(page)
    answer = page.get_by_role("region", name="The answer")
    expect(answer.get_by_text("low confidence")).to_have_count(len(said))
    expect(answer.locator(".doubts")).to_have_text(said)


def test_a_window_may_be_chosen(visit: Visit, api: FakeApi) -> None:
    page = visit("#now")
    windows = page.get_by_role("group", name="Over the last").get_by_role("button")
    expect(windows).to_have_text(["10\u00a0min", "1 hour", "1 day"])
    expect(windows.first).to_have_attribute("aria-pressed", "true")
    with page.expect_response(re.compile(r"/v1/now\?window=3600")):
        windows.nth(1).click()
    expect(windows.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(windows.first).to_have_attribute("aria-pressed", "false")


def test_money_is_shown_where_prices_are_known(visit: Visit, api: FakeApi) -> None:
    api.prices = True
    page = visit("#now")
    spend = page.get_by_role("region", name="Spend", exact=True)
    expect(spend.locator(".figure")).to_have_text("$0.033")
    expect(spend).to_contain_text("29,880\u00a0tokens")


def test_savings_of_shadow_mode_are_told_and_what_says_nothing_is_not(visit: Visit, api: FakeApi) -> None:
    api.savings = some_savings()
    page = visit("#now")
    expect(page.get_by_text("Shadow mode: the plain model answers")).to_be_visible()
    savings = page.get_by_role("region", name="Savings")
    expect(savings).to_contain_text("planned 400 of 480 requests: $0.48 expected, instead of $1.20.")
    terms = savings.locator("dt")
    told = dict(zip(terms.all_inner_texts(), savings.locator("dd").all_inner_texts(), strict=True))
    assert told["Accuracy"] == "+11.2\u00a0points 95%: +9.2\u00a0points to +13.2\u00a0points"
    assert told["Cost beside an equally good plain vote"].startswith("35% less")
    assert told["Equal answers"] == "not enough decisions"
    expect(savings).to_contain_text("2 of the sample were dropped")
    expect(savings).to_contain_text("2.4 times")


def test_an_older_server_tells_less(visit: Visit) -> None:
    page = visit()
    page.route(
        "**/v1/now*",
        lambda route: route.fulfill(
            json={
                "window": 600,
                "uptime": 60,
                "requests": {"per_second": 1, "total": 50, "failed": 5, "refused": 1},
                "series": [{"t": 1.0, "requests": 3, "tokens": 70, "flops": 1e6}],
                "latency": {"p50": 0.2, "p95": 0.4},
            }
        ),
    )
    page.get_by_role("link", name="Now").click()
    errors = page.get_by_role("region", name="Errors")
    expect(errors.locator(".figure")).to_have_text("10%")
    expect(errors).to_contain_text("since the start")
    expect(page.get_by_role("region", name="Spend", exact=True)).to_contain_text("70\u00a0tokens")
    expect(page.get_by_role("group", name="Over the last").get_by_role("button")).to_have_count(0)


def test_decisions_are_filtered_in_the_apis_words(visit: Visit, api: FakeApi) -> None:
    api.decide("chatcmpl-00000000", {"messages": [{"content": "question"}]})
    page = visit("#decisions")
    look = page.get_by_role("search")
    expect(look.get_by_label("Policy").get_by_role("option")).to_have_text(["any", "lab-policy-m"])
    look.get_by_label("Policy").select_option("lab-policy-m")
    look.get_by_label("Status").select_option("answered")
    look.get_by_label("Plan").fill("beam_search")
    expect(page.locator(".entry")).to_have_count(1)
    look.get_by_label("Time").select_option("last day")
    with page.expect_response(re.compile("since=")):
        page.keyboard.press("Enter")
    last = api.searched[-1]
    assert (last["policy"], last["outcome"], last["plan"]) == ("lab-policy-m", "answered", "beam_search")
    assert int(last["since"]) > 1_600_000_000
    look.get_by_label("Time").select_option("any time")
    look.get_by_label("Plan").fill("majority")
    expect(page.get_by_text("No decision matches.")).to_be_visible()


def test_decisions_are_taken_away_as_lines_of_json(visit: Visit, api: FakeApi) -> None:
    for at in range(3):
        api.decide(f"chatcmpl-{at:08d}", {"messages": [{"content": f"question {at}"}]})
    page = visit("#decisions")
    page.get_by_role("search").get_by_label("Text").fill("question")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
    assert saved.value.suggested_filename == "decisions.jsonl"
    lines = saved.value.path().read_text().splitlines()
    assert [json.loads(line)["question"] for line in lines] == ["question 2", "question 1", "question 0"]
    assert api.searched[-1]["text"] == "question"


def test_a_decision_stands_beside_its_list_where_there_is_room(visit: Visit, api: FakeApi) -> None:
    api.decide("chatcmpl-00000000", {"messages": [{"content": "question"}]})
    page = visit("#decisions", viewport={"width": 1280, "height": 800})
    page.locator(".entry").click()
    place, record = page.locator(".entries").bounding_box(), page.get_by_role("article").bounding_box()
    assert place is not None
    assert record is not None
    assert record["x"] >= place["x"] + place["width"]
    assert abs(record["y"] - place["y"]) < 20
    look = page.get_by_role("link", name="All decisions")
    expect(look).to_be_hidden()


def test_words_of_the_field_are_explained_where_they_stand(visit: Visit) -> None:
    page = visit()
    for field, said in (("PRM", "Process reward model"), ("Policy", "writes the solutions")):
        page.locator(".labelled", has_text=field).get_by_role("button", name="What is this?").click()
        expect(page.get_by_text(said)).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_text(said)).to_be_hidden()
    for name in ("Budget in", "Plan", "Domain"):
        expect(page.locator(".labelled", has_text=name).first.locator(".hint")).to_have_count(1)


def test_a_decision_of_shadow_mode_says_what_the_planner_would_have_done(visit: Visit, api: FakeApi) -> None:
    plain = {"policy": "big", "prm": None, "plan": "cot()"}
    figures = {"accuracy": 0.6, "tokens": 100.0, "flops": 1e9, "usd": 0.01}
    planned = {**plain, "plan": "majority(n=4)", "accuracy": 0.72, "tokens": 410.0, "flops": 4e9, "usd": 0.04}
    for name, comparison in (
        ("a", {"plain": plain | figures, "planned": planned, "vote": None, "reason": None}),
        ("b", {"plain": plain | figures, "planned": None, "vote": None, "reason": "open_ended"}),
    ):
        api.decide(name, {"messages": [{"content": "question"}]})
        api.decisions[name] |= {"reason": "shadow", "steps": [], "comparison": comparison}
    page = visit("#decisions/a")
    record = page.get_by_role("article")
    expect(record).to_contain_text("The planner did not choose: the server is in shadow mode.")
    row = record.get_by_role("row", name="The planner's plan")
    expect(row).to_contain_text("majority n=4")
    expect(row.get_by_role("cell")).to_contain_text(
        ["", "72%", "410", "4 GFLOPs".replace(" ", "\u00a0"), "$0.04"]
    )
    page.goto(page.url.replace("#decisions/a", "#decisions/b"))
    expect(record).to_contain_text("The same: it would not have planned (open ended).")

"""Decisions as cards: the question, what was seen, what was decided, what came of it, what it cost."""

from __future__ import annotations

from html import escape

from planner.report.findings import Findings, Step, Story

__all__ = ["story_cards"]

_LONGEST = 600
#: smaller gains are called level
_LEVEL = 5e-4
_VERDICTS = {"good": "Gained", "bad": "Lost", "level": "Level"}
_LONGEST_ANSWER = 80


def story_cards(findings: Findings) -> str:
    """HTML of all stories, the best first."""
    if not findings.stories:
        return '<p class="note">There is no decision to show.</p>'
    rival = findings.stories[0].rival
    lead = (
        f"At the price of a mean budget of {findings.middle:.3g} samples: the decisions that gained most and "
        f"those that lost most against {rival} on every problem, the most accurate fixed choice within that "
        "budget, chosen on this very log. Gains count accuracy and compute. Chances are over "
        f"continuations of the probe that was seen; costs are in samples of {findings.header.unit}."
    )
    return f'<p class="note">{escape(lead)}</p>' + "".join(map(_card, findings.stories))


def _card(story: Story) -> str:
    kind = _kind(story)
    steps = "".join(f"<li>{_step(step)}</li>" for step in story.steps)
    last = story.steps[-1]
    reasons = ", ".join(
        f"{escape(name)} = {value:.3g} ({_signed(100 * effect)} points)"
        for name, value, effect in story.reasons
    )
    why = f'<p class="note">Loudest in the last decision: {reasons}.</p>' if reasons else ""
    return (
        f'<article class="story {kind}"><h3>{_title(story)}</h3>'
        f'<div class="question">{escape(_cut(story.question, _LONGEST))}</div>'
        f'<p class="note">{escape(story.domain)}, {escape(story.family)}; right answer: '
        f"{'not recorded' if story.reference is None else _answer(story.reference)}</p><ol>{steps}</ol>"
        f"<p><b>Outcome:</b> right with a chance of {_percent(story.met)} "
        f"({_percent(last.expected)} expected), for {story.cost:.3g} samples ({story.tokens:,.0f} tokens). "
        f"On it, {escape(story.rival)} is right with {_percent(story.rival_met)} for {story.rival_cost:.3g} "
        f"samples.</p>{why}</article>"
    )


def _title(story: Story) -> str:
    """What the planner did to this problem, in points of accuracy and in cost.

    The gain counts both: a card may be good because it was cheaper.
    """
    points = 100 * (story.met - story.rival_met)
    times = story.cost / max(story.rival_cost, 1e-9)
    if abs(points) < 0.5:
        accuracy = "as often right"
    else:
        accuracy = f"{abs(points):.0f} points {'more' if points > 0 else 'less'} often right"
    cost = f"at {times:.2g} times the cost" if abs(times - 1) >= 0.05 else "at the same cost"
    return f"{_VERDICTS[_kind(story)]}: {accuracy}, {cost}"


def _kind(story: Story) -> str:
    if abs(story.gain) < _LEVEL:
        return "level"
    return "good" if story.gain > 0 else "bad"


def _step(step: Step) -> str:
    seen = ", ".join(
        f"{'unreadable' if text is None else _answer(text)} \u00d7 {times}" for text, times in step.answers
    )
    return (
        f"Seen {escape(step.seen)}{': ' + seen if seen else ''}. Decided: <b>{escape(step.decided)}</b> "
        f"(expected {_percent(step.expected)}, {step.cost:.3g} samples to come)."
    )


def _answer(text: str) -> str:
    return f'<span class="answer">{escape(_cut(text, _LONGEST_ANSWER))}</span>'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _signed(points: float) -> str:
    return f"{points:+z.1f}".replace("-", "\u2212")

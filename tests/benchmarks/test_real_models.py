"""``benchmarks/real_models.py``: its arithmetic on logs of a few problems."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import real_models
from real_methods import Budget, cell, chosen, methods
from real_page import page, shortened
from real_record import Group, Holding, Table, groups_of, logged, read, table_of

from search.cards import ModelCard
from search.choice import Choice
from search.errors import LogError
from search.log.records import problem_rows, table_frame
from search.log.store import SearchLog
from search.plan import Plan
from search.problem import Problem

MakeLog = Callable[..., Path]
#: FLOPs of a token
SMALL, LARGE = 2_000, 6_000


def sample(
    problem: Problem, policy: str, draw: int, answer: str, *, tokens: int, cut: bool = False
) -> dict[str, object]:
    return {
        "problem_id": problem.problem_id,
        "policy": policy,
        "sampling": "temperature=1, top_p=1, top_k=0" if draw >= 0 else "temperature=0, top_p=1, top_k=0",
        "draw": draw,
        "seed": 1,
        "text": answer,
        "answer": None if answer == "-" else answer,
        "correct": answer == problem.answer,
        "prompt_tokens": 5,
        "tokens": tokens,
        "step_tokens": [tokens],
        "mean_logprob": -0.5,
        "min_logprob": -2.0,
        "finish_reason": "length" if cut else "end",
    }


@pytest.fixture
def make_log(tmp_path: Path) -> MakeLog:
    """A log of problems ``set/0``, ... (answer "y"): the small policy's draws as a string per problem, 10
    tokens each, its greedy answers and those of the large policy, 20 tokens each, one letter per problem."""

    def make(
        draws: Sequence[str],
        small: str = "",
        large: str = "",
        *,
        families: Sequence[str] = (),
        name: str = "log",
    ) -> Path:
        log = SearchLog.create(tmp_path / name)
        cards = [ModelCard("small", 1000, "s", 99), ModelCard("large", 3000, "l", 99)]
        log.declare({"sampling": "temperature=1, top_p=1, top_k=0"}, policies=cards)
        named = families or [f"f{place}" for place in range(len(draws))]
        problems = [
            Problem(f"set/{place}", family, "text", "which?", "y") for place, family in enumerate(named)
        ]
        log.append("problems", table_frame("problems", problem_rows(problems)), unit="problems")
        rows = []
        for problem, answers in zip(problems, draws, strict=True):
            rows += [
                sample(problem, "small", draw, one, tokens=10, cut=one == "-")
                for draw, one in enumerate(answers)
            ]
        for policy, answers in (("small", small), ("large", large)):
            rows += [
                sample(problem, policy, -1, one, tokens=20)
                for problem, one in zip(problems, answers, strict=False)
            ]
        log.append("samples", table_frame("samples", rows), unit="samples")
        return tmp_path / name

    return make


def figures(found: Mapping[str, Any], budget: str, method: str) -> Mapping[str, Any]:
    [row] = [one for one in found["budgets"] if one["budget"] == budget]
    met: Mapping[str, Any] = row["methods"][method]
    return met


def column(table: Table, choice: str) -> int:
    return table.choices.index(Choice.parse(choice))


def test_votes_greedy_answers_and_cascades_are_charged_with_every_prompt(make_log: MakeLog) -> None:
    source = read(make_log(["yyyy", "nyab"], "yn", "ny"))
    [group] = groups_of(source)
    table = table_of(source, group)
    vote = column(table, "small: majority(n=2)")
    assert table.flops[:, vote].tolist() == [SMALL * (5 + 2 * 10)] * 2
    # of the six pairs of the second problem three hold the right answer; ties go to the earlier draw
    assert table.accuracy[:, vote] == pytest.approx([1.0, 0.25], abs=0.05)
    greedy = column(table, "large: cot()")
    assert table.flops[:, greedy].tolist() == [LARGE * (5 + 20)] * 2
    assert table.accuracy[:, greedy].tolist() == [0.0, 1.0]
    cascade = column(table, "small: cascade(first=small: majority(n=4), tau=0.75, then=large: cot())")
    # the first problem's samples agree; the second's do not, and the large policy is asked as well
    assert table.flops[:, cascade].tolist() == [SMALL * 45, SMALL * 45 + LARGE * 25]
    assert table.accuracy[:, cascade].tolist() == [1.0, 1.0]
    assert table.tokens[:, cascade].tolist() == [45, 70]


def test_cancelled_draws_are_charged_as_far_as_they_came(make_log: MakeLog) -> None:
    source = read(make_log(["yyyyyyyy"]))
    [group] = groups_of(source)
    table = table_of(source, group)
    # two votes are enough at 0.8; of four that are written together all have come to 10 tokens by then
    one = column(table, "small: adaptive_vote(n=8, stop=0.8, ahead=1)")
    four = column(table, "small: adaptive_vote(n=8, stop=0.8, ahead=4)")
    assert table.tokens[0, one] == 5 + 2 * 10
    assert table.tokens[0, four] == 5 + 4 * 10


def test_the_small_policy_against_the_large_at_equal_flops_and_at_any_cost(make_log: MakeLog) -> None:
    # one family: a fixed choice needs no folds
    found = real_models.measured([read(make_log(["y", "n", "n", "n"], "ynnn", "yyyn", families="aaaa"))])
    [group] = found["groups"]
    assert group["unit"] == {"policy": "small", "flops": SMALL * 15}
    equal = "as the greedy answer of large"
    [row] = [one for one in found["budgets"] if one["budget"] == equal]
    assert row["budget_flops"] == LARGE * 25
    assert figures(found, equal, "majority, small")["accuracy"] == 0.25
    assert figures(found, equal, "greedy, large")["accuracy"] == 0.75
    assert figures(found, equal, "greedy, large")["samples"] == pytest.approx(LARGE * 25 / (SMALL * 15))
    assert figures(found, "1 sample", "greedy, large")["why"] == "the cheapest costs 5.00 samples"
    assert figures(found, "any cost", "chosen plan, small")["why"] == (
        "a plan is chosen on other families, and there is one"
    )
    assert figures(found, "any cost", "cascade, small then large")["why"] == (
        "a problem has too few samples for it"
    )


def test_differences_are_paired_and_come_back_the_same(make_log: MakeLog) -> None:
    path = make_log(["yyyy", "nnnn", "ynyn", "nyyy", "nnnn", "yyny"], "ynnynn", "yyyyyn")
    found, again = (real_models.measured([read(path)]) for _ in range(2))
    assert json.dumps(found) == json.dumps(again)
    rows = [one for one in found["differences"] if one["budget"] == "any cost"]
    [row] = [one for one in rows if (one["method"], one["rival"]) == ("chosen plan, small", "greedy, large")]
    mine, theirs = (figures(found, "any cost", row[name]) for name in ("method", "rival"))
    assert row["difference"] == pytest.approx(mine["accuracy"] - theirs["accuracy"])
    assert row["low"] <= row["difference"] <= row["high"]
    # a method is as accurate as itself on every resample, however wide either interval is
    assert theirs["low"] < theirs["high"]
    assert sum(mine["picked"].values()) == 6


def test_a_plan_is_chosen_on_other_folds_only() -> None:
    choices = (Choice.parse("small: majority(n=1)"), Choice.parse("small: majority(n=2)"))
    # the dear choice is right in fold 0 alone: seen from there it loses, seen from elsewhere it wins
    accuracy = np.array([[0.0, 1.0], [0.5, 0.0], [0.5, 0.0]])
    cost = np.array([[1.0, 2.0]] * 3)
    table = Table(("a", "b", "c"), ("f", "g", "h"), choices, accuracy, cost, cost)
    fold = np.array([0, 1, 1])
    group = Group("set", table.problems, (Holding("small", "draws"),), {"small": 2}, {})
    majority = next(one for one in methods(["small"]) if one.name == "majority, small")
    met = cell(group, table, fold, Budget("any cost", None), method=majority, unit=1.0)
    assert met.accuracy is not None
    assert met.accuracy.tolist() == [0.0, 0.0, 0.0]
    assert met.picked == {"small x - x majority(n=1)": 1, "small x - x majority(n=2)": 2}
    # within a mean of one sample there is the cheap one only
    met = cell(group, table, fold, Budget("1 sample", 1.0), method=majority, unit=1.0)
    assert met.accuracy is not None
    assert met.accuracy.tolist() == [0.0, 0.5, 0.5]


def test_of_equals_the_cheaper_is_chosen() -> None:
    choices = (Choice.parse("small: majority(n=4)"), Choice.parse("small: majority(n=2)"))
    accuracy, cost = np.full((2, 2), 0.5), np.array([[4.0, 2.0]] * 2)
    table = Table(("a", "b"), ("f", "g"), choices, accuracy, cost, cost)
    assert chosen(table, np.array([0, 1]), np.array([True, True])) == 1


def test_a_log_that_grows_has_groups_of_problems_that_hold_the_same(make_log: MakeLog) -> None:
    source = read(make_log(["yy"] * 12, "y" * 12, "yyy"))
    both, all_three = groups_of(source)
    assert (len(both.problems), len(all_three.problems)) == (12, 3)
    assert both.policies == ("small",)
    assert all_three.policies == ("small", "large")
    why = "the greedy answer of large: logged for 3 of these 12 problems"
    assert both.lacks[Holding("large", "greedy")] == why
    found = real_models.measured([source])
    assert found["problems"] == 12
    told = page(found | real_models.throughput(Path("none.json")))
    assert "The greedy answer of large: logged for 3 of these 12 problems." in told
    assert "## set: 3 problems, each with 2 draws of small, the greedy answer of small" in told


def test_a_few_longer_pools_do_not_drop_the_others(make_log: MakeLog) -> None:
    source = read(make_log(["yyyy", *["yy"] * 11]))
    [group] = groups_of(source)
    assert group.draws == {"small": 2}
    assert len(group.problems) == 12
    # one that has fewer than nearly all others is left out
    [group] = groups_of(read(make_log(["y", *["yy"] * 11], name="other")))
    assert (group.draws, len(group.problems)) == ({"small": 2}, 11)


def test_bins_are_judged_by_other_draws_than_those_that_are_scored(make_log: MakeLog) -> None:
    # even draws judge, odd ones are scored: the first problem seems easy and is answered wrongly
    found = real_models.measured([read(make_log(["ynyn", "nyny"]))])
    easy, hard = found["groups"][0]["bins"]
    assert (easy["bin"], easy["problems"], hard["bin"], hard["problems"]) == ("easy", 1, "hard", 1)
    single = "small x - x majority(n=1)"
    [worth] = [one for one in easy["choices"] if one["choice"] == single]
    [other] = [one for one in hard["choices"] if one["choice"] == single]
    assert (worth["accuracy"], other["accuracy"]) == (0.0, 1.0)


def test_the_log_is_counted(make_log: MakeLog) -> None:
    source = read(make_log(["y-", "nn"], "yy"))
    draws, greedy = logged(source)
    assert (draws["kind"], draws["questions"], draws["samples"], draws["tokens"]) == ("draws", 2, 4, 40)
    assert (draws["cut"], draws["unreadable"], draws["right"]) == (0.25, 0.25, 0.25)
    assert (greedy["kind"], greedy["samples"], greedy["right"]) == ("greedy", 2, 1.0)
    [group] = real_models.measured([source])["groups"]
    assert group["any_right"]["small"]["accuracy"] == 0.5


def test_a_log_without_samples_is_a_page_that_says_so(make_log: MakeLog) -> None:
    found = real_models.measured([read(make_log([""]))]) | real_models.throughput(Path("none.json"))
    assert found["problems"] == 0
    assert found["budgets"] == []
    assert "Nothing yet." in page(found)


def test_the_share_of_raw_sampling_comes_from_the_throughput_or_says_why_not(tmp_path: Path) -> None:
    path = tmp_path / "throughput.json"
    missing = real_models.throughput(path)
    assert missing["campaign_share_of_raw"] is None
    assert missing["campaign_share_of_raw_why"] == (
        "throughput.json is not there: campaign_throughput.py --output makes it"
    )
    path.write_text(json.dumps({"rounds": [{"campaign": 48.0, "raw": 50.0, "tokens": 9}], "share": 0.96}))
    assert real_models.throughput(path) == {
        "campaign_share_of_raw": 0.96,
        "campaign_share_of_raw_why": None,
        "campaign_share_of_raw_rounds": [0.96],
    }
    path.write_text("{}")
    with pytest.raises(LogError, match=r"campaign_throughput.py --output writes, got throughput"):
        real_models.throughput(path)


def test_the_page_has_short_names_and_says_why_cells_are_empty(make_log: MakeLog) -> None:
    found = real_models.measured([read(make_log(["yyyy", "nyab", "ynyn"], "ynn", "nyn"))])
    told = page(found | real_models.throughput(Path("none.json")))
    assert (
        "- majority, large; adaptive vote, large; chosen plan, large: draws of large: logged for 0 of" in told
    )
    assert "| `small: cascade(first=small: majority(n=2), tau=0.75, then=large: cot())` |" in told
    assert "chosen plan, small above greedy, large" in told
    names = ["maker-1-small-it", "maker-1-large-it"]
    assert shortened(names) == {"maker-1-small-it": "small", "maker-1-large-it": "large"}
    # one name may hold nothing but what is common
    assert shortened(["maker-1", "maker-1-it"]) == {"maker-1": "1", "maker-1-it": "1-it"}


def test_a_cascade_that_would_never_hand_over_is_not_tried(make_log: MakeLog) -> None:
    source = read(make_log(["yn", "ny"], "yy", "yy"))
    [group] = groups_of(source)
    taus = {str(one.plan) for one in table_of(source, group).choices if one.plan.strategy == "cascade"}
    assert len(taus) == 2
    assert not any("tau=0.5" in plan for plan in taus)


def test_every_plan_that_is_tried_is_one_of_the_grammar(make_log: MakeLog) -> None:
    source = read(make_log(["yyyyyyyy"], "y", "y"))
    [group] = groups_of(source)
    choices = table_of(source, group).choices
    assert {choice.plan.strategy for choice in choices} == {"cot", "majority", "adaptive_vote", "cascade"}
    assert all(Plan.parse(str(choice.plan)) == choice.plan for choice in choices)

"""Tree of Thoughts' Game of 24: cumulative usage that begins anew, samples without their numbers, trees."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from search.errors import LogError, RecordError
from search.importing.report import Report
from search.log.store import SearchLog

Write = Callable[..., Path]
Import = Callable[..., tuple[SearchLog, Report]]

RIGHT = """4 * 5 = 20 (left: 6 10 20)
10 - 6 = 4 (left: 4 20)
20 + 4 = 24 (left: 24)
Answer: (4 * 5) + (10 - 6) = 24
"""
WRONG = """4 + 5 = 9 (left: 6 9 10)
9 + 6 = 15 (left: 10 15)
15 - 10 = 5 (left: 5)
Answer: 4 + 5 + 6 - 10 = 5
"""


def usage(completion: int, prompt: int) -> dict[str, Any]:
    return {"completion_tokens": completion, "prompt_tokens": prompt, "cost": 0.1}


def prefixes(leaf: str) -> list[str]:
    """The states on the way to a leaf, itself the last."""
    return [leaf[: place + 1] for place, mark in enumerate(leaf) if mark == "\n"]


def tree(index: int = 900, *, spent: tuple[int, int] = (1000, 3000), **changed: Any) -> dict[str, Any]:
    """A search that keeps two states a step and values the right way higher."""
    right, wrong = prefixes(RIGHT), prefixes(WRONG)
    steps = [
        {
            "step": depth,
            "x": "4 5 6 10",
            "new_ys": [wrong[depth], right[depth], f"{right[depth]}?"],
            "values": [3.0, 60.0, 0.003],
            "select_new_ys": [right[depth], wrong[depth]],
        }
        for depth in range(len(right))
    ]
    return {
        "idx": index,
        "steps": steps,
        "ys": [RIGHT, WRONG],
        "infos": [{"r": 1}, {"r": 0}],
        "usage_so_far": usage(*spent),
        **changed,
    }


def chains(
    index: int = 900, *, spent: tuple[int, int] = (600, 800), count: int = 40, **changed: Any
) -> dict[str, Any]:
    """Chains of thought, a quarter of them right."""
    texts = [RIGHT if i % 4 == 0 else WRONG for i in range(count)]
    infos = [{"r": int(i % 4 == 0)} for i in range(count)]
    return {"idx": index, "ys": texts, "infos": infos, "usage_so_far": usage(*spent), **changed}


def plain(index: int = 900, *, spent: tuple[int, int] = (200, 400)) -> dict[str, Any]:
    texts = ["Answer: (10 - 6) * (4 + 5) = 24", "Answer: (10-6) + 5*4 = 24"] * 10
    return {"idx": index, "ys": texts, "accs": [False, True] * 10, "usage_so_far": usage(*spent)}


def test_a_tree_search_becomes_a_run(write_lines: Write, run_import: Import) -> None:
    records = [tree(900), tree(901, spent=(1500, 4000))]
    log, report = run_import("tree-of-thoughts", write_lines("t.json.gz", records, array=True))
    run = log.read("runs").row(0, named=True)
    assert report.taken == {"problems": 2, "runs": 2}
    assert (run["answer"], run["correct"], run["outcome"]) == ("((10-6)+(4*5))", True, "answered")
    assert [candidate["step_rewards"] for candidate in run["candidates"]] == [
        pytest.approx([1.0] * 4),
        pytest.approx([0.05] * 4),
    ]
    assert run["plan"].startswith("beam_search(n=40, width=8, ")
    assert log.read("runs")["policy_tokens"].to_list() == [4000, 1500]
    assert log.read("runs")["flops"].to_list() == [8e15, 3e15]
    inner = next(iter(report.left_out.values()))
    assert inner.count == 2 * (12 - 2)
    problem = log.read("problems").row(0, named=True)
    assert (problem["problem_id"], problem["question"], problem["domain"]) == (
        "game24-900",
        "4 5 6 10",
        "game24",
    )


def test_samples_take_their_numbers_from_the_tree_search(write_lines: Write, run_import: Import) -> None:
    files = [
        write_lines("cot.json", [chains(900), chains(950)], array=True),
        write_lines("standard.json", [plain(900)], array=True),
        write_lines("tree.json", [tree(900)], array=True),
    ]
    log, report = run_import("tree-of-thoughts", *files)
    samples = log.read("samples")
    sizes = dict(samples.group_by("policy").len().iter_rows())
    assert sizes == {"gpt-4-cot": 40, "gpt-4-standard": 20}
    assert log.read("problems")["problem_id"].to_list() == ["game24-900"]
    why, left = list(report.left_out.items())[-1]
    assert (why[:25], left.count, left.first) == ("samples need the numbers ", 1, "cot.json record 1")
    cot = samples.filter(policy="gpt-4-cot")
    assert cot["correct"].to_list() == [True, False, False, False] * 10
    # 40 samples are two requests, each with the prompt; every token is some sample's
    assert set(cot["prompt_tokens"]) == {400}
    assert cot["tokens"].sum() == 600
    assert cot["step_tokens"].list.len().to_list() == [4] * 40
    standard = samples.filter(policy="gpt-4-standard")
    assert (set(standard["prompt_tokens"]), standard["tokens"].sum()) == ({400}, 200)
    assert standard["answer"].n_unique() == 2


def test_usage_that_falls_began_anew(write_lines: Write, run_import: Import) -> None:
    trees = [tree(900 + i, spent=(1000 * (i + 1), 3000 * (i + 1))) for i in range(4)]
    sums = [(600, 800), (1300, 1600), (500, 800), (1100, 1600)]
    cot = [chains(900 + i, spent=spent) for i, spent in enumerate(sums)]
    files = [write_lines("t.json", trees, array=True), write_lines("c.json", cot, array=True)]
    log, _ = run_import("tree-of-thoughts", *files)
    spent = log.read("samples").group_by("problem_id").agg(tokens=pl.col("tokens").sum())
    assert dict(spent.sort("problem_id").iter_rows()) == {
        "game24-900": 600,
        "game24-901": 700,
        "game24-902": 500,
        "game24-903": 600,
    }
    assert log.read("samples")["prompt_tokens"].unique().to_list() == [400]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"usage_so_far": {"prompt_tokens": 1}}, "t.json record 0: column 'completion_tokens' is missing"),
        ({"usage_so_far": usage(-1, 5)}, "t.json record 0: a sum of tokens is at least 0"),
        ({"infos": [{"r": 1}]}, "every one of ys is a text with a verdict, got 2 with 1 verdicts"),
        ({"idx": "nine"}, "t.json record 0: idx is a whole number, got 'nine'"),
    ],
)
def test_a_broken_record_is_refused(
    write_lines: Write, run_import: Import, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecordError) as caught:
        run_import("tree-of-thoughts", write_lines("t.json", [tree(**changed)], array=True))
    assert said in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, -1.0, 61.0, "high"])
def test_a_value_beyond_the_scale_is_refused(write_lines: Write, run_import: Import, value: object) -> None:
    broken = tree()
    broken["steps"][1]["values"][0] = value
    with pytest.raises(RecordError, match=r"the value of a state lies in \[0, 60\], got"):
        run_import("tree-of-thoughts", write_lines("t.json", [broken], array=True))


def test_a_tree_without_leaves_is_left_out(write_lines: Write, run_import: Import) -> None:
    records = [tree(900, ys=[], infos=[]), tree(901, ys=["unheard of", WRONG]), tree(902)]
    log, report = run_import("tree-of-thoughts", write_lines("t.json", records, array=True))
    assert log.rows("runs") == 1
    assert set(report.left_out) >= {
        "a tree search has steps and leaves",
        "a leaf is one of the states that were valued",
    }


def test_samples_alone_say_no_numbers(write_lines: Write, run_import: Import) -> None:
    with pytest.raises(RecordError, match=r"need a tree search's file, .*, got none among c.json"):
        run_import("tree-of-thoughts", write_lines("c.json", [chains()], array=True))


def test_the_published_logs(data: Path, run_import: Import) -> None:
    files = sorted((data / "tot_game24").glob("*.json.gz"))
    log, report = run_import("tree-of-thoughts", *files)
    assert report.taken == {"problems": 100, "samples": 20_000, "runs": 100}
    samples, runs = log.read("samples"), log.read("runs")
    rates = dict(samples.group_by("policy").agg(pl.col("correct").mean()).iter_rows())
    # their own verdicts: 403 and 734 of 10,000
    assert rates == {"gpt-4-cot": pytest.approx(0.0403), "gpt-4-standard": pytest.approx(0.0734)}
    # the leaf of the highest value, which their figure of 69 (any of five) is not about
    assert runs["correct"].sum() == 62
    # the sums that SOURCE.txt and the files give: 461,878 after the sum began anew, 212,984 before
    assert samples.filter(policy="gpt-4-cot")["tokens"].sum() == 461_878 + 212_984
    assert runs["policy_tokens"].sum() == 547_859 + 1_387_936
    assert set(samples.filter(policy="gpt-4-standard")["prompt_tokens"]) == {200}
    assert "no answer can be read from 2,803 samples: they are wrong and have no vote" in report.notes
    with pytest.raises(LogError):
        SearchLog.create(log.path)

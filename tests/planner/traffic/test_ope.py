"""``planner ope``: numbers where a log says enough, one line where it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from traffic_log import serve
from typer.testing import CliRunner

from planner.cli.main import app
from planner.planner import Planner
from planner.server.decisions.recorder import Feedback
from planner.server.decisions.store import Store


@pytest.fixture(scope="module")
def folders(planner: Planner, other: Planner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ope")
    planner.save(folder / "old")
    other.save(folder / "new")
    return folder


def run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["ope", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def right(policy: str, prm: str | None, plan: str) -> float:
    """Nothing that the planners know of."""
    return 0.8 if policy == "large" else 0.4


def test_a_planner_on_its_own_log(planner: Planner, folders: Path, tmp_path: Path) -> None:
    """The served share is what came of it, the estimate that of what it would have done."""
    where = str(tmp_path / "log.db")
    made = serve(planner, where, 800, share=0.3, chance=right)
    code, out, said = run(where, "--planner", folders / "old", "--json")
    assert code == 0, said
    found = json.loads(out)
    assert found["decisions"] == found["known"] == 800
    assert found["refused"] is None
    served = sum(good for _, good in made) / 800
    assert found["value"]["served"]["value"] == pytest.approx(served, abs=1e-9)
    greedy = [chance for d, _ in made if (chance := _own(d)) is not None]
    truth = sum(greedy) / len(greedy)
    assert found["value"]["doubly_robust"]["low"] < truth < found["value"]["doubly_robust"]["high"]
    assert found["bounds_of_served"] == pytest.approx([served, served])


def _own(decision: object) -> float | None:
    """The chance to be right of a decision in which nothing was explored."""
    steps = decision.steps  # type: ignore[attr-defined]
    if all(step.propensity > 0.5 for step in steps):
        return right(steps[-1].policy, steps[-1].prm, steps[-1].plan)
    return None


def test_a_planner_that_was_never_live(planner: Planner, folders: Path, tmp_path: Path) -> None:
    where = str(tmp_path / "log.db")
    serve(planner, where, 1500, share=0.8, chance=right)
    code, out, said = run(where, "--planner", folders / "new", "--json")
    assert code == 0, said
    found = json.loads(out)
    assert found["value"] is not None
    assert found["value"]["effective_size"] >= 50
    for name in ("value", "tokens", "flops"):
        for kind in ("doubly_robust", "snips"):
            estimate = found[name][kind]
            assert estimate["low"] <= estimate["value"] <= estimate["high"]
    code, out, said = run(where, "--planner", folders / "new")
    assert code == 0, said
    assert "doubly robust" in out
    assert "the reward model is the planner's own expectation" in " ".join(out.split())


def test_no_numbers_without_overlap(planner: Planner, folders: Path, tmp_path: Path) -> None:
    where = str(tmp_path / "log.db")
    serve(planner, where, 300, share=0.0)
    code, out, said = run(where, "--planner", folders / "new", "--json")
    assert code == 0, said
    found = json.loads(out)
    assert found["refused"].startswith("not enough overlap: the mean weight is")
    assert found["refused"].endswith("it was served without exploration")
    assert found["value"] is found["tokens"] is found["flops"] is None
    serve(planner, str(tmp_path / "few.db"), 40, share=0.0)
    code, out, said = run(tmp_path / "few.db", "--planner", folders / "old")
    assert code == 0, said
    assert out.splitlines()[0] == "not enough overlap: effective size 40 of 40, at least 50 needed"


def test_only_wrong_answers_are_reported(planner: Planner, folders: Path, tmp_path: Path) -> None:
    """What users report says nothing, and is refused; a judge on a sample mends that."""
    where = str(tmp_path / "log.db")
    made = serve(planner, where, 700, share=0.0, chance=right, told=lambda good, _: not good)
    code, out, said = run(where, "--planner", folders / "old", "--json")
    assert code == 0, said
    found = json.loads(out)
    assert "words that all say wrong" in found["refused"]
    assert found["value"] is None
    assert found["tokens"] is not None  # what it cost is known of every decision
    low, high = found["bounds_of_served"]
    assert low <= sum(good for _, good in made) / 700 <= high

    judged = tmp_path / "judged.jsonl"
    random = Random(1)
    lines = [
        json.dumps({"decision_id": d.decision_id, "correct": good, "source": "tests"})
        for d, good in made
        if random.random() < 0.3
    ]
    judged.write_text("\n".join(lines))
    arguments = (where, "--planner", folders / "old", "--feedback", judged, "--source", "tests=program")
    code, out, said = run(*arguments, "--json")
    assert code == 0, said
    found = json.loads(out)
    assert found["refused"] is None
    assert found["selection"]["biased"]
    assert found["known"] == len(lines)
    truth = sum(good for _, good in made) / 700
    assert found["value"]["served"]["low"] < truth < found["value"]["served"]["high"]
    assert "users' feedback is left aside" in " ".join(run(*arguments)[1].split())


def test_mistakes_of_a_judge_are_taken_out(planner: Planner, folders: Path, tmp_path: Path) -> None:
    where = str(tmp_path / "log.db")
    made = serve(planner, where, 1000, share=0.0, chance=right, told=lambda good, _: False)
    random = Random(3)
    lines = []
    for place, (d, good) in enumerate(made):
        says = random.random() < (0.7 if good else 0.1)
        lines.append({"decision_id": d.decision_id, "correct": says, "source": "judge"})
        if place % 5 == 0:
            lines.append({"decision_id": d.decision_id, "score": float(good), "source": "tests"})
    judged = tmp_path / "judged.jsonl"
    judged.write_text("\n".join(json.dumps(line) for line in lines))
    told = ("--source", "judge=judge", "--source", "tests=program")
    code, out, said = run(where, "--planner", folders / "old", "--feedback", judged, *told, "--json")
    assert code == 0, said
    found = json.loads(out)
    assert found["sources"]["judge"]["judged_twice"] == 200
    assert found["sources"]["judge"]["sensitivity"] == pytest.approx(0.7, abs=0.12)
    truth = sum(good for _, good in made) / 1000
    said_right = sum(line["correct"] for line in lines if line["source"] == "judge") / 1000
    assert abs(said_right - truth) > 0.05
    assert found["value"]["served"]["value"] == pytest.approx(truth, abs=0.06)


def refused(*arguments: str | Path) -> str:
    code, out, said = run(*arguments)
    assert code == 2, (out, said)
    assert out == ""
    assert said.count("\n") == 1, said
    return said.removeprefix("planner: ").strip()


def test_bad_input_is_one_line(planner: Planner, folders: Path, tmp_path: Path) -> None:
    where, old = str(tmp_path / "log.db"), ("--planner", folders / "old")
    made = serve(planner, where, 60, told=lambda good, random: False)
    assert refused(where, *old) == ("an estimate needs decisions with feedback, got none in 60 decisions")
    assert refused(tmp_path / "none.db", *old).startswith("a decision log is a file that exists")
    assert "manifest" in refused(where, "--planner", tmp_path)
    said = tmp_path / "said.jsonl"
    said.write_text('{"decision_id": "nobody", "correct": true}\n')
    assert refused(where, *old, "--feedback", said) == (
        "feedback names a decision of the log, got 'nobody', which it lacks"
    )
    said.write_text('{"decision_id": "d", "correct": 1}\n')
    assert "said.jsonl, line 1" in refused(where, *old, "--feedback", said)
    assert refused(where, *old, "--source", "x=friend").startswith("a source is KEY=user, program or judge")
    empty = str(tmp_path / "empty.db")
    Store.open(empty).close()
    assert refused(empty, *old) == "an estimate needs decisions, got a log without any"

    bare = str(tmp_path / "bare.db")
    store = Store.open(bare)
    store.write(
        [replace(d, steps=tuple(replace(s, propensity=float("nan")) for s in d.steps)) for d, _ in made]
    )
    store.close()
    assert refused(bare, *old) == "an estimate needs decisions with propensities, got none in 60"


def test_feedback_that_names_no_decision(planner: Planner, folders: Path, tmp_path: Path) -> None:
    where = str(tmp_path / "log.db")
    made = serve(planner, where, 5)
    engine = sa.create_engine(f"sqlite:///{where}")
    with engine.begin() as connection:  # as a program that does not keep the rules of the tables would
        connection.execute(sa.text("PRAGMA foreign_keys=OFF"))
        query = sa.text("UPDATE feedback SET decision_id = 'gone' WHERE decision_id = :name")
        connection.execute(query, {"name": made[0][0].decision_id})
    engine.dispose()
    assert refused(where, "--planner", folders / "old") == (
        "feedback names a decision of the log, got 'gone', which it lacks"
    )


def test_a_planner_of_other_models(planner: Planner, folders: Path, tmp_path: Path) -> None:
    where = str(tmp_path / "log.db")
    made = serve(planner, str(tmp_path / "first.db"), 60)
    store = Store.open(where)
    store.write(
        [
            replace(d, policy="stranger", steps=tuple(replace(s, policy="stranger") for s in d.steps))
            for d, _ in made
        ]
    )
    store.close()
    assert refused(where, "--planner", folders / "old") == (
        "a planner is estimated on decisions about its own models (large, small), got stranger"
    )


def test_decisions_of_two_planners_count_together_and_are_told(
    planner: Planner, other: Planner, folders: Path, tmp_path: Path
) -> None:
    where = str(tmp_path / "log.db")
    made = serve(planner, where, 150, share=0.3, chance=right)
    again = serve(other, str(tmp_path / "second.db"), 100, share=0.3, chance=right, seed=1)
    store = Store.open(where)
    store.write(
        [replace(d, planner="e" * 64) for d, _ in again],
        [Feedback(d.decision_id, 1e9, correct=good) for d, good in again],
    )
    store.close()
    code, out, said = run(where, "--planner", folders / "old", "--json")
    assert code == 0, said
    found = json.loads(out)
    assert found["decisions"] == 250
    assert f"the decisions are of 2 planners: {'f' * 12} (150), {'e' * 12} (100)" in found["notes"]
    assert found["known"] == len(made) + len(again)

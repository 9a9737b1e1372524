"""Decisions with feedback become a search log that is read and fitted like any other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made import candidate, decision
from typer.testing import CliRunner

from planner.cli.main import app
from planner.evidence.training_data import read_training_data
from planner.planner import Planner
from planner.server.decisions.export import Decisions, Truth, export, truth_of
from planner.server.decisions.log import Hashing
from planner.server.decisions.recorder import Decision, Feedback
from planner.server.decisions.store import Store
from search.cards import ModelCard
from search.engines.protocol import Sampling
from search.errors import DecisionLogError, RecordError, TooLittleDataError
from search.log.store import SearchLog
from search.prompts import Prompting
from search.result import Candidate, Spend
from training.study import fit

POLICIES = {"small": ModelCard("small", 1_000_000, "p", 512)}
PRMS = {"judge": ModelCard("judge", 1_000_000, "r", 512)}


def reader(where: str, **changes: object) -> Decisions:
    given: dict[str, object] = {"where": where, "policy_cards": POLICIES, "prm_cards": PRMS}
    return Decisions(**(given | changes))  # type: ignore[arg-type]


def keep(where: str, decisions: list[Decision], feedback: list[Feedback]) -> None:
    store = Store.open(where)
    store.write(decisions, feedback)
    store.close()


@pytest.mark.parametrize(
    ("said", "truth"),
    [
        ([Feedback("a", 0.0, correct=True)], Truth("2")),
        ([Feedback("a", 0.0, score=1.0)], Truth("2")),
        ([Feedback("a", 0.0, correct=False)], Truth(None, "2")),
        ([Feedback("a", 0.0, score=0.0)], Truth(None, "2")),
        ([Feedback("a", 0.0, score=0.6)], None),
        ([Feedback("a", 0.0, candidate=1)], Truth("3")),
        ([Feedback("a", 0.0, correct=False, candidate=1)], Truth("3")),
        ([Feedback("a", 0.0, candidate=2)], None),  # it has no answer
        ([Feedback("a", 0.0, candidate=99)], None),
        ([Feedback("a", 0.0, correct=True), Feedback("a", 1.0, correct=False)], Truth(None, "2")),
        ([Feedback("a", 0.0, correct=True), Feedback("a", 1.0, score=0.5)], Truth("2")),
    ],
)
def test_what_feedback_settles(said: list[Feedback], truth: Truth | None) -> None:
    assert truth_of(decision("a"), said) == truth


def test_rows_of_each_kind(where: str, tmp_path: Path) -> None:
    tree = "beam_search(n=4, width=2, prune=last, score=last, vote=max)"
    alone = (candidate("3", rewards=()),)
    greedy = decision("greedy", 2.0, plan="cot()", prm=None, steps=(), candidates=alone, answer="3")
    keep(
        where,
        [
            decision("vote", 1.0),
            greedy,
            decision("tree", 3.0, plan=tree),
            decision("silent", 4.0),
        ],
        [
            Feedback("vote", 9.0, candidate=0),
            Feedback("greedy", 9.0, correct=False),
            Feedback("tree", 9.0, correct=True),
        ],
    )
    report = export(reader(where, sampling=Sampling(0.7)), tmp_path / "log")
    assert report.left_out == {}
    log = SearchLog.open(tmp_path / "log")
    (problem,) = log.read("problems").rows(named=True)
    assert (problem["question"], problem["answer"], problem["domain"]) == ("What is 1 + 1?", "2", "math")
    samples = log.read("samples").rows(named=True)
    assert [(s["draw"], s["answer"], s["correct"], s["tokens"]) for s in samples] == [
        (-1, "3", False, 12),
        (0, "2", True, 12),
        (1, "3", False, 12),
        (2, None, False, 12),
    ]
    assert {s["sampling"] for s in samples} == {"temperature=0.7, top_p=1, top_k=0"}
    assert samples[1]["prompt_tokens"] == 120 - 36
    scores = log.read("scores").rows(named=True)
    assert [(s["draw"], s["step_rewards"], s["prm_tokens"], s["prompt_tokens"]) for s in scores] == [
        (0, [0.25, 0.75], 14, 12),
        (1, [0.25, 0.75], 14, 12),
    ]
    (run,) = log.read("runs").rows(named=True)
    assert (run["plan"], run["correct"], run["policy_tokens"], run["prm_tokens"]) == (tree, True, 120, 40)
    assert log.manifest.policies == POLICIES
    assert log.manifest.prms == PRMS


def test_what_cannot_be_graded_is_left_out_and_counted(tmp_path: Path) -> None:
    where = str(tmp_path / "decisions.db")
    hashed = Hashing(b"k" * 16, b"").hide(decision("hashed"))
    keep(
        where,
        [
            decision("good", 0.0),
            decision("wrong", 1.0, question="What is 2 + 2?"),
            decision("unclear", 2.0),
            decision("stranger", 3.0, policy="other"),
            decision("empty", 4.0, candidates=()),
            decision("contradicts", 5.0, answer="3"),
            hashed,
        ],
        [
            Feedback("wrong", 9.0, correct=False),
            Feedback("unclear", 9.0, score=0.5),
            *(
                Feedback(name, 9.0, correct=True)
                for name in ("good", "stranger", "empty", "contradicts", "hashed")
            ),
        ],
    )
    report = export(reader(where), tmp_path / "log")
    assert {entry.first: entry.count for entry in report.left_out.values()} == {
        f"decision {name}": 1 for name in ("wrong", "unclear", "stranger", "empty", "contradicts", "hashed")
    }
    assert any("easier than" in note for note in report.notes)
    assert SearchLog.open(tmp_path / "log").rows("samples") == 3


def test_nothing_to_take_writes_nothing(tmp_path: Path) -> None:
    where = str(tmp_path / "decisions.db")
    keep(where, [decision("a")], [])
    with pytest.raises(DecisionLogError, match=r"with feedback, got none among 1$"):
        export(reader(where), tmp_path / "log")
    keep(where, [], [Feedback("a", 1.0, score=0.5)])
    with pytest.raises(RecordError, match="at least one record"):
        export(reader(where), tmp_path / "log")
    assert not (tmp_path / "log").exists()
    with pytest.raises(DecisionLogError, match="exists"):
        export(reader(str(tmp_path / "missing.db")), tmp_path / "log")


def served(count: int, seed: int = 0) -> tuple[list[Decision], list[Feedback]]:
    """Traffic on sums: a policy that is right the less often the longer the sum, and a fair PRM."""
    random = np.random.default_rng(seed)
    decisions, feedback = [], []
    for i in range(count):
        terms = random.integers(1, 99, 2 + i % 6)
        right = str(terms.sum())
        candidates = []
        for _ in range(8):
            good = random.random() < 1.0 - 0.12 * len(terms)
            answer = right if good else str(terms.sum() + random.integers(1, 4))
            reward = float(np.clip(random.normal(0.7 if good else 0.4, 0.1), 0, 1))
            candidates.append(Candidate(f"It is {answer}", answer, (0.9, reward), (5, 4), "end", -0.4, -2.0))
        where = next((j for j, c in enumerate(candidates) if c.answer == right), None)
        name = f"d{i:04d}"
        decisions.append(
            decision(
                name,
                float(i),
                question=f"For {'abcdefghijklmnop'[i % 16]} work out {' + '.join(map(str, terms))}",
                plan="best_of_n(n=8, score=last)",
                answer=candidates[0].answer,
                candidates=tuple(candidates),
                spend=Spend(12 + 72, 12 + 88),
            )
        )
        if where is not None:
            feedback.append(Feedback(name, float(i), candidate=where))
    return decisions, feedback


@pytest.mark.slow
def test_a_planner_is_fitted_on_what_was_served(where: str, tmp_path: Path) -> None:
    keep(where, *served(240))
    export(reader(where), tmp_path / "log")
    log = SearchLog.open(tmp_path / "log")
    data = read_training_data(log, log.manifest.policies, log.manifest.prms)
    assert len(data) > 200
    assert data.pools["small"].draws == 8
    # all sums are of one template
    refitted = fit(
        log, log.manifest.policies, log.manifest.prms, trials=0, date="2026-01-01", folds="problem"
    )
    assert isinstance(refitted, Planner)
    assert set(refitted.policies) == {"small"}


def test_the_log_tells_how_policies_were_asked(tmp_path: Path) -> None:
    where = str(tmp_path / "decisions.db")
    keep(where, [decision("vote", 1.0)], [Feedback("vote", 9.0, candidate=0)])
    asked = Prompting("Think: {question}")
    export(reader(where), tmp_path / "log", {"small": asked, "large": asked})
    assert SearchLog.open(tmp_path / "log").manifest.promptings == {"small": asked}


def test_too_little_to_fit_is_said(tmp_path: Path) -> None:
    where = str(tmp_path / "decisions.db")
    keep(where, *served(4))
    export(reader(where), tmp_path / "log")
    log = SearchLog.open(tmp_path / "log")
    with pytest.raises(TooLittleDataError):
        fit(log, log.manifest.policies, log.manifest.prms, trials=0, date="2026-01-01")


def test_the_command(tmp_path: Path, planner: Planner) -> None:
    where = str(tmp_path / "decisions.db")
    name = next(iter(planner.policies))
    prm = next(iter(planner.prms))
    keep(
        where,
        [decision("a", policy=name, prm=prm, steps=()), decision("b", policy="other")],
        [Feedback("a", 1.0, correct=True), Feedback("b", 1.0, correct=True)],
    )
    planner.save(tmp_path / "planner")
    options = ["export", where, "--planner", str(tmp_path / "planner")]
    done = CliRunner().invoke(app, [*options, "-o", str(tmp_path / "one"), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["taken"] == {"problems": 1, "samples": 3, "scores": 2}
    assert [entry["count"] for entry in told["left_out"]] == [1]
    printed = CliRunner().invoke(app, [*options, "-o", str(tmp_path / "two"), "--temperature", "0.7"])
    assert printed.exit_code == 0
    assert "planner fit" in printed.stdout
    wrong = CliRunner().invoke(
        app, ["export", str(tmp_path / "none"), *options[2:], "-o", str(tmp_path / "three")]
    )
    assert wrong.exit_code == 2
    assert not (tmp_path / "three").exists()

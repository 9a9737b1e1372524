"""The greedy answer as the first sample of a probe: the log tells what a live run sees, pays and may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import FixedTrial

import planner
from planner.artefact import load, save
from planner.evidence.matrix import Matrices, open_choices
from planner.evidence.probe import Probe, probe_features
from planner.evidence.training_data import TrainingData, read_training_data
from planner.features.probe import ProbeSamples
from planner.features.question import NgramEncoder
from planner.models import shipped
from planner.planner import Planner
from planner.solving.request_run import RequestRun
from planner.solving.solver import solve
from search.budget import UNLIMITED, Budget
from search.choice import Choice
from search.engines.embedded import EmbeddedEngine
from search.engines.protocol import Event, Request
from search.engines.scripted import ScriptedEngine
from search.errors import LogError
from search.plan import Plan
from search.problem import Problem
from search.rewards.scripted import ScriptedReward
from search.strategies.protocol import Setting
from tests.planner import synthetic
from training.design import Design, plain
from training.study_cache import StudyCache

COT = Choice("small", None, Plan.of("cot"))
QUESTIONS = ("What is 3 + 4?", "What is (13+64)+80?", "What is (5+11)*2?")
PROBLEMS = [Problem(f"p{at}", "sums", "arithmetic", text, "7") for at, text in enumerate(QUESTIONS)]


@pytest.fixture(scope="module")
def data() -> TrainingData:
    log = synthetic.make_log(120, draws=16, prms=("good",), policies=("small", "large"))
    return read_training_data(log, synthetic.POLICIES, synthetic.PRMS)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def matrices(data: TrainingData) -> Matrices:
    return Matrices(data, NgramEncoder.fit(data.questions, dimensions=3), probes=2, seed=1)


def test_the_greedy_answer_is_the_first_draw_of_the_view(data: TrainingData) -> None:
    pool, view = data.pools["small"], data.greedy_first("small").pools["small"]
    assert pool.greedy_code is not None
    assert (view.codes[:, 0] == pool.greedy_code).all()
    assert (view.codes[:, 1:] == pool.codes).all()
    assert (view.tokens[:, 0] == pool.greedy_tokens).all()
    assert view.draws == pool.draws + 1
    assert view.prms == {}  # nothing scored the greedy answers
    bare = replace(data, pools={"small": replace(pool, greedy=None)})
    with pytest.raises(LogError, match="one of each problem, got none"):
        bare.greedy_first("small")


@pytest.mark.parametrize("samples", [1, 4])
def test_cot_follows_a_greedy_look_at_no_cost(matrices: Matrices, data: TrainingData, samples: int) -> None:
    probe = Probe("small", samples, greedy=True)
    assert COT in open_choices(data, probe)
    assert COT not in open_choices(data, Probe("small", samples))
    seen = matrices.at(probe)
    place = seen.choices.index(COT)
    fixed = matrices.at(Probe("small", 0), (COT,))
    assert (seen.flops[:, place] == 0.0).all()
    assert (seen.tokens[:, place] == 0.0).all()
    assert (seen.per_problem(seen.values)[:, place] == fixed.values[:, 0]).all()


def test_a_first_look_costs_and_tells_what_the_greedy_answer_does(
    matrices: Matrices, data: TrainingData
) -> None:
    seen = matrices.at(Probe("small", 1, greedy=True))
    fixed = matrices.at(Probe("small", 0), (COT,))
    assert np.allclose(seen.per_problem(seen.paid_flops), fixed.flops[:, 0])
    alone = seen.choices.index(Choice("small", None, Plan.of("majority", n=1)))
    assert (seen.per_problem(seen.values)[:, alone] == fixed.values[:, 0]).all()
    assert (seen.flops[:, alone] == 0.0).all()


def test_it_is_a_vote_among_those_that_follow(matrices: Matrices, data: TrainingData) -> None:
    four = Choice("small", None, Plan.of("majority", n=4))
    greedy = matrices.at(Probe("small", 1, greedy=True), (four,))
    plain_look = matrices.at(Probe("small", 1), (four,))
    # three more are drawn either way
    assert greedy.flops.mean() == pytest.approx(plain_look.flops.mean(), rel=0.05)
    pool = data.pools["small"]
    assert pool.greedy_code is not None
    right = data.graded(pool.greedy_code).astype(bool)
    values = greedy.per_problem(greedy.values)[:, 0]
    other = plain_look.per_problem(plain_look.values)[:, 0]
    assert (values - other)[right].mean() > 0.0 > (values - other)[~right].mean()


def test_plans_by_a_prm_that_did_not_score_it_are_not_offered(data: TrainingData) -> None:
    found = open_choices(data, Probe("small", 1, greedy=True))
    assert all(choice.prm is None for choice in found if choice.policy == "small")
    assert any(choice.prm is not None for choice in open_choices(data, Probe("small", 1)))


def test_a_probe_without_samples_has_no_greedy_answer() -> None:
    with pytest.raises(ValueError, match="without any"):
        Probe("small", 0, greedy=True)
    assert str(Probe("small", 1, greedy=True)) == "the greedy answer of small"
    assert str(Probe("small", 4, greedy=True)) == "the greedy answer and 3 samples of small"
    assert "greedy" not in Probe("small", 4).to_dict()


@pytest.fixture(scope="module")
def looking(data: TrainingData) -> Planner:
    """A planner that looks at the greedy answer first, whatever it costs."""
    cache = StudyCache(data=data, seed=0, threads=1)
    asked = plain("small", cache.largest["small"], len(data)) | {"greedy": True, "probes": "1,4"}
    design = Design.suggested(FixedTrial(asked), cache.largest, scorable=False, greedy=["small"])
    assert design.greedy
    fitted = cache.finished(design, {}, "2026-01-01")
    stages = []
    for place, stage in enumerate(fitted.stages):
        centre = stage.centre.copy()
        if stage.actions.next_probe is not None:
            centre[len(stage.choices) :] += 50.0
        stages.append(replace(stage, centre=centre, trust=None if not place else stage.trust))
    return replace(fitted, stages=tuple(stages))


def test_the_fit_says_what_it_could_not_try(looking: Planner) -> None:
    assert any("since good scored none" in note for note in looking.card["notes"])


def test_a_planner_with_a_greedy_look_is_kept_on_disk(looking: Planner, tmp_path: Path) -> None:
    save(looking, tmp_path / "planner")
    assert [stage.probe for stage in load(tmp_path / "planner").stages] == [s.probe for s in looking.stages]


async def test_a_live_run_draws_the_greedy_answer_once_and_then_samples(looking: Planner) -> None:
    temperatures: list[float] = []

    class Heard(ScriptedEngine):
        def submit(self, request: Request) -> AsyncIterator[Event]:
            temperatures.extend([request.sampling.temperature] * request.n)
            return super().submit(request)

    engines = {
        name: Heard(lambda text, rng: "# 51", name=name, parameters=card.parameters)
        for name, card in looking.policies.items()
    }
    reward = ScriptedReward(lambda asked, steps: 0.9, name="good", parameters=1_000_000)
    settings = {
        (name, prm): Setting(engine, None if prm is None else reward)
        for name, engine in engines.items()
        for prm in (None, "good")
    }
    question = Problem("p1", "f", "arithmetic", "work out the sum of 3 + 41 + 7", "51")
    found = await solve(question, looking, settings, budget=Budget.unlimited(), allow_foreign=True)
    assert [record.probe.samples for record in found.stages] == [0, 1, 4]
    assert temperatures[0] == 0.0
    assert 0.0 not in temperatures[1:]
    assert len(temperatures) >= 4


async def test_cot_after_the_look_draws_nothing() -> None:
    engine = ScriptedEngine(lambda text, rng: "# 51", name="small", parameters=1_000_000)
    run = RequestRun(PROBLEMS[0], {("small", None): Setting(engine)}, UNLIMITED, seed=1)
    probe = Probe("small", 4, greedy=True)
    seen = await run.probe(probe)
    spent = run.spend.tokens
    result = await run.run(COT, probe)
    assert (result.candidates, run.spend.tokens) == (seen[:1], spent)


def test_a_replay_sees_what_a_live_run_of_the_embedded_engine_sees(tmp_path: Path) -> None:
    name = "lab-policy-s"
    grid = {"pair": [{"policy": name}], "strategies": ["cot", "majority"], "n": [1, 2]}
    log = planner.search(PROBLEMS, output=tmp_path / "log", grid=grid, models={name: name})
    data = read_training_data(log, log.manifest.policies, {})
    matrices = Matrices(data, NgramEncoder.fit(data.questions, dimensions=2), seed=0)
    probe = Probe(name, 1, greedy=True)
    replayed = matrices.at(probe)
    rows = log.scan("samples").collect()
    engine = EmbeddedEngine.load(shipped(name))

    async def live(problem: Problem) -> ProbeSamples:
        run = RequestRun(problem, {(name, None): Setting(engine)}, UNLIMITED, seed=5)
        [candidate] = await run.probe(probe)
        own = rows.filter(problem_id=problem.problem_id, draw=-1)
        assert own["text"].to_list() == [candidate.text]
        at = data.problem_ids.index(problem.problem_id) * replayed.probes
        assert replayed.paid_tokens[at] == run.spend.tokens
        assert replayed.paid_flops[at] == run.spend.flops
        return ProbeSamples.of([candidate])

    async def every() -> list[ProbeSamples]:
        return [await live(problem) for problem in PROBLEMS]

    for problem, seen in zip(PROBLEMS, asyncio.run(every()), strict=True):
        told = probe_features(seen, False)[0]
        at = data.problem_ids.index(problem.problem_id) * replayed.probes
        assert (replayed.features[at, -len(told) :] == told).all()

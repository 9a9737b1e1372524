"""The only file of the golden tests that knows names of the code: what moves or is renamed is mended here.

Everything that goes in and comes out is plain JSON, in words of its own, so that the recorded files stay as
they are when classes change their names. Imports stand inside functions, because they load much.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import golden_cases as cases

__all__ = [
    "decide",
    "lab_problems",
    "load_planner",
    "probes",
    "read_table",
    "run_command",
    "save_planner",
    "serving",
    "shipped_planner",
]

Json = dict[str, Any]


# ---- the planner


def shipped_planner() -> Path:
    """The folder of the planner that ships with the project."""
    from planner.models import shipped

    return shipped("planner")


def load_planner(folder: Path) -> Any:
    """A planner that decides."""
    from planner.planner import Planner

    return Planner.load(folder)


def save_planner(planner: Any, folder: Path) -> None:
    """Write a planner to a folder."""
    planner.save(folder)


def probes(planner: Any) -> list[Json]:
    """What the planner can have seen when it decides: policy, number of samples and PRM, in its order."""
    return [
        {"policy": stage.probe.policy, "samples": stage.probe.samples, "prm": stage.probe.prm}
        for stage in planner.stages
    ]


def decide(planner: Any, case: Mapping[str, Any]) -> Json:
    """One decision, or the name of the error. ``cases.py`` says what a case has."""
    from planner.evidence.probe import Probe
    from planner.solving.exploration import Exploration
    from search.errors import PlannerError
    from search.result import Candidate, Spend

    asked: Json = {"budget": _budget(case["budget"])}
    asked |= {name: case[name] for name in ("domain", "abstain_below") if name in case}
    if "explore" in case:
        asked["decision_filter"] = Exploration(0.5, len(planner.stages), random.Random(case["explore"]))
    try:
        if "look" not in case:
            if case.get("voteable", True):
                advice = planner.decide(case["question"], **asked)
            else:
                advice = planner.plain_advice(case["question"])
        else:
            seen = [
                Candidate(**{name: tuple(v) if isinstance(v, list) else v for name, v in drawn.items()})
                for drawn in case["candidates"]
            ]
            asked |= {"spent": Spend(**case["spent"]), "groups": case.get("groups")}
            advice = planner.decide(case["question"], Probe(**case["look"]), seen, **asked)
    except PlannerError as error:
        return {"error": type(error).__name__}
    runner = advice.runner_up
    return {
        "choice": str(advice.choice),
        "look": None if advice.probe is None else str(advice.probe),
        "accuracy": advice.accuracy,
        "interval": list(advice.interval),
        "tokens": advice.tokens,
        "tokens_p90": advice.tokens_p90,
        "flops": advice.flops,
        "flops_p90": advice.flops_p90,
        "runner_up": None
        if runner is None
        else [str(runner.choice), runner.accuracy, runner.tokens, runner.flops],
        "warnings": list(advice.warnings),
        "abstain": bool(advice.abstain),
        "propensity": advice.propensity,
    }


def _budget(budget: Mapping[str, Any]) -> Any:
    from search.budget import Budget

    words = {name: budget[name] for name in ("tokens", "flops", "accuracy") if name in budget}
    if "mean" in budget:
        amount, unit = (*budget["mean"], "flops")[:2]
        words[f"mean_{unit}"] = amount
    if "price" in budget:
        price, unit = (*budget["price"], "flops")[:2]
        words |= {"price": price, "price_unit": unit}
    return Budget(**words)


# ---- the command line and its log


def run_command(*arguments: str) -> None:
    """``planner ARGUMENTS`` in this process. Raises AssertionError with its output when it fails."""
    from typer.testing import CliRunner

    from planner.cli.main import app

    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output


def read_table(log: Path, table: str) -> list[Json]:
    """The rows of a table of a search log."""
    from search.log.store import SearchLog

    rows: list[Json] = SearchLog.open(log).read(table).to_dicts()
    return rows


def lab_problems(split: str, seed: int, domains: Mapping[str, int]) -> list[Json]:
    """So many of the lab's problems of each domain, as lines of a problem file; the seed determines them."""
    from training.lab.problems import Mix, problem_set

    fields = ("problem_id", "family", "domain", "question", "answer")
    return [
        {name: getattr(made.problem, name) for name in fields}
        for domain, count in domains.items()
        for made in problem_set(split, count, seed, Mix({domain: 1.0}))
    ]


# ---- the server


@contextmanager
def serving(*, scripted: bool) -> Iterator[Any]:
    """A server of the shipped planner without a socket: an httpx client of it.

    Parameters
    ----------
    scripted:
        Its models write and score what ``cases.writes`` and ``cases.scores`` say, in an order that never
        changes. Else they are the lab's, as in ``planner serve --lab``: what is drawn at the same time then
        arrives in any order, so that a vote may end earlier or later.
    """
    from starlette.testclient import TestClient

    from planner.server.app import create_app
    from planner.server.current import Current
    from planner.server.service import Service

    folder = shipped_planner()
    models = _scripted(load_planner(folder)) if scripted else _lab(load_planner(folder))
    service = Service(Current(folder, models.cards, allow_foreign=scripted), models)
    with TestClient(create_app(service)) as client:
        yield client


def _lab(planner: Any) -> Any:
    from planner.models import shipped
    from planner.server.backends import embedded

    policies, prms = ({name: shipped(name) for name in names} for names in (planner.policies, planner.prms))
    return embedded(planner, policies, prms).models


def _scripted(planner: Any) -> Any:
    from planner.server.models import Models
    from search.engines.scripted import TURN, ScriptedEngine
    from search.rewards.scripted import ScriptedReward

    def script(text: str, rng: random.Random) -> str:
        asked, _, written = text.partition(TURN)
        return cases.writes(asked, written, rng)

    def rendered(turns: Any) -> tuple[int, ...]:
        return tuple(map(ord, "".join(f"{turn['role']}: {turn['content']}\n" for turn in turns) + TURN))

    engines = {
        name: ScriptedEngine(script, name=name, parameters=card.parameters, context=4096)
        for name, card in planner.policies.items()
    }
    rewards = {
        name: ScriptedReward(cases.scores, name=name, parameters=card.parameters, context=4096)
        for name, card in planner.prms.items()
    }
    return Models(engines, rewards, dict.fromkeys(engines, rendered))

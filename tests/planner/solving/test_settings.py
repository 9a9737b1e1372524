"""What runs a planner's choices: policies asked as they were when it was learned, or refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import synthetic

from planner.planner import Planner
from planner.solving.settings import settings_of
from planner.solving.solver import perform, solve
from search.budget import Budget
from search.engines.prompted import PromptedEngine
from search.engines.scripted import TURN, ScriptedEngine
from search.errors import ArtefactError
from search.loader import ReadyLoader
from search.log.manifest import Manifest, prompt_settings
from search.prompts import PROMPTINGS, Prompting
from search.rewards.scripted import ScriptedReward
from search.sync import run_sync
from training.study import fit

QUESTION = "work out the sum of 3 + 41 + 7"
ASKED = Prompting("Think, then answer: {question}", "\n\n")


class House:
    """Models of the synthetic planner, and what they saw."""

    def __init__(self, planner: Planner) -> None:
        self.asked: set[str] = set()
        self.judged: set[tuple[str, ...]] = set()
        engines = [
            ScriptedEngine(self._write, name=name, parameters=card.parameters, context=4096)
            for name, card in planner.policies.items()
        ]
        rewards = [
            ScriptedReward(self._judge, name=name, parameters=card.parameters, context=4096)
            for name, card in planner.prms.items()
        ]
        self.cards = {engine.card.name: engine.card for engine in engines}
        self.prms = {reward.card.name: reward.card for reward in rewards}
        self.loader = ReadyLoader(engines, rewards)

    def _write(self, text: str, rng: Random) -> str:
        question, _, written = text.partition(TURN)
        self.asked.add(question)
        steps = ["a line\nand one more", f"# {51 if rng.random() < 0.6 else rng.randint(1, 99)}"]
        return "\n\n".join(steps[written.count("\n\n") :])

    def _judge(self, question: str, steps: tuple[str, ...]) -> float:
        assert question == QUESTION
        self.judged.add(steps)
        return 0.5


@pytest.fixture
def house(planner: Planner) -> House:
    return House(planner)


def learned(planner: Planner, house: House, promptings: dict[str, Prompting]) -> Planner:
    """The planner as if it had been learned from these models, asked so."""
    return replace(
        planner,
        policies={name: promptings.get(name, Prompting()).card(card) for name, card in house.cards.items()},
        prms=house.prms,
        promptings=promptings,
    )


def test_policies_are_asked_as_the_planner_was_learned(
    planner: Planner, house: House, tmp_path: Path
) -> None:
    prompted = learned(planner, house, dict.fromkeys(planner.policies, ASKED))
    prompted.save(tmp_path / "planner")
    loaded = Planner.load(tmp_path / "planner")
    assert loaded.promptings == dict.fromkeys(planner.policies, ASKED)
    settings = settings_of(loaded, house.loader)
    assert {setting.delimiter for setting in settings.values()} == {"\n\n"}
    cap = Budget(tokens=4000)
    solution = run_sync(solve(QUESTION, loaded, settings, budget=cap, domain="arithmetic"))
    assert solution.answer == "51"
    assert house.asked == {ASKED.ask(QUESTION)}


def test_steps_end_where_the_prompting_says(planner: Planner, house: House) -> None:
    prompted = learned(planner, house, dict.fromkeys(planner.policies, ASKED))
    choice = next(one for stage in prompted.stages for one in stage.choices if one.prm is not None)
    run_sync(perform(QUESTION, choice, settings_of(prompted, house.loader), domain="arithmetic"))
    assert house.asked == {ASKED.ask(QUESTION)}
    assert {steps[0] for steps in house.judged} == {"a line\nand one more"}
    assert {len(steps) for steps in house.judged} <= {1, 2}


def test_each_policy_has_its_own(planner: Planner, house: House) -> None:
    first, *rest = planner.policies
    prompted = learned(planner, house, {first: ASKED})
    settings = settings_of(prompted, house.loader)
    for (policy, _), setting in settings.items():
        assert isinstance(setting.engine, PromptedEngine) == (policy == first)
        assert setting.delimiter == ("\n\n" if policy == first else "\n")
        assert setting.engine.card == prompted.policies[policy]
    assert rest


def test_a_planner_without_promptings_asks_plainly(planner: Planner, house: House, tmp_path: Path) -> None:
    plain = learned(planner, house, {})
    plain.save(tmp_path / "planner")
    assert "promptings" not in (tmp_path / "planner" / "planner.json").read_text()
    settings = settings_of(Planner.load(tmp_path / "planner"), house.loader)
    assert all(setting.engine is house.loader.engine(policy) for (policy, _), setting in settings.items())


def test_what_gives_another_policy_than_the_planner_knows_is_refused(planner: Planner, house: House) -> None:
    prompted = learned(planner, house, dict.fromkeys(planner.policies, ASKED))
    plainly = {
        key: replace(setting, engine=house.loader.engine(key[0]))
        for key, setting in settings_of(prompted, house.loader).items()
    }
    with pytest.raises(ArtefactError, match=r"it was learned from '\w+' asked under .*Think, then answer"):
        run_sync(solve(QUESTION, prompted, plainly, budget=Budget(tokens=4000), domain="arithmetic"))
    # and one from before planners told it: the fingerprint is another policy's
    silent = replace(prompted, promptings={})
    with pytest.raises(ArtefactError, match="models it was learned from"):
        run_sync(solve(QUESTION, silent, settings_of(silent, house.loader), budget=Budget(tokens=4000)))
    assert house.asked == set()


def test_a_prompting_of_a_policy_without_a_card_is_refused(planner: Planner) -> None:
    with pytest.raises(ArtefactError, match=r"a prompting is of a policy that has a card .*, got nobody"):
        replace(planner, promptings={"nobody": ASKED})


@pytest.mark.parametrize(
    "told",
    ['{"small": {"template": "no place", "delimiter": ";"}}', '{"small": {}}', '{"small": 3}', "[1]"],
)
def test_a_damaged_prompting_is_an_artefact_error(
    planner: Planner, house: House, tmp_path: Path, told: str
) -> None:
    folder = tmp_path / "planner"
    learned(planner, house, {"small": ASKED}).save(folder)
    body = json.loads((folder / "planner.json").read_text())
    body["promptings"] = json.loads(told)
    data = json.dumps(body).encode()
    (folder / "planner.json").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["planner.json"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtefactError):
        Planner.load(folder)


def test_fitting_takes_the_promptings_of_the_log() -> None:
    manifest = Manifest(prompt_settings({"small": ASKED, "large": PROMPTINGS["plain"], "gone": ASKED}))
    assert manifest.promptings == {"small": ASKED, "gone": ASKED}
    tables = synthetic.make_log(64, draws=8, ns=(4,))
    fitted = fit(tables, synthetic.POLICIES, synthetic.PRMS, trials=0, promptings=manifest.promptings)
    assert fitted.promptings == {name: ASKED for name in fitted.policies if name == "small"}
    assert fitted.promptings

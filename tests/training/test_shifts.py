"""What traffic shows of models and choices: the right explanation is found, and none where there is none."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from planner.evidence.effects import Effects
from planner.evidence.training_data import TrainingData, read_training_data
from planner.traffic.gather import Gathered, Outcomes
from search.errors import TooLittleDataError
from training.shifts import Evidence, Losses, Model, learn_effects, losses_of

VOTE = ("small", None, "majority(n=4)")
BEST = ("small", "good", "best_of_n(n=4, score=last)")
OTHER = ("large", None, "majority(n=4)")
RAN = (VOTE, BEST, OTHER)
#: what a vote by PRM loses in each domain where the PRM says nothing, and policies' choices where they do
LOSSES: Losses = {
    ("good", BEST, "easy"): -0.05,
    ("good", BEST, "hard"): -0.4,
    **{(ran[0], ran, domain): -0.6 for ran in RAN for domain in ("easy", "hard")},
}


def traffic(
    shift: dict[tuple[str | None, str], float], *, count: int = 1500, seed: int = 0, begin: float = 0.0
) -> tuple[Gathered, Outcomes]:
    """Outcomes of choices that are expected to be right in 60%, moved by PRM and domain from a part on."""
    rng = np.random.default_rng(seed)
    choice, domain = rng.integers(0, 3, count), rng.integers(0, 2, count)
    domains = ("easy", "hard")
    chance = 0.6 + np.array(
        [
            shift.get((RAN[c][1] or RAN[c][0], domains[d]), 0.0) if place >= begin * count else 0.0
            for place, (c, d) in enumerate(zip(choice, domain, strict=True))
        ]
    )
    values = (rng.random(count) < chance).astype(float)
    seen = Gathered(
        weights=np.ones((count, 1)),
        expected=np.zeros((3, count, 1)),
        spent=np.zeros((2, count, 1)),
        last=np.zeros(count, np.int64),
        clusters=np.arange(count),
        covariates=rng.random((count, 2)),
        promised=np.full(count, 0.6),
        logged=np.full(count, 0.6),
        choice=choice,
        choices=RAN,
        domain=domain,
        domains=domains,
        propensity=np.ones(count),
        words={},
        left_out={},
        policies=frozenset({"small", "large"}),
    )
    known = np.ones(count, bool)
    return seen, Outcomes(values, known, known, ~known)


BROKEN = {("good", "easy"): -0.05, ("good", "hard"): -0.4}


def test_a_prm_that_says_nothing_is_found() -> None:
    seen, found = traffic(BROKEN)
    learned = learn_effects(seen, found, found.known, losses=LOSSES)
    assert learned.model.lost == ("good",)
    assert all(abs(shift) < 0.05 for shift in learned.effects.shifts.values())
    assert learned.effects.lost == {"good": pytest.approx(1.0, abs=0.25)}
    assert learned.gain > 0.02


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_learned_where_nothing_changed(seed: int) -> None:
    seen, found = traffic({}, count=600, seed=seed)
    learned = learn_effects(seen, found, found.known, losses=LOSSES)
    assert learned.effects.lost == {}
    assert all(abs(shift) < 0.05 for shift in learned.effects.shifts.values())


def test_a_change_in_the_newest_part_is_dated() -> None:
    seen, found = traffic(BROKEN, count=3000, begin=0.5)
    learned = learn_effects(seen, found, found.known, losses=LOSSES)
    assert learned.model == Model(lost=("good",), begin=0.5)
    assert learned.effects.lost == {"good": pytest.approx(1.0, abs=0.25)}


def test_a_domain_that_became_harder_is_no_models_loss() -> None:
    everything = {(name, "hard"): -0.3 for name in ("small", "good", "large")}
    seen, found = traffic(everything, count=3000)
    learned = learn_effects(seen, found, found.known, losses=LOSSES)
    effects = learned.effects
    vote, best = (sum(effects.shifts.get(f"{kind}", 0.0) for kind in kinds) for kinds in (
        ("domain hard", "policy small", "policy small on hard", "PRM -", "PRM - on hard"),
        ("domain hard", "policy small", "policy small on hard", "PRM good", "PRM good on hard"),
    ))  # fmt: skip
    assert vote < -0.15
    assert best < -0.1


def test_what_is_in_use_stays_until_something_else_is_more_probable() -> None:
    kept = Effects(lost={"good": 0.9})
    seen, found = traffic(BROKEN)
    learned = learn_effects(seen, found, found.known, losses=LOSSES, kept=kept)
    assert learned.model.kept
    assert learned.effects == kept
    seen, found = traffic({})
    learned = learn_effects(seen, found, found.known, losses=LOSSES, kept=kept)
    assert not learned.model.kept
    assert not learned.effects


def test_choices_that_only_the_serving_planner_knows_count() -> None:
    seen, found = traffic(BROKEN)
    unknown = seen.choice == 1
    logged = np.where(unknown, np.nan, seen.logged)
    blind = Gathered(**{name: getattr(seen, name) for name in Gathered.__slots__} | {"logged": logged})
    assert Evidence.of(blind, found, found.known, losses=LOSSES).outcomes == int((~unknown).sum())
    learned = learn_effects(blind, found, found.known, losses=LOSSES, also=np.full(len(seen), 0.6))
    assert learned.outcomes == len(seen)
    assert learned.effects.lost == {"good": pytest.approx(1.0, abs=0.2)}


def test_words_on_one_question_count_as_they_are_worth() -> None:
    """Each question asked ten times with one outcome: a difference that is luck of few questions is not
    learned."""
    rng = np.random.default_rng(1)
    seen, _ = traffic({}, count=600)
    clusters = np.arange(600) // 10
    values = (rng.random(60) < 0.6).astype(float)[clusters]
    domain = clusters % 2
    together = Gathered(
        **{name: getattr(seen, name) for name in Gathered.__slots__}
        | {"clusters": clusters, "domain": domain, "choice": clusters % 3}
    )
    known = np.ones(600, bool)
    evidence = Evidence.of(together, Outcomes(values, known, known, ~known), known, losses=LOSSES)
    assert float(evidence.weight.sum()) < 100


def test_too_few_outcomes_are_refused() -> None:
    seen, found = traffic({}, count=30)
    with pytest.raises(TooLittleDataError, match="at least 50, got 30 of 30"):
        learn_effects(seen, found, found.known)


def test_losses_are_those_of_the_campaign(synthetic: ModuleType) -> None:
    made = synthetic.make_log(40, draws=8, ns=(4,), policies=("small",), prms=("good",))
    data: TrainingData = read_training_data(made, synthetic.POLICIES, synthetic.PRMS)
    gone = ("small", "good", "gone(n=2)")
    losses = losses_of(data, [VOTE, BEST, OTHER, gone])
    assert {ran for _, ran, _ in losses} == {VOTE, BEST}  # no log of the large policy, no plan of that name
    assert {name for name, _, _ in losses} == {"small", "good"}
    for domain in set(data.domains):
        assert losses["good", VOTE, domain] == pytest.approx(0.0, abs=1e-9)
        assert losses["small", VOTE, domain] < 0.0
        assert losses["small", BEST, domain] < 0.0
    assert min(losses["good", BEST, domain] for domain in set(data.domains)) < -0.1
    assert losses_of(data, [BEST]) == {key: value for key, value in losses.items() if key[1] == BEST}

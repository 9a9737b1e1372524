from __future__ import annotations

from pathlib import Path

import pytest

from search.campaigns.grid import Grid
from search.choice import Choice
from search.engines.protocol import Sampling
from search.errors import GridError
from search.plan import Plan

PAIRS: list[tuple[str, str | None]] = [("m", "good"), ("m", "weak"), ("s", None)]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return path


def test_the_default_grid_is_small_and_consistent() -> None:
    grid = Grid.default(PAIRS)
    plans = list(map(str, grid.plans()))
    assert plans[:3] == ["cot()", "majority(n=1)", "majority(n=4)"]
    assert "beam_search(n=64, width=4, prune=last, score=last, vote=max)" in plans
    assert "best_of_n(n=1, score=last)" not in plans  # the same sample, and a PRM to pay
    assert len(plans) == len(set(plans)) == 1 + 4 + 3 * 2 * 2 + 3 * 2
    assert grid.samples >= 2 * max(grid.n)
    assert grid.policies == ("m", "s")
    assert grid.prms("m") == ("good", "weak")
    assert grid.prms("s") == ()


def test_choices_pair_plans_with_the_prms_they_ask() -> None:
    choices = Grid.default(PAIRS).choices()
    assert len(choices) == len(set(choices))
    assert Choice("s", None, Plan.of("cot")) in choices
    assert {choice.prm for choice in choices if choice.plan == Plan.of("majority", n=4)} == {None}
    assert not [choice for choice in choices if choice.policy == "s" and choice.plan.needs_prm]


def test_reads_toml_and_whole_numbers_where_floats_are_meant(tmp_path: Path) -> None:
    grid = Grid.read(
        written(
            tmp_path,
            'strategies = ["best_of_n", "dvts"]\nn = [1, 8]\ntree_n = [4]\n'
            'score = ["min"]\nvote = ["weighted"]\n'
            'temperature = 1\nsamples = 32\nseed = 7\n[[pair]]\npolicy = "m"\nprm = "r"\n',
        )
    )
    assert list(map(str, grid.plans())) == [
        "best_of_n(n=1, score=min)",
        "best_of_n(n=8, score=min)",
        "dvts(n=4, width=4, prune=last, score=last, vote=weighted)",
    ]
    assert (grid.seed, grid.sampling.temperature, grid.limits.max_tokens) == (7, 1.0, 224)


PAIR = '\n[[pair]]\npolicy = "m"\nprm = "r"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n = [1" + PAIR, "a grid must be TOML, got "),
        ("colour = 3" + PAIR, "grid.toml: unknown key 'colour'"),
        ("n = [4]", "grid.toml: key 'pair' is missing"),
        ("pair = []", "grid.toml: pair: list should have at least 1 item"),
        ("[[pair]]\nprm = 'r'", "grid.toml: key 'pair.0.policy' is missing"),
        ("[[pair]]\npolicy = 'm'\nmodel = 'r'", "grid.toml: unknown key 'pair.0.model'"),
        ("n = 16" + PAIR, "grid.toml: n: input should be a valid list, got 16"),
        ("n = ['16']" + PAIR, "grid.toml: n.0: input should be a valid integer, got '16'"),
        ("n = [0]" + PAIR, "grid.toml: n.0: input should be greater than or equal to 1, got 0"),
        ("n = [-4]" + PAIR, "n.0: input should be greater than or equal to 1, got -4"),
        ("n = [10]" + PAIR, "grid.toml: n must be divisible by width, got n=10, width=4"),
        ("tree_n = [2]" + PAIR, "grid.toml: n must be divisible by width, got n=2, width=4"),
        ("strategies = ['magic']" + PAIR, "grid.toml: strategies.0: strategy must be one of cot, majority, "),
        ("score = ['best']" + PAIR, "grid.toml: score.0: input should be 'min', "),
        ("samples = 32" + PAIR, "grid.toml: samples must be at least the largest n, got samples=32, n=64"),
        ("temperature = 0.0" + PAIR, "grid.toml: temperature: input should be greater than 0, got 0.0"),
        ("seed = -1" + PAIR, "grid.toml: seed: input should be greater than or equal to 0, got -1"),
        (PAIR + PAIR, "grid.toml: a pair is given once, got m x r twice"),
    ],
)
def test_a_bad_grid_names_key_rule_and_value(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(GridError) as caught:
        Grid.read(written(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_grid_file(tmp_path: Path) -> None:
    with pytest.raises(GridError, match=r"a grid must be a readable file, got .*nowhere"):
        Grid.read(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("samples", "block", "blocks"),
    [(8, 4, ((0, 4), (4, 4))), (10, 4, ((0, 4), (4, 4), (8, 2))), (3, 16, ((0, 3),))],
)
def test_samples_need_not_be_a_multiple_of_block(
    samples: int, block: int, blocks: tuple[tuple[int, int], ...]
) -> None:
    assert (
        Grid.of({"pair": [{"policy": "m"}], "n": [1], "samples": samples, "block": block}).blocks() == blocks
    )


def test_sampling_is_the_grids_then_the_models_then_ours() -> None:
    pair = [{"policy": "m"}]
    own = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.1}
    assert Grid.of({"pair": pair}).sampling_of(own) == Sampling(0.7, 0.8, 20)
    assert Grid.of({"pair": pair, "temperature": 1.0, "top_k": 0}).sampling_of(own) == Sampling(1.0, 0.8, 0)
    assert Grid.of({"pair": pair}).sampling_of({}) == Grid.of({"pair": pair}).sampling == Sampling()
    greedy = {"do_sample": False, "temperature": 0.0, "top_p": 7, "top_k": "many"}
    assert Grid.of({"pair": pair}).sampling_of(greedy) == Sampling()

"""Presets: grids by name, for the models and rewards at hand.

``fast``: one greedy answer, votes and adaptive votes. One pool of samples tells all of them, and no reward is
asked.

``full``: every strategy that needs no plan written out, under every reward at hand.

``thinking``: one greedy answer and a vote of four, as they are and at three budgets of thought: an eighth, a
quarter and a half of ``max_tokens``, or low, medium and high effort where a server takes no number.

What refuses to run here (``Strategy.refuses``) is left out, and said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from search.campaigns.grid import Grid, Pair
from search.errors import GridError
from search.loader import Loader
from search.plan import Plan
from search.problem import Problem
from search.strategies.fields import grammar_of
from search.strategies.protocol import Setting, Strategy
from search.strategies.registry import STRATEGIES
from search.thinking_budget import ThinkingBudget

__all__ = ["PRESETS", "preset"]

#: name -> what a grid of it says, besides its pairs
PRESETS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "fast": {"strategies": ["cot", "majority", "adaptive_vote"], "n": [1, 4, 16], "samples": 32},
        "full": {"n": [1, 4, 16], "tree_n": [4, 16], "samples": 32},
        "thinking": {"strategies": ["cot", "majority"], "n": [4], "samples": 8},
    }
)
#: budgets of thought, as parts of the most tokens of a solution
_PARTS = (8, 4, 2)
_EFFORTS = ("low", "medium", "high")


def preset(
    name: str,
    pairs: Sequence[Pair],
    problems: Sequence[Problem],
    loader: Loader,
    *,
    replaced: Mapping[str, object] = MappingProxyType({}),
) -> tuple[Grid, tuple[str, ...]]:
    """The grid of a preset, and what is left out of it, a line each.

    Loads the models where somebody must be asked. ``replaced``: keys that stand for those of the preset.
    Raises GridError: an unknown name, a PRM beside ``fast``, policies that cannot be told how much to think.
    """
    if name not in PRESETS:
        raise GridError(f"a preset must be one of {', '.join(PRESETS)}, got {name!r}")
    judged = [pair.prm for pair in pairs if pair.prm is not None]
    if name == "fast" and judged:
        raise GridError(f"the preset fast asks no PRM, got {judged[0]!r}")
    content: dict[str, object] = {
        **PRESETS[name],
        "pair": [pair.model_dump(exclude_none=True) for pair in pairs],
        **({"strategies": _written_out()} if name == "full" else {}),
        **replaced,
    }
    if name == "thinking":
        content |= _budgets(Grid.of(content), loader)
    return _possible(Grid.of(content), content, problems, loader)


def _written_out() -> list[str]:
    """The strategies whose plans a grid makes by itself."""
    return [
        name
        for name, kind in STRATEGIES.items()
        if not any(one.is_required for one in grammar_of(kind).values())
    ]


def _budgets(grid: Grid, loader: Loader) -> dict[str, object]:
    """How much the policies are told to think: numbers of tokens, or efforts."""
    most = grid.limits_of([loader.generation_defaults(name) for name in grid.policies]).max_tokens
    budgets = [max(1, most // part) for part in _PARTS]
    numbers = _fault([ThinkingBudget(think=budget) for budget in budgets], grid, loader)
    if numbers is None:
        return {"think": budgets}
    efforts = _fault([ThinkingBudget(effort) for effort in _EFFORTS], grid, loader)
    if efforts is None:
        return {"effort": list(_EFFORTS)}
    raise GridError(
        f"the preset thinking needs policies that are told how much to think: {numbers}; {efforts}"
    )


def _fault(wanted: Sequence[ThinkingBudget], grid: Grid, loader: Loader) -> str | None:
    faults = (loader.engine(name).refuses_thinking(one) for name in grid.policies for one in wanted)
    return next((fault for fault in faults if fault is not None), None)


def _possible(
    grid: Grid, content: Mapping[str, object], problems: Sequence[Problem], loader: Loader
) -> tuple[Grid, tuple[str, ...]]:
    """The grid without the strategies that refuse to run on these problems."""
    examples = list({problem.domain: problem for problem in problems}.values())
    faults: dict[str, str] = {}
    for plan in grid.plans():
        fault = _refusal(plan, examples, grid, loader) if plan.strategy not in faults else None
        if fault is not None:
            faults[plan.strategy] = fault
    if not faults:
        return grid, ()
    kept = [name for name in grid.strategies if name not in faults]
    return Grid.of({**content, "strategies": kept}), tuple(
        f"left out {name}: {fault}" for name, fault in faults.items()
    )


def _refusal(plan: Plan, examples: Sequence[Problem], grid: Grid, loader: Loader) -> str | None:
    described = plan.described
    if plan.thinking is not None or type(described).refuses is Strategy.refuses:
        return None
    settings = [Setting(loader.engine(name)) for name in grid.policies]
    faults = (described.refuses(problem, setting) for problem in examples for setting in settings)
    return next((fault for fault in faults if fault is not None), None)

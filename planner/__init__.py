"""Decides how much a small language model should think: strategy and budget, per question.

    >>> import planner
    >>> lab = planner.load("lab")
    >>> print(lab.solve("What is (13+64)+80?", tokens=800).answer)
    157

Everything a user needs is here, and nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.version import __version__ as __version__

if TYPE_CHECKING:
    from planner.api import evaluate, extend, fit, load, search
    from planner.deciding.recommendation import Recommendation
    from planner.evaluation.baseline import Baseline
    from planner.planner import Planner
    from planner.plugins import register
    from planner.solving.solution import Solution
    from search.budget import Budget
    from search.choice import Choice
    from search.engines.protocol import Engine
    from search.errors import (
        ArtefactError,
        BudgetError,
        EngineError,
        LogError,
        PlanError,
        PlannerError,
        RewardError,
    )
    from search.grading.protocol import Domain as Grader
    from search.importing.protocol import Importer
    from search.plan import Plan
    from search.problem import Problem
    from search.rewards.protocol import Reward
    from search.strategies.protocol import Strategy

__all__ = [
    "ArtefactError",
    "Baseline",
    "Budget",
    "BudgetError",
    "Choice",
    "Engine",
    "EngineError",
    "Grader",
    "Importer",
    "LogError",
    "Plan",
    "PlanError",
    "Planner",
    "PlannerError",
    "Problem",
    "Recommendation",
    "Reward",
    "RewardError",
    "Solution",
    "Strategy",
    "evaluate",
    "extend",
    "fit",
    "load",
    "register",
    "search",
]

#: public name -> the module it lies in, and its name there where that is another
_PLACES = {
    **dict.fromkeys(("evaluate", "extend", "fit", "load", "search"), "planner.api"),
    "register": "planner.plugins",
    "Planner": "planner.planner",
    "Recommendation": "planner.deciding.recommendation",
    "Solution": "planner.solving.solution",
    "Budget": "search.budget",
    "Choice": "search.choice",
    "Plan": "search.plan",
    "Problem": "search.problem",
    **{name: "search.errors" for name in __all__ if name.endswith("Error")},
    "Strategy": "search.strategies.protocol",
    "Grader": "search.grading.protocol:Domain",
    "Engine": "search.engines.protocol",
    "Reward": "search.rewards.protocol",
    "Importer": "search.importing.protocol",
    "Baseline": "planner.evaluation.baseline",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'planner' has no attribute {name!r}")
    module, _, other = _PLACES[name].partition(":")
    loaded = importlib.import_module(module)
    try:
        found = getattr(loaded, other or name)
    except AttributeError as error:
        raise ImportError(f"{module} has no {other or name!r}") from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted((*__all__, "__version__"))


def _shadowed() -> str | None:
    """Which file of another's is imported in the place of a package of ours, told in one line; or None."""
    home = Path(__file__).resolve().parent.parent
    for package in ("search", "training"):
        try:
            spec = importlib.util.find_spec(package)
        except ValueError:  # a module of that name was made by hand
            spec = None
        if spec is None:
            continue
        where = spec.origin or next(iter(spec.submodule_search_locations or ()), None)
        if where is None or where == "frozen":
            continue
        if Path(where).resolve() not in (home / package, home / package / "__init__.py"):
            return (
                f"the package {package!r} must be the one beside planner, in {str(home)!r}, got {where!r}: "
                "rename that, or start Python in another folder"
            )
    return None


def _is_command() -> bool:
    """Whether this process is ``planner ...`` or ``python -m planner ...``."""
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":  # Python is still looking for the module that it is to run
        asked = sys.orig_argv[sys.orig_argv.index("-m") + 1 :] if "-m" in sys.orig_argv else []
        return bool(asked) and asked[0].split(".")[0] == "planner"
    return Path(program).stem == "planner"


if (_wrong := _shadowed()) is not None:
    if _is_command():
        print(f"planner: {_wrong}", file=sys.stderr)
        raise SystemExit(2)
    raise ImportError(_wrong)

"""A grid: which policies, PRMs, strategies and numbers a campaign tries. One TOML file.

    samples = 144            # pool of i.i.d. samples per problem and policy
    temperature = 0.7        # and top_p, top_k; left out: what the model's generation_config.json says
    n = [1, 4, 16, 64]       # for every strategy; tree searches take those from width on
    width = [4]
    prune = ["last"]
    score = ["last", "min"]  # of best_of_n and weighted_vote; tree_score = ["last"] for trees
    vote = ["max"]
    think = [256, 1024]      # every plan again with at most so many tokens of thought
    effort = ["low"]         # every plan again at this effort
    plan = ["adaptive_vote(n=16, stop=0.9)"]  # further plans, written out
    runs = 2                 # of every tree plan
    prompt = "auto"          # how policies are asked (search/prompts.py); template, delimiter of your own

    [words]                  # replace templates of strategies
    "aggregate.select" = "{question} ... {answers} ... Reply with a number."

    [[pair]]
    policy = "lab-policy-m"
    prm = "lab-prm-good"     # left out: only plans that ask no PRM

Errors name the key, the rule and the value. A grid knows names of models, not where they lie.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from search.choice import Choice
from search.engines.protocol import Sampling
from search.errors import GridError, PlanError, PluginError
from search.plan import Plan
from search.prompts import choose
from search.strategies.protocol import Limits
from search.strategies.registry import STRATEGIES
from search.strategies.replay import Needs, needs_of
from search.strategies.words import check_words

__all__ = ["Grid", "Pair"]

_Number = Annotated[int, Field(ge=1, le=65536)]
_Score = Literal["min", "last", "mean", "prod"]
_Vote = Literal["max", "majority", "weighted"]
_Effort = Literal["on", "off", "none", "minimal", "low", "medium", "high", "xhigh", "max"]
#: what a grid tries unless it says otherwise
_STRATEGIES = ("cot", "majority", "best_of_n", "weighted_vote", "beam_search", "dvts")


class Pair(BaseModel):
    """A policy and the PRM that judges it; ``prm`` is None where none is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    policy: Annotated[str, Field(min_length=1)]
    prm: Annotated[str, Field(min_length=1)] | None = None


class Grid(BaseModel):
    """Everything a campaign needs to know besides the problems and the models.

    Parameters
    ----------
    pair:
        What runs with what. At least one. A PRM may be a judge, ``judge:MODEL``
        (``search.rewards.judge_spec``).
    strategies, n, width, prune, score, vote:
        Their product gives the plans; ``score`` is that of the sampling strategies. A strategy is a name that
        ``planner plugins`` lists, or a dotted path to a class.
    plan:
        Further plans, written out: ``adaptive_vote(n=16)``, or ``cascade(first=m: majority(n=4), then=l:
        cot())`` of several policies.
    think, effort:
        Every plan of the strategies again at each of these (``search.thinking_budget``). Such plans are run.
    tree_n, tree_score:
        The same for tree searches, whose every plan is run anew. ``tree_n`` left out: the values of
        ``n`` that are at least as large as the width.
    samples:
        Pool size. At least the largest n of the sampling strategies; twice that lets an oracle
        pick on one half and be scored on the other.
    block:
        Draws per request; the last request of a pool asks for what is left. Growing a pool adds blocks.
    group:
        Problems per unit of work, always run together.
    runs:
        Runs per tree plan and problem.
    temperature, top_p, top_k:
        How pool samples and runs are drawn. What is left out is the policy's own default
        (``generation_config.json``), else 1.0, 1.0 and 0.
    max_tokens, max_steps:
        Limits per solution. ``max_tokens`` left out: the policies' own default, else 224.
    seed:
        Of the campaign.
    prompt, template, delimiter:
        How policies are asked and what ends a step: the name of a prompting (``search.prompts``) or
        ``auto`` (by the policy's chat template); a template that holds ``{question}`` once; a text.
    words:
        Templates in which strategies ask about earlier answers, in place of their own, by strategy and name
        (``"aggregate.select"``; ``search.strategies.words``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pair: Annotated[list[Pair], Field(min_length=1)]
    strategies: list[Annotated[str, Field(min_length=1)]] = list(_STRATEGIES)
    plan: list[Annotated[str, Field(min_length=1)]] = []
    n: Annotated[list[_Number], Field(min_length=1)] = [1, 4, 16, 64]
    tree_n: list[_Number] | None = None
    width: Annotated[list[_Number], Field(min_length=1)] = [4]
    prune: Annotated[list[_Score], Field(min_length=1)] = ["last"]
    score: Annotated[list[_Score], Field(min_length=1)] = ["last", "min"]
    tree_score: Annotated[list[_Score], Field(min_length=1)] = ["last"]
    vote: Annotated[list[_Vote], Field(min_length=1)] = ["max"]
    think: list[Annotated[int, Field(ge=0, le=65536)]] = []
    effort: list[_Effort] = []
    samples: _Number = 144
    block: _Number = 16
    group: _Number = 32
    runs: _Number = 2
    temperature: Annotated[float, Field(gt=0.0, le=100.0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    max_tokens: _Number = 224
    max_steps: _Number = 32
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    prompt: Literal["auto", "plain", "llama-3", "qwen-2.5", "generic"] = "auto"
    template: str | None = None
    delimiter: str | None = None
    words: dict[str, str] = {}

    @model_validator(mode="after")
    def _rules(self) -> Grid:
        _check_each("strategies", self.strategies, STRATEGIES.get)
        _check_each("plan", self.plan, lambda text: Plan.parse(text, follow_path=True))
        largest = max(
            (count for choice in self.choices() for count in needs_of(choice).draws.values()), default=0
        )
        if largest > self.samples:
            raise ValueError(
                f"samples must be at least the largest n, got samples={self.samples}, n={largest}"
            )
        for place, pair in enumerate(self.pair):
            if pair in self.pair[:place]:
                raise ValueError(f"a pair is given once, got {pair.policy} x {pair.prm or '-'} twice")
        choose(self.prompt, template=self.template, delimiter=self.delimiter)
        check_words(self.words)
        if not self.plans():
            raise ValueError("a grid needs strategies or plans, got neither")
        self._check_parts()
        return self

    @classmethod
    def default(cls, pairs: list[tuple[str, str | None]]) -> Grid:
        """The default numbers (small on purpose) for some pairs of policy and PRM."""
        return cls.of({"pair": [{"policy": policy, "prm": prm} for policy, prm in pairs]})

    @classmethod
    def of(cls, content: dict[str, object], where: str = "grid") -> Grid:
        """A grid from what a TOML file holds. Raises GridError, one line."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise GridError(f"{where}: {_first(error)}") from error

    @classmethod
    def read(cls, path: str | Path, replaced: Mapping[str, object] = MappingProxyType({})) -> Grid:
        """The grid of a TOML file. Keys in ``replaced`` stand for those of the file. Raises GridError."""
        path = Path(path)
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise GridError(f"a grid must be a readable file, got {str(path)!r}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise GridError(f"a grid must be TOML, got {str(path)!r}: {error}") from error
        return cls.of({**content, **replaced}, path.name)

    @property
    def sampling(self) -> Sampling:
        """How pool samples and runs are drawn of a policy that has no defaults of its own."""
        return self.sampling_of({})

    def sampling_of(self, defaults: Mapping[str, object]) -> Sampling:
        """How pool samples and runs are drawn; ``defaults``: the policy's own, by the names used here.

        A default that samples nothing, or is no number, is passed over.
        """
        plain = Sampling()
        return Sampling(
            _first_of(self.temperature, defaults.get("temperature"), plain.temperature, above=0.0),
            _first_of(self.top_p, defaults.get("top_p"), plain.top_p, above=0.0, most=1.0),
            int(_first_of(self.top_k, defaults.get("top_k"), plain.top_k, above=-1.0)),
        )

    def blocks(self) -> tuple[tuple[int, int], ...]:
        """(first draw, draws) of each request for a pool."""
        firsts = range(0, self.samples, self.block)
        return tuple((first, min(self.block, self.samples - first)) for first in firsts)

    @property
    def limits(self) -> Limits:
        """Per solution, of policies that have no defaults of their own."""
        return Limits(self.max_tokens, self.max_steps)

    def limits_of(self, defaults: Sequence[Mapping[str, object]]) -> Limits:
        """Per solution; ``max_tokens`` left out is the largest of the policies' own defaults."""
        own = [one["max_tokens"] for one in defaults if isinstance(one.get("max_tokens"), int)]
        if "max_tokens" in self.model_fields_set or not own:
            return self.limits
        return Limits(max(number for number in own if isinstance(number, int)), self.max_steps)

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies, in the order of the pairs."""
        return tuple(dict.fromkeys(pair.policy for pair in self.pair))

    def renamed(self, name: Callable[[str], str]) -> Grid:
        """The same with PRMs called as ``name`` says, in pairs and in plans alike.

        Raises GridError where two PRMs of a policy become one.
        """
        names = {pair.prm: name(pair.prm) for pair in self.pair if pair.prm is not None}
        if all(old == new for old, new in names.items()):
            return self
        pairs = [
            {"policy": pair.policy} | ({} if pair.prm is None else {"prm": names[pair.prm]})
            for pair in self.pair
        ]
        plans = self.plan
        for old, new in names.items():
            written = re.compile(rf"\|(\s*){re.escape(old)}(\s*:\s)")
            plans = [written.sub(rf"|\g<1>{new}\g<2>", one) for one in plans]
        content = {**self.model_dump(exclude_unset=True), "pair": pairs}
        return Grid.of({**content, "plan": plans} if plans else content)

    def prms(self, policy: str) -> tuple[str, ...]:
        """Names of the PRMs paired with a policy, in order."""
        return tuple(pair.prm for pair in self.pair if pair.policy == policy and pair.prm is not None)

    def plans(self) -> tuple[Plan, ...]:
        """Every plan of the grid, each once. Raises GridError (n not divisible by width).

        At n = 1 every vote is the one sample, so ``majority(n=1)`` stands for the others that only
        add the price of a PRM.
        """
        found: dict[Plan, None] = {}
        axes: dict[str, object] = {
            **{"n": self.n, "width": self.width, "prune": self.prune, "score": self.score, "vote": self.vote},
            **{"tree_n": self.tree_n, "tree_score": self.tree_score, "strategies": self.strategies},
        }
        for name in self.strategies:
            strategy = STRATEGIES.get(name)
            for values in strategy.variants(axes):
                found.setdefault(Plan.of(strategy.name, **values))
        plain = [plan for plan in found if not plan.parts]
        budgets: list[dict[str, int | str]] = [{"think": think} for think in self.think]
        budgets += [{"effort": effort} for effort in self.effort]
        for words in budgets:
            for plan in plain:
                found.setdefault(plan.with_(**words))
        for text in self.plan:
            found.setdefault(Plan.parse(text, follow_path=True))
        return tuple(found)

    def choices(self) -> tuple[Choice, ...]:
        """Every policy x PRM x plan."""
        found: dict[Choice, None] = {}
        for pair in self.pair:
            for plan in self.plans():
                if plan.parts:
                    lead = plan.parts[0]
                    if lead.policy == pair.policy:
                        found.setdefault(Choice(lead.policy, lead.prm if plan.needs_prm else None, plan))
                elif not plan.needs_prm:
                    found.setdefault(Choice(pair.policy, None, plan))
                elif pair.prm is not None:
                    found.setdefault(Choice(pair.policy, pair.prm, plan))
        return tuple(found)

    def needs(self, policy: str) -> Needs:
        """What campaigns draw, score and run of a policy, for all choices that ask it."""
        every = [needs_of(choice) for choice in self.choices()]
        return Needs(
            {policy: max((one.draws.get(policy, 0) for one in every), default=0)},
            frozenset(name for one in every for name in one.greedy if name == policy),
            frozenset(pair for one in every for pair in one.scored if pair[0] == policy),
            frozenset(run for one in every for run in one.runs if run.policy == policy),
        )

    def _check_parts(self) -> None:
        """Every model inside a plan of several policies is one of the grid's pairs."""
        known = {(pair.policy, pair.prm) for pair in self.pair}
        policies = {pair.policy for pair in self.pair}
        for plan in self.plans():
            for part in plan.walk():
                if (part.policy, part.prm) not in known and (
                    part.prm is not None or part.policy not in policies
                ):
                    raise ValueError(f"a plan asks models of the grid's pairs, got {part.short} in {plan}")


def _first_of(
    chosen: float | None, default: object, plain: float, *, above: float, most: float = float("inf")
) -> float:
    """The grid's value, else the model's where it is in range, else ours."""
    if chosen is not None:
        return chosen
    usable = isinstance(default, (int, float)) and not isinstance(default, bool) and above < default <= most
    return float(default) if usable else plain  # type: ignore[arg-type]


def _check_each(key: str, texts: Sequence[str], read: Callable[[str], object]) -> None:
    """Raises ValueError, with the key and the place, for a text that cannot be read."""
    for place, text in enumerate(texts):
        try:
            read(text)
        except (PlanError, PluginError) as fault:
            raise ValueError(f"{key}.{place}: {fault}") from fault


def _first(error: ValidationError) -> str:
    """The first thing pydantic found, as key: rule, got value; and how many more there are."""
    found = error.errors()
    first = found[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}{more}"
    if first["type"] == "missing":
        return f"key {key!r} is missing{more}"
    if first["type"] == "value_error":
        return f"{first['ctx']['error']}{more}"
    value = repr(first["input"])
    return f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}, got {value[:80]}{more}"

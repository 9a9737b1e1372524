"""How a server is set up: one frozen model of every setting of ``planner serve``.

``planner.server.settings_sources`` reads it from flags, the environment and a file. Keys and secrets are no
settings: a setting names the environment variable or the file that holds one.

    >>> settings = ServeSettings(lab=True, default_budget={"tokens": 800})
    >>> settings.port, settings.default_budget
    (8400, Budget(tokens=800))
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    model_validator,
)

from planner.server.request.budget import parse
from planner.solving.forced import check_open_plan, check_structured_plan
from planner.traffic.sources import Source
from search.budget import Budget, Prices
from search.errors import PlannerError, RecordError
from search.plan import Plan

__all__ = ["Flag", "ServeSettings", "contradictions"]

_MODELS, _SERVER, _BUDGETS, _LOG = "Models", "Server", "Budgets", "Decision log"
_TRAFFIC = "Learning from traffic"


@dataclass(frozen=True, slots=True)
class Flag:
    """How a setting is shown as a flag: the panel of ``--help``, the word for its value, and older flags."""

    panel: str
    metavar: str | None = None
    also: tuple[str, ...] = ()

    def default(self, value: object) -> str:
        """A default in words; empty where there is nothing to say."""
        if isinstance(value, Budget):
            return f"{value.samples} samples"
        return "" if value is None or value is False or value == () else str(value)


def _budget(given: object) -> object:
    """A budget from JSON text, a number of samples or a table."""
    if isinstance(given, Budget):
        return given
    said = given
    if isinstance(given, str):
        try:
            said = json.loads(given)
        except (ValueError, RecursionError):
            raise ValueError(
                f'holds JSON such as {{"tokens": 800}}, or a number of samples, got {given[:80]!r}'
            ) from None
    try:
        return parse(said)
    except PlannerError as error:
        raise ValueError(f"is a budget: {error}") from error


def _prices(given: object) -> object:
    """Prices from ``"P,G,R"`` or a list of three numbers."""
    if given is None or isinstance(given, Prices):
        return given
    parts = given.split(",") if isinstance(given, str) else given
    try:
        if not isinstance(parts, list | tuple) or len(parts) != 3 or any(isinstance(p, bool) for p in parts):
            raise ValueError("three numbers")
        return Prices(*map(float, parts))
    except (TypeError, ValueError) as error:
        raise ValueError(f"is P,G,R in dollars per million tokens, got {given!r}") from error


def _pairs(given: object) -> object:
    """``NAME=URL`` texts from a list of them, or from a table of names and addresses."""
    if isinstance(given, Mapping):
        given = [f"{name}={url}" if isinstance(url, str) else url for name, url in given.items()]
    for text in given if isinstance(given, list | tuple) else ():
        if not (isinstance(text, str) and all(text.partition("="))):
            raise ValueError(f"is NAME=URL, got {text!r}")
    return _texts(given)


def _path(given: object) -> object:
    return Path(given) if isinstance(given, str) else given


def _texts(given: object) -> object:
    return tuple(given) if isinstance(given, list) else given


def _variable(name: str) -> str:
    """The name of an environment variable. What is no such name is not repeated: it may be the secret."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        raise ValueError("names an environment variable (capital letters, digits, _), got something else")
    return name


_Budget = Annotated[InstanceOf[Budget], BeforeValidator(_budget)]
_OptionalBudget = Annotated[
    InstanceOf[Budget] | None, BeforeValidator(lambda given: None if given is None else _budget(given))
]


def _structured_plan(text: str | None) -> str | None:
    """A plan in its canonical text. Raises PlanError, which is a ValueError."""
    if text is None:
        return None
    plan = Plan.parse(text)
    check_structured_plan(plan)
    return str(plan)


def _open_plan(text: str) -> str:
    """A plan in its canonical text. Raises PlanError, which is a ValueError."""
    plan = Plan.parse(text)
    check_open_plan(plan)
    return str(plan)


def _format(text: str | None) -> str | None:
    if text not in (None, "json"):
        raise ValueError(f"is json, got {text[:80]!r}")
    return text


def _sources(given: tuple[str, ...]) -> tuple[str, ...]:
    """Sources of feedback that can be read."""
    for text in given:
        try:
            Source.parse(text)
        except RecordError as error:
            raise ValueError(str(error)) from error
    return given


def _rule_of_exploring(text: str) -> str:
    if text not in ("epsilon", "thompson"):
        raise ValueError(f"is epsilon or thompson, got {text[:80]!r}")
    return text


_Names = Annotated[tuple[str, ...], BeforeValidator(_texts)]
_Variable = Annotated[str, AfterValidator(_variable)]


class ServeSettings(BaseModel):
    """Every setting of ``planner serve``, each described where it stands; ``docs/server.md`` lists them."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    lab: Annotated[bool, Flag(_MODELS), Field(description="Shipped models, in this process.")] = False
    engine: Annotated[
        str | None,
        Flag(_MODELS, "NAME"),
        Field(description="Models in this process, run by an engine that planner plugins lists."),
    ] = None
    engine_option: Annotated[
        _Names, Flag(_MODELS, "KEY=VALUE"), Field(description="For --engine; may be repeated.")
    ] = ()
    base_url: Annotated[
        str | None, Flag(_MODELS, "URL"), Field(description="The policy's OpenAI-compatible server.")
    ] = None
    models: Annotated[
        Path | None,
        BeforeValidator(_path),
        Flag(_MODELS, "FILE"),
        Field(description="A models file (TOML): where each policy and PRM is, and its prices."),
    ] = None
    model: Annotated[
        str | None, Flag(_MODELS, "ID"), Field(description="What that server calls the policy.")
    ] = None
    policy: Annotated[
        _Names,
        Flag(_MODELS, "P"),
        Field(
            description="With --base-url, a policy's checkpoint folder (its tokenizer); "
            "else where a policy lies."
        ),
    ] = ()
    prm: Annotated[_Names, Flag(_MODELS, "R"), Field(description="Where a PRM of the planner lies.")] = ()
    prm_url: Annotated[
        tuple[str, ...],
        BeforeValidator(_pairs),
        Flag(_MODELS, "NAME=URL"),
        Field(description="A PRM behind its own server."),
    ] = ()
    planner: Annotated[
        str | None,
        Flag(_MODELS, "MODEL"),
        Field(description="A fitted planner. Default: rules with --models, else the shipped one."),
    ] = None
    allow_foreign: Annotated[
        bool, Flag(_MODELS), Field(description="Serve models the planner was not learned from.")
    ] = False
    threads: Annotated[int, Flag(_MODELS), Field(ge=1, description="Torch threads.")] = 1
    max_tokens: Annotated[
        int,
        Flag(_MODELS),
        Field(
            ge=1,
            description="Most tokens of a solution. Not given: as the models file or the planner's log says.",
        ),
    ] = 224

    host: Annotated[
        str, Flag(_SERVER), Field(description="Where to listen; an address others reach needs keys.")
    ] = "127.0.0.1"
    port: Annotated[
        int, Flag(_SERVER), Field(ge=0, le=65535, description="Where to listen; 0 takes a free one.")
    ] = 8400
    host_name: Annotated[
        _Names,
        Flag(_SERVER, "NAME"),
        Field(description="A name that clients call the server by, such as a proxy's; may be repeated."),
    ] = ()
    allow_origin: Annotated[
        _Names,
        Flag(_SERVER, "ORIGIN"),
        Field(description="Web pages of this origin may call, https://app.example say; may be repeated."),
    ] = ()
    keys: Annotated[
        Path | None,
        BeforeValidator(_path),
        Flag(_SERVER, "FILE"),
        Field(description="API keys that clients may use (TOML, hashes only)."),
    ] = None
    key_env: Annotated[
        _Variable, Flag(_SERVER, "VAR"), Field(description="Environment variable with one more API key.")
    ] = "PLANNER_API_KEY"
    upstream_key_env: Annotated[
        _Variable, Flag(_SERVER, "VAR"), Field(description="Environment variable with the key of --base-url.")
    ] = "PLANNER_UPSTREAM_KEY"
    running: Annotated[
        int | None,
        Flag(_SERVER),
        Field(
            ge=1,
            description="Most requests worked on at a time. Not given: as many as the policies take.",
        ),
    ] = None
    workers: Annotated[
        int, Flag(_SERVER, "N"), Field(ge=1, le=256, description="Processes, each with its own models.")
    ] = 1
    waiting: Annotated[int, Flag(_SERVER), Field(ge=0, description="Most that wait; beyond: 429.")] = 128
    cancel_within: Annotated[
        float,
        Flag(_SERVER, "SECONDS"),
        Field(
            ge=0.0,
            allow_inf_nan=False,
            description="What was cancelled and has not ended by then is left alone and charged in full.",
        ),
    ] = 2.0

    access_log: Annotated[
        str | None,
        AfterValidator(_format),
        Flag(_SERVER, "FORMAT"),
        Field(description="json: a line for each request on standard error, without its text."),
    ] = None

    floor: Annotated[
        float,
        Flag(_BUDGETS),
        Field(
            gt=0.0,
            allow_inf_nan=False,
            le=1.0,
            description="Smallest share of a budget under load; 1: never shrunk.",
        ),
    ] = 1.0
    default_budget: Annotated[
        _Budget,
        Flag(_BUDGETS, "BUDGET"),
        Field(description='Of a request that names none: samples, or JSON such as {"tokens": 800}.'),
    ] = Budget(samples=16)
    ceiling: Annotated[
        _OptionalBudget, Flag(_BUDGETS, "BUDGET"), Field(description="No request may spend more.")
    ] = None
    price: Annotated[
        float,
        Flag(_BUDGETS),
        Field(
            ge=0.0,
            allow_inf_nan=False,
            description="Spend a GFLOP more only where it is expected to add this accuracy.",
        ),
    ] = 0.0
    prices: Annotated[
        InstanceOf[Prices] | None,
        BeforeValidator(_prices),
        Flag(_BUDGETS, "P,G,R", ("--usd",)),
        Field(
            description="Dollars per million tokens: prompt, generated, PRM. For budgets in usd; "
            "goes before a models file."
        ),
    ] = None
    domain: Annotated[
        str | None,
        Flag(_BUDGETS),
        Field(description="What reads answers. Default: the planner says it."),
    ] = None
    open_plan: Annotated[
        str,
        AfterValidator(_open_plan),
        Flag(_BUDGETS, "PLAN"),
        Field(description="What answers open-ended questions: cot(), or aggregate(n=4), say."),
    ] = "cot()"
    plan_structured: Annotated[
        str | None,
        AfterValidator(_structured_plan),
        Flag(_BUDGETS, "PLAN"),
        Field(
            description="What answers requests for JSON and calls of tools: majority(n=8), say. "
            "Default: the policy answers once."
        ),
    ] = None

    explore: Annotated[
        float,
        Flag(_LOG),
        Field(
            ge=0.0,
            allow_inf_nan=False,
            lt=1.0,
            description="Share of requests that may try another plan, within their budget.",
        ),
    ] = 0.0
    explore_by: Annotated[
        str,
        AfterValidator(_rule_of_exploring),
        Flag(_LOG, "RULE"),
        Field(description="epsilon: all plans alike; thompson: by how likely each is the best."),
    ] = "epsilon"
    shadow: Annotated[
        bool,
        Flag(_LOG),
        Field(description="Answer as the plain model would; only record what the planner would have done."),
    ] = False
    shadow_share: Annotated[
        float,
        Flag(_LOG),
        Field(
            ge=0.0,
            allow_inf_nan=False,
            le=1.0,
            description="With --shadow: share of requests whose plan is run too, after the answer has left.",
        ),
    ] = 0.0
    shadow_policy: Annotated[
        str | None,
        Flag(_LOG, "NAME"),
        Field(
            description="With --shadow: the plain model. Default: the policy that the planner begins with."
        ),
    ] = None
    decisions: Annotated[
        str | None,
        Flag(_LOG, "WHERE"),
        Field(description="A file, or postgresql://...; none: kept in memory."),
    ] = None
    hash_questions: Annotated[
        bool, Flag(_LOG), Field(description="Keep keyed hashes of questions, no text.")
    ] = False
    hash_key_env: Annotated[
        _Variable, Flag(_LOG, "VAR"), Field(description="Environment variable with the key of those hashes.")
    ] = "PLANNER_HASH_KEY"
    keep_days: Annotated[
        float | None,
        Flag(_LOG, "DAYS"),
        Field(gt=0.0, allow_inf_nan=False, description="Keep decisions so long."),
    ] = None
    keep_bytes: Annotated[
        int | None, Flag(_LOG, "N"), Field(ge=1, description="Keep so many bytes of them.")
    ] = None

    challenger: Annotated[
        str | None,
        Flag(_TRAFFIC, "NEW"),
        Field(description="Another fitted planner, which a share of the requests is given to."),
    ] = None
    share: Annotated[
        float,
        Flag(_TRAFFIC),
        Field(gt=0.0, lt=1.0, allow_inf_nan=False, description="With --challenger: its share of requests."),
    ] = 0.05
    promote: Annotated[
        bool,
        Flag(_TRAFFIC),
        Field(description="With --challenger: let it answer everything once it is surely better."),
    ] = False
    source: Annotated[
        _Names,
        AfterValidator(_sources),
        Flag(_TRAFFIC, "KEY=KIND"),
        Field(description="Who sends feedback: user, program or judge, as in planner ope; may be repeated."),
    ] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        found = [
            rule
            for _, rule in contradictions({name: getattr(self, name) for name in type(self).model_fields})
        ]
        if found:
            raise ValueError("; ".join(found))
        return self

    @property
    def prm_urls(self) -> dict[str, str]:
        """PRM name -> address."""
        return {name: address for name, _, address in (text.partition("=") for text in self.prm_url)}


def contradictions(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The settings that contradict each other, and the rule they break. ``values`` holds every setting."""
    lab, remote = values["lab"], values["base_url"] is not None
    places = {"lab": lab, "base_url": remote, "engine": values["engine"] is not None}
    places["models"] = values["models"] is not None
    if sum(places.values()) != 1:
        named = " and ".join(_flag(name) for name, is_given in places.items() if is_given)
        rule = f"a server has one of {', '.join(map(_flag, places))}, got {named or 'none'}"
        yield tuple(places), rule
    if values["engine_option"] and values["engine"] is None:
        yield ("engine_option",), "--engine-option needs --engine, got none"
    if places["models"]:
        for name in ("model", "policy", "prm", "prm_url"):
            if values[name]:
                rule = f"{_flag(name)} is for the other places of models, got --models, which says it"
                yield (name, "models"), rule
    if lab and not remote:
        for name, flag in (("model", "--model"), ("prm_url", "--prm-url")):
            if values[name]:
                yield ("lab", name), f"{flag} needs --base-url, got --lab"
    if values["workers"] > 1 and values["decisions"] is None:
        yield (
            ("workers", "decisions"),
            "--workers needs --decisions, since a log in memory is one process's, got none",
        )
    if values["explore_by"] != "epsilon" and not values["explore"]:
        yield ("explore_by", "explore"), "--explore-by needs --explore, got none"
    if not values["shadow"]:
        given = [name for name in ("shadow_share", "shadow_policy") if values[name]]
        if given:
            yield tuple(given), f"{' and '.join(map(_flag, given))} need --shadow, got none"
    if values["challenger"] is None:
        given = [name for name, unset in (("share", 0.05), ("promote", False)) if values[name] != unset]
        if given:
            yield tuple(given), f"{' and '.join(map(_flag, given))} need --challenger, got none"
    elif values["decisions"] is None:
        yield (
            ("challenger", "decisions"),
            "--challenger needs --decisions, since the test reads the log, got none",
        )
    elif values["shadow"]:
        yield (
            ("challenger", "shadow"),
            "--challenger decides about requests, got --shadow, where no planner does",
        )
    if values["decisions"] is None:
        given = [name for name in ("hash_questions", "keep_days", "keep_bytes") if values[name]]
        if given:
            yield tuple(given), "--hash-questions and --keep-... need --decisions, got none"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"

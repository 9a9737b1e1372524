"""The models file: where every model of a user's runs, what it costs, and how it is asked. One TOML file.

    [[policy]]
    name = "small"                       # what grids, logs and planners call it
    base_url = "http://127.0.0.1:8000"   # a server; or: embedded = "folder", or: vllm = "folder"
    model = "Qwen/Qwen2.5-0.5B-Instruct" # what the server calls it
    api_key_env = "MY_KEY"               # the environment variable that holds the key
    tokenizer = "folder"                 # optional
    parameters = 5e8                     # where nobody tells; FLOPs follow from it
    context = 8192                       # where nobody tells, or less than that
    thinking = "off"                     # on, off, none, minimal, low, medium, high
    max_concurrency = 64                 # most requests at a time
    requests_per_minute = 500
    timeout = 600                        # most seconds of one request
    sampling = { temperature = 0.7, top_p = 0.95, top_k = 20, max_tokens = 1024 }

    [policy.price]                       # per million tokens; reasoning tokens are output
    input = 0.10
    cached_input = 0.05                  # left out: as input
    output = 0.40
    currency = "USD"                     # another one needs in_usd, the dollars that one of it is
    date = 2026-11-01

    [[prm]]                              # embedded or vllm = "folder"; or base_url with folder = "folder"
    [[judge]]                            # a model behind a server that is asked about answers

Keys of servers stand in the environment and nowhere else. Folders are those beside the file, or what ``find``
makes of them. Whatever is wrong is told in one line each (``ModelsError.faults``).
"""

from __future__ import annotations

import datetime
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from yarl import URL

from search.budget import Prices
from search.engines.openai.knob import Knob
from search.errors import ModelsError
from search.models_faults import faults_of
from search.models_loader import ConfiguredPolicy, ModelsLoader
from search.sources import (
    EmbeddedPolicy,
    FolderPrm,
    PolicySource,
    PrmSource,
    ServedPolicy,
    ServedPrm,
    VllmPolicy,
    VllmPrm,
)

__all__ = ["ModelsFile", "PolicyEntry", "Price", "PrmEntry", "SamplingDefaults"]

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
#: weights to go by where nobody tells any
_ASSUMED = 8_000_000_000


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Price(_Entry):
    """Money per million tokens, in ``currency``; ``in_usd``: US dollars that one unit of it is."""

    input: _Amount
    output: _Amount
    cached_input: _Amount | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    in_usd: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    date: datetime.date | None = None

    @model_validator(mode="after")
    def _dollars(self) -> Price:
        if self.currency != "USD" and self.in_usd is None:
            raise ValueError(
                f"prices in {self.currency} need in_usd, the US dollars that one {self.currency} is, got none"
            )
        if self.currency == "USD" and self.in_usd not in (None, 1.0):
            raise ValueError(f"in_usd is for other currencies than USD, got {self.in_usd}")
        return self

    def rates(self) -> dict[str, float]:
        """US dollars per million tokens of ``input``, ``cached_input`` and ``output``."""
        rate = self.in_usd or 1.0
        cached = self.input if self.cached_input is None else self.cached_input
        return {"input": rate * self.input, "cached_input": rate * cached, "output": rate * self.output}


class SamplingDefaults(_Entry):
    """How a policy is sampled where nobody says otherwise; what is left out is the model's own default."""

    temperature: Annotated[float, Field(gt=0.0, le=100.0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None


class _Placed(_Entry):
    """A model and where it is."""

    name: _Name
    embedded: _Name | None = None
    vllm: _Name | None = None
    base_url: _Name | None = None
    model: _Name | None = None
    api_key_env: str | None = None
    parameters: Annotated[int, Field(ge=1)] | None = None
    max_concurrency: Annotated[int, Field(ge=1, le=65536)] | None = None
    timeout: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    options: dict[str, Any] = {}
    price: Price | None = None

    @field_validator("parameters", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """5e8 is a float in TOML."""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @field_validator("timeout", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("api_key_env")
    @classmethod
    def _variable(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.fullmatch(value):
            raise ValueError("api_key_env must be the name of an environment variable, not a key itself")
        return value

    @field_validator("base_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            url = URL(value)
        except ValueError:
            url = URL()
        if url.password or url.user or url.query:
            raise ValueError("base_url must hold no user, password or query: keys come from api_key_env")
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(f"base_url must begin with http:// or https://, got {value!r}")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> _Placed:
        places = [name for name in ("embedded", "vllm", "base_url") if getattr(self, name) is not None]
        if len(places) != 1:
            raise ValueError(
                f"one of embedded, vllm, base_url says where a model is, got {' and '.join(places) or 'none'}"
            )
        if self.base_url is None:
            for field in self._served():
                if getattr(self, field) is not None:
                    raise ValueError(f"{field} is for a model behind a base_url, got it beside {places[0]}")
        return self

    def _served(self) -> tuple[str, ...]:
        return ("model", "api_key_env", "max_concurrency", "timeout")

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self.base_url or f"{'embedded' if self.embedded else 'vllm'} {self.embedded or self.vllm}"

    @property
    def is_served(self) -> bool:
        """Whether it is behind a server."""
        return self.base_url is not None

    def missing_key(self, environment: Mapping[str, str]) -> str | None:
        """What is wrong with the variable that holds the key; None where it is set, or not needed."""
        if self.api_key_env is None or environment.get(self.api_key_env):
            return None
        return f"api_key_env must name a variable that is set, got {self.api_key_env!r}, which is not"


class PolicyEntry(_Placed):
    """A policy, or a judge."""

    tokenizer: _Name | None = None
    dialect: Literal["tokens", "text", "chat"] | None = None
    context: Annotated[int, Field(ge=2)] | None = None
    thinking: Knob | None = None
    requests_per_minute: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    sampling: SamplingDefaults = SamplingDefaults()

    @field_validator("requests_per_minute", mode="before")
    @classmethod
    def _rate(cls, value: object) -> object:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def _served(self) -> tuple[str, ...]:
        return (*super()._served(), "tokenizer", "dialect", "context", "thinking", "requests_per_minute")


class PrmEntry(_Placed):
    """A PRM. Behind a server it needs its own ``folder``, whose config tells its family."""

    folder: _Name | None = None
    family: _Name | None = None

    @model_validator(mode="after")
    def _own_folder(self) -> PrmEntry:
        if self.is_served and self.folder is None:
            raise ValueError("a PRM behind a base_url needs folder, which tells its family, got none")
        if not self.is_served and self.folder is not None:
            raise ValueError(f"folder is for a PRM behind a base_url, got it beside {self.place}")
        return self


class ModelsFile(_Entry):
    """All models of a file. Read it with ``read``.

    Parameters
    ----------
    policy, prm, judge:
        The entries, in order. Names are used once among each.
    """

    policy: list[PolicyEntry] = []
    prm: list[PrmEntry] = []
    judge: list[PolicyEntry] = []

    @model_validator(mode="after")
    def _names(self) -> ModelsFile:
        if not self.policy:
            raise ValueError("a models file needs a [[policy]], got none")
        for kind in ("policy", "prm", "judge"):
            names = [entry.name for entry in getattr(self, kind)]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"a name is given once, got two [[{kind}]] called {name!r}")
        return self

    @classmethod
    def of(cls, content: Mapping[str, object], where: str = "models") -> ModelsFile:
        """The models that a TOML file holds. Raises ModelsError."""
        try:
            return cls.model_validate(dict(content))
        except ValidationError as error:
            raise ModelsError(where, faults_of(error, content, cls)) from error

    @classmethod
    def read(cls, path: str | Path) -> ModelsFile:
        """The models of a file; folders that lie beside it are found. Raises ModelsError."""
        path = Path(path)
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            fault = f"a models file must be readable, got {str(path)!r}: {error.strerror}"
            raise ModelsError("", [fault]) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ModelsError("", [f"a models file must be TOML, got {str(path)!r}: {error}"]) from error
        return cls.of(_beside(content, path.parent), path.name)

    def missing_keys(self, environment: Mapping[str, str] = os.environ) -> list[str]:
        """Variables of keys that are not set, a line each."""
        entries = [(kind, entry) for kind in ("policy", "prm", "judge") for entry in getattr(self, kind)]
        told = [(kind, entry.name, entry.missing_key(environment)) for kind, entry in entries]
        return [f"{kind} {name!r}: {fault}" for kind, name, fault in told if fault is not None]

    def prices(self, policy: str, prm: str | None = None) -> Prices | None:
        """What a run of a policy under a PRM costs; None where a price is not known.

        A PRM in this process costs nothing; one behind a server has its price of input.
        """
        price = _named(self.policy, policy, "policy").price
        if price is None:
            return None
        rates, scored = price.rates(), 0.0
        if prm is not None:
            entry = _named(self.prm, prm, "PRM")
            if entry.price is None and entry.is_served:
                return None
            scored = 0.0 if entry.price is None else entry.price.rates()["input"]
        return Prices(rates["input"], rates["output"], scored, rates["cached_input"])

    def rates(self) -> dict[str, dict[str, float]]:
        """Name of a policy or PRM -> US dollars per million tokens of input, cached input and output."""
        return {
            entry.name: entry.price.rates() for entry in (*self.prm, *self.policy) if entry.price is not None
        }

    def loader(
        self,
        policies: Sequence[str] | None = None,
        prms: Sequence[str] | None = None,
        *,
        find: Callable[[str], Path] = Path,
        threads: int = 1,
        environment: Mapping[str, str] = os.environ,
    ) -> ModelsLoader:
        """A loader of these models, or of some of them by name. Reads no weights and asks no server.

        Parameters
        ----------
        find:
            A folder by what the file calls it: ``planner.models.find_model`` knows the shipped models.
        threads:
            Torch threads of what runs in this process.
        environment:
            Where keys are looked up.

        Raises ModelsError: an unknown name, a key's variable that is not set.
        """
        made = _Maker(find, threads, environment)
        chosen = (
            [_named(self.policy, name, "policy") for name in policies]
            if policies is not None
            else self.policy
        )
        judged = [_named(self.prm, name, "PRM") for name in prms] if prms is not None else self.prm
        return ModelsLoader(
            {entry.name: made.policy(entry, "policy") for entry in chosen},
            {entry.name: made.prm(entry) for entry in judged},
            {
                entry.name: made.policy(entry, "judge")
                for entry in self.judge
                if not entry.missing_key(environment)
            },
        )


class _Maker:
    """Makes sources of entries."""

    def __init__(self, find: Callable[[str], Path], threads: int, environment: Mapping[str, str]) -> None:
        self._find, self._threads, self._environment = find, threads, environment

    def policy(self, entry: PolicyEntry, kind: str) -> PolicySource:
        defaults = entry.sampling.model_dump(exclude_none=True)
        return ConfiguredPolicy(entry.name, self._policy(entry, kind), defaults, entry.parameters)

    def _policy(self, entry: PolicyEntry, kind: str) -> PolicySource:
        if entry.embedded is not None:
            return EmbeddedPolicy(self._find(entry.embedded), {"threads": self._threads, **entry.options})
        if entry.vllm is not None:
            return VllmPolicy(self._find(entry.vllm), entry.options)
        assert entry.base_url is not None  # checked by the entry
        options: dict[str, Any] = {
            "name": entry.name,
            "tokenizer": None if entry.tokenizer is None else self._find(entry.tokenizer),
            "api_key": self._key(entry, kind),
            "dialect": entry.dialect,
            "parameters": entry.parameters,
            "assumed_parameters": _ASSUMED,
            "context": entry.context,
            "thinking": entry.thinking,
            "rate": entry.requests_per_minute,
            **_limits(entry),
            **entry.options,
        }
        if entry.timeout is not None:
            options["deadline"] = entry.timeout
        return ServedPolicy(entry.base_url, entry.model, options)

    def prm(self, entry: PrmEntry) -> PrmSource:
        family = {} if entry.family is None else {"family": entry.family}
        if entry.embedded is not None:
            options = {"threads": self._threads, **family, **entry.options}
            return FolderPrm(self._find(entry.embedded), options)
        if entry.vllm is not None:
            return VllmPrm(self._find(entry.vllm), entry.options)
        assert entry.base_url is not None  # checked by the entry
        assert entry.folder is not None
        options = {"model": entry.model, "api_key": self._key(entry, "prm"), **family, **_limits(entry)}
        return ServedPrm(entry.base_url, self._find(entry.folder), {**options, **entry.options})

    def _key(self, entry: _Placed, kind: str) -> str | None:
        missing = entry.missing_key(self._environment)
        if missing is not None:
            raise ModelsError("", [f"{kind} {entry.name!r}: {missing}"])
        return None if entry.api_key_env is None else self._environment[entry.api_key_env]


def _limits(entry: _Placed) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if entry.max_concurrency is not None:
        found["connections"] = entry.max_concurrency
    if entry.timeout is not None:
        found["silence"] = entry.timeout
    return found


def _named(entries: Sequence[Any], name: str, kind: str) -> Any:
    for entry in entries:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in entries) or "none"
    raise ModelsError("", [f"{kind} must be one of {known}, got {name!r}"])


def _beside(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """With folders that lie beside the file made whole."""
    for kind in ("policy", "prm", "judge"):
        entries = content.get(kind)
        for entry in entries if isinstance(entries, list) else []:
            for field in ("embedded", "vllm", "tokenizer", "folder"):
                given = entry.get(field) if isinstance(entry, dict) else None
                if isinstance(given, str) and given and (folder / given).is_dir():
                    entry[field] = str(folder / given)
    return content

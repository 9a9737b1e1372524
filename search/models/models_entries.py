"""The entries of a models file: what each key means, and what may not stand beside what.

Strict: a key that is not known, a value of another type and a contradiction are errors (``models_faults``).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from search.cluster.placement import Placement
from search.engines.openai.knob import Knob
from search.errors import CheckpointError
from search.rewards.judge_spec import JudgeSpec

__all__ = [
    "Entry",
    "JudgeEntry",
    "Placed",
    "PolicyEntry",
    "Price",
    "PrmEntry",
    "RayEntry",
    "SamplingDefaults",
]

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class Entry(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Price(Entry):
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


class SamplingDefaults(Entry):
    """How a policy is sampled where nobody says otherwise; what is left out is the model's own default."""

    temperature: Annotated[float, Field(gt=0.0, le=100.0, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None


class RayEntry(Entry):
    """On a cluster (``planner search --ray``): how many actors, and what each asks of its node."""

    replicas: Annotated[int, Field(ge=1, le=65536)] = 1
    cpus: _Amount = 1.0
    gpus: _Amount = 0.0
    resources: dict[str, _Amount] = {}

    @field_validator("cpus", "gpus", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("resources", mode="before")
    @classmethod
    def _numbers(cls, value: object) -> object:
        return {key: cls._number(one) for key, one in value.items()} if isinstance(value, dict) else value

    @property
    def placement(self) -> Placement:
        """The same, as a campaign takes it."""
        return Placement(self.replicas, self.cpus, self.gpus, self.resources)


class Placed(Entry):
    """A model and where it is."""

    name: _Name
    embedded: _Name | None = None
    vllm: _Name | None = None
    base_url: _Name | None = None
    model: _Name | None = None
    api_key_env: str | None = None
    max_concurrency: Annotated[int, Field(ge=1, le=65536)] | None = None
    timeout: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    options: dict[str, Any] = {}
    price: Price | None = None
    ray: RayEntry | None = None

    @field_validator("timeout", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("options")
    @classmethod
    def _no_key(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "api_key" in value:
            raise ValueError(
                "options must hold no key: keys come from the environment, by api_key_env = NAME"
            )
        return value

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
        url = urlsplit(value)
        if url.password or url.username or url.query:
            raise ValueError("base_url must hold no user, password or query: keys come from api_key_env")
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"base_url must begin with http:// or https://, got {value!r}")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Placed:
        known = self._places()
        places = [name for name in known if getattr(self, name) is not None]
        if len(places) != 1:
            raise ValueError(
                f"one of {', '.join(known)} says where a model is, got {' and '.join(places) or 'none'}"
            )
        if self.base_url is None:
            for field in self._served():
                if getattr(self, field) is not None:
                    raise ValueError(f"{field} is for a model behind a base_url, got it beside {places[0]}")
        return self

    def _places(self) -> tuple[str, ...]:
        return ("embedded", "vllm", "base_url")

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


class PolicyEntry(Placed):
    """A policy.

    ``thought_end``: the text that ends its thoughts, where it is none of the usual tags; all of a solution
    before it is thought.
    """

    parameters: Annotated[int, Field(ge=1)] | None = None
    tokenizer: _Name | None = None
    dialect: Literal["tokens", "text", "chat"] | None = None
    context: Annotated[int, Field(ge=2)] | None = None
    thinking: Knob | None = None
    thought_end: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    requests_per_minute: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    sampling: SamplingDefaults = SamplingDefaults()

    @field_validator("parameters", mode="before")
    @classmethod
    def _whole(cls, value: object) -> object:
        """5e8 is a float in TOML."""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @field_validator("requests_per_minute", mode="before")
    @classmethod
    def _rate(cls, value: object) -> object:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def _served(self) -> tuple[str, ...]:
        return (*super()._served(), "tokenizer", "dialect", "context", "thinking", "requests_per_minute")


class JudgeEntry(PolicyEntry):
    """A model that is asked for verdicts: one of its own, or a ``policy`` of the file.

    ``scope``, ``read``, ``k``, ``tokens``, ``template``, ``delimiter``: as ``JudgeSpec`` has them.
    """

    policy: _Name | None = None
    scope: str | None = None
    read: str | None = None
    k: int | None = None
    tokens: int | None = None
    template: str | None = None
    delimiter: str | None = None

    def _places(self) -> tuple[str, ...]:
        return (*super()._places(), "policy")

    @model_validator(mode="after")
    def _asks(self) -> JudgeEntry:
        try:
            _ = self.spec
        except CheckpointError as error:
            raise ValueError(str(error)) from error
        if self.policy is not None:
            for field in ("price", "parameters", "options", "sampling"):
                if field in self.model_fields_set:
                    raise ValueError(
                        f"{field} of a judge that is a policy is the policy's, got it beside {self.policy!r}"
                    )
        return self

    @property
    def place(self) -> str:
        return super().place if self.policy is None else f"policy {self.policy}"

    @property
    def asked(self) -> dict[str, Any]:
        """What the file says of how it is asked."""
        words = ("scope", "read", "k", "tokens", "template", "delimiter")
        return {word: value for word in words if (value := getattr(self, word)) is not None}

    @property
    def spec(self) -> JudgeSpec:
        """How it is asked."""
        return JudgeSpec(self.policy or self.name, **self.asked)


class PrmEntry(Placed):
    """A PRM. Behind a server it needs its own ``folder``, whose config tells its family.

    ``policy``: of a head, the policy whose hidden states it reads: one of the file, or a folder. By default
    the folder that the head names.
    """

    folder: _Name | None = None
    family: _Name | None = None
    policy: _Name | None = None

    @model_validator(mode="after")
    def _own_folder(self) -> PrmEntry:
        if self.is_served and self.folder is None:
            raise ValueError("a PRM behind a base_url needs folder, which tells its family, got none")
        if not self.is_served and self.folder is not None:
            raise ValueError(f"folder is for a PRM behind a base_url, got it beside {self.place}")
        if self.embedded is None and self.policy is not None:
            raise ValueError(f"policy is for a head in this process (embedded), got it beside {self.place}")
        if self.vllm is not None and self.family is not None:
            raise ValueError(
                f"family is for a PRM that vLLM does not run here, got {self.family!r} beside vllm"
            )
        return self

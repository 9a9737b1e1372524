"""The models file: where every model of a user's runs, what it costs, and how it is asked. One TOML file.

    [[policy]]
    name = "small"                       # what grids, logs and planners call it
    base_url = "http://127.0.0.1:8000"   # a server; or: embedded = "folder", or: vllm = "folder"
    model = "Qwen/Qwen2.5-0.5B-Instruct" # what the server calls it
    api_key_env = "MY_KEY"               # the environment variable that holds the key
    tokenizer = "folder"                 # optional
    parameters = 5e8                     # where nobody tells; FLOPs follow from it
    context = 8192                       # where nobody tells, or less than that
    thinking = "off"                     # on, off, none, minimal, low, medium, high, xhigh, max
    thought_end = "#"                    # ends a thought, where it is none of the usual tags
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
    [[judge]]                            # a model that is asked for verdicts: a place, or policy = "small"
    name = "critic"                      # grids call it so; logs by all that it is (rewards.judge_spec)
    scope = "steps"                      # solution, steps, first_error
    read = "samples"                     # auto, logprobs, samples, number; k, tokens, template, delimiter

Keys of servers stand in the environment and nowhere else. Folders are those beside the file, or what ``find``
makes of them. Whatever is wrong is told in one line each (``ModelsError.faults``).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from search.budget import Prices
from search.cards import ModelCard
from search.cluster.placement import Placement
from search.errors import ModelsError
from search.models.models_entries import (
    Entry,
    JudgeEntry,
    Placed,
    PolicyEntry,
    Price,
    PrmEntry,
    SamplingDefaults,
)
from search.models.models_faults import faults_of
from search.models.models_loader import ConfiguredPolicy, ModelsLoader
from search.rewards.implicit_spec import ImplicitSpec, is_implicit
from search.rewards.judge_spec import JudgeSpec, is_judge
from search.sources import (
    EmbeddedPolicy,
    FolderPrm,
    ImplicitPrm,
    JudgePrm,
    PolicySource,
    PrmSource,
    ServedPolicy,
    ServedPrm,
    VllmPolicy,
    VllmPrm,
)
from search.strategies.words import check_words

__all__ = ["JudgeEntry", "ModelsFile", "PolicyEntry", "Price", "PrmEntry", "SamplingDefaults"]

#: weights to go by where nobody tells any
_ASSUMED = 8_000_000_000


class ModelsFile(Entry):
    """All models of a file. Read it with ``read``.

    Parameters
    ----------
    policy, prm, judge:
        The entries, in order. Names are used once among each.
    words:
        Templates in which strategies ask about earlier answers, in place of their own, by strategy and name
        (``"aggregate.select"``): where no planner was learned, rules and forced plans ask in these.
    """

    policy: list[PolicyEntry] = Field(default_factory=list)
    prm: list[PrmEntry] = Field(default_factory=list)
    judge: list[JudgeEntry] = Field(default_factory=list)
    words: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names(self) -> ModelsFile:
        if not self.policy:
            raise ValueError("a models file needs a [[policy]], got none")
        check_words(self.words)
        for kind in ("policy", "prm", "judge"):
            names = [entry.name for entry in getattr(self, kind)]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"a name is given once, got two [[{kind}]] called {name!r}")
        others = {entry.name: kind for kind in ("policy", "prm") for entry in getattr(self, kind)}
        policies = [entry.name for entry in self.policy]
        for entry in self.judge:
            if entry.name in others:
                both = f"a [[judge]] and a [[{others[entry.name]}]]"
                raise ValueError(f"a name is given once, got {both} called {entry.name!r}")
            if entry.policy is not None and entry.policy not in policies:
                raise ValueError(
                    f"the policy of a judge must be one of {', '.join(policies)}, got {entry.policy!r}"
                )
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

    def impatient(self, timeout: float, patience: float) -> ModelsFile:
        """The same models, with servers that get so many seconds for a request and to be reached at all."""

        def hurried(entry: Placed) -> dict[str, Any]:
            limit = min(timeout, entry.timeout or timeout)
            return {"timeout": limit, "options": {"patience": patience, **entry.options}}

        return self._each_served(hurried)

    def waiting(self, patience: float) -> ModelsFile:
        """The same models, with servers that get so many seconds to be reached; a request's time stays."""
        return self._each_served(lambda entry: {"options": {"patience": patience, **entry.options}})

    def divided(self, count: int) -> ModelsFile:
        """The same models, for one of so many processes: each has its part of what their servers take."""

        def part(entry: Placed) -> dict[str, Any]:
            found: dict[str, Any] = {}
            if entry.max_concurrency is not None:
                found["max_concurrency"] = max(1, entry.max_concurrency // count)
            if isinstance(entry, PolicyEntry) and entry.requests_per_minute is not None:
                found["requests_per_minute"] = entry.requests_per_minute / count
            return found

        return self if count == 1 else self._each_served(part)

    def _each_served(self, changed: Callable[[Placed], dict[str, Any]]) -> ModelsFile:
        kinds: dict[str, Sequence[Placed]] = {"policy": self.policy, "prm": self.prm, "judge": self.judge}
        return self.model_copy(
            update={
                kind: [
                    entry.model_copy(update=changed(entry)) if entry.is_served else entry for entry in entries
                ]
                for kind, entries in kinds.items()
            }
        )

    def missing_keys(self, environment: Mapping[str, str] = os.environ) -> list[str]:
        """Variables of keys that are not set, a line each."""
        entries = [(kind, entry) for kind in ("policy", "prm", "judge") for entry in getattr(self, kind)]
        told = [(kind, entry.name, entry.missing_key(environment)) for kind, entry in entries]
        return [f"{kind} {name!r}: {fault}" for kind, name, fault in told if fault is not None]

    @property
    def prm_names(self) -> list[str]:
        """Everything here that may score, by the names of logs: PRMs, then judges."""
        return [entry.name for entry in self.prm] + [entry.spec.name for entry in self.judge]

    def prm_name(self, name: str) -> str:
        """A PRM's name as logs have it: a judge, by its entry or as ``judge:MODEL``, and an implicit reward
        are given their whole name.

        Other names, unknown ones too, stay as they are. Raises CheckpointError for a judge's name that is
        none.
        """
        if is_implicit(name):
            return ImplicitSpec.parse(name).name
        spec = self.judge_spec(name)
        return name if spec is None else spec.name

    def judge_spec(self, name: str) -> JudgeSpec | None:
        """What the judge of a name is asked; None for the name of something else. Raises CheckpointError."""
        for entry in self.judge:
            if name in (entry.name, entry.spec.name):
                return entry.spec
        if not is_judge(name):
            return None
        entries = {entry.name: entry for entry in self.judge}
        for known in sorted(entries, key=len, reverse=True):
            if f"{name}:".startswith(f"judge:{known}:"):
                entry, rest = entries[known], name.removeprefix(f"judge:{known}")
                return JudgeSpec.parse(f"judge:{entry.policy or known}{rest}", **entry.asked)
        return JudgeSpec.parse(name)

    def _prm(self, name: str) -> Placed:
        """The entry that a PRM's name means; of a judge, that of its model. Raises ModelsError."""
        spec = self.judge_spec(name)
        if spec is None:
            known: Placed = _named(self.prm, name, "PRM")
            return known
        places: list[Placed] = [entry for entry in self.judge if entry.policy is None]
        found: Placed = _named([*places, *self.policy], spec.model, "the model of a judge")
        return found

    def _prms(self, name: str) -> list[Placed]:
        """The entries behind a PRM's name: one, or an implicit reward's two policies. Raises ModelsError."""
        if not is_implicit(name):
            return [self._prm(name)]
        spec = ImplicitSpec.parse(name)
        return _all_named(self.policy, [spec.policy, spec.reference], "the model of an implicit reward")

    def knows_prm(self, name: str) -> bool:
        """Whether a PRM's name means something here. Raises CheckpointError for a judge's that is none."""
        try:
            self._prms(name)
        except ModelsError:
            return False
        return True

    def prices(self, policy: str, prm: str | None = None) -> Prices | None:
        """What a run of a policy under a PRM costs; None where a price is not known.

        A PRM in this process costs nothing; one behind a server has its price of input.
        """
        price = _named(self.policy, policy, "policy").price
        if price is None:
            return None
        rates, scored, written = price.rates(), 0.0, None
        if prm is not None:
            entries = self._prms(prm)
            if any(entry.price is None and entry.is_served for entry in entries):
                return None
            scored = _read(entries)
            written = _written(entries)
        return Prices(rates["input"], rates["output"], scored, rates["cached_input"], written)

    def price_table(
        self, policies: Sequence[str] | None = None, prms: Sequence[str] | None = None
    ) -> dict[str, Prices] | None:
        """Name -> prices of these models (None: of all), as a ledger takes them; None where there are none.

        What runs in this process costs nothing where it has no price. A policy behind a server without a
        price is left out: nobody knows what it takes. With such a PRM nothing is known, so there is no table.
        Raises ModelsError for an unknown name.
        """
        chosen: list[Placed] = [
            *(self.policy if policies is None else _all_named(self.policy, policies, "policy"))
        ]
        names = [entry.name for entry in self.prm] if prms is None else prms
        judged = {name: self._prms(name) for name in names}
        scoring = [entry for entries in judged.values() for entry in entries]
        if not any(entry.price is not None for entry in (*chosen, *scoring)):
            return None
        if any(entry.is_served and entry.price is None for entry in scoring):
            return None
        found: dict[str, Prices] = {}
        for entry in chosen:
            if entry.price is not None:
                rates = entry.price.rates()
                found[entry.name] = Prices(rates["input"], rates["output"], 0.0, rates["cached_input"], None)
            elif not entry.is_served:
                found[entry.name] = Prices(0.0, 0.0)
        for name, entries in judged.items():
            (first, *_) = entries
            rates = {} if first.price is None else first.price.rates()
            if all(entry.price is None for entry in entries):
                found[name] = Prices(0.0, 0.0)
            else:
                read, kept = _read(entries), rates.get("cached_input", 0.0)
                found[name] = Prices(read, rates.get("output", 0.0), read, kept, _written(entries))
        return found

    def placements(self, prms: Sequence[str] = ()) -> dict[str, Placement]:
        """Name -> how it is placed on a cluster, of those that say so; ``prms``: by the names that grids use.

        Raises ModelsError for an unknown one.
        """
        found = {entry.name: entry.ray.placement for entry in self.policy if entry.ray is not None}
        for name in prms:
            placed = [entry.ray.placement for entry in self._prms(name) if entry.ray is not None]
            if placed:
                found[name] = placed[0]
        return found

    def known(self, cards: Mapping[str, ModelCard]) -> dict[str, ModelCard]:
        """The same cards of policies, with the numbers of weights that the file says."""
        told = {entry.name: entry.parameters for entry in self.policy if entry.parameters is not None}
        return {
            name: card if name not in told else replace(card, parameters=told[name], flops_per_token=None)
            for name, card in cards.items()
        }

    def rates(self, prms: Sequence[str] = ()) -> dict[str, dict[str, float]]:
        """Name of a policy or PRM -> US dollars per million tokens of input, cached input and output.

        ``prms``: judges among them by the names that grids use. Raises ModelsError for an unknown one.
        """
        entries: dict[str, Placed] = {entry.name: entry for entry in (*self.prm, *self.policy)}
        told = {name: entry.price.rates() for name, entry in entries.items() if entry.price is not None}
        for name in prms:
            each = [entry.price.rates() for entry in self._prms(name) if entry.price is not None]
            if each:
                told[name] = {word: sum(rates[word] for rates in each) for word in each[0]}
        return told

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
        made = _Maker(find, threads, environment, self.policy)
        chosen = self.policy if policies is None else _all_named(self.policy, policies, "policy")
        names = [entry.name for entry in self.prm] if prms is None else prms

        def source(name: str) -> PrmSource:
            if is_implicit(name):
                both = [
                    made.policy(entry, "policy")
                    for entry in self._prms(name)
                    if isinstance(entry, PolicyEntry)
                ]
                return ImplicitPrm(ImplicitSpec.parse(name), *both)
            spec, entry = self.judge_spec(name), self._prm(name)
            if spec is not None and isinstance(entry, PolicyEntry):
                return JudgePrm(spec, made.policy(entry, "judge" if entry in self.judge else "policy"))
            return made.prm(_named(self.prm, name, "PRM"))

        return ModelsLoader(
            {entry.name: made.policy(entry, "policy") for entry in chosen},
            {name: source(name) for name in names},
            {
                entry.name: made.policy(entry, "judge")
                for entry in self.judge
                if entry.policy is None and not entry.missing_key(environment)
            },
        )


class _Maker:
    """Makes sources of entries."""

    def __init__(
        self,
        find: Callable[[str], Path],
        threads: int,
        environment: Mapping[str, str],
        policies: Sequence[PolicyEntry],
    ) -> None:
        self._find, self._threads, self._environment = find, threads, environment
        self._folders = {entry.name: entry.embedded or entry.vllm for entry in policies}

    def policy(self, entry: PolicyEntry, kind: str) -> PolicySource:
        defaults = entry.sampling.model_dump(exclude_none=True)
        return ConfiguredPolicy(
            entry.name, self._policy(entry, kind), defaults, entry.parameters, entry.thought_end or ""
        )

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
            whose = self._folders.get(entry.policy or "") or entry.policy
            policy = {} if whose is None else {"policy": self._find(whose)}
            options = {"threads": self._threads, **family, **policy, **entry.options}
            return FolderPrm(self._find(entry.embedded), options)
        if entry.vllm is not None:
            return VllmPrm(self._find(entry.vllm), entry.options)
        assert entry.base_url is not None  # checked by the entry
        assert entry.folder is not None
        options = {"model": entry.model, "api_key": self._key(entry, "prm"), **family, **_limits(entry)}
        return ServedPrm(entry.base_url, self._find(entry.folder), {**options, **entry.options})

    def _key(self, entry: Placed, kind: str) -> str | None:
        missing = entry.missing_key(self._environment)
        if missing is not None:
            raise ModelsError("", [f"{kind} {entry.name!r}: {missing}"])
        return None if entry.api_key_env is None else self._environment[entry.api_key_env]


def _limits(entry: Placed) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if entry.max_concurrency is not None:
        found["connections"] = entry.max_concurrency
    if entry.timeout is not None:
        found["silence"] = entry.timeout
    return found


def _read(entries: Sequence[Placed]) -> float:
    """The price of what a PRM reads: of an implicit reward, what both models read."""
    return sum(entry.price.rates()["input"] for entry in entries if entry.price is not None)


def _written(entries: Sequence[Placed]) -> float | None:
    """The price of what a judge writes; None for other PRMs, which write nothing."""
    (first, *others) = entries
    if others or first.price is None or not isinstance(first, PolicyEntry):
        return None
    return first.price.rates()["output"]


def _all_named(entries: Sequence[Any], names: Sequence[str], kind: str) -> list[Any]:
    return [_named(entries, name, kind) for name in names]


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
            for field in ("embedded", "vllm", "tokenizer", "folder", *(["policy"] if kind == "prm" else [])):
                given = entry.get(field) if isinstance(entry, dict) else None
                if isinstance(given, str) and given and (folder / given).is_dir():
                    entry[field] = str(folder / given)
    return content

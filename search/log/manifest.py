"""The manifest of a search log: its version, its settings and the models it holds rows of.

``settings`` are what every row of one log shares (campaign seed, sampling, limits, block), so that
draws of two kinds are never pooled. ``policies`` and ``prms`` grow as a log is extended; a name
stays bound to one fingerprint. A card's fingerprint covers weights, tokenizer and prompt template; the
template itself is the setting ``prompt of NAME`` where it is not the plain one. ``words of STRATEGY.NAME``
is the template in which a strategy asked about earlier answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from search.cards import ModelCard
from search.drawing import Drawing
from search.errors import FingerprintError, GridError, LogError, SchemaError
from search.log.tables import SCHEMA_VERSION
from search.problem_sets.problem_set import canonical_json
from search.prompts import Prompting
from search.storage.protocol import Storage

__all__ = ["MANIFEST_NAME", "Manifest", "prompt_settings", "sampling_settings", "words_settings"]

MANIFEST_NAME = "manifest.json"
_KIND = "search log"
_PROMPT_OF = "prompt of "
_WORDS_OF = "words of "


def prompt_settings(promptings: Mapping[str, Prompting]) -> dict[str, str]:
    """The settings of a log whose policies were asked so; plain ones have none."""
    return {f"{_PROMPT_OF}{name}": str(one) for name, one in promptings.items() if not one.is_plain}


def words_settings(words: Mapping[str, str]) -> dict[str, str]:
    """The settings of a log whose strategies asked about earlier answers in these words."""
    return {f"{_WORDS_OF}{name}": text for name, text in words.items()}


_SAMPLING = "sampling"


def sampling_settings(samplings: Mapping[str, str]) -> dict[str, str]:
    """The settings of a log whose policies drew their pools so: one for all, or one for each.

    >>> sampling_settings({"a": "temperature=1", "b": "temperature=1"})
    {'sampling': 'temperature=1'}
    """
    different = set(samplings.values())
    if len(different) == 1:
        return {_SAMPLING: different.pop()}
    return {_SAMPLING: "by policy", **{f"{_SAMPLING} of {name}": one for name, one in samplings.items()}}


def _frozen(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(sorted(values.items())))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a log says of itself.

    Parameters
    ----------
    settings:
        Name -> value in canonical text, the same for every row.
    policies, prms:
        Name -> card.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, ModelCard] = field(default_factory=dict)
    prms: Mapping[str, ModelCard] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("settings", "policies", "prms"):
            object.__setattr__(self, name, _frozen(getattr(self, name)))

    def joined(self, other: Manifest, what: str = "a log and what is added to it") -> Manifest:
        """Both together. Raises FingerprintError naming the first thing they disagree on."""
        for name in sorted(self.settings.keys() & other.settings.keys()):
            if self.settings[name] != other.settings[name]:
                raise FingerprintError(
                    f"{name} must be the same in {what}, "
                    f"got {self.settings[name]!r} and {other.settings[name]!r}"
                )
        for kind, mine, others in (("policy", self.policies, other.policies), ("PRM", self.prms, other.prms)):
            for name in sorted(mine.keys() & others.keys()):
                if mine[name].fingerprint != others[name].fingerprint:
                    raise FingerprintError(
                        f"{kind} {name!r} must have the same fingerprint in {what}, "
                        f"got {mine[name].fingerprint!r} and {others[name].fingerprint!r}"
                    )
                if mine[name] != others[name]:
                    raise FingerprintError(
                        f"{kind} {name!r} must have the same card in {what}, "
                        f"got {mine[name]} and {others[name]}"
                    )
        return replace(
            self,
            settings={**self.settings, **other.settings},
            policies={**self.policies, **other.policies},
            prms={**self.prms, **other.prms},
        )

    def policy(self, name: str) -> ModelCard:
        """The card of a policy. Raises LogError when the log has none of that name."""
        return _known(self.policies, name, "policies")

    def prm(self, name: str) -> ModelCard:
        """The card of a PRM. Raises LogError when the log has none of that name."""
        return _known(self.prms, name, "PRMs")

    @property
    def promptings(self) -> dict[str, Prompting]:
        """How policies were asked: those that were not asked plainly. Raises LogError."""
        try:
            return {
                name.removeprefix(_PROMPT_OF): Prompting.parse(value)
                for name, value in self.settings.items()
                if name.startswith(_PROMPT_OF)
            }
        except GridError as error:
            raise LogError(f"a log's prompts must be such as a campaign writes: {error}") from error

    @property
    def words(self) -> dict[str, str]:
        """The templates in which strategies asked about earlier answers, by strategy and name."""
        return {
            name.removeprefix(_WORDS_OF): value
            for name, value in self.settings.items()
            if name.startswith(_WORDS_OF)
        }

    @property
    def drawings(self) -> dict[str, Drawing]:
        """How each policy's solutions were drawn, where the settings say so as a campaign does."""
        shared, limits = self.settings.get(_SAMPLING, ""), self.settings.get("limits", "")
        told = {
            name: Drawing.parse(self.settings.get(f"{_SAMPLING} of {name}", shared), limits)
            for name in self.policies
        }
        return {name: one for name, one in told.items() if one is not None}

    def part_metadata(self, table: str, unit: str, backend: str = "") -> dict[str, str]:
        """The key-value metadata that travels in a Parquet part of this log.

        ``backend``: what computed the rows. It is told and never compared: rows of one policy under one
        sampling are draws of one distribution, whatever computed them.
        """
        return {
            "planner.schema_version": str(SCHEMA_VERSION),
            "planner.table": table,
            "planner.unit": unit,
            "planner.backend": backend,
            "planner.fingerprints": canonical_json(self.fingerprints()),
        }

    def fingerprints(self) -> dict[str, str]:
        """Settings and model fingerprints in one flat mapping, for part metadata."""
        return {
            **{f"setting/{name}": value for name, value in self.settings.items()},
            **{f"policy/{name}": card.fingerprint for name, card in self.policies.items()},
            **{f"prm/{name}": card.fingerprint for name, card in self.prms.items()},
        }

    def check_part(self, metadata: Mapping[str, str], where: str) -> None:
        """Refuse a part of another version, or one whose fingerprints contradict the manifest."""
        version = metadata.get("planner.schema_version")
        if version is None:
            raise SchemaError(
                f"a part must be one that a search log wrote, got {where} without a schema version"
            )
        if version != str(SCHEMA_VERSION):
            raise SchemaError(
                f"a part must have schema version {SCHEMA_VERSION}, got version {version} in {where}"
            )
        ours = self.fingerprints()
        theirs = json.loads(metadata.get("planner.fingerprints", "{}"))
        for name, value in sorted(theirs.items()):
            if ours.get(name, value) != value:
                raise FingerprintError(
                    f"{name} must be that of the log, {ours[name]!r}, got {value!r} in {where}"
                )

    def serialize(self) -> bytes:
        """The text of the file, JSON."""
        content = {
            "kind": _KIND,
            "schema_version": SCHEMA_VERSION,
            "settings": dict(self.settings),
            "policies": {name: asdict(card) for name, card in self.policies.items()},
            "prms": {name: asdict(card) for name, card in self.prms.items()},
        }
        return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def stored(cls, storage: Storage) -> tuple[Manifest, object]:
        """The manifest of a log, and the stamp of this version. Raises LogError or SchemaError."""
        try:
            found = storage.read(MANIFEST_NAME)
        except OSError as error:
            raise LogError(f"a manifest must be readable, got {storage.where!r}: {error!r}") from error
        if found is None:
            raise LogError(f"a search log is a folder with a {MANIFEST_NAME}, got {_without(storage)}")
        return cls.parse(found.data, f"{storage.where}/{MANIFEST_NAME}"), found.stamp

    @classmethod
    def parse(cls, text: bytes, path: str) -> Manifest:
        """What ``serialize`` wrote; ``path``: where, for people. Raises LogError or SchemaError."""
        try:
            content = json.loads(text)
            if content["kind"] != _KIND:
                raise LogError(
                    f"the kind of a search log's manifest is {_KIND!r}, got {content['kind']!r} in {path}"
                )
            if content["schema_version"] != SCHEMA_VERSION:
                raise SchemaError(
                    f"a search log must have schema version {SCHEMA_VERSION}, "
                    f"got version {content['schema_version']} in {path!r}"
                )
            return cls(
                {str(name): str(value) for name, value in content["settings"].items()},
                {name: ModelCard(**card) for name, card in content["policies"].items()},
                {name: ModelCard(**card) for name, card in content["prms"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, LogError):
                raise
            raise LogError(f"a manifest must be whole JSON of a search log, got {path}: {error!r}") from error


def _known(cards: Mapping[str, ModelCard], name: str, what: str) -> ModelCard:
    if name not in cards:
        raise LogError(f"{what} of this log are {', '.join(cards) or 'none'}, got {name!r}")
    return cards[name]


def _without(storage: Storage) -> str:
    """A place that has no manifest, and what is there instead."""
    folder = storage.folder
    if folder is None:
        return repr(storage.where)
    if not folder.exists():
        return f"{storage.where!r}, which does not exist"
    if folder.is_dir():
        return f"{storage.where!r}, a folder without one"
    return f"{storage.where!r}, a file (planner import makes a log of records)"

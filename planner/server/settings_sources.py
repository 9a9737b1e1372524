"""Where the settings of a server come from: flags, then the environment, then a file, then the defaults.

A variable is the setting's name in capitals after ``PLANNER_SERVE_``; the file is TOML with the names as
keys. All faults are found before anything is refused, each told in one line that says where it stands.

    >>> read_settings({"port": 9000}, {"PLANNER_SERVE_PORT": "9001", "PLANNER_SERVE_LAB": "yes"}).port
    9000
    >>> read_settings({}, {"PLANNER_SERVE_LAB": "yes", "PLANNER_SERVE_PROT": "1"})
    Traceback (most recent call last):
    search.errors.SettingsError: a variable must be of a setting of planner serve, got 'PLANNER_SERVE_PROT' \
(did you mean 'PLANNER_SERVE_PORT'?)
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from planner.server.settings import ServeSettings, contradictions
from search.errors import ServeError, SettingsError

__all__ = ["CONFIG", "PREFIX", "kind_of", "read_settings"]

#: what the variables of settings begin with
PREFIX = "PLANNER_SERVE_"

#: the variable that names the file, where no flag does
CONFIG = f"{PREFIX}CONFIG"

_FIELDS = ServeSettings.model_fields
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

#: settings whose addresses may hold a password
_ADDRESSES = ("base_url", "prm_url", "decisions")

_PASSWORD = re.compile(r"://[^/?#]*:[^/?#]+@|[?&;]\w*password=", re.IGNORECASE)

#: what a file may say instead of the name of a variable, although it must not
_SECRETS = {
    "key": "key_env",
    "api_key": "key_env",
    "upstream_key": "upstream_key_env",
    "hash_key": "hash_key_env",
}


@dataclass(frozen=True, slots=True)
class _Source:
    """Some settings as they were given, and where each of them stands."""

    values: Mapping[str, object]
    where: Callable[[str], str]


def read_settings(
    flags: Mapping[str, object], environment: Mapping[str, str], config: Path | None = None
) -> ServeSettings:
    """The settings that flags, environment and file give together.

    Parameters
    ----------
    flags:
        Setting -> value, of those that were given.
    environment:
        Every variable of the process; those without the prefix are ignored.
    config:
        The file; None: the one that ``PLANNER_SERVE_CONFIG`` names, if any.

    Contradictions are looked for once each setting is right by itself. Raises SettingsError with every fault,
    ServeError for a file that cannot be read as TOML.
    """
    if config is None and environment.get(CONFIG):
        config = Path(environment[CONFIG])
    faults: list[str] = []
    sources = [_Source(flags, _flag)]
    sources.append(_Source(_of_environment(environment, faults), _variable))
    if config is not None:
        sources.append(_of_file(config, faults))
    merged: dict[str, Any] = {}
    where: dict[str, str] = {}
    for source in sources:
        for name, value in source.values.items():
            try:
                found = _checked(name, value, source.where(name))
            except ServeError as fault:
                faults.append(str(fault))
            else:
                if name not in merged:
                    merged[name], where[name] = found, source.where(name)
    if not faults:  # a setting that was refused, or misspelled, contradicts nothing
        whole = {name: field.default for name, field in _FIELDS.items()} | merged
        for names, rule in contradictions(whole):
            places = [where[name] for name in names if name in where]
            faults.append(f"{rule}{_apart(places)}")
    for name in ("key_env", "upstream_key_env", "hash_key_env"):
        if name in merged and not environment.get(merged[name]):
            faults.append(f"{where[name]} must name a variable that is set, got {merged[name]!r}")
    if faults:
        raise SettingsError(faults)
    return ServeSettings(**merged)


def kind_of(field: FieldInfo) -> type:
    """What one value of a setting is: bool, int, float, Path, tuple (several texts) or str (also of what is
    read from text)."""
    text = str(field.annotation)
    for kind in (bool, int, float, Path):
        if field.annotation in (kind, kind | None):
            return kind
    return tuple if text.startswith("tuple[") else str


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _apart(places: Iterable[str]) -> str:
    """Where contradicting settings stand, unless all are flags, which say so themselves."""
    named = list(places)
    return f" ({', '.join(named)})" if any(not place.startswith("--") for place in named) else ""


def _checked(name: str, value: object, where: str) -> Any:
    """One setting, checked by its field. Raises ServeError."""
    field = _FIELDS[name]
    whole = Annotated[field.annotation, *field.metadata]  # type: ignore[name-defined]
    adapter: TypeAdapter[Any] = TypeAdapter(whole)
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "value_error":
            raise ServeError(f"{where} {first['ctx']['error']}") from error
        raise ServeError(f"{where} must be {_rule(field)}, got {value!r}") from error


def _rule(field: FieldInfo) -> str:
    """What a setting must be, in words."""
    words = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        Path: "a path",
        tuple: "a list of texts",
        str: "a text",
    }
    bounds = {type(one): one for one in field.metadata if isinstance(one, Ge | Gt | Le | Lt)}
    low, high = bounds.get(Ge) or bounds.get(Gt), bounds.get(Le) or bounds.get(Lt)
    text = words[kind_of(field)]
    if isinstance(low, Ge | Gt) and isinstance(high, Le | Lt):
        opening, least = ("[", low.ge) if isinstance(low, Ge) else ("(", low.gt)
        closing, most = ("]", high.le) if isinstance(high, Le) else (")", high.lt)
        return f"{text} in {opening}{least:g}, {most:g}{closing}"
    if isinstance(low, Ge):
        return f"{text} of at least {low.ge:g}"
    if isinstance(low, Gt):
        return f"{text} above {low.gt:g}"
    return text


def _of_environment(environment: Mapping[str, str], faults: list[str]) -> dict[str, object]:
    """The settings among the variables. An empty variable counts as not set."""
    found: dict[str, object] = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable == CONFIG or not text:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in _FIELDS or variable != _variable(name):
            near = _near(name, _FIELDS, shown=_variable)
            faults.append(f"a variable must be of a setting of planner serve, got {variable!r}{near}")
            continue
        found[name] = _from_text(kind_of(_FIELDS[name]), text)
    return found


def _from_text(kind: type, text: str) -> object:
    """A variable's text as its setting takes it; what cannot be read stays text, and its field refuses it."""
    word = text.strip()
    if kind is bool and word.lower() in (*_YES, *_NO):
        return word.lower() in _YES
    if kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            return text
    if kind is tuple:
        try:
            return json.loads(word) if word.startswith("[") else [part.strip() for part in word.split(",")]
        except ValueError:
            return text
    return text


def _of_file(path: Path, faults: list[str]) -> _Source:
    """The settings of a file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ServeError(f"a settings file must be readable, got {str(path)!r}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ServeError(f"a settings file is TOML, got {str(path)!r}: {error}") from error
    known = {name: value for name, value in content.items() if name in _FIELDS}
    source = _Source(known, lambda name: f"{name} in {str(path)!r}")
    for name in content:
        if name in _SECRETS:
            faults.append(
                f"a file holds no keys, got {source.where(name)}: "
                f"name the variable that does in {_SECRETS[name]!r}"
            )
        elif name not in _FIELDS:
            faults.append(
                f"a key of a settings file must be a setting of planner serve, got {name!r} in {str(path)!r}"
                f"{_near(name.replace('-', '_'), _FIELDS)}"
            )
    for name in _ADDRESSES:
        if any(map(_has_password, _all_texts(known.get(name)))):
            del known[name]
            faults.append(
                f"{source.where(name)} must hold no password, got one: give the address in {_variable(name)}"
            )
    return source


def _near(name: str, known: Iterable[str], shown: Callable[[str], str] = str) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f" (did you mean {shown(near[0])!r}?)" if near else ""


def _all_texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (one for one in value.values() if isinstance(one, str))
    elif isinstance(value, list):
        yield from (one for one in value if isinstance(one, str))


def _has_password(address: str) -> bool:
    """Whether an address carries a password, before the host or among its parameters."""
    return _PASSWORD.search(address) is not None

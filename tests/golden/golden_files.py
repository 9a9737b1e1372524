"""Golden files: read, written, and compared with what is made now."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["FOLDER", "differences", "read", "told", "write"]

FOLDER = Path(__file__).resolve().parent / "recorded"

#: how many differences a message names
_NAMED = 8


def read(name: str) -> Any:
    """What was recorded under a name."""
    return json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))


def write(name: str, content: Any) -> int:
    """Record under a name; the bytes that took. Equal content gives equal bytes."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    data = gzip.compress(text.encode(), 9, mtime=0)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json.gz").write_bytes(data)
    return len(data)


def differences(recorded: Any, made: Any, *, rel: float, place: str = "") -> Iterator[str]:
    """Each place where two JSON values differ, in words.

    Floats may differ by ``rel``, relatively, or by that much of 0.001. A float must stay a float, and a
    whole number whole.
    """
    if isinstance(recorded, Mapping) and isinstance(made, Mapping):
        for name in [*recorded, *(name for name in made if name not in recorded)]:
            where = f"{place} > {name}" if place else str(name)
            if name not in made:
                yield f"{where}: was {_brief(recorded[name])}, is gone"
            elif name not in recorded:
                yield f"{where}: is new, {_brief(made[name])}"
            else:
                yield from differences(recorded[name], made[name], rel=rel, place=where)
    elif isinstance(recorded, list) and isinstance(made, list) and len(recorded) == len(made):
        for at, (one, two) in enumerate(zip(recorded, made, strict=True)):
            yield from differences(one, two, rel=rel, place=f"{place}[{at}]")
    elif isinstance(recorded, float) and isinstance(made, float):
        if not math.isclose(recorded, made, rel_tol=rel, abs_tol=rel * 1e-3):
            yield f"{place}: was {recorded!r}, is {made!r}"
    elif type(recorded) is not type(made) or recorded != made:
        yield f"{place}: was {_brief(recorded)}, is {_brief(made)}"


def told(found: list[str]) -> str:
    """A message of the first few differences; empty where there are none."""
    if not found:
        return ""
    more = [f"... and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
    return "\n".join([f"{len(found)} differences from what was recorded:", *found[:_NAMED], *more])


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 160 else f"{text[:157]}..."

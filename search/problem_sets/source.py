"""Where records of a problem set come from: a file, or a dataset of the Hugging Face hub by its name.

Files: ``.jsonl`` and ``.json`` (lines or one array), ``.csv`` (each also ``.gz``), ``.parquet``. A dataset is
written ``hf:NAME``, ``hf:NAME@SPLIT`` or ``hf:NAME:CONFIG@SPLIT``; the split is ``test`` unless one is named.
That needs the extra ``datasets``; no code of a dataset runs.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search.errors import MissingExtraError, ProblemError
from search.importing.reading import array_records, rows

__all__ = ["HUB", "Address", "is_hub", "records"]

#: what the name of a dataset begins with
HUB = "hf:"

_ADDRESS = re.compile(
    r"hf:(?P<name>[\w.-]+(?:/[\w.-]+)?)(?::(?P<config>[\w.-]+))?(?:@(?P<split>[\w.\[\]:%-]+))?"
)


class Address:
    """A dataset's name, its configuration (None: the only one) and its split. Raises ProblemError.

    >>> address = Address("hf:openai/gsm8k:main@test")
    >>> address.name, address.config, address.split
    ('openai/gsm8k', 'main', 'test')
    """

    def __init__(self, text: str) -> None:
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ProblemError(f"a dataset is written hf:NAME[:CONFIG][@SPLIT], got {text!r}")
        self.name = found["name"]
        self.config = found["config"]
        self.split = found["split"] or "test"


def is_hub(source: str | Path) -> bool:
    """Whether a source is a dataset's name rather than a file."""
    return str(source).startswith(HUB)


def records(source: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, record) for every record of a source.

    Raises
    ------
    RecordError
        A file that is missing, damaged, empty or of another kind.
    ProblemError
        A dataset's name that is none, or a dataset that cannot be loaded.
    MissingExtraError
        A dataset is asked for and the package ``datasets`` is not installed.
    """
    if is_hub(source):
        return _hub_records(Address(str(source)))
    path = Path(source)
    return array_records(path) if _begins_with_array(path) else rows(path)


def _hub_records(address: Address) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        from datasets import load_dataset
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"datasets by name need the datasets extra, got no {error.name}: "
            "pip install 'test-time-planner[datasets]'"
        ) from error
    try:
        found = load_dataset(address.name, address.config, split=address.split)
    except Exception as error:  # the hub's client raises many types
        reason = str(error).strip().partition("\n")[0]
        raise ProblemError(
            "a dataset must be on the hub or in its cache, "
            f"got {address.name!r} split {address.split!r}: {reason}"
        ) from error
    for number, record in enumerate(found, 1):
        yield f"{address.name} row {number}", dict(record)


def _begins_with_array(path: Path) -> bool:
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if kind != ".json":
        return False
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            return file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    except (OSError, EOFError):
        return False  # whoever reads it says what is wrong

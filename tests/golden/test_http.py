"""The server answers, with its receipts, as it was recorded."""

from __future__ import annotations

import golden_files as files
import golden_made as made
import pytest


@pytest.mark.parametrize("models", ["scripted", "lab"])
def test_the_server_answers_as_it_was_recorded(models: str) -> None:
    recorded = files.read("http")[models]
    found = list(files.differences(recorded, made.http(scripted=models == "scripted"), rel=made.MODELS))
    assert not found, files.told(found)

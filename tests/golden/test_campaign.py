"""A small campaign on the lab logs the rows that were recorded."""

from __future__ import annotations

from pathlib import Path

import golden_files as files
import golden_made as made


def test_a_campaign_logs_the_rows_that_were_recorded(tmp_path: Path) -> None:
    recorded = files.read("campaign")
    found = list(
        files.differences(recorded["tables"], made.campaign(recorded["given"], tmp_path), rel=made.MODELS)
    )
    assert not found, files.told(found)

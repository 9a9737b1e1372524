"""``planner fit --reliability``: what prm-eval measured of a PRM, bound to it by its fingerprint."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.cli.learning.fit import reliability_of
from search.cards import ModelCard
from search.errors import RecordError
from search.prm_benchmarks.reliability import PrmReliability

NAN = float("nan")
CARD = ModelCard(name="judge", fingerprint="abc", parameters=10, context=64)


def written(folder: Path, prm: str, fingerprint: str, within: float) -> Path:
    path = folder / f"{prm}.json"
    PrmReliability(prm, fingerprint, 9, within, 0.7, NAN, NAN, NAN).write(path)
    return path


def test_a_known_prm_is_trusted_as_measured(tmp_path: Path) -> None:
    assert reliability_of([written(tmp_path, "judge", "abc", 0.8)], {"judge": CARD}) == {"judge": 0.8}


def test_what_was_not_measured_says_nothing(tmp_path: Path) -> None:
    assert reliability_of([written(tmp_path, "judge", "abc", NAN)], {"judge": CARD}) == {}


@pytest.mark.parametrize(("prm", "fingerprint"), [("other", "abc"), ("judge", "xyz")])
def test_another_prm_is_refused(tmp_path: Path, prm: str, fingerprint: str) -> None:
    with pytest.raises(RecordError, match=rf"of a PRM of the log \(judge\), got '{prm}'"):
        reliability_of([written(tmp_path, prm, fingerprint, 0.8)], {"judge": CARD})

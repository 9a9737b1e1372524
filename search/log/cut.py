"""How many samples of a log were cut off: they reached the most tokens that a solution may have."""

from __future__ import annotations

import polars as pl

from search.log.rows import TRUNCATED
from search.log.store import SearchLog

__all__ = ["cut_share"]


def cut_share(log: SearchLog, policy: str) -> float:
    """The share of a policy's pool draws that were cut off; 0.0 where it has none."""
    ours = log.scan("samples").filter(pl.col("policy") == policy, pl.col("draw") >= 0)
    share = ours.select(TRUNCATED.mean()).collect().item()
    return 0.0 if share is None else float(share)

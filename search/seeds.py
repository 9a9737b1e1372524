"""Seeds: 63-bit hashes of what a draw is, so that neighbours never collide.

Pool samples: ``seed_of(campaign seed, policy fingerprint, sampling, problem id, draw)``.
Runs: ``seed_of(campaign seed, choice, problem id, run)``.
"""

from __future__ import annotations

import hashlib

__all__ = ["seed_of"]


def seed_of(*parts: str | int) -> int:
    """A seed in [0, 2**63) that depends on every part and its place."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = str(part).encode()
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return int.from_bytes(digest.digest(), "little") >> 1

"""Three samples, or a few more."""

from dataclasses import dataclass

from search.strategies.fields import whole
from search.strategies.sampling import SamplingStrategy


@dataclass(frozen=True)
class Trio(SamplingStrategy):
    """A vote over an odd number of samples."""

    name = "trio"
    caption = "the most frequent answer of three samples"

    n: int = whole(3)

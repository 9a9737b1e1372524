"""The pytest plug-in ``planner-contracts``: failures of the contract suites show values as in any test file.

It is loaded with every pytest of an environment and does nothing else, so it imports next to nothing.
"""

from __future__ import annotations

import pytest

__all__: list[str] = []

pytest.register_assert_rewrite("search.testing")

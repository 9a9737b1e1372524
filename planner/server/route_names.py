"""Names of routes, for figures: a path with its parameters left out, so that there are few of them.

>>> from starlette.routing import Route
>>> names = RouteNames([Route("/v1/models", print), Route("/v1/models/{name:path}", print)])
>>> names.of("/v1/models"), names.of("/v1/models/planner/cot()"), names.of("/wp-login.php")
('/v1/models', '/v1/models/{name}', 'other')
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.routing import BaseRoute

__all__ = ["RouteNames"]

#: paths that are named by their beginning alone: the console's files
_FOLDERS = ("/console/",)


class RouteNames:
    """The names of an application's routes."""

    def __init__(self, routes: Iterable[BaseRoute] = ()) -> None:
        self._fixed: set[str] = set()
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        for route in routes:
            path, pattern = getattr(route, "path_format", None), getattr(route, "path_regex", None)
            if path is None or pattern is None:
                continue
            if "{" in path:
                self._patterns.append((pattern, path))
            elif not path.startswith(_FOLDERS):
                self._fixed.add(path)

    def of(self, path: str) -> str:
        """The name of the route that a path leads to; ``other`` where it leads to none."""
        if path in self._fixed:
            return path
        for folder in _FOLDERS:
            if path.startswith(folder):
                return folder.rstrip("/")
        return next((name for pattern, name in self._patterns if pattern.match(path)), "other")

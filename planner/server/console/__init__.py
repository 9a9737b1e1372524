"""The console: a page to look at, served from the package. Three views: Try it, Now, Decisions."""

from planner.server.console.routes import CONTENT_POLICY, mount

__all__ = ["CONTENT_POLICY", "mount"]

"""The console: a page to look at, served from the package (Try it, Now, Decisions), and one of the API."""

from planner.server.console.routes import CONTENT_POLICY, mount

__all__ = ["CONTENT_POLICY", "mount"]

"""The services' databases for pages in process."""

from __future__ import annotations

from tests.web.in_process import installation, world  # noqa: F401

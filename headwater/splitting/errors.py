"""Why a service cannot be moved, or not yet, and what to do."""

from __future__ import annotations


class SplitError(Exception):
    """What stands in the way, and what to do; the message says whether anything was changed."""

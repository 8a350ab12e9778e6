"""Errors of search: what the query did wrong, and what the engine cannot do at the moment."""

from __future__ import annotations


class SearchError(Exception):
    """Base of every error that search raises; the message says what happened and what to do."""


class QueryRefused(SearchError):
    """The query cannot be searched for; ``field`` names the parameter (``q``, ``entity``, ``filter`` …)."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class EngineUnavailable(SearchError):
    """The engine gives no answer: down, too slow, or out of disk. What is waiting to be written is kept."""


class IndexMissing(SearchError):
    """The engine answers and has no (readable) index of that entity: new, restarted empty, or damaged."""


class IndexLocked(SearchError):
    """Another process writes the index."""


class MirrorMissing(SearchError):
    """Landing has not made the mirror yet; it does so by itself."""


class DocumentRefused(SearchError):
    """The engine refuses this document whatever the moment; every other document goes on."""


class StaleToken(SearchError):
    """The reader's rights changed after their token was issued."""

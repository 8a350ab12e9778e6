"""Errors of the lake: what happened and what to do."""

from __future__ import annotations


class LakeError(Exception):
    """Base of every error that concerns the lake."""


class LakeUnavailable(LakeError):
    """Catalogue or files give no answer, or have no room. Nothing is lost: the change log keeps what is not loaded."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"The lake cannot be used: {cause}")


class NoLake(LakeError):
    """There is no catalogue yet."""

    def __init__(self) -> None:
        super().__init__("There is no lake yet; it is made when the databases are prepared (`headwater down up`).")

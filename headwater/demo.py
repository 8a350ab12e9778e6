"""The demo company: whether this installation wants it, and loading it with a progress bar."""

from __future__ import annotations

from headwater.state import Home


def decline(home: Home) -> None: ...


def is_wanted(home: Home) -> bool:
    return False


def load(home: Home) -> None: ...

"""What a process is by its name: several of a kind share the part before the hyphen (``landing``, ``landing-2``)."""

from __future__ import annotations


def kind(process: str) -> str:
    return process.partition("-")[0]

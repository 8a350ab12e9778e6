"""Why a command stops, in words for the person who typed it."""

from __future__ import annotations


class Refused(Exception):
    """The command cannot do what was asked; the message says why and what to do."""

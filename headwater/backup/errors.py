"""Errors of backup and restore: what happened, to which file, and what to do."""

from __future__ import annotations


class BackupError(Exception):
    """A backup could not be taken, trusted or restored; nothing that existed before was changed."""

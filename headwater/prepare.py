"""Prepares the databases."""

from headwater import fingerprint
from headwater.state import Home


def run(home: Home) -> None:
    fingerprint.record(home, "databases")
    fingerprint.record(home, "marts")

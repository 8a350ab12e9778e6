"""``demo``, ``import`` and ``token``: data to work with and a key to the door."""

from __future__ import annotations

import argparse


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pass

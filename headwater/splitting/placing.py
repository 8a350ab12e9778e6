"""What the configuration says of a moved service. Written whole and durably, beside whatever else stands in it."""

from __future__ import annotations

import json
from dataclasses import replace

from headwater import config
from headwater.config import Config, Placement
from headwater.state import Home


def is_placed(home: Home, service: str) -> bool:
    return service in _written(home).placements


def place(home: Home, service: str, placement: Placement) -> None:
    """From now on the service is there, for every connection that is made."""
    written = _written(home)
    replace(written, placements=written.placements | {service: placement}).save()


def _written(home: Home) -> Config:
    """The file itself: what the environment overrides is no part of it."""
    return config.parse(json.loads(home.config.read_text()))

"""The limits of calls between services, from the environment."""

from __future__ import annotations

import os

from headwater.config import ConfigError
from transactional.kernel.limits import Limits


def limits() -> Limits:
    """Raises ConfigError for a value that is no number above 0."""
    usual = Limits()
    return Limits(
        connect=_above_zero("HEADWATER_CALL_CONNECT", os.environ.get("HEADWATER_CALL_CONNECT"), usual.connect),
        read=_above_zero("HEADWATER_CALL_READ", os.environ.get("HEADWATER_CALL_READ"), usual.read),
        deadline=_above_zero("HEADWATER_CALL_DEADLINE", os.environ.get("HEADWATER_CALL_DEADLINE"), usual.deadline),
        failures=int(
            _above_zero("HEADWATER_BREAKER_FAILURES", os.environ.get("HEADWATER_BREAKER_FAILURES"), usual.failures)
        ),
        rest=_above_zero("HEADWATER_BREAKER_REST", os.environ.get("HEADWATER_BREAKER_REST"), usual.rest),
    )


def _above_zero(name: str, given: str | None, usual: float) -> float:
    if not given:
        return usual
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 0 < value < 3600 or (isinstance(usual, int) and value != int(value)):
        raise ConfigError(f"{name} must be a number above 0 and below 3600, whole for a count, not {given!r}.")
    return value

"""Keys and models that cannot be refreshed at the moment: set aside with the reason, tried again later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg

WHOLE_MODEL: Final = "*"
LONGEST_PAUSE: Final = 3600
"""Seconds between attempts at most; the first comes after two."""


class Parked:
    """What is parked, as one transaction sees it and changes it."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection
        self._keys: dict[str, dict[str, bool]] = {}
        for model, key, due in connection.execute("select model, key, retry_at <= now() from ops.parked_key"):
            self._keys.setdefault(model, {})[key] = due

    def keys(self, model: str) -> set[str]:
        return self._keys.get(model, {}).keys() - {WHOLE_MODEL}

    def due(self, model: str) -> set[str]:
        """Parked keys that it is time to try again."""
        return {key for key, due in self._keys.get(model, {}).items() if due and key != WHOLE_MODEL}

    def is_whole(self, model: str) -> bool:
        """Whether the model as a whole is parked."""
        return WHOLE_MODEL in self._keys.get(model, {})

    def is_whole_due(self, model: str) -> bool:
        return self._keys.get(model, {}).get(WHOLE_MODEL, False)

    def park(self, model: str, key: str, error: psycopg.Error) -> None:
        """Remembers why; doubles the pause each time that a try which was due fails."""
        self._connection.execute(
            "insert into ops.parked_key as known (model, key, error, retry_at)"
            " values (%s, %s, %s, now() + interval '2 s')"
            " on conflict (model, key) do update set error = excluded.error,"
            " attempts = known.attempts + (known.retry_at <= now())::int,"
            " retry_at = case when known.retry_at > now() then known.retry_at"
            " else now() + least(power(2, least(known.attempts + 1, 20)), %s) * interval '1 s' end",
            [model, key, f"[{error.sqlstate}] {str(error).strip()}", LONGEST_PAUSE],
        )
        self._keys.setdefault(model, {})[key] = False

    def heal(self, model: str, keys: Sequence[str] | None) -> bool:
        """Forgets these keys of the model, or all of it for None; whether any was parked."""
        known = self._keys.get(model, {})
        healed = list(known) if keys is None else [key for key in keys if key in known]
        if not healed:
            return False
        self._connection.execute("delete from ops.parked_key where model = %s and key = any(%s)", [model, healed])
        for key in healed:
            del known[key]
        return True

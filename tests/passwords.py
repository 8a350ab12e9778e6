"""Database roles belong to a whole cluster, and every test shares two: one password, whoever makes a role first."""

from __future__ import annotations

from headwater.config import ROLES

PASSWORD = "secret"
PASSWORDS = dict.fromkeys(ROLES, PASSWORD)
